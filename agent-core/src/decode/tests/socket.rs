//! Reset records, and the counts of the maps.

use core::mem::offset_of;
use core::net::Ipv6Addr;

use agent_common::record::{Endpoint, Kind, ResetRecord};
use agent_common::socket::{self, NO_REASON, ResetKey};

use super::Bytes;
use crate::connection::{
    BySide, Direction, Mode, Peer, Phase, PhaseCounts, ResetClass, ResetSeen, Scope, Side,
    SocketCounts,
};
use crate::decode::{DecodeError, counts, decode};
use crate::event::EventKind;
use crate::time::Timestamp;

fn record() -> Bytes {
    let peer: Ipv6Addr = "::ffff:10.0.0.7".parse().unwrap();
    let endpoint = offset_of!(ResetRecord, peer);
    Bytes::zeroed(Kind::Reset)
        .with_u32(offset_of!(ResetRecord, interval), 3)
        .with_u32(offset_of!(ResetRecord, reset), 1)
        .with_u32(offset_of!(ResetRecord, scope), 1)
        .with_u32(offset_of!(ResetRecord, reason), 15)
        .with_u32(offset_of!(ResetRecord, refused), 1)
        .with_u32(offset_of!(ResetRecord, local_port), 8080)
        .with_bytes(endpoint + offset_of!(Endpoint, address), &peer.octets())
        .with_u32(endpoint + offset_of!(Endpoint, port), 50_000)
}

fn decode_reset(bytes: &Bytes) -> ResetSeen {
    let EventKind::Reset(reset) = bytes.decode_kind() else {
        panic!("{:?}", bytes.decode_kind());
    };
    reset
}

#[test]
fn every_field_of_a_reset_is_read() {
    assert_eq!(
        decode_reset(&record()),
        ResetSeen {
            class: ResetClass {
                phase: Phase::Closing,
                direction: Direction::Sent,
                mode: Mode::Passive,
                scope: Scope::Pod,
                side: Side::Unknown,
                idle_closed: false,
                reason: Some(15),
            },
            refused: true,
            local_port: 8080,
            peer: Some("10.0.0.7:50000".parse().unwrap()),
            after_signal: false,
        }
    );
}

#[test]
fn who_reset_and_how_is_told_apart() {
    let kind = |number| {
        let class = decode_reset(&record().with_u32(offset_of!(ResetRecord, reset), number)).class;
        (class.direction, class.mode)
    };
    assert_eq!(kind(0), (Direction::Sent, Mode::Active));
    assert_eq!(kind(1), (Direction::Sent, Mode::Passive));
    assert_eq!(kind(2), (Direction::Received, Mode::Unknown));
}

#[test]
fn a_reason_and_a_peer_that_the_kernel_does_not_tell_are_none() {
    let bytes = record()
        .with_u32(offset_of!(ResetRecord, reason), NO_REASON)
        .with_bytes(offset_of!(ResetRecord, peer), &[0; size_of::<Endpoint>()]);
    assert_eq!(decode_reset(&bytes).class.reason, None);
    assert_eq!(decode_reset(&bytes).peer, None);
    let zero = record().with_u32(offset_of!(ResetRecord, reason), 0);
    assert_eq!(decode_reset(&zero).class.reason, Some(0));
}

#[test]
fn numbers_that_do_not_exist_are_an_error() {
    let error = |offset, number| decode(&record().with_u32(offset, number).0).unwrap_err();
    for offset in [
        offset_of!(ResetRecord, interval),
        offset_of!(ResetRecord, reset),
        offset_of!(ResetRecord, scope),
    ] {
        assert_eq!(error(offset, 8), DecodeError::InvalidReset(8));
    }
    assert_eq!(
        error(offset_of!(ResetRecord, local_port), 65_536),
        DecodeError::InvalidPort(65_536)
    );
}

fn reset_key(interval: u8, kind: u8, scope: u8, reason: u32) -> ResetKey {
    ResetKey {
        container: 77,
        interval,
        kind,
        scope,
        traits: 0,
        reason,
    }
}

#[test]
fn whose_wish_a_connection_was_is_told_apart() {
    let class =
        |traits| decode_reset(&record().with_u32(offset_of!(ResetRecord, traits), traits)).class;
    let side = |traits| class(traits).side;
    assert_eq!(side(0), Side::Unknown);
    assert_eq!(side(1), Side::Accepted);
    assert_eq!(side(2), Side::Initiated);
    assert_eq!(side(3), Side::Unknown);
    assert!(class(5).idle_closed);
    assert!(!class(1).idle_closed);
}

#[test]
fn a_reset_after_a_signal_says_so() {
    let seen = decode_reset(&record().with_u32(offset_of!(ResetRecord, interval), 6));
    assert!(seen.after_signal);
    assert_eq!(seen.class.phase, Phase::Stopping);
}

fn in_kernel(first: u64) -> socket::PhaseCounts {
    socket::PhaseCounts {
        accepted: first,
        connected: first + 1,
        finished: first + 2,
        cut: first + 3,
        refused: first + 4,
        refused_in_pod: first + 5,
        accepted_from_node: first + 6,
        refused_from_node: first + 7,
        finished_initiated: first + 8,
        cut_initiated: first + 9,
        aborted: first + 10,
        aborted_half_closed: first + 11,
        aborted_initiated: first + 12,
    }
}

