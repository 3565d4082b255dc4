//! `tcp_send_reset`, `tcp_receive_reset`: TCP resets of tracked containers, counted by interval, kind and reason; the
//! first ones of an interval are recorded too.

use agent_common::map::FullMap;
use agent_common::record::{Endpoint, Kind, ResetRecord};
use agent_common::socket::{
    ACCEPTED, Connections, IDLE_CLOSED, NO_REASON, RESETS_MAX, RESETTING_MAX, ResetKey, ResetKind,
    Scope,
};
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::{btf_tracepoint, fentry, map};
use aya_ebpf::maps::{HashMap, LruHashMap};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext};

use crate::filter::NO_ROOM;
use crate::globals::HAS_RESET_REASON;
use crate::kernel::BtfPtr;
use crate::output::{Record, RecordHeader, record};
use crate::packet::Segment;
use crate::phase::Position;
use crate::share::Cause;
use crate::share::Held;
use crate::socket::{CLOSE, ESTABLISHED, SYN_RECV, SYN_SENT};
use crate::{connections, counter, filter, idle, network, phase, share, socket};

#[map]
static RESETS: HashMap<ResetKey, u64> = HashMap::with_max_entries(RESETS_MAX, 0);
#[map]
static RESETTING: LruHashMap<u64, ResetKey> = LruHashMap::with_max_entries(RESETTING_MAX, 0);

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for ResetRecord {}

/// A reset of a container.
#[derive(Clone, Copy)]
struct Reset {
    cgroup: u64,
    key: ResetKey,
    position: Position,
    /// Whether it answered a connection attempt.
    refused: bool,
    local_port: u32,
    peer: Endpoint,
}

/// Runs for every reset that is sent: by the closing of a socket, in the task that closes it, or in answer to a
/// packet, and then in whatever task was interrupted. Before 6.10 it does not run where there is no full socket.
///
/// Arguments: `const struct sock *sk, const struct sk_buff *skb`, and since 6.10
/// `const enum sk_rst_reason reason`. There is no packet if nothing is answered.
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/tcp.h>, and
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_output.c>: `tcp_send_active_reset`
#[btf_tracepoint(function = "tcp_send_reset")]
pub(crate) fn tcp_send_reset(ctx: BtfTracePointContext) {
    let sock = BtfPtr::argument(&ctx, 0);
    if socket::is_full(sock) {
        let cgroup = socket::cgroup_id(sock);
        if filter::may_be_tracked(cgroup) {
            handle_sent(ctx, cgroup);
        }
    } else if HAS_RESET_REASON.load() != 0 {
        handle_orphan(ctx);
    }
}

/// The slow path, of tracked cgroups alone; see `signal`.
#[inline(never)]
fn handle_sent(ctx: BtfTracePointContext, cgroup: u64) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let container = subject.container;
    let Some(connections) = connections::counters(container) else {
        return;
    };
    let (sock, packet) = (BtfPtr::argument(&ctx, 0), BtfPtr::argument(&ctx, 1));
    // It is there, but the verifier wants to see it asked in every function.
    if sock.is_null() {
        return;
    }
    let peer = socket::peer(sock).unwrap_or(NOBODY);
    let mut traits = socket::side(sock);
    let (kind, refused, local_port) = if packet.is_null() {
        (ResetKind::SentActive, false, socket::local_port(sock))
    } else {
        let segment = Segment::of(packet);
        if socket::state(sock) == CLOSE {
            uncount_received_reset(sock, connections);
            if idle::take_idle_close(socket::listener(sock), peer, segment, packet) {
                traits |= IDLE_CLOSED;
            }
        }
        let is_attempt = segment.is_attempt();
        (ResetKind::SentPassive, is_attempt, segment.local_port())
    };
    let position = phase::position(connections, container);
    let what = (kind, Scope::Container, traits, reason(&ctx));
    let reset = Reset {
        cgroup,
        key: key(container, position, what),
        position,
        refused,
        local_port,
        peer,
    };
    record_reset(&ctx, connections, &reset);
}

/// A reset without a full socket.
#[inline(never)]
fn handle_orphan(ctx: BtfTracePointContext) {
    let packet = BtfPtr::argument(&ctx, 1);
    if !packet.is_null() {
        record_answer(&ctx, packet, reason(&ctx));
    }
}

