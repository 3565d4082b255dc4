//! To which phase each interval belongs that the kernel side counted in. It begins a new one at every signal from outside;
//! which of them was the stop signal is known when all is over. Pure.

use std::time::Duration;

use crate::connection::{Phase, SocketCounts};
use crate::time::Timestamp;

/// Intervals: the phases, and one for each place of a signal.
pub(super) const INTERVALS: usize = agent_common::socket::INTERVALS;

/// How long after its interval began a signal's record may be stamped: both are done in one run of one program, which
/// only the machine below the kernel can interrupt.
const STAMP_MAX: Duration = Duration::from_millis(10);

/// The times of a termination that part its phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edges {
    /// Its beginning, at the earliest.
    pub(crate) began_at: Timestamp,
    /// What began [`Phase::Stopping`], if anything did.
    pub(crate) stop: Option<Stop>,
}

/// The stop signal, or SIGKILL if there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) at: Timestamp,
    pub(crate) kind: StopKind,
}

/// What the kernel side makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopKind {
    /// It came from outside, and began an interval.
    FromOutside,
    /// A signal from inside: it began none, and is told of when user space knows it.
    FromInside,
    /// A SIGKILL from inside: it began none, and the exit follows at once.
    KillFromInside,
}

/// The phase of each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement([Phase; INTERVALS]);

impl Placement {
    /// None if it cannot be told: the stop signal has no interval of its own, and should have.
    pub(super) fn derive(
        counts: &SocketCounts,
        edges: &Edges,
        void_until: Timestamp,
    ) -> Option<Self> {
        let begun = Begun::from_counts(counts, void_until);
        let stop = match edges.stop {
            Some(stop) if stop.kind == StopKind::FromOutside => begun.of_stop(stop.at, void_until),
            // What user space told is not heard of after another signal, which may count.
            Some(stop) if stop.kind == StopKind::FromInside && begun.has_before(stop.at) => {
                Beginning::Unknown
            }
            Some(_) | None => Beginning::None,
        };
        if stop == Beginning::Unknown {
            return None;
        }
        let phase = |since: Timestamp| {
            if matches!(stop, Beginning::At(stop) if since >= stop) {
                Phase::Stopping
            } else if since >= edges.began_at {
                Phase::Hook
            } else {
                Phase::Running
            }
        };
        let mut placement = Self::supposed();
        let of_signals = begun.signals.iter().copied();
        let mut intervals = [None, None, begun.stopping, None]
            .into_iter()
            .chain(of_signals);
        for place in &mut placement.0 {
            if let Some(since) = intervals.next().flatten() {
                *place = phase(since);
            }
        }
        Some(placement)
    }

    /// As the kernel side supposes, where nothing else is known: that other signals than those that stop mean nothing.
    pub(super) fn supposed() -> Self {
        let mut placement = [Phase::Running; INTERVALS];
        for (place, phase) in placement.iter_mut().zip(Phase::ALL) {
            *place = phase;
        }
        Self(placement)
    }

    /// The phase of the interval with this number.
    pub(super) fn phase_of_interval(self, interval: usize) -> Phase {
        self.0.get(interval).copied().unwrap_or_default()
    }
}

/// When the interval of the stop signal began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    At(Timestamp),
    /// The kernel side began none, since it did not know the main process yet, or the signal came from inside. What it was
    /// told then is as good as it gets.
    None,
    /// It cannot be told: there was no place for it, or it was taken for one that stopped nothing.
    Unknown,
}

/// When the intervals began that the kernel side began by itself and that are not void.
#[derive(Debug)]
struct Begun<'a> {
    stopping: Option<Timestamp>,
    signals: Vec<Option<Timestamp>>,
    counts: &'a SocketCounts,
}

impl<'a> Begun<'a> {
    fn from_counts(counts: &'a SocketCounts, void_until: Timestamp) -> Self {
        let valid = |at: Option<Timestamp>| at.filter(|at| *at > void_until);
        let signals = counts.after_signals.iter();
        Self {
            stopping: valid(counts.stopping_since),
            signals: signals.map(|after| valid(after.since)).collect(),
            counts,
        }
    }

    fn has_before(&self, at: Timestamp) -> bool {
        let all = self.signals.iter().copied().chain([self.stopping]);
        all.flatten().any(|since| since <= at)
    }

    fn of_stop(&self, at: Timestamp, void_until: Timestamp) -> Beginning {
        let all = self.signals.iter().copied().chain([self.stopping]);
        let since = all.flatten().filter(|since| *since <= at).max();
        let unplaced = self.counts.unplaced_at;
        let is_lost = unplaced.is_some_and(|unplaced| unplaced <= at);
        let is_void = !self.counts.after_signals.is_empty() && at <= void_until;
        match since {
            Some(since) if at.since(since) <= STAMP_MAX => Beginning::At(since),
            None if !is_lost && !is_void => Beginning::None,
            Some(_) | None => Beginning::Unknown,
        }
    }
}
