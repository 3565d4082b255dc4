//! How a termination ended.

use super::Termination;
use crate::event::ExitStatus;
use crate::report::{KillCause, Outcome};
use crate::signal::Signal;

/// How it ended, if its main process is known to have.
pub(crate) fn outcome(termination: &Termination<'_>) -> Option<Outcome> {
    let status = termination.exit?.status;
    Some(match status {
        ExitStatus::Code(code) => by_itself(termination, code == 0),
        ExitStatus::Signal {
            signal: Signal::KILL,
            ..
        } => by_kill(termination),
        ExitStatus::Signal { signal, .. } => by_signal(termination, signal),
    })
}

fn by_itself(termination: &Termination<'_>, success: bool) -> Outcome {
    let terminating = termination.hook.is_some() || termination.request.is_some();
    match (termination.stop, terminating, success) {
        (Some(_), _, _) => Outcome::Graceful,
        (None, true, _) if termination.began_out_of_sight() => Outcome::Unknown,
        (None, true, _) => Outcome::ExitedEarly,
        (None, false, true) => Outcome::Completed,
        (None, false, false) => Outcome::Crashed,
    }
}

fn by_kill(termination: &Termination<'_>) -> Outcome {
    let rebooted = termination.exit.is_some_and(|exit| exit.rebooted.is_some());
    if rebooted && termination.kill.is_none() {
        // An init that powers its namespace off has shut down in order; the kernel's SIGKILL is how that ends.
        return by_itself(termination, true);
    }
    let Some((_, cause)) = termination.kill else {
        return Outcome::Unknown;
    };
    match cause {
        // `kill -9 $$`, or a signal to its own process group.
        KillCause::Inside if is_own_kill(termination) => Outcome::Crashed,
        KillCause::Oom => Outcome::OomKilled,
        KillCause::NoStopSignal
            if termination.began_out_of_sight() || termination.container.gave_up =>
        {
            Outcome::Unknown
        }
        KillCause::NoStopSignal => Outcome::ForceKilled,
        KillCause::GraceExpired | KillCause::Other if termination.was_ignored() => {
            Outcome::SignalIgnored
        }
        KillCause::GraceExpired => Outcome::GraceExceeded,
        KillCause::Inside | KillCause::Kernel | KillCause::Other => Outcome::KilledByOther,
    }
}

/// Whether the main process sent itself the SIGKILL that ended it.
fn is_own_kill(termination: &Termination<'_>) -> bool {
    let main = termination.main.tgid;
    let kill = termination.kill.filter(|(kill, _)| !kill.sender.kernel);
    kill.is_some_and(|(kill, _)| kill.sender.tgid == main)
}

fn by_signal(termination: &Termination<'_>, signal: Signal) -> Outcome {
    if is_signal_missing(termination) {
        return Outcome::Unknown;
    }
    if termination.stop.is_some_and(|stop| stop.signal == signal) {
        return Outcome::Graceful;
    }
    if termination.sender_of_death().is_some() {
        return Outcome::KilledByOther;
    }
    // Nobody sent it: the program itself, or the kernel because of what the program did (a fault, a closed pipe, a timer, a
    // limit). That is no orderly end of a shutdown either.
    Outcome::Crashed
}

/// Whether a process rarely dies of this signal unless another one sends it: SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM,
/// SIGPWR.
const fn is_sent_by_others(signal: Signal) -> bool {
    matches!(signal.number(), 1 | 2 | 3 | 10 | 12 | 15 | 30)
}

/// Whether a signal that only somebody else sends ended the main process, and nobody was seen to send it.
pub(crate) fn is_signal_missing(termination: &Termination<'_>) -> bool {
    let main = termination.main;
    let Some(signal) = main.died_of() else {
        return false;
    };
    if signal == Signal::KILL {
        let rebooted = termination.exit.is_some_and(|exit| exit.rebooted.is_some());
        return termination.kill.is_none() && !rebooted;
    }
    let (stop_signal, _) = termination.container.stop_signal();
    let is_others = signal == stop_signal || is_sent_by_others(signal);
    let by_kernel = main.by_kernel.iter().any(|fact| fact.signal == signal);
    is_others
        && !by_kernel
        && main.raised != Some(signal)
        && termination.stop.is_none_or(|stop| stop.signal != signal)
        && termination.sender_of_death().is_none()
}
