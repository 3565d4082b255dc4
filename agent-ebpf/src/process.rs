//! The facts of a process, copied from its task.

use agent_common::record::Process;

use crate::filter;
use crate::globals::{
    PID_LEVEL, PID_NS_INUM, PID_NUMBERS, TASK_COMM, TASK_GROUP_LEADER, TASK_REAL_PARENT,
    TASK_START_BOOTTIME, TASK_TGID, TASK_THREAD_PID, UPID_NR, UPID_NS, UPID_SIZE,
};
use crate::kernel::Address;

/// Deepest nesting of pid namespaces that the kernel allows.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/pid_namespace.h>: `MAX_PID_NS_LEVEL`
const NS_LEVEL_MAX: u32 = 32;

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

    let pid = leader.follow(&TASK_THREAD_PID);
    let level = pid.read::<u32>(&PID_LEVEL);
    let stride = u64::from(UPID_SIZE.load());
    let upid = pid
        .plus(u64::from(PID_NUMBERS.load()))
        .plus(u64::from(if level <= NS_LEVEL_MAX { level } else { 0 }) * stride);

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
