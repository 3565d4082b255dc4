//! Which containers lie in which outermost one and in which place, and whether each of these keeps to its share of the table.

use std::collections::BTreeMap;

use crate::attribution::Selectors;
use crate::config::Limits;
use crate::event::CgroupId;
use crate::share::{PARTS, may_grow, place};

/// What an outermost container, or a place, may hold however small the table is.
const CONTAINERS_AT_LEAST: usize = 16;
/// How much of the table must be free before it is looked for containers that there was no room for: one part of so many.
const FREE_PARTS: usize = 16;

/// An outermost container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outermost<'a> {
    pub(super) id: CgroupId,
    pub(super) path: &'a str,
}

/// The tracked containers by their outermost ones.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_path: BTreeMap<String, CgroupId>,
    /// How many containers are tracked in each outermost one, itself included.
    counts: BTreeMap<CgroupId, usize>,
    /// How many are tracked in each place.
    places: BTreeMap<String, usize>,
    /// Whether there was no room for a container that may be there still.
    has_missed: bool,
}

impl Shares {
    /// Returns the tracked container with this path.
    pub(super) fn tracked(&self, path: &str) -> Option<CgroupId> {
        self.by_path.get(path).copied()
    }

    /// Returns whether a container is tracked in this outermost one.
    pub(super) fn has_container_in(&self, outermost: CgroupId) -> bool {
        self.counts.contains_key(&outermost)
    }

    /// Returns the tracked containers below this path.
    pub(super) fn inside(&self, path: &str) -> Vec<CgroupId> {
        let above = format!("{path}/");
        self.by_path
            .range(above.clone()..)
            .take_while(|(path, _)| path.starts_with(&above))
            .map(|(_, container)| *container)
            .collect()
    }

    /// Returns the tracked container that all containers share that are made in this cgroup, if they share one.
    pub(super) fn shared(&self, selectors: &Selectors, path: &str) -> Option<CgroupId> {
        let outermost = selectors.outermost(path)?;
        let is_container = selectors.is_container(outermost);
        self.tracked(outermost).filter(|_| is_container)
    }

    /// Returns whether one more container may be tracked in the outermost one, beside so many that are tracked.
    pub(super) fn has_room(&self, outermost: Outermost<'_>, tracked: usize, max: usize) -> bool {
        let own = self.counts.get(&outermost.id).copied();
        let beside = self.places.get(place(outermost.path)).copied();
        let beside = beside.unwrap_or_default();
        let free = max.saturating_sub(tracked);
        own.unwrap_or_default() < (max / PARTS).max(CONTAINERS_AT_LEAST)
            && (beside < CONTAINERS_AT_LEAST || may_grow(beside, free))
    }

    /// Takes note of a container that is tracked from now on.
    pub(super) fn add(&mut self, path: &str, container: CgroupId, outermost: Outermost<'_>) {
        self.by_path.insert(path.to_owned(), container);
        *self.counts.entry(outermost.id).or_default() += 1;
        let place = place(outermost.path).to_owned();
        *self.places.entry(place).or_default() += 1;
    }

    /// Takes note of a container that is not tracked any more. Returns whether it was the last one of its outermost one.
    pub(super) fn remove(
        &mut self,
        path: &str,
        container: CgroupId,
        outermost: Outermost<'_>,
    ) -> bool {
        // A younger container may have the path by now.
        if self.by_path.get(path) == Some(&container) {
            self.by_path.remove(path);
        }
        let place = place(outermost.path);
        if let Some(count) = self.places.get_mut(place) {
            *count -= 1;
            if *count == 0 {
                self.places.remove(place);
            }
        }
        self.remove_container_from(outermost.id)
    }

    /// Takes note that a container is in another outermost one than was known.
    pub(super) fn move_to(&mut self, before: CgroupId, outermost: CgroupId) {
        self.remove_container_from(before);
        *self.counts.entry(outermost).or_default() += 1;
    }

    /// Counts one less in this outermost container. Returns whether it was the last one.
    fn remove_container_from(&mut self, outermost: CgroupId) -> bool {
        let Some(count) = self.counts.get_mut(&outermost) else {
            return true;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.counts.remove(&outermost);
        }
        is_last
    }

    /// Takes note that there was no room for a container.
    pub(super) const fn note_missed(&mut self) {
        self.has_missed = true;
    }

    /// Returns whether it is time to look for containers that there was no room for, and forgets them.
    pub(super) const fn take_missed(&mut self, tracked: usize, limits: &Limits) -> bool {
        let enough = limits.containers_max - limits.containers_max / FREE_PARTS;
        let takes = self.has_missed && tracked <= enough;
        if takes {
            self.has_missed = false;
        }
        takes
    }
}
