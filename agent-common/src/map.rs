//! The maps that both sides use: names, keys, values, sizes.

/// Ring buffer of the records.
pub const EVENTS: &str = "EVENTS";
/// Hash: cgroup id → [`Subject`]. The exact answer to "is it tracked, and whose is it".
/// User space adds and removes containers; the kernel side adds the cgroups made inside them, and those made in a cgroup
/// of [`PARENTS`].
pub const SUBJECTS: &str = "SUBJECTS";
/// Hash: cgroup id → [`Parent`]. Cgroups that hold containers: what is made in one of these is tracked from its birth, before
/// user space knows of it. User space adds them, the kernel side removes them with the cgroup.
pub const PARENTS: &str = "PARENTS";
/// Queue of [`Uncounted`]: cgroups that user space took out of [`SUBJECTS`] and that the kernel side had put in. It takes them
/// out of [`CHILD_SLOTS`] and [`SHARES`], where only it counts them.
pub const UNCOUNTED: &str = "UNCOUNTED";
/// Per-CPU array of one `u64`: cgroups that were tracked from their birth and are gone, and of which user space never knew,
/// since the record of their birth found no room.
pub const UNTOLD_ENDS: &str = "UNTOLD_ENDS";
/// One value of [`SLOTS`] bytes, by cgroup id modulo [`SLOTS`]: 1 if user space put a cgroup into
/// [`SUBJECTS`] that hashes there, else 0. Written by user space only, as a whole; read by the kernel
/// side in front of [`SUBJECTS`]. A section of the object and not a map with many entries, so that
/// the kernel side reads it like a variable.
pub const SUBJECT_SLOTS: &str = ".bss.subjects";
/// The same for cgroups that the kernel side put in, but a `u64` for each slot: how many. Written
/// by the kernel side only.
pub const CHILD_SLOTS: &str = ".bss.children";
/// Hash: tgid → [`Watched`]. Processes whose signals and exit are recorded: those that entered a
/// container from outside (its main process, hooks, probes). Their descendants are not in it.
pub const WATCHED: &str = "WATCHED";
/// Hash: [`crate::record::Endpoint`] → container id. Connections to these are recorded. Written by user
/// space only.
pub const ENDPOINTS: &str = "ENDPOINTS";
/// One `u64`: how many entries [`ENDPOINTS`] has. Written by user space only; the kernel side looks here
/// first, since most of the time there are none.
pub const ENDPOINT_COUNT: &str = ".bss.endpoints";
/// Hash: id of an outermost container → [`Share`]; [`ALL`] → what the kernel side took for all of them together; [`OUTSIDE`] →
/// new cgroups outside of all containers. User space adds and removes them, and the kernel side adds those of containers that it
/// tracks from their birth.
pub const SHARES: &str = "SHARES";
/// Per-CPU array of one `u64`: records that were lost and are in no [`Share::lost`].
pub const UNATTRIBUTED: &str = "UNATTRIBUTED";
/// Hash: container id → [`SignalCounts`].
pub const SIGNAL_COUNTS: &str = "SIGNAL_COUNTS";
/// Per-CPU array of `u64` by record kind id: records given to the ring buffer.
pub const RECORDED: &str = "RECORDED";
/// Per-CPU array of `u64` by record kind id: records that found no room in the ring buffer.
pub const LOST: &str = "LOST";
/// Per-CPU array of `u64` by [`FullMap`]: insertions that found a hash full.
pub const MAP_FULL: &str = "MAP_FULL";

