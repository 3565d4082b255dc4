//! When records were lost: not at a moment, but somewhere between two looks at the counter of lost records.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::event::CgroupId;
use crate::time::Timestamp;

/// Times that are remembered. Beyond that, two neighbours become one that covers both: more is doubted than must be.
const LOSSES_MAX: usize = 64;

/// How long what was lost of an outermost container is remembered before the container is tracked.
const UNTRACKED: Duration = Duration::from_secs(10);

/// Records were lost at some time from one look to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loss {
    since: Timestamp,
    until: Timestamp,
}

/// All losses so far, by time.
#[derive(Clone, Debug, Default)]
struct Losses(VecDeque<Loss>);

impl Losses {
    /// Records were lost between these times.
    fn add(&mut self, since: Timestamp, until: Timestamp) {
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
    fn may_be_between(&self, from: Timestamp, to: Timestamp) -> bool {
        self.0
            .iter()
            .any(|loss| loss.since <= to && from <= loss.until)
    }

    /// When the last ones were.
    fn last_loss(&self) -> Timestamp {
        self.0.back().map(|last| last.until).unwrap_or_default()
    }

    /// Whether records may have been lost from then on.
    fn may_be_since(&self, from: Timestamp) -> bool {
        self.0.back().is_some_and(|last| from <= last.until)
    }
}

/// All losses: those that may concern any container, and those that concern one outermost container with all that is in it.
#[derive(Debug, Default)]
pub(crate) struct AllLosses {
    of_any: Losses,
    by_outermost: BTreeMap<CgroupId, Losses>,
    /// When it was last looked for those that can be forgotten. One look at the counters tells of thousands at once.
    swept_at: Timestamp,
}

impl AllLosses {
    /// Records that may be of any container were lost between these times.
    pub(crate) fn add(&mut self, since: Timestamp, until: Timestamp) {
        self.of_any.add(since, until);
    }

    /// Records of an outermost container, or of one in it, were lost between these times.
    pub(crate) fn add_of(&mut self, outermost: CgroupId, since: Timestamp, until: Timestamp) {
        let losses = self.by_outermost.entry(outermost).or_default();
        losses.add(since, until);
    }

    /// Forgets those of outermost containers that are gone and have not been tracked, or not again; once for each `now`.
    pub(crate) fn forget_untracked(
        &mut self,
        now: Timestamp,
        is_tracked: impl Fn(CgroupId) -> bool,
    ) {
        if self.swept_at == now {
            return;
        }
        self.swept_at = now;
        self.by_outermost
            .retain(|id, losses| is_tracked(*id) || now.since(losses.last_loss()) < UNTRACKED);
    }

    /// An outermost container is gone, and all in it.
    pub(crate) fn forget(&mut self, outermost: CgroupId) {
        self.by_outermost.remove(&outermost);
    }

    /// Those that concern a container in this outermost one.
    pub(crate) fn for_outermost(&self, outermost: CgroupId) -> LossesOf<'_> {
        LossesOf {
            of_any: &self.of_any,
            own: self.by_outermost.get(&outermost),
        }
    }
}

/// The losses that concern one container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossesOf<'a> {
    of_any: &'a Losses,
    own: Option<&'a Losses>,
}

impl LossesOf<'_> {
    /// Whether records of the container may have been lost between these times.
    pub(crate) fn may_be_between(&self, from: Timestamp, to: Timestamp) -> bool {
        self.of_any.may_be_between(from, to)
            || self.own.is_some_and(|own| own.may_be_between(from, to))
    }

    /// Whether records of the container may have been lost from then on.
    pub(crate) fn may_be_since(&self, from: Timestamp) -> bool {
        self.of_any.may_be_since(from) || self.own.is_some_and(|own| own.may_be_since(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_second(second: u64) -> Timestamp {
        Timestamp(second * 1_000_000_000)
    }

    #[test]
    fn a_loss_may_lie_anywhere_between_two_looks() {
        let mut losses = Losses::default();
        losses.add(at_second(10), at_second(12));
        assert!(losses.may_be_between(at_second(11), at_second(11)));
        assert!(losses.may_be_between(at_second(1), at_second(10)));
        assert!(losses.may_be_between(at_second(12), at_second(20)));
        assert!(!losses.may_be_between(at_second(1), at_second(9)));
        assert!(!losses.may_be_between(at_second(13), at_second(20)));
        assert!(losses.may_be_since(at_second(12)) && !losses.may_be_since(at_second(13)));
    }

    #[test]
    fn a_loss_of_one_container_concerns_no_other() {
        let (one, other) = (CgroupId(1), CgroupId(2));
        let mut losses = AllLosses::default();
        losses.add_of(one, at_second(10), at_second(11));
        assert!(
            losses
                .for_outermost(one)
                .may_be_between(at_second(1), at_second(20))
        );
        assert!(losses.for_outermost(one).may_be_since(at_second(11)));
        assert!(
            !losses
                .for_outermost(other)
                .may_be_between(at_second(1), at_second(20))
        );
        assert!(!losses.for_outermost(other).may_be_since(at_second(1)));
        losses.add(at_second(30), at_second(31));
        assert!(
            losses.for_outermost(one).may_be_since(at_second(31))
                && losses.for_outermost(other).may_be_since(at_second(31))
        );
        losses.forget(one);
        assert!(
            !losses
                .for_outermost(one)
                .may_be_between(at_second(1), at_second(20))
        );
    }

    #[test]
    fn losses_of_containers_that_nobody_tracks_are_forgotten() {
        let (tracked, gone, new) = (CgroupId(1), CgroupId(2), CgroupId(3));
        let mut losses = AllLosses::default();
        losses.add_of(tracked, at_second(1), at_second(2));
        losses.add_of(gone, at_second(1), at_second(2));
        losses.add_of(new, at_second(19), at_second(20));
        losses.forget_untracked(at_second(20), |id| id == tracked);
        assert!(losses.for_outermost(tracked).may_be_since(at_second(2)));
        assert!(!losses.for_outermost(gone).may_be_since(at_second(2)));
        assert!(losses.for_outermost(new).may_be_since(at_second(20)));
        assert_eq!(losses.by_outermost.len(), 2);
    }

    #[test]
    fn many_losses_are_remembered_as_fewer_that_cover_them() {
        let mut losses = Losses::default();
        for second in 0..200 {
            losses.add(at_second(second * 10), at_second(second * 10 + 1));
        }
        assert_eq!(losses.0.len(), LOSSES_MAX);
        assert!(losses.may_be_between(at_second(0), at_second(1)));
        assert!(losses.may_be_between(at_second(1990), at_second(1991)));
        assert!(!losses.may_be_between(at_second(1985), at_second(1989)));
    }
}
