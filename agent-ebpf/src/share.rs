//! What one container may take from the others: each outermost container, with all that is in it, has a share of the
//! records, of the cgroups that are tracked, of the processes that are watched, of the kinds of resets and of the networks.
//!
//! What is about a container, and what it may have caused itself, is taken from its share. What is beyond the share is
//! counted as lost for this container, and there is room for the others.

use agent_common::map::{
    ALL, CGROUPS_OF_KERNEL, CGROUPS_OF_SHARE, FullMap, IDLE_CLOSES_BURST, IDLE_CLOSES_INTERVAL_NS,
    LISTENERS_BURST, LISTENERS_INTERVAL_NS, NETWORKS_BURST, NETWORKS_INTERVAL_NS, RECORDS_AT_LEAST,
    RECORDS_BURST, RECORDS_INTERVAL_NS, RESETS_OF_SHARE, SHARES_MAX, Share, WATCHED_OF_KERNEL,
    WATCHED_OF_SHARE,
};
use aya_ebpf::bindings::{BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray, RingBuf};

use crate::bucket::Level;
use crate::{counter, filter};

#[map]
static SHARES: HashMap<u64, Share> = HashMap::with_max_entries(SHARES_MAX, 0);
#[map]
static UNATTRIBUTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Is charged for what concerns no container, or what has been charged elsewhere. [`ALL`] has the same key, and is never charged for
/// records.
pub(crate) const NOBODY: u64 = 0;

/// Who caused what a record is of. Each has its own part of the share, so that an outermost container cannot use up what tells how
/// somebody outside stops it, and somebody outside cannot use up what tells what happens in it.
#[derive(Clone, Copy)]
pub(crate) enum Cause {
    /// Perhaps the outermost container itself.
    Inside = 0,
    /// Somebody outside of it.
    Outside = 1,
}

impl Cause {
    /// Where a signal, an exit or a change of a cgroup comes from.
    #[inline(always)]
    pub(crate) fn outside_if(is_from_outside: bool) -> Self {
        if is_from_outside {
            Self::Outside
        } else {
            Self::Inside
        }
    }
}

/// What is held for an outermost container in the tables of all, beside what user space puts there.
#[derive(Clone, Copy)]
pub(crate) enum Held {
    /// Cgroups that are tracked.
    Cgroups,
    /// Processes that are watched.
    Processes,
    /// Kinds of resets that are counted.
    Resets,
}

/// Gives an outermost container its share, if it has none yet. Says whether it has one.
#[inline(always)]
pub(crate) fn begin(outermost: u64) -> bool {
    let none = Share::default();
    let result = SHARES.insert(outermost, none, u64::from(BPF_NOEXIST));
    if result == Err(filter::NO_ROOM) {
        filter::count_full(FullMap::Share);
        return false;
    }
    true
}

/// Whether there may be one more record about this outermost container, which is taken from its share then. What is charged to
/// nobody may always.
///
/// Who has taken little may always. The fuller the ring buffer is, the less one may have taken, so that many that take
/// much together leave room, too.
#[inline(always)]
pub(crate) fn take_record(outermost: u64, cause: Cause, ring: &RingBuf) -> bool {
    if outermost == NOBODY {
        return true;
    }
    let Some(share) = SHARES.get_ptr_mut(outermost) else {
        return true;
    };
    // SAFETY: the map handed out this pointer to its value.
    let level = unsafe {
        Level::of(match cause {
            Cause::Inside => &raw mut (*share).whole_at,
            Cause::Outside => &raw mut (*share).from_outside_whole_at,
        })
    };
    let taken = level.used() / RECORDS_INTERVAL_NS;
    if taken >= RECORDS_AT_LEAST && !leaves_room(taken, ring) {
        return false;
    }
    level.spend(RECORDS_INTERVAL_NS);
    true
}

#[inline(always)]
fn leaves_room(taken: u64, ring: &RingBuf) -> bool {
    let size = ring.query(u64::from(BPF_RB_RING_SIZE));
    let unread = ring.query(u64::from(BPF_RB_AVAIL_DATA));
    let free = size.saturating_sub(unread);
    taken < RECORDS_BURST && taken * size < RECORDS_BURST * free
}

/// What is remembered for an outermost container in a table in which the oldest entry of all gives way.
#[derive(Clone, Copy)]
pub(crate) enum Remembered {
    /// Networks that belong to containers.
    Network,
    /// Ports that were listened on.
    Listener,
    /// Idle connections that were closed.
    IdleClose,
}

/// Whether one more of these may be remembered for an outermost container, which is taken from its share then.
#[inline(always)]
pub(crate) fn take(outermost: u64, remembered: Remembered) -> bool {
    let Some(share) = SHARES.get_ptr_mut(outermost) else {
        return true;
    };
    // SAFETY: the map handed out this pointer to its value.
    let (whole_at, burst, interval) = unsafe {
        match remembered {
            Remembered::Network => (
                &raw mut (*share).networks_whole_at,
                NETWORKS_BURST,
                NETWORKS_INTERVAL_NS,
            ),
            Remembered::Listener => (
                &raw mut (*share).listeners_whole_at,
                LISTENERS_BURST,
                LISTENERS_INTERVAL_NS,
            ),
            Remembered::IdleClose => (
                &raw mut (*share).idle_closes_whole_at,
                IDLE_CLOSES_BURST,
                IDLE_CLOSES_INTERVAL_NS,
            ),
        }
    };
    // SAFETY: a pointer into the map's value.
    let level = unsafe { Level::of(whole_at) };
    level.take(burst, interval)
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

/// Whether one more may be held for an outermost container; if not, that is counted.
#[inline(always)]
pub(crate) fn has_room(outermost: u64, held: Held) -> bool {
    let (own_max, all_max) = match held {
        Held::Cgroups => (CGROUPS_OF_SHARE, CGROUPS_OF_KERNEL),
        Held::Processes => (WATCHED_OF_SHARE, WATCHED_OF_KERNEL),
        // User space puts none in.
        Held::Resets => (RESETS_OF_SHARE, i64::MAX),
    };
    let has_room = is_below(outermost, held, own_max) && is_below(ALL, held, all_max);
    if !has_room {
        filter::count_full(FullMap::Share);
    }
    has_room
}

/// Takes note of so many more that are held for an outermost container, or fewer.
#[inline(always)]
pub(crate) fn count(outermost: u64, held: Held, change: i64) {
    for key in [outermost, ALL] {
        if let Some(number) = number(key, held) {
            // SAFETY: eight bytes in the map's value; an addition is the same with and without a sign.
            unsafe { counter::add(number.cast(), change.cast_unsigned()) }
        }
    }
}

#[inline(always)]
fn is_below(key: u64, held: Held, max: i64) -> bool {
    // SAFETY: a pointer into the map's value.
    number(key, held).is_none_or(|number| unsafe { number.read_volatile() } < max)
}

#[inline(always)]
fn number(key: u64, held: Held) -> Option<*mut i64> {
    let share = SHARES.get_ptr_mut(key)?;
    // SAFETY: the map handed out this pointer to its value.
    Some(unsafe {
        match held {
            Held::Cgroups => &raw mut (*share).cgroups,
            Held::Processes => &raw mut (*share).watched,
            Held::Resets => &raw mut (*share).resets,
        }
    })
}
