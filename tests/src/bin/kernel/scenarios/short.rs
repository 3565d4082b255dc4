//! Containers that are gone almost as soon as they are there: each is in a report or in a counter, and none stays tracked.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use agent_core::event::EventKind;
use agent_core::output::{Names, UnreportedReason};
use agent_core::report::{Outcome, Report};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch::probes::Signals;
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::launch::Launch;
use rustix::process::{Pid, kill_process};

use super::records::Alone;
use crate::check::Check;
use crate::scenario::{Scenario, Stage};
use gracewatch_tests::in_process::{InProcess, Tally};

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("born_beside_a_container", tracked_from_birth),
    Scenario::without_spec("short_lived", short_lived),
    Scenario::without_spec("short_stopped", stopped),
    Scenario::without_spec("short_empty", never_populated),
];

/// Who makes containers at the same time.
const HANDS: usize = 16;
/// How often each of them makes one: together 200 a second.
const PACE: Duration = Duration::from_millis(80);
/// Their grace period in seconds, which nobody waits for.
const GRACE: u64 = 5;
/// How long a process may take that ends at once.
const END_LIMIT: Duration = Duration::from_secs(20);
/// How long the agent may take to be done with all of them.
const DONE_LIMIT: Duration = Duration::from_secs(30);

/// What is made beside a container is told from its birth on, without anybody having said so; once it is gone, or is said to
/// be none, nothing of it is left in the maps.
fn tracked_from_birth(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut alone = Alone::new()?;
    let parent = stage.cgroup("")?;
    let signals = Signals::that_all_begin(Signal::KILL.mask_bit() | Signal::TERM.mask_bit());
    let tracker = &mut alone.probes.tracker;
    let place = (parent.id()?.0, parent.path());
    tracker.add_parent(place, None, &[Names::Any], signals)?;
    let (cgroup, other) = (parent.create_child("born")?, parent.create_child("other")?);
    let container = cgroup.id()?;
    let launch = Launch::new(&cgroup, stage.rig.command("sleep", "0.02"));
    let mut main = launch.start(stage.toolbox())?;
    let pid = main.pid();
    main.wait_end(END_LIMIT)?;
    cgroup.remove()?;
    let events = alone.events(container)?;
    let is_told = |is_it: fn(&EventKind) -> Option<u32>| {
        events.iter().any(|event| is_it(&event.kind) == Some(pid))
    };
    check.require("its attach is told", is_told(attached));
    check.require("its exec is told", is_told(executed));
    check.require("its exit is told", is_told(exited));
    let made = |kind: &EventKind| matches!(kind, EventKind::CgroupMade { .. });
    let removed = |kind: &EventKind| matches!(kind, EventKind::CgroupRemoved);
    let kinds = || events.iter().map(|event| &event.kind);
    check.require_equal("births", kinds().filter(|kind| made(kind)).count(), 1);
    check.require_equal("removals", kinds().filter(|kind| removed(kind)).count(), 1);
    let tracker = &mut alone.probes.tracker;
    check.require_equal("entries while the other lives", tracker.entries(), (1, 0));
    tracker.untrack(other.id()?.0)?;
    check.require_equal(
        "entries after it is said to be none",
        tracker.entries(),
        (0, 0),
    );
    tracker.untrack(container.0)?;
    let named = format!("{}-{}", "x".repeat(8), "a1".repeat(32));
    let top = stage.rig.folder.top_cgroup();
    tracker.add_parent(
        (top.id()?.0, top.path()),
        None,
        &[Names::Containers],
        signals,
    )?;
    let short = stage.cgroup("short-name")?;
    let long = stage.rig.folder.create_cgroup(&named)?;
    check.require_equal(
        "entries beside a name with an id",
        alone.probes.tracker.entries(),
        (1, 0),
    );
    long.remove()?;
    short.remove()?;
    other.remove()?;
    check.require_equal("entries at the end", alone.probes.tracker.entries(), (0, 0));
    parent.remove()
}

fn attached(kind: &EventKind) -> Option<u32> {
    if let EventKind::Attach(process) = kind {
        Some(process.tgid.0)
    } else {
        None
    }
}

fn executed(kind: &EventKind) -> Option<u32> {
    if let EventKind::Exec(exec) = kind {
        Some(exec.process.tgid.0)
    } else {
        None
    }
}

fn exited(kind: &EventKind) -> Option<u32> {
    if let EventKind::Exit(exit) = kind {
        Some(exit.process.tgid.0)
    } else {
        None
    }
}

