//! Cgroups that hold containers: what is made in these, the kernel side tracks from its birth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent_common::map::{NAMES_ANY, NAMES_CONTAINERS, NAMES_UNITS, PARENTS, PARENTS_MAX, Parent};
use agent_core::output::Names;
use agent_core::share::{self, PARTS};
use agent_core::time::Timestamp;
use aya::Ebpf;
use aya::maps::{HashMap, MapData};

use super::failure::LoadError;
use super::maps::{Signals, TrackError, refused, remove, take_map};
use crate::clock;

/// How long it is not looked again which were taken out.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The cgroups that are known to hold containers. The kernel side takes out those that are removed.
pub(super) struct Parents {
    map: HashMap<MapData, u64, Parent>,
    /// Those that this side put in, by who can make them. The kernel side may have taken out some.
    held: BTreeMap<Sharer, BTreeSet<u64>>,
    /// When it was looked last which of them were taken out.
    looked_at: Timestamp,
}

/// Who can make a cgroup that is to hold containers: each has a share of the map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sharer {
    /// The outermost container that it lies in.
    Container(u64),
    /// A user or a runtime, by its place in the tree.
    Place(String),
}

impl Parents {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            map: take_map(ebpf, PARENTS)?,
            held: BTreeMap::new(),
            looked_at: Timestamp::default(),
        })
    }

    /// Expects containers with such names in the cgroup, beside those that were expected before. `outermost` is the container
    /// that it lies in, if any.
    pub(super) fn add(
        &mut self,
        (cgroup, path): (u64, &str),
        outermost: Option<u64>,
        names: &[Names],
        signals: Signals,
    ) -> Result<(), TrackError> {
        let known = self.map.get(&cgroup, 0).ok();
        let before = known.unwrap_or_default();
        let parent = Parent {
            signals: before.signals | signals.recorded,
            begins: before.begins | signals.beginning,
            outermost: outermost.unwrap_or_default(),
            names: before.names | name_bits(names),
        };
        if known == Some(parent) {
            return Ok(());
        }
        if known.is_none() {
            let place = || Sharer::Place(share::place(path).to_owned());
            self.reserve(outermost.map_or_else(place, Sharer::Container), cgroup)?;
        }
        self.map
            .insert(cgroup, parent, 0)
            .map_err(|source| refused(PARENTS, PARENTS_MAX, cgroup, source))
    }

    /// Expects none in this cgroup any more.
    pub(super) fn remove(&mut self, cgroup: u64) -> Result<(), TrackError> {
        remove(&mut self.map, PARENTS, &cgroup)
    }

    /// Counts one more for this sharer, if that is within its share.
    fn reserve(&mut self, sharer: Sharer, cgroup: u64) -> Result<(), TrackError> {
        if !self.has_room(&sharer) {
            self.forget_removed(clock::now());
        }
        if !self.has_room(&sharer) {
            return Err(TrackError::BeyondShare {
                map: PARENTS,
                key: cgroup,
            });
        }
        self.held.entry(sharer).or_default().insert(cgroup);
        Ok(())
    }

    fn has_room(&self, sharer: &Sharer) -> bool {
        let max = PARENTS_MAX as usize;
        let all: usize = self.held.values().map(BTreeSet::len).sum();
        let own = self.held.get(sharer).map_or(0, BTreeSet::len);
        match sharer {
            Sharer::Container(_) => own < max / PARTS,
            Sharer::Place(_) => share::may_grow(own, max.saturating_sub(all)),
        }
    }

    /// Counts those no more that the kernel side took out. Each is looked up, so not for everyone who is beyond his share.
    fn forget_removed(&mut self, now: Timestamp) {
        if now.since(self.looked_at) < LOOK_INTERVAL {
            return;
        }
        self.looked_at = now;
        let map = &self.map;
        self.held.retain(|_sharer, cgroups| {
            cgroups.retain(|cgroup| map.get(cgroup, 0).is_ok());
            !cgroups.is_empty()
        });
    }
}

/// The bits for these kinds of names.
fn name_bits(names: &[Names]) -> u64 {
    names.iter().fold(0, |bits, names| {
        bits | match names {
            Names::Containers => NAMES_CONTAINERS,
            Names::Units => NAMES_UNITS,
            Names::Any => NAMES_ANY,
        }
    })
}
