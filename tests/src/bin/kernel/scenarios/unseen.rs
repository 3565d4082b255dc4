//! What an agent says that was held up while something happened: what it did not see is not what was not there.

use std::time::{Duration, Instant};

use agent_core::report::{Doubt, Outcome, Report};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::kubelet::send_signal;
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::stage::Via;
use gracewatch_tests::whole::Whole;
use rustix::process::{Pid, kill_process};

use crate::agent::Agent as _;
use crate::agent::whole::Own;
use crate::check::Check;
use crate::scenario::{Container, Scenario, Stage};

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("held_up_at_the_start", at_the_start),
    Scenario::without_spec("held_up_beside_another", beside_another),
    Scenario::without_spec("starved_while_stopped", starved),
    Scenario::without_spec("starved_for_a_life", starved_for_a_life),
    Scenario::without_spec("full_tables_are_not_ready", full_tables),
    Scenario::without_spec("a_full_place_leaves_room_for_others", full_place),
];

/// How long the agent may take to follow.
const LIMIT: Duration = Duration::from_secs(20);
/// A ring buffer of one page.
const TINY: u32 = 4096;
/// Cgroups that are made to fill it.
const STORM: usize = 200;
/// Containers that an agent tracks at the most.
const CONTAINERS_MAX: usize = 4096;
/// Places that fill the table together, each with fewer containers than any place may have.
const PLACES: usize = 300;
/// What one place may hold of them.
const OF_PLACE: usize = CONTAINERS_MAX / 4 * 3;
/// Containers beyond that.
const BEYOND: usize = 50;

/// Starts an agent of the scenario's own, for the cgroups in the scenario's folders below the rig's.
fn start_agent(stage: &Stage<'_>, args: &[&str]) -> Result<Own> {
    let glob = format!("{}/{}*/*", stage.rig.folder.path(), stage.name);
    let log = stage.toolbox().log(&stage.name_with("agent"));
    Ok(Own::new(Whole::start(&glob, args, log.path())?))
}

/// Keeps the agent from running until it is dropped.
struct HeldUp(Pid);

impl HeldUp {
    fn new(agent: &Own) -> Result<Self> {
        let pid = i32::try_from(agent.whole.pid())?;
        let pid = Pid::from_raw(pid).context("no pid")?;
        kill_process(pid, rustix::process::Signal::STOP).context("cannot hold the agent up")?;
        Ok(Self(pid))
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        kill_process(self.0, rustix::process::Signal::CONT).ok();
    }
}

/// Starts a container in the scenario's folder, whose program outlives its stop signal.
fn start(stage: &Stage<'_>, name: &str) -> Result<Container> {
    let cgroup = stage.cgroup("")?.create_child(name)?;
    let key = stage.name_with(name);
    let launch = Launch::new(&cgroup, stage.rig.app_command(&key, "--on-stop never"));
    let main = launch.start(stage.toolbox())?;
    let log = stage.toolbox().log(&key);
    log.wait_for("ready", LIMIT)?;
    Ok(Container { cgroup, main, log })
}

fn signal(stage: &Stage<'_>, container: &Container, signal: Signal) -> Result<()> {
    send_signal(stage.toolbox(), container.main.pid(), signal, Via::Kill)?;
    Ok(())
}

/// Sends SIGKILL and takes the report.
fn kill_and_report(stage: &Stage<'_>, agent: &Own, container: &mut Container) -> Result<Report> {
    signal(stage, container, Signal::KILL)?;
    container.main.wait_end(LIMIT)?;
    container.cgroup.remove()?;
    agent.report(container.cgroup.path(), LIMIT)
}

/// A container starts and gets SIGTERM while the agent is held up, in a folder that is new, too: the kernel side does not
/// expect it there.
fn at_the_start(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let agent = start_agent(stage, &[])?;
    let held = HeldUp::new(&agent)?;
    let folder = stage.cgroup("")?;
    let mut container = start(stage, "first")?;
    signal(stage, &container, Signal::TERM)?;
    drop(held);
    agent.wait_watched(container.cgroup.path(), container.main.pid(), LIMIT)?;
    let report = kill_and_report(stage, &agent, &mut container)?;
    check.require_equal("outcome", report.outcome, Outcome::ForceKilled);
    check.require(
        format!("it was seen late, found {:?}", report.doubts),
        report.doubts.contains(&Doubt::SeenLate),
    );
    let words = report.findings.iter().map(|finding| &finding.evidence);
    let claims = words.filter(|words| words.contains("no stop signal came"));
    check.require_equal("claims that no stop signal came", claims.count(), 0);
    folder.remove()
}

/// The same beside a container that the agent knows: the kernel side sees all of it, whatever the agent does.
fn beside_another(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let folder = stage.cgroup("")?;
    let agent = start_agent(stage, &[])?;
    let other = start(stage, "other")?;
    agent.wait_watched(other.cgroup.path(), other.main.pid(), LIMIT)?;
    let held = HeldUp::new(&agent)?;
    let mut container = start(stage, "born")?;
    signal(stage, &container, Signal::TERM)?;
    drop(held);
    let report = kill_and_report(stage, &agent, &mut container)?;
    let stop = report.stop_signal.as_ref().map(|stop| stop.signal);
    check.require_equal("stop signal", stop, Some(Signal::TERM));
    check.require(
        format!("it was seen in time, found {:?}", report.doubts),
        !report.doubts.contains(&Doubt::SeenLate),
    );
    drop(other);
    folder.remove()
}

