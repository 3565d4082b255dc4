//! The records of the ring buffer: plain `repr(C)` structs without hidden padding.
//!
//! Every record starts with a [`Header`]. User space decodes by [`core::mem::offset_of`], never by
//! casting, so a truncated or unknown record is a value and not undefined behaviour.

use core::mem::{offset_of, size_of};

/// Length of a task's `comm` in the kernel, the ending NUL included (`TASK_COMM_LEN`).
pub const COMM_SIZE: usize = 16;
/// How much of a command line an [`ExecRecord`] holds at the most, in bytes.
pub const ARGV_SIZE: usize = 512;
/// How much of a cgroup's path a [`CgroupRecord`] holds at the most, the ending NUL included.
pub const PATH_SIZE: usize = 1024;

/// What a record is. Ids are stable: a retired one stays a hole.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A [`SignalRecord`].
    Signal = 1,
    /// An [`ExecRecord`].
    Exec = 2,
    /// An [`ExitRecord`].
    Exit = 3,
    /// An [`AttachRecord`].
    Attach = 4,
    /// A [`CgroupRecord`]: a cgroup was made.
    CgroupMade = 5,
    /// A [`CgroupStateRecord`]: a tracked cgroup was removed.
    CgroupRemoved = 6,
    /// A [`CgroupStateRecord`]: a tracked cgroup became populated or empty.
    CgroupPopulated = 7,
    /// An [`OomRecord`].
    OomVictim = 8,
    /// A [`ConnectRecord`].
    Connect = 9,
    /// A [`ResetRecord`].
    Reset = 10,
    /// A [`DeliveryRecord`].
    Delivered = 11,
}

impl Kind {
    /// Every kind, in the order of the ids.
    pub const ALL: [Self; 11] = [
        Self::Signal,
        Self::Exec,
        Self::Exit,
        Self::Attach,
        Self::CgroupMade,
        Self::CgroupRemoved,
        Self::CgroupPopulated,
        Self::OomVictim,
        Self::Connect,
        Self::Reset,
        Self::Delivered,
    ];
    /// Slots of a per-kind counter array: one more than the highest id.
    pub const SLOTS: u32 = 12;

    /// The kind with this id, if there is one.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == id)
    }
}

/// What every record starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// A [`Kind`] as its id.
    pub kind: u32,
    /// Size of the whole record in bytes.
    pub size: u32,
    /// When the kernel ran the hook: `bpf_ktime_get_boot_ns`, nanoseconds of `CLOCK_BOOTTIME`.
    pub at: u64,
    /// Id of the cgroup that stands for the container (its topmost tracked cgroup); 0 if none is tracked.
    pub container: u64,
    /// Id of the very cgroup that the record is about: the target task's own, or the cgroup made or removed.
    pub cgroup: u64,
}

/// A process as the kernel saw it at the hook.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Thread group id in the initial pid namespace.
    pub tgid: u32,
    /// Thread group id in the process's own (innermost) pid namespace.
    pub ns_tgid: u32,
    /// Nesting level of that namespace: 0 is the machine's own.
    pub ns_level: u32,
    /// Inode number of that namespace.
    pub ns_inum: u32,
    /// Start of the thread group leader, nanoseconds of `CLOCK_BOOTTIME` (`start_boottime`).
    pub start: u64,
    /// Id of the container that the process is in; 0 if it is in none that is tracked.
    pub container: u64,
    /// Thread group id of the real parent, in the initial pid namespace.
    pub parent_tgid: u32,
    /// 1 if the real parent is in another cgroup than those of the same container, else 0.
    pub parent_outside: u32,
    /// The real parent's `comm`.
    pub parent_comm: [u8; COMM_SIZE],
    /// The thread group leader's `comm`.
    pub comm: [u8; COMM_SIZE],
}

