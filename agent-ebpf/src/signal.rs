//! `signal_generate`: signals to the processes of tracked containers.

use agent_common::map::{SUBJECTS_MAX, SignalCounts};
use agent_common::record::{Kind, SignalRecord};
use agent_common::socket::Phase;
use aya_ebpf::helpers::{bpf_get_current_cgroup_id, bpf_get_current_task};
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{
    ACTION_HANDLER, ACTION_SIZE, SIGHAND_ACTION, SIGINFO_CODE, SIGNAL_FLAGS, SIGNALS, TASK_BLOCKED,
    TASK_PTRACE, TASK_REAL_BLOCKED, TASK_SIGHAND, TASK_SIGNAL, TASK_TGID,
};
use crate::kernel::{Address, Typed};
use crate::output::{About, Record, record};
use crate::{counter, filter, phase, process};

#[map]
static SIGNAL_COUNTS: HashMap<u64, SignalCounts> = HashMap::with_max_entries(SUBJECTS_MAX, 0);

const SIGKILL: u32 = 9;
/// `SI_USER`: kill(2) and its kin.
const SI_USER: i32 = 0;
/// `SI_KERNEL`.
const SI_KERNEL: i32 = 128;

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for SignalRecord {}

/// What the hook tells beside the target.
#[derive(Clone, Copy)]
struct Signal {
    number: u32,
    info: Address,
    result: u32,
}

/// Runs for every signal that the kernel generates, whoever sends it by whatever call; `result` is
/// the kernel's own, so an ignored signal is seen as such. The task that runs is the sender.
///
/// Arguments: `int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/signal.h>
#[btf_tracepoint(function = "signal_generate")]
pub(crate) fn signal_generate(ctx: BtfTracePointContext) {
    let number: u32 = ctx.arg(0);
    if !filter::has_signal(SIGNALS.load(), number) {
        return;
    }
    let cgroup = Typed::argument(&ctx, 2).task_cgroup_id();
    if filter::may_be_tracked(cgroup) {
        look(ctx, cgroup, number);
    }
}

/// The way of the few. Apart, so that the way of the many needs no stack and saves no registers.
#[inline(never)]
fn look(ctx: BtfTracePointContext, cgroup: u64, number: u32) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    if !filter::has_signal(subject.signals, number) {
        return;
    }
    let container = subject.container;
    let target = Typed::argument(&ctx, 2);
    // SAFETY: the helper has no precondition.
    let from_inside = filter::container(unsafe { bpf_get_current_cgroup_id() }) == container;
    // A process that came from outside is watched from its first signal on, even if it entered
    // before user space had learned of its container.
    if (from_inside && number != SIGKILL) || !filter::watch_if_from_outside(target, container) {
        count(container, from_inside);
        return;
    }
    if !from_inside {
        phase::begin(container, target.load(&TASK_TGID), Phase::Stopping);
    }
    let about = About {
        kind: Kind::Signal,
        container,
        cgroup,
    };
    let signal = Signal {
        number,
        info: Address(ctx.arg(1)),
        result: ctx.arg(4),
    };
    record(&ctx, about, |to| {
        // SAFETY: `record` hands out memory for a whole record.
        unsafe { fill(to, target.address(), signal) }
    });
}

/// # Safety
///
/// `to` must be writable.
#[inline(always)]
unsafe fn fill(to: *mut SignalRecord, target: Address, signal: Signal) {
    let action = target
        .follow(&TASK_SIGHAND)
        .plus(u64::from(SIGHAND_ACTION.load()))
        // 1 to 64: `has_signal` said so.
        .plus(u64::from(signal.number - 1) * u64::from(ACTION_SIZE.load()));
    // SAFETY: `to` is writable, as the caller promises; these are all fields after the header.
    unsafe {
        process::copy(target, &raw mut (*to).target);
        process::copy(Address(bpf_get_current_task()), &raw mut (*to).sender);
        (&raw mut (*to).signal).write(signal.number);
        (&raw mut (*to).code).write(code(signal.info));
        (&raw mut (*to).result).write(signal.result);
        (&raw mut (*to).signal_flags).write(target.follow(&TASK_SIGNAL).read(&SIGNAL_FLAGS));
        (&raw mut (*to).handler).write(action.read(&ACTION_HANDLER));
        (&raw mut (*to).blocked).write(blocked(target));
        (&raw mut (*to).ptrace).write(target.read(&TASK_PTRACE));
        (&raw mut (*to).reserved).write(0);
    }
}

/// The signals that the task does not let through. While it waits in sigtimedwait(2), those that it
/// waits for are out of `blocked` and still in `real_blocked`.
///
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c>: `do_sigtimedwait`
#[inline(always)]
fn blocked(task: Address) -> u64 {
    task.read::<u64>(&TASK_BLOCKED) | task.read::<u64>(&TASK_REAL_BLOCKED)
}

/// The signal's `si_code`. Two numbers stand for an info that nobody filled in.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h>: `SEND_SIG_NOINFO`
/// is 0, `SEND_SIG_PRIV` is 1.
#[inline(always)]
fn code(info: Address) -> i32 {
    match info.0 {
        0 => SI_USER,
        1 => SI_KERNEL,
        _ => info.read(&SIGINFO_CODE),
    }
}

/// Counts a signal that gets no record. User space made the entry when it tracked the container.
#[inline(always)]
fn count(container: u64, from_inside: bool) {
    if let Some(counts) = SIGNAL_COUNTS.get_ptr_mut(container) {
        // SAFETY: the map handed out this pointer to its value.
        unsafe {
            let counter = if from_inside {
                &raw mut (*counts).inside
            } else {
                &raw mut (*counts).outside
            };
            counter::add(counter, 1);
        }
    }
}
