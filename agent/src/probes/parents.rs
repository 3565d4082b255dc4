//! Cgroups that hold containers: what is made in these, the kernel side tracks from its birth.

use agent_common::map::{NAMES_ANY, NAMES_CONTAINERS, NAMES_UNITS, PARENTS, PARENTS_MAX, Parent};
use aya::Ebpf;
use aya::maps::{HashMap, MapData};

use super::failure::LoadError;
use super::maps::{Signals, TrackError, refused, remove, take};

/// Digits of a container's id.
const ID_DIGITS: usize = 64;

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

    /// Expects more like the container of this name, which is in the cgroup.
    pub(super) fn add(
        &mut self,
        cgroup: u64,
        name: &str,
        signals: Signals,
    ) -> Result<(), TrackError> {
        let known = self.parents.get(&cgroup, 0).unwrap_or_default();
        let parent = Parent {
            signals: known.signals | signals.recorded,
            begins: known.begins | signals.beginning,
            names: known.names | names_like(name),
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

/// The kind of names that this one is of.
fn names_like(name: &str) -> u64 {
    if name.len() >= ID_DIGITS {
        NAMES_CONTAINERS
    } else if [".service", ".scope"]
        .iter()
        .any(|unit| name.ends_with(unit))
    {
        NAMES_UNITS
    } else {
        NAMES_ANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_told_by_the_kind_of_name() {
        let docker = format!("docker-{}.scope", "a1".repeat(32));
        assert_eq!(names_like(&docker), NAMES_CONTAINERS);
        assert_eq!(names_like("cron.service"), NAMES_UNITS);
        assert_eq!(names_like("web"), NAMES_ANY);
    }
}
