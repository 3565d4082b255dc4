//! Fair shares of what is bounded: who has most of it gives it up for whoever comes.
//!
//! Containers that one container makes in itself share with that one, and the pods of one namespace with each other. So a flood
//! pushes out its own, and what others have is kept.

use std::collections::{BTreeMap, BTreeSet};

use agent_core::attribution::outermost_by_name;
use agent_core::report::{PodRef, Subject};

/// An outermost container has this part of the series at the most.
const PART_OF_A_CONTAINER: usize = 10;

/// Who shares with nobody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sharer {
    /// The pods of a namespace.
    Namespace(String),
    /// An outermost container, and all that lies in it, by the path of its cgroup.
    Container(String),
}

impl Sharer {
    /// Whom a container counts for.
    pub(crate) fn from_subject(subject: &Subject, pod: Option<&PodRef>) -> Self {
        pod.map_or_else(
            || Self::Container(outermost_by_name(&subject.path).to_owned()),
            |pod| Self::Namespace(pod.namespace.clone()),
        )
    }

    /// How many of `max` series it may have though nobody else needs them. Whoever is in a container makes as many inner ones as it
    /// likes, and a page of metrics is to stay small.
    pub(crate) const fn max_share(&self, max: usize) -> usize {
        match self {
            Self::Namespace(_) => max,
            Self::Container(_) => max.div_ceil(PART_OF_A_CONTAINER),
        }
    }
}

/// What there is, by who has it and by age.
#[derive(Debug)]
pub(crate) struct Shares<T> {
    of: BTreeMap<Sharer, BTreeSet<(u64, T)>>,
    places: BTreeMap<T, (Sharer, u64)>,
    next: u64,
}

impl<T> Default for Shares<T> {
    fn default() -> Self {
        Self {
            of: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T: Clone + Ord> Shares<T> {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn contains(&self, item: &T) -> bool {
        self.places.contains_key(item)
    }

    /// Adds what is the newest now.
    pub(crate) fn add(&mut self, sharer: Sharer, item: T) {
        self.remove(&item);
        self.next += 1;
        let its = self.of.entry(sharer.clone()).or_default();
        its.insert((self.next, item.clone()));
        self.places.insert(item, (sharer, self.next));
    }

    pub(crate) fn remove(&mut self, item: &T) {
        let Some((sharer, number)) = self.places.remove(item) else {
            return;
        };
        let its = self.of.get_mut(&sharer);
        let is_last = its.is_some_and(|its| {
            its.remove(&(number, item.clone()));
            its.is_empty()
        });
        if is_last {
            self.of.remove(&sharer);
        }
    }

    /// What goes if there is more than `max`: the oldest of whoever has most; of several that have as much, the oldest of all.
    pub(crate) fn first_to_go(&self, max: usize) -> Option<T> {
        if self.len() <= max {
            return None;
        }
        let oldest = self.largest().filter_map(BTreeSet::first).min()?;
        Some(oldest.1.clone())
    }

    /// The same where the old ones matter most: the newest of whoever has most; of several that have as much, the newest of all.
    pub(crate) fn last_to_go(&self, max: usize) -> Option<T> {
        if self.len() <= max {
            return None;
        }
        let newest = self.largest().filter_map(BTreeSet::last).max()?;
        Some(newest.1.clone())
    }

    /// The oldest of this sharer, if it is an outermost container and has more than its part of `max` ([`Sharer::max_share`]).
    pub(crate) fn first_beyond(&self, sharer: &Sharer, max: usize) -> Option<T> {
        let its = self.of.get(sharer)?;
        let oldest = its.first().filter(|_| its.len() > sharer.max_share(max))?;
        Some(oldest.1.clone())
    }

    /// The same, the newest.
    pub(crate) fn last_beyond(&self, sharer: &Sharer, max: usize) -> Option<T> {
        let its = self.of.get(sharer)?;
        let newest = its.last().filter(|_| its.len() > sharer.max_share(max))?;
        Some(newest.1.clone())
    }

    /// What those have who have most.
    fn largest(&self) -> impl Iterator<Item = &BTreeSet<(u64, T)>> {
        let most = self.of.values().map(BTreeSet::len).max();
        self.of.values().filter(move |its| Some(its.len()) == most)
    }
}

#[cfg(test)]
mod tests {
    use super::{Sharer, Shares};

    fn namespace(name: &str) -> Sharer {
        Sharer::Namespace(name.to_owned())
    }

    fn bounded(shares: &mut Shares<u32>, sharer: &Sharer, item: u32) {
        shares.add(sharer.clone(), item);
        while let Some(first) = shares.first_to_go(10) {
            shares.remove(&first);
        }
    }

    #[test]
    fn a_flood_pushes_out_its_own() {
        let mut shares = Shares::default();
        bounded(&mut shares, &namespace("shop"), 1);
        bounded(&mut shares, &namespace("shop"), 2);
        bounded(&mut shares, &namespace("bank"), 3);
        for item in 100..200 {
            bounded(&mut shares, &namespace("flood"), item);
        }
        assert!([1, 2, 3, 193, 199].iter().all(|item| shares.contains(item)));
        assert!(!shares.contains(&192));
        for item in 10..15 {
            bounded(&mut shares, &namespace("bank"), item);
        }
        // Two of shop's, and four of each of the others.
        assert!(
            [1, 2, 12, 14, 199, 196]
                .iter()
                .all(|item| shares.contains(item))
        );
        assert!(!shares.contains(&3) && !shares.contains(&195));
    }

    #[test]
    fn where_all_have_as_much_the_oldest_goes() {
        let mut shares = Shares::default();
        for item in 0..15 {
            bounded(&mut shares, &namespace(&item.to_string()), item);
        }
        assert!(shares.contains(&5) && !shares.contains(&4));
        shares.remove(&7);
        assert_eq!((shares.len(), shares.of.len()), (9, 9));
    }
}
