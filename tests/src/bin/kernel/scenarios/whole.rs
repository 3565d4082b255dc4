//! The whole binary: its HTTP interface, its journal and replay, its clean stop, and a start in the middle of a stop.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use agent_core::report::{Doubt, Outcome};
use agent_core::signal::Signal;
use anyhow::Result;
use gracewatch_tests::claim;
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::rig::kubelet::send_signal;
use gracewatch_tests::rig::stage::Via;
use gracewatch_tests::whole::{Whole, binary};

use crate::agent::whole::Own;
use crate::check::Check;
use crate::scenario::{Scenario, Stage, within};

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("whole_binary", whole_binary),
    Scenario::without_spec("started_mid_termination", started_mid_termination),
    Scenario::without_spec("hung_up", hung_up),
];

/// The agent as users run it sees a termination, serves it, records it, and stops cleanly.
fn whole_binary(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let folder = stage.toolbox().folder();
    let journal = folder.join("whole.jsonl");
    let glob = format!("{}/{}*", stage.rig.folder.path(), stage.name);
    let agent = Own::new(Whole::start(
        &glob,
        &["--journal", &journal.to_string_lossy()],
        &folder.join("whole.agent"),
    )?);
    check.require_equal("/livez", agent.whole.get("/livez")?.0, 200);
    let watched = Stage {
        agent: &agent,
        ..*stage
    };
    let mut container = watched.start_app("--on-stop exit --takes 250")?;
    let stopped = watched.stop(&mut container, &within(5))?;
    let report = watched.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    let own = container.log.at_step("exit")?.since(stopped.signal.after);
    let longest = stopped.ended.told_at.since(stopped.signal.before);
    let measured = report.stop_signal_to_exit();
    check.took_between("stop signal to exit", measured, own, longest);
    let scraped = agent
        .whole
        .metric("pod_termination_signal_to_exit_seconds", stage.name)?;
    let reported = report
        .stop_signal_to_exit()
        .unwrap_or_default()
        .as_secs_f64();
    check.require(
        format!("the metric says {scraped}, the report {reported}"),
        (scraped - reported).abs() < 1e-6,
    );
    check.require_equal(
        "records lost",
        agent.whole.metric("gracewatch_records_lost_total", "")?,
        0.0,
    );
    let (status, took) = agent.whole.stop()?;
    check.require_equal("exit after SIGTERM", status.code(), Some(0));
    let limit = Duration::from_secs(if stage.rig.slow { 10 } else { 1 });
    check.require(
        format!("stopped within {limit:?}, it took {took:?}"),
        took <= limit,
    );
    let replayed = Command::new(binary()?)
        .args(["replay", "--json"])
        .arg(&journal)
        .output()?;
    claim!(
        replayed.status.success(),
        "replay failed: {}",
        String::from_utf8_lossy(&replayed.stderr)
    );
    let text = String::from_utf8_lossy(&replayed.stdout).into_owned();
    let again = text
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .or_wrong(|| "replay printed no report".to_owned())?;
    check.require_equal("the replayed report", again, report);
    Ok(())
}

/// SIGHUP, as a terminal that is closed sends it, ends the agent in order: the journal is whole, and only its owner can read it.
fn hung_up(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let folder = stage.toolbox().folder();
    let journal = folder.join("hung_up.jsonl");
    std::fs::write(&journal, "older\n")?;
    std::fs::set_permissions(&journal, Permissions::from_mode(0o666))?;
    let glob = format!("{}/{}*", stage.rig.folder.path(), stage.name);
    let agent = Whole::start(
        &glob,
        &["--journal", &journal.to_string_lossy()],
        &folder.join("hung_up.agent"),
    )?;
    let (status, _took) = agent.stop_by(rustix::process::Signal::HUP)?;
    check.require_equal("exit after SIGHUP", status.code(), Some(0));
    let mode = std::fs::metadata(&journal)?.permissions().mode() & 0o777;
    check.require_equal("the journal's mode", mode, 0o600);
    let text = std::fs::read_to_string(&journal)?;
    let last = text.lines().last().unwrap_or_default();
    check.require(
        format!("the journal ends with the stop, found {last}"),
        last.ends_with("\"input\":\"shutdown\"}"),
    );
    Ok(())
}

/// The stop signal was sent before the agent was there: it says that it is not sure.
fn started_mid_termination(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    // The agent must be there before the exit; an emulated processor needs half a minute for its start beside others.
    let takes = if stage.rig.slow { 40_000 } else { 6000 };
    let mut container = stage.start_app(&format!("--on-stop exit --takes {takes}"))?;
    send_signal(
        stage.toolbox(),
        container.main.pid(),
        Signal::TERM,
        Via::Kill,
    )?;
    let glob = format!("{}/{}*", stage.rig.folder.path(), stage.name);
    let agent = Own::new(Whole::start(
        &glob,
        &[],
        &stage.toolbox().folder().join("late.agent"),
    )?);
    let watched = Stage {
        agent: &agent,
        ..*stage
    };
    let ended = container.main.wait_end(Duration::from_mins(1))?;
    let report = watched.report(&container)?;
    check.status(&report, ended.status);
    check.require_equal("a stop signal", report.stop_signal.is_some(), false);
    check.require(
        format!("it has doubts, found {:?}", report.doubts),
        report.doubts.contains(&Doubt::SeenLate),
    );
    Ok(())
}
