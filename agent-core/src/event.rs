//! What the kernel side tells, decoded: plain facts, nothing concluded.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::connection::ResetSeen;
use crate::signal::{Signal, SignalSet};
use crate::time::Timestamp;

/// Id of a cgroup: its kernfs node id, the inode number of its directory in cgroup2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CgroupId(pub u64);

/// Thread group id of a process in the initial pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tgid(pub u32);

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When the kernel ran the hook.
    pub at: Timestamp,
    /// The tracked container it is about, by the id of its topmost cgroup.
    pub container: Option<CgroupId>,
    /// The very cgroup it is about, which may lie inside the container.
    pub cgroup: CgroupId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A signal was generated for a process. Of those for a watched one, every one from outside is told, and every SIGKILL;
    /// of the others, a few: see [`crate::input::Unrecorded`].
    Signal(SignalSent),
    /// A watched process took a signal out of its queue, which an [`EventKind::Signal`] told of before.
    Delivered(Delivered),
    /// A process of the container called exec.
    Exec(Exec),
    /// A watched process died: its last thread is gone.
    Exit(Exit),
    /// A process was moved into the container.
    Attach(Process),
    /// A cgroup was made.
    CgroupMade {
        /// Its parent.
        parent: CgroupId,
        /// Its path below the root of the v2 hierarchy, starting with `/`.
        path: String,
    },
    /// A tracked cgroup was removed.
    CgroupRemoved,
    /// A tracked cgroup got its first process or lost its last, counting those of its descendants.
    CgroupPopulated {
        /// Whether it holds processes.
        populated: bool,
    },
    /// The OOM killer chose this process.
    OomVictim {
        /// Its pid in the initial pid namespace.
        pid: u32,
        /// Its `comm`, where the kernel tells it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comm: Option<String>,
    },
    /// A process began to connect to an address and port that were waited for; [`Event::container`] is the
    /// container on whose behalf.
    Connect(Connect),
    /// A connection was reset, in a termination of [`Event::container`]; one of the first.
    Reset(ResetSeen),
}

/// A process as the kernel saw it at the hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Thread group id in the initial pid namespace.
    pub tgid: Tgid,
    /// Thread group id in its own pid namespace.
    pub ns_tgid: u32,
    /// Nesting level of that namespace; 0 is the machine's own.
    pub ns_level: u32,
    /// Inode number of that namespace.
    pub ns_inum: u32,
    /// When it was started.
    pub start: Timestamp,
    /// The tracked container that it is in.
    pub container: Option<CgroupId>,
    /// Its real parent.
    pub parent_tgid: Tgid,
    /// Whether the real parent is in no cgroup of the same container.
    pub parent_outside: bool,
    /// The real parent's `comm`.
    pub parent_comm: String,
    /// Its own `comm`.
    pub comm: String,
}

/// A signal, its target and its sender.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one moment, as the kernel gave them"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSent {
    /// Which.
    pub signal: Signal,
    /// The process it was for.
    pub target: Process,
    /// The task that ran when it was generated: the sender, unless the kernel sent it.
    pub sender: Process,
    /// `si_code`: 0 a process by kill or pidfd_send_signal or cgroup.kill, 128 the kernel itself.
    pub code: i32,
    /// What the kernel did with it.
    pub result: Delivery,
    /// The handler that the target had for it.
    pub handler: Handler,
    /// Whether the target thread blocked it, so that a program could fetch it by sigwait or signalfd.
    pub blocked: bool,
    /// Whether a debugger traced the target.
    pub traced: bool,
    /// Whether the target's thread group is dying (`SIGNAL_GROUP_EXIT`). The hook runs after the kernel acted on the
    /// signal, so it is set by a signal that is fatal by itself too: [`Self::came_too_late`] tells the two apart.
    /// `complete_signal`: <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c#L966>.
    pub exiting: bool,
    /// Whether the target was PID 1 of its namespace or otherwise `SIGNAL_UNKILLABLE`.
    pub unkillable: bool,
    /// The signals that waited for the target after this one was sent: those for the whole process and for the target
    /// thread. Journals from before this was told lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<SignalSet>,
    /// Whether the target is watched: it came into the container from outside. A signal for another one says nothing of the
    /// main process.
    #[serde(default = "watched_unless_told")]
    pub watched: bool,
    /// What the target had set for the signal that a watched process of its container had got last from outside: the stop
    /// signal, as a rule. None if no such signal had come, and in journals from before this was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outside: Option<Disposition>,
}

/// Journals from before this was told hold signals of watched processes only.
const fn watched_unless_told() -> bool {
    true
}

/// What a process has set for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposition {
    /// The signal.
    pub signal: Signal,
    /// Its handler.
    pub handler: Handler,
}

