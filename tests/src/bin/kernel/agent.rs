//! The agent under test, in its two shapes: its pipeline inside this process, and the whole binary.

pub(crate) mod in_process;
pub(crate) mod whole;

use std::fmt::Debug;
use std::time::Duration;

use agent_core::report::Report;
use anyhow::Result;

/// What a scenario asks of the agent.
pub(crate) trait Agent: Debug + Sync {
    /// Waits until the cgroup with this path is a tracked container and the kernel side watches this process of it.
    fn wait_watched(&self, path: &str, pid: u32, limit: Duration) -> Result<()>;

    /// Waits for the finished report of the cgroup with this path.
    fn report(&self, path: &str, limit: Duration) -> Result<Report>;

    /// How many finished reports there are of it by now.
    fn count(&self, path: &str) -> usize;
}
