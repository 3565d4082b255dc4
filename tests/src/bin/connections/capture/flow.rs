//! Connections, put together from segments.

use std::collections::HashMap;
use std::net::SocketAddr;

use agent_core::connection::{Direction, Phase};
use agent_core::time::Timestamp;

use super::Packet;
use super::observed::{Edges, Observed, Range};

/// One connection, or one attempt.
#[derive(Clone, Copy, Debug)]
struct Flow {
    sequence: u32,
    /// Whether the server's side began it.
    outgoing: bool,
    /// Whether a SYN-ACK was sent.
    answered: bool,
    /// Whether the server's side has sent anything but SYN-ACK and RST.
    spoke: bool,
    established_at: Option<Timestamp>,
    /// A reset that was the first that the server's side sent on it: if it follows at once, the listener was closed while the
    /// handshake was being completed, and the connection may never have been established.
    cut_short_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// The first FIN or RST.
    ended_at: Option<Timestamp>,
}

/// All connections of a capture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    all: Vec<Flow>,
    resets: Vec<(Timestamp, Direction)>,
    refused: Vec<Timestamp>,
    of_old: u64,
    too_late: u64,
}

impl Flows {
    /// From the segments for which `is_ours` tells the server's side by an address and port, of those that it knows.
    pub(crate) fn from_packets(packets: &[Packet], is_ours: impl Fn(SocketAddr) -> bool) -> Self {
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
                        spoke: false,
                        established_at: None,
                        cut_short_at: None,
                        finished_at: None,
                        ended_at: None,
                    };
                    flows.all.extend(open.insert(pair, begun));
                }
                continue;
            }
            flows.follow(packet, outward, open.get_mut(&pair));
        }
        flows.all.extend(open.into_values());
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
        } else if outward && !packet.rst {
            flow.spoke = true;
        }
        if packet.rst && outward && !packet.ack && !flow.spoke && !flow.outgoing {
            // It answers the ACK that would have completed the handshake: the listener was closed in between, and with it
            // went the attempt. An active reset carries an ACK, and before any other the server's side has spoken.
            flow.established_at = None;
            self.too_late += 1;
            return;
        }
        // The server's kernel knows when the client's ACK arrives, or of its own connection when the SYN-ACK does.
        let completes = if flow.outgoing {
            packet.syn && !outward
        } else {
            flow.answered && !outward && !packet.rst && flow.ended_at.is_none()
        };
        if completes {
            flow.established_at.get_or_insert(packet.at);
        }
        if packet.rst && outward && !flow.spoke {
            flow.cut_short_at.get_or_insert(packet.at);
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
            too_late: self.too_late,
            refused: self.refused.len() as u64,
            connections_reset: self.connections_reset(edges),
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
                    .all
                    .iter()
                    .filter(|flow| holds(flow, [stop, exit]))
                    .count() as u64;
                let uncertain = self
                    .all
                    .iter()
                    .filter(|flow| flow.is_uncertain(edges) && holds(flow, [stop, exit]))
                    .count() as u64;
                range.least = range.least.min(count - uncertain);
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

    fn connections_reset(&self, edges: Edges) -> Range {
        let [early, _, late] = edges.around(edges.hook).map(|since| {
            let sent = self
                .resets
                .iter()
                .filter(|(at, direction)| *direction == Direction::Sent && *at > since)
                .count();
            let refused = self.refused.iter().filter(|at| **at > since).count();
            (sent - refused) as u64
        });
        // The earlier it begins, the more there are.
        Range {
            least: late,
            most: early,
        }
    }

    fn last_arrival(&self, since: Timestamp) -> Option<Timestamp> {
        let accepted = self
            .all
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
    fn is_uncertain(&self, edges: Edges) -> bool {
        let between = self.established_at.zip(self.cut_short_at);
        between.is_some_and(|(since, cut)| cut.since(since) < edges.slack)
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.established_at.is_some_and(|since| since <= at)
            && self.ended_at.is_none_or(|ended| ended > at)
    }
}

#[cfg(test)]
mod tests;
