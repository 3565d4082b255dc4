//! The terminations that `/api/v1/terminations` shows: the open ones, and the last finished ones up to a number, of which
//! nobody can push out those of others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::output::Output;
use agent_core::report::Report;
use agent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::shares::{Sharer, Shares};
use crate::{clock, metrics};

/// Finished reports that are kept: some hundred bytes to some kilobytes each.
const FINISHED_MAX: usize = 200;
/// Open reports that are kept; the engine bounds them by its containers.
const OPEN_MAX: usize = 4096;

/// Recent terminations, shared between the event loop and HTTP.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Reports>);

#[derive(Debug)]
struct Reports {
    open: BTreeMap<u64, Arc<Report>>,
    open_shares: Shares<u64>,
    /// By how many had finished with it.
    finished: BTreeMap<u64, Arc<Report>>,
    finished_shares: Shares<u64>,
    /// Those that are not kept any more, too.
    finished_total: u64,
    started_at: Timestamp,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            open_shares: Shares::default(),
            finished: BTreeMap::new(),
            finished_shares: Shares::default(),
            finished_total: 0,
            started_at: clock::now(),
        }
    }
}

/// What there is at one moment, each newest first.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Terminations that began and are not finished.
    pub open: Vec<Arc<Report>>,
    /// Finished ones.
    pub finished: Vec<Arc<Report>>,
    /// How many finished ones agree with the filter, those beyond the limit included.
    pub found: usize,
    /// How many have finished since it began, wanted or not: where to go on from, see [`Recent::snapshot_since`].
    pub finished_total: u64,
    /// When it began to count; another time is another run of the agent, whose numbers begin anew.
    pub started_at: Timestamp,
}

/// What all reports that are kept have to choose from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Namespaces of pods.
    pub namespaces: BTreeSet<String>,
    /// Workloads, by kind and name: `Deployment/web`.
    pub workloads: BTreeSet<String>,
    /// How many reports there are.
    pub reports: usize,
}

/// Which terminations are wanted: those that agree in everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The pod's namespace.
    #[serde(default, skip_serializing_if = "not_given")]
    pub namespace: Option<String>,
    /// The pod's name.
    #[serde(default, skip_serializing_if = "not_given")]
    pub pod: Option<String>,
    /// The container's name in the pod; without Kubernetes the subject's.
    #[serde(default, skip_serializing_if = "not_given")]
    pub container: Option<String>,
    /// The workload's name, or its kind and name: `Deployment/web`, `systemd_service/nginx.service`.
    #[serde(default, skip_serializing_if = "not_given")]
    pub workload: Option<String>,
    /// The outcome's word: `graceful`, `in_progress`.
    #[serde(default, skip_serializing_if = "not_given")]
    pub outcome: Option<String>,
}

/// What is given empty, as forms do with what is left open, is not given.
#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn not_given(wanted: &Option<String>) -> bool {
    wanted.as_ref().is_none_or(String::is_empty)
}

impl Filter {
    fn lets_pass(&self, report: &Report) -> bool {
        let pod = report.pod.as_ref();
        let container = match pod {
            Some(pod) => pod.container.as_deref(),
            None => Some(report.subject.name.as_str()),
        };
        let is_workload = |wanted: &str| {
            let (kind, name) = metrics::workload(report);
            wanted == name || wanted == format!("{kind}/{name}")
        };
        agrees(self.namespace.as_ref(), |wanted| {
            pod.is_some_and(|pod| pod.namespace == wanted)
        }) && agrees(self.pod.as_ref(), |wanted| {
            pod.is_some_and(|pod| pod.name == wanted)
        }) && agrees(self.container.as_ref(), |wanted| container == Some(wanted))
            && agrees(self.workload.as_ref(), is_workload)
            && agrees(self.outcome.as_ref(), |wanted| {
                metrics::json_name(report.outcome) == wanted
            })
    }

    /// Whether anything is wanted.
    pub fn is_empty(&self) -> bool {
        let wanted = [
            &self.namespace,
            &self.pod,
            &self.container,
            &self.workload,
            &self.outcome,
        ];
        wanted.into_iter().all(not_given)
    }
}

/// Whether the report has what is wanted.
fn agrees(wanted: Option<&String>, has: impl FnOnce(&str) -> bool) -> bool {
    wanted.is_none_or(|wanted| wanted.is_empty() || has(wanted))
}

