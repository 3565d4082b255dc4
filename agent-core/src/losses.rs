//! When records were lost: not at a moment, but somewhere between two looks at the counter of lost records.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// Times that are remembered. Beyond that, two neighbours become one that covers both: more is doubted than must be.
const LOSSES_MAX: usize = 64;

/// Records were lost at some time from one look to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loss {
    since: Timestamp,
    until: Timestamp,
}

/// All losses so far, by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(VecDeque<Loss>);

impl Losses {
    /// Records were lost between these times.
    pub(crate) fn add(&mut self, since: Timestamp, until: Timestamp) {
        let since = since.min(until);
        if let Some(last) = self.0.back_mut()
            && since <= last.until
        {
            last.until = last.until.max(until);
            last.since = last.since.min(since);
            return;
        }
        self.0.push_back(Loss { since, until });
        if self.0.len() > LOSSES_MAX
            && let Some(first) = self.0.pop_front()
            && let Some(second) = self.0.front_mut()
        {
            second.since = first.since;
        }
    }

    /// Whether records may have been lost between these times.
    pub(crate) fn may_be_between(&self, from: Timestamp, to: Timestamp) -> bool {
        self.0
            .iter()
            .any(|loss| loss.since <= to && from <= loss.until)
    }

    /// Whether records may have been lost from then on.
    pub(crate) fn may_be_since(&self, from: Timestamp) -> bool {
        self.0.back().is_some_and(|last| from <= last.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp(second * 1_000_000_000)
    }

    #[test]
    fn a_loss_may_lie_anywhere_between_two_looks() {
        let mut losses = Losses::default();
        losses.add(at(10), at(12));
        assert!(losses.may_be_between(at(11), at(11)));
        assert!(losses.may_be_between(at(1), at(10)));
        assert!(losses.may_be_between(at(12), at(20)));
        assert!(!losses.may_be_between(at(1), at(9)));
        assert!(!losses.may_be_between(at(13), at(20)));
        assert!(losses.may_be_since(at(12)) && !losses.may_be_since(at(13)));
    }

    #[test]
    fn many_losses_are_remembered_as_fewer_that_cover_them() {
        let mut losses = Losses::default();
        for second in 0..200 {
            losses.add(at(second * 10), at(second * 10 + 1));
        }
        assert_eq!(losses.0.len(), LOSSES_MAX);
        assert!(losses.may_be_between(at(0), at(1)));
        assert!(losses.may_be_between(at(1990), at(1991)));
        assert!(!losses.may_be_between(at(1985), at(1989)));
    }
}
