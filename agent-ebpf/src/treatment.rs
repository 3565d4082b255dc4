//! Which signals get a record: see [`Budget`] for those of which there may be too many.

use agent_common::map::{Budget, SignalCounts, Subject};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::globals::{SIGINFO_CODE, SIGNAL_FLAGS, TASK_SIGNAL, TASK_TGID};
use crate::kernel::{Address, BtfPtr};
use crate::{budget, filter, process};

pub(crate) const SIGKILL: u32 = 9;
/// Those that tell of something and stop nothing, bit n-1 for signal n: SIGCHLD, SIGCONT, SIGURG, SIGWINCH.
pub(crate) const NEWS: u64 = 1 << 16 | 1 << 17 | 1 << 22 | 1 << 27;
/// Those that a terminal sends by the kernel's hand: SIGHUP, SIGINT, SIGQUIT.
const OF_TERMINAL: u64 = 1 << 0 | 1 << 1 | 1 << 2;
/// Those that stop a process by default: SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU.
const STOPS: u64 = 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21;
/// `SIGNAL_GROUP_EXIT` of `signal_struct.flags`.
const GROUP_EXIT: u32 = 1 << 2;
/// `TRACE_SIGNAL_IGNORED` and `TRACE_SIGNAL_OVERFLOW_FAIL`.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/signal.h>
const IGNORED: u32 = 1;
const OVERFLOW: u32 = 3;
/// `SI_USER`: kill(2) and its kin.
const SI_USER: i32 = 0;
/// `SI_KERNEL`.
const SI_KERNEL: i32 = 128;
/// `SI_QUEUE` and `SI_TKILL`: the codes below `SI_USER` that a process's signal has.
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;

/// What the hook tells beside the target, and whether the target's container is the sender's.
#[derive(Clone, Copy)]
pub(crate) struct Signal {
    pub(crate) number: u32,
    pub(crate) info: Address,
    pub(crate) result: u32,
    pub(crate) from_inside: bool,
}

/// What is done about a signal, beside counting it.
#[derive(Clone, Copy)]
pub(crate) enum Treatment {
    Counted,
    Recorded {
        /// Whether the target is watched.
        watched: bool,
        /// Whether somebody outside of the container sent it.
        sent_from_outside: bool,
    },
}

/// What is to be done about a signal to a process of this container.
#[inline(always)]
pub(crate) fn classify(
    target: BtfPtr,
    signal: Signal,
    subject: Subject,
    counts: *mut SignalCounts,
) -> Treatment {
    if signal.number == SIGKILL {
        classify_kill(target, signal, subject, counts)
    } else if signal.from_inside {
        classify_from_inside(target, signal, subject, counts)
    } else {
        classify_from_outside(target, signal, subject, counts)
    }
}

/// Every SIGKILL for a watched process is recorded, but one from inside that the kernel ignores: an init is not killed by
/// its children. Others are recorded as long as there are few.
#[inline(always)]
fn classify_kill(
    target: BtfPtr,
    signal: Signal,
    subject: Subject,
    counts: *mut SignalCounts,
) -> Treatment {
    // A process that came from outside is watched from its first signal on, even if it entered
    // before user space had learned of its container.
    let watched = filter::watch_if_from_outside(target, subject);
    let is_void = signal.result == IGNORED && (signal.from_inside || !watched);
    if is_void || (!watched && !budget::take(counts, Budget::Kills)) {
        return Treatment::Counted;
    }
    Treatment::Recorded {
        watched,
        sent_from_outside: !signal.from_inside,
    }
}

/// Signals inside of a container may come in floods, so what costs less is asked first.
#[inline(always)]
fn classify_from_inside(
    target: BtfPtr,
    signal: Signal,
    subject: Subject,
    counts: *mut SignalCounts,
) -> Treatment {
    if filter::has_signal(NEWS, signal.number) {
        return Treatment::Counted;
    }
    let sender = (bpf_get_current_pid_tgid() >> 32) as u32;
    let is_own = sender == target.load::<u32>(&TASK_TGID);
    if !is_own && !budget::has_room(counts, Budget::Inside) {
        return Treatment::Counted;
    }
    let has_sender = !is_own && is_of_process(signal.info);
    if has_sender {
        budget::spend(counts, Budget::Inside);
    } else if !ends(target, signal) {
        return Treatment::Counted;
    }
    let watched = filter::watch_if_from_outside(target, subject);
    if has_sender || watched {
        Treatment::Recorded {
            watched,
            sent_from_outside: false,
        }
    } else {
        Treatment::Counted
    }
}

/// Every signal that a process outside sends to a watched one is recorded. Of those that the kernel sends, while it
/// interrupts anybody, most are the program's own timers.
#[inline(always)]
fn classify_from_outside(
    target: BtfPtr,
    signal: Signal,
    subject: Subject,
    counts: *mut SignalCounts,
) -> Treatment {
    let watched = filter::watch_if_from_outside(target, subject);
    if !watched
        && (filter::has_signal(NEWS, signal.number) || !budget::has_room(counts, Budget::Outside))
    {
        return Treatment::Counted;
    }
    let has_sender = is_of_process(signal.info);
    let is_recorded = if watched {
        has_sender
            || ends(target, signal)
            || (filter::has_signal(OF_TERMINAL, signal.number)
                && budget::take(counts, Budget::Outside))
    } else {
        has_sender
    };
    if !is_recorded {
        return Treatment::Counted;
    }
    if !watched {
        budget::spend(counts, Budget::Outside);
    }
    Treatment::Recorded {
        watched,
        sent_from_outside: has_sender,
    }
}

/// Whether a process sent it, and not the kernel.
#[inline(always)]
fn is_of_process(info: Address) -> bool {
    matches!(code(info), SI_USER | SI_QUEUE | SI_TKILL)
}

/// Whether the signal ends its target: the kernel has begun that, or will when the target takes the signal. Of the signals
/// that a program causes itself this one tells why it ended, and it comes once.
///
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c>: `complete_signal`, before the hook, begins a group exit
/// unless the default action is to leave a core dump as well, or no thread is free to take the signal.
#[inline(always)]
fn ends(target: BtfPtr, signal: Signal) -> bool {
    if signal.result == IGNORED {
        return false;
    }
    let flags: u32 = target.follow(&TASK_SIGNAL).load(&SIGNAL_FLAGS);
    if flags & GROUP_EXIT != 0 {
        return true;
    }
    let task = target.address();
    !filter::has_signal(NEWS | STOPS, signal.number)
        && process::handler(task, signal.number) == 0
        && !filter::has_signal(process::blocked(task), signal.number)
}

/// Whether the signal waits for the process to take it. SIGKILL never does, nor what is ignored or finds no room.
#[inline(always)]
pub(crate) fn is_queued(signal: Signal) -> bool {
    signal.number != SIGKILL && signal.result != IGNORED && signal.result != OVERFLOW
}

/// The signal's `si_code`. Two numbers stand for an info that nobody filled in.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h>: `SEND_SIG_NOINFO`
/// is 0, `SEND_SIG_PRIV` is 1.
#[inline(always)]
pub(crate) fn code(info: Address) -> i32 {
    match info.0 {
        0 => SI_USER,
        1 => SI_KERNEL,
        _ => info.read(&SIGINFO_CODE),
    }
}
