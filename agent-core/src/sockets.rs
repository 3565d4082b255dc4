//! What was told of one container's connections: how often what happened since it is tracked, and the resets of its
//! termination one by one. It takes out what belongs to one termination, and what nobody was told of yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::connection::{
    AfterSignal, Direction, Mode, Phase, ResetClass, ResetCount, ResetSeen, SocketCounts,
};
use crate::time::Timestamp;

mod numbers;
mod placement;

use numbers::{add_counts, counts_since, has_decreased, in_place};
pub(crate) use placement::{Edges, Placement, Stop, StopKind};

/// Resets that are kept one by one: as many as the kernel side records of an interval, for each that a termination
/// may have.
const MARKS_MAX: usize = 32 * 6;
const _: () = assert!(agent_common::socket::MARKS_MAX == 32);

/// Classes of resets that may wait to be told; the kernel's reasons make up some hundred.
const UNTOLD_MAX: usize = 1024;

/// How long after it called data a reset the kernel sends its own; both are done for the same packet.
const ANSWER_MAX: Duration = Duration::from_millis(10);

/// The kernel's reasons for a reset, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reasons(pub(crate) BTreeMap<u32, String>);

impl Reasons {
    /// The same class with the reason's name.
    pub(crate) fn with_reason_name(&self, class: &ResetClass<u32>) -> ResetClass<String> {
        let name = |number: u32| match self.0.get(&number) {
            Some(name) => name.clone(),
            None => format!("reason_{number}"),
        };
        ResetClass {
            phase: class.phase,
            direction: class.direction,
            mode: class.mode,
            scope: class.scope,
            side: class.side,
            idle_closed: class.idle_closed,
            reason: class.reason.map(name),
        }
    }
}

/// A class of resets in the interval with this number.
type Placed = (usize, ResetClass<u32>);

/// What was told of a container's connections.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// The counts as they were told last.
    newest: Option<SocketCounts>,
    /// What of them belongs to terminations before: only the phases of a termination, the running one goes on.
    before: SocketCounts,
    /// What was counted after signals that turned out to stop nothing: while it ran.
    ran: SocketCounts,
    /// What the next counts end.
    parting: Option<Parting>,
    /// Up to when signals are known to have stopped nothing, or what is over.
    void_until: Timestamp,
    /// The counts of this termination, from when another process took the place of the main one.
    settled: Option<SocketCounts>,
    /// The highest count of each class of resets.
    highest: BTreeMap<Placed, u64>,
    /// Resets that no output told of yet.
    untold: BTreeMap<Placed, u64>,
    /// Resets of a termination, by time.
    marks: Vec<(Timestamp, ResetSeen)>,
}

/// What the next counts end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// A termination, or what looked like one.
    Termination,
    /// The time after signals that stopped nothing: it ran all the while.
    Signals,
}

impl Sockets {
    /// Takes in counts, which go on from those before unless the container was tracked anew.
    pub(crate) fn apply_counts(&mut self, mut counts: SocketCounts) {
        let last = self.newest.take();
        if last
            .as_ref()
            .is_some_and(|last| has_decreased(last, &counts))
        {
            self.before = SocketCounts::default();
            self.highest.clear();
        }
        if let Some(last) = last
            && counts.peers.is_empty()
        {
            // They are only told when it was asked for.
            counts.peers = last.peers;
        }
        self.notice_resets(&counts);
        let parting = self.parting.take();
        if parting == Some(Parting::Signals) {
            self.keep_as_running(&counts);
        }
        if parting.is_some() {
            self.before = counts.clone();
        }
        self.newest = Some(counts);
        self.give_up_void();
    }

    fn notice_resets(&mut self, counts: &SocketCounts) {
        for (placed, count) in placed(counts) {
            let highest = self.highest.entry(placed).or_default();
            if count > *highest {
                let untold = self.untold.entry(placed).or_default();
                *untold = untold.saturating_add(count - *highest);
                *highest = count;
            }
        }
    }

    /// What was counted after signals, up to these counts, was while it ran.
    fn keep_as_running(&mut self, counts: &SocketCounts) {
        let since = counts_since(counts, &self.before);
        let mut resets: BTreeMap<_, u64> = self.ran.resets.drain(..).collect();
        for after in since.after_signals {
            let [running, ..] = &mut self.ran.phases;
            *running = add_counts(running, &after.counts);
            for (class, count) in after.resets {
                *resets.entry(of_phase(&class, Phase::Running)).or_default() += count;
            }
        }
        self.ran.resets = resets.into_iter().collect();
    }

    /// Takes in one reset. Where data comes for a connection that was closed, the kernel calls it a reset received and then
    /// sends one: that is one.
    pub(crate) fn record_reset(&mut self, at: Timestamp, reset: &ResetSeen) {
        let mut others = self.marks.iter();
        if others.any(|(answered_at, other)| is_answer(*answered_at, other, at, reset)) {
            return;
        }
        self.marks
            .retain(|(received_at, other)| !is_answer(at, reset, *received_at, other));
        let place = self.marks.partition_point(|known| *known <= (at, *reset));
        self.marks.insert(place, (at, *reset));
        self.marks.truncate(MARKS_MAX);
    }

    /// What the counts say of a termination, by its phases; none if they were not told yet, or if it cannot be told which of
    /// them belong to it.
    pub(crate) fn of_termination(&self, edges: &Edges) -> Option<SocketCounts> {
        let counts = self.unplaced()?;
        let placement = Placement::derive(&counts, edges, self.void_until)?;
        Some(in_place(&counts, placement, &self.ran))
    }

