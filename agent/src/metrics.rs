//! Every metric of the agent, and the only place that changes one.
//!
//! * `definition`: names, help, labels, buckets. `label`: the label sets. `exemplar`: what buckets point to.
//! * `measured`: what a report gives for them. `retained`: `pod_termination_*`. `workload`: `workload_*`. `agent`:
//!   `gracewatch_*`.
//! * [`exposition`]: what a scrape gets. `reference`: docs/metrics.md.

mod agent;
mod definition;
mod exemplar;
pub mod exposition;
mod label;
mod measured;
mod open;
mod reference;
mod retained;
mod workload;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_core::connection::ResetCount;
use agent_core::output::Output;
use agent_core::report::Report;
use agent_core::time::Timestamp;
use prometheus_client::registry::Registry;

use self::agent::Agent;
use self::label::{Labels, SubjectRef, UNKNOWN};
use self::open::Open;
use self::retained::{Retained, Shown};
use self::workload::{Known, Workload};
use crate::agent_event::AgentEvent;

pub(crate) use self::label::json_name;
pub use self::reference::{print_reference, reference};

/// The kind and the name of the workload that a report counts for: the labels `workload_kind` and `workload`.
pub(crate) fn workload(report: &Report) -> (String, String) {
    let labels = Labels::of_workload(&SubjectRef::from_report(report));
    let value = |wanted| {
        let mut found = labels.pairs().filter(|(name, _)| *name == wanted);
        found.next().map_or(UNKNOWN, |(_, value)| value).to_owned()
    };
    (value("workload_kind"), value("workload"))
}

/// How long and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long a finished termination keeps its `pod_termination_*` series.
    pub time: Duration,
    /// How many subjects have such series at the most; the oldest of whoever has most go first.
    pub subjects_max: usize,
    /// How many workloads have series of their own. Further ones are counted together, as `other`, unless another namespace or
    /// outermost container has more.
    pub workloads_max: usize,
}

impl Default for Retention {
    /// 15 minutes, 1000 subjects, 1000 workloads.
    fn default() -> Self {
        Self {
            time: Duration::from_mins(15),
            subjects_max: 1000,
            workloads_max: 1000,
        }
    }
}

/// The metrics. Shared: recording and scraping may be on different threads.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    retained: Retained,
    open: Open,
    workload: Workload,
    agent: Agent,
    retention: Retention,
    series_index: Mutex<SeriesIndex>,
}

/// Which series there are. Only recording takes this lock, so a scrape never waits for it.
#[derive(Debug, Default)]
struct SeriesIndex {
    shown: Shown,
    known: Known,
    open: open::Shown,
}

impl Metrics {
    /// Metrics at zero.
    pub fn new(retention: Retention) -> Self {
        let mut registry = Registry::default();
        let retained = Retained::default();
        let open = Open::default();
        let workload = Workload::new();
        let agent = Agent::default();
        retained.register(&mut registry);
        open.register(&mut registry);
        workload.register(&mut registry);
        agent.register(&mut registry);
        Self {
            registry,
            retained,
            open,
            workload,
            agent,
            retention,
            series_index: Mutex::default(),
        }
    }

    /// Counts what the engine said.
    pub fn record(&self, output: &Output, now: Timestamp) {
        match output {
            Output::Progress(report) => self.opened(report, now),
            Output::Finished(report) => {
                self.closed(report.id);
                self.agent.attributed(report);
                self.finished(report, now);
            }
            Output::Withdrawn { id, .. } => self.closed(*id),
            Output::Dropped { reason, .. } => self.agent.dropped(*reason),
            Output::Unreported { reason, .. } => self.agent.unreported(*reason),
            Output::Tracked { subject, added } => self.agent.tracked(subject, *added),
            Output::Resets {
                subject,
                pod,
                resets,
            } => {
                let who = SubjectRef {
                    subject,
                    pod: pod.as_ref(),
                };
                self.count_resets(&who, resets, now);
            }
            Output::Effect(_) => {}
        }
    }

    /// Counts what the pipeline said of itself.
    pub fn record_agent_event(&self, event: &AgentEvent<'_>) {
        self.agent.record_agent_event(event);
    }

    /// Brings what depends on the time up to date: how long the open terminations have lasted, and the series of those that
    /// were shown long enough.
    pub fn refresh(&self, now: Timestamp) {
        let mut series_index = self.series_index();
        self.retained.expire(&mut series_index.shown, now);
        self.workload.expire(&mut series_index.known, now);
        self.open.set_durations(&series_index.open, now);
    }

    fn opened(&self, report: &Report, now: Timestamp) {
        let mut series_index = self.series_index();
        let is_full = self.open.show_termination(
            &mut series_index.open,
            report,
            now,
            self.retention.subjects_max,
        );
        self.agent
            .evicted("pod_termination_open", u64::from(is_full));
        self.agent.set_open_terminations(series_index.open.count());
    }

    fn closed(&self, id: u64) {
        let mut series_index = self.series_index();
        self.open.remove(&mut series_index.open, id);
        self.agent.set_open_terminations(series_index.open.count());
    }

    fn finished(&self, report: &Report, now: Timestamp) {
        let mut series_index = self.series_index();
        self.retained.expire(&mut series_index.shown, now);
        let evicted =
            self.retained
                .show_termination(&mut series_index.shown, report, now, self.retention);
        self.agent.evicted("pod_termination", evicted);
        let who = SubjectRef::from_report(report);
        let place = self
            .workload
            .find_place(&mut series_index.known, &who, now, self.retention);
        self.workload
            .count_termination(&mut series_index.known, &place, report);
        self.agent
            .evicted("workload_termination", u64::from(place.is_at_a_cost()));
    }

    fn count_resets(&self, who: &SubjectRef<'_>, resets: &[ResetCount], now: Timestamp) {
        let known = &mut self.series_index().known;
        let place = self.workload.find_place(known, who, now, self.retention);
        self.workload.count_resets(known, &place, resets);
        self.agent
            .evicted("workload_connections", u64::from(place.is_at_a_cost()));
    }

    fn series_index(&self) -> MutexGuard<'_, SeriesIndex> {
        // A panic elsewhere leaves at worst a series too many.
        self.series_index
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