/// SIGTERM is among the records that are lost while the agent is held up.
fn starved(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let folder = stage.cgroup("")?;
    let agent = start_agent(stage, &["--ring-bytes", &TINY.to_string()])?;
    let mut container = start(stage, "watched")?;
    agent.wait_watched(container.cgroup.path(), container.main.pid(), LIMIT)?;
    let held = HeldUp::new(&agent)?;
    fill_ring(&container.cgroup)?;
    signal(stage, &container, Signal::TERM)?;
    drop(held);
    let report = kill_and_report(stage, &agent, &mut container)?;
    check.require_equal("a stop signal", report.stop_signal.is_some(), false);
    check.require(
        format!("records were lost, found {:?}", report.doubts),
        report.doubts.contains(&Doubt::RecordsLost),
    );
    folder.remove()
}

/// A container comes and goes while the agent is held up and no record finds room.
fn starved_for_a_life(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let folder = stage.cgroup("")?;
    let agent = start_agent(stage, &["--ring-bytes", &TINY.to_string()])?;
    let other = start(stage, "other")?;
    agent.wait_watched(other.cgroup.path(), other.main.pid(), LIMIT)?;
    let held = HeldUp::new(&agent)?;
    fill_ring(&other.cgroup)?;
    let mut container = start(stage, "missed")?;
    signal(stage, &container, Signal::KILL)?;
    container.main.wait_end(LIMIT)?;
    container.cgroup.remove()?;
    drop(held);
    let unreported = || {
        agent.whole.metric(
            "gracewatch_containers_unreported_total",
            "reason=\"records_lost\"",
        )
    };
    let counted = settled(|| Ok(unreported()? >= 1.0))?;
    check.require("it is counted", counted);
    check.require_equal("counted", unreported()?, 1.0);
    check.require_equal("reports", agent.reports(container.cgroup.path()).len(), 0);
    drop(other);
    folder.remove()
}

/// Fills a small ring buffer to its last bytes: that a cgroup is made inside a container has a large record, that it is
/// removed a small one.
fn fill_ring(inside: &Cgroup) -> Result<()> {
    for number in 0..STORM {
        inside.create_child(&format!("storm-{number}"))?.remove()?;
    }
    Ok(())
}

/// More containers than there is room for: the agent says that it is not ready, and is again when there is room.
fn full_tables(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    if is_too_slow(stage, check) {
        return Ok(());
    }
    let places = (0..PLACES).map(|number| stage.cgroup(&number.to_string()));
    let places = places.collect::<Result<Vec<_>>>()?;
    let agent = start_agent(stage, &[])?;
    for number in 0..CONTAINERS_MAX + BEYOND {
        let place = places.get(number % PLACES).context("no place")?;
        place.create_child(&number.to_string())?;
    }
    let is_ready = || Ok(agent.whole.get("/readyz")?.0 == 200);
    let noticed = settled(|| Ok(!is_ready()?))?;
    check.require("it is not ready", noticed);
    let (status, words) = agent.whole.get("/readyz")?;
    check.require_equal("/readyz", status, 503);
    check.require(
        format!("it says why: {words}"),
        words.contains("containers"),
    );
    check_dropped(check, &agent, "containers_full")?;
    for place in places {
        place.remove()?;
    }
    check.require("it is ready again", settled(is_ready)?);
    check_end(check, &agent, "no room for more containers")
}

/// More containers in one place than its share: the agent measures all others, and is ready.
fn full_place(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    if is_too_slow(stage, check) {
        return Ok(());
    }
    let folder = stage.cgroup("")?;
    let agent = start_agent(stage, &[])?;
    for number in 0..OF_PLACE + BEYOND {
        folder.create_child(&number.to_string())?;
    }
    check_dropped(check, &agent, "containers_share")?;
    let tracked = || agent.whole.metric("gracewatch_containers_tracked", "");
    let most = f64::from(u32::try_from(OF_PLACE)?);
    let settles = settled(|| Ok(tracked()? >= most))?;
    check.require(format!("{} are tracked", tracked()?), settles);
    check.require("and no more", tracked()? <= most);
    check.require_equal("/readyz", agent.whole.get("/readyz")?.0, 200);
    folder.remove()?;
    check_end(check, &agent, "than its share of the table")
}

/// An emulated processor needs minutes for so many containers, and the table is the agent's own: it is the same on every kernel.
fn is_too_slow(stage: &Stage<'_>, check: &mut Check) -> bool {
    if stage.rig.slow {
        let note = "the agent's table is filled on the machine's own kernel alone";
        check.notes.push(note.to_owned());
    }
    stage.rig.slow
}

/// All that found no room are counted.
fn check_dropped(check: &mut Check, agent: &Own, reason: &str) -> Result<()> {
    let label = format!("reason=\"{reason}\"");
    let dropped = || agent.whole.metric("gracewatch_dropped_total", &label);
    let beyond = f64::from(u32::try_from(BEYOND)?);
    let counted = settled(|| Ok(dropped()? >= beyond))?;
    check.require(format!("{} are counted", dropped()?), counted);
    Ok(())
}

/// Nothing is tracked any more, and this was said once.
fn check_end(check: &mut Check, agent: &Own, warning: &str) -> Result<()> {
    let tracked = || agent.whole.metric("gracewatch_containers_tracked", "");
    check.require("none is tracked", settled(|| Ok(tracked()? == 0.0))?);
    let warnings = || {
        let words = agent.whole.log_text();
        words.lines().filter(|line| line.contains(warning)).count()
    };
    settled(|| Ok(warnings() > 0))?;
    check.require_equal("warnings", warnings(), 1);
    Ok(())
}

/// Whether it comes to be so within the time that a busy machine may need.
fn settled(is_so: impl Fn() -> Result<bool>) -> Result<bool> {
    let started = Instant::now();
    while !is_so()? {
        if started.elapsed() > LIMIT {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}
