//! The only reader of `CLOCK_BOOTTIME`, the clock of the kernel's records, and the only place where it
//! meets the wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The time now, on the clock of the records.
pub fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Timestamp(
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds),
    )
}

/// The wall clock's reading, in seconds since 1970, for others to compare with theirs.
pub fn wall_clock() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// The wall clock's reading, in nanoseconds since 1970, at the boot clock's zero. Add a [`Timestamp`] to
/// get a date; it moves when somebody sets the wall clock, so it is for display and never for durations.
pub fn wall_at_boot() -> u64 {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let at_boot = wall.saturating_sub(Duration::from_nanos(now().0));
    u64::try_from(at_boot.as_nanos()).unwrap_or(u64::MAX)
}
