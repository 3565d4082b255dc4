//! Which class of the style sheet means what. No class is the only carrier of a meaning: there is always a word or a shape.

use agent_core::report::Outcome;

use crate::timeline::{FactKind, Marker, Phase, Severity};

pub(super) const fn of_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Graceful | Outcome::Completed => "good",
        Outcome::InProgress => "calm",
        Outcome::ExitedEarly | Outcome::Unknown => "odd",
        Outcome::SignalIgnored
        | Outcome::GraceExceeded
        | Outcome::ForceKilled
        | Outcome::KilledByOther
        | Outcome::OomKilled
        | Outcome::Crashed => "bad",
    }
}

pub(super) const fn of_news(news: Severity) -> &'static str {
    match news {
        Severity::Good => "good",
        Severity::Bad => "bad",
        Severity::Neutral => "plain",
    }
}

pub(super) const fn of_fact(kind: FactKind) -> &'static str {
    match kind {
        FactKind::Fact => "plain",
        FactKind::Finding => "bad",
        FactKind::Advice => "good",
        FactKind::Doubt => "odd",
    }
}

/// The name of a phase's texture and colour.
pub(super) const fn of_phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "running",
        Phase::Hook => "hook",
        Phase::Waiting => "waiting",
        Phase::Stopping => "stopping",
        Phase::Dying => "dying",
        Phase::Closing | Phase::Over => "closing",
    }
}

/// The name of a mark's shape and colour.
pub(super) const fn of_sign(sign: Marker) -> &'static str {
    match sign {
        Marker::Sent => "sent",
        Marker::Received => "received",
        Marker::Refused => "refused",
        Marker::Arrival => "arrival",
        Marker::Endpoint => "endpoint",
    }
}