/// Slots of [`SUBJECT_SLOTS`] and [`CHILD_SLOTS`]. A power of two, so that the kernel side masks.
pub const SLOTS: u32 = 8192;
/// Cgroups in [`SUBJECTS`] at the most.
pub const SUBJECTS_MAX: u32 = 16_384;
/// Cgroups in [`PARENTS`] at the most. On a node each pod has one, and a service's is all services'.
pub const PARENTS_MAX: u32 = 4096;
/// Cgroups in [`UNCOUNTED`] at the most. One that finds no room costs a look-up now and then.
pub const UNCOUNTED_MAX: u32 = 4096;
/// Processes in [`WATCHED`] at the most.
pub const WATCHED_MAX: u32 = 32_768;
/// Outermost containers in [`SHARES`] at the most.
pub const SHARES_MAX: u32 = 8192;
/// How many levels below the root a place is: all pods of a class (`kubepods.slice/kubepods-burstable.slice`), all that one user makes
/// (`user.slice/user-1000.slice`). To make a new place takes the right to write to the level above, which only root has.
pub const PLACE_LEVEL: u8 = 2;
/// Places whose new cgroups are counted at the most; one more begins anew, for that of which nothing was heard for the longest.
pub const PLACES_MAX: u32 = 1024;
/// Endpoints in [`ENDPOINTS`] at the most.
pub const ENDPOINTS_MAX: u32 = 1024;
/// Size of the ring buffer in bytes unless the user asks for another. A power of two and of whole pages.
pub const EVENTS_BYTES: u32 = 1 << 20;

const _: () = {
    assert!(SLOTS.is_power_of_two());
    assert!(size_of::<Subject>() == 5 * 8);
    assert!(size_of::<Parent>() == 4 * 8);
    assert!(size_of::<Watched>() == 3 * 8);
    assert!(size_of::<Share>() == 9 * 8);
    assert!(size_of::<Uncounted>() == 2 * 8);
    assert!(size_of::<SignalCounts>() == 8 * 8 + 2 * 4);
};

/// What [`SUBJECTS`] says of a cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Id of the container's topmost cgroup.
    pub container: u64,
    /// Id of the outermost container that this one is in; its own if it is in none.
    pub outermost: u64,
    /// Signals worth a record, bit n-1 for signal n: whatever may be meant to stop it, and SIGKILL.
    pub signals: u64,
    /// Of these, the ones that are likely to be the stop signal: each is remembered as the last one from outside, even where it
    /// only tells of something (SIGWINCH).
    pub begins: u64,
    /// [`BY_KERNEL`] or [`UNTOLD`] if the kernel side put this in, and counts it in [`CHILD_SLOTS`]; 0 if user space did,
    /// and counts it in [`SUBJECT_SLOTS`]. The kernel side takes out its own when the cgroup is removed. What user space
    /// takes out of the kernel side's, it puts into [`UNCOUNTED`].
    pub by_kernel: u64,
}

/// [`Subject::by_kernel`]: put in by the kernel side.
pub const BY_KERNEL: u64 = 1;
/// [`Subject::by_kernel`]: put in by the kernel side, for a cgroup whose birth could not be told. It counts as not tracked
/// until user space finds it.
pub const UNTOLD: u64 = 2;

/// What [`PARENTS`] says of a cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// [`Subject::signals`] of the containers in it.
    pub signals: u64,
    /// [`Subject::begins`] of the containers in it.
    pub begins: u64,
    /// Id of the outermost container that it lies in; 0 if it lies in none, and each container in it is an outermost one.
    pub outermost: u64,
    /// How the containers in it are called: [`NAMES_CONTAINERS`], [`NAMES_UNITS`], [`NAMES_ANY`].
    pub names: u64,
}

/// [`Parent::names`]: with a container's id of 64 digits.
pub const NAMES_CONTAINERS: u64 = 1;
/// [`Parent::names`]: as systemd calls services and scopes.
pub const NAMES_UNITS: u64 = 2;
/// [`Parent::names`]: otherwise.
pub const NAMES_ANY: u64 = 4;

/// What [`WATCHED`] says of a process.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The container that it is watched in.
    pub container: u64,
    /// The outermost container in whose [`Share::watched`] it is counted; 0 if user space put it in, and it is in none.
    pub outermost: u64,
    /// Signals, bit n-1 for signal n, that got a record and were queued, and that it has not been seen to take out of its
    /// queue. Kernel side only, which changes it while the kernel holds the process's `siglock`.
    pub queued: u64,
}

/// A cgroup that the kernel side has to take out of its counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncounted {
    /// The cgroup.
    pub cgroup: u64,
    /// The outermost container in whose [`Share::cgroups`] it is counted.
    pub outermost: u64,
}

