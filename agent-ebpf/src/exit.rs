//! `sched_process_exit`: the end of a watched process.

use agent_common::record::{ExitRecord, Kind};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{
    HAS_GROUP_DEAD, SIGNAL_FLAGS, SIGNAL_GROUP_EXIT_CODE, SIGNAL_LIVE, TASK_EXIT_CODE,
    TASK_GROUP_LEADER, TASK_SIGNAL, TASK_TGID,
};
use crate::kernel::Typed;
use crate::output::{About, Record, record};
use crate::{filter, process};

/// `SIGNAL_GROUP_EXIT` of `signal_struct.flags`.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h>
const GROUP_EXIT: u32 = 1 << 2;

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for ExitRecord {}

/// Runs for every thread that exits, in that thread, before its cgroup is left.
///
/// Arguments: `struct task_struct *p`, and since 6.16 `bool group_dead`
/// <https://github.com/torvalds/linux/blob/v6.16/include/trace/events/sched.h>
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) {
    let task = Typed::argument(&ctx, 0);
    // Most exits are of threads, and this the kernel has just looked at: cheaper than the cgroup.
    if !is_group_dead(&ctx, task) {
        return;
    }
    let cgroup = task.task_cgroup_id();
    if filter::may_be_tracked(cgroup) {
        look(ctx, cgroup);
    }
}

/// The way of the few; see `signal`.
#[inline(never)]
fn look(ctx: BtfTracePointContext, cgroup: u64) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let task = Typed::argument(&ctx, 0);
    // On old kernels two last threads that exit at once may both find the group dead; only one of
    // them finds the process watched.
    if !filter::unwatch(task.load(&TASK_TGID), subject.container) {
        return;
    }
    let about = About {
        kind: Kind::Exit,
        container: subject.container,
        cgroup,
    };
    record(&ctx, about, |to: *mut ExitRecord| {
        let signal = task.follow(&TASK_SIGNAL);
        let flags: u32 = signal.load(&SIGNAL_FLAGS);
        // As wait(2) chooses between the two:
        // <https://github.com/torvalds/linux/blob/v6.12/kernel/exit.c>, `wait_task_zombie`.
        let exit_code = if flags & GROUP_EXIT == 0 {
            task.follow(&TASK_GROUP_LEADER).load(&TASK_EXIT_CODE)
        } else {
            signal.load(&SIGNAL_GROUP_EXIT_CODE)
        };
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            process::copy(task.address(), &raw mut (*to).process);
            (&raw mut (*to).exit_code).write(exit_code);
            (&raw mut (*to).signal_flags).write(flags);
        }
    });
}

#[inline(always)]
fn is_group_dead(ctx: &BtfTracePointContext, task: Typed) -> bool {
    // The verifier knows the global as a constant and never sees the branch not taken: where the
    // hook has one argument, reading a second one would be refused.
    if HAS_GROUP_DEAD.load() == 0 {
        task.follow(&TASK_SIGNAL).load::<u32>(&SIGNAL_LIVE) == 0
    } else {
        ctx.arg::<u8>(1) != 0
    }
}
