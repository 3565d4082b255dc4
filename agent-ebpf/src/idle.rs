//! Connections that a container accepted and closed when nothing was under way, and the data that comes for them
//! nevertheless: the peer's next request, which it sent before it knew, or without looking.

use agent_common::record::Endpoint;
use agent_common::socket::{CLOSED_IDLE_MAX, Closed, Listener, is_goodbye};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;

use crate::globals::{
    TCP_ACKNOWLEDGED, TCP_PACKET_AT, TCP_RECEIVED_AT, TCP_ROUND_TRIP, TCP_SENT_AT, TCP_WRITTEN,
};
use crate::kernel::{Address, BtfPtr};
use crate::packet::Segment;
use crate::share::Remembered;
use crate::{share, socket};

#[map]
static CLOSED_IDLE: LruHashMap<Closed, u32> = LruHashMap::with_max_entries(CLOSED_IDLE_MAX, 0);

/// What `srtt_us` is a multiple of.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/tcp.h>: "smoothed round trip time << 3 in usecs"
const ROUND_TRIP_SHIFT: u32 = 3;
/// Ticks by which two times in ticks may differ more than they are apart.
const TICKS_UNSURE: u32 = 2;

/// Takes note of a connection that was accepted and is being closed by the container first, if it is idle.
#[inline(always)]
pub(crate) fn record_idle_close(sock: BtfPtr, outermost: u64) {
    if is_idle(sock.address())
        && let Some(peer) = socket::peer(sock)
        && share::take(outermost, Remembered::IdleClose)
    {
        let closed = Closed {
            listener: socket::listener(sock),
            peer,
        };
        // The oldest entry gives way, so there is always room.
        let _inserted = CLOSED_IDLE.insert(closed, 1, 0);
    }
}

/// Whether all that came was answered, the peer has the answer, and nothing was under way for longer than a round trip:
/// then nothing that the peer sent for what was before can still come.
///
/// The answer may be a `close_notify` that was sent a moment ago, so that the time since the last packet tells nothing, but
/// the time between the last data that came and the last that was sent does. That is in ticks, of which there
/// are 1000 a second at the most: to take each for a millisecond asks for more than is needed.
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_output.c>: `tcp_event_data_sent`, and
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_input.c>: `tcp_event_data_recv`
#[inline(always)]
fn is_idle(sock: Address) -> bool {
    let sent: u32 = sock.read(&TCP_SENT_AT);
    let received: u32 = sock.read(&TCP_RECEIVED_AT);
    let ticks = sent.wrapping_sub(received);
    if ticks.cast_signed() < 0 {
        return false;
    }
    let acknowledged: u32 = sock.read(&TCP_ACKNOWLEDGED);
    let under_way = sock.read::<u32>(&TCP_WRITTEN).wrapping_sub(acknowledged);
    if under_way != 0 && !is_goodbye(under_way) {
        return false;
    }
    let round_trip = sock.read::<u32>(&TCP_ROUND_TRIP) >> ROUND_TRIP_SHIFT;
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() } / 1000;
    let quiet = now.saturating_sub(sock.read(&TCP_PACKET_AT));
    quiet > u64::from(round_trip) || ticks > round_trip / 1000 + TICKS_UNSURE
}

/// Whether a segment that is answered with a reset is data for such a connection, and no mere goodbye. Told once.
#[inline(always)]
pub(crate) fn take_idle_close(
    listener: Listener,
    peer: Endpoint,
    segment: Segment,
    packet: BtfPtr,
) -> bool {
    let payload = segment.payload(packet);
    if payload == 0 || is_goodbye(payload) {
        return false;
    }
    CLOSED_IDLE.remove(Closed { listener, peer }).is_ok()
}
