//! Whether anything is lost while processes fork and exit as fast as they can: containers are terminated meanwhile, and
//! each must be reported.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::whole::Whole;

use crate::crowd::{Crowd, agent_for, reported, tracked, wait_for};
use crate::print_progress;
use crate::quiet::Quiet;
use crate::stage::{Stage, start_in};

/// Forks so many times, and stays; a fork without an exec, because that is faster.
const FORK_AND_EXIT: &str = "read -r times; while [ $times -gt 0 ]; do (:); times=$((times - 1)); done; echo done; read -r end";
const FORKERS: u32 = 2;
/// Until the kernel side's counters are read again, which happens once a second.
const SETTLED: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug)]
pub(crate) struct Flood {
    /// Exits of processes, half of them in a tracked container.
    pub(crate) exits: u32,
    pub(crate) took: Duration,
    /// Containers terminated meanwhile, and reports of them.
    pub(crate) terminated: usize,
    pub(crate) reported: f64,
    /// Records that were written, and of these what found no room or could not be decoded.
    pub(crate) records: f64,
    pub(crate) lost: f64,
}

impl Flood {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.exits) / self.took.as_secs_f64()
    }
}

pub(crate) fn measure(stage: &Stage, quiet: &mut Quiet, quick: bool) -> Result<Flood> {
    let (size, times) = if quick { (30, 5_000) } else { (200, 40_000) };
    quiet.wait_until_quiet()?;
    print_progress("losses at full speed");
    let mut crowd = Crowd::gather(stage, "crowd", size)?;
    let terminated = crowd.len();
    let mut forkers = [
        Forker::start(&stage.free.cgroup)?,
        Forker::start(&stage.folder.create_cgroup("crowd/forker")?)?,
    ];
    let agent = agent_for(stage, "crowd")?;
    wait_for(&agent, f64::from(size) + 1.0, tracked)?;
    let started = Instant::now();
    for forker in &mut forkers {
        forker.start_forks(times)?;
    }
    crowd.terminate()?;
    for forker in &mut forkers {
        forker.wait_for_forks()?;
    }
    let took = started.elapsed();
    wait_for(&agent, f64::from(size), reported)?;
    quiet.sleep_for(SETTLED)?;
    let flood = Flood {
        exits: FORKERS * times + size,
        took,
        terminated,
        reported: reported(&agent)?,
        records: agent.metric("gracewatch_records_total", "")?,
        lost: lost_records(&agent)?,
    };
    agent.stop()?;
    Ok(flood)
}

/// Everything that may be lost on the way.
pub(crate) fn lost_records(agent: &Whole) -> Result<f64> {
    let places = [
        "gracewatch_records_lost_total",
        "gracewatch_map_full_total",
        "gracewatch_decode_errors_total",
        "gracewatch_kernel_updates_failed_total",
    ];
    places.iter().map(|name| agent.metric(name, "")).sum()
}

/// A process that forks when it is told to; dropping it ends it.
#[derive(Debug)]
struct Forker {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Forker {
    fn start(cgroup: &Cgroup) -> Result<Self> {
        let mut process = start_in(cgroup, FORK_AND_EXIT)?;
        let answers = process.stdout.take().context("sh has no output")?;
        Ok(Self {
            process,
            answers: BufReader::new(answers),
        })
    }

    fn start_forks(&mut self, times: u32) -> Result<()> {
        let orders = self.process.stdin.as_mut().context("sh has no input")?;
        writeln!(orders, "{times}").context("sh is gone")
    }

    fn wait_for_forks(&mut self) -> Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line == "done\n", "sh ended before it had forked enough");
        Ok(())
    }
}

impl Drop for Forker {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
