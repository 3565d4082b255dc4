//! How many records a container may cause that its own processes decide about: a few at once, and one a second on the long
//! run. What is beyond that is counted.

use agent_common::map::{BUDGET_BURST, BUDGET_INTERVAL_NS, Budget, SignalCounts};

use crate::bucket::Level;
use crate::counter;

/// Whether there may be one more; if not, that is counted.
#[inline(always)]
pub(crate) fn has_room(counts: *mut SignalCounts, budget: Budget) -> bool {
    let has_room = level(counts, budget).used() <= (BUDGET_BURST - 1) * BUDGET_INTERVAL_NS;
    if !has_room {
        // SAFETY: the map handed out this pointer to its value, and the budget is an index into the array.
        unsafe {
            let unrecorded = (&raw mut (*counts).unrecorded).cast::<u64>();
            counter::add(unrecorded.add(budget as usize), 1);
        }
    }
    has_room
}

/// Uses up one.
#[inline(always)]
pub(crate) fn spend(counts: *mut SignalCounts, budget: Budget) {
    level(counts, budget).spend(BUDGET_INTERVAL_NS);
}

/// Uses up one if there is one.
#[inline(always)]
pub(crate) fn take(counts: *mut SignalCounts, budget: Budget) -> bool {
    let has_room = has_room(counts, budget);
    if has_room {
        spend(counts, budget);
    }
    has_room
}

#[inline(always)]
fn level(counts: *mut SignalCounts, budget: Budget) -> Level {
    // SAFETY: the map handed out this pointer to its value, and the budget is an index into the array.
    unsafe {
        let whole_at = (&raw mut (*counts).whole_at).cast::<u64>();
        Level::of(whole_at.add(budget as usize))
    }
}
