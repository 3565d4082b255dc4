//! What must be reported of a row, and what must not be.

use agent_core::report::{Doubt, FindingKind, KillCause, Outcome, Trigger};
use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::row::OneOrMany;

/// What one report must say. What is left out follows from the outcome, where it does, or is not compared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Any of these.
    #[serde(default)]
    pub(crate) outcome: OneOrMany<Outcome>,
    #[serde(default)]
    trigger: Option<Trigger>,
    #[serde(default)]
    kill_cause: OneOrMany<KillCause>,
    /// All findings, in the place of those that follow from the outcome.
    #[serde(default)]
    findings: Option<Vec<FindingKind>>,
    /// Findings beside those that follow from the outcome.
    #[serde(default)]
    also: Vec<FindingKind>,
    /// Findings that may be there.
    #[serde(default)]
    pub(crate) may: Vec<FindingKind>,
    /// Doubts that may be there: what the agent cannot know.
    #[serde(default)]
    pub(crate) doubts: Vec<Doubt>,
    /// Whether at least one of these doubts must be there; what else the report says is then no claim.
    #[serde(default)]
    pub(crate) unsure: bool,
    /// Whether a report with these doubts may say anything else: the fact may or may not be known, by chance.
    #[serde(default)]
    pub(crate) or_unsure: bool,
    /// The stop signal, or `none`.
    #[serde(default)]
    pub(crate) signal: Option<String>,
    /// The `comm` of the main process.
    #[serde(default)]
    pub(crate) main: Option<String>,
    /// `code 1`, `SIGKILL`.
    #[serde(default)]
    pub(crate) exit: Option<String>,
    /// Seconds.
    #[serde(default)]
    pub(crate) signal_to_exit: Option<f64>,
    #[serde(default)]
    pub(crate) signal_to_kill: Option<f64>,
    #[serde(default)]
    pub(crate) hook: Option<f64>,
    /// How many signals from outside that were not the stop signal it names.
    #[serde(default)]
    pub(crate) other_signals: Option<usize>,
    #[serde(default)]
    pub(crate) signals_repeated: Option<u32>,
    /// Connections at the stop signal, and those that ended in order after it.
    #[serde(default)]
    pub(crate) connections: Option<u64>,
    #[serde(default)]
    pub(crate) connections_finished: Option<u64>,
    /// Words that are somewhere in the findings.
    #[serde(default)]
    pub(crate) says: Vec<String>,
}

/// What no report may say, however unsure it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Never {
    #[serde(default)]
    pub(crate) outcomes: Vec<Outcome>,
    #[serde(default)]
    pub(crate) findings: Vec<FindingKind>,
    #[serde(default)]
    pub(crate) kill_causes: Vec<KillCause>,
    /// Words.
    #[serde(default)]
    pub(crate) says: Vec<String>,
}

impl Expect {
    pub(crate) fn validate(&self) -> Result<()> {
        ensure!(
            self.unsure || !self.outcome.as_slice().is_empty(),
            "which outcome is expected?"
        );
        ensure!(
            !(self.unsure || self.or_unsure) || !self.doubts.is_empty(),
            "unsure, but of what? name the doubts"
        );
        Ok(())
    }

    /// The first of the outcomes: what tables show.
    pub(crate) fn first_outcome(&self) -> Option<Outcome> {
        self.outcome.as_slice().first().copied()
    }

    pub(crate) fn trigger(&self) -> Option<Trigger> {
        let by_outcome = || {
            Some(match self.first_outcome()? {
                Outcome::Crashed => Trigger::Crashed,
                Outcome::Completed => Trigger::Completed,
                // What ended it may have come before any stop, or after it.
                Outcome::OomKilled
                | Outcome::KilledByOther
                | Outcome::Unknown
                | Outcome::InProgress => return None,
                Outcome::Graceful
                | Outcome::SignalIgnored
                | Outcome::GraceExceeded
                | Outcome::ForceKilled
                | Outcome::ExitedEarly => Trigger::Stopped,
            })
        };
        self.trigger.or_else(by_outcome)
    }

    /// The causes of SIGKILL of which one must be given. None: no SIGKILL ended it.
    pub(crate) fn kill_causes(&self) -> Vec<KillCause> {
        if !self.kill_cause.as_slice().is_empty() {
            return self.kill_cause.as_slice().to_vec();
        }
        let by_outcome = |outcome: &Outcome| match outcome {
            Outcome::SignalIgnored | Outcome::GraceExceeded => Some(KillCause::GraceExpired),
            Outcome::ForceKilled => Some(KillCause::NoStopSignal),
            Outcome::OomKilled => Some(KillCause::Oom),
            Outcome::KilledByOther
            | Outcome::Graceful
            | Outcome::ExitedEarly
            | Outcome::Crashed
            | Outcome::Completed
            | Outcome::Unknown
            | Outcome::InProgress => None,
        };
        self.outcome
            .as_slice()
            .iter()
            .filter_map(by_outcome)
            .collect()
    }

    /// Of the outcomes, the one that was reported, else the first.
    pub(crate) fn outcome_of(&self, reported: Option<Outcome>) -> Option<Outcome> {
        reported
            .filter(|outcome| self.outcome.as_slice().contains(outcome))
            .or_else(|| self.first_outcome())
    }

    /// The findings that must be there, and no others but [`Self::may`], for a report with this outcome.
    pub(crate) fn findings(&self, reported: Option<Outcome>) -> Vec<FindingKind> {
        let mut findings = self.findings.clone().unwrap_or_else(|| {
            let by_outcome = self.outcome_of(reported).and_then(|outcome| match outcome {
                Outcome::SignalIgnored => Some(FindingKind::SignalIgnored),
                Outcome::GraceExceeded => Some(FindingKind::TooSlow),
                Outcome::ForceKilled => Some(FindingKind::KilledWithoutStopSignal),
                Outcome::OomKilled => Some(FindingKind::OomKilled),
                Outcome::KilledByOther => Some(FindingKind::KilledByOther),
                Outcome::Graceful
                | Outcome::ExitedEarly
                | Outcome::Crashed
                | Outcome::Completed
                | Outcome::Unknown
                | Outcome::InProgress => None,
            });
            by_outcome.into_iter().collect()
        });
        findings.extend(&self.also);
        findings.sort_unstable();
        findings.dedup();
        findings
    }
}
