//! What was told of one container's connections: how often what happened since it is tracked, and the resets of its
//! termination one by one. It takes out what belongs to one termination, and what nobody was told of yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::connection::{
    Direction, Mode, Phase, PhaseCounts, ResetClass, ResetCount, ResetSeen, SocketCounts,
};
use crate::time::Timestamp;

/// Resets that are kept one by one: as many as the kernel side records of a termination.
const MARKS_MAX: usize = 32;
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
    pub(crate) fn named(&self, class: &ResetClass<u32>) -> ResetClass<String> {
        let name = |number: u32| match self.0.get(&number) {
            Some(name) => name.clone(),
            None => format!("reason_{number}"),
        };
        ResetClass {
            phase: class.phase,
            direction: class.direction,
            mode: class.mode,
            scope: class.scope,
            reason: class.reason.map(name),
        }
    }
}

/// What was told of a container's connections.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// The counts as they were told last.
    newest: Option<SocketCounts>,
    /// What of them belongs to terminations before: only the phases of a termination, the running one goes on.
    before: SocketCounts,
    /// Whether the next counts end what belongs to before.
    parting: bool,
    /// The counts of this termination, from when another process took the place of the main one.
    settled: Option<SocketCounts>,
    /// The highest count of each class of resets.
    highest: BTreeMap<ResetClass<u32>, u64>,
    /// Resets that no output told of yet.
    untold: BTreeMap<ResetClass<u32>, u64>,
    /// Resets of a termination, by time.
    marks: Vec<(Timestamp, ResetSeen)>,
}

impl Sockets {
    /// Takes in counts, which go on from those before unless the container was tracked anew.
    pub(crate) fn take(&mut self, counts: SocketCounts) {
        let anew = self
            .newest
            .as_ref()
            .is_some_and(|newest| fell(newest, &counts));
        if anew {
            self.before = SocketCounts::default();
            self.highest.clear();
        }
        for (class, count) in &counts.resets {
            let highest = self.highest.entry(*class).or_default();
            if count > highest {
                let untold = self.untold.entry(*class).or_default();
                *untold = untold.saturating_add(count - *highest);
                *highest = *count;
            }
        }
        if self.parting {
            self.parting = false;
            self.before = counts.clone();
        }
        self.newest = Some(counts);
    }

    /// Takes in one reset. Where data comes for a connection that was closed, the kernel calls it a reset received and then
    /// sends one: that is one.
    pub(crate) fn mark(&mut self, at: Timestamp, reset: &ResetSeen) {
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

    /// What the counts say of the termination that is open; none if they were not told yet.
    pub(crate) fn of_termination(&self) -> Option<SocketCounts> {
        let newest = self.newest.as_ref()?;
        Some(match &self.settled {
            Some(settled) => settled.clone(),
            None => since(newest, &self.before),
        })
    }

    /// Resets of the termination that is open, by time.
    pub(crate) fn marks(&self) -> &[(Timestamp, ResetSeen)] {
        &self.marks
    }

    /// A new process took over: what is counted from here on is no part of the termination.
    pub(crate) fn settle(&mut self) {
        if self.settled.is_none() {
            self.settled = self.of_termination();
        }
    }

    /// What began was no termination, or it is over. What the next counts hold belongs to it.
    pub(crate) fn part(&mut self) {
        self.parting = true;
        self.settled = None;
        self.marks.clear();
    }

    /// A termination begins. If no counts came since the last one, those that came last have to part the two.
    pub(crate) fn begin(&mut self) {
        self.settled = None;
        if std::mem::take(&mut self.parting)
            && let Some(newest) = &self.newest
        {
            self.before = newest.clone();
        }
    }

    /// The resets that no output told of, which this one does.
    pub(crate) fn tell(&mut self, reasons: &Reasons) -> Vec<ResetCount> {
        let untold = std::mem::take(&mut self.untold).into_iter();
        untold
            .map(|(class, count)| ResetCount {
                class: reasons.named(&class),
                count,
            })
            .collect()
    }

    /// Whether there are resets that no output told of.
    pub(crate) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Whether there are so many that they cannot wait any more.
    pub(crate) fn has_too_many_untold(&self) -> bool {
        self.untold.len() >= UNTOLD_MAX
    }
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

fn resets_of(counts: &SocketCounts, class: &ResetClass<u32>) -> u64 {
    let mut same = counts.resets.iter().filter(|(other, _)| other == class);
    same.next().map_or(0, |(_, count)| *count)
}

/// Whether a number is smaller than it was. Those of resets are not asked: the kernel side takes one back where the
/// kernel calls a reset of its own one that it received.
fn fell(last: &SocketCounts, next: &SocketCounts) -> bool {
    let phases = last.phases.iter().zip(&next.phases);
    let mut numbers = phases.flat_map(|(last, next)| numbers(last).into_iter().zip(numbers(next)));
    numbers.any(|(last, next)| next < last)
}

const fn numbers(counts: &PhaseCounts) -> [u64; 8] {
    let PhaseCounts {
        accepted,
        connected,
        finished,
        cut,
        refused,
        refused_in_pod,
        accepted_from_node,
        refused_from_node,
    } = *counts;
    [
        accepted,
        connected,
        finished,
        cut,
        refused,
        refused_in_pod,
        accepted_from_node,
        refused_from_node,
    ]
}

const fn less(counts: &PhaseCounts, before: &PhaseCounts) -> PhaseCounts {
    let [
        accepted,
        connected,
        finished,
        cut,
        refused,
        refused_in_pod,
        accepted_from_node,
        refused_from_node,
    ] = numbers(before);
    PhaseCounts {
        accepted: counts.accepted.saturating_sub(accepted),
        connected: counts.connected.saturating_sub(connected),
        finished: counts.finished.saturating_sub(finished),
        cut: counts.cut.saturating_sub(cut),
        refused: counts.refused.saturating_sub(refused),
        refused_in_pod: counts.refused_in_pod.saturating_sub(refused_in_pod),
        accepted_from_node: counts.accepted_from_node.saturating_sub(accepted_from_node),
        refused_from_node: counts.refused_from_node.saturating_sub(refused_from_node),
    }
}

/// What was counted since `before`, but for the running phase, which no termination begins anew.
fn since(newest: &SocketCounts, before: &SocketCounts) -> SocketCounts {
    let mut counts = newest.clone();
    let phases = Phase::ALL.into_iter().zip(&mut counts.phases);
    for ((phase, counts), before) in phases.zip(&before.phases) {
        if phase != Phase::Running {
            *counts = less(counts, before);
        }
    }
    for (class, count) in &mut counts.resets {
        if class.phase != Phase::Running {
            *count = count.saturating_sub(resets_of(before, class));
        }
    }
    counts.resets.retain(|(_, count)| *count > 0);
    counts
}
