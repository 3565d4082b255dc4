//! How a timeline is drawn: width, colours, characters.

use agent_core::report::Outcome;
use anstyle::{AnsiColor, Effects};

use super::phase::Phase;
use super::row::{Mark, Row};
use super::words::FactKind;

/// How a timeline is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of a line.
    pub width: usize,
    /// Whether colours are used.
    pub colors: bool,
    /// Whether other characters than ASCII are used.
    pub unicode: bool,
}

impl Style {
    /// 80 columns, no colours, Unicode: for files and pipes.
    pub const PLAIN: Self = Self {
        width: 80,
        colors: false,
        unicode: true,
    };
}

pub(super) const NORMAL: anstyle::Style = anstyle::Style::new();
pub(super) const STRONG: anstyle::Style = NORMAL.bold();
pub(super) const DIM: anstyle::Style = NORMAL.effects(Effects::DIMMED);
const GOOD: anstyle::Style = AnsiColor::Green.on_default();
const BAD: anstyle::Style = AnsiColor::Red.on_default();
const ODD: anstyle::Style = AnsiColor::Yellow.on_default();
const HOOK: anstyle::Style = AnsiColor::Cyan.on_default();

pub(super) const fn of_outcome(outcome: Outcome) -> anstyle::Style {
    match outcome {
        Outcome::Graceful | Outcome::Completed => GOOD.bold(),
        Outcome::InProgress => HOOK.bold(),
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
        Phase::Hook => HOOK,
        Phase::Stopping => ODD,
        Phase::Dying => BAD,
        Phase::Waiting | Phase::Closing | Phase::Over => DIM,
    }
}

pub(super) const fn of_event(row: &Row) -> anstyle::Style {
    match row.mark {
        Mark::Good => GOOD,
        Mark::Bad => BAD,
        Mark::Neutral => NORMAL,
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
