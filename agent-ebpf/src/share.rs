//! What one container may take from the others: each outermost container, with all that is in it, has a share of the
//! records, of the cgroups that are tracked, of the processes that are watched, of the kinds of resets and of the networks.
//!
//! What is about a container, and what it may have caused itself, is taken from its share. What is beyond the share is
//! counted as lost for this container, and there is room for the others.

use agent_common::map::{
    ALL, CGROUPS_OF_KERNEL, CGROUPS_OF_SHARE, Full, NETWORKS_BURST, NETWORKS_INTERVAL_NS,
    RECORDS_AT_LEAST, RECORDS_BURST, RECORDS_INTERVAL_NS, RESETS_OF_SHARE, SHARES_MAX, Share,
    WATCHED_MAX, WATCHED_OF_SHARE,
};
use aya_ebpf::bindings::{BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray, RingBuf};

use crate::phase::now;
use crate::{counter, filter};

#[map]
static SHARES: HashMap<u64, Share> = HashMap::with_max_entries(SHARES_MAX, 0);
#[map]
static UNATTRIBUTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Processes that the kernel side watches for all of them together, so that there is room for those of user space.
const WATCHED_OF_KERNEL: i64 = WATCHED_MAX as i64 / 4 * 3;

/// Gives an outermost container its share, if it has none yet. Says whether it has one.
#[inline(always)]
pub(crate) fn begin(outermost: u64) -> bool {
    let none = Share::default();
    let result = SHARES.insert(outermost, none, u64::from(BPF_NOEXIST));
    if result == Err(filter::NO_ROOM) {
        filter::count_full(Full::Share);
        return false;
    }
    true
}

/// Whether there may be one more record of what this outermost container causes, which is taken from its share then.
///
/// Who has taken little may always. The fuller the ring buffer is, the less one may have taken, so that many that take
/// much together leave room, too.
#[inline(always)]
pub(crate) fn take_record(outermost: u64, ring: &RingBuf) -> bool {
    let Some(share) = SHARES.get_ptr_mut(outermost) else {
        return true;
    };
    let now = now();
    // SAFETY: the map handed out this pointer to its value. Of several at once one may go uncounted.
    unsafe {
        let whole_at = &raw mut (*share).whole_at;
        let before = whole_at.read_volatile();
        let from = if before > now { before } else { now };
        let taken = (from - now) / RECORDS_INTERVAL_NS;
        if taken >= RECORDS_AT_LEAST && !has_room(taken, ring) {
            return false;
        }
        whole_at.write_volatile(from + RECORDS_INTERVAL_NS);
    }
    true
}

#[inline(always)]
fn has_room(taken: u64, ring: &RingBuf) -> bool {
    let size = ring.query(u64::from(BPF_RB_RING_SIZE));
    let unread = ring.query(u64::from(BPF_RB_AVAIL_DATA));
    let free = size.saturating_sub(unread);
    taken < RECORDS_BURST && taken * size < RECORDS_BURST * free
}

/// Something is not told of an outermost container.
#[inline(always)]
pub(crate) fn note_lost(outermost: u64) {
    match SHARES.get_ptr_mut(outermost) {
        // SAFETY: the map handed out this pointer to its value.
        Some(share) => unsafe { counter::add(&raw mut (*share).lost, 1) },
        None => counter::count(&UNATTRIBUTED, 0),
    }
}

/// Whether one more cgroup may be tracked for an outermost container, beside those that user space has tracked.
#[inline(always)]
pub(crate) fn has_room_for_cgroup(outermost: u64) -> bool {
    let (own, all) = (cgroups(outermost), cgroups(ALL));
    is_below(own, CGROUPS_OF_SHARE) && is_below(all, CGROUPS_OF_KERNEL)
}

/// Takes note of a cgroup that the kernel side put in for an outermost container, or took out.
#[inline(always)]
pub(crate) fn count_cgroup(outermost: u64, change: i64) {
    change_by(cgroups(outermost), change);
    change_by(cgroups(ALL), change);
}

/// Whether one more process may be watched for an outermost container, beside those that user space has watched.
#[inline(always)]
pub(crate) fn has_room_for_process(outermost: u64) -> bool {
    let (own, all) = (watched(outermost), watched(ALL));
    is_below(own, WATCHED_OF_SHARE) && is_below(all, WATCHED_OF_KERNEL)
}

/// Takes note of a process that the kernel side watches for an outermost container, or does not watch any more.
#[inline(always)]
pub(crate) fn count_process(outermost: u64, change: i64) {
    change_by(watched(outermost), change);
    change_by(watched(ALL), change);
}

/// Whether one more kind of resets may be counted for an outermost container.
#[inline(always)]
pub(crate) fn has_room_for_reset(outermost: u64) -> bool {
    is_below(resets(outermost), RESETS_OF_SHARE)
}

/// Takes note of kinds of resets that are counted for an outermost container from now on, or are not any more.
#[inline(always)]
pub(crate) fn count_resets(outermost: u64, change: i64) {
    change_by(resets(outermost), change);
}

/// Whether one more network may be remembered for an outermost container, which is taken from its share then.
#[inline(always)]
pub(crate) fn take_network(outermost: u64) -> bool {
    let Some(share) = SHARES.get_ptr_mut(outermost) else {
        return true;
    };
    let now = now();
    // SAFETY: the map handed out this pointer to its value. Of several at once one may go uncounted.
    unsafe {
        let whole_at = &raw mut (*share).networks_whole_at;
        let before = whole_at.read_volatile();
        let from = if before > now { before } else { now };
        if from - now >= NETWORKS_BURST * NETWORKS_INTERVAL_NS {
            return false;
        }
        whole_at.write_volatile(from + NETWORKS_INTERVAL_NS);
    }
    true
}

#[inline(always)]
fn cgroups(outermost: u64) -> Option<*mut i64> {
    let share = SHARES.get_ptr_mut(outermost)?;
    // SAFETY: the map handed out this pointer to its value.
    Some(unsafe { &raw mut (*share).cgroups })
}

#[inline(always)]
fn watched(outermost: u64) -> Option<*mut i64> {
    let share = SHARES.get_ptr_mut(outermost)?;
    // SAFETY: the map handed out this pointer to its value.
    Some(unsafe { &raw mut (*share).watched })
}

#[inline(always)]
fn resets(outermost: u64) -> Option<*mut i64> {
    let share = SHARES.get_ptr_mut(outermost)?;
    // SAFETY: the map handed out this pointer to its value.
    Some(unsafe { &raw mut (*share).resets })
}

#[inline(always)]
fn is_below(count: Option<*mut i64>, max: i64) -> bool {
    // SAFETY: a pointer into the map's value.
    count.is_none_or(|count| unsafe { count.read_volatile() } < max)
}

#[inline(always)]
fn change_by(count: Option<*mut i64>, change: i64) {
    if let Some(count) = count {
        // SAFETY: eight bytes in the map's value; an addition is the same with and without a sign.
        unsafe { counter::add(count.cast(), change.cast_unsigned()) }
    }
}
