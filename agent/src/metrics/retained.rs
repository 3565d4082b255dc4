//! `pod_termination_*`: one set of gauges for each finished termination, kept for a while and bounded in number.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Retention;
use super::definition as def;
use super::label::{SubjectLabels, SubjectOutcomeLabels, word};

type Seconds = Family<SubjectLabels, Gauge<f64, AtomicU64>>;
type State = Family<SubjectLabels, Gauge>;

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Retained {
    hook: Seconds,
    signal_to_exit: Seconds,
    duration: Seconds,
    grace_used: Seconds,
    sigkill: State,
    incomplete: State,
    outcome: Family<SubjectOutcomeLabels, Gauge>,
}

/// What is shown now: until when, and with which outcome.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeMap<SubjectLabels, (Timestamp, String)>);

impl Retained {
    pub(super) fn register(&self, registry: &mut Registry) {
        def::POD_HOOK.register(registry, self.hook.clone());
        def::POD_SIGNAL_TO_EXIT.register(registry, self.signal_to_exit.clone());
        def::POD_DURATION.register(registry, self.duration.clone());
        def::POD_GRACE_USED.register(registry, self.grace_used.clone());
        def::POD_SIGKILL.register(registry, self.sigkill.clone());
        def::POD_INCOMPLETE.register(registry, self.incomplete.clone());
        def::POD_OUTCOME.register(registry, self.outcome.clone());
    }

    /// Shows a finished termination in the place of the subject's last one. Gives how many others had to go for it.
    pub(super) fn show(
        &self,
        shown: &mut Shown,
        report: &Report,
        now: Timestamp,
        retention: Retention,
    ) -> u64 {
        let labels = SubjectLabels::of(&report.subject);
        self.remove(shown, &labels);
        let mut evicted = 0;
        while shown.0.len() >= retention.subjects_max.max(1) {
            let Some(first) = shown.first_to_go() else {
                break;
            };
            self.remove(shown, &first);
            evicted += 1;
        }
        set(&self.hook, &labels, report.hook_duration());
        set(&self.signal_to_exit, &labels, report.stop_signal_to_exit());
        set(&self.duration, &labels, duration(report));
        if let Some(share) = grace_used(report) {
            self.grace_used.get_or_create(&labels).set(share);
        }
        self.sigkill
            .get_or_create(&labels)
            .set(i64::from(report.kill.is_some()));
        self.incomplete
            .get_or_create(&labels)
            .set(i64::from(is_incomplete(report)));
        let outcome = word(report.outcome);
        self.outcome
            .get_or_create(&with_outcome(&labels, &outcome))
            .set(1);
        shown.0.insert(labels, (now.after(retention.time), outcome));
        evicted
    }

    /// Takes away what was shown long enough.
    pub(super) fn expire(&self, shown: &mut Shown, now: Timestamp) {
        let over: Vec<SubjectLabels> = shown
            .0
            .iter()
            .filter(|(_, (until, _))| *until <= now)
            .map(|(labels, _)| labels.clone())
            .collect();
        for labels in over {
            self.remove(shown, &labels);
        }
    }

    fn remove(&self, shown: &mut Shown, labels: &SubjectLabels) {
        let Some((_, outcome)) = shown.0.remove(labels) else {
            return;
        };
        for family in [
            &self.hook,
            &self.signal_to_exit,
            &self.duration,
            &self.grace_used,
        ] {
            family.remove(labels);
        }
        for family in [&self.sigkill, &self.incomplete] {
            family.remove(labels);
        }
        self.outcome.remove(&with_outcome(labels, &outcome));
    }
}

impl Shown {
    fn first_to_go(&self) -> Option<SubjectLabels> {
        self.0
            .iter()
            .min_by_key(|(_, (until, _))| *until)
            .map(|(labels, _)| labels.clone())
    }
}

/// How long the stop took, from the hook or the stop signal on. What ended without either has no such duration; a 0 would
/// stand for a stop that took no time.
pub(super) fn duration(report: &Report) -> Option<Duration> {
    let was_asked = report.hook.is_some() || report.stop_signal.is_some();
    report.total().filter(|_| was_asked)
}

/// That duration as a share of the configured grace.
pub(super) fn grace_used(report: &Report) -> Option<f64> {
    let grace = report.grace.as_ref()?.configured;
    (!grace.is_zero()).then_some(duration(report)?.as_secs_f64() / grace.as_secs_f64())
}

/// Whether facts are missing.
pub(super) fn is_incomplete(report: &Report) -> bool {
    report.doubts.iter().any(|doubt| doubt.is_incomplete())
}

fn set(family: &Seconds, labels: &SubjectLabels, value: Option<Duration>) {
    if let Some(value) = value {
        family.get_or_create(labels).set(value.as_secs_f64());
    }
}

fn with_outcome(labels: &SubjectLabels, outcome: &str) -> SubjectOutcomeLabels {
    SubjectOutcomeLabels {
        subject: labels.clone(),
        outcome: outcome.to_owned(),
    }
}
