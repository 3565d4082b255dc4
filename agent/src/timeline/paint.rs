//! Which colour means what in a timeline.

use agent_core::report::Outcome;

use super::moments::Marker;
use super::phase::Phase;
use super::row::{Row, Severity};
use super::words::FactKind;
use crate::terminal::{BAD, CALM, DIM, GOOD, NORMAL, ODD, STRONG};

pub(crate) const fn of_outcome(outcome: Outcome) -> anstyle::Style {
    match outcome {
        Outcome::Graceful | Outcome::Completed => GOOD.bold(),
        Outcome::InProgress => CALM.bold(),
        Outcome::ExitedEarly | Outcome::Unknown => ODD.bold(),
        Outcome::SignalIgnored
        | Outcome::GraceExceeded
        | Outcome::ForceKilled
        | Outcome::KilledByOther
        | Outcome::OomKilled
        | Outcome::Crashed => BAD.bold(),
    }
}

pub(super) const fn of_phase(phase: Phase) -> anstyle::Style {
    match phase {
        Phase::Running => GOOD,
        Phase::Hook => CALM,
        Phase::Stopping => ODD,
        Phase::Dying => BAD,
        Phase::Waiting | Phase::Closing | Phase::Over => DIM,
    }
}

pub(super) const fn of_event(row: &Row) -> anstyle::Style {
    match row.news {
        Severity::Good => GOOD,
        Severity::Bad => BAD,
        Severity::Neutral => NORMAL,
    }
}

pub(super) const fn of_sign(sign: Marker) -> anstyle::Style {
    match sign {
        Marker::Sent | Marker::Received | Marker::Refused => BAD.bold(),
        Marker::Arrival => STRONG,
        Marker::Endpoint => CALM.bold(),
    }
}

pub(super) const fn of_fact(kind: FactKind) -> anstyle::Style {
    match kind {
        FactKind::Fact => DIM,
        FactKind::Finding => BAD.bold(),
        FactKind::Advice => GOOD.bold(),
        FactKind::Doubt => ODD.bold(),
    }
}
