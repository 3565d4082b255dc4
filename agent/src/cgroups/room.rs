//! How much of a scan of the tree each may take: whoever makes many cgroups has a bound of its own.

use agent_common::map::PLACE_LEVEL;
use agent_core::attribution::is_of_runtime;
use agent_core::share::{PARTS, may_grow};

/// Whom a cgroup counts for in a scan: the numbers of an outermost container and of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    place: Option<usize>,
    container: Option<usize>,
}

/// How much of a scan is used up, by whom.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    /// All belongs to one container.
    is_one: bool,
    visited: usize,
    /// By place, with its containers and without.
    places: Vec<(usize, usize)>,
    containers: Vec<usize>,
}

impl Room {
    /// The room of a scan of everything, of so many cgroups.
    pub(super) fn of_all(max: usize) -> Self {
        Self {
            max,
            is_one: false,
            visited: 0,
            places: Vec::new(),
            containers: Vec::new(),
        }
    }

    /// The room of a scan of one container, which has as much as a scan of everything has for it.
    pub(super) fn of_one(max: usize) -> Self {
        Self {
            is_one: true,
            ..Self::of_all(max / PARTS)
        }
    }

    /// Whom a cgroup counts for that lies in one of this owner.
    pub(super) fn assign_owner(&mut self, above: Owner, path: &str) -> Owner {
        let mut owner = above;
        if self.is_one || owner.container.is_some() {
            return owner;
        }
        if path.matches('/').count() <= usize::from(PLACE_LEVEL) {
            owner.place = Some(self.places.len());
            self.places.push((0, 0));
        }
        if is_of_runtime(path) {
            owner.container = Some(self.containers.len());
            self.containers.push(0);
        }
        owner
    }

    /// Takes room for one more, if there is some.
    pub(super) fn try_reserve(&mut self, owner: Owner) -> bool {
        let share = self.max / PARTS;
        let free = self.max.saturating_sub(self.visited);
        let container = owner.container.and_then(|one| self.containers.get_mut(one));
        let place = owner.place.and_then(|one| self.places.get_mut(one));
        let has_share = match (&container, &place) {
            (Some(count), _) => **count < share,
            (None, Some((_, beside))) => *beside < share,
            (None, None) => true,
        };
        let has_room =
            free > 0 && has_share && place.as_ref().is_none_or(|(all, _)| may_grow(*all, free));
        if !has_room {
            return false;
        }
        self.visited += 1;
        if let Some((all, beside)) = place {
            *all += 1;
            *beside += usize::from(container.is_none());
        }
        if let Some(count) = container {
            *count += 1;
        }
        true
    }
}
