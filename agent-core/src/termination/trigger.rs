//! Why a container ended, after all that is known: the reason that Kubernetes gave, or how it ended by itself.

use super::Termination;
use crate::report::{Outcome, Trigger};

/// Whether nobody is to connect any more, as opposed to a container that is started again in its place.
pub(crate) const fn takes_out(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Stopped
        | Trigger::Deleted
        | Trigger::Evicted
        | Trigger::Preempted
        | Trigger::NodeShutdown => true,
        Trigger::Liveness
        | Trigger::StartupProbe
        | Trigger::PostStart
        | Trigger::Restarted
        | Trigger::Crashed
        | Trigger::Completed
        | Trigger::Unknown => false,
    }
}

/// Returns why the container was stopped, for a termination with this outcome.
pub(crate) fn trigger(termination: &Termination<'_>, outcome: Outcome) -> Trigger {
    if termination.is_stop(outcome) {
        return match termination.reason {
            Some(reason) => reason,
            None if termination.container.is_pods => Trigger::Unknown,
            None => Trigger::Stopped,
        };
    }
    match outcome {
        Outcome::Crashed => Trigger::Crashed,
        Outcome::Completed => Trigger::Completed,
        Outcome::InProgress
        | Outcome::Graceful
        | Outcome::SignalIgnored
        | Outcome::GraceExceeded
        | Outcome::ForceKilled
        | Outcome::KilledByOther
        | Outcome::OomKilled
        | Outcome::ExitedEarly
        | Outcome::Unknown => Trigger::Unknown,
    }
}
