//! Lines out and in, and what is said of bad ones.

use std::time::Duration;

use super::{Entry, Header, JournalError, Reader, Replay, header_line, input_line};
use crate::config::{Config, Limits, Selector};
use crate::event::{CgroupId, Connect, Event, EventKind, Exit, ExitStatus, Process, Tgid};
use crate::input::Input;
use crate::output::Output;
use crate::pod::{
    Deletion, Disruption, KubeletEvent, KubeletEventKind, Pod, PodContainer, PreStop, Role,
    Workload,
};
use crate::time::Timestamp;

fn config() -> Config {
    Config {
        systemd: true,
        containers: false,
        selectors: vec![Selector {
            cgroup: "/demo/*".to_owned(),
            grace: Some(Duration::from_millis(1500)),
            stop_signal: Some("SIGINT".parse().unwrap()),
            pre_stop: Some(vec!["sleep".to_owned(), "1".to_owned()]),
        }],
        pods: false,
        reset_reasons: None,
        remaining: false,
        limits: Limits::default(),
    }
}

fn cgroup_created() -> Input {
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

fn crash_exit() -> Input {
    Input::Event(Event {
        at: Timestamp(10),
        container: Some(CgroupId(7)),
        cgroup: CgroupId(7),
        kind: EventKind::Exit(Exit {
            process: process(),
            status: ExitStatus::Code(1),
            executed: true,
            pending: None,
            ns_reboot: None,
        }),
    })
}

fn process() -> Process {
    Process {
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
    }
}

fn of_pods() -> Vec<Input> {
    let hooks = [
        None,
        Some(PreStop::Exec {
            command: vec!["flush".to_owned()],
        }),
        Some(PreStop::HttpGet {
            host: None,
            port: Some(80),
            path: "/stop".to_owned(),
        }),
        Some(PreStop::Sleep {
            duration: Duration::from_secs(2),
        }),
        Some(PreStop::TcpSocket),
    ];
    let pods = hooks.map(|pre_stop| Input::Pod {
        pod: Box::new(new_pod(pre_stop)),
        seen_at: Timestamp(8),
        listed: true,
    });
    let connect = EventKind::Connect(Connect {
        process: process(),
        address: "10.0.0.5".parse().unwrap(),
        port: 80,
    });
    let others = [
        Input::PodGone {
            uid: "u".to_owned(),
            seen_at: Timestamp(8),
            listed: false,
        },
        Input::Kubelet {
            event: KubeletEvent {
                pod_uid: "u".to_owned(),
                container: Some("app".to_owned()),
                kind: KubeletEventKind::LivenessFailed,
                happened_at: Timestamp(7),
            },
            seen_at: Timestamp(8),
        },
        Input::Event(Event {
            at: Timestamp(8),
            container: Some(CgroupId(7)),
            cgroup: CgroupId(1),
            kind: connect,
        }),
    ];
    pods.into_iter().chain(others).collect()
}

fn new_pod(pre_stop: Option<PreStop>) -> Pod {
    let container = PodContainer {
        name: "app".to_owned(),
        role: Role::Sidecar,
        ids: vec!["i".to_owned()],
        pre_stop,
        stop_signal: Some("SIGUSR1".parse().unwrap()),
        liveness_grace: Some(Duration::from_secs(1)),
        startup_grace: None,
        probe_ports: vec![80],
    };
    Pod {
        uid: "u".to_owned(),
        cgroup_uid: Some("h".to_owned()),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        workload: Workload {
            kind: "StatefulSet".to_owned(),
            name: "web".to_owned(),
        },
        grace: Duration::from_secs(30),
        deletion: Some(Deletion {
            requested_at: Timestamp(6),
            grace: Duration::from_secs(3),
        }),
        disruption: Some(Disruption::Preempted),
        ips: vec!["fd00::5".parse().unwrap()],
        runtime_class: Some("kata".to_owned()),
        containers: vec![container],
    }
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
        cgroup_created(),
        crash_exit(),
        Input::ScanFinished,
        Input::Lost {
            outermost: None,
            records: 2,
            between: None,
        },
        Input::Shutdown,
    ]
    .into_iter()
    .chain(of_pods())
    {
        let line = input_line(&input, Timestamp(9)).unwrap();
        assert!(line.starts_with("{\"at\":9,\"input\":"));
        let entry = Entry {
            at: Timestamp(9),
            input,
        };
        assert_eq!(reader.parse_entry(&line).unwrap(), entry);
    }
}

#[test]
fn bad_lines_are_named_with_their_number() {
    let header = header_line(&config()).unwrap();
    let line = input_line(&cgroup_created(), Timestamp(5)).unwrap();
    let after_one = || {
        let mut reader = Reader::new();
        reader.header(&header).unwrap();
        reader.parse_entry(&line).unwrap();
        reader
    };
    let bad = after_one()
        .parse_entry("{\"at\":1,\"input\":\"tea\"}\n")
        .unwrap_err();
    assert!(matches!(bad, JournalError::Line { line: 3, .. }));
    assert!(bad.to_string().starts_with("line 3 is not an input"));
    for end in 1..line.len() - 1 {
        let cut = after_one().parse_entry(&line[..end]).unwrap_err();
        assert!(matches!(cut, JournalError::Truncated { line: 3 }), "{end}");
    }
    let whole_without_end = after_one().parse_entry(line.trim_end());
    assert!(whole_without_end.is_ok());
    let ended = after_one().parse_entry("{\"at\":1\n").unwrap_err();
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
    replay.apply_entry(entry(5, cgroup_created()));
    assert_eq!(finished(&replay.apply_entry(entry(10, crash_exit()))), 0);
    assert_eq!(finished(&replay.finish()), 1);
    let mut replay = Replay::new(header).unwrap();
    replay.apply_entry(entry(5, cgroup_created()));
    replay.apply_entry(entry(10, crash_exit()));
    let later = replay.apply_entry(entry(2_000_000_000, Input::ScanFinished));
    assert_eq!(finished(&later), 1);
}

#[test]
fn a_header_cannot_set_limits_beyond_those_of_this_version() {
    let mut config = config();
    config.limits = Limits {
        containers_max: usize::MAX,
        processes_max: usize::MAX,
        tail: Duration::MAX,
        stuck_after: Duration::MAX,
        pods_max: usize::MAX,
        pod_wait: Duration::MAX,
        reason_wait: Duration::MAX,
    };
    let mut replay = Replay::new(Header { format: 1, config }).unwrap();
    let mut outputs = Vec::new();
    for number in 0..5000 {
        let input = Input::CgroupFound {
            cgroup: CgroupId(100 + number),
            parent: CgroupId(1),
            path: format!("/demo/{number}"),
        };
        let entry = Entry {
            at: Timestamp(5),
            input,
        };
        outputs.extend(replay.apply_entry(entry));
    }
    let tracked = outputs
        .iter()
        .filter(|output| matches!(output, Output::Tracked { added: true, .. }));
    // All of them are in one place, which leaves a quarter to others.
    assert_eq!(tracked.count(), Limits::default().containers_max / 4 * 3);
    replay.finish();
    // Less is as the header says.
    let few = Limits {
        containers_max: 3,
        tail: Duration::from_millis(7),
        ..Limits::default()
    };
    assert_eq!(few.clone().clamped(), few);
}
