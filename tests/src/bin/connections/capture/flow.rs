//! Connections, put together from segments, and what is to be known of them at the moments of a termination.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use agent_core::connection::{Direction, Phase};
use agent_core::time::Timestamp;

use super::Packet;

/// A number that the capture tells, or between which two it lies: what happened near an edge may count on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Range {
    pub(crate) const fn exactly(number: u64) -> Self {
        Self {
            least: number,
            most: number,
        }
    }

    pub(crate) const fn contains(self, number: u64) -> bool {
        self.least <= number && number <= self.most
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            write!(f, "{}", self.least)
        } else {
            write!(f, "{} to {}", self.least, self.most)
        }
    }
}

/// When the termination went from one phase to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges {
    /// T0.
    pub(crate) hook: Timestamp,
    /// The stop signal; SIGKILL if there was none.
    pub(crate) stopping: Timestamp,
    pub(crate) closing: Timestamp,
    /// How far the moment in which the server's kernel handles a segment may be from its time in the capture. 0 where
    /// nothing happens just before an edge or after it, but what the exit itself causes.
    pub(crate) slack: Duration,
}

impl Edges {
    /// The moments between which an edge may lie in the capture. The ends of time are where they are.
    fn around(&self, at: Timestamp) -> [Timestamp; 3] {
        let slack = match at.0 {
            0 | u64::MAX => 0,
            _ => u64::try_from(self.slack.as_nanos()).unwrap_or_default(),
        };
        [Timestamp(at.0 - slack), at, Timestamp(at.0 + slack)]
    }
}

/// What the capture says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Segments with RST from the server's side.
    pub(crate) sent: u64,
    /// And from the client's, for a connection.
    pub(crate) received: u64,
    /// Those from the client's for no connection: it used a port again, and its SYN met the server's memory of the
    /// connection before (TIME_WAIT), which answers as that one would (RFC 9293, 3.10.7.4); the client resets that, and its
    /// SYN comes again. Nothing is reset, and the kernel does not take it for a reset of a connection either.
    pub(crate) of_old: u64,
    /// SYNs that were answered by one.
    pub(crate) refused: u64,
    /// Handshakes completed after the stop signal.
    pub(crate) accepted_after: Range,
    /// Connections established at the stop signal, and at the exit.
    pub(crate) at_stop_signal: Range,
    pub(crate) at_exit: Range,
    /// Of those established before the exit, those whose first FIN came after the stop signal and before the exit.
    pub(crate) finished: Range,
    /// The last SYN refused or handshake completed after the stop signal.
    pub(crate) last_arrival_at: Option<Timestamp>,
    /// Resets by phase (in the order of [`Phase::ALL`]) and direction.
    pub(crate) by_phase: [[Range; 2]; 4],
}

impl Observed {
    pub(crate) fn resets(&self, phase: Phase, direction: Direction) -> Range {
        let index = Phase::ALL.iter().position(|one| *one == phase);
        let of_phase = index.and_then(|index| self.by_phase.get(index));
        let [sent, received] = of_phase.copied().unwrap_or_default();
        match direction {
            Direction::Sent => sent,
            Direction::Received => received,
        }
    }
}

/// One connection, or one attempt.
#[derive(Clone, Copy, Debug)]
struct Flow {
    sequence: u32,
    /// Whether the server's side began it.
    outgoing: bool,
    /// The last segment of a handshake that is not complete.
    answered: bool,
    established_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// The first FIN or RST.
    ended_at: Option<Timestamp>,
}

/// All connections of a capture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    flows: Vec<Flow>,
    resets: Vec<(Timestamp, Direction)>,
    refused: Vec<Timestamp>,
    of_old: u64,
}

impl Flows {
    /// From the segments for which `is_ours` tells the server's side by an address and port, of those that it knows.
    pub(crate) fn of(packets: &[Packet], is_ours: impl Fn(SocketAddr) -> bool) -> Self {
        let mut flows = Self::default();
        let mut open: HashMap<(SocketAddr, SocketAddr), Flow> = HashMap::new();
        for packet in packets {
            let (outward, pair) = match (is_ours(packet.from), is_ours(packet.to)) {
                (true, _) => (true, (packet.from, packet.to)),
                (false, true) => (false, (packet.to, packet.from)),
                (false, false) => continue,
            };
            if packet.syn && !packet.ack {
                let again = open
                    .get(&pair)
                    .is_some_and(|flow| flow.sequence == packet.sequence);
                if !again {
                    let begun = Flow {
                        sequence: packet.sequence,
                        outgoing: outward,
                        answered: false,
                        established_at: None,
                        finished_at: None,
                        ended_at: None,
                    };
                    flows.flows.extend(open.insert(pair, begun));
                }
                continue;
            }
            flows.follow(packet, outward, open.get_mut(&pair));
        }
        flows.flows.extend(open.into_values());
        flows
    }

