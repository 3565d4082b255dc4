//! Where processes are: child cgroups, shared pid namespaces, the paths of real runtimes, and noise inside.

use std::time::Duration;

use agent_core::event::{ExitStatus, Handler};
use agent_core::report::{Outcome, SubjectKind};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::launch::Launch;

use crate::check::Check;
use crate::scenario::{Container, Scenario, Stage, within};

/// Signals inside the container of the storm.
const STORM: u32 = 20_000;
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) const ALL: &[Scenario] = &[
    Scenario::with_spec(
        "child_cgroup",
        |rig, name| vec![rig.selector(name, Some(5))],
        child_cgroup,
    ),
    Scenario::with_spec(
        "shared_pid_namespace",
        |rig, name| vec![rig.selector(name, Some(5))],
        shared_pid_namespace,
    ),
    Scenario::without_spec("signal_storm_inside", signal_storm_inside),
    Scenario::without_spec("fork_storm_inside", fork_storm_inside),
    Scenario::without_spec("docker_path", |stage, check| {
        at_path(
            stage,
            check,
            (
                &format!("_nested/docker/system.slice/docker-{ID}.scope"),
                SubjectKind::Docker,
                Some(ID),
            ),
        )
    }),
    Scenario::without_spec("containerd_path", |stage, check| {
        let slice = "_nested/containerd/kubepods.slice/kubepods-burstable.slice";
        let pod = "kubepods-burstable-pod0a1b2c3d_0000_4000_8000_000000000001.slice";
        let path = format!("{slice}/{pod}/cri-containerd-{ID}.scope");
        at_path(stage, check, (&path, SubjectKind::Containerd, Some(ID)))
    }),
    Scenario::without_spec("systemd_path", |stage, check| {
        at_path(
            stage,
            check,
            (
                "_nested/systemd/system.slice/web.service",
                SubjectKind::SystemdService,
                None,
            ),
        )
    }),
];

fn stopped_gracefully(
    stage: &Stage<'_>,
    check: &mut Check,
    mut container: Container,
) -> Result<agent_core::report::Report> {
    let stopped = stage.stop(&mut container, &within(5))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    check.require_equal(
        "main process",
        report.main.as_ref().map(|main| main.tgid.0),
        Some(container.main.pid()),
    );
    Ok(report)
}

/// The main process moves on into a cgroup inside the container's, as crun and systemd in a container do.
fn child_cgroup(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let cgroup = stage.cgroup("")?;
    let inner = cgroup.create_child("inner")?;
    let mut argv = stage
        .rig
        .app_command(stage.name, "--on-stop exit --takes 200 --move-to");
    argv.push(inner.directory().to_string_lossy().into_owned());
    let launch = Launch::new(&cgroup, argv);
    let container = stage.start(cgroup, "", &launch)?;
    let (path, id) = (container.cgroup.path().to_owned(), container.cgroup.id()?);
    let report = stopped_gracefully(stage, check, container)?;
    check.require_equal(
        "subject",
        (report.subject.path, report.subject.cgroup),
        (path, id),
    );
    check.require_equal(
        "reports of the child cgroup",
        stage.agent.reports(inner.path()).len(),
        0,
    );
    Ok(())
}

/// Not PID 1 of a namespace: the default action of SIGTERM ends it.
fn shared_pid_namespace(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let container = stage.app_sharing_pids("--on-stop default")?;
    let report = stopped_gracefully(stage, check, container)?;
    check.require_equal(
        "handler",
        report.stop_signal.as_ref().map(|stop| stop.handler),
        Some(Handler::Default),
    );
    let by_term = ExitStatus::Signal {
        signal: Signal::TERM,
        core_dumped: false,
    };
    check.require_equal("exit", report.exit.map(|exit| exit.status), Some(by_term));
    check.require_equal(
        "pid namespace level",
        report.main.map(|main| main.ns_level),
        Some(0),
    );
    Ok(())
}

/// Signals between processes of the container: counted to the last one, not recorded one by one.
fn signal_storm_inside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    // They are SIGTERM, and the container must not be taken for stopped.
    let container = stage.start_app(&format!("--on-stop exit --signals {STORM}"))?;
    let report = stopped_gracefully(stage, check, container)?;
    // All of the storm, and the SIGKILL that ended the child.
    check.require_equal(
        "signals inside",
        report.signals_inside,
        u64::from(STORM) + 1,
    );
    Ok(())
}

/// Many short-lived children change nothing.
fn fork_storm_inside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let forks = if stage.rig.slow { 40 } else { 400 };
    let container = stage.start_app(&format!("--on-stop exit --forks {forks}"))?;
    let report = stopped_gracefully(stage, check, container)?;
    check.require_equal(
        "doubts about the main process",
        report
            .doubts
            .contains(&agent_core::report::Doubt::MainUncertain),
        false,
    );
    Ok(())
}

/// A container at the path where a real runtime would have it, below the test's own folder.
fn at_path(
    stage: &Stage<'_>,
    check: &mut Check,
    (path, kind, id): (&str, SubjectKind, Option<&str>),
) -> Result<()> {
    let cgroup = stage.rig.folder.create_cgroup(path)?;
    let launch = Launch::new(&cgroup, stage.rig.app_command(stage.name, "--on-stop exit"));
    let container = stage.start(cgroup, "", &launch)?;
    container.log.wait_for("ready", Duration::from_secs(20))?;
    let report = stopped_gracefully(stage, check, container)?;
    check.require_equal("kind", report.subject.kind, kind);
    check.require_equal("container id", report.subject.container_id.as_deref(), id);
    let last = path.rsplit('/').next().context("no last part")?;
    check.require(
        "the name is part of the path",
        id.unwrap_or(last).starts_with(&report.subject.name),
    );
    Ok(())
}
