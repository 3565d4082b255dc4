//! The diagnoses of the other processes of a container: who killed them, and whether they had been told to stop.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{finding, format_duration, join_limited};
use crate::container::InnerSignal;
use crate::event::{Handler, Tgid};
use crate::report::{Finding, FindingKind};
use crate::signal::Signal;
use crate::termination::{STOP_MAX_DEFAULT, Termination};
use crate::time::Timestamp;

/// How long before its exit is seen a dying init may begin to kill what is left in its pid namespace. A thread of it does so once all
/// others have begun to exit, and its exit is seen when the last one has come to that point.
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/exit.c>
const EXIT_SKEW: Duration = Duration::from_secs(1);

/// Kills of other processes, one for each process.
fn kills_of_others<'a>(
    termination: &'a Termination<'_>,
    such: impl Fn(&InnerSignal) -> bool,
) -> Vec<&'a InnerSignal> {
    let mut seen: BTreeSet<Tgid> = BTreeSet::new();
    let all = termination.container.inner.kills.iter();
    all.filter(|kill| kill.target != termination.main.tgid && !kill.fact.too_late)
        .filter(|kill| such(kill))
        .filter(|kill| seen.insert(kill.target))
        .collect()
}

/// The main process exited first, and the kernel killed the rest.
pub(super) fn killed_with_main(termination: &Termination<'_>) -> Option<Finding> {
    let exit = termination.exit?;
    let main = termination.main;
    // Whoever kills the main process kills all of its namespace: that is no news of the others.
    if !main.is_init() || main.died_of() == Some(Signal::KILL) {
        return None;
    }
    let killed = kills_of_others(termination, |kill| {
        let at_exit = kill.fact.at.after(EXIT_SKEW) >= exit.at;
        let by_exit = kill.fact.sender.kernel && kill.fact.sender.tgid == main.tgid;
        let mut oom = termination.container.oom.iter();
        let was_chosen = oom.any(|victim| victim.pid == kill.target.0);
        by_exit && at_exit && !was_chosen && !is_visitors(termination, kill)
    });
    if killed.is_empty() {
        return None;
    }
    let since = termination
        .stop
        .map_or(termination.started_at(), |stop| stop.at);
    let killed = killed.iter();
    let named = join_limited(killed.map(|kill| describe(termination, kill, since)), 0);
    Some(finding(
        FindingKind::KilledWithMain,
        format!(
            "PID 1, `{}`, exited first, and the kernel killed what was left in its pid namespace: {named}.",
            main.comm
        ),
        "Make PID 1 pass the stop signal on and wait for its children (`exec` the program, an init such as tini with the right to signal it, `wait` in a loop in a shell), so that the process that does the work can finish.",
    ))
}

/// Whether a hook, a probe or another command that entered from outside started this process: the main process need not wait
/// for it.
fn is_visitors(termination: &Termination<'_>, kill: &InnerSignal) -> bool {
    let container = termination.container;
    let origin = container.inner.origin(kill);
    origin != termination.main.tgid && container.has_entered(origin)
}

/// One process that was killed: `` `node` (pid 7), which had a handler for SIGTERM and never got it ``.
fn describe(termination: &Termination<'_>, kill: &InnerSignal, since: Timestamp) -> String {
    let name = format!("`{}` (pid {})", kill.fact.target_comm, kill.target.0);
    let Some(stop) = termination.stop else {
        return name;
    };
    let had = match kill.last_outside.filter(|set| set.signal == stop.signal) {
        Some(set) if set.handler == Handler::Custom => "had a handler for",
        Some(set) if set.handler == Handler::Ignore => "ignored",
        Some(_) => "had no handler for",
        None => return name,
    };
    let got = if termination.container.inner.has_reached(kill.target, since) {
        "had got a signal"
    } else if termination.container.unrecorded_inside > 0 {
        "may have got it"
    } else {
        "was not seen to get it"
    };
    format!("{name}, which {had} {} and {got}", stop.signal)
}

/// A process of the container killed another one while the main process lived, after the stop signal or while the hook ran, which
/// may ask a supervisor to stop its programs. What a command does to its own children that entered, such as a probe with a time of
/// its own, is no matter of the program's; nor is a process that ends itself.
pub(super) fn killed_by_parent(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop?;
    let hook = termination.hook.as_ref().and_then(|hook| hook.started_at);
    let hook = hook.filter(|began| *began < stop.at);
    let began = hook.unwrap_or(stop.at);
    let before_exit = |at: Timestamp| termination.exit.is_none_or(|exit| at <= exit.at);
    let killed = kills_of_others(termination, |kill| {
        !kill.fact.sender.kernel
            && !kill.fact.sender.outside
            && kill.fact.at >= began
            && before_exit(kill.fact.at)
            && kill.fact.sender.tgid != kill.target
            // The hook is no supervisor of the program.
            && !termination.container.is_from_hook(&kill.fact)
            && !is_visitors(termination, kill)
    });
    let first = killed.first()?;
    let in_hook = first.fact.at < stop.at;
    let (since, began) = if in_hook {
        (began, "the start of the preStop hook")
    } else {
        (stop.at, "the stop signal")
    };
    let after = first.fact.at.since(since);
    let unused = termination.grace().map_or_else(String::new, |grace| {
        let all = if in_hook {
            grace.configured
        } else {
            grace.after_hook
        };
        let unused = all.saturating_sub(after);
        format!(
            ", when {} of the grace period were left",
            format_duration(unused)
        )
    });
    let more = killed.len().saturating_sub(1);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(finding(
        FindingKind::KilledByParent,
        format!(
            "`{}` (pid {}) sent SIGKILL to `{}` (pid {}){more} {} after {began}{unused}.",
            first.fact.sender.comm,
            first.fact.sender.tgid.0,
            first.fact.target_comm,
            first.target.0,
            format_duration(after)
        ),
        "Raise the supervisor's own timeout for stopping a program (`stopwaitsecs` of supervisord, `timeout-kill` of s6) to the time that the program needs, and keep it below the grace period.",
    ))
}

/// The OOM killer ended a process that is not the main one.
pub(super) fn child_oom_killed(termination: &Termination<'_>) -> Option<Finding> {
    let victim = termination.chosen_oom_victim()?;
    let is_old = victim.at < termination.started_at().before(STOP_MAX_DEFAULT);
    if victim.pid == termination.main.tgid.0 || is_old {
        return None;
    }
    let name = victim.comm.as_ref().map_or_else(
        || format!("process {}", victim.pid),
        |comm| format!("`{comm}` (pid {})", victim.pid),
    );
    let with_main = termination.main_was_oom_killed();
    let and = if with_main {
        // Nothing tells which: one choice for the whole group, or two choices one right after the other.
        ", and killed the main process with it (`memory.oom.group`), or right after it, since that was not enough"
    } else {
        ", which is not the main process"
    };
    Some(finding(
        FindingKind::ChildOomKilled,
        format!("The OOM killer chose {name}{and}."),
        "Raise the memory limit, or find what used the memory; a program that starts children should notice when one of them is killed.",
    ))
}
