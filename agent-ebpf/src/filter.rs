//! Who is tracked: the maps that say it, and the questions that the programs ask of them.

use core::cell::UnsafeCell;

use agent_common::map::{
    BY_KERNEL, FullMap, SLOTS, SUBJECTS_MAX, Subject, UNTOLD, WATCHED_MAX, Watched,
};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray};

use crate::globals::{TASK_REAL_PARENT, TASK_TGID};
use crate::kernel::BtfPtr;
use crate::share::Held;
use crate::{counter, network, share};

#[map]
static SUBJECTS: HashMap<u64, Subject> = HashMap::with_max_entries(SUBJECTS_MAX, 0);
#[map]
static WATCHED: HashMap<u32, Watched> = HashMap::with_max_entries(WATCHED_MAX, 0);
#[map]
static MAP_FULL: PerCpuArray<u64> = PerCpuArray::with_max_entries(FullMap::ALL.len() as u32, 0);

/// What `agent_common::map::SUBJECT_SLOTS` describes.
#[unsafe(link_section = ".bss.subjects")]
static SUBJECT_SLOTS: Slots<u8> = Slots::new(0);
/// What `agent_common::map::CHILD_SLOTS` describes.
#[unsafe(link_section = ".bss.children")]
static CHILD_SLOTS: Slots<u64> = Slots::new(0);

/// A number for each slot, in memory that others write to.
#[repr(transparent)]
struct Slots<T>(UnsafeCell<[T; SLOTS as usize]>);

// SAFETY: every access is a volatile read of one element or an atomic addition to it.
unsafe impl<T> Sync for Slots<T> {}

impl<T: Copy> Slots<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new([value; SLOTS as usize]))
    }

    #[inline(always)]
    fn of(&self, cgroup: u64) -> *mut T {
        let slot = cgroup & u64::from(SLOTS - 1);
        // SAFETY: the slot is inside the array, and the verifier sees the mask.
        unsafe { self.0.get().cast::<T>().add(slot as usize) }
    }

    #[inline(always)]
    fn read(&self, cgroup: u64) -> T {
        // SAFETY: a valid element; see the promise of `Sync`.
        unsafe { self.of(cgroup).read_volatile() }
    }
}

/// The kernel's `E2BIG`: the hash has no room.
pub(crate) const NO_ROOM: i32 = -7;

/// Whether a cgroup may be tracked: false for nearly every cgroup of a machine, at the cost of two
/// loads and without a call. It is the first question of every program.
#[inline(always)]
pub(crate) fn may_be_tracked(cgroup: u64) -> bool {
    SUBJECT_SLOTS.read(cgroup) != 0 || CHILD_SLOTS.read(cgroup) != 0
}

/// What is said of a cgroup, if it is tracked.
#[inline(always)]
pub(crate) fn subject(cgroup: u64) -> Option<Subject> {
    entry(cgroup).filter(|subject| subject.by_kernel != UNTOLD)
}

/// The entry of a cgroup, whether it is tracked or would be if user space knew of it.
#[inline(always)]
pub(crate) fn entry(cgroup: u64) -> Option<Subject> {
    if !may_be_tracked(cgroup) {
        return None;
    }
    // SAFETY: the value is copied at once. A container that is removed in that instant may yield
    // the value of another one; both are containers that are tracked or were a moment ago.
    unsafe { SUBJECTS.get(cgroup) }.copied()
}

/// The container that a cgroup belongs to; 0 if it is not tracked.
#[inline(always)]
pub(crate) fn container(cgroup: u64) -> u64 {
    subject(cgroup).map_or(0, |subject| subject.container)
}

/// The container that a cgroup belongs to and the outermost one that it is in; 0 and 0 if it is not tracked. Both at once are
/// numbers that the verifier knows, whichever of them is looked at first.
#[inline(always)]
pub(crate) fn place(cgroup: u64) -> (u64, u64) {
    subject(cgroup).map_or((0, 0), |subject| (subject.container, subject.outermost))
}

/// The outermost container that a cgroup is in; 0 if it is not tracked.
#[inline(always)]
pub(crate) fn outermost(cgroup: u64) -> u64 {
    place(cgroup).1
}

/// Makes a cgroup that appeared in this one part of the container that this one is in, if it is in one and user space has not done
/// so.
#[inline(always)]
pub(crate) fn adopt(cgroup: u64, parent: u64) {
    let Some(parent) = subject(parent) else {
        return;
    };
    if !share::has_room(parent.outermost, Held::Cgroups) {
        share::note_lost(parent.outermost);
        return;
    }
    let child = Subject {
        by_kernel: BY_KERNEL,
        ..parent
    };
    put(cgroup, child);
}

/// Puts in a cgroup that has just appeared, if user space has not done so. Says whether it did.
#[inline(always)]
pub(crate) fn put(cgroup: u64, subject: Subject) -> bool {
    match SUBJECTS.insert(cgroup, subject, u64::from(BPF_NOEXIST)) {
        Ok(()) => {
            // SAFETY: a `u64` in the value of the section's map.
            unsafe { counter::add(CHILD_SLOTS.of(cgroup), 1) }
            share::count(subject.outermost, Held::Cgroups, 1);
            true
        }
        Err(NO_ROOM) => {
            count_full(FullMap::Subjects);
            false
        }
        Err(_already_there) => false,
    }
}

