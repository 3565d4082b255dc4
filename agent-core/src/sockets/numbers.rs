//! Arithmetic on counts: what was added since others, and what intervals come to by phase.

use std::collections::BTreeMap;

use super::of_phase;
use super::placement::Placement;
use crate::connection::{
    AfterSignal, BySide, Peer, PeerCounts, Phase, PhaseCounts, ResetClass, SocketCounts,
};

/// Both together.
pub(super) fn add_counts(one: &PhaseCounts, other: &PhaseCounts) -> PhaseCounts {
    combine_counts(one, other, u64::saturating_add)
}

/// What is more in the first.
pub(super) fn subtract_counts(counts: &PhaseCounts, before: &PhaseCounts) -> PhaseCounts {
    combine_counts(counts, before, u64::saturating_sub)
}

fn combine_counts(one: &PhaseCounts, other: &PhaseCounts, of: fn(u64, u64) -> u64) -> PhaseCounts {
    PhaseCounts {
        accepted: of(one.accepted, other.accepted),
        connected: of(one.connected, other.connected),
        finished: of(one.finished, other.finished),
        cut: of(one.cut, other.cut),
        refused: of(one.refused, other.refused),
        refused_in_pod: of(one.refused_in_pod, other.refused_in_pod),
        accepted_from_node: of(one.accepted_from_node, other.accepted_from_node),
        refused_from_node: of(one.refused_from_node, other.refused_from_node),
        by_side: match (one.by_side, other.by_side) {
            (None, None) => None,
            (one, other) => Some(combine_sides(
                one.unwrap_or_default(),
                other.unwrap_or_default(),
                of,
            )),
        },
    }
}

fn combine_sides(one: BySide, other: BySide, of: fn(u64, u64) -> u64) -> BySide {
    BySide {
        finished_initiated: of(one.finished_initiated, other.finished_initiated),
        cut_initiated: of(one.cut_initiated, other.cut_initiated),
        aborted: of(one.aborted, other.aborted),
        aborted_half_closed: of(one.aborted_half_closed, other.aborted_half_closed),
        aborted_initiated: of(one.aborted_initiated, other.aborted_initiated),
    }
}

/// Whether a number is smaller than it was. Those of resets are not asked: the kernel side takes one back where the
/// kernel calls a reset of its own one that it received.
pub(super) fn has_decreased(last: &SocketCounts, next: &SocketCounts) -> bool {
    let signals = last.after_signals.len() > next.after_signals.len();
    let after = |counts: &SocketCounts| -> Vec<PhaseCounts> {
        let after = counts.after_signals.iter().map(|after| after.counts);
        counts.phases.into_iter().chain(after).collect()
    };
    let (last, next) = (after(last), after(next));
    let mut pairs = last.iter().zip(&next);
    signals || pairs.any(|(last, next)| subtract_counts(last, next) != zero_counts(next))
}

/// Zeros, of the same form.
fn zero_counts(counts: &PhaseCounts) -> PhaseCounts {
    PhaseCounts {
        by_side: counts.by_side.map(|_| BySide::default()),
        ..PhaseCounts::default()
    }
}

/// What was counted since `before`, but for the running phase, which no termination begins anew.
pub(super) fn counts_since(newest: &SocketCounts, before: &SocketCounts) -> SocketCounts {
    let mut counts = newest.clone();
    let phases = Phase::ALL.into_iter().zip(&mut counts.phases);
    for ((phase, counts), before) in phases.zip(&before.phases) {
        if phase != Phase::Running {
            *counts = subtract_counts(counts, before);
        }
    }
    resets_since(&mut counts.resets, &before.resets);
    let after_signals = counts.after_signals.iter_mut();
    for (after, before) in after_signals.zip(&before.after_signals) {
        after.counts = subtract_counts(&after.counts, &before.counts);
        resets_since(&mut after.resets, &before.resets);
    }
    for peer in &mut counts.peers {
        let same = |other: &&Peer| (other.address, other.port) == (peer.address, peer.port);
        if let Some(before) = before.peers.iter().find(same) {
            peer_since(peer, before);
        }
    }
    counts
}

fn resets_since(resets: &mut Vec<(ResetClass<u32>, u64)>, before: &[(ResetClass<u32>, u64)]) {
    for (class, count) in resets.iter_mut() {
        let mut same = before.iter().filter(|(other, _)| other == class);
        if class.phase != Phase::Running {
            *count = count.saturating_sub(same.next().map_or(0, |(_, count)| *count));
        }
    }
    resets.retain(|(_, count)| *count > 0);
}

/// One that gave its place away and came again is counted anew.
fn peer_since(peer: &mut Peer, before: &Peer) {
    let both = peer.counts.iter().zip(&before.counts);
    let goes_on = both
        .clone()
        .all(|(now, before)| now.accepted >= before.accepted && now.refused >= before.refused);
    if goes_on {
        let less = |(now, before): (&PeerCounts, &PeerCounts)| PeerCounts {
            accepted: now.accepted - before.accepted,
            refused: now.refused - before.refused,
        };
        peer.counts = both.map(less).collect();
    }
}

/// The counts by phase, with what was counted after signals where it belongs, and what is known of before.
pub(super) fn in_place(
    counts: &SocketCounts,
    placement: Placement,
    ran: &SocketCounts,
) -> SocketCounts {
    let mut phases = [PhaseCounts::default(); Phase::ALL.len()];
    let mut resets: BTreeMap<ResetClass<u32>, u64> = BTreeMap::new();
    let mut put = |phase: Phase, counts: &PhaseCounts| {
        let all = Phase::ALL.into_iter().zip(&mut phases);
        for (_, place) in all.filter(|(other, _)| *other == phase) {
            *place = add_counts(place, counts);
        }
    };
    let after = counts.after_signals.iter();
    let intervals = counts.phases.iter().chain(after.map(|after| &after.counts));
    for (interval, counts) in intervals.enumerate() {
        put(placement.phase_of_interval(interval), counts);
    }
    let [running, ..] = &ran.phases;
    put(Phase::Running, running);
    for ((interval, class), count) in super::placed(counts) {
        let placed = of_phase(&class, placement.phase_of_interval(interval));
        *resets.entry(placed).or_default() += count;
    }
    for (class, count) in &ran.resets {
        *resets.entry(*class).or_default() += count;
    }
    let mut peers = counts.peers.clone();
    for peer in &mut peers {
        peer.counts = by_phase(&peer.counts, placement);
    }
    SocketCounts {
        phases,
        resets: resets.into_iter().collect(),
        after_signals: Vec::<AfterSignal>::new(),
        peers,
        ..counts.clone()
    }
}

fn by_phase(counts: &[PeerCounts], placement: Placement) -> Vec<PeerCounts> {
    let sum = |phase: Phase| {
        let intervals = counts.iter().enumerate();
        let its = intervals.filter(|(interval, _)| placement.phase_of_interval(*interval) == phase);
        its.fold(PeerCounts::default(), |sum, (_, one)| PeerCounts {
            accepted: sum.accepted.saturating_add(one.accepted),
            refused: sum.refused.saturating_add(one.refused),
        })
    };
    Phase::ALL.map(sum).to_vec()
}