impl SignalSent {
    /// Whether no process sent it: the kernel did, because of what the program itself did or set up (a fault, a limit, a
    /// timer, a closed pipe), because of its terminal or its memory. `sender` is then whoever happened to run.
    ///
    /// Above 0 are `SI_KERNEL` and the codes of faults; of the others, `SI_USER`, `SI_QUEUE` and `SI_TKILL` are a
    /// process's: <https://github.com/torvalds/linux/blob/v6.12/include/uapi/asm-generic/siginfo.h>. Two signals look as
    /// if the program had sent them to itself, `send_sig(…, current, 0)`: SIGPIPE, in `pipe_write` of
    /// <https://github.com/torvalds/linux/blob/v6.12/fs/pipe.c> and `sk_stream_error` of
    /// <https://github.com/torvalds/linux/blob/v6.12/net/core/stream.c>, and SIGXFSZ, in `generic_write_check_limits` of
    /// <https://github.com/torvalds/linux/blob/v6.12/fs/read_write.c>.
    pub const fn is_from_kernel(&self) -> bool {
        const SI_USER: i32 = 0;
        const SI_TIMER: i32 = -2;
        const SI_MESGQ: i32 = -3;
        const SI_ASYNCIO: i32 = -4;
        const SI_SIGIO: i32 = -5;
        const SI_DETHREAD: i32 = -7;
        const SI_ASYNCNL: i32 = -60;
        const SIGPIPE: u32 = 13;
        const SIGXFSZ: u32 = 25;
        match self.code {
            1.. | SI_TIMER | SI_MESGQ | SI_ASYNCIO | SI_SIGIO | SI_DETHREAD | SI_ASYNCNL => true,
            SI_USER => self.is_own() && matches!(self.signal.number(), SIGPIPE | SIGXFSZ),
            _ => false,
        }
    }

    /// Whether the task that ran was one of the target's own threads.
    pub const fn is_own(&self) -> bool {
        self.sender.tgid.0 == self.target.tgid.0
    }

    /// Whether the target was dying already, so that this signal changed nothing. Since 6.1 the kernel throws such a
    /// signal away; before, it is seen from a group exit that this signal cannot have begun.
    /// `prepare_signal`: <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c#L915>.
    pub fn came_too_late(&self) -> bool {
        // That the thread which was looked at blocks it says nothing: another one may take it, and end the process.
        let fatal =
            self.signal == Signal::KILL || (self.handler == Handler::Default && !self.traced);
        self.exiting && (self.result == Delivery::Ignored || !fatal)
    }
}

/// A process took a signal out of its queue: what it has set for it now is what happens. What it fetches by sigwait or
/// signalfd is never delivered; nor is what ends it by the default action without a core dump, since the kernel begins that
/// where the signal is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The process.
    pub process: Process,
    /// Which.
    pub signal: Signal,
    /// The handler that it has for it.
    pub handler: Handler,
    /// Whether the process is PID 1 of its namespace or otherwise `SIGNAL_UNKILLABLE`.
    pub unkillable: bool,
    /// Whether a debugger traces it, which may have changed what is delivered.
    pub traced: bool,
}

impl Delivered {
    /// Whether nothing came of it: it is ignored, or its default action is none for this process. An init's queue may hold
    /// such a signal if it was blocked when it was sent, and `get_signal` then drops it:
    /// <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c>.
    pub const fn is_thrown_away(&self) -> bool {
        match self.handler {
            Handler::Ignore => true,
            Handler::Default if self.signal.does_nothing_by_default() => true,
            Handler::Default => self.unkillable && !self.signal.is_for_the_kernel_only(),
            Handler::Custom => false,
        }
    }
}

/// The kernel's own result of a signal (`enum { TRACE_SIGNAL_DELIVERED, … }`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// 0: queued for the target.
    Delivered,
    /// 1: thrown away; nobody will ever see it.
    Ignored,
    /// 2: one of its kind was pending already.
    AlreadyPending,
    /// 3: a real-time signal found the queue full.
    OverflowFail,
    /// 4: queued without its details.
    LoseInfo,
}

/// What the target had set for a signal (`sa_handler`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// `SIG_DFL`.
    Default,
    /// `SIG_IGN`.
    Ignore,
    /// A function of its own.
    Custom,
}

/// A process of a container called exec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The process, after the exec.
    pub process: Process,
    /// Its command line, as far as it was recorded.
    pub argv: Vec<String>,
    /// Whether `argv` is shorter than the real one.
    pub argv_cut: bool,
}

/// A watched process died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The process.
    pub process: Process,
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it ran a program of its own: called exec since its fork. One that entered the container from
    /// outside and did not found no program to run, unless it was a stage of the runtime on the way there.
    #[serde(default = "executed_unless_told")]
    pub executed: bool,
    /// The signals that still waited for the process, or for its last thread: it never took them. Journals from before this
    /// was told lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<SignalSet>,
    /// Set if somebody in the process's own pid namespace called reboot(2), which kills the namespace's init: the signal
    /// that this init is said to have died of, SIGINT for a power-off or halt, SIGHUP for a restart. `status` is from before
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns_reboot: Option<Signal>,
}

/// Journals from before this was told hold exits of processes that had called exec, but for a stage of the runtime.
const fn executed_unless_told() -> bool {
    true
}

/// A TCP connection is being opened: its first packet is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// Who connects. It is outside the container unless its own container is the same.
    pub process: Process,
    /// Where to. An IPv4 address is one, whatever the family of the socket.
    pub address: IpAddr,
    /// Where to.
    pub port: u16,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// By itself, with this status.
    Code(u8),
    /// By this signal.
    Signal {
        /// Which.
        signal: Signal,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
}

#[cfg(test)]
mod tests;
