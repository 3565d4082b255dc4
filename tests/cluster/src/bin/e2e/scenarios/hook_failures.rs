//! Hooks that fail, that cannot be run, and that take longer than there is time.

use std::time::Duration;

use agent_core::report::{FindingKind, HookFailure, HookKind, HookMethod, Outcome, Trigger};
use anyhow::{Context as _, Result};

use super::hooks::{check_hook_run, check_hook_start, check_stop_and_exit, delete};
use super::programs::{handler, pod_spec, visitor};
use crate::check::{Check, How};
use crate::scenario::Scenario;
use crate::stage::{Ended, Stage};

pub(crate) const ALL: [Scenario; 5] = [
    Scenario::anywhere("hook_fails", hook_fails),
    Scenario::anywhere("hook_missing", missing),
    Scenario::anywhere("hook_tcp", tcp_hook),
    Scenario::anywhere("hook_overruns", overruns),
    Scenario::anywhere("hook_sleep_overruns", sleep_overruns),
];

fn graceful(check: &mut Check, ended: &Ended, finding: FindingKind) {
    check.verdict(
        &ended.report,
        Outcome::Graceful,
        Trigger::Deleted,
        &[finding],
    );
}

/// It exits with a status other than 0: the stop signal comes at once.
fn hook_fails(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = visitor("say hook; sleep 1; say hooked; exit 5");
    let hook = format!("lifecycle: {{ preStop: {{ exec: {{ command: {hook} }} }} }}");
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), &hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended, FindingKind::HookFailed);
    check.check_hook(
        &ended.report,
        HookKind::Exec,
        HookMethod::Observed,
        How::Failed(HookFailure::Status),
    );
    check_hook_run(check, &ended, &mut witness)?;
    stage.kubelet_told(check, &pod, "FailedPreStopHook")?;
    stage.check_event(check, &pod, "PreStopHookFailed")?;
    stage.compare(check, &ended)
}

/// There is no such program.
fn missing(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = "lifecycle: { preStop: { exec: { command: [/no/such] } } }";
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended, FindingKind::HookMissing);
    check.check_hook(
        &ended.report,
        HookKind::Exec,
        HookMethod::Observed,
        How::Failed(HookFailure::Missing),
    );
    check_stop_and_exit(check, &ended, &mut witness)?;
    stage.kubelet_told(check, &pod, "FailedPreStopHook")?;
    stage.check_event(check, &pod, "PreStopHookMissing")?;
    stage.compare(check, &ended)
}

/// The API accepts it, and the kubelet has never run it.
fn tcp_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = "lifecycle: { preStop: { tcpSocket: { port: 8080 } } }";
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended, FindingKind::HookFailed);
    check.check_hook(
        &ended.report,
        HookKind::TcpSocket,
        HookMethod::Inferred,
        How::Failed(HookFailure::Unsupported),
    );
    check_stop_and_exit(check, &ended, &mut witness)?;
    stage.kubelet_told(check, &pod, "FailedPreStopHook")?;
    stage.check_event(check, &pod, "PreStopHookFailed")?;
    stage.compare(check, &ended)
}

/// The grace period ends with the hook in the middle: the stop signal gets the kubelet's least, and the hook goes with the
/// container.
fn overruns(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = visitor("say hook; sleep 60; say hooked");
    let hook = format!("lifecycle: {{ preStop: {{ exec: {{ command: {hook} }} }} }}");
    let pod = stage.create_pod("app", &pod_spec(4, &handler(), &hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended, FindingKind::HookOverran);
    check.check_hook(
        &ended.report,
        HookKind::Exec,
        HookMethod::Observed,
        How::Overran,
    );
    check_hook_start(check, &ended, &mut witness)?;
    check_stop_and_exit(check, &ended, &mut witness)?;
    let own = witness
        .wait_for_first("stop")?
        .since(witness.wait_for_first("hook")?);
    check.lasted(
        "hook to stop signal",
        Some(own),
        Duration::from_secs(4),
        "the grace",
    );
    floor_used(check, &ended);
    stage.check_event(check, &pod, "PreStopHookOverran")?;
    stage.compare(check, &ended)
}

/// The API refuses a sleep that is longer than the grace period, but whoever deletes the pod may shorten that.
fn sleep_overruns(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = "lifecycle: { preStop: { sleep: { seconds: 10 } } }";
    let refused = stage
        .create_pod("refused", &pod_spec(4, &handler(), hook))
        .err();
    let why = refused.context("the API accepts a sleep longer than the grace period")?;
    let why = format!("{why:#}");
    check.staged(
        "the API refuses it",
        why.contains("lifecycle.preStop.sleep")
            && why.contains("less than terminationGracePeriodSeconds"),
        true,
    );
    let pod = stage.create_pod("app", &pod_spec(30, &handler(), hook))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.kubectl(&["delete", "pod", "app", "--grace-period=3", "--wait=false"])?;
    let ended = stage.wait_for_report(&pod, "app")?;
    graceful(check, &ended, FindingKind::HookOverran);
    check.check_hook(
        &ended.report,
        HookKind::Sleep,
        HookMethod::Inferred,
        How::Overran,
    );
    check_stop_and_exit(check, &ended, &mut witness)?;
    // Not from the deletion on: the kubelet takes up to a second until it begins.
    let start = ended.report.hook.as_ref().and_then(|hook| hook.started_at);
    let stop = ended.report.stop_signal.as_ref().map(|stop| stop.at);
    check.lasted(
        "hook to stop signal",
        stop.zip(start).map(|(stop, start)| stop.since(start)),
        Duration::from_secs(3),
        "the deletion's grace",
    );
    floor_used(check, &ended);
    stage.check_event(check, &pod, "PreStopHookOverran")?;
    stage.compare(check, &ended)
}

fn floor_used(check: &mut Check, ended: &Ended) {
    let grace = ended.report.grace.as_ref();
    let left = grace.map(|grace| (grace.after_hook, grace.floor_used));
    check.require_equal(
        "left for the exit, by the floor",
        left,
        Some((Duration::from_secs(2), true)),
    );
}