/// What an outermost container took, with all that is in it, of what there is for all of them: records in the ring buffer,
/// cgroups that are tracked, processes that are watched, kinds of resets, networks. Each may take no more than its share.
///
/// The kernel side alone writes it. Where it is counted twice at once, one may be missing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// When all of its records may be made again: as the budgets of [`SignalCounts::whole_at`], of [`RECORDS_BURST`] at once
    /// and one more each [`RECORDS_INTERVAL_NS`].
    pub whole_at: u64,
    /// The same for records of what somebody outside of it causes: signals, the filling, emptying and removal of its own cgroup,
    /// the exit of its main process. It cannot use these up itself.
    pub from_outside_whole_at: u64,
    /// What is not told of it: records that were not made, cgroups that are not tracked, processes that are not watched.
    pub lost: u64,
    /// Cgroups in [`SUBJECTS`] that the kernel side put in for it. Not [`CGROUPS_OF_SHARE`] or more.
    pub cgroups: i64,
    /// Processes in [`WATCHED`] that the kernel side put in for it. Not [`WATCHED_OF_SHARE`] or more.
    pub watched: i64,
    /// Entries of [`RESETS`](crate::socket::RESETS) for it, until their containers are removed. Not [`RESETS_OF_SHARE`] or more.
    pub resets: i64,
    /// When all of its networks may be remembered again, as [`Self::whole_at`]: [`NETWORKS_BURST`] at once and one more each
    /// [`NETWORKS_INTERVAL_NS`].
    pub networks_whole_at: u64,
    /// The same for the ports that it listened on: [`LISTENERS_BURST`] and [`LISTENERS_INTERVAL_NS`].
    pub listeners_whole_at: u64,
    /// The same for idle connections that it closed: [`IDLE_CLOSES_BURST`] and [`IDLE_CLOSES_INTERVAL_NS`].
    pub idle_closes_whole_at: u64,
}

/// Key of [`SHARES`]: all outermost containers together.
pub const ALL: u64 = 0;
/// Key of [`SHARES`]: cgroups that are made outside of all containers, which have shares of their own, by their places. What is lost of
/// these is new to user space, and concerns no container that it knows.
pub const OUTSIDE: u64 = u64::MAX;
/// Records of one outermost container at once, in an empty ring buffer. The fuller the ring buffer, the fewer.
pub const RECORDS_BURST: u64 = 1024;
/// Of its records so many at once whatever the ring buffer holds.
pub const RECORDS_AT_LEAST: u64 = RECORDS_BURST / 8;
/// After so many nanoseconds there may be one more.
pub const RECORDS_INTERVAL_NS: u64 = 5_000_000;
/// Cgroups that the kernel side tracks for one outermost container at the most.
pub const CGROUPS_OF_SHARE: i64 = SUBJECTS_MAX as i64 / 8;
/// The same for all of them together, so that there is room for those that user space tracks.
pub const CGROUPS_OF_KERNEL: i64 = SUBJECTS_MAX as i64 / 4 * 3;
/// Processes that the kernel side watches for one outermost container at the most.
pub const WATCHED_OF_SHARE: i64 = WATCHED_MAX as i64 / 8;
/// The same for all of them together, as [`CGROUPS_OF_KERNEL`].
pub const WATCHED_OF_KERNEL: i64 = WATCHED_MAX as i64 / 4 * 3;
/// Kinds of resets that are counted for one outermost container at the most.
pub const RESETS_OF_SHARE: i64 = crate::socket::RESETS_MAX as i64 / 8;
/// Network namespaces that are remembered for one outermost container at once. Of all of them the oldest gives way to a new
/// one, so there must not be too many from one.
pub const NETWORKS_BURST: u64 = 256;
/// After so many nanoseconds there may be one more.
pub const NETWORKS_INTERVAL_NS: u64 = 1_000_000_000;
/// Ports that are remembered for one outermost container at once; of all of them the oldest gives way, too.
pub const LISTENERS_BURST: u64 = crate::socket::LISTENERS_MAX as u64 / 16;
/// After so many nanoseconds there may be one more.
pub const LISTENERS_INTERVAL_NS: u64 = 1_000_000_000;
/// Idle connections that one outermost container closed and that are remembered at once; of all of them the oldest gives way.
pub const IDLE_CLOSES_BURST: u64 = crate::socket::CLOSED_IDLE_MAX as u64 / 8;
/// After so many nanoseconds there may be one more. Late data comes within a round trip, so that a neighbour's are not pushed out
/// before by one container, whatever it closes.
pub const IDLE_CLOSES_INTERVAL_NS: u64 = 1_000_000;

