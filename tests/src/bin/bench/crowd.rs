//! Many containers at once: a cgroup and a process each, which are terminated together.

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::whole::Whole;
use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{Stage, start_in};

const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// They; dropping it ends and removes them.
#[derive(Debug)]
pub(crate) struct Crowd {
    members: Vec<(Cgroup, Child)>,
}

impl Crowd {
    /// So many containers in this part of the stage's folder.
    pub(crate) fn gather(stage: &Stage, folder: &str, size: u32) -> Result<Self> {
        let members = (0..size)
            .map(|number| {
                let cgroup = stage.folder.create_cgroup(&format!("{folder}/{number}"))?;
                let process = start_in(&cgroup, "exec sleep 1000")?;
                Ok((cgroup, process))
            })
            .collect::<Result<_>>()?;
        Ok(Self { members })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Sends SIGTERM to all of them, as fast as it goes, and removes them.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        for (_, process) in &self.members {
            kill_process(Pid::from_child(process), Signal::TERM)?;
        }
        for (cgroup, mut process) in self.members.drain(..) {
            process.wait()?;
            cgroup.remove()?;
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (cgroup, process) in &mut self.members {
            process.kill().ok();
            process.wait().ok();
            cgroup.remove().ok();
        }
    }
}

/// How many terminations the agent has reported.
pub(crate) fn reported(agent: &Whole) -> Result<f64> {
    // The sum of no series is a negative zero.
    Ok(agent.metric("workload_termination_outcomes_total", "")? + 0.0)
}

/// Waits until the agent's metric is at least this.
pub(crate) fn wait_for(agent: &Whole, wanted: f64, of: fn(&Whole) -> Result<f64>) -> Result<()> {
    let started = Instant::now();
    loop {
        let now = of(agent)?;
        if now >= wanted {
            return Ok(());
        }
        ensure!(
            started.elapsed() < LIMIT,
            "the agent says {now} and not {wanted} after {LIMIT:?}"
        );
        sleep(POLL);
    }
}

/// How many containers the agent tracks.
pub(crate) fn tracked(agent: &Whole) -> Result<f64> {
    agent.metric("gracewatch_containers_tracked", "")
}

/// Starts the agent for the crowd's part of the folder.
pub(crate) fn agent_for(stage: &Stage, folder: &str) -> Result<Whole> {
    let glob = format!("{}/{folder}/*", stage.folder.path());
    Whole::start(&glob, &[], &stage.log_path()).context("the agent does not start")
}
