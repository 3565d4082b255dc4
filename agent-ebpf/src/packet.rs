//! What the programs ask of a packet that is being received, a `struct sk_buff`.

use agent_common::record::Endpoint;
use agent_common::socket::Listener;

use crate::globals::{
    DEVICE_NET, NET_INUM, SKB_CONTROL, SKB_DEVICE, SKB_HEAD, SKB_NETWORK, SKB_TRANSPORT,
};
use crate::kernel::{Address, BtfPtr};
use crate::socket;

/// Bits of the flags in a TCP header: RFC 9293, section 3.1.
const FIN: u8 = 1;
const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const ACK: u8 = 1 << 4;
/// Where the source address stands in an IP header, of version 4 and 6: RFC 791 and RFC 8200.
const SOURCE4: u64 = 12;
const SOURCE6: u64 = 8;

/// The first 16 bytes of a TCP header.
#[derive(Clone, Copy)]
pub(crate) struct Segment([u8; 16]);

impl Segment {
    /// The one in a packet, whose headers the kernel has found already. All zero if it cannot be read.
    #[inline(always)]
    pub(crate) fn of(packet: BtfPtr) -> Self {
        let header = header(packet, packet.load(&SKB_TRANSPORT));
        Self(header.get())
    }

    #[inline(always)]
    pub(crate) const fn is_reset(self) -> bool {
        self.0[13] & RST != 0
    }

    /// Whether it begins a connection.
    #[inline(always)]
    pub(crate) const fn is_attempt(self) -> bool {
        self.0[13] & (SYN | ACK) == SYN
    }

    /// How many bytes of data it carries.
    ///
    /// The control block begins with the first sequence number and the one after the last.
    /// <https://github.com/torvalds/linux/blob/v6.12/include/net/tcp.h>: `struct tcp_skb_cb`
    #[inline(always)]
    pub(crate) fn payload(self, packet: BtfPtr) -> u32 {
        let [first, end] = packet.address().read::<[u32; 2]>(&SKB_CONTROL);
        let flags = u32::from(self.0[13] & SYN != 0) + u32::from(self.0[13] & FIN != 0);
        end.wrapping_sub(first).wrapping_sub(flags)
    }

    #[inline(always)]
    pub(crate) const fn local_port(self) -> u32 {
        u16::from_be_bytes([self.0[2], self.0[3]]) as u32
    }

    #[inline(always)]
    const fn peer_port(self) -> u32 {
        u16::from_be_bytes([self.0[0], self.0[1]]) as u32
    }

    /// The port that it is for, where nothing is known but the device that it came by.
    #[inline(always)]
    pub(crate) fn listener(self, packet: BtfPtr) -> Listener {
        let network = packet.follow(&SKB_DEVICE).follow(&DEVICE_NET);
        Listener {
            network: network.load(&NET_INUM),
            port: self.local_port(),
        }
    }

    /// Where it came from.
    #[inline(always)]
    pub(crate) fn peer(self, packet: BtfPtr) -> Endpoint {
        let header = header(packet, packet.load(&SKB_NETWORK));
        let address = match header.get::<[u8; 1]>()[0] >> 4 {
            4 => socket::mapped(header.plus(SOURCE4).get()),
            6 => header.plus(SOURCE6).get(),
            _ => [0; _],
        };
        Endpoint {
            address,
            port: self.peer_port(),
        }
    }
}

#[inline(always)]
fn header(packet: BtfPtr, offset: u16) -> Address {
    Address(packet.load(&SKB_HEAD)).plus(u64::from(offset))
}
