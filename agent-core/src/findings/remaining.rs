//! The diagnoses of an exit that does not complete, and of processes that outlive a stop.

use super::{finding, format_duration, join_limited};
use crate::event::Tgid;
use crate::remaining::{Remaining, Task, TaskState};
use crate::report::{Finding, FindingKind};
use crate::termination::{REMAINING_AFTER, Termination};

/// The main process began to exit, and did not come to the end.
pub(super) fn stuck_in_exit(termination: &Termination<'_>) -> Option<Finding> {
    let left = termination.container.remaining.as_ref()?;
    let (at, remaining) = (left.at, &left.remaining);
    let main = remaining.main.as_ref()?;
    let name = &termination.main.comm;
    let began = match termination.exit {
        // It was there for longer than a parent needs to notice an exit.
        Some(exit) if at.since(exit.at) >= REMAINING_AFTER => format!(
            "The main process `{name}` exited, and was still there {} later",
            format_duration(at.since(exit.at))
        ),
        Some(exit) if exit.at > at && termination.is_held_in_exit() => {
            let began = left.exiting_since.unwrap_or(at);
            format!(
                "The main process `{name}` had begun to exit {} before its exit was complete",
                format_duration(exit.at.since(began))
            )
        }
        // After SIGKILL that is `stuck_after_kill`, which says it, too.
        None if termination.kill.is_none() && termination.is_held_in_exit() => {
            format!(
                "The main process `{name}` has begun to exit, and does not come to the end of it"
            )
        }
        Some(_) | None => return None,
    };
    let why = describe_reason(remaining, main);
    Some(finding(
        FindingKind::StuckInExit,
        format!("{began}{why}."),
        "Look at the node, not at the program: thaw what is frozen, restart the process that does not wait for its child, and find the storage or network file system that a process in the kernel waits for. SIGKILL has no effect, and the pod stays Terminating until then.",
    ))
}

/// What keeps the main process, as the end of a sentence; empty if nothing tells.
pub(super) fn held_by(termination: &Termination<'_>) -> String {
    let left = termination.container.remaining.as_ref();
    let main = left.and_then(|left| Some((&left.remaining, left.remaining.main.as_ref()?)));
    main.map_or_else(String::new, |(remaining, main)| {
        describe_reason(remaining, main)
    })
}

fn describe_reason(remaining: &Remaining, main: &Task) -> String {
    if !remaining.others.is_empty() {
        return format!(
            ": it waits for {}",
            remaining_names(remaining, Some(main.tgid))
        );
    }
    if main.state == TaskState::Zombie {
        return format!(
            ": its parent `{}` (pid {}) has not waited for it",
            main.parent_comm, main.parent_tgid.0
        );
    }
    describe_wait(main).map_or_else(String::new, |wait| format!(": it {wait}"))
}

/// Others live on after the main process: it had no pid namespace of its own, whose end would have killed them.
pub(super) fn processes_left(termination: &Termination<'_>) -> Option<Finding> {
    let left = termination.container.remaining.as_ref()?;
    let remaining = &left.remaining;
    let exit = termination.exit?;
    let after = left.at.since(exit.at);
    let is_left = remaining.main.is_none() && !remaining.others.is_empty();
    let others_came = termination.container.has_newcomer();
    if !is_left || others_came || after < REMAINING_AFTER || !termination.was_stopped() {
        return None;
    }
    Some(finding(
        FindingKind::ProcessesLeft,
        format!(
            "{} after the main process `{}` had exited, there were still {}.",
            format_duration(after),
            termination.main.comm,
            remaining_names(remaining, None)
        ),
        "Make the main process stop its children and wait for them: without a pid namespace of its own (hostPID, a service) its end does not end them, and a SIGKILL that the runtime sends may reach the main process alone.",
    ))
}

/// Who is left, with what each waits for, those that wait in the kernel first.
fn remaining_names(remaining: &Remaining, main: Option<Tgid>) -> String {
    let mut others: Vec<&Task> = remaining.others.iter().collect();
    others.sort_by_key(|task| (describe_wait(task).is_none(), task.tid));
    let named = others.into_iter().map(|task| describe(task, main));
    join_limited(named, remaining.more)
}

fn describe(task: &Task, main: Option<Tgid>) -> String {
    let name = if main == Some(task.tgid) {
        format!("its thread `{}` (tid {})", task.comm, task.tid)
    } else {
        format!("`{}` (pid {})", task.comm, task.tid)
    };
    describe_wait(task).map_or_else(|| name.clone(), |wait| format!("{name}, which {wait}"))
}

/// What keeps a task from its end, if that can be told.
fn describe_wait(task: &Task) -> Option<String> {
    let within = if task.waits_in.is_empty() {
        String::new()
    } else {
        format!(" (`{}`)", task.waits_in)
    };
    if task.frozen {
        return Some("is frozen by its cgroup".to_owned());
    }
    if task.waits_in.contains("coredump") {
        return Some("waits until its core dump is written".to_owned());
    }
    match task.state {
        TaskState::Uninterruptible => Some(format!("waits in the kernel{within}")),
        TaskState::Zombie => Some(format!(
            "has exited and waits for its parent `{}` (pid {})",
            task.parent_comm, task.parent_tgid.0
        )),
        TaskState::Stopped => Some("is stopped by a signal or a debugger".to_owned()),
        TaskState::Alive if task.exiting => Some(format!("is exiting{within}")),
        TaskState::Alive => None,
    }
}
