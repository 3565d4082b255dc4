//! The agent that watches a row: the pipeline in this process, which all rows share, or a whole agent that one row has for itself
//! and can stop.

use std::time::{Duration, Instant};

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::in_process::InProcess;
use gracewatch_tests::whole::Whole;
use rustix::process::{Pid, Signal, kill_process};

/// How often a whole agent is asked.
const POLL: Duration = Duration::from_millis(50);
/// How long a whole agent that has counted a container may need to watch its processes.
const WATCHED_AFTER: Duration = Duration::from_millis(300);

/// The agent.
#[derive(Debug)]
pub(crate) enum Watcher<'a> {
    Shared(&'a InProcess),
    Own(Box<Whole>),
}

impl Watcher<'_> {
    /// Waits until it watches this process.
    pub(crate) fn wait_watched(&self, pid: u32, limit: Duration) -> Result<()> {
        match self {
            Self::Shared(agent) => agent.wait_watched(pid, limit),
            Self::Own(agent) => {
                let started = Instant::now();
                while agent.metric("gracewatch_containers_tracked", "")? < 1.0 {
                    ensure!(
                        started.elapsed() < limit,
                        "no container is tracked after {limit:?}"
                    );
                    std::thread::sleep(POLL);
                }
                std::thread::sleep(WATCHED_AFTER);
                Ok(())
            }
        }
    }

    /// Waits for so many reports of this cgroup, oldest first. Fewer are a wrong verdict, unless it is counted as one without a report
    /// where that is allowed.
    pub(crate) fn wait_reports(
        &self,
        path: &str,
        count: usize,
        or_counted: bool,
        limit: Duration,
    ) -> Result<Vec<Report>> {
        let started = Instant::now();
        loop {
            let found = self.reports(path)?;
            if found.len() >= count || (or_counted && self.is_counted(path)) {
                return Ok(found);
            }
            if started.elapsed() > limit {
                let few = format!(
                    "{} reports after {limit:?}, and there were {count} stops",
                    found.len()
                );
                return None.or_wrong(|| few);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Whether the agent says that it has no report of this cgroup. Of an agent of its own that is not asked.
    fn is_counted(&self, path: &str) -> bool {
        match self {
            Self::Shared(agent) => agent.is_unreported(path),
            Self::Own(_) => false,
        }
    }

    /// The reports of this cgroup by now, oldest first.
    pub(crate) fn reports(&self, path: &str) -> Result<Vec<Report>> {
        match self {
            Self::Shared(agent) => Ok(agent.reports(path)),
            Self::Own(agent) => {
                let mut newest_first = agent.reports(path)?;
                newest_first.reverse();
                Ok(newest_first)
            }
        }
    }

    /// Stops the agent's process, or lets it go on.
    pub(crate) fn pause_agent(&self, stop: bool) -> Result<()> {
        let Self::Own(agent) = self else {
            anyhow::bail!("the agent that all rows share is not stopped; say `agent = \"own\"`")
        };
        let pid = Pid::from_raw(i32::try_from(agent.pid())?).context("no pid")?;
        let signal = if stop { Signal::STOP } else { Signal::CONT };
        kill_process(pid, signal).context("cannot signal the agent")
    }

    /// Ends an agent of one's own.
    pub(crate) fn end_agent(self) -> Result<()> {
        match self {
            Self::Shared(_) => Ok(()),
            Self::Own(agent) => {
                let words = agent.log_text();
                let (status, _) = agent.stop()?;
                ensure!(
                    status.success(),
                    "the agent ended with {status} and said: {words}"
                );
                Ok(())
            }
        }
    }
}
