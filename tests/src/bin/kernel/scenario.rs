//! What a scenario is, and what it finds when it runs: the rig, the agent, and its own part of the cgroup tree.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent_core::config::Selector;
use agent_core::report::Report;
use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch_tests::claim;
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::rig::cgroup::{Cgroup, Folder};
use gracewatch_tests::rig::kubelet::Stop;
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::toolbox::{Log, Toolbox};
use gracewatch_tests::rig::trace::{Trace, Traced};

use crate::agent::Agent;
use crate::check::{Check, Clock, Compared};

/// How long the agent may take to say what it must say.
const REPORT_LIMIT: Duration = Duration::from_secs(15);
/// How long a program may take to start.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// One scenario: what is known of its subjects, and what happens to them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Selectors beyond the glob that makes its cgroups subjects.
    pub(crate) known: fn(&Rig, &str) -> Vec<Selector>,
    pub(crate) run: fn(&Stage<'_>, &mut Check) -> Result<()>,
}

impl Scenario {
    /// A scenario of whose subjects the agent knows nothing but the cgroups.
    pub(crate) const fn without_spec(
        name: &'static str,
        run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    ) -> Self {
        Self {
            name,
            known: |_, _| Vec::new(),
            run,
        }
    }

    /// A scenario whose subjects have this grace period.
    pub(crate) const fn with_spec(
        name: &'static str,
        known: fn(&Rig, &str) -> Vec<Selector>,
        run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    ) -> Self {
        Self { name, known, run }
    }
}

/// What all scenarios share.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) folder: Folder,
    pub(crate) toolbox: Toolbox,
    tolerance: Duration,
    /// Whether the machine is slow.
    pub(crate) slow: bool,
    /// How many containers make a crowd.
    pub(crate) crowd: usize,
    trace: Trace,
    /// Durations compared with the trace.
    traced: Mutex<Vec<Compared>>,
}

/// Containers of a crowd at the most on an emulated processor, which needs a second for a few of them.
const CROWD_SLOW: usize = 40;

/// Starts that were read from /proc are of whole clock ticks.
const START_TICK_NS: u64 = 10_000_000;

/// How far one duration may be from the kernel's trace, here and on an emulated processor: the processor may be taken
/// away between the two hooks. What the aim of all together is, [`crate::accuracy`] says.
const TOLERANCE: Duration = Duration::from_millis(25);
const TOLERANCE_SLOW: Duration = Duration::from_millis(500);
/// How far it may be from what the processes read themselves: they wait for their turn on a busy machine.
const TOLERANCE_PROCESSES: Duration = Duration::from_millis(250);
const TOLERANCE_PROCESSES_SLOW: Duration = Duration::from_secs(10);

impl Rig {
    pub(crate) fn new(slow: bool, crowd: usize) -> Result<Self> {
        let toolbox = Toolbox::new()?;
        Ok(Self {
            folder: Folder::new("kernel")?,
            toolbox,
            tolerance: if slow { TOLERANCE_SLOW } else { TOLERANCE },
            slow,
            crowd: if slow { crowd.min(CROWD_SLOW) } else { crowd },
            trace: Trace::start()?,
            traced: Mutex::default(),
        })
    }

    /// A check that allows for the way of processes into the kernel and out of it.
    pub(crate) fn new_check(&self) -> Check {
        Check::new(if self.slow {
            TOLERANCE_PROCESSES_SLOW
        } else {
            TOLERANCE_PROCESSES
        })
    }

    /// Takes the durations that were compared with the trace.
    pub(crate) fn compared(&self) -> Vec<Compared> {
        std::mem::take(&mut *self.traced.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compares every duration of a report with the kernel's trace of the same hooks.
    fn compare(&self, report: &Report) -> Result<()> {
        let Some(main) = &report.main else {
            return Ok(());
        };
        // Before and after, the same number may have been another process.
        let since = Timestamp(main.start.0.saturating_sub(START_TICK_NS));
        let pid = main.tgid.0;
        let first = |pid, what, since| self.trace.first_time(pid, what, since);
        let exit = first(pid, Traced::Exit, since);
        let stop = report
            .stop_signal
            .as_ref()
            .and_then(|stop| first(pid, Traced::Signal(stop.signal.number()), since));
        let kill = first(pid, Traced::Signal(Signal::KILL.number()), since);
        let hook = report
            .hook
            .as_ref()
            .and_then(|hook| hook.tgid)
            .map(|tgid| tgid.0);
        // Its last program before its exit: the rig's own comes before it.
        let end = hook.and_then(|hook| first(hook, Traced::Exit, since));
        let exec = hook.and_then(|hook| self.trace.last_time(hook, Traced::Exec, since, end?));
        let pairs = [
            (
                "stop signal to exit",
                report.stop_signal_to_exit(),
                stop.zip(exit),
            ),
            (
                "stop signal to SIGKILL",
                report.stop_signal_to_kill(),
                stop.zip(kill),
            ),
            ("hook", report.hook_duration(), exec.zip(end)),
            (
                "total",
                report.total_duration().filter(|total| !total.is_zero()),
                exec.or(stop).zip(exit),
            ),
        ];
        for (what, measured, traced) in pairs {
            let (Some(measured), Some((from, to))) = (measured, traced) else {
                continue;
            };
            let compared = Compared {
                what,
                clock: Clock::Trace,
                measured,
                own: to.since(from),
            };
            self.traced
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(compared);
            let own = compared.own;
            claim!(
                compared.difference() <= self.tolerance,
                "{what}: {measured:?}, but it was {own:?} by the kernel's trace"
            );
        }
        Ok(())
    }

    /// A selector for the cgroup of this name.
    pub(crate) fn selector(&self, name: &str, grace: Option<u64>) -> Selector {
        Selector {
            cgroup: format!("{}/{name}", self.folder.path()),
            grace: grace.map(Duration::from_secs),
            stop_signal: None,
            pre_stop: None,
        }
    }

    /// The command line of an `app` whose log has this name.
    pub(crate) fn app_command(&self, log: &str, options: &str) -> Vec<String> {
        let mut argv = self.command("app", "");
        argv.push("--log".to_owned());
        argv.push(self.toolbox.log(log).path().to_string_lossy().into_owned());
        argv.extend(options.split_whitespace().map(str::to_owned));
        argv
    }

    /// The command line of one of the rig's programs.
    pub(crate) fn command(&self, program: &str, args: &str) -> Vec<String> {
        let mut argv = vec![self.toolbox.program(program).to_string_lossy().into_owned()];
        argv.extend(args.split_whitespace().map(str::to_owned));
        argv
    }
}

/// One scenario's stage.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) name: &'static str,
    pub(crate) rig: &'a Rig,
    pub(crate) agent: &'a dyn Agent,
}

/// A container of the rig.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) cgroup: Cgroup,
    pub(crate) main: Launched,
    pub(crate) log: Log,
}

