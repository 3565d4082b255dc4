//! The processes of a container that the OOM killer chose, in runs: with `memory.oom.group` one run of it kills all others after the
//! one that it chose.

use std::time::Duration;

use crate::time::Timestamp;

/// Victims that are remembered per container: the newest, and of the newest run the first.
const KEPT_MAX: usize = 16;

/// How far apart two victims of one run are at the most. The kernel marks one after the other, and writes a line to its log for
/// each. What this gets wrong: two choices in so short a time are taken for one, and a run that is interrupted for longer for two.
const RUN_GAP: Duration = Duration::from_millis(20);

/// A process that the OOM killer marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OomVictim {
    /// Its thread group id, or that of one of its threads on kernels that tell a thread.
    pub(crate) pid: u32,
    /// Its `comm`, where the kernel tells it.
    pub(crate) comm: Option<String>,
    pub(crate) at: Timestamp,
}

/// Victims by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct OomVictims(Vec<OomVictim>);

impl OomVictims {
    pub(super) fn add(&mut self, victim: OomVictim) {
        if self.0.len() == KEPT_MAX {
            let last = self.0.last();
            if last.is_some_and(|last| is_one_run(last, &victim)) {
                return;
            }
            self.0.remove(0);
        }
        let place = self.0.partition_point(|known| known.at <= victim.at);
        self.0.insert(place, victim);
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &OomVictim> {
        self.0.iter()
    }

    /// The process that was chosen in the last run that began by then.
    pub(crate) fn chosen_by(&self, then: Timestamp) -> Option<&OomVictim> {
        let told = self.0.partition_point(|victim| victim.at <= then);
        let (told, _) = self.0.split_at(told);
        let runs = told.chunk_by(is_one_run);
        runs.last()?.first()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn is_one_run(one: &OomVictim, next: &OomVictim) -> bool {
    next.at.since(one.at) <= RUN_GAP
}
