//! What an exec in a container costs the agent that remembers many processes of it, as a ratio to one that remembers few.

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Result, ensure};
use gracewatch_tests::process_status::processor_time;
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::whole::Whole;

use crate::crowd::{agent_for, tracked, wait_for};
use crate::print_progress;
use crate::quiet::Quiet;
use crate::stage::{Stage, start_in};

/// As many as are remembered of one container.
const MANY: usize = 256;
/// Fewer than have a record at once, of which each makes three.
const EXECS: u32 = 250;
/// Longer than the agent takes to read what was recorded.
const SETTLED: Duration = Duration::from_millis(500);

/// What was found, of the rounds that took least: others only make them longer.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// The agent's CPU time per exec beside one process that is remembered.
    few: Duration,
    /// The same beside [`MANY`].
    many: Duration,
    rounds: usize,
}

impl Remembered {
    /// The section of the page.
    pub(crate) fn section(&self) -> String {
        format!(
            "## Execs beside remembered processes\n\n\
             {EXECS} programs enter a container one after the other and execute another program; {} rounds, of which the cheapest\n\
             counts. The agent takes {:.0} µs of CPU time for each where it remembers one process of the container, and {:.0} µs\n\
             where it remembers {MANY}: {:.2} times as much.\n",
            self.rounds,
            self.few.as_secs_f64() * 1e6,
            self.many.as_secs_f64() * 1e6,
            self.many.as_secs_f64() / self.few.as_secs_f64()
        )
    }
}

pub(crate) fn measure(stage: &Stage, quiet: &mut Quiet, quick: bool) -> Result<Remembered> {
    let mut found = Remembered {
        few: Duration::MAX,
        many: Duration::MAX,
        rounds: if quick { 3 } else { 20 },
    };
    print_progress("execs beside remembered processes");
    let agent = agent_for(stage, "crowd")?;
    for round in 0..found.rounds {
        quiet.wait_until_quiet()?;
        let cost_beside = |remembered| exec_cost(stage, quiet, &agent, round, remembered);
        found.few = found.few.min(cost_beside(1)?);
        found.many = found.many.min(cost_beside(MANY)?);
    }
    agent.stop()?;
    Ok(found)
}

/// The agent's CPU time for each exec, in a container of its own.
fn exec_cost(
    stage: &Stage,
    quiet: &Quiet,
    agent: &Whole,
    round: usize,
    remembered: usize,
) -> Result<Duration> {
    let name = format!("crowd/remembered-{round}-{remembered}");
    let cgroup = stage.folder.create_cgroup(&name)?;
    let residents = (0..remembered)
        .map(|_number| start_in(&cgroup, "exec sleep 1000"))
        .collect::<Result<Vec<_>>>()?;
    wait_for(agent, 1.0, tracked)?;
    quiet.sleep_for(SETTLED)?;
    let before = processor_time(agent.pid())?;
    execute(&cgroup)?;
    quiet.sleep_for(SETTLED)?;
    let took = processor_time(agent.pid())?.saturating_sub(before);
    end_residents(&cgroup, residents)?;
    Ok(took / EXECS)
}

fn execute(cgroup: &Cgroup) -> Result<()> {
    let script =
        format!("i=0; while [ $i -lt {EXECS} ]; do (echo 0 >\"$0\"; exec true); i=$((i+1)); done");
    let procs = cgroup.directory().join("cgroup.procs");
    let status = Command::new("sh")
        .args(["-c", &script])
        .arg(procs)
        .status()?;
    ensure!(status.success(), "the execs ended with {status}");
    Ok(())
}

fn end_residents(cgroup: &Cgroup, residents: Vec<Child>) -> Result<()> {
    cgroup.kill_all();
    for mut resident in residents {
        resident.wait()?;
    }
    cgroup.remove()
}
