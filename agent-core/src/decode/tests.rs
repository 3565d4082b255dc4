//! Records built field by field, cut at every byte, and spoiled.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one variant and fails on all others"
)]

use core::mem::{offset_of, size_of};
use core::net::Ipv6Addr;

use agent_common::record::{
    AttachRecord, CgroupRecord, CgroupStateRecord, ConnectRecord, DeliveryRecord, Endpoint,
    ExecRecord, ExitRecord, Header, Kind, OomRecord, Process as ProcessRecord, SignalRecord,
};
use proptest::prelude::{any, proptest};

use super::{DecodeError, decode, size_of_kind};
use crate::event::{
    CgroupId, Connect, Delivered, Delivery, Disposition, Event, EventKind, ExitStatus, Handler,
    Process, SignalSent, Tgid,
};
use crate::signal::{Signal, SignalSet};
use crate::time::Timestamp;

mod socket;

/// A record in the making.
struct Bytes(Vec<u8>);

impl Bytes {
    /// All zero but for the header.
    fn zeroed(kind: Kind) -> Self {
        let size = size_of_kind(kind);
        Self(vec![0; size])
            .with_u32(offset_of!(Header, kind), kind as u32)
            .with_u32(offset_of!(Header, size), u32::try_from(size).unwrap())
            .with_u64(offset_of!(Header, at), 123_456_789)
            .with_u64(offset_of!(Header, container), 77)
            .with_u64(offset_of!(Header, cgroup), 78)
    }

    fn with_u32(self, offset: usize, value: u32) -> Self {
        self.with_bytes(offset, &value.to_ne_bytes())
    }

    fn with_u64(self, offset: usize, value: u64) -> Self {
        self.with_bytes(offset, &value.to_ne_bytes())
    }

