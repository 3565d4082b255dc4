//! The diagnoses: each from facts of one termination, with the evidence and the advice in words.

use std::time::Duration;

use crate::config::Limits;
use crate::report::{Finding, FindingKind, KillCause, Outcome};
use crate::termination::Termination;
use crate::time::Timestamp;

mod connections;
mod hooks;
mod processes;
mod remaining;
mod signals;

pub(crate) use connections::Network;

/// All that holds, in the order of [`FindingKind`].
pub(crate) fn findings(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
    limits: &Limits,
    now: Timestamp,
) -> Vec<Finding> {
    [
        signals::ignored(termination),
        signals::too_slow(termination, outcome),
        signals::before_handler(termination),
        hooks::overran(termination),
        hooks::failed(termination),
        hooks::missing(termination),
        killed_without_stop_signal(termination, outcome),
        oom_killed(termination, outcome),
        stuck_after_kill(termination, limits, now),
        killed_by_other(termination, outcome),
        connections::endpoint_race(termination, outcome, network),
        connections::reset_connections(termination, outcome, network),
        signals::wrong_stop_signal(termination),
        signals::other_stop_signal(termination),
        signals::from_inside(termination),
        processes::killed_with_main(termination),
        processes::killed_by_parent(termination),
        processes::child_oom_killed(termination),
        hooks::not_run(termination),
        hooks::outlived(termination),
        signals::begun_again(termination),
        connections::idle_closed(outcome, network),
        remaining::stuck_in_exit(termination),
        remaining::processes_left(termination),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn finding(kind: FindingKind, evidence: String, advice: &str) -> Finding {
    finding_of(kind, evidence, advice.to_owned())
}

const fn finding_of(kind: FindingKind, evidence: String, advice: String) -> Finding {
    Finding {
        kind,
        evidence,
        advice,
    }
}

/// What a finding names of many.
const NAMED_MAX: usize = 4;

/// The first of these descriptions, and how many more there are: `a, b, c, d, and 3 more`. `untold` are more than that.
fn join_limited(all: impl ExactSizeIterator<Item = String>, untold: u64) -> String {
    let rest = all.len().saturating_sub(NAMED_MAX);
    let more = untold.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX));
    let named: Vec<String> = all.take(NAMED_MAX).collect();
    let named = named.join(", ");
    if more > 0 {
        format!("{named}, and {more} more")
    } else {
        named
    }
}

/// A duration for people: `3.008 s`, `12.3 ms`.
fn format_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.3} s", duration.as_secs_f64())
    }
}

fn killed_without_stop_signal(termination: &Termination<'_>, outcome: Outcome) -> Option<Finding> {
    let (kill, _) = termination.kill?;
    if outcome != Outcome::ForceKilled {
        return None;
    }
    // What may have come before anybody watched is not seen, which is not the same as not there.
    let came = if termination.began_unwatched() {
        "was seen"
    } else {
        "came"
    };
    Some(finding(
        FindingKind::KilledWithoutStopSignal,
        format!(
            "`{}` (pid {}, child of `{}`) sent SIGKILL to `{}`, and no stop signal {came} before.",
            kill.sender.comm, kill.sender.tgid.0, kill.sender.parent_comm, termination.main.comm
        ),
        "Find out why the sender gave no grace (a stop with timeout 0, a cleanup of left-over containers, `kill -9`); the program had no chance to shut down.",
    ))
}

fn oom_killed(termination: &Termination<'_>, outcome: Outcome) -> Option<Finding> {
    if outcome != Outcome::OomKilled {
        return None;
    }
    let main = termination.main;
    let victim = termination.chosen_oom_victim();
    let evidence = match victim.filter(|victim| victim.pid != main.tgid.0) {
        None => "The OOM killer chose the main process and sent it SIGKILL.".to_owned(),
        Some(_) => {
            "The OOM killer chose another process of the container and sent SIGKILL to the main process, too.".to_owned()
        }
    };
    Some(finding(
        FindingKind::OomKilled,
        evidence,
        "Raise the memory limit, or find what used the memory; no grace period and no hook apply to this.",
    ))
}

fn stuck_after_kill(
    termination: &Termination<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Option<Finding> {
    let (kill, _) = termination.kill?;
    let until = termination.exit.map_or(now, |exit| exit.at);
    let waited = until.since(kill.at);
    if waited < limits.stuck_after {
        return None;
    }
    let evidence = match termination.exit {
        Some(_) => format!(
            "The main process exited only {} after SIGKILL.",
            format_duration(waited)
        ),
        None => format!(
            "The main process had not exited {} after SIGKILL{}.",
            format_duration(limits.stuck_after),
            remaining::held_by(termination)
        ),
    };
    Some(finding(
        FindingKind::StuckAfterKill,
        evidence,
        "Look at the node, not at the program: a process that SIGKILL does not end waits in the kernel, mostly for storage or a network file system.",
    ))
}

fn killed_by_other(termination: &Termination<'_>, outcome: Outcome) -> Option<Finding> {
    if outcome != Outcome::KilledByOther {
        return None;
    }
    let evidence = match termination.kill {
        Some((kill, KillCause::Kernel)) => format!(
            "The kernel itself sent SIGKILL while `{}` ran, and no OOM kill was seen.",
            kill.sender.comm
        ),
        Some((kill, KillCause::Inside)) => format!(
            "`{}` (pid {}), a process of the same container, sent SIGKILL.",
            kill.sender.comm, kill.sender.tgid.0
        ),
        Some((kill, _)) => {
            let waited = termination
                .stop
                .map_or(Duration::ZERO, |stop| kill.at.since(stop.at));
            format!(
                "`{}` (pid {}) sent SIGKILL {} after the stop signal, when no grace period ended.",
                kill.sender.comm,
                kill.sender.tgid.0,
                format_duration(waited)
            )
        }
        None => by_signal(termination)?,
    };
    Some(finding(
        FindingKind::KilledByOther,
        evidence,
        "Find the sender; it is not the one that stops containers in an orderly way.",
    ))
}

/// Who sent the signal of which the main process died.
fn by_signal(termination: &Termination<'_>) -> Option<String> {
    let fact = termination.sender_of_death()?;
    Some(format!(
        "`{}` (pid {}) sent {}, which ended the main process.",
        fact.sender.comm, fact.sender.tgid.0, fact.signal
    ))
}
