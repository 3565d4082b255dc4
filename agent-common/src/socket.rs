//! TCP connections: what the kernel side counts of them, and in which maps.
//!
//! Floods are counted, never sent: a reset costs a few look-ups and one addition. Only the first
//! [`MARKS_MAX`] resets of a termination get a record each, as marks for people.

/// Hash: container id → [`Connections`]. User space makes the entry when it tracks the container and
/// takes it out when it untracks it; the kernel side changes the numbers in it.
pub const CONNECTIONS: &str = "CONNECTIONS";
/// Hash: container id → [`Passage`]: the phases that the kernel side saw begin. User space makes the entry, and
/// puts it back when what began was no termination.
pub const PHASES: &str = "PHASES";
/// Hash: container id → [`Course`]. Written by user space only. The phase that counts is the later one of
/// this and [`PHASES`].
pub const COURSES: &str = "COURSES";
/// Hash: [`ResetKey`] → `u64`: resets. The kernel side makes the entries; user space takes them out with
/// the container.
pub const RESETS: &str = "RESETS";
/// LRU hash: [`Listener`] → container id: who listened there last. Kernel side only. An entry outlives its
/// listener, and is void once the container is not in [`CONNECTIONS`].
pub const LISTENERS: &str = "LISTENERS";
/// LRU hash: `u32`, inode number of a network namespace that is the container's own or its pod's → id of
/// the container of it that started or was stopped last. Kernel side only; void as above.
pub const NETWORKS: &str = "NETWORKS";
/// LRU hash: address of a socket → [`ResetKey`] under which a reset received for it was just counted. The
/// kernel's `tcp_reset` also runs where it answers data with a reset of its own; that answer follows
/// for the same socket and takes the count back. Kernel side only.
pub const RESETTING: &str = "RESETTING";

/// Hash: an IPv6 address or the one that an IPv4 address is mapped to, 16 bytes → `u8`: addresses of the node itself.
/// The kubelet's probes come from there, and go on while a pod terminates. Written by user space only; empty without
/// Kubernetes.
pub const NODE_ADDRESSES: &str = "NODE_ADDRESSES";

/// Entries of [`NODE_ADDRESSES`] at the most.
pub const NODE_ADDRESSES_MAX: u32 = 1024;
/// Containers in [`CONNECTIONS`], [`PHASES`] and [`COURSES`] at the most.
pub const CONTAINERS_MAX: u32 = 4096;
/// Entries of [`RESETS`] at the most.
pub const RESETS_MAX: u32 = 8192;
/// Entries of [`LISTENERS`] at the most.
pub const LISTENERS_MAX: u32 = 8192;
/// Entries of [`NETWORKS`] at the most.
pub const NETWORKS_MAX: u32 = 4096;
/// Entries of [`RESETTING`] at the most: resets under way at once, and those that no answer followed.
pub const RESETTING_MAX: u32 = 1024;
/// Resets of one termination that get a record each.
pub const MARKS_MAX: u64 = 32;

/// Where in its life a container is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before its termination began.
    Running = 0,
    /// From the beginning of its termination (T0) to the stop signal.
    Hook = 1,
    /// From the stop signal, or from SIGKILL if there was none, to the exit of the main process.
    Stopping = 2,
    /// After the exit of the main process: its sockets are closed after that.
    Closing = 3,
}

impl Phase {
    /// Every phase, in the order of the numbers.
    pub const ALL: [Self; 4] = [Self::Running, Self::Hook, Self::Stopping, Self::Closing];

    /// The phase with this number, if there is one.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase as u32 == id)
    }
}

/// What a reset was.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResetKind {
    /// Sent by `tcp_send_active_reset`: the program, or its death, ended the connection.
    SentActive = 0,
    /// Sent in answer to a packet.
    SentPassive = 1,
    /// Received from the peer.
    Received = 2,
}

impl ResetKind {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Self; 3] = [Self::SentActive, Self::SentPassive, Self::Received];

    /// The kind with this number, if there is one.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == id)
    }
}

/// By what a reset was attributed.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// By the socket's cgroup, or by the port that the container listened on before.
    Container = 0,
    /// There was no socket, and only the network namespace is known: it is the pod's, and the container is
    /// the one of it that started or was stopped last.
    Pod = 1,
}