    fn with_bytes(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn process(self, base: usize, tgid: u32, comm: &[u8]) -> Self {
        self.with_u32(base + offset_of!(ProcessRecord, tgid), tgid)
            .with_u32(base + offset_of!(ProcessRecord, ns_tgid), tgid + 1)
            .with_u32(base + offset_of!(ProcessRecord, ns_level), tgid + 2)
            .with_u32(base + offset_of!(ProcessRecord, ns_inum), tgid + 3)
            .with_u64(base + offset_of!(ProcessRecord, start), u64::from(tgid) + 4)
            .with_u64(
                base + offset_of!(ProcessRecord, container),
                u64::from(tgid) + 5,
            )
            .with_u32(base + offset_of!(ProcessRecord, parent_tgid), tgid + 6)
            .with_u32(base + offset_of!(ProcessRecord, parent_outside), 1)
            .with_bytes(base + offset_of!(ProcessRecord, parent_comm), b"shim\0old")
            .with_bytes(base + offset_of!(ProcessRecord, comm), comm)
    }

    fn decode_kind(&self) -> EventKind {
        decode(&self.0).unwrap().kind
    }
}

fn process(tgid: u32, comm: &str) -> Process {
    Process {
        tgid: Tgid(tgid),
        ns_tgid: tgid + 1,
        ns_level: tgid + 2,
        ns_inum: tgid + 3,
        start: Timestamp(u64::from(tgid) + 4),
        container: Some(CgroupId(u64::from(tgid) + 5)),
        parent_tgid: Tgid(tgid + 6),
        parent_outside: true,
        parent_comm: "shim".to_owned(),
        comm: comm.to_owned(),
    }
}

fn signal_record() -> Bytes {
    Bytes::zeroed(Kind::Signal)
        .process(offset_of!(SignalRecord, target), 1000, b"app")
        .process(offset_of!(SignalRecord, sender), 2000, b"sixteen_letters_")
        .with_u32(offset_of!(SignalRecord, signal), 15)
        .with_bytes(offset_of!(SignalRecord, code), &(-6_i32).to_ne_bytes())
        .with_u32(offset_of!(SignalRecord, result), 1)
        .with_u32(offset_of!(SignalRecord, signal_flags), 0x44)
        .with_u64(offset_of!(SignalRecord, handler), 0x5555_0000)
        .with_u64(offset_of!(SignalRecord, blocked), 1 << 14)
        .with_u32(offset_of!(SignalRecord, ptrace), 1)
        .with_u64(offset_of!(SignalRecord, pending), 1 << 14 | 1 << 63)
        .with_u32(offset_of!(SignalRecord, watched), 1)
        .with_u32(offset_of!(SignalRecord, last_outside), 3)
        .with_u64(offset_of!(SignalRecord, last_outside_handler), 1)
}

#[test]
fn every_field_of_a_signal_is_read() {
    assert_eq!(
        decode(&signal_record().0),
        Ok(Event {
            at: Timestamp(123_456_789),
            container: Some(CgroupId(77)),
            cgroup: CgroupId(78),
            kind: EventKind::Signal(SignalSent {
                signal: Signal::TERM,
                target: process(1000, "app"),
                sender: process(2000, "sixteen_letters_"),
                code: -6,
                result: Delivery::Ignored,
                handler: Handler::Custom,
                blocked: true,
                traced: true,
                exiting: true,
                unkillable: true,
                pending: Some(SignalSet(1 << 14 | 1 << 63)),
                watched: true,
                last_outside: Some(Disposition {
                    signal: Signal::try_from(3).unwrap(),
                    handler: Handler::Ignore,
                }),
            }),
        })
    );
}

#[test]
fn a_signal_to_a_process_that_is_not_watched_says_so() {
    let sent = |bytes: Bytes| match bytes.decode_kind() {
        EventKind::Signal(sent) => sent,
        other => panic!("{other:?}"),
    };
    let watched = offset_of!(SignalRecord, watched);
    assert!(!sent(signal_record().with_u32(watched, 0)).watched);
    let last = offset_of!(SignalRecord, last_outside);
    assert_eq!(sent(signal_record().with_u32(last, 0)).last_outside, None);
    let error = decode(&signal_record().with_u32(last, 65).0).unwrap_err();
    assert_eq!(error, DecodeError::InvalidSignal(65));
}

#[test]
fn every_field_of_a_delivery_is_read() {
    let record = Bytes::zeroed(Kind::Delivered)
        .process(offset_of!(DeliveryRecord, process), 1000, b"app")
        .with_u32(offset_of!(DeliveryRecord, signal), 15)
        .with_u32(offset_of!(DeliveryRecord, signal_flags), 0x40)
        .with_u64(offset_of!(DeliveryRecord, handler), 0)
        .with_u32(offset_of!(DeliveryRecord, ptrace), 1);
    let delivered = |bytes: Bytes| match bytes.decode_kind() {
        EventKind::Delivered(delivered) => delivered,
        other => panic!("{other:?}"),
    };
    let expected = Delivered {
        process: process(1000, "app"),
        signal: Signal::TERM,
        handler: Handler::Default,
        unkillable: true,
        traced: true,
    };
    assert!(expected.is_thrown_away());
    assert_eq!(delivered(record), expected);
    let bare = |handler| {
        let bytes = Bytes::zeroed(Kind::Delivered).with_u32(offset_of!(DeliveryRecord, signal), 1);
        delivered(bytes.with_u64(offset_of!(DeliveryRecord, handler), handler))
    };
    assert_eq!(bare(0x5555_0000).handler, Handler::Custom);
    assert!(!bare(0x5555_0000).is_thrown_away());
    assert!(bare(1).is_thrown_away());
    assert!(!bare(0).is_thrown_away());
    assert!(!bare(0).unkillable && !bare(0).traced);
}

#[test]
fn flags_handlers_and_masks_are_told_apart() {
    let spoiled = |bytes: Bytes| match bytes.decode_kind() {
        EventKind::Signal(sent) => sent,
        other => panic!("{other:?}"),
    };
    let flags = |value| {
        let sent = spoiled(signal_record().with_u32(offset_of!(SignalRecord, signal_flags), value));
        (sent.exiting, sent.unkillable)
    };
    assert_eq!(flags(0x4), (true, false));
    assert_eq!(flags(0x40), (false, true));
    assert_eq!(flags(!0x44), (false, false));
    let handler =
        |value| spoiled(signal_record().with_u64(offset_of!(SignalRecord, handler), value)).handler;
    assert_eq!(handler(0), Handler::Default);
    assert_eq!(handler(1), Handler::Ignore);
    assert_eq!(handler(2), Handler::Custom);
    let blocked = spoiled(signal_record().with_u64(offset_of!(SignalRecord, blocked), !(1 << 14)));
    assert!(!blocked.blocked);
}

#[test]
fn a_command_line_is_split_and_said_to_be_cut() {
    let exec = |argv: &[u8], full: u32| {
        let size = u32::try_from(argv.len()).unwrap();
        let record = Bytes::zeroed(Kind::Exec)
            .process(offset_of!(ExecRecord, process), 5, b"sh")
            .with_u32(offset_of!(ExecRecord, argv_size), size)
            .with_u32(offset_of!(ExecRecord, argv_size_full), full)
            .with_bytes(offset_of!(ExecRecord, argv), argv);
        match record.decode_kind() {
            EventKind::Exec(exec) => (exec.argv, exec.argv_cut),
            other => panic!("{other:?}"),
        }
    };
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        exec(b"sh\0-c\0\0x y\0", 11),
        (words(&["sh", "-c", "", "x y"]), false)
    );
    assert_eq!(exec(b"sh\0-c", 600), (words(&["sh", "-c"]), true));
    assert_eq!(exec(b"", 0), (Vec::new(), false));
    assert_eq!(exec(b"\xff\0", 2), (words(&["\u{fffd}"]), false));
}

