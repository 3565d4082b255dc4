//! What may happen so many times at once, and in the long run once in each interval. One number in a map's value is all that has
//! to be known: when all of it may be used again, in nanoseconds of `CLOCK_BOOTTIME`.

use crate::phase::now;

/// How much of it is used up at this moment.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    whole_at: *mut u64,
    /// What is used is added to this time, which is not in the past.
    from: u64,
    used: u64,
}

impl Level {
    /// # Safety
    ///
    /// `whole_at` must point to a `u64` in a map's value.
    #[inline(always)]
    pub(crate) unsafe fn of(whole_at: *mut u64) -> Self {
        let now = now();
        // SAFETY: the caller's promise.
        let before = unsafe { whole_at.read_volatile() };
        let from = if before > now { before } else { now };
        Self {
            whole_at,
            from,
            used: from - now,
        }
    }

    /// The time until all of it may be used again: an interval for each that was used.
    #[inline(always)]
    pub(crate) fn used(self) -> u64 {
        self.used
    }

    /// Uses up one if fewer than so many are used up. Says whether it did.
    #[inline(always)]
    pub(crate) fn take(self, burst: u64, interval: u64) -> bool {
        let has_room = self.used < burst * interval;
        if has_room {
            self.spend(interval);
        }
        has_room
    }

    /// Uses up one. Of several at once one may go uncounted: then there is one or two more.
    #[inline(always)]
    pub(crate) fn spend(self, interval: u64) {
        // SAFETY: what the caller of `of` promised.
        unsafe { self.whole_at.write_volatile(self.from + interval) }
    }
}