/// The same on kernels whose tracepoint does not tell of it.
///
/// Arguments: `const struct sock *sk, struct sk_buff *skb`
/// <https://github.com/torvalds/linux/blob/v6.6/net/ipv4/tcp_ipv4.c>: `tcp_v4_send_reset`
#[fentry(function = "tcp_v4_send_reset")]
pub(crate) fn tcp_v4_send_reset(ctx: FEntryContext) {
    handle_answer(ctx);
}

/// The same for IPv6.
///
/// <https://github.com/torvalds/linux/blob/v6.6/net/ipv6/tcp_ipv6.c>: `tcp_v6_send_reset`
#[fentry(function = "tcp_v6_send_reset")]
pub(crate) fn tcp_v6_send_reset(ctx: FEntryContext) {
    handle_answer(ctx);
}

#[inline(always)]
fn handle_answer(ctx: FEntryContext) {
    let (sock, packet) = (BtfPtr::parameter(&ctx, 0), BtfPtr::parameter(&ctx, 1));
    // The first thing that the function does is to look whether it is to answer a reset, which it never does.
    if !socket::is_full(sock) && !Segment::of(packet).is_reset() {
        record_answer(&ctx, packet, NO_REASON);
    }
}

/// A packet was answered for which there is no full socket: none, or one in TIME_WAIT, or one that is not yet
/// connected. Whose it is tells the port, or at least the network namespace.
#[inline(always)]
fn record_answer(ctx: &impl EbpfContext, packet: BtfPtr, reason: u32) {
    let segment = Segment::of(packet);
    let listener = segment.listener(packet);
    let Some((container, scope, connections)) = network::owner(listener) else {
        return;
    };
    let peer = segment.peer(packet);
    let mut traits = 0;
    if matches!(scope, Scope::Container) {
        // It was listened on, so whatever came there was accepted.
        traits = ACCEPTED;
        if !segment.is_attempt() && idle::take_idle_close(listener, peer, segment, packet) {
            traits |= IDLE_CLOSED;
        }
    }
    let position = phase::position(connections, container);
    let what = (ResetKind::SentPassive, scope, traits, reason);
    let reset = Reset {
        cgroup: container,
        key: key(container, position, what),
        position,
        refused: segment.is_attempt(),
        local_port: segment.local_port(),
        peer,
    };
    record_reset(ctx, connections, &reset);
}

/// Runs for every reset that is received for a full socket, and where data arrives for one that was closed: that is
/// answered with a reset, of which `tcp_send_reset` tells next.
///
/// Arguments: `struct sock *sk`
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_input.c>: `tcp_reset` and who calls it
#[btf_tracepoint(function = "tcp_receive_reset")]
pub(crate) fn tcp_receive_reset(ctx: BtfTracePointContext) {
    let cgroup = socket::cgroup_id(BtfPtr::argument(&ctx, 0));
    if filter::may_be_tracked(cgroup) {
        handle_received(ctx, cgroup);
    }
}

/// The slow path, of tracked cgroups alone; see `signal`.
#[inline(never)]
fn handle_received(ctx: BtfTracePointContext, cgroup: u64) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let container = subject.container;
    let Some(connections) = connections::counters(container) else {
        return;
    };
    let sock = BtfPtr::argument(&ctx, 0);
    let position = phase::position(connections, container);
    let what = (
        ResetKind::Received,
        Scope::Container,
        socket::side(sock),
        NO_REASON,
    );
    let key = key(container, position, what);
    let reset = Reset {
        cgroup,
        key,
        position,
        refused: false,
        local_port: socket::local_port(sock),
        peer: socket::peer(sock).unwrap_or(NOBODY),
    };
    record_reset(&ctx, connections, &reset);
    // Only what was closed on this side is answered.
    if !matches!(socket::state(sock), ESTABLISHED | SYN_SENT | SYN_RECV) {
        let _inserted = RESETTING.insert(sock.address().0, key, 0);
    }
}

