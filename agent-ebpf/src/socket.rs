//! What the programs ask of a `struct sock`, and which of the kernel's three kinds it is.

use agent_common::record::Endpoint;
use agent_common::socket::{ACCEPTED, INITIATED, Listener};

use crate::globals::CGROUP_KN;
use crate::globals::{
    INET_PORT, KERNFS_ID, NET_INUM, SOCK_ADDRESS, SOCK_ADDRESS6, SOCK_BACKLOG, SOCK_CGROUP,
    SOCK_CGROUP_IS_TAGGED, SOCK_ERROR, SOCK_FAMILY, SOCK_NET, SOCK_PORT, SOCK_PROTOCOL, SOCK_STATE,
};
use crate::kernel::{Address, BtfPtr};
use crate::network;

/// States.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/net/tcp_states.h>
pub(crate) const ESTABLISHED: i32 = 1;
pub(crate) const SYN_SENT: i32 = 2;
pub(crate) const SYN_RECV: i32 = 3;
pub(crate) const FIN_WAIT1: i32 = 4;
const TIME_WAIT: u8 = 6;
pub(crate) const CLOSE: i32 = 7;
pub(crate) const CLOSE_WAIT: i32 = 8;
pub(crate) const LISTEN: i32 = 10;
const NEW_SYN_RECV: u8 = 12;

/// Address families.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/socket.h>
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/in.h>
const IPPROTO_TCP: u16 = 6;
/// The lowest bits of a tagged `sk_cgrp_data`: set if it is no pointer, or one to nothing of ours.
///
/// <https://github.com/torvalds/linux/blob/v5.10/include/linux/cgroup.h>: `sock_cgroup_ptr`
const TAG: u64 = 3;

/// Whether it is a whole `struct sock`: there is one, and it is neither a TIME_WAIT nor a request socket, which
/// have no more than what stands in `__sk_common`.
///
/// The verifier of some kernels believes that there always is one and leaves the first question out; then the
/// state of none reads as 0.
#[inline(always)]
pub(crate) fn is_full(sock: BtfPtr) -> bool {
    if sock.is_null() {
        return false;
    }
    !matches!(sock.load::<u8>(&SOCK_STATE), 0 | TIME_WAIT | NEW_SYN_RECV)
}

/// Id of the v2 cgroup of a full socket: of the process that made it, or that made its listener. 0 if none is
/// known.
#[inline(always)]
pub(crate) fn cgroup_id(sock: BtfPtr) -> u64 {
    // The verifier knows the global as a constant: where the pointer is tagged, its type has no such member.
    if SOCK_CGROUP_IS_TAGGED.load() == 0 {
        return sock.follow(&SOCK_CGROUP).cgroup_id();
    }
    let tagged: u64 = sock.address().read(&SOCK_CGROUP);
    if tagged & TAG == 0 {
        Address(tagged).follow(&CGROUP_KN).read(&KERNFS_ID)
    } else {
        0
    }
}

/// The state of a full socket, one of those above or another.
#[inline(always)]
pub(crate) fn state(sock: BtfPtr) -> i32 {
    i32::from(sock.load::<u8>(&SOCK_STATE))
}

/// Whether a full socket is of TCP and not of a protocol above or beside it.
#[inline(always)]
pub(crate) fn is_tcp(sock: BtfPtr) -> bool {
    sock.load::<u16>(&SOCK_PROTOCOL) == IPPROTO_TCP
}

/// Whose wish a full socket's connection was: `ACCEPTED` or `INITIATED`.
///
/// The kernel clones the socket of a connection that is accepted from the listener, and the length of the backlog, which only
/// listen(2) sets, with it. So this holds of connections that are older than the agent, too. A backlog of 0 is rare and
/// legal; then the port tells.
/// <https://github.com/torvalds/linux/blob/v6.12/net/core/sock.c>: `sk_clone_lock`, and
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/af_inet.c>: `__inet_listen_sk`
#[inline(always)]
pub(crate) fn side(sock: BtfPtr) -> u8 {
    if sock.load::<u32>(&SOCK_BACKLOG) != 0 || network::is_known(listener(sock)) {
        ACCEPTED
    } else {
        INITIATED
    }
}

/// Whether nothing has gone wrong with a full socket: what ends now ends by this side's doing, and not by a reset from the
/// peer or a time-out.
///
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_input.c>: `tcp_reset`
#[inline(always)]
pub(crate) fn is_sound(sock: BtfPtr) -> bool {
    sock.load::<i32>(&SOCK_ERROR) == 0
}

/// The port of a full socket and the network that it is of.
#[inline(always)]
pub(crate) fn listener(sock: BtfPtr) -> Listener {
    Listener {
        network: network(sock),
        port: local_port(sock),
    }
}

/// The inode number of a socket's network namespace.
#[inline(always)]
pub(crate) fn network(sock: BtfPtr) -> u32 {
    sock.follow(&SOCK_NET).load(&NET_INUM)
}

/// The local port of a full socket. Not the one in `__sk_common`, which is 0 as soon as the socket is closed.
#[inline(always)]
pub(crate) fn local_port(sock: BtfPtr) -> u32 {
    u32::from(u16::from_be(sock.address().read(&INET_PORT)))
}

/// The other side of a socket of any kind.
#[inline(always)]
pub(crate) fn peer(sock: BtfPtr) -> Option<Endpoint> {
    let mut endpoint = Endpoint {
        address: [0; _],
        port: u32::from(u16::from_be(sock.load(&SOCK_PORT))),
    };
    match sock.load::<u16>(&SOCK_FAMILY) {
        AF_INET => endpoint.address = mapped(sock.load::<u32>(&SOCK_ADDRESS).to_ne_bytes()),
        // A socket of this family may be on its way to a mapped IPv4 address.
        AF_INET6 if SOCK_ADDRESS6.load() != 0 => {
            // SAFETY: the field has these 16 bytes.
            unsafe {
                sock.address()
                    .copy(&SOCK_ADDRESS6, &raw mut endpoint.address);
            }
        }
        _ => return None,
    }
    Some(endpoint)
}

/// An IPv4 address as an IPv6 address: `::ffff:a.b.c.d`.
#[inline(always)]
pub(crate) const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
