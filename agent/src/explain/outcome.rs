//! Why an outcome is what it is, why a trigger is, and why SIGKILL came: by the facts that decided.

use agent_core::event::ExitStatus;
use agent_core::report::{KillCause, Outcome, Report, Start, Trigger};

use crate::timeline::words;

/// The facts that the outcome follows from.
pub(super) fn outcome(report: &Report) -> String {
    let exit = describe_exit(report);
    let stop = stop(report);
    match report.outcome {
        Outcome::InProgress => {
            "its main process has not exited, or its connections are still being counted".to_owned()
        }
        Outcome::Graceful => format!("{stop} came first, and then {exit}; SIGKILL did not end it"),
        Outcome::SignalIgnored => format!(
            "SIGKILL ended it, and {stop} before was thrown away by the kernel: the process never saw it"
        ),
        Outcome::GraceExceeded => format!(
            "{stop} reached the process, which did not exit until SIGKILL ended it, because {}",
            describe_kill(report)
        ),
        Outcome::ForceKilled => {
            "SIGKILL from outside ended it, and no stop signal came before".to_owned()
        }
        Outcome::KilledByOther => match &report.kill {
            Some(_) => format!(
                "SIGKILL ended it, and it was no ordinary one: {}",
                describe_kill(report)
            ),
            None => format!("{exit}, which another process sent, and it is no stop signal"),
        },
        Outcome::OomKilled => {
            "SIGKILL ended it, and the kernel had chosen it because memory ran out".to_owned()
        }
        Outcome::ExitedEarly => format!(
            "{exit} while it was being terminated ({}), before any stop signal",
            describe_beginning(report)
        ),
        Outcome::Crashed => match report.exit.as_ref().map(|exit| exit.status) {
            Some(ExitStatus::Signal { .. }) => {
                format!(
                    "{exit}, and no other process sent it: the program itself or the kernel because of it"
                )
            }
            Some(ExitStatus::Code(_)) | None => format!(
                "{exit}, and nobody had asked it to stop: no deletion, hook or stop signal came before"
            ),
        },
        Outcome::Completed => format!(
            "{exit}, and nobody had asked it to stop: no deletion, hook or stop signal came before"
        ),
        Outcome::Unknown => {
            "facts are missing that would decide; the doubts below say which".to_owned()
        }
    }
}

fn stop(report: &Report) -> String {
    report.stop_signal.as_ref().map_or_else(
        || "the stop signal".to_owned(),
        |stop| stop.signal.to_string(),
    )
}

/// `its main process exited with status 0`, `SIGSEGV ended its main process`
fn describe_exit(report: &Report) -> String {
    match report.exit.as_ref().map(|exit| exit.status) {
        Some(ExitStatus::Code(code)) => {
            format!("its main process exited by itself with status {code}")
        }
        Some(ExitStatus::Signal { signal, .. }) => format!("{signal} ended its main process"),
        None => "its main process ended unseen".to_owned(),
    }
}

/// What made it terminating before a stop signal came.
fn describe_beginning(report: &Report) -> &'static str {
    match report.start_source {
        Start::Deletion => "its pod was deleted",
        Start::Killing => "the kubelet said so",
        Start::Hook => "its preStop hook ran",
        Start::StopSignal | Start::Kill | Start::Exit | Start::Release => {
            "its hook or its pod says so"
        }
    }
}

/// Why SIGKILL came, by the facts that tell.
pub(super) fn describe_kill(report: &Report) -> String {
    let Some(kill) = &report.kill else {
        return "nobody saw it come".to_owned();
    };
    match kill.cause {
        KillCause::GraceExpired if report.grace.is_some() => "it came when what was left of the grace period was over",
        KillCause::GraceExpired => "it came from who sent the stop signal, or whole seconds after it, as at the end of a grace period",
        KillCause::NoStopSignal => "it came from outside, and no stop signal before",
        KillCause::Oom => "the kernel chose its main process when memory ran out",
        KillCause::Inside => "a process of the same container sent it",
        KillCause::Other => "it came after the stop signal, but not when a grace period could have ended",
        KillCause::Kernel => "the kernel sent it, and no fact tells why",
    }
    .to_owned()
}

/// The facts that the trigger follows from.
pub(super) fn trigger(report: &Report) -> String {
    let because = match report.trigger {
        Trigger::Stopped => {
            "a stop signal or SIGKILL came from outside; who wanted it only Kubernetes could tell, and it is no pod's container here"
        }
        Trigger::Deleted => {
            "the deletion of its pod was seen, and nothing tells of a disruption behind it"
        }
        Trigger::Liveness | Trigger::StartupProbe | Trigger::PostStart | Trigger::Restarted => {
            "an Event of the kubelet about this container says so"
        }
        Trigger::Evicted | Trigger::Preempted | Trigger::NodeShutdown => {
            "the pod's condition DisruptionTarget, or its status, says so"
        }
        Trigger::Crashed | Trigger::Completed => {
            "it was not stopped: the outcome says how it ended"
        }
        Trigger::Unknown if report.outcome == Outcome::InProgress => {
            "it is told when it is finished"
        }
        Trigger::Unknown => "neither the pod nor an Event of the kubelet told why",
    };
    // That it was deleted is the word itself.
    match words::trigger(report.trigger).filter(|_| report.trigger != Trigger::Deleted) {
        Some(words) => format!("{words}: {because}"),
        None => because.to_owned(),
    }
}