/// Takes back that a reset was received, if it was counted for the packet that is answered now.
#[inline(always)]
fn uncount_received_reset(sock: BtfPtr, connections: *mut Connections) {
    let sock = sock.address().0;
    // SAFETY: the value is copied at once.
    let Some(key) = unsafe { RESETTING.get(sock) }.copied() else {
        return;
    };
    let _removed = RESETTING.remove(sock);
    if let Some(count) = RESETS.get_ptr_mut(key) {
        // SAFETY: the maps handed out these pointers to their values.
        unsafe {
            counter::add(count, u64::MAX);
            counter::add(&raw mut (*connections).reset_changes, 1);
        }
    }
}

/// The memory of a socket belongs to another connection now.
#[inline(always)]
pub(crate) fn forget_pending_reset(sock: BtfPtr) {
    let _removed = RESETTING.remove(sock.address().0);
}

/// Counts a reset, and records it if it is one of the first of its termination.
#[inline(always)]
fn record_reset(ctx: &impl EbpfContext, connections: *mut Connections, reset: &Reset) {
    count_reset(reset.key, connections);
    // SAFETY: a pointer into the map's value.
    unsafe { counter::add(&raw mut (*connections).reset_changes, 1) }
    let interval = reset.position.interval;
    if reset.refused {
        let in_pod = reset.key.scope == Scope::Pod as u8;
        let whose = (reset.local_port, reset.peer);
        connections::count_refused(connections, interval, in_pod, whose);
    }
    if phase::take_mark(connections, reset.position) {
        submit_reset(ctx, reset);
    }
}

#[inline(always)]
fn count_reset(key: ResetKey, connections: *mut Connections) {
    if let Some(count) = RESETS.get_ptr_mut(key) {
        // SAFETY: the map handed out this pointer to its value.
        return unsafe { counter::add(count, 1) };
    }
    let outermost = filter::outermost(key.container);
    if !share::has_room(outermost, Held::Resets) {
        share::note_lost(outermost);
        return;
    }
    match RESETS.insert(key, 1, u64::from(BPF_NOEXIST)) {
        Ok(()) => {
            share::count(outermost, Held::Resets, 1);
            // SAFETY: a pointer into the map's value.
            unsafe { counter::add(&raw mut (*connections).reset_kinds, 1) }
        }
        Err(NO_ROOM) => filter::count_full(FullMap::Resets),
        // Another CPU was faster.
        Err(_) => {
            if let Some(count) = RESETS.get_ptr_mut(key) {
                // SAFETY: the same.
                unsafe { counter::add(count, 1) }
            }
        }
    }
}

#[inline(always)]
fn submit_reset(ctx: &impl EbpfContext, reset: &Reset) {
    let outermost = filter::outermost(reset.key.container);
    let about = RecordHeader {
        kind: Kind::Reset,
        container: reset.key.container,
        cgroup: reset.cgroup,
        outermost,
        charged: outermost,
        cause: Cause::Inside,
    };
    record(ctx, about, |to: *mut ResetRecord| {
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            (&raw mut (*to).interval).write(u32::from(reset.key.interval));
            (&raw mut (*to).reset).write(u32::from(reset.key.kind));
            (&raw mut (*to).scope).write(u32::from(reset.key.scope));
            (&raw mut (*to).reason).write(reset.key.reason);
            (&raw mut (*to).refused).write(u32::from(reset.refused));
            (&raw mut (*to).local_port).write(reset.local_port);
            (&raw mut (*to).peer).write(reset.peer);
            (&raw mut (*to).traits).write(u32::from(reset.key.traits));
        }
    });
}

#[inline(always)]
fn key(
    container: u64,
    position: Position,
    (kind, scope, traits, reason): (ResetKind, Scope, u8, u32),
) -> ResetKey {
    ResetKey {
        container,
        interval: position.interval as u8,
        kind: kind as u8,
        scope: scope as u8,
        traits,
        reason,
    }
}

/// The reason that the hook passes, if it does: see `HAS_RESET_REASON`.
#[inline(always)]
fn reason(ctx: &BtfTracePointContext) -> u32 {
    // The verifier knows the global as a constant and never sees the branch not taken.
    if HAS_RESET_REASON.load() == 0 {
        NO_REASON
    } else {
        ctx.arg(2)
    }
}

/// An endpoint that could not be read.
pub(crate) const NOBODY: Endpoint = Endpoint {
    address: [0; 16],
    port: 0,
};
