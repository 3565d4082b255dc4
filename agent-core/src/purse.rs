//! What processes, their command lines and signals may take of the memory, all together and those of one outermost container.
//!
//! Whoever is in a container decides how many processes and inner containers there are in it, and how long their command lines
//! are. So the bound is one on all of that, and each outermost container has a share of it: what it makes the engine forget is its
//! own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// What all of it may take.
const BYTES_MAX: usize = 32 << 20;

/// Shares that are held ready: one more outermost container takes nothing from the others until there are more than these.
/// After that a share gets smaller, and who has more already keeps it: of 256 outermost containers that fill what they may
/// when they come, all together have at most `BYTES_MAX * (1 + ln(256 / 64))`, 2.4 times the bound.
const SHARES_MIN: usize = 64;

/// The bound, and who shares it, by the paths of outermost containers.
#[derive(Debug, Default)]
pub(crate) struct Purses {
    open: BTreeMap<String, Weak<Purse>>,
    sharing: Arc<AtomicUsize>,
}

/// The share of one outermost container. All of its containers hold it.
#[derive(Debug)]
pub(crate) struct Purse {
    used: AtomicUsize,
    sharing: Arc<AtomicUsize>,
}

/// Bytes that were taken from a share. They go back with it.
#[derive(Debug)]
pub(crate) struct Charge {
    bytes: usize,
    purse: Arc<Purse>,
}

impl Purses {
    /// The share of this outermost container.
    pub(crate) fn get_or_create_purse(&mut self, outermost: &str) -> Arc<Purse> {
        if let Some(purse) = self.open.get(outermost).and_then(Weak::upgrade) {
            return purse;
        }
        self.sharing.fetch_add(1, Ordering::Relaxed);
        let purse = Arc::new(Purse {
            used: AtomicUsize::new(0),
            sharing: Arc::clone(&self.sharing),
        });
        let known = Arc::downgrade(&purse);
        self.open.insert(outermost.to_owned(), known);
        purse
    }

    /// A container in this outermost one is forgotten.
    pub(crate) fn release(&mut self, outermost: &str) {
        let purse = self.open.get(outermost);
        if purse.is_some_and(|purse| purse.strong_count() == 0) {
            self.open.remove(outermost);
        }
    }
}

impl Purse {
    /// Takes so many bytes, if they are there.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let share = BYTES_MAX / self.sharing.load(Ordering::Relaxed).max(SHARES_MIN);
        let is_there = self.used.load(Ordering::Relaxed).saturating_add(bytes) <= share;
        is_there.then(|| self.take_anyway(bytes))
    }

    /// Takes so many bytes though they may not be there.
    pub(crate) fn take_anyway(self: &Arc<Self>, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Charge {
            bytes,
            purse: Arc::clone(self),
        }
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.sharing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.purse.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Purses, SHARES_MIN};

    #[test]
    fn what_one_takes_is_missing_to_nobody_else() {
        let mut purses = Purses::default();
        let (greedy, other) = (
            purses.get_or_create_purse("/a"),
            purses.get_or_create_purse("/b"),
        );
        let share = BYTES_MAX / SHARES_MIN;
        let again = purses.get_or_create_purse("/a");
        let taken: Vec<_> = (0..1000)
            .filter_map(|_| again.reserve(share / 10))
            .collect();
        assert_eq!(taken.len(), 10);
        assert!(greedy.reserve(share / 10).is_none());
        assert!(other.reserve(share).is_some());
        drop(taken);
        assert!(greedy.reserve(share).is_some());
    }

    #[test]
    fn a_share_gets_smaller_where_many_share() {
        let mut purses = Purses::default();
        let one = purses.get_or_create_purse("/one");
        let path = |number: usize| format!("/{number}");
        let others: Vec<_> = (1..4 * SHARES_MIN)
            .map(|one| purses.get_or_create_purse(&path(one)))
            .collect();
        assert!(one.reserve(BYTES_MAX / SHARES_MIN / 4 + 1).is_none());
        assert!(one.reserve(BYTES_MAX / SHARES_MIN / 4).is_some());
        drop(others);
        (1..4 * SHARES_MIN).for_each(|one| purses.release(&path(one)));
        assert!(one.reserve(BYTES_MAX / SHARES_MIN).is_some());
        purses.release("/one");
        assert_eq!(purses.open.len(), 1);
    }
}
