//! The signals of one process, kept by importance: of each number the first ones and the newest ones, so that no signal that
//! comes often takes the place of another one. The rest is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::process::SignalFact;
use crate::purse::Charge;
use crate::signal::Signal;
use crate::time::Timestamp;

/// The first signals of one number that are kept.
const FIRST_MAX: usize = 4;

/// The newest signals of one number that are kept beside those. A termination repeats its stop signal a few times at most;
/// what this rule gets wrong is only how often a signal came between the two.
const NEWEST_MAX: usize = 12;

/// Signals by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    facts: Vec<Kept>,
    uncounted: BTreeMap<Signal, Uncounted>,
}

/// One signal, and what it takes of the share of its outermost container.
#[derive(Clone, Debug)]
struct Kept {
    fact: SignalFact,
    _charge: Option<Arc<Charge>>,
}

/// Signals of one number that are not kept.
#[derive(Clone, Copy, Debug, Default)]
struct Uncounted {
    count: u32,
    last_at: Timestamp,
}

impl Signals {
    /// Adds a signal, at its place in time.
    pub(crate) fn add(&mut self, fact: SignalFact, charge: Option<Charge>) {
        let signal = fact.signal;
        let place = self.facts.partition_point(|known| known.fact.at <= fact.at);
        let kept = Kept {
            fact,
            _charge: charge.map(Arc::new),
        };
        self.facts.insert(place, kept);
        let same = self.facts.iter().enumerate();
        let mut same = same.filter(|(_, other)| other.fact.signal == signal);
        let (Some((oldest, _)), true) = (same.by_ref().nth(FIRST_MAX), same.count() >= NEWEST_MAX)
        else {
            return;
        };
        let dropped = self.facts.remove(oldest);
        let uncounted = self.uncounted.entry(signal).or_default();
        uncounted.count = uncounted.count.saturating_add(1);
        uncounted.last_at = uncounted.last_at.max(dropped.fact.at);
    }

    /// Returns those that are kept, by time.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &SignalFact> {
        self.facts.iter().map(|kept| &kept.fact)
    }

    /// How many are kept.
    pub(crate) const fn len(&self) -> usize {
        self.facts.len()
    }

    /// Returns how many signals of the same number followed this one, of those that are kept only such ones.
    pub(crate) fn count_after(
        &self,
        first: &SignalFact,
        such: impl Fn(&SignalFact) -> bool,
    ) -> u32 {
        let kept = self
            .iter()
            .skip_while(|fact| *fact != first)
            .skip(1)
            .filter(|fact| fact.signal == first.signal && such(fact))
            .count();
        let uncounted = self.uncounted.get(&first.signal);
        let uncounted = uncounted.filter(|uncounted| uncounted.last_at >= first.at);
        u32::try_from(kept)
            .unwrap_or(u32::MAX)
            .saturating_add(uncounted.map_or(0, |uncounted| uncounted.count))
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