impl Recent {
    /// Takes note of what the engine said.
    pub fn record(&self, output: &Output) {
        match output {
            Output::Progress(report) => self.reports().progress(report),
            Output::Finished(report) => self.reports().finish(report),
            Output::Withdrawn { id, .. } => self.reports().close(*id),
            Output::Effect(_)
            | Output::Resets { .. }
            | Output::Dropped { .. }
            | Output::Unreported { .. }
            | Output::Tracked { .. } => {}
        }
    }

    /// At the most `limit` of each.
    pub fn snapshot(&self, filter: &Filter, limit: usize) -> Snapshot {
        self.snapshot_since(filter, limit, 0)
    }

    /// The same without the first `since` that finished: what an earlier snapshot has told of, or was too late for.
    pub fn snapshot_since(&self, filter: &Filter, limit: usize, since: u64) -> Snapshot {
        let reports = self.reports();
        let later = (Bound::Excluded(since), Bound::Unbounded);
        let wanted = |report: &&Arc<Report>| filter.lets_pass(report);
        Snapshot {
            open: reports
                .open
                .values()
                .rev()
                .filter(wanted)
                .take(limit)
                .map(Arc::clone)
                .collect(),
            finished: reports
                .finished
                .range(later)
                .rev()
                .map(|(_, report)| report)
                .filter(wanted)
                .take(limit)
                .map(Arc::clone)
                .collect(),
            found: reports.finished.values().filter(wanted).count(),
            finished_total: reports.finished_total,
            started_at: reports.started_at,
        }
    }

    /// The termination with this number, open or finished, if it is kept.
    pub fn find(&self, id: u64) -> Option<Arc<Report>> {
        let reports = self.reports();
        let finished = || reports.finished.values().find(|report| report.id == id);
        reports.open.get(&id).or_else(finished).map(Arc::clone)
    }

