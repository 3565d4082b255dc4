//! The agent under test, in its two shapes: its pipeline inside this process, and the whole binary.

pub(crate) mod whole;

use std::fmt::Debug;
use std::time::Duration;

use agent_core::report::Report;
use anyhow::{Context as _, Result};
use gracewatch_tests::in_process::InProcess;

/// What a scenario asks of the agent.
pub(crate) trait Agent: Debug + Sync {
    /// Waits until the cgroup with this path is a tracked container and the kernel side watches this process of it.
    fn wait_watched(&self, path: &str, pid: u32, limit: Duration) -> Result<()>;

    /// Waits for the finished report of the cgroup with this path.
    fn report(&self, path: &str, limit: Duration) -> Result<Report>;

    /// The finished reports of it that there are by now, the oldest first.
    fn reports(&self, path: &str) -> Vec<Report>;
}

impl Agent for InProcess {
    fn wait_watched(&self, path: &str, pid: u32, limit: Duration) -> Result<()> {
        Self::wait_watched(self, pid, limit).with_context(|| format!("the container is {path}"))
    }

    fn report(&self, path: &str, limit: Duration) -> Result<Report> {
        let found = self.wait_reports(path, 1, limit)?;
        found.into_iter().next().context("no report")
    }

    fn reports(&self, path: &str) -> Vec<Report> {
        Self::reports(self, path)
    }
}
