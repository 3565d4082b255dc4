//! Who connects to a container, and how often: a few places for each container.
//!
//! None of it is atomic. Of two arrivals at the same moment one may be missing from what is remembered of their peer;
//! what matters are those that come one by one.

use agent_common::record::Endpoint;
use agent_common::socket::{ARRIVALS_KEPT, Connections, INTERVALS, PEERS_KEPT, Peer};

/// A peer that was not seen for longer gives its place to any other: 10 minutes, in nanoseconds. Nobody looks after
/// a container less often.
const STALE_AFTER: u64 = 600_000_000_000;

/// Somebody connected, or tried to.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) peer: Endpoint,
    /// The port on the container's side.
    pub(crate) port: u32,
    pub(crate) from_node: bool,
    pub(crate) refused: bool,
    pub(crate) at: u64,
}

impl Arrival {
    #[inline(always)]
    fn address(&self) -> [u64; 2] {
        // SAFETY: sixteen bytes either way, and every bit pattern is a value.
        unsafe { core::mem::transmute(self.peer.address) }
    }
}

/// Remembers an arrival.
///
/// # Safety
///
/// `connections` must point to the map's value.
#[inline(always)]
pub(crate) unsafe fn record_arrival(
    connections: *mut Connections,
    interval: u32,
    arrival: &Arrival,
) {
    // SAFETY: the caller's pointer, and numbers of elements inside the arrays; the verifier sees the masks.
    unsafe {
        let peers = (&raw mut (*connections).peers).cast::<Peer>();
        let (place, is_known) = place(peers, arrival);
        let peer = peers.add(place & (PEERS_KEPT - 1));
        if !is_known {
            begin(peer, arrival);
        }
        let count = (&raw const (*peer).count).read_volatile();
        let nth = count as usize & (ARRIVALS_KEPT - 1);
        let arrivals = (&raw mut (*peer).arrivals).cast::<u64>();
        arrivals.add(nth).write_volatile(arrival.at);
        (&raw mut (*peer).count).write_volatile(count.wrapping_add(1));
        let numbers = if arrival.refused {
            &raw mut (*peer).refused
        } else {
            &raw mut (*peer).accepted
        };
        let number = numbers
            .cast::<u32>()
            .add(interval as usize & (INTERVALS - 1));
        number.write_volatile(number.read_volatile().wrapping_add(1));
    }
}

/// The place of the peer, and whether it has it already: else the one that nobody misses most.
///
/// # Safety
///
/// `peers` must point to all of them in the map's value.
#[inline(always)]
unsafe fn place(peers: *mut Peer, arrival: &Arrival) -> (usize, bool) {
    const { assert!(PEERS_KEPT.is_power_of_two()) };
    let [first, second] = arrival.address();
    let mut weakest = (0, u64::MAX);
    for place in 0..PEERS_KEPT {
        // SAFETY: inside the array.
        unsafe {
            let peer = peers.add(place);
            let count = (&raw const (*peer).count).read_volatile();
            let address = (&raw const (*peer).address).cast::<u64>();
            if count != 0
                && address.read_volatile() == first
                && address.add(1).read_volatile() == second
                && (&raw const (*peer).port).read_volatile() == arrival.port
            {
                return (place, true);
            }
            let last = count.wrapping_sub(1) as usize & (ARRIVALS_KEPT - 1);
            let arrivals = (&raw const (*peer).arrivals).cast::<u64>();
            let seen_at = arrivals.add(last).read_volatile();
            let is_stale = arrival.at.wrapping_sub(seen_at) > STALE_AFTER;
            let worth = if is_stale { 0 } else { count };
            if worth < weakest.1 {
                weakest = (place, worth);
            }
        }
    }
    (weakest.0, false)
}

/// Gives a place to a peer.
///
/// # Safety
///
/// `peer` must point into the map's value.
#[inline(always)]
unsafe fn begin(peer: *mut Peer, arrival: &Arrival) {
    let [first, second] = arrival.address();
    // SAFETY: the caller's pointer, and elements inside the arrays.
    unsafe {
        let address = (&raw mut (*peer).address).cast::<u64>();
        address.write_volatile(first);
        address.add(1).write_volatile(second);
        (&raw mut (*peer).port).write_volatile(arrival.port);
        (&raw mut (*peer).from_node).write_volatile(u32::from(arrival.from_node));
        (&raw mut (*peer).count).write_volatile(0);
        let (accepted, refused) = (&raw mut (*peer).accepted, &raw mut (*peer).refused);
        for interval in 0..INTERVALS {
            accepted.cast::<u32>().add(interval).write_volatile(0);
            refused.cast::<u32>().add(interval).write_volatile(0);
        }
    }
}
