//! What holds for whatever the engine is told.
#![expect(
    clippy::unwrap_in_result,
    reason = "what a strategy makes is valid; only a property's failure is a result"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

use super::network;
use super::plot::a_plot;
use super::pod_plot::{self, a_pod_plot};
use super::scene::{self, BY_KERNEL, FATAL, HANDLED, IGNORED, Sent, Who};
use crate::config::{Config, Limits, Selector};
use crate::engine::Engine;
use crate::event::{
    CgroupId, Delivered, Event, EventKind, Exit, ExitStatus, Handler, Process, Tgid,
};
use crate::input::{Input, ProcessFound};
use crate::journal::{Entry, Header, Reader, Replay, header_line, input_line};
use crate::output::Output;
use crate::report::Report;
use crate::signal::Signal;
use crate::time::Timestamp;

/// With connections counted or not.
pub(super) fn config(counted: bool) -> Config {
    Config {
        systemd: true,
        containers: true,
        selectors: vec![Selector {
            cgroup: "/c/with*".to_owned(),
            grace: Some(Duration::from_secs(3)),
            stop_signal: None,
            pre_stop: Some(scene::split_words("flush")),
        }],
        pods: true,
        reset_reasons: counted.then(network::reasons),
        remaining: true,
        limits: Limits {
            containers_max: 3,
            processes_max: 4,
            pods_max: 1,
            ..Limits::default()
        },
    }
}

pub(super) fn path(container: u64) -> String {
    match container {
        0 => "/c/with-hook".to_owned(),
        1 => "/system.slice/a.service".to_owned(),
        3 | 4 => pod_plot::path(container),
        other => scene::DOCKER.replace("0123", &format!("{other:04}")),
    }
}

/// Process `number` of a container, in a namespace of its own or not; tgids differ between containers.
pub(super) fn process(container: u64, number: u32, like: Who) -> Process {
    let tgid = u32::try_from(container).unwrap() * 1000 + number;
    Process {
        tgid: Tgid(tgid),
        start: Timestamp(u64::from(tgid) * 1_000_000),
        container: Some(CgroupId(container + 1)),
        ..like.process()
    }
}

fn a_process(container: u64) -> impl Strategy<Value = Process> {
    let like = select(vec![
        Who::Main,
        Who::Plain,
        Who::Child,
        Who::Hook,
        Who::Stage,
    ]);
    (0_u32..6, like).prop_map(move |(number, like)| process(container, number, like))
}

pub(super) fn a_status() -> impl Strategy<Value = ExitStatus> {
    let signal = select(vec![9_u32, 15, 11, 1]).prop_map(|number| ExitStatus::Signal {
        signal: Signal::try_from(number).unwrap(),
        core_dumped: false,
    });
    prop_oneof![
        select(vec![0_u8, 1, 143]).prop_map(ExitStatus::Code),
        signal
    ]
}

fn a_signal(container: u64) -> impl Strategy<Value = EventKind> {
    let sent = select(vec![
        HANDLED,
        IGNORED,
        FATAL,
        BY_KERNEL,
        Sent {
            exiting: true,
            ..IGNORED
        },
    ]);
    let sender = select(vec![Who::Runc, Who::Child, Who::Pause]);
    let number = select(vec![15_u32, 15, 9, 9, 3]);
    let all = (a_process(container), sender, number, sent, any::<bool>());
    all.prop_map(|(target, sender, number, sent, watched)| {
        let mut kind = scene::signal_sent(sender, Who::Main, number, sent);
        if let EventKind::Signal(signal) = &mut kind {
            signal.sender.container = signal.sender.container.and(target.container);
            signal.target = target;
            signal.watched = watched;
        }
        kind
    })
}

fn an_event(container: u64) -> impl Strategy<Value = EventKind> {
    let made = EventKind::CgroupMade {
        parent: CgroupId(99),
        path: path(container),
    };
    let command = select(vec!["flush", "app", "sh flush"]);
    prop_oneof![
        2 => Just(made),
        4 => a_signal(container),
        1 => a_process(container).prop_map(|process| EventKind::Delivered(Delivered {
            process,
            signal: Signal::TERM,
            handler: Handler::Default,
            unkillable: true,
            traced: false,
        })),
        3 => (a_process(container), command).prop_map(|(process, command)| scene::exec_event(process, command)),
        3 => (a_process(container), a_status())
            .prop_map(|(process, status)| EventKind::Exit(Exit { process, status, executed: true, pending: None, ns_reboot: None })),
        2 => a_process(container).prop_map(EventKind::Attach),
        1 => Just(EventKind::CgroupRemoved),
        1 => any::<bool>().prop_map(|populated| EventKind::CgroupPopulated { populated }),
        1 => (0_u32..6).prop_map(move |number| EventKind::OomVictim {
            pid: u32::try_from(container).unwrap() * 1000 + number,
            comm: None
        }),
        2 => network::any_reset().prop_map(EventKind::Reset),
    ]
}