impl Scope {
    /// Every scope, in the order of the numbers.
    pub const ALL: [Self; 2] = [Self::Container, Self::Pod];

    /// The scope with this number, if there is one.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| *scope as u32 == id)
    }
}

/// Value of [`COURSES`]: what user space knows of a container's life and the kernel side does not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Thread group id of its main process; 0 while it is not known, and then no signal and no exit
    /// begins a phase in the kernel.
    pub main: u32,
    /// A [`Phase`], as far as user space knows: hook, once the termination is known to have begun.
    pub phase: u32,
}

/// Value of [`PHASES`]. All zero while it is running.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// By [`Phase`]: 1 once it began. Stopping begins at the stop signal or SIGKILL from outside for the main process,
    /// closing at its exit. Each has a byte of its own, so that of two that begin at once none is lost.
    pub began: [u8; Phase::ALL.len()],
    /// 0.
    pub reserved: u32,
    /// Resets since the termination began that got a record, or would have: more than [`MARKS_MAX`] were
    /// only counted.
    pub marks: u64,
}

/// Value of [`CONNECTIONS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Additions to [`RESETS`] for this container, and subtractions: whoever finds it as it was need not look there.
    pub reset_changes: u64,
    /// When a connection was accepted last that was not from an address of the node, nanoseconds of `CLOCK_BOOTTIME`;
    /// 0: none was.
    pub accepted_at: u64,
    /// When a connection attempt was refused last that was not from an address of the node, likewise.
    pub refused_at: u64,
    /// When a connection from an address of the node was accepted or refused last, likewise.
    pub from_node_at: u64,
    /// When the last listener was closed, likewise.
    pub unlistened_at: u64,
    /// By [`Phase`].
    pub phases: [PhaseCounts; Phase::ALL.len()],
}

/// What happened to the connections of a container in one phase.
///
/// Those that are open at an edge follow from what comes after it, since in the end all are closed: they are the
/// ones that were left later, less the ones that were entered later. So nothing has to be known of
/// connections that are older than the agent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCounts {
    /// Established by the peer's wish: the handshake was completed, whether or not the program took it.
    pub accepted: u64,
    /// Established by the container's own wish.
    pub connected: u64,
    /// Established before and then ended by the FIN of either side.
    pub finished: u64,
    /// Established before and then cut: a reset, or a time-out, without a FIN.
    pub cut: u64,
    /// Connection attempts (SYN) that were answered with a reset, at a port that the container listened on before.
    pub refused: u64,
    /// The same at another port of its network namespace: [`Scope::Pod`].
    pub refused_in_pod: u64,
    /// Of those accepted, the ones from an address of the node: [`NODE_ADDRESSES`].
    pub accepted_from_node: u64,
    /// Of those refused (not in the pod), the ones from an address of the node.
    pub refused_from_node: u64,
}

/// Key of [`RESETS`]. No padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResetKey {
    /// The container.
    pub container: u64,
    /// A [`Phase`].
    pub phase: u8,
    /// A [`ResetKind`].
    pub kind: u8,
    /// A [`Scope`].
    pub scope: u8,
    /// 0.
    pub reserved: u8,
    /// The kernel's `enum sk_rst_reason`, whose names are in its BTF; [`NO_REASON`] if it tells none.
    pub reason: u32,
}

/// The reason of a reset for which the kernel tells none: of one received, and of all before 6.10.
pub const NO_REASON: u32 = u32::MAX;

/// Key of [`LISTENERS`]. No padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Inode number of the network namespace.
    pub network: u32,
    /// The port.
    pub port: u32,
}

const _: () = {
    assert!(size_of::<Course>() == 8);
    assert!(size_of::<Passage>() == 16);
    assert!(size_of::<PhaseCounts>() == 64);
    assert!(size_of::<Connections>() == 40 + 4 * 64);
    assert!(size_of::<ResetKey>() == 16);
    assert!(size_of::<Listener>() == 8);
};

#[cfg(feature = "user")]
mod user {
    use super::{Connections, Course, Passage, ResetKey};

    // SAFETY: `repr(C)`, two `u32`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Course {}
    // SAFETY: `repr(C)`, the sizes add up to 16, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Passage {}
    // SAFETY: `repr(C)`, `u64` throughout, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for Connections {}
    // SAFETY: `repr(C)`, the sizes add up to 16, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for ResetKey {}
}