/// Says anew by whom a cgroup was put in.
#[inline(always)]
pub(crate) fn set_owner(cgroup: u64, by_kernel: u64) {
    if let Some(subject) = SUBJECTS.get_ptr_mut(cgroup) {
        // SAFETY: the map handed out this pointer to its value.
        unsafe { (&raw mut (*subject).by_kernel).write_volatile(by_kernel) }
    }
}

/// Undoes [`put`] for a cgroup that is gone. What user space put in, it takes out.
#[inline(always)]
pub(crate) fn disown(cgroup: u64, subject: Subject) {
    if subject.by_kernel != 0 && SUBJECTS.remove(cgroup).is_ok() {
        uncount(cgroup, subject.outermost);
    }
}

/// A cgroup that the kernel side put in is not there any more.
#[inline(always)]
pub(crate) fn uncount(cgroup: u64, outermost: u64) {
    // SAFETY: a `u64` in the value of the section's map.
    unsafe { counter::add(CHILD_SLOTS.of(cgroup), u64::MAX) }
    share::count(outermost, Held::Cgroups, -1);
}

/// Whether a process is watched as one of this container.
#[inline(always)]
fn is_watched(tgid: u32, container: u64) -> bool {
    // SAFETY: the value is copied at once; see `subject`.
    unsafe { WATCHED.get(tgid) }.is_some_and(|watched| watched.container == container)
}

/// Takes note that a signal is in the queue of a watched process. The kernel must hold the process's `siglock`.
#[inline(always)]
pub(crate) fn note_queued(tgid: u32, signal: u32) {
    if let Some(watched) = WATCHED.get_ptr_mut(tgid) {
        // SAFETY: the map handed out this pointer to its value, and the lock keeps others from changing the member.
        unsafe {
            let queued = &raw mut (*watched).queued;
            queued.write_volatile(queued.read_volatile() | bit(signal));
        }
    }
}

/// Takes the note back. Says whether there was one, for a process that is watched as one of this container. The kernel must
/// hold the process's `siglock`.
#[inline(always)]
pub(crate) fn take_queued(tgid: u32, container: u64, signal: u32) -> bool {
    let Some(watched) = WATCHED.get_ptr_mut(tgid) else {
        return false;
    };
    // SAFETY: as in `note_queued`.
    unsafe {
        let queued = &raw mut (*watched).queued;
        let before = queued.read_volatile();
        if (*watched).container != container || before & bit(signal) == 0 {
            return false;
        }
        queued.write_volatile(before & !bit(signal));
    }
    true
}

/// Whether the process's real parent is in no cgroup of the container.
#[inline(always)]
pub(crate) fn is_from_outside(task: BtfPtr, container: u64) -> bool {
    let parent = task.follow(&TASK_REAL_PARENT).task_cgroup_id();
    self::container(parent) != container
}

/// Watches the process if it is one that came into the container from outside. Says whether it is
/// watched.
#[inline(always)]
pub(crate) fn watch_if_from_outside(task: BtfPtr, subject: Subject) -> bool {
    let container = subject.container;
    let tgid = task.load(&TASK_TGID);
    if !is_watched(tgid, container) {
        if !is_from_outside(task, container) {
            return false;
        }
        if !watch(tgid, subject) {
            share::note_lost(subject.outermost);
            return false;
        }
    }
    network::remember(task, subject);
    true
}

/// Watches a process as one of this container. Says whether there is room.
#[inline(always)]
fn watch(tgid: u32, subject: Subject) -> bool {
    if !share::has_room(subject.outermost, Held::Processes) {
        return false;
    }
    // A process of the same number, which is gone, may still be in the hash.
    unwatch(tgid, 0);
    let watched = Watched {
        container: subject.container,
        outermost: subject.outermost,
        queued: 0,
    };
    if WATCHED.insert(tgid, watched, 0) == Err(NO_ROOM) {
        count_full(FullMap::Watched);
        return false;
    }
    share::count(subject.outermost, Held::Processes, 1);
    true
}

/// Counts an insertion that found a hash full.
#[inline(always)]
pub(crate) fn count_full(full: FullMap) {
    counter::count(&MAP_FULL, full as u32);
}

/// Forgets a process, whichever container it was watched in. Says whether it was this one; of
/// several callers only one is told so.
#[inline(always)]
pub(crate) fn unwatch(tgid: u32, container: u64) -> bool {
    // SAFETY: the value is copied at once; see `subject`.
    let watched = unsafe { WATCHED.get(tgid) }.copied();
    let Some(watched) = watched else {
        return false;
    };
    if WATCHED.remove(tgid).is_err() {
        return false;
    }
    if watched.outermost != 0 {
        share::count(watched.outermost, Held::Processes, -1);
    }
    watched.container == container
}

/// Whether a mask has the signal, a number from 1 to 64.
#[inline(always)]
pub(crate) fn has_signal(mask: u64, signal: u32) -> bool {
    let bit = signal.wrapping_sub(1);
    bit < u64::BITS && mask >> bit & 1 == 1
}

/// The bit of a signal, a number from 1 to 64.
#[inline(always)]
fn bit(signal: u32) -> u64 {
    1 << (signal.wrapping_sub(1) % u64::BITS)
}