pub(super) fn found_process(process: &Process) -> ProcessFound {
    ProcessFound {
        tgid: process.tgid,
        ns_tgid: process.ns_tgid,
        ns_level: process.ns_level,
        parent_tgid: process.parent_tgid,
        parent_outside: process.parent_outside,
        start: process.start,
        comm: process.comm.clone(),
        argv: Vec::new(),
    }
}

/// Something about one container; events may be a little older than the moment they are told.
fn any_input_about(container: u64) -> impl Strategy<Value = Told> {
    let id = CgroupId(container + 1);
    let event = (an_event(container), 0_u64..2_000_000).prop_map(move |(kind, age)| Told::Event {
        kind,
        age,
        cgroup: id,
    });
    let processes = proptest::collection::vec(a_process(container), 0..4).prop_map(move |all| {
        Told::Input(Input::Processes {
            container: id,
            processes: all.iter().map(found_process).collect(),
        })
    });
    let counts = Just(Told::Input(Input::SignalCounts {
        container: id,
        inside: 1,
        outside: 2,
        unrecorded: crate::input::Unrecorded::default(),
    }));
    let sockets = network::any_counts().prop_map(move |counts| {
        Told::Input(Input::Sockets {
            container: id,
            counts: Box::new(counts),
        })
    });
    prop_oneof![12 => event, 2 => processes, 1 => counts, 3 => sockets]
}

/// An input whose event has no time yet.
#[derive(Clone, Debug)]
enum Told {
    Event {
        kind: EventKind,
        age: u64,
        cgroup: CgroupId,
    },
    Input(Input),
}

fn about_all(container: u64) -> impl Strategy<Value = Told> {
    let scanned = Told::Input(Input::CgroupFound {
        cgroup: CgroupId(container + 1),
        parent: CgroupId(99),
        path: path(container),
    });
    prop_oneof![
        1 => Just(scanned),
        1 => Just(Told::Input(Input::ScanFinished)),
        1 => Just(Told::Input(Input::Lost { outermost: None, records: 1, between: None })),
        1 => Just(Told::Input(Input::Shutdown)),
    ]
}

fn a_pause() -> impl Strategy<Value = Duration> {
    select(vec![0_u64, 0, 1, 40, 500, 1000, 2000, 3000, 6000, 100_000])
        .prop_map(Duration::from_millis)
}

/// Gives each input its moment.
fn timed_entries(told: Vec<(Duration, Told)>) -> Vec<Entry> {
    let mut now = Timestamp(10_000_000);
    told.into_iter()
        .map(|(pause, told)| {
            now = now.after(pause);
            let input = match told {
                Told::Input(input) => input,
                Told::Event { kind, age, cgroup } => Input::Event(Event {
                    at: Timestamp(now.0 - age),
                    container: Some(cgroup),
                    cgroup,
                    kind,
                }),
            };
            Entry { at: now, input }
        })
        .collect()
}

fn anything() -> impl Strategy<Value = Vec<Entry>> {
    let one = (0_u64..5).prop_flat_map(|container| {
        prop_oneof![
            15 => any_input_about(container),
            3 => pod_plot::anything().prop_map(Told::Input),
            1 => about_all(container)
        ]
    });
    proptest::collection::vec((a_pause(), one), 0..80).prop_map(timed_entries)
}

/// What an engine says, with its bounds looked at after every input.
fn run(config: Config, entries: &[Entry]) -> Result<Vec<Output>, TestCaseError> {
    let limits = config.limits.clone();
    let mut engine = Engine::new(config).unwrap();
    let mut said = Vec::new();
    for Entry { at, input } in entries {
        engine.handle(input.clone(), *at);
        said.extend(std::iter::from_fn(|| engine.poll_output()));
        prop_assert!(engine.containers.len() <= limits.containers_max);
        prop_assert!(engine.deadlines.len() <= engine.containers.len());
        prop_assert!(engine.pods.len() <= limits.pods_max);
        for tracked in engine.containers.values() {
            prop_assert!(tracked.container.processes.len() <= limits.processes_max);
            prop_assert!(tracked.connections.sockets.reset_marks().len() <= 32);
        }
    }
    for _round in 0..10_000 {
        let Some(due) = engine.poll_timeout() else {
            return Ok(said);
        };
        engine.handle_timeout(due);
        said.extend(std::iter::from_fn(|| engine.poll_output()));
    }
    Err(TestCaseError::fail("the timeouts never run out"))
}

