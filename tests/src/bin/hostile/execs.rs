//! What each exec in a container costs the agent that remembers many processes of it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::process_status;
use gracewatch_tests::rig::cgroup::{Cgroup, Folder};
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};

use crate::asked::gracewatch;
use crate::cases::Case;
use crate::told::Told;

pub(crate) const ALL: [Case; 1] = [Case {
    name: "ManyRemembered",
    play: many_remembered,
}];

/// As many as are remembered of one container.
const REMEMBERED: usize = 256;
/// Fewer than have a record at once, of which each makes three.
const EXECS: usize = 250;
/// How often each is measured; what took least counts, since others take time of the processors.
const ROUNDS: usize = 3;
/// How much more an exec may cost.
const RATIO_MAX: f64 = 2.0;

fn many_remembered(toolbox: &Toolbox) -> Result<Told> {
    let folder = Folder::new("execs")?;
    let glob = format!("{}/k8s.io/*", folder.path());
    let command = gracewatch(&["run", "--no-systemd", "--no-containers", "--cgroup", &glob])?;
    let log = toolbox.folder().join("execs.agent");
    let agent = Whole::start_command(command, whole::free_port(0)?, &log)?;
    let mut least = [Duration::MAX; 2];
    for round in 0..ROUNDS {
        for (number, (least, remembered)) in least.iter_mut().zip([1, REMEMBERED]).enumerate() {
            let name = format!("k8s.io/{:064x}", 0xe0 + round * 2 + number);
            let took = cost(&agent, &folder.make(&name)?, remembered)?;
            *least = took.min(*least);
        }
    }
    let [few, many] = least.map(|least| least.as_secs_f64() * 1e6);
    let ratio = many / few;
    let mut told = Told {
        wrong: Vec::new(),
        facts: format!(
            "{few:.1} µs of the agent per exec beside 1 process, {many:.1} µs beside {REMEMBERED}, ratio {ratio:.2}"
        ),
    };
    told.expect(ratio < RATIO_MAX, || {
        "an exec costs more, the more processes are remembered".to_owned()
    });
    Ok(told)
}

/// The agent's processor time for each exec by processes that enter this container one after the other.
fn cost(agent: &Whole, cgroup: &Cgroup, remembered: usize) -> Result<Duration> {
    let residents = enter(cgroup, remembered)?;
    settle(agent)?;
    let script = format!(
        "i=0; while [ $i -lt {EXECS} ]; do (echo 0 >{}/cgroup.procs; exec true); i=$((i+1)); done",
        cgroup.directory().display()
    );
    let before = process_status::processor_time(agent.pid())?;
    let status = Command::new("sh").args(["-c", &script]).status()?;
    anyhow::ensure!(status.success(), "the execs ended with {status}");
    settle(agent)?;
    let took = process_status::processor_time(agent.pid())?.saturating_sub(before);
    cgroup.kill_all();
    for mut resident in residents {
        resident.wait()?;
    }
    cgroup.remove()?;
    Ok(took / u32::try_from(EXECS)?)
}

/// Processes that stay in it, having entered from outside.
fn enter(cgroup: &Cgroup, count: usize) -> Result<Vec<Child>> {
    let enter_one = |_number| {
        let mut command = Command::new("sleep");
        let resident = command
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start sleep")?;
        cgroup.write("cgroup.procs", &resident.id().to_string())?;
        Ok(resident)
    };
    (0..count).map(enter_one).collect()
}

/// Waits until the agent has read what was recorded.
fn settle(agent: &Whole) -> Result<()> {
    std::thread::sleep(Duration::from_millis(300));
    agent.get("/livez").map(drop)
}
