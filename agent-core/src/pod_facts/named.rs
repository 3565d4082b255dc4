//! The containers of one pod that its status named, by their ids.

use std::collections::BTreeMap;

use crate::event::CgroupId;
use crate::pod::PodContainer;
use crate::time::Timestamp;

/// Containers of one pod that are remembered: those that the status names now, and the newest of the others.
const CONTAINERS_MAX: usize = 256;

/// A container that a status named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its name in the pod.
    pub(crate) name: String,
    /// The first cgroup that was made for its id: others may copy the id, but not before there is one. Ids of cgroups grow
    /// (<https://github.com/torvalds/linux/blob/v6.12/fs/kernfs/dir.c#L630>).
    pub(crate) cgroup: Option<CgroupId>,
    /// When its main process exited.
    pub(crate) exit: Option<Timestamp>,
    /// Larger than that of each that was named before.
    number: u64,
}

/// The containers that were named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NamedContainers {
    by_id: BTreeMap<String, Named>,
    numbers: u64,
}

impl NamedContainers {
    /// The status names these now.
    pub(super) fn update_containers(&mut self, present: &[PodContainer]) {
        for container in present {
            for id in &container.ids {
                self.name(id, &container.name);
            }
        }
        while self.by_id.len() > CONTAINERS_MAX {
            let is_present = |id: &String| present.iter().any(|one| one.ids.contains(id));
            let others = self.by_id.iter().filter(|(id, _)| !is_present(id));
            let oldest = others.min_by_key(|(_, named)| named.number);
            let Some(id) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.by_id.remove(&id);
        }
    }

    fn name(&mut self, id: &str, name: &str) {
        if let Some(known) = self.by_id.get_mut(id) {
            name.clone_into(&mut known.name);
            return;
        }
        self.numbers += 1;
        let named = Named {
            name: name.to_owned(),
            cgroup: None,
            exit: None,
            number: self.numbers,
        };
        self.by_id.insert(id.to_owned(), named);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Named> {
        self.by_id.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Named> {
        self.by_id.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Returns whether that is news.
    pub(super) fn note_exit(&mut self, id: &str, at: Timestamp) -> bool {
        let known = self.by_id.get_mut(id);
        known.is_some_and(|named| named.exit.replace(at) != Some(at))
    }

    /// The container with this id lies in this cgroup, unless one that was made before does. Returns whether a later one was
    /// taken for it so far; what was told of that one is not the container's.
    pub(super) fn assign_cgroup(&mut self, id: &str, cgroup: CgroupId) -> bool {
        let Some(named) = self.by_id.get_mut(id) else {
            return false;
        };
        let was_later = named.cgroup.is_some_and(|known| cgroup < known);
        if was_later {
            named.exit = None;
        }
        if was_later || named.cgroup.is_none() {
            named.cgroup = Some(cgroup);
        }
        was_later
    }
}