    fn follow(&mut self, packet: &Packet, outward: bool, flow: Option<&mut Flow>) {
        let is_attempt = flow
            .as_ref()
            .is_some_and(|flow| !flow.answered && !flow.outgoing);
        if packet.rst && !outward && is_attempt {
            self.of_old += 1;
            return;
        }
        if packet.rst {
            let direction = if outward {
                Direction::Sent
            } else {
                Direction::Received
            };
            self.resets.push((packet.at, direction));
        }
        let Some(flow) = flow else { return };
        if packet.rst && outward && is_attempt {
            self.refused.push(packet.at);
            return;
        }
        if packet.syn {
            flow.answered = true;
        }
        // The server's kernel knows when the client's ACK arrives, or of its own connection when the SYN-ACK does.
        let completes = if flow.outgoing {
            packet.syn && !outward
        } else {
            flow.answered && !outward && !packet.rst
        };
        if completes {
            flow.established_at.get_or_insert(packet.at);
        }
        if packet.fin {
            flow.finished_at.get_or_insert(packet.at);
        }
        if packet.fin || packet.rst {
            flow.ended_at.get_or_insert(packet.at);
        }
    }

    /// What the capture says of a termination with these edges.
    pub(crate) fn observed(&self, edges: Edges) -> Observed {
        let count = |direction| {
            let resets = self.resets.iter().filter(|reset| reset.1 == direction);
            resets.count() as u64
        };
        Observed {
            sent: count(Direction::Sent),
            received: count(Direction::Received),
            of_old: self.of_old,
            refused: self.refused.len() as u64,
            accepted_after: self.ranged(
                |flow, [before, _]| {
                    !flow.outgoing && flow.established_at.is_some_and(|at| at > before)
                },
                edges,
            ),
            at_stop_signal: self.ranged(|flow, [stop, _]| flow.is_open(stop), edges),
            at_exit: self.ranged(|flow, [_, exit]| flow.is_open(exit), edges),
            finished: self.ranged(
                |flow, [stop, exit]| {
                    flow.established_at.is_some()
                        && flow.finished_at == flow.ended_at
                        && flow.finished_at.is_some_and(|at| stop < at && at <= exit)
                },
                edges,
            ),
            last_arrival_at: self.last_arrival(edges.hook),
            by_phase: Phase::ALL.map(|phase| {
                [Direction::Sent, Direction::Received]
                    .map(|direction| self.resets_in(phase, direction, edges))
            }),
        }
    }

    /// How many flows are so, with the edges moved to and fro.
    fn ranged(&self, holds: impl Fn(&Flow, [Timestamp; 2]) -> bool, edges: Edges) -> Range {
        let mut range = Range {
            least: u64::MAX,
            most: 0,
        };
        for stop in edges.around(edges.stopping) {
            for exit in edges.around(edges.closing) {
                let count = self
                    .flows
                    .iter()
                    .filter(|flow| holds(flow, [stop, exit]))
                    .count() as u64;
                range.least = range.least.min(count);
                range.most = range.most.max(count);
            }
        }
        range
    }

    fn resets_in(&self, phase: Phase, direction: Direction, edges: Edges) -> Range {
        let (from, to) = match phase {
            Phase::Running => (Timestamp(0), edges.hook),
            Phase::Hook => (edges.hook, edges.stopping),
            Phase::Stopping => (edges.stopping, edges.closing),
            Phase::Closing => (edges.closing, Timestamp(u64::MAX)),
        };
        let count = |from: Timestamp, to: Timestamp| {
            let resets = self.resets.iter();
            resets
                .filter(|(at, one)| *one == direction && from < *at && *at <= to)
                .count() as u64
        };
        let ([from_first, _, from_last], [to_first, _, to_last]) =
            (edges.around(from), edges.around(to));
        if from == to {
            return Range::default();
        }
        Range {
            least: count(from_last, to_first),
            most: count(from_first, to_last),
        }
    }

    fn last_arrival(&self, since: Timestamp) -> Option<Timestamp> {
        let accepted = self
            .flows
            .iter()
            .filter(|flow| !flow.outgoing)
            .filter_map(|flow| flow.established_at);
        accepted
            .chain(self.refused.iter().copied())
            .filter(|at| *at > since)
            .max()
    }
}

impl Flow {
    fn is_open(&self, at: Timestamp) -> bool {
        self.established_at.is_some_and(|since| since <= at)
            && self.ended_at.is_none_or(|ended| ended > at)
    }
}
