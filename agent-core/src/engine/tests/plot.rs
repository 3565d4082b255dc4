//! Ordinary terminations, whose simultaneous facts can be told in any order.

use std::time::Duration;

use proptest::prelude::{Strategy, any};
use proptest::sample::select;

use super::network::{self, Counts};
use super::properties::{a_status, found_process, path, process};
use super::scene::{self, BY_KERNEL, FATAL, HANDLED, IGNORED, Sent, Who};
use crate::connection::Phase;
use crate::event::{CgroupId, Event, EventKind, Exit, ExitStatus, Process};
use crate::input::Input;
use crate::journal::Entry;
use crate::time::Timestamp;

/// An ordinary termination, of which beginning and end are told in a given order.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    main: Who,
    stop: Option<Sent>,
    with_hook: bool,
    kill: Option<Sent>,
    waited: Duration,
    exit: ExitStatus,
}

pub(super) fn a_plot() -> impl Strategy<Value = Plot> {
    (
        select(vec![Who::Main, Who::Plain]),
        select(vec![None, Some(HANDLED), Some(IGNORED)]),
        any::<bool>(),
        select(vec![None, Some(FATAL), Some(BY_KERNEL)]),
        select(vec![300_u64, 2000, 3000, 3010]).prop_map(Duration::from_millis),
        a_status(),
    )
        .prop_map(|(main, stop, with_hook, kill, waited, exit)| Plot {
            main,
            stop,
            with_hook,
            kill,
            waited,
            exit,
        })
}

impl Plot {
    pub(super) fn entries(&self, beginning: &[usize], end: &[usize]) -> Vec<Entry> {
        let main = process(0, 0, self.main);
        let began = Timestamp(2_000_000_000);
        let stopped = began.after(Duration::from_secs(5));
        let ended = stopped.after(self.waited);
        let all = Input::Processes {
            container: CgroupId(1),
            processes: vec![found_process(&main)],
        };
        let mut entries = vec![Entry {
            at: began,
            input: event_input(
                began,
                EventKind::CgroupMade {
                    parent: CgroupId(99),
                    path: path(0),
                },
            ),
        }];
        let first = [
            event_input(began, EventKind::CgroupPopulated { populated: true }),
            event_input(began, EventKind::Attach(main.clone())),
            event_input(began.after(MOMENT), scene::exec_event(main.clone(), "app")),
            all,
        ];
        push_entries(&mut entries, began.after(MOMENT * 2), &first, beginning);
        if self.with_hook {
            let hook = process(0, 3, Who::Hook);
            let exit = Exit {
                process: hook.clone(),
                status: ExitStatus::Code(0),
                executed: true,
                pending: None,
                ns_reboot: None,
            };
            let hooks = [
                event_input(
                    Timestamp(stopped.0 - 900_000_000),
                    scene::exec_event(hook, "flush"),
                ),
                event_input(Timestamp(stopped.0 - 1_000_000), EventKind::Exit(exit)),
            ];
            push_entries(&mut entries, stopped, &hooks, &[0, 1]);
        }
        if let Some(stop) = self.stop {
            push_entries(
                &mut entries,
                stopped,
                &[self.signal(&main, 15, stop, stopped)],
                &[0],
            );
        }
        let last = self.ending(&main, ended);
        push_entries(&mut entries, ended.after(MOMENT * 4), &last, end);
        // The answer for which the report waits, unless it waits for another one.
        let asked = ended.after(MOMENT * 4).after(Duration::from_millis(1100));
        push_entries(&mut entries, asked, &[sockets(7)], &[0]);
        entries
    }

    fn ending(&self, main: &Process, ended: Timestamp) -> [Input; 9] {
        let exit = Exit {
            process: main.clone(),
            status: self.exit,
            executed: true,
            pending: None,
            ns_reboot: None,
        };
        let kill = self.kill.map_or(Input::ScanFinished, |kill| {
            self.signal(main, 9, kill, ended)
        });
        [
            kill,
            event_input(
                ended,
                EventKind::OomVictim {
                    pid: 77,
                    comm: None,
                },
            ),
            event_input(ended.after(MOMENT), EventKind::Exit(exit)),
            event_input(
                ended.after(MOMENT * 2),
                EventKind::CgroupPopulated { populated: false },
            ),
            event_input(ended.after(MOMENT * 3), EventKind::CgroupRemoved),
            Input::SignalCounts {
                container: CgroupId(1),
                inside: 3,
                outside: 4,
                unrecorded: crate::input::Unrecorded::default(),
            },
            sockets(1),
            event_input(ended.after(MOMENT), EventKind::Reset(network::a_reset(1))),
            event_input(ended.after(MOMENT), EventKind::Reset(network::a_reset(2))),
        ]
    }

    fn signal(&self, main: &Process, number: u32, sent: Sent, at: Timestamp) -> Input {
        let mut kind = scene::signal_sent(Who::Runc, self.main, number, sent);
        if let EventKind::Signal(signal) = &mut kind {
            signal.target = main.clone();
        }
        event_input(at, kind)
    }
}

fn sockets(finished: u64) -> Input {
    let counts = Counts::default().with_phase(Phase::Closing, |counts| counts.finished = finished);
    Input::Sockets {
        container: CgroupId(1),
        counts: Box::new(counts.0),
    }
}

const MOMENT: Duration = Duration::from_micros(200);

fn event_input(at: Timestamp, kind: EventKind) -> Input {
    Input::Event(Event {
        at,
        container: Some(CgroupId(1)),
        cgroup: CgroupId(1),
        kind,
    })
}

fn push_entries(entries: &mut Vec<Entry>, at: Timestamp, inputs: &[Input], order: &[usize]) {
    let told = order.iter().map(|place| Entry {
        at,
        input: inputs[*place].clone(),
    });
    entries.extend(told);
}
