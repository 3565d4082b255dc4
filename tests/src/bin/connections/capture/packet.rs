//! A captured segment: the facts that are compared. The file's format and the headers are read by libraries, so that the
//! observer shares no code with the agent.

use std::fs::File;
use std::io::BufReader;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, bail, ensure};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use gracewatch_tests::rig::clock;
use pcap_file::TsResolution;
use pcap_file::pcap::PcapReader;
use rustix::time::{ClockId, clock_gettime};

/// A TCP segment on the wire.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of the protocol, any of which can be set"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    /// When, by the boot clock.
    pub(crate) at: Timestamp,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) sequence: u32,
}

/// Every TCP segment of the file.
pub(super) fn read(path: &Path) -> Result<Vec<Packet>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = PcapReader::new(BufReader::new(file)).context("not a capture")?;
    ensure!(
        reader.header().ts_resolution == TsResolution::NanoSecond,
        "the capture's times are not in nanoseconds"
    );
    let since_boot = wall_clock_at_boot();
    let mut packets = Vec::new();
    // Raw, since the library takes a packet that is longer than the snapshot of it for an error.
    while let Some(packet) = reader.next_raw_packet() {
        let packet = packet.context("the capture is broken")?;
        let wall = i128::from(packet.ts_sec) * 1_000_000_000 + i128::from(packet.ts_frac);
        let at = Timestamp(u64::try_from(wall - since_boot)?);
        packets.push(parse(&packet.data, at)?);
    }
    Ok(packets)
}

/// What the wall clock showed when the boot clock was 0: the kernel stamps packets with the wall clock. Read between two
/// readings of the boot clock, the nearest of several, since this process may have to wait in between.
fn wall_clock_at_boot() -> i128 {
    let readings = (0..20).map(|_| {
        let before = clock::now().0;
        let wall = clock_gettime(ClockId::Realtime);
        let width = clock::now().0 - before;
        let wall = i128::from(wall.tv_sec) * 1_000_000_000 + i128::from(wall.tv_nsec);
        (width, wall - i128::from(before + width / 2))
    });
    readings.min().unwrap_or_default().1
}

fn parse(bytes: &[u8], at: Timestamp) -> Result<Packet> {
    let sliced = LaxSlicedPacket::from_ethernet(bytes).context("not an Ethernet frame")?;
    let (from, to): (IpAddr, IpAddr) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        Some(LaxNetSlice::Ipv6(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        other => bail!("a captured packet is not IP: {other:?}"),
    };
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
        bail!("a captured packet is not TCP: {:?}", sliced.transport);
    };
    Ok(Packet {
        at,
        from: (from, tcp.source_port()).into(),
        to: (to, tcp.destination_port()).into(),
        syn: tcp.syn(),
        ack: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        sequence: tcp.sequence_number(),
    })
}
