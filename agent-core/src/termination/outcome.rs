//! How a termination ended.

use super::Termination;
use crate::event::{Delivery, ExitStatus};
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
    let Some((_, cause)) = termination.kill else {
        return Outcome::Unknown;
    };
    let ignored = termination
        .stop
        .is_some_and(|stop| stop.result == Delivery::Ignored && !stop.traced);
    match cause {
        KillCause::Oom => Outcome::OomKilled,
        KillCause::NoStopSignal if termination.began_out_of_sight() => Outcome::Unknown,
        KillCause::NoStopSignal => Outcome::ForceKilled,
        KillCause::GraceExpired | KillCause::Other if ignored => Outcome::SignalIgnored,
        KillCause::GraceExpired => Outcome::GraceExceeded,
        KillCause::Inside | KillCause::Kernel | KillCause::Other => Outcome::KilledByOther,
    }
}

fn by_signal(termination: &Termination<'_>, signal: Signal) -> Outcome {
    if is_signal_missing(termination) {
        return Outcome::Unknown;
    }
    if is_fault(signal) && termination.stop.is_none_or(|stop| stop.signal != signal) {
        return Outcome::Crashed;
    }
    match termination.stop {
        Some(_) => Outcome::Graceful,
        None => Outcome::KilledByOther,
    }
}

/// Whether a signal that only somebody else sends ended the main process, and nobody was seen to send it.
pub(crate) fn is_signal_missing(termination: &Termination<'_>) -> bool {
    let main = termination.main;
    let Some(signal) = main.died_of() else {
        return false;
    };
    if signal == Signal::KILL {
        return termination.kill.is_none();
    }
    let (stop_signal, _) = termination.container.stop_signal();
    signal == stop_signal && termination.stop.is_none() && !main.stopped_from_inside
}

/// Signals that a program's own fault raises (SIGQUIT is a wish for a core dump and no fault).
fn is_fault(signal: Signal) -> bool {
    const FAULTS: [u32; 7] = [4, 5, 6, 7, 8, 11, 31];
    FAULTS.contains(&signal.number())
}
