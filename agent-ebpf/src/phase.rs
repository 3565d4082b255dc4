//! Where in its life a container is: what the kernel side saw begin, and what user space knows.

use agent_common::socket::{CONTAINERS_MAX, Course, MARKS_MAX, Passage, Phase};
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;

use crate::counter;

#[map]
static PHASES: HashMap<u64, Passage> = HashMap::with_max_entries(CONTAINERS_MAX, 0);
#[map]
static COURSES: HashMap<u64, Course> = HashMap::with_max_entries(CONTAINERS_MAX, 0);

/// Begins a phase, if it is the container's main process that this happens to.
#[inline(always)]
pub(crate) fn begin(container: u64, tgid: u32, phase: Phase) {
    // SAFETY: the value is copied at once. Of a container that is removed in that instant nobody reads the phase.
    let course = unsafe { COURSES.get(container) }.copied();
    if course.is_none_or(|course| course.main != tgid) {
        return;
    }
    if let Some(passage) = PHASES.get_ptr_mut(container) {
        // SAFETY: the map handed out this pointer to its value, and the phase is an index into the array.
        unsafe {
            let began = (&raw mut (*passage).began).cast::<u8>();
            began.add(phase as usize).write_volatile(1);
        }
    }
}

/// The phase of a container as the number of a [`Phase`]: the later one of both sides'.
#[inline(always)]
pub(crate) fn of(container: u64) -> u32 {
    // SAFETY: the value is copied at once; see `begin`.
    let passage = unsafe { PHASES.get(container) }.copied();
    let [_, _, stopping, closing] = passage.map_or([0; _], |passage| passage.began);
    // SAFETY: the same.
    let course = unsafe { COURSES.get(container) }.copied();
    let known = course.map_or(0, |course| course.phase);
    if closing != 0 || known >= Phase::Closing as u32 {
        Phase::Closing as u32
    } else if stopping != 0 || known == Phase::Stopping as u32 {
        Phase::Stopping as u32
    } else {
        known
    }
}

/// Whether a reset in this phase is one of the first of its termination.
#[inline(always)]
pub(crate) fn is_marked(container: u64, phase: u32) -> bool {
    if phase == Phase::Running as u32 {
        return false;
    }
    let Some(passage) = PHASES.get_ptr_mut(container) else {
        return false;
    };
    // SAFETY: the map handed out this pointer to its value.
    unsafe {
        let marks = &raw mut (*passage).marks;
        // Of several at once each may see the same number: then there is a record or two more.
        let is_marked = marks.read_volatile() < MARKS_MAX;
        counter::add(marks, 1);
        is_marked
    }
}
