//! What a case was made to do, in the words of the report.

use std::fmt::Write as _;

use agent_core::connection::{Direction, Mode, Phase, ResetClass, Scope, Side};

/// A class of resets, and how many.
pub(crate) type Counted = (ResetClass<&'static str>, u64);

/// What a case was made to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) resets: Vec<Counted>,
    pub(crate) refused: u64,
    /// Of these, those that are the pod's.
    pub(crate) refused_in_pod: u64,
    pub(crate) accepted_after: u64,
    pub(crate) at_stop_signal: u64,
    pub(crate) at_exit: u64,
    pub(crate) finished: u64,
}

/// Resets that the container's side sent, of connections that it had accepted.
pub(crate) const fn resets_sent(
    phase: Phase,
    mode: Mode,
    reason: &'static str,
    count: u64,
) -> Counted {
    let class = ResetClass {
        phase,
        direction: Direction::Sent,
        mode,
        scope: Scope::Container,
        side: Side::Accepted,
        idle_closed: false,
        reason: Some(reason),
    };
    (class, count)
}

/// The same of connections that it had established itself.
pub(crate) const fn initiated((class, count): Counted) -> Counted {
    let class = ResetClass {
        side: Side::Initiated,
        ..class
    };
    (class, count)
}

/// The same for data that came when it had closed the idle connection.
pub(crate) const fn idle_closed((class, count): Counted) -> Counted {
    let class = ResetClass {
        idle_closed: true,
        ..class
    };
    (class, count)
}

/// Resets of attempts at a port at which nobody in the pod had listened.
pub(crate) const fn refused_in_pod(phase: Phase, count: u64) -> Counted {
    let (class, count) = refused(phase, count);
    let class = ResetClass {
        scope: Scope::Pod,
        side: Side::Unknown,
        ..class
    };
    (class, count)
}

/// Resets of attempts at a port that the container had listened on.
pub(crate) const fn refused(phase: Phase, count: u64) -> Counted {
    resets_sent(phase, Mode::Passive, "no_socket", count)
}

/// Resets that came from the peer.
pub(crate) const fn received(phase: Phase, count: u64) -> Counted {
    let class = ResetClass {
        phase,
        direction: Direction::Received,
        mode: Mode::Unknown,
        scope: Scope::Container,
        side: Side::Accepted,
        idle_closed: false,
        reason: None,
    };
    (class, count)
}

impl Expected {
    /// How many resets there are in this direction.
    pub(crate) fn resets(&self, direction: Direction) -> u64 {
        let all = self.resets.iter();
        all.filter(|(class, _)| class.direction == direction)
            .map(|(_, count)| count)
            .sum()
    }

    /// Each class of resets as a report has it, sorted.
    pub(crate) fn classes(&self) -> Vec<(ResetClass<String>, u64)> {
        let all = self.resets.iter();
        let mut classes: Vec<_> = all
            .map(|(class, count)| (to_owned_class(class), *count))
            .collect();
        classes.sort();
        classes
    }
}

fn to_owned_class(class: &ResetClass<&str>) -> ResetClass<String> {
    ResetClass {
        phase: class.phase,
        direction: class.direction,
        mode: class.mode,
        scope: class.scope,
        side: class.side,
        idle_closed: class.idle_closed,
        reason: class.reason.map(str::to_owned),
    }
}

/// A class in words.
pub(crate) fn describe_class(class: &ResetClass<String>) -> String {
    let mut words = format!("{:?} {:?}", class.phase, class.direction);
    if class.mode != Mode::Unknown {
        write!(words, " {:?}", class.mode).ok();
    }
    words = words.to_lowercase();
    if class.scope == Scope::Pod {
        words.push_str(" scope=pod");
    }
    if class.side == Side::Initiated {
        words.push_str(" own");
    }
    if let Some(reason) = &class.reason {
        words.push(' ');
        words.push_str(reason);
    }
    if class.idle_closed {
        words.push_str(" closed idle");
    }
    words
}
