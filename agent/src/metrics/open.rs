//! `pod_termination_open_*`: the terminations that are not finished, each by name, for as long as it is open.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use agent_core::connection::Phase;
use agent_core::report::Report;
use agent_core::time::Timestamp;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::definition as def;
use super::label::{Labels, json_name};
use crate::shares::{Sharer, Shares};

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Open {
    duration: Family<Labels, Gauge<f64, AtomicU64>>,
    findings: Family<Labels, Gauge>,
}

/// What is shown now, by the number of the report.
#[derive(Debug, Default)]
pub(super) struct Shown {
    terminations: BTreeMap<u64, Termination>,
    /// Those that have series.
    named: Shares<u64>,
}

/// One open termination and its series. Beyond the bound on their number it has none.
#[derive(Debug, Default)]
struct Termination {
    began_at: Timestamp,
    duration: Option<Labels>,
    findings: Vec<Labels>,
}

impl Open {
    pub(super) fn register(&self, registry: &mut Registry) {
        def::OPEN_DURATION.register(registry, self.duration.clone());
        def::OPEN_FINDING.register(registry, self.findings.clone());
    }

    /// Shows a termination as it stands, in the place of what was shown of it before. Returns whether there was no room for
    /// it, or for another in its place.
    pub(super) fn show_termination(
        &self,
        shown: &mut Shown,
        report: &Report,
        now: Timestamp,
        max: usize,
    ) -> bool {
        self.hide_termination(shown, report.id);
        let mut termination = Termination {
            began_at: report.started_at,
            ..Termination::default()
        };
        let is_full = self.make_room(shown, report, max);
        if shown.named.contains(&report.id) {
            let subject = Labels::of_subject(report);
            let of_finding = |finding| subject.clone().with_label("finding", json_name(finding));
            termination.findings = report
                .findings
                .iter()
                .map(|finding| of_finding(finding.kind))
                .collect();
            termination.duration =
                Some(subject.with_label("phase", json_name(current_phase(report))));
        }
        for labels in &termination.findings {
            self.findings.get_or_create(labels).set(1);
        }
        self.set_duration(&termination, now);
        shown.terminations.insert(report.id, termination);
        is_full
    }

    /// Names this termination if it was not named before. Returns whether one has to go without a name for that, be it this one.
    fn make_room(&self, shown: &mut Shown, report: &Report, max: usize) -> bool {
        if shown.named.contains(&report.id) {
            return false;
        }
        let sharer = Sharer::from_subject(&report.subject, report.pod.as_ref());
        let named = &mut shown.named;
        named.add(sharer.clone(), report.id);
        let newest = named
            .last_beyond(&sharer, max)
            .or_else(|| named.last_to_go(max));
        let Some(id) = newest else {
            return false;
        };
        named.remove(&id);
        self.hide_termination(shown, id);
        true
    }

    /// Takes away what was shown of a termination.
    pub(super) fn remove(&self, shown: &mut Shown, id: u64) {
        self.hide_termination(shown, id);
        shown.named.remove(&id);
        shown.terminations.remove(&id);
    }

    /// Takes away the series of a termination.
    fn hide_termination(&self, shown: &mut Shown, id: u64) {
        let Some(termination) = shown.terminations.get_mut(&id) else {
            return;
        };
        if let Some(labels) = termination.duration.take() {
            self.duration.remove(&labels);
        }
        for labels in std::mem::take(&mut termination.findings) {
            self.findings.remove(&labels);
        }
    }

    /// Sets how long each has been open by now.
    pub(super) fn set_durations(&self, shown: &Shown, now: Timestamp) {
        for termination in shown.terminations.values() {
            self.set_duration(termination, now);
        }
    }

    fn set_duration(&self, termination: &Termination, now: Timestamp) {
        if let Some(labels) = &termination.duration {
            let lasted = now.since(termination.began_at).as_secs_f64();
            self.duration.get_or_create(labels).set(lasted);
        }
    }
}

impl Shown {
    /// How many terminations are open, those without room for a series among them.
    pub(super) fn count(&self) -> usize {
        self.terminations.len()
    }
}

/// How far it has come.
const fn current_phase(report: &Report) -> Phase {
    if report.exit.is_some() || report.released_at.is_some() {
        Phase::Closing
    } else if report.stop_signal.is_some() || report.kill.is_some() {
        Phase::Stopping
    } else {
        Phase::Hook
    }
}
