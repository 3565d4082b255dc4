//! Native sidecars: they are stopped after the others, one after the other, the last one first.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, HookKind, HookMethod, KillCause, Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_stop_and_exit, delete};
use super::programs::{START_UP, container, handler, pod_spec, program};
use crate::check::{Check, How};
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 3] = [
    Scenario::anywhere("sidecars", sidecars),
    Scenario::anywhere("sidecar_ignores", sidecar_ignores),
    Scenario::anywhere("sidecar_of_deaf_main", sidecar_of_deaf_main),
];

/// A pod with one sidecar.
fn with_sidecar(grace: u32, main: &str, sidecar: &str) -> String {
    let sidecar = container("sidecar", sidecar, "restartPolicy: Always");
    format!("initContainers:\n{sidecar}{}", pod_spec(grace, main, ""))
}

/// The hook of a sidecar runs at once, and what its container waits after that is the others' time and not the hook's.
fn sidecars(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let slow = program(
        "trap 'say stop; kill $!; sleep 4; say exit; exit 0' TERM; say up; while :; do sleep 3600 & wait; done",
    );
    let always = "restartPolicy: Always";
    let hook = format!("{always}\n  lifecycle: {{ preStop: {{ sleep: {{ seconds: 1 }} }} }}");
    let sidecar = |name, more| container(name, &handler(), more);
    let init = format!(
        "initContainers:\n{}{}",
        sidecar("one", &hook),
        sidecar("two", always)
    );
    let pod = stage.create_pod("app", &format!("{init}{}", pod_spec(20, &slow, "")))?;
    let mut one_said = stage.witness(&pod, "one")?;
    let mut two_said = stage.witness(&pod, "two")?;
    let (app, mut app_said) = delete(stage, &pod)?;
    let two = stage.wait_for_report(&pod, "two")?;
    let one = stage.wait_for_report(&pod, "one")?;
    for (ended, witness) in [
        (&app, &mut app_said),
        (&two, &mut two_said),
        (&one, &mut one_said),
    ] {
        check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
        check_stop_and_exit(check, ended, witness)?;
        stage.compare(check, ended)?;
    }
    for (what, before, after) in [("main, two", &app, &two), ("two, one", &two, &one)] {
        let exit = before.report.exit.as_ref().map(|exit| exit.at);
        let stop = after.report.stop_signal.as_ref().map(|stop| stop.at);
        check.require(format!("order {what}"), exit.is_some() && exit < stop);
    }
    check.require(
        "only one has a hook",
        app.report.hook.is_none() && two.report.hook.is_none(),
    );
    check.check_hook(
        &one.report,
        HookKind::Sleep,
        HookMethod::Inferred,
        How::Ended,
    );
    let configured = Duration::from_secs(1);
    check.lasted("hook", one.report.hook_duration(), configured, "the spec");
    Ok(())
}

/// The main container ends after three seconds, and the sidecar's turn begins, which has what is left of the ten. Its `Killing`
/// Event came three seconds before its first signal.
fn sidecar_ignores(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let main = program(
        "trap 'say stop; kill $!; sleep 3; say exit; exit 0' TERM; say up; while :; do sleep 3600 & wait; done",
    );
    let pod = stage.create_pod("app", &with_sidecar(10, &main, "[sleep, infinity]"))?;
    sleep(START_UP);
    let (app, mut witness) = delete(stage, &pod)?;
    check.verdict(&app.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &app, &mut witness)?;
    stage.compare(check, &app)?;
    let sidecar = stage.wait_for_report(&pod, "sidecar")?;
    let report = &sidecar.report;
    check.verdict(
        report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &[FindingKind::SignalIgnored],
    );
    check.require_equal("no hook", report.hook.is_none(), true);
    let cause = report.kill.as_ref().map(|kill| kill.cause);
    check.require_equal("cause", cause, Some(KillCause::GraceExpired));
    let (exit, stop) = (witness.wait_for_first("exit")?, report.stop_signal.as_ref());
    let after_main = stop.is_some_and(|stop| stop.at > exit);
    check.agrees(
        "its signal came after the main container's exit",
        after_main,
        true,
    );
    let turn = stop.map(|stop| stop.at.since(report.started_at));
    check.lasted(
        "T0 to its signal",
        turn,
        Duration::from_secs(3),
        "the main container",
    );
    let left = Duration::from_secs(7);
    check.lasted(
        "signal to SIGKILL",
        report.stop_signal_to_kill(),
        left,
        "what is left",
    );
    stage.kubelet_told(check, &pod, "Killing")?;
    stage.compare(check, &sidecar)
}

/// The main container ignores its stop signal: the sidecar's comes when the grace is over, just before the main container's
/// SIGKILL, and it has the kubelet's least.
fn sidecar_of_deaf_main(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &with_sidecar(5, "[sleep, infinity]", &handler()))?;
    let mut witness = stage.witness(&pod, "sidecar")?;
    sleep(START_UP);
    stage.kubectl(&["delete", "pod", "app", "--wait=false"])?;
    let app = stage.wait_for_report(&pod, "app")?;
    check.verdict(
        &app.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &[FindingKind::SignalIgnored],
    );
    stage.compare(check, &app)?;
    let sidecar = stage.wait_for_report(&pod, "sidecar")?;
    let report = &sidecar.report;
    check.verdict(report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &sidecar, &mut witness)?;
    let turn = report.stop_signal.as_ref();
    let turn = turn.map(|stop| stop.at.since(report.started_at));
    check.lasted(
        "T0 to its signal",
        turn,
        Duration::from_secs(5),
        "the grace",
    );
    let grace = report.grace.as_ref();
    let left = grace.map(|grace| (grace.after_hook, grace.floor_used));
    let least = (Duration::from_secs(2), true);
    check.require_equal("left for the exit, by the floor", left, Some(least));
    stage.compare(check, &sidecar)
}