/// The signals of a container: how many there were beside those that are always recorded, and how many of them may be
/// recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalCounts {
    /// Sent from inside the container, whatever the target, recorded or not; but for SIGKILLs to watched processes that
    /// have a record.
    pub inside: u64,
    /// Sent from outside to a process that is not watched, recorded or not, or by the kernel to one that is and without a
    /// record.
    pub outside: u64,
    /// By [`Budget`]: those that would have got a record, had there not been so many.
    pub unrecorded: [u64; Budget::ALL.len()],
    /// By [`Budget`]: when all of it may be used again, nanoseconds of `CLOCK_BOOTTIME`. Kernel side only.
    pub whole_at: [u64; Budget::ALL.len()],
    /// The signal that a watched process got last from outside, but for SIGKILL and for those that only tell of something
    /// (SIGCHLD, SIGCONT, SIGURG, SIGWINCH, unless one of them is likely to be the stop signal); 0 if none came yet.
    pub last_outside: u32,
    /// 0.
    pub reserved: u32,
}

/// What may be recorded of a container's signals beside those that people outside send to its watched processes: of each
/// kind [`BUDGET_BURST`] at once, and one more each [`BUDGET_INTERVAL_NS`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// SIGKILLs to processes that are not watched, whoever sends them.
    Kills = 0,
    /// Other signals that a process of the container sends to another one, watched or not. Not SIGCHLD, SIGCONT, SIGURG and
    /// SIGWINCH.
    Inside = 1,
    /// Other signals from outside: those of processes to one that is not watched, with the same exceptions, and those of a
    /// terminal.
    Outside = 2,
}

impl Budget {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Self; 3] = [Self::Kills, Self::Inside, Self::Outside];
}

/// Records of one [`Budget`] at once.
pub const BUDGET_BURST: u64 = 16;
/// After so many nanoseconds there may be one more.
pub const BUDGET_INTERVAL_NS: u64 = 1_000_000_000;

/// Slots of [`MAP_FULL`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullMap {
    /// [`SUBJECTS`] had no room for a cgroup that the kernel side wanted to track.
    Subjects = 0,
    /// [`WATCHED`] had no room for a process.
    Watched = 1,
    /// [`RESETS`](crate::socket::RESETS) had no room for one more reason or phase.
    Resets = 2,
    /// An outermost container had used up its share of [`SUBJECTS`], [`WATCHED`] or [`RESETS`](crate::socket::RESETS).
    Share = 3,
}

impl FullMap {
    /// Every slot.
    pub const ALL: [Self; 4] = [Self::Subjects, Self::Watched, Self::Resets, Self::Share];

    /// Whether what found no room is not measured at all, whosever it is.
    pub const fn is_of_tracking(self) -> bool {
        match self {
            Self::Subjects | Self::Watched => true,
            Self::Resets | Self::Share => false,
        }
    }
}

#[cfg(feature = "user")]
mod user {
    use super::{Parent, Share, SignalCounts, Subject, Uncounted, Watched};
    use crate::record::Endpoint;

    // SAFETY: `repr(C)`, five `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Subject {}
    // SAFETY: `repr(C)`, four `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Parent {}
    // SAFETY: `repr(C)`, two `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Uncounted {}
    // SAFETY: `repr(C)`, three `u64` and three `i64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Share {}
    // SAFETY: `repr(C)`, three `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Watched {}
    // SAFETY: `repr(C)`, eight `u64` and two `u32`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for SignalCounts {}
    // SAFETY: `repr(C)`, sixteen bytes and a `u32`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Endpoint {}
}
