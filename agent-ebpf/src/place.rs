//! What may be told of new cgroups outside of all containers: each place has its share, so that a user's session that makes cgroups
//! in a loop leaves room for the pods' cgroups.
//!
//! A place is at [`PLACE_LEVEL`].
//!
//! A cgroup for which its container had no room any more is not tracked, but it and what is made in it lie in the container
//! nevertheless.

use agent_common::map::{PLACE_LEVEL, PLACES_MAX, RECORDS_BURST, RECORDS_INTERVAL_NS};
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;

use crate::bucket::Level;
use crate::filter;
use crate::globals::CGROUP_LEVEL;
use crate::kernel::BtfPtr;

/// By the cgroup's id.
#[map]
static PLACES: LruHashMap<u64, Place> = LruHashMap::with_max_entries(PLACES_MAX, 0);

/// The level of a place; the root's is 0.
const LEVEL: i32 = PLACE_LEVEL as i32;
/// So many levels above a new cgroup are looked at. What lies deeper, in no container, counts for one place together.
const DEPTH_MAX: i32 = 16;
/// The id of this place; no cgroup has it.
const DEEP: u64 = 0;

/// When all that may be told at once of the new cgroups in a place may be told again.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Place {
    containers_whole_at: u64,
    others_whole_at: u64,
}

/// What a new cgroup is, by its name and by where it is made.
#[derive(Clone, Copy)]
pub(crate) enum Made {
    /// One that is likely to be a container's.
    Container,
    /// Any other.
    Other,
}

/// Where a new cgroup lies.
#[derive(Clone, Copy)]
pub(crate) enum Where {
    /// In a container, and so in this outermost one.
    Inside(u64),
    /// In this place, and in no container.
    Outside(u64),
}

/// Whether one more new cgroup of this place may be told of; then it is counted.
#[inline(always)]
pub(crate) fn take(id: u64, made: Made) -> bool {
    let Some(place) = PLACES.get_ptr_mut(id) else {
        // The first one is not counted.
        let _full = PLACES.insert(id, Place::default(), 0);
        return true;
    };
    // SAFETY: the map handed out this pointer to its value.
    let level = unsafe {
        Level::of(match made {
            Made::Container => &raw mut (*place).containers_whole_at,
            Made::Other => &raw mut (*place).others_whole_at,
        })
    };
    level.take(RECORDS_BURST, RECORDS_INTERVAL_NS)
}

/// In which container a new cgroup lies, or else its place: the cgroup above it at the place's level, or its parent if that is
/// nearer to the root.
#[inline(always)]
pub(crate) fn of(cgroup: BtfPtr) -> Where {
    let mut above = cgroup.cgroup_parent();
    let mut level = cgroup.load::<i32>(&CGROUP_LEVEL) - 1;
    let mut place = DEEP;
    for step in 0..DEPTH_MAX {
        let id = above.cgroup_id();
        let outermost = filter::outermost(id);
        if outermost != 0 {
            return Where::Inside(outermost);
        }
        if level == LEVEL || (step == 0 && level < LEVEL) {
            place = id;
        }
        if level <= 0 {
            break;
        }
        above = above.cgroup_parent();
        level -= 1;
    }
    Where::Outside(place)
}