impl Stage<'_> {
    pub(crate) fn toolbox(&self) -> &Toolbox {
        &self.rig.toolbox
    }

    /// Makes the scenario's cgroup, or `<name>-<suffix>`.
    pub(crate) fn cgroup(&self, suffix: &str) -> Result<Cgroup> {
        self.rig.folder.create_cgroup(&self.name_with(suffix))
    }

    /// The scenario's name with a suffix: what its cgroups and logs are called.
    pub(crate) fn name_with(&self, suffix: &str) -> String {
        if suffix.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}-{suffix}", self.name)
        }
    }

    /// Starts a container that runs `app` with these options, and waits until it is ready.
    pub(crate) fn start_app(&self, options: &str) -> Result<Container> {
        self.app_as("", options)
    }

    /// The same for the scenario's container with this suffix.
    pub(crate) fn app_as(&self, suffix: &str, options: &str) -> Result<Container> {
        let cgroup = self.cgroup(suffix)?;
        let launch = Launch::new(
            &cgroup,
            self.rig.app_command(&self.name_with(suffix), options),
        );
        self.start(cgroup, suffix, &launch)
    }

    /// Starts a container that runs `app` in the machine's own pid namespace.
    pub(crate) fn app_sharing_pids(&self, options: &str) -> Result<Container> {
        let cgroup = self.cgroup("")?;
        let launch = Launch::new(&cgroup, self.rig.app_command(self.name, options)).sharing_pids();
        self.start(cgroup, "", &launch)
    }

    /// Starts a container, waits until its `app` is ready and the agent follows it.
    pub(crate) fn start(&self, cgroup: Cgroup, suffix: &str, launch: &Launch) -> Result<Container> {
        let log = self.toolbox().log(&self.name_with(suffix));
        let main = launch.start(self.toolbox())?;
        log.wait_for("ready", READY_LIMIT)?;
        self.agent
            .wait_watched(cgroup.path(), main.pid(), REPORT_LIMIT)?;
        Ok(Container { cgroup, main, log })
    }

    /// Starts a container that sleeps: a program without handlers.
    pub(crate) fn start_sleeper(&self) -> Result<Container> {
        let cgroup = self.cgroup("")?;
        let launch = Launch::new(&cgroup, self.rig.command("sleep", "600"));
        self.start_silent(cgroup, &launch)
    }

    /// Starts a container whose program has no log, waits for its exec and for the agent to follow it.
    pub(crate) fn start_silent(&self, cgroup: Cgroup, launch: &Launch) -> Result<Container> {
        let main = launch.start(self.toolbox())?;
        main.wait_exec()?;
        self.agent
            .wait_watched(cgroup.path(), main.pid(), REPORT_LIMIT)?;
        Ok(Container {
            cgroup,
            main,
            log: self.toolbox().log(self.name),
        })
    }

    /// The hook that runs `app` with these options.
    pub(crate) fn hook_launch(&self, container: &Container, options: &str) -> Launch {
        Launch::new(
            &container.cgroup,
            self.rig.app_command(&self.name_with("hook"), options),
        )
    }

    /// The log of [`Self::hook_launch`].
    pub(crate) fn hook_log(&self) -> Log {
        self.toolbox().log(&self.name_with("hook"))
    }

    /// Stops a container as a kubelet does.
    pub(crate) fn stop(
        &self,
        container: &mut Container,
        stop: &Stop,
    ) -> Result<gracewatch_tests::rig::kubelet::Stopped> {
        stop.run(self.toolbox(), &mut container.main, &|_act| {})
    }

    /// Removes the container's cgroup and takes its one report.
    pub(crate) fn report(&self, container: &Container) -> Result<Report> {
        container.cgroup.remove()?;
        self.report_of(&container.cgroup)
    }

    /// The one report of this cgroup.
    pub(crate) fn report_of(&self, cgroup: &Cgroup) -> Result<Report> {
        let report = self
            .agent
            .report(cgroup.path(), REPORT_LIMIT)
            .or_wrong(|| format!("no report of {}", cgroup.path()))?;
        self.rig.compare(&report)?;
        Ok(report)
    }
}

/// SIGTERM within this many seconds.
pub(crate) fn within(seconds: u64) -> Stop {
    Stop::within(Duration::from_secs(seconds))
}

/// A signal by its name; the scenarios know only good ones.
pub(crate) fn signal(number: u32) -> Result<Signal> {
    Signal::try_from(number).context("not a signal")
}
