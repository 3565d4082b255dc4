//! Who came since the beginning of a termination: clients, or scrapers and health checks, which go on asking whoever
//! is there. Pure.
//!
//! A scraper asks the pod itself, at a regular interval, whatever the endpoints say; no preStop sleep is for it. Who came
//! often enough tells by the times. Who came too seldom for that is a client if the port is one that clients come to. Else it
//! is unclear, and nothing certain is said.

use std::time::Duration;

use super::Origin;
use crate::connection::{Peer, PeerCounts, Phase, Poller, SocketCounts};
use crate::time::Timestamp;

/// Arrivals whose times show whether they are regular: three intervals.
const ARRIVALS_MIN: usize = 4;

/// Nobody scrapes or checks more often; whoever comes faster asks for something.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// By which part of it an interval may differ: on a busy machine a timer is late.
const TOLERANCE: u32 = 10;

/// Of so many intervals one may be another: a check was missed, or came twice.
const OUTLIER_IN: usize = 6;

/// How many came since T0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    /// Refused, in whatever phase.
    pub(crate) refused: u64,
    /// Accepted after the stop signal.
    pub(crate) accepted_after: u64,
}

/// Who came since T0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals {
    /// At a regular interval.
    pub(crate) pollers: Vec<Poller>,
    /// All but the pollers.
    pub(crate) others: Came,
    /// Of the others, those that are clients for sure.
    pub(crate) clients: Came,
    /// When the last one came that was none of a poller.
    pub(crate) last_at: Option<Timestamp>,
    /// When the last one came that was one of a client for sure, as far as that is known.
    pub(crate) last_of_clients_at: Option<Timestamp>,
    /// Peers that are unclear.
    pub(crate) unclear: usize,
}

/// What a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Poller(Duration),
    Client,
    Unclear,
}

/// A peer, and how often it came since T0.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    peer: &'a Peer,
    kind: Kind,
    accepted: u64,
    came: Came,
}

impl Arrivals {
    pub(super) fn from_counts(counts: &SocketCounts, origin: Origin, began_at: Timestamp) -> Self {
        let all = Came {
            refused: origin.refused(&super::in_shutdown(counts)),
            accepted_after: origin.accepted(&super::after_stop(counts)),
        };
        let last_at = origin.last_arrival_at(counts);
        if counts.peers.is_empty() {
            // Nobody told who they were; so they count as clients, which they mostly are.
            return Self {
                others: all,
                clients: all,
                last_at,
                last_of_clients_at: last_at,
                ..Self::default()
            };
        }
        let counted = counts.peers.iter().filter(|peer| origin.counts(peer));
        let peers = told_apart(counted.map(Seen::from_peer).collect(), all);
        Self::sum_peers(&peers, all, last_at, began_at)
    }

