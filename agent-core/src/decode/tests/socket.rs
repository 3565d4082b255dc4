//! Reset records, and the counts of the maps.

use core::mem::offset_of;
use core::net::Ipv6Addr;

use agent_common::record::{Endpoint, Kind, ResetRecord};
use agent_common::socket::{self, NO_REASON, ResetKey};

use super::Bytes;
use crate::connection::{
    Direction, Mode, Phase, PhaseCounts, ResetClass, ResetSeen, Scope, SocketCounts,
};
use crate::decode::{DecodeError, counts, decode};
use crate::event::EventKind;
use crate::time::Timestamp;

fn record() -> Bytes {
    let peer: Ipv6Addr = "::ffff:10.0.0.7".parse().unwrap();
    let endpoint = offset_of!(ResetRecord, peer);
    Bytes::of(Kind::Reset)
        .u32(offset_of!(ResetRecord, phase), 3)
        .u32(offset_of!(ResetRecord, reset), 1)
        .u32(offset_of!(ResetRecord, scope), 1)
        .u32(offset_of!(ResetRecord, reason), 15)
        .u32(offset_of!(ResetRecord, refused), 1)
        .u32(offset_of!(ResetRecord, local_port), 8080)
        .put(endpoint + offset_of!(Endpoint, address), &peer.octets())
        .u32(endpoint + offset_of!(Endpoint, port), 50_000)
}

fn reset(bytes: &Bytes) -> ResetSeen {
    let EventKind::Reset(reset) = bytes.kind() else {
        panic!("{:?}", bytes.kind());
    };
    reset
}

#[test]
fn every_field_of_a_reset_is_read() {
    assert_eq!(
        reset(&record()),
        ResetSeen {
            class: ResetClass {
                phase: Phase::Closing,
                direction: Direction::Sent,
                mode: Mode::Passive,
                scope: Scope::Pod,
                reason: Some(15),
            },
            refused: true,
            local_port: 8080,
            peer: Some("10.0.0.7:50000".parse().unwrap()),
        }
    );
}

#[test]
fn who_reset_and_how_is_told_apart() {
    let kind = |number| {
        let class = reset(&record().u32(offset_of!(ResetRecord, reset), number)).class;
        (class.direction, class.mode)
    };
    assert_eq!(kind(0), (Direction::Sent, Mode::Active));
    assert_eq!(kind(1), (Direction::Sent, Mode::Passive));
    assert_eq!(kind(2), (Direction::Received, Mode::Unknown));
}

#[test]
fn a_reason_and_a_peer_that_the_kernel_does_not_tell_are_none() {
    let bytes = record()
        .u32(offset_of!(ResetRecord, reason), NO_REASON)
        .put(offset_of!(ResetRecord, peer), &[0; size_of::<Endpoint>()]);
    assert_eq!(reset(&bytes).class.reason, None);
    assert_eq!(reset(&bytes).peer, None);
    let zero = record().u32(offset_of!(ResetRecord, reason), 0);
    assert_eq!(reset(&zero).class.reason, Some(0));
}

#[test]
fn numbers_that_do_not_exist_are_an_error() {
    let error = |offset, number| decode(&record().u32(offset, number).0).unwrap_err();
    for offset in [
        offset_of!(ResetRecord, phase),
        offset_of!(ResetRecord, reset),
        offset_of!(ResetRecord, scope),
    ] {
        assert_eq!(error(offset, 4), DecodeError::InvalidReset(4));
    }
    assert_eq!(
        error(offset_of!(ResetRecord, local_port), 65_536),
        DecodeError::InvalidPort(65_536)
    );
}

fn key(phase: u8, kind: u8, scope: u8, reason: u32) -> ResetKey {
    ResetKey {
        container: 77,
        phase,
        kind,
        scope,
        reserved: 0,
        reason,
    }
}

#[test]
fn the_counts_are_read_by_phase_and_class() {
    let phase = |first: u64| socket::PhaseCounts {
        accepted: first,
        connected: first + 1,
        finished: first + 2,
        cut: first + 3,
        refused: first + 4,
        refused_in_pod: first + 5,
        accepted_from_node: first + 6,
        refused_from_node: first + 7,
    };
    let read_phase = |first: u64| PhaseCounts {
        accepted: first,
        connected: first + 1,
        finished: first + 2,
        cut: first + 3,
        refused: first + 4,
        refused_in_pod: first + 5,
        accepted_from_node: first + 6,
        refused_from_node: first + 7,
    };
    let connections = socket::Connections {
        reset_changes: 3,
        accepted_at: 5,
        refused_at: 0,
        from_node_at: 6,
        unlistened_at: 7,
        phases: [phase(10), phase(20), phase(30), phase(40)],
    };
    let class = |phase, direction, mode, reason| ResetClass {
        phase,
        direction,
        mode,
        scope: Scope::Container,
        reason,
    };
    let resets = [(key(2, 2, 0, NO_REASON), 4), (key(0, 1, 0, 1), 9)];
    assert_eq!(
        counts(&connections, resets),
        Ok(SocketCounts {
            phases: [
                read_phase(10),
                read_phase(20),
                read_phase(30),
                read_phase(40)
            ],
            accepted_at: Some(Timestamp(5)),
            refused_at: None,
            from_node_at: Some(Timestamp(6)),
            unlistened_at: Some(Timestamp(7)),
            resets: vec![
                (
                    class(Phase::Running, Direction::Sent, Mode::Passive, Some(1)),
                    9
                ),
                (
                    class(Phase::Stopping, Direction::Received, Mode::Unknown, None),
                    4
                ),
            ],
        })
    );
}

#[test]
fn counts_of_a_class_that_does_not_exist_are_an_error() {
    for wrong in [key(4, 0, 0, 0), key(0, 3, 0, 0), key(0, 0, 2, 0)] {
        let read = counts(&socket::Connections::default(), [(wrong, 1)]);
        assert!(matches!(read, Err(DecodeError::InvalidReset(_))));
    }
}