#[test]
fn an_exit_status_is_as_for_wait() {
    let exit = |code: u32| {
        let record = Bytes::zeroed(Kind::Exit)
            .process(offset_of!(ExitRecord, process), 5, b"sh")
            .with_u32(offset_of!(ExitRecord, exit_code), code);
        decode(&record.0).map(|event| match event.kind {
            EventKind::Exit(exit) => exit.status,
            other => panic!("{other:?}"),
        })
    };
    let signal = |number: u32, core_dumped| ExitStatus::Signal {
        signal: Signal::try_from(number).unwrap(),
        core_dumped,
    };
    assert_eq!(exit(0), Ok(ExitStatus::Code(0)));
    assert_eq!(exit(143 << 8), Ok(ExitStatus::Code(143)));
    assert_eq!(exit(9), Ok(signal(9, false)));
    assert_eq!(exit(0x80 | 0x0b), Ok(signal(11, true)));
    assert_eq!(exit(0x7f), Err(DecodeError::InvalidSignal(127)));
}

#[test]
fn an_exit_without_an_exec_is_told() {
    let executed = |value: u32| {
        let record = Bytes::zeroed(Kind::Exit).with_u32(offset_of!(ExitRecord, executed), value);
        match record.decode_kind() {
            EventKind::Exit(exit) => exit.executed,
            other => panic!("{other:?}"),
        }
    };
    assert!(executed(1));
    assert!(!executed(0));
}

#[test]
fn an_exit_says_what_waited_and_whether_its_namespace_was_rebooted() {
    let exit = |ns_reboot: u32| {
        let record = Bytes::zeroed(Kind::Exit)
            .with_u64(offset_of!(ExitRecord, pending), 1 << 14)
            .with_u32(offset_of!(ExitRecord, ns_reboot), ns_reboot);
        decode(&record.0).map(|event| match event.kind {
            EventKind::Exit(exit) => (exit.pending, exit.ns_reboot),
            other => panic!("{other:?}"),
        })
    };
    let waited = Some(SignalSet(1 << 14));
    assert_eq!(exit(0), Ok((waited, None)));
    assert_eq!(exit(2), Ok((waited, Signal::try_from(2).ok())));
    assert_eq!(exit(65), Err(DecodeError::InvalidSignal(65)));
}

#[test]
fn a_connection_is_read_with_its_address_as_people_write_it() {
    let record = |address: &str, port: u32| {
        let address: Ipv6Addr = address.parse().unwrap();
        let endpoint = offset_of!(ConnectRecord, endpoint);
        Bytes::zeroed(Kind::Connect)
            .process(offset_of!(ConnectRecord, process), 5, b"kubelet")
            .with_bytes(endpoint + offset_of!(Endpoint, address), &address.octets())
            .with_u32(endpoint + offset_of!(Endpoint, port), port)
    };
    let read = |address: &str, expected: &str| {
        assert_eq!(
            record(address, 65_535).decode_kind(),
            EventKind::Connect(Connect {
                process: process(5, "kubelet"),
                address: expected.parse().unwrap(),
                port: 65_535,
            })
        );
    };
    read("::ffff:10.0.0.7", "10.0.0.7");
    read("fd00::7", "fd00::7");
    read("::1", "::1");
    let error = decode(&record("::1", 65_536).0).unwrap_err();
    assert_eq!(error, DecodeError::InvalidPort(65_536));
}

