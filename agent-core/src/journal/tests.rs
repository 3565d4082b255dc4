//! Lines out and in, and what is said of bad ones.

use super::{Entry, Header, JournalError, Reader, Replay, header_line, input_line};
use crate::config::{Config, Limits, Selector};
use crate::event::{CgroupId, Event, EventKind, Exit, ExitStatus, Process, Tgid};
use crate::input::Input;
use crate::output::Output;
use crate::time::Timestamp;

fn config() -> Config {
    Config {
        systemd: true,
        containers: false,
        selectors: vec![Selector {
            cgroup: "/demo/*".to_owned(),
            grace: Some(std::time::Duration::from_millis(1500)),
            stop_signal: Some("SIGINT".parse().unwrap()),
            pre_stop: Some(vec!["sleep".to_owned(), "1".to_owned()]),
        }],
        limits: Limits::default(),
    }
}

fn made() -> Input {
    Input::Event(Event {
        at: Timestamp(5),
        container: None,
        cgroup: CgroupId(7),
        kind: EventKind::CgroupMade {
            parent: CgroupId(1),
            path: "/demo/a".to_owned(),
        },
    })
}

fn crash() -> Input {
    Input::Event(Event {
        at: Timestamp(10),
        container: Some(CgroupId(7)),
        cgroup: CgroupId(7),
        kind: EventKind::Exit(Exit {
            process: Process {
                tgid: Tgid(3),
                ns_tgid: 1,
                ns_level: 1,
                ns_inum: 4,
                start: Timestamp(1),
                container: Some(CgroupId(7)),
                parent_tgid: Tgid(2),
                parent_outside: true,
                parent_comm: "shim".to_owned(),
                comm: "app".to_owned(),
            },
            status: ExitStatus::Code(1),
        }),
    })
}

#[test]
fn lines_come_back_as_they_went() {
    let mut reader = Reader::new();
    let line = header_line(&config()).unwrap();
    assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
    assert_eq!(
        reader.header(&line).unwrap(),
        Header {
            format: 1,
            config: config()
        }
    );
    for input in [
        made(),
        crash(),
        Input::ScanFinished,
        Input::Lost { records: 2 },
        Input::Shutdown,
    ] {
        let line = input_line(&input, Timestamp(9)).unwrap();
        assert!(line.starts_with("{\"at\":9,\"input\":"));
        let entry = Entry {
            at: Timestamp(9),
            input,
        };
        assert_eq!(reader.entry(&line).unwrap(), entry);
    }
}

#[test]
fn bad_lines_are_named_with_their_number() {
    let header = header_line(&config()).unwrap();
    let line = input_line(&made(), Timestamp(5)).unwrap();
    let after_one = || {
        let mut reader = Reader::new();
        reader.header(&header).unwrap();
        reader.entry(&line).unwrap();
        reader
    };
    let bad = after_one()
        .entry("{\"at\":1,\"input\":\"tea\"}\n")
        .unwrap_err();
    assert!(matches!(bad, JournalError::Line { line: 3, .. }));
    assert!(bad.to_string().starts_with("line 3 is not an input"));
    for end in 1..line.len() - 1 {
        let cut = after_one().entry(&line[..end]).unwrap_err();
        assert!(matches!(cut, JournalError::Truncated { line: 3 }), "{end}");
    }
    let whole_without_end = after_one().entry(line.trim_end());
    assert!(whole_without_end.is_ok());
    let ended = after_one().entry("{\"at\":1\n").unwrap_err();
    assert!(matches!(ended, JournalError::Line { line: 3, .. }));
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let refused = |line: &str| Reader::new().header(line).unwrap_err();
    assert!(matches!(refused(""), JournalError::Empty));
    assert!(matches!(refused("hello\n"), JournalError::Header(_)));
    let newer = header_line(&config())
        .unwrap()
        .replace("\"format\":1", "\"format\":2");
    assert!(matches!(refused(&newer), JournalError::Format(2)));
}

#[test]
fn a_replay_runs_the_timeouts_between_and_after_the_inputs() {
    let header = Header {
        format: 1,
        config: config(),
    };
    let entry = |at, input| Entry {
        at: Timestamp(at),
        input,
    };
    let finished = |outputs: &[Output]| {
        outputs
            .iter()
            .filter(|output| matches!(output, Output::Finished(_)))
            .count()
    };
    let mut replay = Replay::new(header.clone()).unwrap();
    replay.feed(entry(5, made()));
    assert_eq!(finished(&replay.feed(entry(10, crash()))), 0);
    assert_eq!(finished(&replay.finish()), 1);
    let mut replay = Replay::new(header).unwrap();
    replay.feed(entry(5, made()));
    replay.feed(entry(10, crash()));
    let later = replay.feed(entry(2_000_000_000, Input::ScanFinished));
    assert_eq!(finished(&later), 1);
}
