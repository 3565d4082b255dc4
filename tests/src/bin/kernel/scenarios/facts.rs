//! What the probes tell of signals beyond the stop signal and SIGKILL of the main process, looked at without the engine:
//! whatever may be a stop signal, what became of it, who had no sender, and what happens to the other processes.

use std::time::Duration;

use agent_common::map::{BUDGET_BURST, SignalCounts};
use agent_core::event::{CgroupId, Delivered, Event, EventKind, Exit, SignalSent};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch::probes::Signals;
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::clock;
use gracewatch_tests::rig::kubelet::send_signal;
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::stage::Via;

use super::records::Alone;
use crate::scenario::{Scenario, Stage};

mod ends;
mod others;
mod queue;
mod senders;

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("any_signal_is_recorded", senders::any_signal),
    Scenario::without_spec("kernels_signals_have_no_sender", senders::without_sender),
    Scenario::without_spec("own_signals_are_told_if_they_end_it", senders::own_signals),
    Scenario::without_spec("signal_of_a_terminal_is_told", senders::typed_interrupt),
    Scenario::without_spec("delivery_is_recorded", queue::delivered),
    Scenario::without_spec("delivery_thrown_away_is_recorded", queue::thrown_away),
    Scenario::without_spec("pending_signal_is_told", queue::pending),
    Scenario::without_spec("fetched_signal_is_not_delivered", queue::fetched),
    Scenario::without_spec("reboot_of_the_namespace_is_told", ends::rebooted),
    Scenario::without_spec("signals_inside_are_told_up_to_a_budget", others::inside),
    Scenario::without_spec(
        "main_process_signalled_from_inside_is_told",
        others::main_from_inside,
    ),
    Scenario::without_spec(
        "processes_killed_with_their_init_are_told",
        others::left_children,
    ),
    Scenario::without_spec("child_killed_by_its_supervisor_is_told", others::supervised),
    Scenario::without_spec(
        "signals_from_outside_to_others_are_told",
        others::others_from_outside,
    ),
    Scenario::without_spec("oom_victim_has_a_name", ends::named_victim),
];

const SOON: Duration = Duration::from_secs(20);

/// All signals but SIGCHLD and SIGURG.
const RECORDED: Signals = Signals {
    recorded: !(1 << 16 | 1 << 22),
    beginning: Signal::TERM.mask_bit() | Signal::KILL.mask_bit(),
};

/// The probes, and one container of which they tell.
struct Scene {
    alone: Alone,
    cgroup: Cgroup,
    container: CgroupId,
    main: Launched,
    events: Vec<Event>,
    began: Duration,
}

impl Scene {
    /// Starts a container, of which everything is recorded.
    fn launch(stage: &Stage<'_>, cgroup: Cgroup, launch: &Launch) -> Result<Self> {
        let mut alone = Alone::that_sees(RECORDED.recorded)?;
        let container = cgroup.id()?;
        alone
            .probes
            .tracker
            .track_container((container.0, container.0), &[], RECORDED)?;
        let began = Duration::from_nanos(clock::now().0);
        Ok(Self {
            main: launch.start(stage.toolbox())?,
            alone,
            cgroup,
            container,
            events: Vec::new(),
            began,
        })
    }

    /// Starts one with `app` as its PID 1, and waits until it is ready.
    fn start_app(stage: &Stage<'_>, options: &str) -> Result<Self> {
        let cgroup = stage.cgroup("")?;
        let launch = Launch::new(&cgroup, stage.rig.app_command(stage.name, options));
        let scene = Self::launch(stage, cgroup, &launch)?;
        stage.toolbox().log(stage.name).wait_for("ready", SOON)?;
        Ok(scene)
    }

    /// The same with `actor` and this deed.
    fn start_actor(stage: &Stage<'_>, deed: &str) -> Result<Self> {
        let cgroup = stage.cgroup("")?;
        let launch = Launch::new(&cgroup, actor_command(stage, "", deed));
        let scene = Self::launch(stage, cgroup, &launch)?;
        stage.toolbox().log(stage.name).wait_for("ready", SOON)?;
        Ok(scene)
    }

    /// Starts one with `actor` in the machine's own pid namespace, where its signals end it, and waits for that.
    fn start_and_end_actor(stage: &Stage<'_>, deed: &str) -> Result<Self> {
        let suffix = deed.replace(' ', "-");
        let cgroup = stage.cgroup(&suffix)?;
        let launch = Launch::new(&cgroup, actor_command(stage, &suffix, deed)).sharing_pids();
        let mut scene = Self::launch(stage, cgroup, &launch)?;
        scene.main.wait_end(SOON)?;
        Ok(scene)
    }

    fn send_signal(&self, stage: &Stage<'_>, signal: Signal) -> Result<()> {
        send_signal(stage.toolbox(), self.main.pid(), signal, Via::Kill).map(drop)
    }

    fn kill_and_wait(&mut self, stage: &Stage<'_>) -> Result<()> {
        self.send_signal(stage, Signal::KILL)?;
        self.main.wait_end(SOON).map(drop)
    }

    fn events(&mut self) -> Result<&[Event]> {
        let new = self.alone.events(self.container)?;
        self.events.extend(new);
        Ok(&self.events)
    }

    fn signals(&mut self) -> Result<Vec<SignalSent>> {
        let events = self.events()?.iter();
        Ok(events.filter_map(signal_of).collect())
    }

    fn deliveries(&mut self) -> Result<Vec<Delivered>> {
        let events = self.events()?.iter();
        Ok(events.filter_map(delivery_of).collect())
    }

    /// The exit of the main process.
    fn main_exit(&mut self) -> Result<Exit> {
        let main = self.main.pid();
        let mut exits = self.events()?.iter().filter_map(exit_of);
        exits
            .find(|exit| exit.process.tgid.0 == main)
            .context("no exit was recorded")
    }

    /// The first signal with this number.
    fn signal(&mut self, wanted: Signal) -> Result<SignalSent> {
        let mut signals = self.signals()?.into_iter();
        signals
            .find(|sent| sent.signal == wanted)
            .with_context(|| format!("no {wanted} was recorded"))
    }

    fn counts(&self) -> SignalCounts {
        self.alone.probes.tracker.counts(self.container.0)
    }

    /// How many of one budget may have been recorded by now.
    fn budget(&self) -> u64 {
        let took = Duration::from_nanos(clock::now().0).saturating_sub(self.began);
        BUDGET_BURST + took.as_secs() + 1
    }
}

/// The command line of `actor` with this deed, and the scenario's log with this suffix.
fn actor_command(stage: &Stage<'_>, suffix: &str, deed: &str) -> Vec<String> {
    let mut program = stage.rig.command("actor", "--log");
    let log = stage.toolbox().log(&stage.name_with(suffix));
    program.push(log.path().to_string_lossy().into_owned());
    program.extend(deed.split_whitespace().map(str::to_owned));
    program
}

fn signal_of(event: &Event) -> Option<SignalSent> {
    if let EventKind::Signal(sent) = &event.kind {
        Some(sent.clone())
    } else {
        None
    }
}

fn delivery_of(event: &Event) -> Option<Delivered> {
    if let EventKind::Delivered(delivered) = &event.kind {
        Some(delivered.clone())
    } else {
        None
    }
}

fn exit_of(event: &Event) -> Option<Exit> {
    if let EventKind::Exit(exit) = &event.kind {
        Some(exit.clone())
    } else {
        None
    }
}

fn numbers(signals: &[SignalSent]) -> Vec<u32> {
    signals.iter().map(|sent| sent.signal.number()).collect()
}