/// The reports about one container, without the number, which counts those of all.
fn about_one(said: &[Output], container: CgroupId) -> Vec<Report> {
    scene::reports(said)
        .into_iter()
        .filter(|report| report.subject.cgroup == container)
        .map(|report| Report { id: 0, ..report })
        .collect()
}

fn is_ordered(report: &Report) -> bool {
    let times = [
        Some(report.started_at),
        report.stop_signal.as_ref().map(|stop| stop.at),
        report.kill.as_ref().map(|kill| kill.at),
        report.exit.as_ref().map(|exit| exit.at),
    ];
    times.into_iter().flatten().is_sorted()
}

proptest! {
    #[test]
    fn anything_is_taken_within_bounds_and_told_at_most_once(
        mut entries in anything(),
        counted: bool,
    ) {
        let end = entries.last().map_or(Timestamp(0), |last| last.at);
        entries.push(Entry {
            at: end,
            input: Input::Shutdown,
        });
        let said = run(config(counted), &entries)?;
        let mut over = BTreeSet::new();
        for output in &said {
            match output {
                Output::Progress(report) => prop_assert!(!over.contains(&report.id)),
                Output::Finished(report) => {
                    prop_assert!(over.insert(report.id));
                    prop_assert!(is_ordered(report), "{report:#?}");
                }
                Output::Withdrawn { id, .. } => prop_assert!(over.insert(*id)),
                Output::Effect(_) | Output::Resets { .. }
                | Output::Dropped { .. }
                | Output::Unreported { .. }
                | Output::Tracked { .. } => {}
            }
        }
        for output in &said {
            if let Output::Progress(report) = output {
                prop_assert!(over.contains(&report.id), "{report:#?} has no end");
            }
        }
    }

    #[test]
    fn a_journal_replays_to_the_same_bytes(entries in anything()) {
        let said = run(config(true), &entries)?;
        let mut reader = Reader::new();
        let header: Header = reader.header(&header_line(&config(true)).unwrap()).unwrap();
        let mut replay = Replay::new(header).unwrap();
        let mut replayed = Vec::new();
        for Entry { at, input } in &entries {
            let line = input_line(input, *at).unwrap();
            replayed.extend(replay.apply_entry(reader.parse_entry(&line).unwrap()));
        }
        replayed.extend(replay.finish());
        prop_assert_eq!(
            serde_json::to_string(&said).unwrap(),
            serde_json::to_string(&replayed).unwrap()
        );
    }

    #[test]
    fn what_happens_to_others_changes_no_report(
        told in proptest::collection::vec((a_pause(), any_input_about(0), any::<bool>(), any_input_about(2)), 0..60),
    ) {
        let mut config = config(true);
        config.limits.containers_max = 5;
        let with_others = told.iter().flat_map(|(pause, own, other_too, other)| {
            let own = (*pause, own.clone());
            let other = other_too.then(|| (Duration::ZERO, other.clone()));
            std::iter::once(own).chain(other)
        });
        let alone = told.iter().map(|(pause, own, ..)| (*pause, own.clone()));
        let with_others = run(config.clone(), &timed_entries(with_others.collect()))?;
        let alone = run(config, &timed_entries(alone.collect()))?;
        prop_assert_eq!(
            about_one(&with_others, CgroupId(1)),
            about_one(&alone, CgroupId(1))
        );
    }

    #[test]
    fn the_order_in_which_kernel_and_api_tell_does_not_matter(
        plot in a_pod_plot(),
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut config = config(true);
        config.limits = Limits::default();
        let straight = (0..9).collect::<Vec<_>>();
        let expected = run(config.clone(), &plot.entries(&straight))?;
        let shuffled = run(config, &plot.entries(&order))?;
        prop_assert_eq!(scene::reports(&expected).len(), 1);
        prop_assert_eq!(
            about_one(&expected, scene::CONTAINER),
            about_one(&shuffled, scene::CONTAINER)
        );
    }

    /// What comes from different sources at about the same time comes in any order.
    #[test]
    fn the_order_of_what_is_simultaneous_does_not_matter(
        plot in a_plot(),
        beginning in Just((0..4).collect::<Vec<usize>>()).prop_shuffle(),
        end in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let straight = |length: usize| (0..length).collect::<Vec<_>>();
        let expected = run(config(true), &plot.entries(&straight(4), &straight(9)))?;
        let shuffled = run(config(true), &plot.entries(&beginning, &end))?;
        prop_assert_eq!(scene::reports(&expected).len(), 1);
        prop_assert_eq!(
            about_one(&expected, CgroupId(1)),
            about_one(&shuffled, CgroupId(1))
        );
    }
}
