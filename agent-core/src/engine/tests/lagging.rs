//! An agent that comes late to the records of a crash loop: what it reads of `/proc` is newer than the records that it reads next.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert_eq, proptest};
use proptest::sample::select;

use super::scene::{self, CONTAINER, SERVICE, Who, exec_event, found_running, populated};
use crate::engine::Engine;
use crate::event::{CgroupId, Event, EventKind, Exit, ExitStatus, Process, Tgid};
use crate::input::Input;
use crate::output::{Effect, Output};
use crate::remaining::Remaining;
use crate::report::{Outcome, Report};
use crate::time::Timestamp;

const PROGRAM: &str = "/app --serve";
const MOMENT: Duration = Duration::from_micros(50);

/// One run of the program.
#[derive(Clone, Debug)]
struct Life {
    process: Process,
    entered: Timestamp,
    executed: Timestamp,
    exited: Timestamp,
    code: u8,
    program: &'static str,
}

/// How long it is not there before, how long it takes to its program, how long that runs, and its exit code.
type Spans = (Duration, Duration, Duration, u8);

fn any_spans() -> impl Strategy<Value = Spans> {
    (a_span(), a_span(), a_span(), select(vec![0_u8, 3]))
}

fn a_span() -> impl Strategy<Value = Duration> {
    select(vec![2_u64, 30, 100, 400, 990, 1300]).prop_map(Duration::from_millis)
}

/// How long the agent stands still before it reads the records that there are by then, and what it takes for each answer.
fn any_lag() -> impl Strategy<Value = (Duration, Duration)> {
    let stall = select(vec![0_u64, 0, 1, 20, 250, 700, 1500, 4000]);
    let answer = select(vec![0_u64, 0, 1, 20, 150]);
    (stall, answer)
        .prop_map(|(stall, answer)| (Duration::from_millis(stall), Duration::from_millis(answer)))
}

fn process_lives(who: Who, spans: &[Spans]) -> Vec<Life> {
    let mut now = Timestamp(2_000_000_000);
    let mut lives = Vec::new();
    for (tgid, (pause, stage, runs, code)) in (400..).zip(spans) {
        let start = now.after(*pause);
        let entered = start.after(MOMENT);
        let executed = entered.after(*stage);
        let exited = executed.after(*runs);
        let process = Process {
            tgid: Tgid(tgid),
            start,
            ..who.process()
        };
        now = exited.after(MOMENT);
        lives.push(Life {
            process,
            entered,
            executed,
            exited,
            code: *code,
            program: PROGRAM,
        });
    }
    lives
}

/// Each is a program that systemd runs before the main one, and succeeds, and the main one after it.
fn with_start_pre(mut lives: Vec<Life>) -> Vec<Life> {
    for pre in lives.iter_mut().step_by(2) {
        pre.code = 0;
        pre.program = "/app --check";
    }
    lives
}

/// All records of these lives, in the order in which the kernel makes them.
fn records(lives: &[Life]) -> Vec<Event> {
    let record = |at, kind| Event {
        at,
        container: Some(CONTAINER),
        cgroup: CONTAINER,
        kind,
    };
    let mut all = vec![record(
        Timestamp(1_900_000_000),
        EventKind::CgroupMade {
            parent: CgroupId(1),
            path: SERVICE.to_owned(),
        },
    )];
    for life in lives {
        let process = || life.process.clone();
        let exit = EventKind::Exit(Exit {
            process: process(),
            status: ExitStatus::Code(life.code),
            executed: true,
            pending: None,
            ns_reboot: None,
        });
        all.extend([
            record(life.entered, populated(true)),
            record(life.entered, EventKind::Attach(process())),
            record(life.executed, exec_event(process(), life.program)),
            record(life.exited, exit),
            record(life.exited.after(MOMENT), populated(false)),
        ]);
    }
    all
}

/// An agent as `agent/src/driver.rs` runs it: a record is told at its own time, and what is looked up at the time of the look, unless a
/// timeout is due before.
struct Agent<'a> {
    engine: Engine,
    /// The machine's time.
    now: Timestamp,
    /// The engine's.
    last: Timestamp,
    answer_takes: Duration,
    lives: &'a [Life],
    reports: Vec<Report>,
}

