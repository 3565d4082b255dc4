//! `inet_sock_set_state`: connections of tracked containers, counted by interval, and who listens where.

use agent_common::record::Endpoint;
use agent_common::socket::{
    CONTAINERS_MAX, Connections, INITIATED, INTERVALS, NODE_ADDRESSES_MAX, PhaseCounts,
};
use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::COUNTS_SOCKETS;
use crate::kernel::BtfPtr;
use crate::peers::Arrival;
use crate::phase::now;
use crate::share::Held;
use crate::socket::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, LISTEN, SYN_RECV, SYN_SENT};
use crate::{connect, counter, filter, idle, network, peers, phase, reset, share, socket};

/// Only user space makes entries, so that none has to be made in a hook, and memory is taken for those that there are.
#[map]
static CONNECTIONS: HashMap<u64, Connections> =
    HashMap::with_max_entries(CONTAINERS_MAX, BPF_F_NO_PREALLOC);
#[map]
static NODE_ADDRESSES: HashMap<[u8; 16], u8> = HashMap::with_max_entries(NODE_ADDRESSES_MAX, 0);

/// Runs for every change of state of every TCP connection of the machine, and of some other protocols.
///
/// Arguments: `const struct sock *sk, const int oldstate, const int newstate`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/sock.h>
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn inet_sock_set_state(ctx: BtfTracePointContext) {
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if old == CLOSE && new == SYN_SENT {
        if connect::is_any_awaited() {
            connect::handle_awaited(ctx);
        }
    } else if COUNTS_SOCKETS.load() == 0 {
        // The verifier knows the global as a constant and never sees what follows.
    } else if old == ESTABLISHED || new == ESTABLISHED || (old == CLOSE_WAIT && new == CLOSE) {
        let cgroup = socket::cgroup_id(BtfPtr::argument(&ctx, 0));
        if filter::may_be_tracked(cgroup) {
            handle_tracked(ctx, cgroup);
        }
    } else if old == LISTEN || new == LISTEN {
        handle_listener(ctx);
    }
}

/// A container's cgroup is gone. User space forgets its resets as soon as it has read them.
#[inline(always)]
pub(crate) fn release_resets(container: u64, outermost: u64) {
    let Some(connections) = counters(container) else {
        return;
    };
    // SAFETY: a pointer into the map's value.
    let kinds = unsafe { (&raw const (*connections).reset_kinds).read_volatile() };
    if kinds != 0 {
        share::count(outermost, Held::Resets, -kinds.cast_signed());
    }
}

/// The slow path, of tracked cgroups alone; see `signal`.
#[inline(never)]
fn handle_tracked(ctx: BtfTracePointContext, cgroup: u64) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let container = subject.container;
    let sock = BtfPtr::argument(&ctx, 0);
    let Some(connections) = counters(container) else {
        return;
    };
    if !socket::is_tcp(sock) {
        return;
    }
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    let interval = phase::position(connections, container).interval;
    let counts = in_interval(connections, interval);
    // SAFETY: both are pointers into the map's value.
    unsafe {
        match (old, new) {
            (SYN_RECV, ESTABLISHED) => {
                count_accepted(connections, interval, sock);
                reset::forget_pending_reset(sock);
            }
            (SYN_SENT, ESTABLISHED) => {
                counter::add(&raw mut (*counts).connected, 1);
                reset::forget_pending_reset(sock);
            }
            (ESTABLISHED, FIN_WAIT1 | CLOSE_WAIT) => {
                counter::add(&raw mut (*counts).finished, 1);
                if socket::side(sock) == INITIATED {
                    counter::add(&raw mut (*counts).finished_initiated, 1);
                } else if new == FIN_WAIT1 {
                    idle::record_idle_close(sock, subject.outermost);
                }
            }
            (ESTABLISHED | CLOSE_WAIT, CLOSE) => count_cut(counts, sock, old),
            _ => {}
        }
    }
}

