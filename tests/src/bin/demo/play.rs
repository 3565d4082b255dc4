//! Plays every role: makes the container, stops it, takes the agent's report. All at the same time.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, anyhow, ensure};
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::clock;
use gracewatch_tests::rig::kubelet::{Stop, Stopped};
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::Whole;
use signal_hook::iterator::Signals;

use crate::cast::Role;
use crate::progress::{Progress, Step};

/// How long anything may take that should be soon.
const SOON: Duration = Duration::from_secs(15);
/// How long the containers run before they are stopped: as old as containers that are stopped usually are at the least.
const WARM_UP: Duration = Duration::from_millis(1500);

/// A role, what was done and what the agent says of it.
#[derive(Debug)]
pub(crate) struct Played<'a> {
    pub(crate) role: &'a Role,
    /// Its main process's pid on the machine.
    pub(crate) pid: u32,
    /// When its stop began.
    pub(crate) began: Timestamp,
    pub(crate) stopped: Stopped,
    /// When the main process wrote its last word, if it wrote one.
    pub(crate) last_word: Option<Timestamp>,
    pub(crate) report: Report,
}

/// Whether somebody wants it to end.
#[derive(Debug)]
pub(crate) struct Interrupted(Receiver<()>);

impl Interrupted {
    pub(crate) fn is_set(&self) -> bool {
        self.0.try_recv().is_ok()
    }

    /// Waits for Ctrl-C.
    pub(crate) fn wait_for_interrupt(&self) {
        self.0.recv().ok();
    }
}

/// From now on Ctrl-C and SIGTERM end the containers, so that everything unwinds and is removed.
pub(crate) fn catch_signals(folder: &Folder) -> Result<Interrupted> {
    let mut signals = Signals::new([2, 15]).context("cannot catch Ctrl-C")?;
    let (sender, receiver) = sync_channel(1);
    let top = folder.top_cgroup().clone();
    thread::spawn(move || {
        for _signal in signals.forever() {
            sender.try_send(()).ok();
            top.kill_all();
        }
    });
    Ok(Interrupted(receiver))
}

/// Plays all roles beside each other and shows what happens meanwhile.
pub(crate) fn run_all<'a>(
    cast: &'a [Role],
    toolbox: &Toolbox,
    folder: &Folder,
    agent: &Whole,
) -> Result<Vec<Played<'a>>> {
    let started = cast
        .iter()
        .map(|role| start(role, toolbox, folder))
        .collect::<Result<Vec<_>>>()?;
    thread::sleep(WARM_UP);
    let progress = Arc::new(Progress::new(cast));
    thread::scope(|scope| {
        let threads: Vec<_> = started
            .into_iter()
            .zip(cast)
            .enumerate()
            .map(|(row, (main, role))| {
                let progress = Arc::clone(&progress);
                scope.spawn(move || {
                    let played = run_role(role, main, (toolbox, folder, agent), &|step| {
                        progress.set_step(row, step);
                    });
                    progress.set_step(
                        row,
                        if played.is_ok() {
                            Step::Reported
                        } else {
                            Step::Failed
                        },
                    );
                    played
                })
            })
            .collect();
        progress.draw_until_done();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_panic| anyhow!("a role panicked"))?)
            .collect()
    })
}

fn start(role: &Role, toolbox: &Toolbox, folder: &Folder) -> Result<Launched> {
    let cgroup = folder.create_cgroup(role.name)?;
    let main = Launch::new(&cgroup, &role.main).start(toolbox)?;
    main.wait_exec()?;
    if role.has_log {
        toolbox.log(role.name).wait_for("ready", SOON)?;
    }
    Ok(main)
}

fn run_role<'a>(
    role: &'a Role,
    mut main: Launched,
    (toolbox, folder, agent): (&Toolbox, &Folder, &Whole),
    tell: &dyn Fn(Step),
) -> Result<Played<'a>> {
    let cgroup = folder.create_cgroup(role.name)?;
    let hook = role.hook.as_ref().map(|hook| Launch::new(&cgroup, hook));
    let stop = Stop {
        hook,
        ..Stop::within(role.grace)
    };
    let began = clock::now();
    let stopped = stop.run(toolbox, &mut main, &|act| tell(Step::Act(act)))?;
    cgroup.remove()?;
    let report = agent.wait_report(cgroup.path(), SOON)?;
    ensure!(
        report.outcome == role.outcome,
        "{}: the agent says {:?}, but it was {:?}",
        role.name,
        report.outcome,
        role.outcome
    );
    Ok(Played {
        role,
        pid: main.pid(),
        began,
        stopped,
        last_word: toolbox.log(role.name).find_step("exit"),
        report,
    })
}