impl Agent<'_> {
    fn handle_input(&mut self, input: Input, at: Timestamp) {
        self.run_timeouts(at);
        self.last = self.last.max(at);
        self.engine.handle(input, self.last);
        self.apply_effects();
    }

    fn tell_found(&mut self, input: Input) {
        let due = self.engine.poll_timeout();
        let at = due.map_or(self.now, |due| self.now.min(Timestamp(due.0 - 1)));
        self.handle_input(input, at);
    }

    fn run_timeouts(&mut self, until: Timestamp) {
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= until) {
            self.engine.handle_timeout(due);
            self.last = self.last.max(due);
            self.apply_effects();
        }
    }

    fn apply_effects(&mut self) {
        let mut effects = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Finished(report) => self.reports.push(*report),
                Output::Effect(effect) => effects.push(effect),
                _ => {}
            }
        }
        for effect in effects {
            self.now = self.now.after(self.answer_takes);
            self.execute(&effect);
        }
    }

    fn execute(&mut self, effect: &Effect) {
        let container = CONTAINER;
        match effect {
            Effect::Track { .. } => {
                let since = self.now;
                self.tell_found(Input::Tracked { container, since });
                self.answer();
            }
            Effect::Inspect { .. } => self.answer(),
            Effect::FindRemaining { .. } => {
                let remaining = Remaining::default();
                self.tell_found(Input::Remaining {
                    container,
                    remaining,
                });
            }
            _ => {}
        }
    }

    /// Which processes there are now, whatever the records have told by now.
    fn answer(&mut self) {
        let now = self.now;
        let there = |life: &&Life| life.entered <= now && now < life.exited;
        let processes = self.lives.iter().filter(there).map(|life| {
            let has_run = life.executed <= now;
            let argv = if has_run {
                life.program
            } else {
                "enter /cgroup"
            };
            found_running(&life.process, argv)
        });
        let answer = Input::Processes {
            container: CONTAINER,
            processes: processes.collect(),
        };
        self.tell_found(answer);
    }
}

/// What a late agent reports of these runs of a program.
fn reported(lives: &[Life], lags: &[(Duration, Duration)]) -> Vec<Report> {
    let config = scene::config(Vec::new());
    let mut agent = Agent {
        engine: Engine::new(config).unwrap(),
        now: Timestamp(0),
        last: Timestamp(0),
        answer_takes: Duration::ZERO,
        lives,
        reports: Vec::new(),
    };
    let mut records = records(lives).into_iter().peekable();
    for (stall, answer_takes) in lags.iter().cycle() {
        let Some(next) = records.peek().map(|record| record.at) else {
            break;
        };
        let due = agent.engine.poll_timeout().unwrap_or(next);
        agent.now = agent.now.max(next.min(due)).after(*stall);
        agent.answer_takes = *answer_takes;
        let woken_at = agent.now;
        while let Some(record) = records.next_if(|record| record.at <= agent.now) {
            let at = record.at;
            agent.handle_input(Input::Event(record), at);
        }
        agent.run_timeouts(woken_at);
    }
    agent.run_timeouts(agent.now.after(Duration::from_secs(100)));
    agent.reports
}

proptest! {
    #[test]
    fn each_crash_after_a_start_pre_has_a_report_however_late_the_agent_is(
        spans in vec(any_spans(), 1..4),
        lags in vec(any_lag(), 3..29),
    ) {
        let spans: Vec<Spans> = spans.iter().flat_map(|span| [*span, *span]).collect();
        let lives = with_start_pre(process_lives(Who::Plain, &spans));
        let reports = reported(&lives, &lags);
        for life in lives.iter().skip(1).step_by(2).filter(|life| life.code != 0) {
            let crashed = |report: &&Report| {
                report.main.as_ref().map(|main| main.tgid) == Some(life.process.tgid)
                    && report.outcome == Outcome::Crashed
            };
            prop_assert_eq!(reports.iter().filter(crashed).count(), 1, "{:?}", reports.iter().map(|r| (r.main.as_ref().unwrap().tgid, r.outcome, r.doubts.clone())).collect::<Vec<_>>());
        }
        let wrong = |report: &&Report| report.doubts.is_empty() && report.outcome != Outcome::Completed
            && lives.iter().step_by(2).any(|pre| report.main.as_ref().map(|main| main.tgid) == Some(pre.process.tgid));
        prop_assert_eq!(reports.iter().filter(wrong).count(), 0);
    }

    #[test]
    fn each_crash_has_a_report_however_late_the_agent_is(
        who in select(vec![Who::Plain, Who::Main]),
        spans in vec(any_spans(), 2..6),
        lags in vec(any_lag(), 3..29),
    ) {
        let lives = process_lives(who, &spans);
        let reports = reported(&lives, &lags);
        let found = reports.iter().map(|report| {
            let main = report.main.as_ref().map(|main| main.tgid);
            (main, report.outcome, report.doubts.clone())
        });
        let lived = lives.iter().map(|life| {
            let crashed = life.code != 0;
            let outcome = if crashed { Outcome::Crashed } else { Outcome::Completed };
            (Some(life.process.tgid), outcome, Vec::new())
        });
        prop_assert_eq!(found.collect::<Vec<_>>(), lived.collect::<Vec<_>>());
    }
}