/// Containers that live for 20 ms.
fn short_lived(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let crowd = Crowd::gather(stage)?;
    crowd.for_each_container(|cgroup| {
        let launch = Launch::new(cgroup, stage.rig.command("sleep", "0.02"));
        launch.start(stage.toolbox())?.wait_end(END_LIMIT)?;
        cgroup.remove()
    })?;
    let is_right = |report: &Report| report.outcome == Outcome::Completed;
    crowd.check_reports(check, is_right)
}

/// Containers that are stopped as soon as their program runs.
fn stopped(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let crowd = Crowd::gather(stage)?;
    crowd.for_each_container(|cgroup| {
        let launch = Launch::new(cgroup, stage.rig.command("sleep", "600"));
        let mut main = launch.start(stage.toolbox())?;
        main.wait_exec()?;
        let pid = i32::try_from(main.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.context("no pid")?;
        kill_process(pid, rustix::process::Signal::TERM)?;
        kill_process(pid, rustix::process::Signal::KILL)?;
        main.wait_end(END_LIMIT)?;
        cgroup.remove()
    })?;
    let is_right = |report: &Report| {
        let stop = report.stop_signal.as_ref();
        stop.is_some_and(|stop| stop.signal == Signal::TERM)
            && report.outcome == Outcome::SignalIgnored
    };
    crowd.check_reports(check, is_right)
}

/// Cgroups in which no process ever is, as fast as they can be made.
fn never_populated(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let crowd = Crowd::gather(stage)?;
    for number in 0..crowd.size {
        crowd.folder.create_child(&number.to_string())?.remove()?;
    }
    crowd.check_reports(check, |_report| false)
}

/// Many containers in one folder, and the agent that follows them.
struct Crowd {
    agent: InProcess,
    folder: Cgroup,
    size: usize,
}

impl Crowd {
    fn gather(stage: &Stage<'_>) -> Result<Self> {
        let folder = stage.cgroup("")?;
        // A grace period that is known leaves less to be doubted.
        let all = stage
            .rig
            .selector(&format!("{}/*", stage.name), Some(GRACE));
        Ok(Self {
            agent: InProcess::start(folder.path(), vec![all])?,
            folder,
            size: stage.rig.crowd,
        })
    }

    /// Does this with a cgroup for each container, a few at a time and at a steady pace.
    fn for_each_container(&self, live: impl Fn(&Cgroup) -> Result<()> + Sync) -> Result<()> {
        let (live, folder) = (&live, &self.folder);
        let work = |hand: usize| -> Result<()> {
            let started = Instant::now();
            for (number, turn) in (hand..self.size).step_by(HANDS).zip(0..) {
                let due = started + PACE * turn;
                sleep(due.saturating_duration_since(Instant::now()));
                live(&folder.create_child(&number.to_string())?)?;
            }
            Ok(())
        };
        let work = &work;
        scope(|scope| {
            let hands: Vec<_> = (0..HANDS)
                .map(|hand| scope.spawn(move || work(hand)))
                .collect();
            for hand in hands {
                hand.join()
                    .map_err(|_panic| anyhow::anyhow!("a hand panicked"))??;
            }
            Ok(())
        })
    }

    /// Waits until the agent is done with all of them, and looks at what it says.
    fn check_reports(self, check: &mut Check, is_right: impl Fn(&Report) -> bool) -> Result<()> {
        let done = |tally: &Tally| {
            tally.tracked == 0 && tally.reports.len() + tally.counted() >= self.size
        };
        let tally = self
            .agent
            .wait_for_tally(self.folder.path(), DONE_LIMIT, done);
        let certain = || {
            tally
                .reports
                .iter()
                .filter(|report| report.doubts.is_empty())
        };
        let wrong: Vec<_> = certain().filter(|report| !is_right(report)).collect();
        check.notes.push(format!(
            "{} containers: {} reports, {} of them right and {} unsure; counted: {} gone, {} empty, {} main unseen, {} with records lost",
            self.size,
            tally.reports.len(),
            tally.reports.iter().filter(|report| is_right(report)).count(),
            tally.reports.len() - certain().count(),
            tally.unreported(UnreportedReason::Gone),
            tally.unreported(UnreportedReason::Empty),
            tally.unreported(UnreportedReason::MainUnseen),
            tally.untold,
        ));
        check.require_equal(
            "reported or counted",
            tally.reports.len() + tally.counted(),
            self.size,
        );
        check.require_equal("still tracked", tally.tracked, 0);
        check.require(
            format!("certain and wrong: {:?}", wrong.first()),
            wrong.is_empty(),
        );
        self.agent.stop()?;
        self.folder.remove()
    }
}
