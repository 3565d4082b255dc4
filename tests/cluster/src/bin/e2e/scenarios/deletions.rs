//! Deletions that are more than one wish, or less than a patient one.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, HookKind, HookMethod, Outcome, Trigger};
use anyhow::Result;

use super::hooks::check_stop_and_exit;
use super::programs::{START_UP, handler, pod_spec, slow_program, visitor};
use super::signals::exceeded;
use crate::check::{Check, How};
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::stage::client::now;

pub(crate) const ALL: [Scenario; 5] = [
    Scenario::anywhere("force", force_delete),
    Scenario::anywhere("force_ignored", force_ignored),
    Scenario::anywhere("second_delete", second_delete),
    Scenario::anywhere("second_delete_forced", second_delete_forced),
    Scenario::anywhere("second_delete_in_hook", second_delete_in_hook),
];

const FORCE: [&str; 5] = ["delete", "pod", "app", "--grace-period=0", "--force"];

/// Its object goes at once, and the container gets its stop signal all the same.
fn force_delete(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.kubectl(&FORCE)?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    stage.compare_without_status(check, &ended)
}

/// The kubelet leaves it a second of grace, and two at the least after the stop signal: not six, and not none.
fn force_ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(6, "[sleep, infinity]", ""))?;
    sleep(START_UP);
    stage.kubectl(&FORCE)?;
    let ended = stage.wait_for_report(&pod, "app")?;
    let findings = [FindingKind::SignalIgnored];
    check.verdict(
        &ended.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &findings,
    );
    check.lasted(
        "signal to SIGKILL",
        ended.report.stop_signal_to_kill(),
        Duration::from_secs(2),
        "the kubelet's least",
    );
    stage.compare_without_status(check, &ended)
}

/// Deleted with a grace of 12 s, and two seconds later with one of 2 s: the kubelet has asked the runtime to stop it by
/// then, does not take that back, and containerd waits as long as it was first told.
fn second_delete(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(12, &slow_program(), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    let delete = ["delete", "pod", "app", "--wait=false"];
    stage.kubectl(&delete)?;
    sleep(Duration::from_secs(2));
    stage.kubectl(&[&delete[..], &["--grace-period=2"]].concat())?;
    let ended = stage.wait_for_report(&pod, "app")?;
    exceeded(check, &ended, &mut witness, (12, "the first grace"))?;
    let grace = ended.report.grace.as_ref().map(|grace| grace.configured);
    check.require_equal("grace", grace, Some(Duration::from_secs(12)));
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.compare(check, &ended)
}

/// Deleted with a grace of 12 s, and two seconds later by force: its object goes at once, and the container lives on until the
/// first grace is over.
fn second_delete_forced(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(12, &slow_program(), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.kubectl(&["delete", "pod", "app", "--wait=false"])?;
    let stop = witness.wait_for_first("stop")?;
    sleep(Duration::from_secs(2));
    stage.kubectl(&FORCE)?;
    stage.wait_until_gone(&pod)?;
    let gone_at = now();
    let ended = stage.wait_for_report(&pod, "app")?;
    exceeded(check, &ended, &mut witness, (12, "the first grace"))?;
    let grace = ended.report.grace.as_ref().map(|grace| grace.configured);
    check.require_equal("grace", grace, Some(Duration::from_secs(12)));
    let kill = ended.report.kill.as_ref().map(|kill| kill.at);
    check.staged(
        "its object was gone in time",
        gone_at.since(stop) < Duration::from_secs(10),
        true,
    );
    check.require_equal(
        "SIGKILL after its object was gone",
        kill > Some(gone_at),
        true,
    );
    stage.compare_without_status(check, &ended)
}

/// Deleted with a grace of 8 s, while whose hook runs a second wish of 2 s comes: the hook has its 8 s.
fn second_delete_in_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = visitor("say hook; sleep 60; say hooked");
    let hook = format!("lifecycle: {{ preStop: {{ exec: {{ command: {hook} }} }} }}");
    let pod = stage.create_pod("app", &pod_spec(8, &handler(), &hook))?;
    let mut witness = stage.witness(&pod, "app")?;
    let delete = ["delete", "pod", "app", "--wait=false"];
    stage.kubectl(&delete)?;
    witness.wait_for_first("hook")?;
    sleep(Duration::from_secs(2));
    stage.kubectl(&[&delete[..], &["--grace-period=2"]].concat())?;
    let ended = stage.wait_for_report(&pod, "app")?;
    let findings = [FindingKind::HookOverran];
    check.verdict(
        &ended.report,
        Outcome::Graceful,
        Trigger::Deleted,
        &findings,
    );
    check.check_hook(
        &ended.report,
        HookKind::Exec,
        HookMethod::Observed,
        How::Overran,
    );
    check_stop_and_exit(check, &ended, &mut witness)?;
    let hook = ended.report.hook.as_ref().and_then(|hook| hook.started_at);
    let stop = ended.report.stop_signal.as_ref().map(|stop| stop.at);
    let lasted = hook.zip(stop).map(|(hook, stop)| stop.since(hook));
    let first = Duration::from_secs(8);
    check.lasted("hook to stop signal", lasted, first, "the first grace");
    stage.compare(check, &ended)
}
