//! Cgroups that hold containers: what is made in these, the kernel side tracks from its birth.

use agent_common::map::{NAMES_ANY, NAMES_CONTAINERS, NAMES_UNITS, PARENTS, PARENTS_MAX, Parent};
use agent_core::output::Names;
use aya::Ebpf;
use aya::maps::{HashMap, MapData};

use super::failure::LoadError;
use super::maps::{Signals, TrackError, refused, remove, take};

/// The cgroups that are known to hold containers. The kernel side takes out those that are removed.
pub(super) struct Parents {
    parents: HashMap<MapData, u64, Parent>,
}

impl Parents {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            parents: take(ebpf, PARENTS)?,
        })
    }

    /// Expects containers with such names in the cgroup, beside those that were expected before. `outermost` is the container
    /// that it lies in, if any.
    pub(super) fn add(
        &mut self,
        cgroup: u64,
        outermost: Option<u64>,
        names: &[Names],
        signals: Signals,
    ) -> Result<(), TrackError> {
        let known = self.parents.get(&cgroup, 0).unwrap_or_default();
        let parent = Parent {
            signals: known.signals | signals.recorded,
            begins: known.begins | signals.beginning,
            outermost: outermost.unwrap_or_default(),
            names: known.names | bits(names),
        };
        if parent == known {
            return Ok(());
        }
        self.parents
            .insert(cgroup, parent, 0)
            .map_err(|source| refused(PARENTS, PARENTS_MAX, cgroup, source))
    }

    /// Expects none in this cgroup any more.
    pub(super) fn remove(&mut self, cgroup: u64) -> Result<(), TrackError> {
        remove(&mut self.parents, PARENTS, &cgroup)
    }
}

/// The bits for these kinds of names.
fn bits(names: &[Names]) -> u64 {
    names.iter().fold(0, |bits, names| {
        bits | match names {
            Names::Containers => NAMES_CONTAINERS,
            Names::Units => NAMES_UNITS,
            Names::Any => NAMES_ANY,
        }
    })
}