#[test]
fn the_other_kinds_are_read() {
    let attach = Bytes::zeroed(Kind::Attach).process(offset_of!(AttachRecord, process), 5, b"runc");
    assert_eq!(attach.decode_kind(), EventKind::Attach(process(5, "runc")));
    let path = b"/a/b.service\0rest";
    let made = Bytes::zeroed(Kind::CgroupMade)
        .with_u64(offset_of!(CgroupRecord, parent), 6)
        .with_u32(offset_of!(CgroupRecord, path_size), 12)
        .with_bytes(offset_of!(CgroupRecord, path), path);
    assert_eq!(
        made.decode_kind(),
        EventKind::CgroupMade {
            parent: CgroupId(6),
            path: "/a/b.service".to_owned()
        }
    );
    assert_eq!(
        Bytes::zeroed(Kind::CgroupRemoved).decode_kind(),
        EventKind::CgroupRemoved
    );
    let populated =
        Bytes::zeroed(Kind::CgroupPopulated).with_u32(offset_of!(CgroupStateRecord, populated), 1);
    assert_eq!(
        populated.decode_kind(),
        EventKind::CgroupPopulated { populated: true }
    );
    let oom = Bytes::zeroed(Kind::OomVictim)
        .with_u32(offset_of!(OomRecord, pid), 9)
        .with_u64(offset_of!(Header, container), 0);
    let victim = |comm: Option<&str>| EventKind::OomVictim {
        pid: 9,
        comm: comm.map(str::to_owned),
    };
    assert_eq!(oom.decode_kind(), victim(None));
    assert_eq!(decode(&oom.0).unwrap().container, None);
    let named = oom.with_bytes(offset_of!(OomRecord, comm), b"hog\0");
    assert_eq!(named.decode_kind(), victim(Some("hog")));
}

#[test]
fn a_record_cut_anywhere_is_short() {
    for kind in Kind::ALL {
        let whole = Bytes::zeroed(kind).0;
        for len in 0..whole.len() {
            let error = decode(&whole[..len]).unwrap_err();
            assert_eq!(error.reason(), "short", "{kind:?} cut at {len}");
        }
        let mut long = whole.clone();
        long.push(0);
        assert_eq!(decode(&long).unwrap_err().reason(), "long");
    }
}

#[test]
fn what_does_not_exist_is_an_error() {
    let reason = |bytes: Bytes| decode(&bytes.0).unwrap_err().reason();
    for kind in [0, Kind::SLOTS, u32::MAX] {
        assert_eq!(
            decode(&Bytes::zeroed(Kind::Exit).with_u32(0, kind).0),
            Err(DecodeError::UnknownKind(kind))
        );
    }
    assert_eq!(
        reason(Bytes::zeroed(Kind::Exit).with_u32(offset_of!(Header, size), 1)),
        "size_mismatch"
    );
    for number in [0, 65] {
        let bytes = signal_record().with_u32(offset_of!(SignalRecord, signal), number);
        assert_eq!(reason(bytes), "invalid_signal");
    }
    assert_eq!(
        reason(signal_record().with_u32(offset_of!(SignalRecord, result), 5)),
        "invalid_result"
    );
    for (kind, offset, room) in [
        (Kind::Exec, offset_of!(ExecRecord, argv_size), 513),
        (Kind::CgroupMade, offset_of!(CgroupRecord, path_size), 1025),
    ] {
        assert_eq!(
            reason(Bytes::zeroed(kind).with_u32(offset, room)),
            "invalid_length"
        );
    }
    assert_eq!(size_of::<Header>(), 32);
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_a_known_reason(
        kind in 0..=Kind::SLOTS,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1200),
        fits: bool,
    ) {
        if let (true, Some(kind)) = (fits, Kind::from_id(kind)) {
            let size = size_of_kind(kind);
            bytes.resize(size, 0xa5);
            bytes[4..8].copy_from_slice(&u32::try_from(size).unwrap().to_ne_bytes());
        }
        if let Some(id) = bytes.get_mut(0..4) {
            id.copy_from_slice(&kind.to_ne_bytes());
        }
        if let Err(error) = decode(&bytes) {
            assert!(DecodeError::REASONS.contains(&error.reason()));
        }
    }
}
