//! The diagnoses of the stop signal: that nothing came of it, that it was not the right one, that it came from inside.

use std::time::Duration;

use super::{finding, finding_of, format_duration};
use crate::event::Handler;
use crate::process::SignalFact;
use crate::report::{Finding, FindingKind, Outcome, SignalFate};
use crate::signal::Signal;
use crate::termination::Termination;

/// Up to this age a program may not have come to install its handlers.
const START_UP: Duration = Duration::from_secs(1);

/// What ended the wait for the exit: `, and SIGKILL came 3.008 s later`.
fn ending(termination: &Termination<'_>, stop: &SignalFact) -> String {
    match (termination.kill, termination.exit) {
        (Some((kill, _)), _) => {
            format!(
                ", and SIGKILL came {} later",
                format_duration(kill.at.since(stop.at))
            )
        }
        (None, Some(exit)) => {
            format!(
                ", and the process exited {} later",
                format_duration(exit.at.since(stop.at))
            )
        }
        (None, None) => String::new(),
    }
}

/// The program that the main process began after the signal, which never got it: `; `node` was begun 4.000 s after the
/// signal`.
fn later_program(termination: &Termination<'_>, stop: &SignalFact) -> String {
    let later = termination.main.program_after(stop.at);
    later.map_or_else(String::new, |(comm, at)| {
        format!(
            "; `{comm}` was begun {} after the signal and never got it",
            format_duration(at.since(stop.at))
        )
    })
}

pub(super) fn ignored(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop.filter(|_stop| termination.was_ignored())?;
    let main = termination.main;
    let why = match stop.handler {
        Handler::Ignore => "has set it to be ignored",
        Handler::Default if main.is_init() => "is PID 1 and has no handler for it",
        Handler::Default | Handler::Custom => "could not receive it",
    };
    let when = if termination.stop_fate() == Some(SignalFate::Discarded) {
        " as soon as it was unblocked (starting a child blocks all signals for a moment)"
    } else {
        ""
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
            "The kernel threw {} away{when}, because `{}` {why}{}{}.",
            stop.signal,
            stop.target_comm,
            ending(termination, stop),
            later_program(termination, stop)
        ),
        advice,
    ))
}

pub(super) fn too_slow(termination: &Termination<'_>, outcome: Outcome) -> Option<Finding> {
    let stop = termination.received().or(termination.stop)?;
    if outcome != Outcome::GraceExceeded {
        return None;
    }
    let fate = termination.main.fate_of(stop);
    let comm = &stop.target_comm;
    let signal = stop.signal;
    let ending = ending(termination, stop);
    if fate == Some(SignalFate::Pending) {
        return Some(finding_of(
            FindingKind::TooSlow,
            format!(
                "{signal} still waited for `{comm}` at the end: the process never took it{ending}."
            ),
            "Find why it takes no signal: the process blocks it, was stopped (SIGSTOP) or frozen, or hangs in the kernel.".to_owned(),
        ));
    }
    let how = match (fate, stop.handler, stop.blocked) {
        (Some(SignalFate::Fetched), _, _) => "fetched it by sigwait or signalfd",
        (Some(SignalFate::Handled), _, _) => "handled it",
        (_, _, true) => "blocked it, perhaps to fetch it by itself",
        (_, Handler::Custom, false) => "has a handler for it",
        (_, Handler::Default | Handler::Ignore, false) => "received it",
    };
    Some(finding(
        FindingKind::TooSlow,
        format!("`{comm}` got {signal} and {how}, but did not exit{ending}."),
        "Find what the shutdown waits for (open connections, a queue, a child that got no signal), or raise the grace period above the time that it needs.",
    ))
}

pub(super) fn before_handler(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop?;
    let main = termination.main;
    let age = stop.at.since(main.program_since(stop.at));
    let died_of_it = main.died_of() == Some(stop.signal);
    let unhandled = stop.handler == Handler::Default && !stop.blocked;
    if age >= START_UP || !unhandled || !(termination.was_ignored() || died_of_it) {
        return None;
    }
    Some(finding(
        FindingKind::SignalBeforeHandler,
        format!(
            "{} came {} after the start of `{}`, which had no handler for it; whether it would have installed one later cannot be told.",
            stop.signal,
            format_duration(age),
            stop.target_comm
        ),
        "If the program does handle the signal, install the handler first thing at the start; nobody sends the signal again.",
    ))
}

/// The image's stop signal is not the one that the program reacts to.
pub(super) fn wrong_stop_signal(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop.filter(|_stop| termination.was_ignored())?;
    if stop.signal == Signal::TERM || stop.handler != Handler::Default {
        return None;
    }
    Some(finding(
        FindingKind::WrongStopSignal,
        format!(
            "The container was stopped by {}, for which `{}` has no handler; the usual stop signal is SIGTERM.",
            stop.signal, stop.target_comm
        ),
        "Look at STOPSIGNAL of the image, which it may have from its base image, and at the stop signal of the pod, unit or container: name the signal that the program handles, SIGTERM as a rule.",
    ))
}

/// Another signal than the configured one stopped it.
pub(super) fn other_stop_signal(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop?;
    let configured = termination.container.spec.stop_signal?;
    if stop.signal == configured {
        return None;
    }
    Some(finding(
        FindingKind::OtherStopSignal,
        format!(
            "`{}` (pid {}) sent {}, and the configured stop signal is {configured}.",
            stop.sender.comm, stop.sender.tgid.0, stop.signal
        ),
        "Find out who stops it in another way than configured; what the program does on this signal may differ from an orderly shutdown.",
    ))
}

/// A process of the container, or of one that shares its pid namespace, stopped it.
pub(super) fn from_inside(termination: &Termination<'_>) -> Option<Finding> {
    let stop = termination.stop?;
    let place = if stop.by_control {
        return None;
    } else if !stop.sender.outside {
        "of the same container"
    } else if stop.shares_namespace {
        "of a container that shares its pid namespace"
    } else {
        return None;
    };
    Some(finding(
        FindingKind::StoppedFromInside,
        format!(
            "`{}` (pid {}, child of `{}`), a process {place}, sent {} to the main process.",
            stop.sender.comm, stop.sender.tgid.0, stop.sender.parent_comm, stop.signal
        ),
        "Find out why it stops the container: a command that was run in it (`kubectl exec`), a sidecar, a supervisor. To Kubernetes this looks like an exit of the program's own.",
    ))
}

/// The kubelet or the runtime began the stop a second time.
pub(super) fn begun_again(termination: &Termination<'_>) -> Option<Finding> {
    let at = termination.begun_again_at?;
    let how = if termination.stops_repeated > 0 {
        "the stop signal was sent again"
    } else {
        "the kubelet said again that it stops the container, and sent no second stop signal"
    };
    Some(finding(
        FindingKind::KubeletRestarted,
        format!(
            "The stop was begun again {} after its beginning: {how}. A whole grace period counts from then.",
            format_duration(at.since(termination.started_at()))
        ),
        "Look for a restart of the kubelet or the container runtime at that time (`journalctl -u kubelet -u containerd`); this stop says nothing about the grace period that the program needs.",
    ))
}
