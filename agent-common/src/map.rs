//! The maps that both sides use: names, keys, values, sizes.

/// Ring buffer of the records.
pub const EVENTS: &str = "EVENTS";
/// Hash: cgroup id → [`Subject`]. The exact answer to "is it tracked, and whose is it".
/// User space adds and removes containers; the kernel side adds the cgroups made inside them.
pub const SUBJECTS: &str = "SUBJECTS";
/// One value of [`SLOTS`] bytes, by cgroup id modulo [`SLOTS`]: 1 if user space put a cgroup into
/// [`SUBJECTS`] that hashes there, else 0. Written by user space only, as a whole; read by the kernel
/// side in front of [`SUBJECTS`]. A section of the object and not a map with many entries, so that
/// the kernel side reads it like a variable.
pub const SUBJECT_SLOTS: &str = ".bss.subjects";
/// The same for cgroups made inside tracked containers, but a `u64` for each slot: how many. Written
/// by the kernel side only.
pub const CHILD_SLOTS: &str = ".bss.children";
/// Hash: tgid → container id. Processes whose signals and exit are recorded: those that entered a
/// container from outside (its main process, hooks, probes). Their descendants are not in it.
pub const WATCHED: &str = "WATCHED";
/// Hash: [`crate::record::Endpoint`] → container id. Connections to these are recorded. Written by user
/// space only.
pub const ENDPOINTS: &str = "ENDPOINTS";
/// One `u64`: how many entries [`ENDPOINTS`] has. Written by user space only; the kernel side looks here
/// first, since most of the time there are none.
pub const ENDPOINT_COUNT: &str = ".bss.endpoints";
/// Hash: container id → [`SignalCounts`].
pub const SIGNAL_COUNTS: &str = "SIGNAL_COUNTS";
/// Per-CPU array of `u64` by record kind id: records given to the ring buffer.
pub const RECORDED: &str = "RECORDED";
/// Per-CPU array of `u64` by record kind id: records that found no room in the ring buffer.
pub const LOST: &str = "LOST";
/// Per-CPU array of `u64` by [`Full`]: insertions that found a hash full.
pub const MAP_FULL: &str = "MAP_FULL";

/// Slots of [`SUBJECT_SLOTS`] and [`CHILD_SLOTS`]. A power of two, so that the kernel side masks.
pub const SLOTS: u32 = 8192;
/// Cgroups in [`SUBJECTS`] at the most.
pub const SUBJECTS_MAX: u32 = 16_384;
/// Processes in [`WATCHED`] at the most.
pub const WATCHED_MAX: u32 = 32_768;
/// Endpoints in [`ENDPOINTS`] at the most.
pub const ENDPOINTS_MAX: u32 = 1024;
/// Size of the ring buffer in bytes unless the user asks for another. A power of two and of whole pages.
pub const EVENTS_BYTES: u32 = 1 << 20;

const _: () = assert!(SLOTS.is_power_of_two());

/// What [`SUBJECTS`] says of a cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Id of the container's topmost cgroup.
    pub container: u64,
    /// Signals worth a record, bit n-1 for signal n: the stop signal and SIGKILL.
    pub signals: u64,
    /// 1 if the kernel side put this in, for a cgroup made inside a container, and counts it in
    /// [`CHILD_SLOTS`]; 0 if user space did, and counts it in [`SUBJECT_SLOTS`]. Each takes out
    /// and uncounts only its own.
    pub by_kernel: u64,
}

/// Signals in a container that were counted, not recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalCounts {
    /// Sent from inside the container, whatever the target.
    pub inside: u64,
    /// Sent from outside to a process that is not watched.
    pub outside: u64,
}

/// Slots of [`MAP_FULL`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// [`SUBJECTS`] had no room for a cgroup made inside a container.
    Subjects = 0,
    /// [`WATCHED`] had no room for a process.
    Watched = 1,
    /// [`RESETS`](crate::socket::RESETS) had no room for one more reason or phase.
    Resets = 2,
}

impl Full {
    /// Every slot.
    pub const ALL: [Self; 3] = [Self::Subjects, Self::Watched, Self::Resets];
}

#[cfg(feature = "user")]
mod user {
    use super::{SignalCounts, Subject};
    use crate::record::Endpoint;

    // SAFETY: `repr(C)`, three `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Subject {}
    // SAFETY: `repr(C)`, two `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for SignalCounts {}
    // SAFETY: `repr(C)`, sixteen bytes and a `u32`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Endpoint {}
}
