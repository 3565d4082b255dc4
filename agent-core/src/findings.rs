//! The diagnoses: each from facts of one termination, with the evidence and the advice in words.

use std::time::Duration;

use crate::config::Limits;
use crate::event::{Delivery, Handler};
use crate::process::SignalFact;
use crate::report::{Finding, FindingKind, KillCause, Outcome};
use crate::termination::Termination;
use crate::time::Timestamp;

mod connections;
mod hooks;

pub(crate) use connections::Network;

/// Up to this age a program may not have come to install its handlers.
const START_UP: Duration = Duration::from_secs(1);

/// All that holds, in the order of [`FindingKind`].
pub(crate) fn findings(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
    limits: &Limits,
    now: Timestamp,
) -> Vec<Finding> {
    [
        signal_ignored(termination),
        too_slow(termination, outcome),
        signal_before_handler(termination),
        hooks::overran(termination),
        hooks::failed(termination),
        hooks::missing(termination),
        killed_without_stop_signal(termination, outcome),
        oom_killed(outcome),
        stuck_after_kill(termination, limits, now),
        killed_by_other(termination, outcome),
        connections::race(termination, outcome, network),
        connections::reset(termination, outcome, network),
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

/// A duration for people: `3.008 s`, `12.3 ms`.
fn span(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.3} s", duration.as_secs_f64())
    }
}

/// What ended the wait for the exit: `, and SIGKILL came 3.008 s later`.
fn ending(termination: &Termination<'_>, stop: &SignalFact) -> String {
    match (termination.kill, termination.exit) {
        (Some((kill, _)), _) => {
            format!(", and SIGKILL came {} later", span(kill.at.since(stop.at)))
        }
        (None, Some(exit)) => {
            format!(
                ", and the process exited {} later",
                span(exit.at.since(stop.at))
            )
        }
        (None, None) => String::new(),
    }
}

fn is_ignored(stop: &SignalFact) -> bool {
    stop.result == Delivery::Ignored && !stop.traced
}

fn signal_ignored(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop.filter(|stop| is_ignored(stop))?;
    let main = termination.main;
    let why = match stop.handler {
        Handler::Ignore => "has set it to be ignored",
        Handler::Default if main.is_init() => "is PID 1 and has no handler for it",
        Handler::Default | Handler::Custom => "could not receive it",
    };
    let advice = match stop.handler {
        Handler::Ignore => {
            "Handle the signal instead of ignoring it; a shell script should not `trap ''` it, and should `exec` the program."
        }
        Handler::Default | Handler::Custom => {
            "Install a handler, start the program directly (exec form of ENTRYPOINT, `exec` in a script) or run it below an init such as tini."
        }
    };
    Some(finding(
        FindingKind::SignalIgnored,
        format!(
            "The kernel threw {} away, because `{}` {why}{}.",
            stop.signal,
            main.comm,
            ending(termination, stop)
        ),
        advice,
    ))
}

fn too_slow(termination: &Termination<'_>, outcome: Outcome) -> Option<Finding> {
    let stop = termination.stop?;
    if outcome != Outcome::GraceExceeded {
        return None;
    }
    let how = match (stop.handler, stop.blocked) {
        (_, true) => "blocked it to fetch it by itself",
        (Handler::Custom, false) => "has a handler for it",
        (Handler::Default | Handler::Ignore, false) => "received it",
    };
    Some(finding(
        FindingKind::TooSlow,
        format!(
            "`{}` got {} and {how}, but did not exit{}.",
            termination.main.comm,
            stop.signal,
            ending(termination, stop)
        ),
        "Find what the shutdown waits for (open connections, a queue, a child that got no signal), or raise the grace period above the time that it needs.",
    ))
}

fn signal_before_handler(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop?;
    let main = termination.main;
    let age = stop.at.since(main.exec_at().unwrap_or(main.start));
    let died_of_it = main.died_of() == Some(stop.signal);
    let unhandled = stop.handler == Handler::Default && !stop.blocked;
    if age >= START_UP || !unhandled || !(is_ignored(stop) || died_of_it) {
        return None;
    }
    Some(finding(
        FindingKind::SignalBeforeHandler,
        format!(
            "{} came {} after the start of `{}`, which had no handler for it; whether it would have installed one later cannot be told.",
            stop.signal,
            span(age),
            main.comm
        ),
        "If the program does handle the signal, install the handler first thing at the start; nobody sends the signal again.",
    ))
}

fn killed_without_stop_signal(termination: &Termination<'_>, outcome: Outcome) -> Option<Finding> {
    let (kill, _) = termination.kill?;
    if outcome != Outcome::ForceKilled {
        return None;
    }
    Some(finding(
        FindingKind::KilledWithoutStopSignal,
        format!(
            "`{}` (pid {}, child of `{}`) sent SIGKILL to `{}`, and no stop signal came before.",
            kill.sender.comm, kill.sender.tgid.0, kill.sender.parent_comm, termination.main.comm
        ),
        "Find out why the sender gave no grace (a stop with timeout 0, a cleanup of left-over containers, `kill -9`); the program had no chance to shut down.",
    ))
}

fn oom_killed(outcome: Outcome) -> Option<Finding> {
    (outcome == Outcome::OomKilled).then(|| {
        finding(
            FindingKind::OomKilled,
            "The OOM killer chose the main process and sent it SIGKILL.".to_owned(),
            "Raise the memory limit, or find what used the memory; no grace period and no hook apply to this.",
        )
    })
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
            span(waited)
        ),
        None => format!(
            "The main process had not exited {} after SIGKILL.",
            span(limits.stuck_after)
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
                span(waited)
            )
        }
        None => {
            let signal = termination
                .main
                .died_of()
                .map_or_else(String::new, |signal| format!("{signal} "));
            format!("{signal}ended the main process, and no stop signal came from outside.")
        }
    };
    Some(finding(
        FindingKind::KilledByOther,
        evidence,
        "Find the sender; it is not the one that stops containers in an orderly way.",
    ))
}
