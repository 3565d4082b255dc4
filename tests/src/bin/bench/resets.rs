//! Whether a flood of resets is counted exactly, and what it costs the agent: it is counted in the kernel, so the agent has no
//! more to do than without it.

use std::time::Duration;

use anyhow::Result;
use gracewatch_tests::process_status::processor_time;
use gracewatch_tests::whole::Whole;

use crate::crowd::{agent_for, tracked, wait_for};
use crate::flood::lost_records;
use crate::print_progress;
use crate::quiet::Quiet;
use crate::stage::Stage;
use crate::work::Work;
use crate::worker::Worker;

/// Longer than the time between two looks of the agent at what was counted.
const SETTLED: Duration = Duration::from_secs(7);

/// What was found.
#[derive(Debug)]
pub(crate) struct Resets {
    /// Each is reset once: one end sends it, the other receives it.
    pub(crate) connections: u32,
    pub(crate) took: Duration,
    /// As the agent's metrics have them.
    pub(crate) sent: f64,
    pub(crate) received: f64,
    pub(crate) lost: f64,
    /// CPU time of the agent, until it had told them all.
    pub(crate) cpu: Duration,
}

impl Resets {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.connections) / self.took.as_secs_f64()
    }

    /// Of one CPU, while it lasted.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.took.as_secs_f64()
    }

    pub(crate) fn is_exact(&self) -> bool {
        let is_all = |count: f64| (count - f64::from(self.connections)).abs() < 0.5;
        is_all(self.sent) && is_all(self.received)
    }
}

pub(crate) fn measure(stage: &Stage, quiet: &mut Quiet, quick: bool) -> Result<Resets> {
    let connections = if quick { 20_000 } else { 200_000 };
    quiet.wait_until_quiet()?;
    print_progress("a flood of resets");
    let cgroup = stage.folder.create_cgroup("crowd/resets")?;
    let agent = agent_for(stage, "crowd")?;
    let mut worker = Worker::start(cgroup, &stage.tiny_program())?;
    wait_for(&agent, 1.0, tracked)?;
    let before = processor_time(agent.pid())?;
    let took = worker.do_work(Work::Resets(connections))?;
    quiet.sleep_for(SETTLED)?;
    let cpu = processor_time(agent.pid())?.saturating_sub(before);
    let found = Resets {
        connections,
        took: took.wall,
        sent: counted(&agent, "sent")?,
        received: counted(&agent, "received")?,
        lost: lost_records(&agent)?,
        cpu,
    };
    drop(worker);
    agent.stop()?;
    Ok(found)
}

fn counted(agent: &Whole, direction: &str) -> Result<f64> {
    let of = format!("direction=\"{direction}\"");
    Ok(agent.metric("workload_connections_reset_total", &of)? + 0.0)
}