/// # Safety
///
/// `connections` must point to the map's value.
#[inline(always)]
unsafe fn count_accepted(connections: *mut Connections, interval: u32, sock: BtfPtr) {
    let peer = socket::peer(sock).unwrap_or(reset::NOBODY);
    let arrival = Arrival {
        peer,
        port: socket::local_port(sock),
        from_node: is_of_node(peer),
        refused: false,
        at: now(),
    };
    let counts = in_interval(connections, interval);
    // SAFETY: pointers into the map's value, as the caller promises.
    unsafe {
        counter::add(&raw mut (*counts).accepted, 1);
        if arrival.from_node {
            counter::add(&raw mut (*counts).accepted_from_node, 1);
            (&raw mut (*connections).from_node_at).write_volatile(arrival.at);
        } else {
            (&raw mut (*connections).accepted_at).write_volatile(arrival.at);
        }
        peers::record_arrival(connections, interval, &arrival);
    }
}

/// A connection ended that was established, or half closed by the peer, and not by a FIN of this side.
///
/// # Safety
///
/// `counts` must point into the map's value.
#[inline(always)]
unsafe fn count_cut(counts: *mut PhaseCounts, sock: BtfPtr, old: i32) {
    let was_initiated = socket::side(sock) == INITIATED;
    // SAFETY: pointers into the map's value, as the caller promises.
    unsafe {
        if old == ESTABLISHED {
            counter::add(&raw mut (*counts).cut, 1);
            if was_initiated {
                counter::add(&raw mut (*counts).cut_initiated, 1);
            }
        }
        if !socket::is_sound(sock) {
            return;
        }
        if was_initiated {
            counter::add(&raw mut (*counts).aborted_initiated, 1);
            return;
        }
        counter::add(&raw mut (*counts).aborted, 1);
        if old == CLOSE_WAIT {
            counter::add(&raw mut (*counts).aborted_half_closed, 1);
        }
    }
}

/// A connection attempt was answered with a reset, at a port of the container or else one of its pod.
#[inline(always)]
pub(crate) fn count_refused(
    connections: *mut Connections,
    interval: u32,
    in_pod: bool,
    (port, peer): (u32, Endpoint),
) {
    let counts = in_interval(connections, interval);
    // SAFETY: both are pointers into the map's value.
    unsafe {
        if in_pod {
            counter::add(&raw mut (*counts).refused_in_pod, 1);
            return;
        }
        let arrival = Arrival {
            peer,
            port,
            from_node: is_of_node(peer),
            refused: true,
            at: now(),
        };
        counter::add(&raw mut (*counts).refused, 1);
        if arrival.from_node {
            counter::add(&raw mut (*counts).refused_from_node, 1);
            (&raw mut (*connections).from_node_at).write_volatile(arrival.at);
        } else {
            (&raw mut (*connections).refused_at).write_volatile(arrival.at);
        }
        peers::record_arrival(connections, interval, &arrival);
    }
}

/// Rare on any machine, so it is looked at whoever listens: an untracked one may take the port of a container that is
/// gone.
///
/// When it begins to listen, the kernel may not yet have chosen the port; when it ends, it is known.
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/inet_connection_sock.c>: `inet_csk_listen_start`
#[inline(never)]
fn handle_listener(ctx: BtfTracePointContext) {
    let sock = BtfPtr::argument(&ctx, 0);
    if !socket::is_tcp(sock) {
        return;
    }
    let begins = ctx.arg::<i32>(2) == LISTEN;
    let listener = socket::listener(sock);
    let subject = filter::subject(socket::cgroup_id(sock));
    let found = subject.and_then(|subject| Some((subject, counters(subject.container)?)));
    let Some((subject, connections)) = found else {
        if begins {
            network::forget_listener(listener);
        }
        return;
    };
    if listener.port != 0 {
        network::record_listener(listener, subject);
    }
    if !begins {
        // SAFETY: the map handed out this pointer to its value.
        unsafe { (&raw mut (*connections).last_listener_closed_at).write_volatile(now()) }
    }
}

/// What is counted of a container, if it is.
#[inline(always)]
pub(crate) fn counters(container: u64) -> Option<*mut Connections> {
    CONNECTIONS.get_ptr_mut(container)
}

#[inline(always)]
fn in_interval(connections: *mut Connections, interval: u32) -> *mut PhaseCounts {
    // SAFETY: an element of the array in the map's value; the verifier sees the mask.
    unsafe {
        let intervals = &raw mut (*connections).intervals;
        let number = interval as usize & (INTERVALS - 1);
        intervals.cast::<PhaseCounts>().add(number)
    }
}

/// Whether it is an address of the node itself.
#[inline(always)]
fn is_of_node(peer: Endpoint) -> bool {
    NODE_ADDRESSES.get_ptr(peer.address).is_some()
}
