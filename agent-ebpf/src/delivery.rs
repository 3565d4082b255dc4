//! `signal_deliver`: a process takes a signal out of its queue.

use agent_common::record::{DeliveryRecord, Kind};
use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_task,
};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{ACTION_HANDLER, SIGNAL_FLAGS, SIGNALS, TASK_PTRACE, TASK_SIGNAL};
use crate::kernel::{Address, BtfPtr};
use crate::output::{Record, RecordHeader, record};
use crate::share::Cause;
use crate::treatment::SIGKILL;
use crate::{filter, process};

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for DeliveryRecord {}

/// Runs in the task that takes a signal, before the kernel looks at the handler: so the default action may be that an init,
/// which is unkillable, throws it away. The `siglock` of the process is held.
///
/// Not for what sigwait or signalfd fetches, and with SIGKILL for every thread of a process that is killed or ends itself.
///
/// Arguments: `int sig, struct kernel_siginfo *info, struct k_sigaction *ka`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/signal.h>, and `get_signal` in
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c>
#[btf_tracepoint(function = "signal_deliver")]
pub(crate) fn signal_deliver(ctx: BtfTracePointContext) {
    let number: u32 = ctx.arg(0);
    if number == SIGKILL || !filter::has_signal(SIGNALS.load(), number) {
        return;
    }
    // SAFETY: the helper has no precondition.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    if filter::may_be_tracked(cgroup) {
        handle_tracked(ctx, cgroup, number);
    }
}

/// The slow path, of tracked cgroups alone; see `signal`.
#[inline(never)]
fn handle_tracked(ctx: BtfTracePointContext, cgroup: u64, number: u32) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // Only what was recorded when it was sent, so that there are no more records than of those.
    if !filter::take_queued(tgid, subject.container, number) {
        return;
    }
    let about = RecordHeader {
        kind: Kind::Delivered,
        container: subject.container,
        cgroup,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: Cause::Inside,
    };
    let handler: u64 = BtfPtr::argument(&ctx, 2).load(&ACTION_HANDLER);
    record(&ctx, about, |to: *mut DeliveryRecord| {
        // SAFETY: the helper has no precondition.
        let task = Address(unsafe { bpf_get_current_task() });
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            process::copy(task, &raw mut (*to).process);
            (&raw mut (*to).signal).write(number);
            (&raw mut (*to).signal_flags).write(task.follow(&TASK_SIGNAL).read(&SIGNAL_FLAGS));
            (&raw mut (*to).handler).write(handler);
            (&raw mut (*to).ptrace).write(task.read(&TASK_PTRACE));
            (&raw mut (*to).reserved).write(0);
        }
    });
}