    fn sum_peers(
        peers: &[Seen<'_>],
        all: Came,
        last_at: Option<Timestamp>,
        began_at: Timestamp,
    ) -> Self {
        let came_of = |kind: fn(Kind) -> bool| {
            let such = peers.iter().filter(|seen| kind(seen.kind));
            such.fold(Came::default(), |sum, seen| sum.plus(seen.came))
        };
        let last_of = |kind: fn(Kind) -> bool| {
            let such = peers.iter().filter(|seen| kind(seen.kind));
            let last = such
                .filter_map(|seen| seen.peer.arrivals.last().copied())
                .max();
            last.filter(|at| *at >= began_at)
        };
        let is_poller = |kind| matches!(kind, Kind::Poller(_));
        let others = all.minus(came_of(is_poller));
        // Whoever came last and is none of them gave its place away.
        let is_of = |kind: fn(Kind) -> bool| last_at.is_some() && last_of(kind) == last_at;
        let last_of_clients = last_of(|kind| kind == Kind::Client);
        let is_unclear = |kind| kind == Kind::Unclear;
        Self {
            pollers: peers.iter().filter_map(Seen::as_poller).collect(),
            others,
            clients: others.minus(came_of(is_unclear)),
            last_at: if is_of(is_poller) {
                last_of(|kind| !matches!(kind, Kind::Poller(_)))
            } else {
                last_at
            },
            last_of_clients_at: if is_of(is_poller) || is_of(is_unclear) {
                last_of_clients
            } else {
                last_at
            },
            unclear: peers
                .iter()
                .filter(|seen| is_unclear(seen.kind) && seen.has_come())
                .count(),
        }
    }
}

/// Those who came too seldom are clients if the port is one of clients, or if so many came that not all are known.
fn told_apart(mut peers: Vec<Seen<'_>>, all: Came) -> Vec<Seen<'_>> {
    let known = peers
        .iter()
        .fold(Came::default(), |sum, seen| sum.plus(seen.came));
    let some_unknown = all != all.at_most(known);
    let is_client = |seen: &&Seen<'_>| seen.kind == Kind::Client;
    let ports: Vec<u16> = peers
        .iter()
        .filter(is_client)
        .map(|seen| seen.peer.port)
        .collect();
    for seen in &mut peers {
        if seen.kind == Kind::Unclear && (some_unknown || ports.contains(&seen.peer.port)) {
            seen.kind = Kind::Client;
        }
    }
    peers
}

impl<'a> Seen<'a> {
    fn from_peer(peer: &'a Peer) -> Self {
        let kind = match interval(&peer.arrivals) {
            Some(every) => Kind::Poller(every),
            None if peer.arrivals.len() >= ARRIVALS_MIN => Kind::Client,
            None => Kind::Unclear,
        };
        let in_phases = |phases: &[Phase], number: fn(&PeerCounts) -> u64| {
            let all = Phase::ALL.iter().zip(&peer.counts);
            all.filter(|(phase, _)| phases.contains(phase))
                .map(|(_, counts)| number(counts))
                .sum()
        };
        let shutdown = [Phase::Hook, Phase::Stopping, Phase::Closing];
        Self {
            peer,
            kind,
            accepted: in_phases(&shutdown, |counts| counts.accepted),
            came: Came {
                refused: in_phases(&shutdown, |counts| counts.refused),
                accepted_after: in_phases(&[Phase::Stopping, Phase::Closing], |counts| {
                    counts.accepted
                }),
            },
        }
    }

    const fn has_come(&self) -> bool {
        self.accepted > 0 || self.came.refused > 0
    }

    /// None if it is none, or did not come since T0.
    fn as_poller(&self) -> Option<Poller> {
        let Kind::Poller(every) = self.kind else {
            return None;
        };
        self.has_come().then_some(Poller {
            address: self.peer.address,
            port: self.peer.port,
            every,
            accepted: self.accepted,
            refused: self.came.refused,
        })
    }
}

/// The interval at which somebody comes, if it is a regular one.
fn interval(arrivals: &[Timestamp]) -> Option<Duration> {
    if arrivals.len() < ARRIVALS_MIN {
        return None;
    }
    let pairs = arrivals.iter().zip(arrivals.iter().skip(1));
    let mut intervals: Vec<Duration> = pairs.map(|(one, next)| next.since(*one)).collect();
    intervals.sort_unstable();
    let median = *intervals.get(intervals.len() / 2)?;
    let differs = |one: &&Duration| one.abs_diff(median) > median / TOLERANCE;
    let outliers = intervals.iter().filter(differs).count();
    (median >= INTERVAL_MIN && outliers <= intervals.len() / OUTLIER_IN).then_some(median)
}

impl Came {
    const fn plus(self, other: Self) -> Self {
        Self {
            refused: self.refused.saturating_add(other.refused),
            accepted_after: self.accepted_after.saturating_add(other.accepted_after),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            refused: self.refused.saturating_sub(other.refused),
            accepted_after: self.accepted_after.saturating_sub(other.accepted_after),
        }
    }

    fn at_most(self, other: Self) -> Self {
        Self {
            refused: self.refused.min(other.refused),
            accepted_after: self.accepted_after.min(other.accepted_after),
        }
    }
}
