//! TCP connections: what the kernel side counts of them, and in which maps.
//!
//! Floods are counted, never sent: a reset costs a few look-ups and one addition. Only the first
//! [`MARKS_MAX`] resets of an interval get a record each, as marks for people.

use crate::record::Endpoint;

/// Hash: container id → [`Connections`]. User space makes the entry when it tracks the container and
/// takes it out when it untracks it; the kernel side changes the numbers in it.
pub const CONNECTIONS: &str = "CONNECTIONS";
/// Hash: container id → [`PhaseRules`]. Written by user space only. The interval that is counted in follows from
/// this and the [`PhaseProgress`].
pub const PHASE_RULES: &str = "PHASE_RULES";
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
/// LRU hash: [`Closed`] → `u32`, 1: connections that a container accepted, and closed when nothing was under way.
/// Kernel side only. Data that comes for one later is answered with a reset: [`IDLE_CLOSED`].
pub const CLOSED_IDLE: &str = "CLOSED_IDLE";

/// Hash: an IPv6 address or the one that an IPv4 address is mapped to, 16 bytes → `u8`: addresses of the node itself.
/// The kubelet's probes come from there, and go on while a pod terminates. Written by user space only; empty without
/// Kubernetes.
pub const NODE_ADDRESSES: &str = "NODE_ADDRESSES";

/// Entries of [`NODE_ADDRESSES`] at the most.
pub const NODE_ADDRESSES_MAX: u32 = 1024;
/// Containers in [`CONNECTIONS`] and [`PHASE_RULES`] at the most.
pub const CONTAINERS_MAX: u32 = 4096;
/// Entries of [`RESETS`] at the most.
pub const RESETS_MAX: u32 = 8192;
/// Entries of [`LISTENERS`] at the most. Each outermost container has a share of them
/// ([`LISTENERS_BURST`](crate::map::LISTENERS_BURST)).
pub const LISTENERS_MAX: u32 = 8192;
/// Entries of [`NETWORKS`] at the most.
pub const NETWORKS_MAX: u32 = 4096;
/// Entries of [`RESETTING`] at the most: resets under way at once, and those that no answer followed.
pub const RESETTING_MAX: u32 = 1024;
/// Entries of [`CLOSED_IDLE`] at the most. Each outermost container has a share of them
/// ([`IDLE_CLOSES_BURST`](crate::map::IDLE_CLOSES_BURST)): of a server that closes more at once the late data of some is not told apart.
pub const CLOSED_IDLE_MAX: u32 = 8192;
/// Resets of one interval that get a record each.
pub const MARKS_MAX: u64 = 32;
/// Signals that get an interval each, beside the first stop signal.
pub const SIGNALS_KEPT: usize = 4;
/// Intervals: one for each [`Phase`], and one for each signal that is kept. A power of two, so that the kernel side
/// masks.
pub const INTERVALS: usize = Phase::ALL.len() + SIGNALS_KEPT;
/// Peers of a container that are remembered.
pub const PEERS_KEPT: usize = 8;
/// Arrivals of a peer whose times are remembered.
pub const ARRIVALS_KEPT: usize = 8;

/// Where in its life a container is.
///
/// Which signal was the one that stops is only known in hindsight. So the kernel side counts by *interval*. Each phase
/// has one, whose number is the phase's. After a signal from outside that may or may not be the stop signal
/// the next one of [`SIGNALS_KEPT`] further intervals is counted in, up to the next such signal; user space decides to
/// which phase it belongs.
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

/// Value of [`PHASE_RULES`]: what user space knows of a container's life and the kernel side does not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseRules {
    /// Thread group id of its main process; 0 while it is not known, and then no signal and no exit
    /// begins an interval in the kernel.
    pub main: u32,
    /// A [`Phase`], as far as user space knows: hook, once the termination is known to have begun.
    pub phase: u32,
    /// Signals and exits up to this time are no part of a termination, or of one that is over: what they began
    /// does not count any more. Nanoseconds of `CLOCK_BOOTTIME`.
    pub void_until: u64,
    /// Signals of which the first begins [`Phase::Stopping`], bit n-1 for signal n.
    pub stops: u64,
    /// Signals that may turn out to be the stop signal, likewise. Each from outside that is not the first of the others
    /// begins an interval of its own.
    pub candidates: u64,
}

/// What the kernel side saw begin, in nanoseconds of `CLOCK_BOOTTIME`; 0: nothing. What is not later than
/// [`PhaseRules::void_until`] is void.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseProgress {
    /// When the intervals after signals began, by their place.
    pub signals: [u64; SIGNALS_KEPT],
    /// When the first of [`PhaseRules::stops`] came.
    pub stopping_at: u64,
    /// When the main process exited.
    pub closing_at: u64,
    /// When a signal came last for which no place was free, so that it began nothing.
    pub unplaced_at: u64,
    /// What [`Self::marks`] counts in: the interval and what was void then.
    pub marked: u64,
    /// Resets of that interval that got a record, or would have: more than [`MARKS_MAX`] were only counted.
    pub marks: u64,
    /// The place of the signal that came last.
    pub newest: u32,
    /// 0.
    pub reserved: u32,
}

