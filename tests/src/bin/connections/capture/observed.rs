//! What a capture says of the moments of a termination.

use std::fmt;
use std::time::Duration;

use agent_core::connection::{Direction, Phase};
use agent_core::time::Timestamp;

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
    pub(super) fn around(&self, at: Timestamp) -> [Timestamp; 3] {
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
    /// Handshakes that the client completed when the listener was closed already: reset, and never a connection of the
    /// server's.
    pub(crate) too_late: u64,
    /// SYNs that were answered by one.
    pub(crate) refused: u64,
    /// Segments with RST from the server's side since T0 that did not answer a SYN: connections were reset.
    pub(crate) connections_reset: Range,
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
