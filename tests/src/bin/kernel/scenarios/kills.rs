//! SIGKILL: without a stop signal, again and again, from inside, for the whole cgroup, and by the OOM killer.

use std::time::Duration;

use agent_core::report::{FindingKind, KillCause, Outcome};
use agent_core::signal::Signal;
use anyhow::Result;
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::clock;
use gracewatch_tests::rig::kubelet::{send_signal, send_times};
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::limit::{Limit, V1Cgroup};
use gracewatch_tests::rig::stage::Via;

use crate::check::Check;
use crate::scenario::{Scenario, Stage};

const SOON: Duration = Duration::from_secs(20);

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("no_stop_signal", no_stop_signal),
    Scenario::without_spec("kill_repeated", kill_repeated),
    Scenario::without_spec("killed_from_inside", killed_from_inside),
    Scenario::without_spec("cgroup_kill", cgroup_kill),
    Scenario::without_spec("oom", oom_killed),
];

/// SIGKILL from outside, and nothing before it.
fn no_stop_signal(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit")?;
    let kill = send_signal(
        stage.toolbox(),
        container.main.pid(),
        Signal::KILL,
        Via::Kill,
    )?;
    let ended = container.main.wait_end(SOON)?;
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::ForceKilled);
    check.check_time("SIGKILL", report.kill.as_ref().map(|kill| kill.at), kill);
    check.require_equal(
        "its cause",
        report.kill.as_ref().map(|kill| kill.cause),
        Some(KillCause::NoStopSignal),
    );
    check.require_equal("a stop signal", report.stop_signal.is_some(), false);
    check.require_equal(
        "findings",
        report.findings.iter().map(|finding| finding.kind).collect(),
        vec![FindingKind::KilledWithoutStopSignal],
    );
    check.status(&report, ended.status);
    Ok(())
}

/// A runtime that repeats its SIGKILL, as CRI-O does: one termination, the first one counts.
fn kill_repeated(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop never")?;
    let kill = send_times(
        stage.toolbox(),
        container.main.pid(),
        Signal::KILL,
        Via::Pidfd,
        1,
    )?;
    for _ in 0..3 {
        // The process may be gone already, which is as it should be.
        send_signal(
            stage.toolbox(),
            container.main.pid(),
            Signal::KILL,
            Via::Pidfd,
        )
        .ok();
    }
    container.main.wait_end(SOON)?;
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::ForceKilled);
    check.check_time(
        "the first SIGKILL",
        report.kill.as_ref().map(|kill| kill.at),
        kill,
    );
    check.require_equal(
        "reports",
        stage.agent.reports(container.cgroup.path()).len(),
        1,
    );
    Ok(())
}

/// A child kills its own container's main process.
fn killed_from_inside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container =
        stage.app_sharing_pids("--on-stop exit --lifetime 300 --end killed-by-child")?;
    let ended = container.main.wait_end(SOON)?;
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::KilledByOther);
    check.require_equal(
        "cause of SIGKILL",
        report.kill.as_ref().map(|kill| kill.cause),
        Some(KillCause::Inside),
    );
    check.require(
        "its sender was inside",
        report
            .kill
            .as_ref()
            .is_some_and(|kill| !kill.sender.outside),
    );
    check.require_equal(
        "findings",
        report.findings.iter().map(|finding| finding.kind).collect(),
        vec![FindingKind::KilledByOther],
    );
    check.status(&report, ended.status);
    Ok(())
}

/// A write to cgroup.kill ends everything in the container (Linux 5.14 and later).
fn cgroup_kill(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --forks 3")?;
    if !container.cgroup.directory().join("cgroup.kill").exists() {
        check
            .notes
            .push("this kernel has no cgroup.kill; killed by signal instead".to_owned());
        send_signal(
            stage.toolbox(),
            container.main.pid(),
            Signal::KILL,
            Via::Kill,
        )?;
    }
    let before = clock::now();
    container
        .cgroup
        .write("cgroup.kill", "1")
        .or_else(|error| {
            if check.notes.is_empty() {
                Err(error)
            } else {
                Ok(())
            }
        })?;
    let after = clock::now();
    let ended = container.main.wait_end(SOON)?;
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::ForceKilled);
    if check.notes.is_empty() {
        check.check_time(
            "SIGKILL",
            report.kill.as_ref().map(|kill| kill.at),
            clock::Span { before, after },
        );
    }
    check.require(
        "its sender was outside",
        report.kill.as_ref().is_some_and(|kill| kill.sender.outside),
    );
    check.status(&report, ended.status);
    Ok(())
}

/// A container whose program takes more memory than its cgroup may have, to be started; and a cgroup of the v1 tree to be
/// kept until it has ended.
pub(super) fn too_large(stage: &Stage<'_>) -> Result<(Cgroup, Launch, Option<V1Cgroup>)> {
    let cgroup = stage.cgroup("")?;
    let memory = Limit::memory(32 << 20).apply_to(&stage.rig.folder, &cgroup, stage.name)?;
    let launch = Launch::new(&cgroup, stage.rig.command("hog", "256")).and_v1(&memory);
    Ok((cgroup, launch, memory))
}

/// The container takes more memory than its cgroup may: a real kill by the kernel.
fn oom_killed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (cgroup, launch, memory) = too_large(stage)?;
    let mut container = stage.start_silent(cgroup, &launch)?;
    let ended = container.main.wait_end(Duration::from_mins(1))?;
    drop(memory);
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::OomKilled);
    check.require_equal(
        "cause of SIGKILL",
        report.kill.as_ref().map(|kill| kill.cause),
        Some(KillCause::Oom),
    );
    check.require_equal(
        "findings",
        report.findings.iter().map(|finding| finding.kind).collect(),
        vec![FindingKind::OomKilled],
    );
    check.status(&report, ended.status);
    Ok(())
}