/// Value of [`CONNECTIONS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Additions to [`RESETS`] for this container, and subtractions: whoever finds it as it was need not look there.
    pub reset_changes: u64,
    /// Its entries in [`RESETS`].
    pub reset_kinds: u64,
    /// When a connection was accepted last that was not from an address of the node, nanoseconds of `CLOCK_BOOTTIME`;
    /// 0: none was.
    pub accepted_at: u64,
    /// When a connection attempt was refused last that was not from an address of the node, likewise.
    pub refused_at: u64,
    /// When a connection from an address of the node was accepted or refused last, likewise.
    pub from_node_at: u64,
    /// When the last listener was closed, likewise.
    pub last_listener_closed_at: u64,
    /// Which intervals began when.
    pub progress: PhaseProgress,
    /// By interval.
    pub intervals: [PhaseCounts; INTERVALS],
    /// Those who connected, or tried to. The order means nothing.
    pub peers: [Peer; PEERS_KEPT],
}

/// One who connected to a port of a container, or tried to. When there is no place left, one that was not seen for
/// long goes, or else the one that came least often.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The bytes of its address, as in [`Endpoint`](crate::record::Endpoint).
    pub address: [u64; 2],
    /// The port on the container's side.
    pub port: u32,
    /// 1 if it is an address of the node: [`NODE_ADDRESSES`].
    pub from_node: u32,
    /// How often it came. 0: nobody is in this place.
    pub count: u64,
    /// When it came the last times, nanoseconds of `CLOCK_BOOTTIME`: the n-th time, counted from 0, is at n modulo
    /// [`ARRIVALS_KEPT`].
    pub arrivals: [u64; ARRIVALS_KEPT],
    /// How often it was accepted, by interval.
    pub accepted: [u32; INTERVALS],
    /// How often it was refused, by interval.
    pub refused: [u32; INTERVALS],
}

/// What happened to the connections of a container in one interval.
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
    /// Of those finished, the ones that the container had established by its own wish.
    pub finished_initiated: u64,
    /// Of those cut, likewise.
    pub cut_initiated: u64,
    /// Accepted connections that the container's own side cut: of those established, and of those that the peer had
    /// half closed by its FIN, which are counted as finished already.
    pub aborted: u64,
    /// Of those aborted, the ones that the peer had half closed.
    pub aborted_half_closed: u64,
    /// The same as [`Self::aborted`] of connections that the container had established by its own wish.
    pub aborted_initiated: u64,
}

/// Key of [`RESETS`]. No padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResetKey {
    /// The container.
    pub container: u64,
    /// The number of an interval; see [`Phase`].
    pub interval: u8,
    /// A [`ResetKind`].
    pub kind: u8,
    /// A [`Scope`].
    pub scope: u8,
    /// Bits: [`ACCEPTED`], [`INITIATED`], [`IDLE_CLOSED`].
    pub traits: u8,
    /// The kernel's `enum sk_rst_reason`, whose names are in its BTF; [`NO_REASON`] if it tells none.
    pub reason: u32,
}

/// The reason of a reset for which the kernel tells none: of one received, and of all before 6.10.
pub const NO_REASON: u32 = u32::MAX;

/// The connection was established by the peer's wish. If neither this nor [`INITIATED`] is set, it is not known.
pub const ACCEPTED: u8 = 1;
/// The connection was established by the container's own wish.
pub const INITIATED: u8 = 2;
/// Data came for a connection that the container had accepted, and closed first, when nothing was under way.
pub const IDLE_CLOSED: u8 = 4;

/// Whether a payload of so many bytes is what clients of usual protocols send as their last word when they find a connection
/// closed, and nobody misses.
pub const fn is_goodbye(bytes: u32) -> bool {
    match bytes {
        // PostgreSQL's Terminate and MySQL's COM_QUIT; `QUIT`; a TLS alert in the clear; a close frame of a WebSocket.
        5..=8
        // HTTP/2's GOAWAY: plain, in TLS 1.3, in TLS 1.2 with GCM; the same with the alert behind it.
        | 17 | 39 | 46 | 63 | 77
        // TLS' `close_notify`: 1.2 with ChaCha20, 1.3, 1.2 with GCM, and with CBC and each of its MACs.
        | 23 | 24 | 31 | 53 | 57 | 69 | 85 => true,
        _ => false,
    }
}

/// Key of [`CLOSED_IDLE`]. No padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closed {
    /// The container's side.
    pub listener: Listener,
    /// The other side.
    pub peer: Endpoint,
}

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
    assert!(INTERVALS.is_power_of_two());
    assert!(SIGNALS_KEPT.is_power_of_two());
    assert!(ARRIVALS_KEPT.is_power_of_two());
    assert!(size_of::<PhaseRules>() == 32);
    assert!(size_of::<PhaseProgress>() == 80);
    assert!(size_of::<PhaseCounts>() == 104);
    assert!(size_of::<Peer>() == 160);
    assert!(size_of::<Connections>() == 48 + 80 + 8 * 104 + 8 * 160);
    assert!(size_of::<ResetKey>() == 16);
    assert!(size_of::<Listener>() == 8);
    assert!(size_of::<Closed>() == 28);
};

#[cfg(feature = "user")]
mod user {
    use super::{Connections, PhaseRules, ResetKey};

    // SAFETY: `repr(C)`, two `u32` and three `u64`, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for PhaseRules {}
    // SAFETY: `repr(C)`, numbers throughout, the sizes add up as asserted above, no padding: every bit pattern is a
    // value.
    unsafe impl aya::Pod for Connections {}
    // SAFETY: `repr(C)`, the sizes add up to 16, no padding: every bit pattern is a value.
    unsafe impl aya::Pod for ResetKey {}
}
