//! The terminations that `/api/v1/terminations` shows: the open ones, and the last finished ones up to a number.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::output::Output;
use agent_core::report::Report;

/// Finished reports that are kept: some hundred bytes to some kilobytes each.
const FINISHED_MAX: usize = 200;
/// Open reports that are kept; the engine bounds them by its containers.
const OPEN_MAX: usize = 4096;

/// Recent terminations, shared between the event loop and HTTP.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Reports>);

#[derive(Debug, Default)]
struct Reports {
    open: BTreeMap<u64, Arc<Report>>,
    finished: VecDeque<Arc<Report>>,
}

/// What there is at one moment, each newest first.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Terminations that began and are not finished.
    pub open: Vec<Arc<Report>>,
    /// Finished ones.
    pub finished: Vec<Arc<Report>>,
}

impl Recent {
    /// Takes note of what the engine said.
    pub fn record(&self, output: &Output) {
        match output {
            Output::Progress(report) => {
                let mut reports = self.reports();
                if reports.open.len() < OPEN_MAX || reports.open.contains_key(&report.id) {
                    reports
                        .open
                        .insert(report.id, Arc::new(Report::clone(report)));
                }
            }
            Output::Finished(report) => {
                let mut reports = self.reports();
                reports.open.remove(&report.id);
                if reports.finished.len() == FINISHED_MAX {
                    reports.finished.pop_back();
                }
                reports.finished.push_front(Arc::new(Report::clone(report)));
            }
            Output::Withdrawn { id, .. } => {
                self.reports().open.remove(id);
            }
            Output::Track { .. }
            | Output::Watch { .. }
            | Output::Inspect { .. }
            | Output::Count { .. }
            | Output::Untrack { .. }
            | Output::Rescan
            | Output::Dropped { .. }
            | Output::Tracked { .. } => {}
        }
    }

    /// At the most `limit` of each.
    pub fn snapshot(&self, limit: usize) -> Snapshot {
        let reports = self.reports();
        Snapshot {
            open: reports
                .open
                .values()
                .rev()
                .take(limit)
                .map(Arc::clone)
                .collect(),
            finished: reports
                .finished
                .iter()
                .take(limit)
                .map(Arc::clone)
                .collect(),
        }
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        // A panic elsewhere leaves whole reports.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
