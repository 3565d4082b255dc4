//! How many records a container may cause that its own processes decide about: a few at once, and one a second on the long
//! run. What is beyond that is counted.

use agent_common::map::{BUDGET_BURST, BUDGET_INTERVAL_NS, Budget, SignalCounts};
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;

use crate::counter;

/// Whether there may be one more; if not, that is counted.
#[inline(always)]
pub(crate) fn has_room(counts: *mut SignalCounts, budget: Budget) -> bool {
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: the map handed out this pointer to its value, and the budget is an index into both arrays.
    unsafe {
        let whole_at = whole_at(counts, budget).read_volatile();
        let has_room = whole_at <= now + (BUDGET_BURST - 1) * BUDGET_INTERVAL_NS;
        if !has_room {
            let unrecorded = (&raw mut (*counts).unrecorded).cast::<u64>();
            counter::add(unrecorded.add(budget as usize), 1);
        }
        has_room
    }
}

/// Uses up one. Of several at once one may go uncounted: then there is a record or two more.
#[inline(always)]
pub(crate) fn spend(counts: *mut SignalCounts, budget: Budget) {
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: as in `has_room`.
    unsafe {
        let whole_at = whole_at(counts, budget);
        let before = whole_at.read_volatile();
        let from = if before > now { before } else { now };
        whole_at.write_volatile(from + BUDGET_INTERVAL_NS);
    }
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

/// # Safety
///
/// `counts` must point to a value of the map.
#[inline(always)]
unsafe fn whole_at(counts: *mut SignalCounts, budget: Budget) -> *mut u64 {
    // SAFETY: the caller's promise; the budget is an index into the array.
    unsafe {
        (&raw mut (*counts).whole_at)
            .cast::<u64>()
            .add(budget as usize)
    }
}