    /// What all reports have to choose from.
    pub fn choices(&self) -> Choices {
        let reports = self.reports();
        let mut choices = Choices::default();
        for report in reports.open.values().chain(reports.finished.values()) {
            choices.reports += 1;
            let namespace = report.pod.as_ref().map(|pod| pod.namespace.clone());
            choices.namespaces.extend(namespace);
            let (kind, name) = metrics::workload(report);
            choices.workloads.insert(format!("{kind}/{name}"));
        }
        choices
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        // A panic elsewhere leaves whole reports.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reports {
    fn progress(&mut self, report: &Report) {
        if !self.open.contains_key(&report.id) {
            let sharer = Sharer::from_subject(&report.subject, report.pod.as_ref());
            self.open_shares.add(sharer, report.id);
        }
        self.open.insert(report.id, Arc::new(report.clone()));
        if let Some(id) = self.open_shares.last_to_go(OPEN_MAX) {
            self.close(id);
        }
    }

    fn finish(&mut self, report: &Report) {
        self.close(report.id);
        self.finished_total += 1;
        let number = self.finished_total;
        let sharer = Sharer::from_subject(&report.subject, report.pod.as_ref());
        self.finished_shares.add(sharer, number);
        self.finished.insert(number, Arc::new(report.clone()));
        if let Some(number) = self.finished_shares.first_to_go(FINISHED_MAX) {
            self.finished_shares.remove(&number);
            self.finished.remove(&number);
        }
    }

    fn close(&mut self, id: u64) {
        self.open.remove(&id);
        self.open_shares.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use agent_core::report::Outcome;

    use super::*;
    use crate::timeline::sample;

    fn three_reports() -> Recent {
        let recent = Recent::default();
        let of_pod = sample::of_pod(sample::report(Outcome::Graceful));
        let mut other = of_pod.clone();
        other.id = 2;
        if let Some(pod) = &mut other.pod {
            pod.name = "web-7d4b9c6f5-aaaaa".to_owned();
        }
        let mut local = sample::report(Outcome::Crashed);
        local.id = 1;
        for report in [local, other, of_pod] {
            recent.record(&Output::Finished(Box::new(report)));
        }
        recent
    }

    fn matching_ids(filter: &[(&str, &str)]) -> Vec<u64> {
        let recent = three_reports();
        let filter: serde_json::Map<_, _> = filter
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let filter: Filter = serde_json::from_value(filter.into()).unwrap();
        let snapshot = recent.snapshot(&filter, 10);
        snapshot.finished.iter().map(|report| report.id).collect()
    }

    #[test]
    fn what_is_wanted_is_found() {
        assert_eq!(matching_ids(&[]), [3, 2, 1]);
        assert_eq!(matching_ids(&[("namespace", "")]), [3, 2, 1]);
        assert_eq!(matching_ids(&[("namespace", "shop")]), [3, 2]);
        assert_eq!(matching_ids(&[("pod", "web-7d4b9c6f5-x2x9k")]), [3]);
        assert_eq!(
            matching_ids(&[("container", "app"), ("workload", "web")]),
            [3, 2]
        );
        assert_eq!(matching_ids(&[("workload", "Deployment/web")]), [3, 2]);
        assert_eq!(matching_ids(&[("container", "3f9c2a1b7d04")]), [1]);
        assert_eq!(matching_ids(&[("workload", "docker/3f9c2a1b7d04")]), [1]);
        assert_eq!(matching_ids(&[("outcome", "crashed")]), [1]);
    }

    #[test]
    fn who_goes_on_from_a_snapshot_gets_the_rest() {
        let recent = Recent::default();
        let finish = |id: u64| {
            let mut report = sample::report(Outcome::Graceful);
            report.id = id;
            recent.record(&Output::Finished(Box::new(report)));
        };
        let later = |since| {
            let snapshot = recent.snapshot_since(&Filter::default(), 1000, since);
            let ids: Vec<_> = snapshot.finished.iter().map(|report| report.id).collect();
            (ids, snapshot.finished_total)
        };
        // They finish in another order than they began.
        (0..3).rev().for_each(finish);
        assert_eq!(later(0), (vec![0, 1, 2], 3));
        finish(7);
        assert_eq!(later(3), (vec![7], 4));
        assert_eq!(later(4), (vec![], 4));
        assert_eq!(later(99), (vec![], 4));
        (100..400).for_each(finish);
        let (ids, in_all) = later(4);
        assert_eq!((ids.len(), in_all), (FINISHED_MAX, 304));
    }

    /// Three thousand inner containers of one container are stopped.
    #[test]
    fn a_flood_pushes_out_no_report_of_others() {
        let recent = three_reports();
        let id = "ab".repeat(32);
        for number in 0..3000_u64 {
            let mut report = sample::report(Outcome::Graceful);
            report.id = 1000 + number;
            report.subject.path = format!("/kubepods/pod1/{id}/docker/{number:064x}");
            recent.record(&Output::Progress(Box::new(report.clone())));
            recent.record(&Output::Finished(Box::new(report)));
        }
        let snapshot = recent.snapshot(&Filter::default(), 1000);
        assert_eq!(snapshot.finished.len(), FINISHED_MAX);
        assert!([1, 2, 3].iter().all(|id| recent.find(*id).is_some()));
        // Whoever follows gets each once, in spite of what was pushed out from between.
        let told = recent.snapshot_since(&Filter::default(), 1000, 2999);
        assert_eq!(told.finished.len(), 4);
    }

    #[test]
    fn an_open_flood_pushes_out_no_open_report_of_others() {
        let recent = Recent::default();
        let mut own = sample::report(Outcome::InProgress);
        own.id = 1;
        recent.record(&Output::Progress(Box::new(own.clone())));
        let id = "ab".repeat(32);
        for number in 0..5000_u64 {
            own.id = 10 + number;
            own.subject.path = format!("/docker/{id}/docker/{number:064x}");
            recent.record(&Output::Progress(Box::new(own.clone())));
        }
        let snapshot = recent.snapshot(&Filter::default(), 10_000);
        assert_eq!(snapshot.open.len(), OPEN_MAX);
        assert!(recent.find(1).is_some() && recent.find(10).is_some());
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        assert!(matching_ids(&[("namespace", "other"), ("pod", "web-7d4b9c6f5-x2x9k")]).is_empty());
        assert!(matching_ids(&[("workload", "StatefulSet/web")]).is_empty());
    }

    #[test]
    fn one_is_found_by_its_number_and_all_tell_what_to_choose_from() {
        let recent = three_reports();
        assert_eq!(recent.find(2).unwrap().id, 2);
        assert!(recent.find(4).is_none());
        let of = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let expected = Choices {
            namespaces: of(&["shop"]),
            workloads: of(&["Deployment/web", "docker/3f9c2a1b7d04"]),
            reports: 3,
        };
        assert_eq!(recent.choices(), expected);
    }
}