fn as_read(first: u64) -> PhaseCounts {
    PhaseCounts {
        accepted: first,
        connected: first + 1,
        finished: first + 2,
        cut: first + 3,
        refused: first + 4,
        refused_in_pod: first + 5,
        accepted_from_node: first + 6,
        refused_from_node: first + 7,
        by_side: Some(BySide {
            finished_initiated: first + 8,
            cut_initiated: first + 9,
            aborted: first + 10,
            aborted_half_closed: first + 11,
            aborted_initiated: first + 12,
        }),
    }
}

fn reset_class(
    phase: Phase,
    direction: Direction,
    mode: Mode,
    reason: Option<u32>,
) -> ResetClass<u32> {
    ResetClass {
        phase,
        direction,
        mode,
        scope: Scope::Container,
        side: Side::Unknown,
        idle_closed: false,
        reason,
    }
}

fn connections() -> socket::Connections {
    let intervals = [10, 30, 50, 70, 90, 110, 130, 150].map(in_kernel);
    socket::Connections {
        reset_changes: 3,
        accepted_at: 5,
        refused_at: 0,
        from_node_at: 6,
        last_listener_closed_at: 7,
        intervals,
        ..socket::Connections::default()
    }
}

#[test]
fn the_counts_are_read_by_phase_and_class() {
    let resets = [
        (reset_key(2, 2, 0, NO_REASON), 4),
        (reset_key(0, 1, 0, 1), 9),
    ];
    assert_eq!(
        counts(&connections(), resets),
        Ok(SocketCounts {
            phases: [10, 30, 50, 70].map(as_read),
            accepted_at: Some(Timestamp(5)),
            refused_at: None,
            from_node_at: Some(Timestamp(6)),
            last_listener_closed_at: Some(Timestamp(7)),
            resets: vec![
                (
                    reset_class(Phase::Running, Direction::Sent, Mode::Passive, Some(1)),
                    9
                ),
                (
                    reset_class(Phase::Stopping, Direction::Received, Mode::Unknown, None),
                    4
                ),
            ],
            ..SocketCounts::default()
        })
    );
}

#[test]
fn what_was_counted_after_signals_is_read_by_their_places() {
    let connections = socket::Connections {
        progress: socket::PhaseProgress {
            signals: [0, 100, 200, 0],
            stopping_at: 300,
            unplaced_at: 400,
            ..socket::PhaseProgress::default()
        },
        ..connections()
    };
    let resets = [
        (reset_key(6, 2, 0, NO_REASON), 4),
        (reset_key(3, 2, 0, NO_REASON), 1),
    ];
    let read = counts(&connections, resets).unwrap();
    let since: Vec<Option<u64>> = read
        .after_signals
        .iter()
        .map(|after| after.since.map(|at| at.0))
        .collect();
    assert_eq!(since, [None, Some(100), Some(200), None]);
    let after: Vec<PhaseCounts> = read.after_signals.iter().map(|one| one.counts).collect();
    assert_eq!(after, [90, 110, 130, 150].map(as_read));
    let received = reset_class(Phase::Stopping, Direction::Received, Mode::Unknown, None);
    assert_eq!(read.after_signals[2].resets, [(received, 4)]);
    assert_eq!(read.resets.len(), 1);
    assert_eq!(read.stopping_since, Some(Timestamp(300)));
    assert_eq!(read.unplaced_at, Some(Timestamp(400)));
}

#[test]
fn the_last_arrivals_of_a_peer_are_read_by_time() {
    let address: Ipv6Addr = "::ffff:10.0.0.7".parse().unwrap();
    let [first, second] = [0, 8].map(|at| {
        let bytes: [u8; 8] = address.octets()[at..at + 8].try_into().unwrap();
        u64::from_ne_bytes(bytes)
    });
    let peer = |count| socket::Peer {
        address: [first, second],
        port: 8080,
        count,
        arrivals: [90, 20, 30, 40, 50, 60, 70, 80],
        accepted: [8, 0, 0, 0, 0, 0, 0, 0],
        refused: [0, 0, 0, 0, 0, 0, 0, 1],
        ..socket::Peer::default()
    };
    let mut connections = socket::Connections::default();
    connections.peers[3] = peer(9);
    connections.peers[5] = peer(3);
    let read = counts(&connections, []).unwrap().peers;
    let times = |peer: &Peer| peer.arrivals.iter().map(|at| at.0).collect::<Vec<_>>();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].address.to_string(), "10.0.0.7");
    assert_eq!(read[0].port, 8080);
    assert_eq!(times(&read[0]), [20, 30, 40, 50, 60, 70, 80, 90]);
    assert_eq!(times(&read[1]), [20, 30, 90]);
    assert_eq!(read[0].counts[0].accepted, 8);
    assert_eq!(read[0].counts[7].refused, 1);
}

#[test]
fn counts_of_a_class_that_does_not_exist_are_an_error() {
    for wrong in [
        reset_key(8, 0, 0, 0),
        reset_key(0, 3, 0, 0),
        reset_key(0, 0, 2, 0),
    ] {
        let read = counts(&socket::Connections::default(), [(wrong, 1)]);
        assert!(matches!(read, Err(DecodeError::InvalidReset(_))));
    }
}
