//! `sched_process_exit`: the end of a watched process, and of one that was born into a container from
//! outside and never called exec: nothing else tells of that one.

use agent_common::record::{ExitRecord, Kind};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{
    HAS_GROUP_DEAD, SIGNAL_FLAGS, SIGNAL_GROUP_EXIT_CODE, SIGNAL_LIVE, TASK_EXIT_CODE, TASK_FLAGS,
    TASK_GROUP_LEADER, TASK_SIGNAL, TASK_START_BOOTTIME, TASK_TGID,
};
use crate::kernel::BtfPtr;
use crate::output::{Record, RecordHeader, record};
use crate::share::Cause;
use crate::{filter, phase, process};

/// `SIGNAL_GROUP_EXIT` of `signal_struct.flags`.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h>
const GROUP_EXIT: u32 = 1 << 2;
/// `PF_FORKNOEXEC` of `task_struct.flags`: forked, and no exec since. Every new thread has it too, so
/// it is the leader's that tells of the process; whichever thread calls exec is the leader after it.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched.h>
const FORK_NO_EXEC: u32 = 1 << 6;
/// The kernel's `EEXIST`.
const ALREADY_THERE: i32 = -17;
/// Ends that are remembered in [`ENDED`]; the threads of one process end within moments.
const ENDED_MAX: u32 = 1024;

/// Start and tgid of processes that ended and were not watched. Where several last threads may find
/// the group dead, the first one tells of the end.
#[map]
static ENDED: LruHashMap<[u64; 2], u8> = LruHashMap::with_max_entries(ENDED_MAX, 0);

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for ExitRecord {}

/// Runs for every thread that exits, in that thread, before its cgroup is left.
///
/// Arguments: `struct task_struct *p`, and since 6.16 `bool group_dead`
/// <https://github.com/torvalds/linux/blob/v6.16/include/trace/events/sched.h>
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) {
    let task = BtfPtr::argument(&ctx, 0);
    // Most exits are of threads, and this the kernel has just looked at: cheaper than the cgroup.
    if !is_group_dead(&ctx, task) {
        return;
    }
    let cgroup = task.task_cgroup_id();
    if filter::may_be_tracked(cgroup) {
        handle_tracked(ctx, cgroup);
    }
}

/// The slow path, of tracked cgroups alone; see `signal`.
#[inline(never)]
fn handle_tracked(ctx: BtfTracePointContext, cgroup: u64) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let task = BtfPtr::argument(&ctx, 0);
    let tgid = task.load(&TASK_TGID);
    let is_main = phase::begin_closing(subject.container, tgid);
    // On old kernels several last threads that exit at once may all find the group dead; only one
    // of them finds the process watched.
    let watched = filter::unwatch(tgid, subject.container);
    let executed = has_executed(task);
    let is_told = if executed {
        watched
    } else {
        (watched || filter::is_from_outside(task, subject.container)) && is_first_end(task)
    };
    if !is_told {
        return;
    }
    let about = RecordHeader {
        kind: Kind::Exit,
        container: subject.container,
        cgroup,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: Cause::outside_if(is_main && subject.container == subject.outermost),
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
            (&raw mut (*to).executed).write(u32::from(executed));
            (&raw mut (*to).ns_reboot).write(process::ns_reboot(task.address()));
            (&raw mut (*to).pending).write(process::pending(task.address()));
        }
    });
}

/// Whether the process called exec since its fork.
#[inline(always)]
fn has_executed(task: BtfPtr) -> bool {
    let flags: u32 = task.follow(&TASK_GROUP_LEADER).load(&TASK_FLAGS);
    flags & FORK_NO_EXEC == 0
}

/// Whether this is the first of the process's threads to ask.
#[inline(always)]
fn is_first_end(task: BtfPtr) -> bool {
    if HAS_GROUP_DEAD.load() != 0 {
        return true;
    }
    let leader = task.follow(&TASK_GROUP_LEADER);
    let process = [
        leader.load(&TASK_START_BOOTTIME),
        u64::from(task.load::<u32>(&TASK_TGID)),
    ];
    ENDED.insert(process, 0, u64::from(BPF_NOEXIST)) != Err(ALREADY_THERE)
}

#[inline(always)]
fn is_group_dead(ctx: &BtfTracePointContext, task: BtfPtr) -> bool {
    // The verifier knows the global as a constant and never sees the branch not taken: where the
    // hook has one argument, reading a second one would be refused.
    if HAS_GROUP_DEAD.load() == 0 {
        task.follow(&TASK_SIGNAL).load::<u32>(&SIGNAL_LIVE) == 0
    } else {
        ctx.arg::<u8>(1) != 0
    }
}
