//! preStop hooks: their duration, what they leave of the grace period, how they fail, and what is no hook.

use std::time::Duration;

use agent_core::config::Selector;
use agent_core::event::ExitStatus;
use agent_core::report::{FindingKind, Outcome, Report};
use agent_core::signal::Signal;
use anyhow::Result;
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::rig::kubelet::{FLOOR, Stop, Stopped};
use gracewatch_tests::rig::launch::Launch;

use crate::check::{Check, exit_status};
use crate::scenario::{Container, Rig, Scenario, Stage, within};

const SLOW_HOOK: &str = "--on-stop default --lifetime 1300";
const LONG_HOOK: &str = "--on-stop default --lifetime 60000";
const BAD_HOOK: &str = "--on-stop default --lifetime 200 --code 5";

pub(crate) const ALL: &[Scenario] = &[
    Scenario::with_spec(
        "hook_then_stop",
        |rig, name| selectors(rig, name, 5, SLOW_HOOK),
        hook_then_stop,
    ),
    Scenario::with_spec(
        "hook_eats_grace",
        |rig, name| selectors(rig, name, 3, LONG_HOOK),
        hook_eats_grace,
    ),
    Scenario::with_spec(
        "hook_fails",
        |rig, name| selectors(rig, name, 5, BAD_HOOK),
        hook_fails,
    ),
    Scenario::with_spec(
        "hook_ended_by_container",
        |rig, name| selectors(rig, name, 5, LONG_HOOK),
        hook_ended_by_container,
    ),
    Scenario::with_spec(
        "exec_is_no_hook",
        |rig, name| selectors(rig, name, 5, LONG_HOOK),
        exec_is_no_hook,
    ),
];

/// Grace period and hook, as a pod's specification would tell them.
fn selectors(rig: &Rig, name: &str, grace: u64, hook: &str) -> Vec<Selector> {
    let mut selector = rig.selector(name, Some(grace));
    selector.pre_stop = Some(rig.app_command(&format!("{name}-hook"), hook));
    vec![selector]
}

fn stop_with(
    stage: &Stage<'_>,
    container: &mut Container,
    grace: u64,
    hook: &str,
) -> Result<Stopped> {
    let hook = stage.hook_launch(container, hook);
    stage.stop(
        container,
        &Stop {
            hook: Some(hook),
            ..within(grace)
        },
    )
}

/// The hook's own clock: from the first thing it wrote down to the last.
fn own_hook(
    stage: &Stage<'_>,
    check: &mut Check,
    report: &Report,
    stopped: &Stopped,
) -> Result<()> {
    let (run, hook) = stopped
        .hook
        .zip(report.hook.as_ref())
        .or_wrong(|| "the hook is not in the report".to_owned())?;
    let (start, exit) = (
        stage.hook_log().at_step("start")?,
        stage.hook_log().at_step("exit")?,
    );
    let longest = run.ended.told_at.since(run.started_after);
    check.took_between("hook", report.hook_duration(), exit.since(start), longest);
    check.require(
        "the hook's exec lies before its own start",
        hook.started_at
            .is_some_and(|at| run.started_after <= at && at <= start),
    );
    check.require(
        "the hook's exit was told later",
        hook.ended_at
            .is_some_and(|at| exit <= at && at <= run.ended.told_at),
    );
    check.require_equal(
        "the hook's process",
        hook.tgid.map(|tgid| tgid.0),
        Some(run.pid),
    );
    check.require_equal(
        "the hook's end",
        hook.status,
        Some(exit_status(run.ended.status)),
    );
    check.require_equal("T0", Some(report.started_at), hook.started_at);
    Ok(())
}

