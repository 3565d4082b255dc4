//! Where in its life a container is: which interval is counted in, by what the kernel side saw begin and what user
//! space knows.

use agent_common::socket::{
    CONTAINERS_MAX, Connections, MARKS_MAX, Phase, PhaseProgress, PhaseRules, SIGNALS_KEPT,
};
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;

use crate::{connections, counter, filter};

#[map]
static PHASE_RULES: HashMap<u64, PhaseRules> = HashMap::with_max_entries(CONTAINERS_MAX, 0);

/// What places of signals are taken modulo.
const PLACES: u32 = SIGNALS_KEPT as u32 - 1;

/// The interval that a container is in.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    /// Its number.
    pub(crate) interval: u32,
    /// Up to when what began is void.
    void_until: u64,
}

/// A signal came from outside. If it is for the container's main process, it begins an interval.
#[inline(always)]
pub(crate) fn begin_interval(container: u64, tgid: u32, signal: u32) {
    let Some((rules, progress)) = main_course(container, tgid) else {
        return;
    };
    let now = now();
    // SAFETY: `main_course` gives a pointer into the map's value, and places are masked. Nobody else than the kernel side
    // writes there; of two signals at once, which are as good as simultaneous, either may be the one that is kept.
    unsafe {
        let stopping_at = &raw mut (*progress).stopping_at;
        if filter::has_signal(rules.stops, signal)
            && stopping_at.read_volatile() <= rules.void_until
        {
            stopping_at.write_volatile(now);
            return;
        }
        if !filter::has_signal(rules.candidates, signal) {
            return;
        }
        let newest = &raw mut (*progress).newest;
        let next = newest.read_volatile().wrapping_add(1) & PLACES;
        let place = signal_time(progress, next);
        if place.read_volatile() > rules.void_until {
            // All places are taken by signals that may still turn out to matter.
            (&raw mut (*progress).unplaced_at).write_volatile(now);
            return;
        }
        place.write_volatile(now);
        newest.write_volatile(next);
    }
}

/// A process exited. If it is the container's main process, its connections are closed from now on. Says whether it is.
#[inline(always)]
pub(crate) fn begin_closing(container: u64, tgid: u32) -> bool {
    let Some((_, progress)) = main_course(container, tgid) else {
        return false;
    };
    // SAFETY: see `begin_interval`.
    unsafe { (&raw mut (*progress).closing_at).write_volatile(now()) }
    true
}

/// What is known of the container, if this is its main process.
#[inline(always)]
fn main_course(container: u64, tgid: u32) -> Option<(PhaseRules, *mut PhaseProgress)> {
    let rules = rules(container)?;
    if rules.main != tgid {
        return None;
    }
    let connections = connections::counters(container)?;
    // SAFETY: the map handed out this pointer to its value.
    Some((rules, unsafe { &raw mut (*connections).progress }))
}

#[inline(always)]
fn rules(container: u64) -> Option<PhaseRules> {
    // SAFETY: the value is copied at once. Of a container that is removed in that instant nobody reads what is counted.
    unsafe { PHASE_RULES.get(container) }.copied()
}

/// # Safety
///
/// `progress` must point into the map's value.
#[inline(always)]
unsafe fn signal_time(progress: *mut PhaseProgress, place: u32) -> *mut u64 {
    // SAFETY: the caller's pointer, and an element inside the array; the verifier sees the mask.
    unsafe {
        let signals = (&raw mut (*progress).signals).cast::<u64>();
        signals.add((place & PLACES) as usize)
    }
}

/// The interval that a container is in: the latest one that began and is not void, else the phase that user space
/// knows.
#[inline(always)]
pub(crate) fn position(connections: *mut Connections, container: u64) -> Position {
    let rules = rules(container).unwrap_or_default();
    let void_until = rules.void_until;
    // SAFETY: a pointer into the map's value.
    let (newest, signalled_at, stopping_at, closing_at) = unsafe {
        let progress = &raw mut (*connections).progress;
        let newest = (&raw mut (*progress).newest).read_volatile() & PLACES;
        (
            newest,
            signal_time(progress, newest).read_volatile(),
            (&raw mut (*progress).stopping_at).read_volatile(),
            (&raw mut (*progress).closing_at).read_volatile(),
        )
    };
    let interval = if closing_at > void_until || rules.phase == Phase::Closing as u32 {
        Phase::Closing as u32
    } else if stopping_at > void_until && stopping_at > signalled_at {
        Phase::Stopping as u32
    } else if signalled_at > void_until {
        Phase::ALL.len() as u32 + newest
    } else {
        rules.phase
    };
    Position {
        interval,
        void_until,
    }
}

/// Whether a reset at this position is one of the first of its interval, and none of a container that just runs.
#[inline(always)]
pub(crate) fn take_mark(connections: *mut Connections, position: Position) -> bool {
    if position.interval == Phase::Running as u32 {
        return false;
    }
    // Another number for each interval of each termination; the times are further apart than intervals are many.
    let marked = position
        .void_until
        .wrapping_add(u64::from(position.interval));
    // SAFETY: a pointer into the map's value.
    unsafe {
        let progress = &raw mut (*connections).progress;
        let (last, marks) = (&raw mut (*progress).marked, &raw mut (*progress).marks);
        if last.read_volatile() != marked {
            last.write_volatile(marked);
            marks.write_volatile(0);
        }
        // Of several at once each may see the same number: then there is a record or two more.
        let is_marked = marks.read_volatile() < MARKS_MAX;
        counter::add(marks, 1);
        is_marked
    }
}

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_boot_ns() }
}