/// `signal_generate` for a process of a tracked container. Every signal that somebody outside sends to a watched process has
/// one, and so has every SIGKILL for it that can kill it; of others there are as many as
/// [`Budget`](crate::map::Budget) allows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SignalRecord {
    /// Kind [`Kind::Signal`]; container and cgroup are the target's.
    pub header: Header,
    /// The process that the signal is for.
    pub target: Process,
    /// The task that ran when the signal was generated. It is the sender unless `code` says that
    /// the kernel itself sent it.
    pub sender: Process,
    /// Signal number.
    pub signal: u32,
    /// `si_code`: 0 `SI_USER`, 128 `SI_KERNEL`, -6 `SI_TKILL` ….
    pub code: i32,
    /// The kernel's own result: 0 delivered, 1 ignored, 2 already pending, 3 overflow, 4 lost info.
    pub result: u32,
    /// `signal_struct.flags` of the target: bit 2 group exit, bit 6 unkillable.
    pub signal_flags: u32,
    /// The target's handler for this signal: 0 default, 1 ignore, else an address in its memory.
    pub handler: u64,
    /// The target thread's blocked signals, those that it waits for by sigwait included, bit n-1 for signal n.
    pub blocked: u64,
    /// `task_struct.ptrace` of the target; 0 if nobody traces it.
    pub ptrace: u32,
    /// The signal that a watched process of the container had got last from outside, as in
    /// [`SignalCounts`](crate::map::SignalCounts); 0 if none.
    pub last_outside: u32,
    /// The target's handler for `last_outside`, as in `handler`.
    pub last_outside_handler: u64,
    /// Signals that wait for the target, this one included if it does, bit n-1 for signal n: those for the whole process and
    /// those for the target thread.
    pub pending: u64,
    /// 1 if the target is watched, else 0.
    pub watched: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// `signal_deliver`: a watched process takes a signal that got a [`SignalRecord`] out of its queue. What it has set for the
/// signal at this moment is what happens.
///
/// A signal that is fetched by sigwait or signalfd is never delivered, nor is one whose default action ends the process at
/// once, without a core dump: the kernel begins that where the signal is sent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DeliveryRecord {
    /// Kind [`Kind::Delivered`].
    pub header: Header,
    /// The process that takes it.
    pub process: Process,
    /// Signal number.
    pub signal: u32,
    /// `signal_struct.flags`, as in [`SignalRecord`].
    pub signal_flags: u32,
    /// The handler: 0 default, 1 ignore, else an address in its memory.
    pub handler: u64,
    /// `task_struct.ptrace`; 0 if nobody traces it.
    pub ptrace: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// `sched_process_exec` in a tracked container of a process whose parent is outside of it
/// or that is watched already.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExecRecord {
    /// Kind [`Kind::Exec`].
    pub header: Header,
    /// The process after the exec.
    pub process: Process,
    /// Bytes of `argv` in use.
    pub argv_size: u32,
    /// Length of the whole command line in bytes, which may be more than `argv` holds.
    pub argv_size_full: u32,
    /// The command line, arguments separated by NUL.
    pub argv: [u8; ARGV_SIZE],
}

/// `sched_process_exit` of the last thread of a watched process, or of one that never called exec and
/// whose real parent is outside of the container.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExitRecord {
    /// Kind [`Kind::Exit`].
    pub header: Header,
    /// The process that died.
    pub process: Process,
    /// As for `wait(2)`: low 7 bits the signal, bit 7 core dumped, bits 8 to 15 the exit status.
    pub exit_code: u32,
    /// `signal_struct.flags`.
    pub signal_flags: u32,
    /// 1 if the process called exec since its fork, else 0.
    pub executed: u32,
    /// `pid_namespace.reboot` of the process's own pid namespace: the signal that its init is to be said to have died of,
    /// because somebody in it called reboot(2); 0 if nobody did.
    pub ns_reboot: u32,
    /// Signals that still waited for the process, or for its last thread, bit n-1 for signal n.
    pub pending: u64,
}

/// A process was moved into a tracked container by a write to `cgroup.procs`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AttachRecord {
    /// Kind [`Kind::Attach`]; cgroup is the one moved to.
    pub header: Header,
    /// The process that was moved.
    pub process: Process,
}