/// A hook of 1.3 s, then the stop signal with what is left: 5 s less one whole second.
fn hook_then_stop(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --takes 300")?;
    let stopped = stop_with(stage, &mut container, 5, SLOW_HOOK)?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[], &[]);
    own_hook(stage, check, &report, &stopped)?;
    let own = container.log.at_step("exit")?.since(stopped.signal.after);
    let longest = stopped.ended.told_at.since(stopped.signal.before);
    let measured = report.stop_signal_to_exit();
    check.took_between("stop signal to exit", measured, own, longest);
    let total = container
        .log
        .at_step("exit")?
        .since(stage.hook_log().at_step("start")?);
    let longest = stopped.ended.told_at.since(stopped.asked_at);
    check.took_between("total", report.total_duration(), total, longest);
    let grace = report.grace.as_ref().or_wrong(|| "no grace".to_owned())?;
    check.require_equal("the floor was used", grace.floor_used, false);
    // On a slow machine the kubelet may count a whole second more than the hook itself took.
    let hook = stage
        .hook_log()
        .at_step("exit")?
        .since(stage.hook_log().at_step("start")?);
    let left = Duration::from_secs(5u64.saturating_sub(hook.as_secs()));
    let counts_alike = left == stopped.timeout;
    check.staged(
        "the kubelet counted another second",
        counts_alike || stage.rig.slow,
    );
    if counts_alike {
        check.require_equal("grace after the hook", grace.after_hook, stopped.timeout);
    }
    Ok(())
}

/// A hook that does not end: after the whole grace period the stop signal comes with the floor of two seconds.
fn hook_eats_grace(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --takes 400")?;
    let stopped = stop_with(stage, &mut container, 3, LONG_HOOK)?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[FindingKind::HookOverran], &[]);
    let hook = report.hook.as_ref().or_wrong(|| "no hook".to_owned())?;
    check.require_equal(
        "running at the stop signal, ended by the container",
        (hook.running_at_stop_signal, hook.ended_by_container),
        (true, true),
    );
    let grace = report.grace.as_ref().or_wrong(|| "no grace".to_owned())?;
    check.require_equal(
        "grace after the hook",
        (grace.after_hook, grace.floor_used),
        (FLOOR, true),
    );
    check.require_equal("that is what the kubelet gave", stopped.timeout, FLOOR);
    Ok(())
}

/// A hook that exits with 5: the stop signal comes at once.
fn hook_fails(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit")?;
    let stopped = stop_with(stage, &mut container, 5, BAD_HOOK)?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[FindingKind::HookFailed], &[]);
    own_hook(stage, check, &report, &stopped)?;
    check.require_equal(
        "its status",
        report.hook.and_then(|hook| hook.status),
        Some(ExitStatus::Code(5)),
    );
    Ok(())
}

/// The container ends by itself while its hook runs: no stop signal, and the hook dies with it.
fn hook_ended_by_container(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app(&format!(
        "--on-stop exit --lifetime {}",
        if stage.rig.slow { 8000 } else { 1500 }
    ))?;
    let hook = stage
        .hook_launch(&container, LONG_HOOK)
        .joining(container.main.pid());
    let mut hook = hook.start(stage.toolbox())?;
    let ended = container.main.wait_end(Duration::from_secs(20))?;
    let hook_ended = hook.wait_end(Duration::from_secs(20))?;
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::ExitedEarly);
    check.status(&report, ended.status);
    check.require_equal("a stop signal", report.stop_signal.is_some(), false);
    check.require_equal("a SIGKILL", report.kill.is_some(), false);
    let found = report.hook.as_ref().or_wrong(|| "no hook".to_owned())?;
    check.require_equal(
        "the hook's end",
        found.status,
        Some(exit_status(hook_ended.status)),
    );
    check.require_equal("ended by the container", found.ended_by_container, true);
    let own = container
        .log
        .at_step("exit")?
        .since(stage.hook_log().at_step("start")?);
    check.check_duration("total", report.total_duration(), own);
    Ok(())
}

/// A probe or a `kubectl exec`, also one that fails, is neither a hook nor the container's end.
fn exec_is_no_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit")?;
    for code in [0, 1] {
        let argv = stage.rig.app_command(
            &stage.name_with("probe"),
            &format!("--on-stop default --lifetime 50 --code {code}"),
        );
        let probe = Launch::new(&container.cgroup, argv).joining(container.main.pid());
        probe
            .start(stage.toolbox())?
            .wait_end(Duration::from_secs(20))?;
    }
    let stopped = stage.stop(&mut container, &within(5))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    // The probes are none, and so the configured hook did not run.
    check.verdict(&report, Outcome::Graceful, &[FindingKind::HookNotRun], &[]);
    check.require_equal(
        "T0",
        Some(report.started_at),
        report.stop_signal.as_ref().map(|stop| stop.at),
    );
    check.require_equal("a hook was seen", report.hook.is_some(), false);
    Ok(())
}