    /// Whether there are counts of which it cannot be told whether they belong to the termination.
    pub(crate) fn is_unsure(&self, edges: &Edges) -> bool {
        self.unplaced()
            .is_some_and(|counts| Placement::derive(&counts, edges, self.void_until).is_none())
    }

    fn unplaced(&self) -> Option<SocketCounts> {
        let newest = self.newest.as_ref()?;
        Some(match &self.settled {
            Some(settled) => settled.clone(),
            None => counts_since(newest, &self.before),
        })
    }

    /// When a signal came last that the kernel side began an interval with; none if all are void.
    pub(crate) fn signalled_at(&self) -> Option<Timestamp> {
        let after = self.newest.iter().flat_map(|newest| &newest.after_signals);
        let last = after.filter_map(|after| after.since).max();
        last.filter(|at| *at > self.void_until)
    }

    /// Resets of the termination that is open, by time.
    pub(crate) fn reset_marks(&self) -> &[(Timestamp, ResetSeen)] {
        &self.marks
    }

    /// A new process took over: what is counted from here on is no part of the termination.
    pub(crate) fn settle(&mut self) {
        if self.settled.is_none() {
            self.settled = self.unplaced();
        }
    }

    /// What began is over, or was none of what it looked like. What the next counts hold belongs to it.
    pub(crate) fn part(&mut self, what: Parting, void_until: Timestamp) {
        self.parting = Some(what);
        self.void_until = self.void_until.max(void_until);
        self.settled = None;
        self.marks.clear();
    }

    /// A termination begins. If no counts came since the last one, those that came last have to part the two.
    pub(crate) fn begin_termination(&mut self) {
        self.settled = None;
        if self.parting.take().is_some()
            && let Some(newest) = &self.newest
        {
            self.before = newest.clone();
        }
    }

    /// Resets after signals that turned out to stop nothing were while it ran.
    fn give_up_void(&mut self) {
        let after = self.newest.iter().flat_map(|newest| &newest.after_signals);
        let is_void = |after: &AfterSignal| after.since.is_none_or(|at| at <= self.void_until);
        let void: Vec<usize> = after
            .enumerate()
            .filter(|(_, after)| is_void(after))
            .map(|(place, _)| Phase::ALL.len() + place)
            .collect();
        let (given_up, kept) = std::mem::take(&mut self.untold)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|((interval, _), _)| void.contains(interval));
        self.untold = kept;
        for ((_, class), count) in given_up {
            let running = (0, of_phase(&class, Phase::Running));
            let untold = self.untold.entry(running).or_default();
            *untold = untold.saturating_add(count);
        }
    }

    /// To which phase what was counted belongs, now that its termination is over, or that there is none.
    pub(crate) fn placement(&self, edges: Option<&Edges>) -> Placement {
        let known = self.unplaced().zip(edges);
        known
            .and_then(|(counts, edges)| Placement::derive(&counts, edges, self.void_until))
            .unwrap_or_else(Placement::supposed)
    }

    /// The resets that no output told of, which this one does. Without a placement only those whose phase is sure.
    pub(crate) fn take_unreported(
        &mut self,
        reasons: &Reasons,
        placement: Option<Placement>,
    ) -> Vec<ResetCount> {
        let mut told: BTreeMap<ResetClass<u32>, u64> = BTreeMap::new();
        for ((interval, class), count) in std::mem::take(&mut self.untold) {
            let phase = match placement {
                Some(placement) => placement.phase_of_interval(interval),
                None if self.may_change(interval) => {
                    self.untold.insert((interval, class), count);
                    continue;
                }
                None => class.phase,
            };
            *told.entry(of_phase(&class, phase)).or_default() += count;
        }
        told.into_iter()
            .map(|(class, count)| ResetCount {
                class: reasons.with_reason_name(&class),
                count,
            })
            .collect()
    }

    /// Whether only hindsight tells to which phase an interval belongs.
    fn may_change(&self, interval: usize) -> bool {
        let stopping = Phase::ALL.iter().position(|one| *one == Phase::Stopping);
        let since = self
            .newest
            .as_ref()
            .and_then(|newest| newest.stopping_since);
        interval >= Phase::ALL.len()
            || (Some(interval) == stopping && since.is_some_and(|at| at > self.void_until))
    }

    /// Whether there are so many that they cannot wait any more.
    pub(crate) fn has_too_many_untold(&self) -> bool {
        self.untold.len() >= UNTOLD_MAX
    }
}

/// The same class in another phase.
fn of_phase<Reason: Clone>(class: &ResetClass<Reason>, phase: Phase) -> ResetClass<Reason> {
    ResetClass {
        phase,
        ..class.clone()
    }
}

/// Each class of resets in its interval.
fn placed(counts: &SocketCounts) -> impl Iterator<Item = (Placed, u64)> {
    let of_phases = counts.resets.iter().map(|(class, count)| {
        let phase = Phase::ALL.iter().position(|one| *one == class.phase);
        ((phase.unwrap_or_default(), *class), *count)
    });
    let places = (Phase::ALL.len()..).zip(&counts.after_signals);
    let after_signals = places.flat_map(|(interval, after)| {
        let resets = after.resets.iter();
        resets.map(move |(class, count)| ((interval, *class), *count))
    });
    of_phases.chain(after_signals)
}

/// Whether the first was the answer to what looked like the second.
fn is_answer(at: Timestamp, answer: &ResetSeen, other_at: Timestamp, other: &ResetSeen) -> bool {
    other.class.direction == Direction::Received
        && answer.class.direction == Direction::Sent
        && answer.class.mode != Mode::Active
        && other_at <= at
        && at.since(other_at) < ANSWER_MAX
        && answer.peer.is_some()
        && (answer.peer, answer.local_port) == (other.peer, other.local_port)
}
