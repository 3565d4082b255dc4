//! `mark_victim`: the OOM killer chose a process. The hook passes a pid or a task, depending on the
//! kernel; the loader takes the program that fits.

use agent_common::record::{Kind, OomRecord};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::filter;
use crate::globals::{TASK_COMM, TASK_GROUP_LEADER, TASK_TGID};
use crate::kernel::{Address, BtfPtr};
use crate::output::{Record, RecordHeader, record};
use crate::share::Cause;

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for OomRecord {}

/// Arguments: `int pid`
/// <https://github.com/torvalds/linux/blob/v6.6/include/trace/events/oom.h>
#[btf_tracepoint(function = "mark_victim")]
pub(crate) fn mark_victim_pid(ctx: BtfTracePointContext) {
    // A pid alone does not say the cgroup.
    record_victim(&ctx, (0, 0, 0), ctx.arg(0), Address(0));
}

/// Arguments: `struct task_struct *task, uid_t uid`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/oom.h>
#[btf_tracepoint(function = "mark_victim")]
pub(crate) fn mark_victim_task(ctx: BtfTracePointContext) {
    let task = BtfPtr::argument(&ctx, 0);
    let cgroup = task.task_cgroup_id();
    if let Some(subject) = filter::subject(cgroup) {
        let place = (subject.container, cgroup, subject.outermost);
        let leader = task.address().follow(&TASK_GROUP_LEADER);
        record_victim(&ctx, place, task.load(&TASK_TGID), leader);
    }
}

/// `place`: container, cgroup and outermost container. `leader`: the thread group leader, 0 if it is not known; its name is then zeros.
#[inline(always)]
fn record_victim(
    ctx: &BtfTracePointContext,
    (container, cgroup, outermost): (u64, u64, u64),
    pid: u32,
    leader: Address,
) {
    let about = RecordHeader {
        kind: Kind::OomVictim,
        container,
        cgroup,
        outermost,
        charged: outermost,
        cause: Cause::Inside,
    };
    record(ctx, about, |to: *mut OomRecord| {
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            (&raw mut (*to).pid).write(pid);
            (&raw mut (*to).reserved).write(0);
            leader.copy(&TASK_COMM, &raw mut (*to).comm);
        }
    });
}
