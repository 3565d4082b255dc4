//! The boot clock, read by the processes themselves: the clock that the agent's times are checked against.

use std::fmt;
use std::time::Duration;

use agent_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_BOOTTIME` now.
pub fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Timestamp(seconds * 1_000_000_000 + nanos)
}

/// A moment known to lie between two readings of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Read before it.
    pub before: Timestamp,
    /// Read after it.
    pub after: Timestamp,
}

impl Span {
    /// Whether `at` can be that moment.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.before <= at && at <= self.after
    }

    /// How far the readings lie apart.
    pub fn width(&self) -> Duration {
        self.after.since(self.before)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} to {} ({:?})",
            self.before.0,
            self.after.0,
            self.width()
        )
    }
}
