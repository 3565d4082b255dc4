//! The facts of a process, copied from its task.

use agent_common::record::Process;

use crate::filter;
use crate::globals::{
    ACTION_HANDLER, ACTION_SIZE, PID_LEVEL, PID_NS_INUM, PID_NS_REBOOT, PID_NUMBERS,
    SIGHAND_ACTION, SIGNAL_SHARED_PENDING, TASK_BLOCKED, TASK_COMM, TASK_GROUP_LEADER,
    TASK_PENDING, TASK_REAL_BLOCKED, TASK_REAL_PARENT, TASK_SIGHAND, TASK_SIGNAL,
    TASK_START_BOOTTIME, TASK_TGID, TASK_THREAD_PID, UPID_NR, UPID_NS, UPID_SIZE,
};
use crate::kernel::Address;

/// Deepest nesting of pid namespaces that the kernel allows.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/pid_namespace.h>: `MAX_PID_NS_LEVEL`
const NS_LEVEL_MAX: u32 = 32;

/// Level of the innermost pid namespace of a thread group leader, and the address of its `struct upid` there.
#[inline(always)]
fn innermost(leader: Address) -> (u32, Address) {
    let pid = leader.follow(&TASK_THREAD_PID);
    let level = pid.read::<u32>(&PID_LEVEL);
    let stride = u64::from(UPID_SIZE.load());
    let upid = pid
        .plus(u64::from(PID_NUMBERS.load()))
        .plus(u64::from(if level <= NS_LEVEL_MAX { level } else { 0 }) * stride);
    (level, upid)
}

/// What reboot(2) left in the innermost pid namespace of the process that `task` is a thread of.
///
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/pid_namespace.c>: `reboot_pid_ns` sets it and kills the namespace's
/// init, and `zap_pid_ns_processes` makes it that init's exit code, after the hook of the exit.
#[inline(always)]
pub(crate) fn ns_reboot(task: Address) -> u32 {
    let (_level, upid) = innermost(task.follow(&TASK_GROUP_LEADER));
    upid.follow(&UPID_NS).read(&PID_NS_REBOOT)
}

/// Signals that wait for the process or for this thread of it, bit n-1 for signal n.
#[inline(always)]
pub(crate) fn pending(task: Address) -> u64 {
    let shared: u64 = task.follow(&TASK_SIGNAL).read(&SIGNAL_SHARED_PENDING);
    shared | task.read::<u64>(&TASK_PENDING)
}

/// What the task has set for a signal; 0, which is the default, for a number that is none.
#[inline(always)]
pub(crate) fn handler(task: Address, signal: u32) -> u64 {
    if !filter::has_signal(u64::MAX, signal) {
        return 0;
    }
    task.follow(&TASK_SIGHAND)
        .plus(u64::from(SIGHAND_ACTION.load()))
        .plus(u64::from(signal - 1) * u64::from(ACTION_SIZE.load()))
        .read(&ACTION_HANDLER)
}

/// The signals that the task does not let through. While it waits in sigtimedwait(2), those that it
/// waits for are out of `blocked` and still in `real_blocked`.
///
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c>: `do_sigtimedwait`
#[inline(always)]
pub(crate) fn blocked(task: Address) -> u64 {
    task.read::<u64>(&TASK_BLOCKED) | task.read::<u64>(&TASK_REAL_BLOCKED)
}

/// Copies the facts of the process that `task` is a thread of.
///
/// By address and not by typed loads: 5.10 has no typed pointer to the current task, and this is for
/// the few events that passed the filter.
///
/// # Safety
///
/// `to` must be writable.
#[inline(always)]
pub(crate) unsafe fn copy(task: Address, to: *mut Process) {
    let leader = task.follow(&TASK_GROUP_LEADER);
    let parent = task.follow(&TASK_REAL_PARENT);
    let container = filter::container(task.task_cgroup_id());
    let parent_container = filter::container(parent.task_cgroup_id());
    let (level, upid) = innermost(leader);

    // SAFETY: `to` is writable, as the caller promises; these are all of its fields.
    unsafe {
        (&raw mut (*to).tgid).write(task.read(&TASK_TGID));
        (&raw mut (*to).ns_tgid).write(upid.read(&UPID_NR));
        (&raw mut (*to).ns_level).write(level);
        (&raw mut (*to).ns_inum).write(upid.follow(&UPID_NS).read(&PID_NS_INUM));
        (&raw mut (*to).start).write(leader.read(&TASK_START_BOOTTIME));
        (&raw mut (*to).container).write(container);
        (&raw mut (*to).parent_tgid).write(parent.read(&TASK_TGID));
        (&raw mut (*to).parent_outside).write(u32::from(parent_container != container));
        parent.copy(&TASK_COMM, &raw mut (*to).parent_comm);
        leader.copy(&TASK_COMM, &raw mut (*to).comm);
    }
}