/// A cgroup of the v2 hierarchy was made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CgroupRecord {
    /// Kind [`Kind::CgroupMade`]; container is 0 unless it was made inside a tracked one, or is tracked itself from now on:
    /// then it is the cgroup's own id.
    pub header: Header,
    /// Id of the parent cgroup.
    pub parent: u64,
    /// Depth below the root, which is 0.
    pub level: u32,
    /// Bytes of `path` in use, the ending NUL not counted; [`PATH_SIZE`]-1 may mean that it was cut.
    pub path_size: u32,
    /// Path below the root of the v2 hierarchy, starting with `/`.
    pub path: [u8; PATH_SIZE],
}

/// A tracked cgroup was removed, or became populated or empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CgroupStateRecord {
    /// Kind [`Kind::CgroupRemoved`] or [`Kind::CgroupPopulated`].
    pub header: Header,
    /// For `CgroupPopulated`: 1 populated, 0 empty. Otherwise 0.
    pub populated: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// The OOM killer chose a process of a tracked container.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OomRecord {
    /// Kind [`Kind::OomVictim`]; container 0 where the kernel tells only a pid.
    pub header: Header,
    /// Pid of the victim in the initial pid namespace.
    pub pid: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The thread group leader's `comm`; all zero where the kernel tells only a pid.
    pub comm: [u8; COMM_SIZE],
}

/// `inet_sock_set_state`: a task of the process begins to connect to an endpoint that is waited for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ConnectRecord {
    /// Kind [`Kind::Connect`]; container and cgroup are both the container that waits.
    pub header: Header,
    /// The process that connects.
    pub process: Process,
    /// Where to.
    pub endpoint: Endpoint,
    /// Reserved, 0.
    pub reserved: u32,
}

/// A TCP reset, sent or received, in a termination: one of the first
/// [`MARKS_MAX`](crate::socket::MARKS_MAX).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ResetRecord {
    /// Kind [`Kind::Reset`]; the cgroup is the socket's own, or the container where there is no socket.
    pub header: Header,
    /// The number of an interval; see [`Phase`](crate::socket::Phase).
    pub interval: u32,
    /// A [`ResetKind`](crate::socket::ResetKind).
    pub reset: u32,
    /// A [`Scope`](crate::socket::Scope).
    pub scope: u32,
    /// As in [`ResetKey`](crate::socket::ResetKey).
    pub reason: u32,
    /// 1 if it answered a connection attempt, a SYN.
    pub refused: u32,
    /// The port on the container's side.
    pub local_port: u32,
    /// The other side. All zero if it could not be read.
    pub peer: Endpoint,
    /// As in [`ResetKey`](crate::socket::ResetKey).
    pub traits: u32,
}

/// An address and a port. As a key of a map it has no padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The IPv6 address; of an IPv4 address the one that it is mapped to, `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// The port, as a number.
    pub port: u32,
}

/// Both sides were compiled from this file, but an object may be older than its loader: a change of
/// any layout must change [`ABI_VERSION`], and these sizes are here so that it is not forgotten.
const _: () = {
    assert!(size_of::<Header>() == 32);
    assert!(size_of::<Process>() == 72);
    assert!(size_of::<SignalRecord>() == 32 + 2 * 72 + 64);
    assert!(size_of::<ExecRecord>() == 32 + 72 + 8 + ARGV_SIZE);
    assert!(size_of::<ExitRecord>() == 32 + 72 + 24);
    assert!(size_of::<AttachRecord>() == 32 + 72);
    assert!(size_of::<CgroupRecord>() == 32 + 16 + PATH_SIZE);
    assert!(size_of::<CgroupStateRecord>() == 32 + 8);
    assert!(size_of::<OomRecord>() == 32 + 8 + COMM_SIZE);
    assert!(size_of::<Endpoint>() == 20);
    assert!(size_of::<ConnectRecord>() == 32 + 72 + 20 + 4);
    assert!(size_of::<ResetRecord>() == 32 + 24 + 20 + 4);
    assert!(size_of::<DeliveryRecord>() == 32 + 72 + 24);
    assert!(offset_of!(SignalRecord, target) == size_of::<Header>());
};

/// Version of everything in this crate; the loader compares it with the object's `ABI` global.
pub const ABI_VERSION: u32 = 10;
