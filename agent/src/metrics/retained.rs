//! `pod_termination_*`: one set of gauges for each finished termination, kept for a while and bounded in number.

mod connections;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use self::connections::Connections;
use super::Retention;
use super::definition as def;
use super::label::{Labels, json_name};
use super::measured::{duration, grace_after_hook, grace_used, is_completed_init, is_incomplete};
use super::workload::with_hook;
use crate::shares::{Sharer, Shares};

type Number = Family<Labels, Gauge<f64, AtomicU64>>;
type State = Family<Labels, Gauge>;

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Retained {
    hook: Number,
    hook_failed: State,
    signal_to_exit: Number,
    duration: Number,
    grace_used: Number,
    grace_after_hook: Number,
    sigkill: State,
    incomplete: State,
    outcome: State,
    connections: Connections,
}

/// What is shown now.
#[derive(Debug, Default)]
pub(super) struct Shown {
    terminations: BTreeMap<Labels, Termination>,
    shares: Shares<Labels>,
}

/// One termination's series that have more labels than the subject's, and until when all are shown.
#[derive(Debug)]
struct Termination {
    until: Timestamp,
    outcome: Labels,
    hook: Option<Labels>,
    hook_failed: Option<Labels>,
}

impl Retained {
    pub(super) fn register(&self, registry: &mut Registry) {
        def::POD_HOOK.register(registry, self.hook.clone());
        def::POD_HOOK_FAILED.register(registry, self.hook_failed.clone());
        def::POD_SIGNAL_TO_EXIT.register(registry, self.signal_to_exit.clone());
        def::POD_DURATION.register(registry, self.duration.clone());
        def::POD_SIGKILL.register(registry, self.sigkill.clone());
        def::POD_GRACE_USED.register(registry, self.grace_used.clone());
        def::POD_GRACE_AFTER_HOOK.register(registry, self.grace_after_hook.clone());
        def::POD_INCOMPLETE.register(registry, self.incomplete.clone());
        def::POD_OUTCOME.register(registry, self.outcome.clone());
        self.connections.register(registry);
    }

    /// Shows a finished termination in the place of the subject's last one. Gives how many others had to go for it.
    pub(super) fn show_termination(
        &self,
        shown: &mut Shown,
        report: &Report,
        now: Timestamp,
        retention: Retention,
    ) -> u64 {
        if is_completed_init(report) {
            return 0;
        }
        let labels = Labels::of_subject(report);
        self.remove(shown, &labels);
        let until = now.after(retention.time);
        let termination = self.set_series(&labels, report, until);
        let sharer = Sharer::from_subject(&report.subject, report.pod.as_ref());
        shown.shares.add(sharer.clone(), labels.clone());
        shown.terminations.insert(labels, termination);
        let max = retention.subjects_max.max(1);
        let mut evicted = 0;
        while let Some(first) = shown
            .shares
            .first_beyond(&sharer, max)
            .or_else(|| shown.shares.first_to_go(max))
        {
            self.remove(shown, &first);
            evicted += 1;
        }
        evicted
    }

    fn set_series(&self, labels: &Labels, report: &Report, until: Timestamp) -> Termination {
        let seconds = |time: Duration| time.as_secs_f64();
        for (family, value) in [
            (
                &self.signal_to_exit,
                report.stop_signal_to_exit().map(seconds),
            ),
            (&self.duration, duration(report).map(seconds)),
            (&self.grace_used, grace_used(report)),
            (
                &self.grace_after_hook,
                grace_after_hook(report).map(seconds),
            ),
        ] {
            if let Some(value) = value {
                family.get_or_create(labels).set(value);
            }
        }
        let (hook, hook_failed) = match &report.hook {
            Some(hook) => (
                Some(with_hook(labels.clone(), hook)),
                Some(labels.clone().with_label("handler", json_name(hook.kind))),
            ),
            None => (None, None),
        };
        if let Some((labels, time)) = hook.as_ref().zip(report.hook_duration()) {
            self.hook.get_or_create(labels).set(seconds(time));
        }
        let outcome = labels
            .clone()
            .with_label("outcome", json_name(report.outcome))
            .with_label("trigger", json_name(report.trigger));
        let failed = report
            .hook
            .as_ref()
            .is_some_and(|hook| hook.failure.is_some());
        for (family, labels, state) in [
            (&self.hook_failed, hook_failed.as_ref(), failed),
            (&self.sigkill, Some(labels), report.kill.is_some()),
            (&self.incomplete, Some(labels), is_incomplete(report)),
            (&self.outcome, Some(&outcome), true),
        ] {
            if let Some(labels) = labels {
                family.get_or_create(labels).set(i64::from(state));
            }
        }
        self.connections.set_series(labels, report);
        Termination {
            until,
            outcome,
            hook,
            hook_failed,
        }
    }

    /// Takes away what was shown long enough.
    pub(super) fn expire(&self, shown: &mut Shown, now: Timestamp) {
        let over: Vec<Labels> = shown
            .terminations
            .iter()
            .filter(|(_, termination)| termination.until <= now)
            .map(|(labels, _)| labels.clone())
            .collect();
        for labels in over {
            self.remove(shown, &labels);
        }
    }

    fn remove(&self, shown: &mut Shown, labels: &Labels) {
        let Some(termination) = shown.terminations.remove(labels) else {
            return;
        };
        shown.shares.remove(labels);
        for family in [
            &self.signal_to_exit,
            &self.duration,
            &self.grace_used,
            &self.grace_after_hook,
        ] {
            family.remove(labels);
        }
        for family in [&self.sigkill, &self.incomplete] {
            family.remove(labels);
        }
        self.outcome.remove(&termination.outcome);
        if let Some(labels) = &termination.hook {
            self.hook.remove(labels);
        }
        if let Some(labels) = &termination.hook_failed {
            self.hook_failed.remove(labels);
        }
        self.connections.remove(labels);
    }
}
