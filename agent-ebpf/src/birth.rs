//! Containers that are tracked from the moment their cgroup is made: where a container is, its siblings come.
//!
//! User space learns of a new cgroup a moment later than its first process, and much later on a busy machine. So it
//! names the parents of the containers that it knows, and a cgroup that is made in one of these is tracked at once. If
//! user space finds that it is none of its subjects, it says so, and no entry remains.

use agent_common::map::{
    BY_KERNEL, NAMES_ANY, NAMES_CONTAINERS, NAMES_UNITS, PARENTS_MAX, Parent, Subject,
    UNCOUNTED_MAX, UNTOLD, Uncounted,
};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray, Queue};

use crate::globals::{CGROUP_KN, KERNFS_NAME};
use crate::kernel::{Address, BtfPtr};
use crate::place::{Made, Where};
use crate::share::Held;
use crate::{counter, filter, place, share, signal};

#[map]
static PARENTS: HashMap<u64, Parent> = HashMap::with_max_entries(PARENTS_MAX, 0);
#[map]
static UNCOUNTED: Queue<Uncounted> = Queue::with_max_entries(UNCOUNTED_MAX, 0);
#[map]
static UNTOLD_ENDS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Digits of the id that every runtime gives its containers, which their cgroups' names hold.
const ID_DIGITS: u64 = 64;
/// Bytes of a name that are looked at; the units and ids in question are shorter.
const NAME_SIZE: usize = 128;
/// How many slots are put right at each new container: more than one is made wrong by.
const UNCOUNTED_AT_ONCE: u32 = 4;

/// Begins to track a new cgroup if its parent holds containers and its name may be that of one. Until [`confirm`] it
/// counts as not tracked.
#[inline(always)]
pub(crate) fn track_new(cgroup: BtfPtr, id: u64, parent: u64, place: Where) -> bool {
    // SAFETY: the value is copied at once.
    let Some(parent) = unsafe { PARENTS.get(parent) }.copied() else {
        return false;
    };
    // What is made inside a container is part of it, unless a runtime made it for a container.
    let names = match place {
        Where::Inside(_) => parent.names & NAMES_CONTAINERS,
        Where::Outside(_) => parent.names,
    };
    if !has_likely_name(cgroup, names) {
        return false;
    }
    // What is beyond the share is left to user space to find, as what is made where no containers are expected.
    if let Where::Outside(place) = place
        && !place::take(place, Made::Container)
    {
        return false;
    }
    drain_uncounted();
    let outermost = if parent.outermost == 0 {
        id
    } else {
        parent.outermost
    };
    if !share::has_room(outermost, Held::Cgroups) {
        return false;
    }
    let subject = Subject {
        container: id,
        outermost,
        signals: parent.signals,
        begins: parent.begins,
        by_kernel: UNTOLD,
    };
    filter::put(id, subject)
}

/// The record that tells of the new cgroup has its place: from now on it is tracked.
#[inline(always)]
pub(crate) fn confirm(id: u64) {
    let is_outermost = filter::entry(id).is_some_and(|subject| subject.outermost == id);
    if is_outermost && !share::begin(id) {
        return;
    }
    if signal::begin_counts(id) {
        filter::set_owner(id, BY_KERNEL);
    }
}

/// A cgroup is gone. If nobody ever knew of it, that is counted. Says so.
#[inline(always)]
pub(crate) fn forget_unconfirmed(id: u64, subject: Subject) -> bool {
    if subject.by_kernel != UNTOLD {
        return false;
    }
    filter::disown(id, subject);
    counter::count(&UNTOLD_ENDS, 0);
    true
}

/// A cgroup is gone, and nothing can be made in it any more.
#[inline(always)]
pub(crate) fn forget_parent(id: u64) {
    let _removed = PARENTS.remove(id);
}

/// Takes back what is counted of cgroups that user space took out of the map: only the kernel side writes there.
#[inline(always)]
fn drain_uncounted() {
    for _slot in 0..UNCOUNTED_AT_ONCE {
        let Ok(Some(Uncounted { cgroup, outermost })) = UNCOUNTED.pop() else {
            return;
        };
        filter::uncount(cgroup, outermost);
    }
}

/// Whether the cgroup's name is of one of these kinds.
#[inline(always)]
fn has_likely_name(cgroup: BtfPtr, names: u64) -> bool {
    if names & NAMES_ANY != 0 {
        return true;
    }
    let name: u64 = cgroup.follow(&CGROUP_KN).address().read(&KERNFS_NAME);
    let mut copy = [0_u8; NAME_SIZE];
    // SAFETY: the buffer has this size; the helper checks the address.
    let copied = unsafe {
        bpf_probe_read_kernel_str(copy.as_mut_ptr().cast(), NAME_SIZE as u32, name as *const _)
    };
    // The helper counts the NUL; negative if the name cannot be read.
    let length = if copied > 0 { copied as u64 - 1 } else { 0 };
    if names & NAMES_CONTAINERS != 0 && length >= ID_DIGITS {
        return true;
    }
    names & NAMES_UNITS != 0 && is_unit(Address(name), length)
}

/// Whether systemd would call a service or a scope so.
#[inline(always)]
fn is_unit(name: Address, length: u64) -> bool {
    const SERVICE: u64 = u64::from_ne_bytes(*b".service");
    const SCOPE: u32 = u32::from_ne_bytes(*b"cope");
    const DOT: u16 = u16::from_ne_bytes(*b".s");
    if length <= 8 {
        return length > 6 && ends_in_scope(name, length, DOT, SCOPE);
    }
    name.plus(length - 8).get::<u64>() == SERVICE || ends_in_scope(name, length, DOT, SCOPE)
}

#[inline(always)]
fn ends_in_scope(name: Address, length: u64, first: u16, rest: u32) -> bool {
    name.plus(length - 6).get::<u16>() == first && name.plus(length - 4).get::<u32>() == rest
}
