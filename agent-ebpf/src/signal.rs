//! `signal_generate`: signals to the processes of tracked containers.

use agent_common::map::{FullMap, SUBJECTS_MAX, SignalCounts, Subject};
use agent_common::record::{Kind, SignalRecord};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::{bpf_get_current_cgroup_id, bpf_get_current_task};
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{SIGNAL_FLAGS, SIGNALS, TASK_PTRACE, TASK_SIGNAL, TASK_TGID};
use crate::kernel::{Address, BtfPtr};
use crate::output::{Record, RecordHeader, record};
use crate::share::Cause;
use crate::treatment::{NEWS, SIGKILL, Signal, Treatment, code, is_queued};
use crate::{counter, filter, phase, process, treatment};

#[map]
static SIGNAL_COUNTS: HashMap<u64, SignalCounts> = HashMap::with_max_entries(SUBJECTS_MAX, 0);

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for SignalRecord {}

/// Begins to count the signals of a container. Says whether they can be.
#[inline(always)]
pub(crate) fn begin_counts(container: u64) -> bool {
    let none = SignalCounts::default();
    let result = SIGNAL_COUNTS.insert(container, none, u64::from(BPF_NOEXIST));
    if result == Err(filter::NO_ROOM) {
        filter::count_full(FullMap::Subjects);
        return false;
    }
    true
}

/// Runs for every signal that the kernel generates, whoever sends it by whatever call; `result` is
/// the kernel's own, so an ignored signal is seen as such. The task that runs is the sender, unless the kernel is. The
/// `siglock` of the target is held.
///
/// Arguments: `int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/signal.h>
#[btf_tracepoint(function = "signal_generate")]
pub(crate) fn signal_generate(ctx: BtfTracePointContext) {
    let number: u32 = ctx.arg(0);
    if !filter::has_signal(SIGNALS.load(), number) {
        return;
    }
    let cgroup = BtfPtr::argument(&ctx, 2).task_cgroup_id();
    if filter::may_be_tracked(cgroup) {
        handle_tracked(ctx, cgroup, number);
    }
}

/// The slow path, of tracked cgroups alone. A function of its own, so that the fast path needs no stack and saves no registers.
#[inline(never)]
fn handle_tracked(ctx: BtfTracePointContext, cgroup: u64, number: u32) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    if !filter::has_signal(subject.signals, number) {
        return;
    }
    // It is made before the container is tracked.
    let Some(counts) = SIGNAL_COUNTS.get_ptr_mut(subject.container) else {
        return;
    };
    let target = BtfPtr::argument(&ctx, 2);
    // SAFETY: the helper has no precondition.
    let sender = unsafe { bpf_get_current_cgroup_id() };
    let (sender, outermost) = filter::place(sender);
    let signal = Signal {
        number,
        info: Address(ctx.arg(1)),
        result: ctx.arg(4),
        from_inside: sender == subject.container,
    };
    let Treatment::Recorded {
        watched,
        sent_from_outside,
    } = treatment::classify(target, signal, subject, counts)
    else {
        count(counts, signal.from_inside);
        return;
    };
    if !watched || (signal.from_inside && number != SIGKILL) {
        count(counts, signal.from_inside);
    }
    if watched && sent_from_outside {
        // Before the record, whose time is not earlier then.
        phase::begin_interval(subject.container, target.load(&TASK_TGID), number);
    }
    let about = RecordHeader {
        kind: Kind::Signal,
        container: subject.container,
        cgroup,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: Cause::outside_if(outermost != subject.outermost),
    };
    // SAFETY: the map handed out this pointer to its value.
    let last = unsafe { (&raw const (*counts).last_outside).read_volatile() };
    record(&ctx, about, |to| {
        // SAFETY: `record` hands out memory for a whole record.
        unsafe { fill(to, target.address(), signal, watched, last) }
    });
    if watched && is_queued(signal) {
        filter::note_queued(target.load(&TASK_TGID), number);
    }
    if watched && sent_from_outside {
        note_last(number, subject, counts);
    }
}

/// Takes note of a signal that somebody outside sent to a watched process.
#[inline(always)]
fn note_last(number: u32, subject: Subject, counts: *mut SignalCounts) {
    let begins = filter::has_signal(subject.begins, number);
    if number != SIGKILL && (begins || !filter::has_signal(NEWS, number)) {
        // SAFETY: the map handed out this pointer to its value.
        unsafe { (&raw mut (*counts).last_outside).write_volatile(number) }
    }
}

/// # Safety
///
/// `to` must be writable.
#[inline(always)]
unsafe fn fill(
    to: *mut SignalRecord,
    target: Address,
    signal: Signal,
    watched: bool,
    last_outside: u32,
) {
    // SAFETY: `to` is writable, as the caller promises; these are all fields after the header.
    unsafe {
        process::copy(target, &raw mut (*to).target);
        process::copy(Address(bpf_get_current_task()), &raw mut (*to).sender);
        (&raw mut (*to).signal).write(signal.number);
        (&raw mut (*to).code).write(code(signal.info));
        (&raw mut (*to).result).write(signal.result);
        (&raw mut (*to).signal_flags).write(target.follow(&TASK_SIGNAL).read(&SIGNAL_FLAGS));
        (&raw mut (*to).handler).write(process::handler(target, signal.number));
        (&raw mut (*to).blocked).write(process::blocked(target));
        (&raw mut (*to).ptrace).write(target.read(&TASK_PTRACE));
        (&raw mut (*to).last_outside).write(last_outside);
        (&raw mut (*to).last_outside_handler).write(process::handler(target, last_outside));
        (&raw mut (*to).pending).write(process::pending(target));
        (&raw mut (*to).watched).write(u32::from(watched));
        (&raw mut (*to).reserved).write(0);
    }
}

/// Counts a signal that gets no record, or would not have one if it were one of many.
#[inline(always)]
fn count(counts: *mut SignalCounts, from_inside: bool) {
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
