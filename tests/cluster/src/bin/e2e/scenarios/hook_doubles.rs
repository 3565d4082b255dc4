//! What looks like a hook and is none: the same command as a probe, and by `kubectl exec`.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{Doubt, HookKind, HookMethod, Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_hook_run, delete};
use super::programs::{handler, pod_spec, visiting, visitor};
use crate::check::{Check, How};
use crate::scenario::Scenario;
use crate::stage::{Ended, Pod, Stage, Witness};

pub(crate) const ALL: [Scenario; 2] = [
    Scenario::anywhere("probe_like_hook", liveness_probe),
    Scenario::anywhere("kubectl_exec", kubectl_exec),
];

const SCRIPT: &str = "say hook; sleep 0.5; say hooked";

/// For some probes to run.
const WHILE: Duration = Duration::from_secs(4);

/// A liveness probe runs the hook's command every second; the kubelet ends probing when it begins to stop the pod. A probe
/// that it begins just then, after the deletion was seen, cannot be told from the hook, and the report says so.
fn liveness_probe(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let command = visitor(SCRIPT);
    let probe = format!(
        "livenessProbe: {{ exec: {{ command: {command} }}, periodSeconds: 1, timeoutSeconds: 5 }}"
    );
    let pod = create_pod(stage, &probe)?;
    sleep(WHILE);
    let (ended, witness) = delete(stage, &pod)?;
    let report = &ended.report;
    if report.doubts == [Doubt::HookUncertain] {
        check.require_equal("outcome", report.outcome, Outcome::Graceful);
        check.require_equal("trigger", report.trigger, Trigger::Deleted);
        return stage.compare(check, &ended);
    }
    is_hook(stage, check, &ended, witness)
}

/// Somebody ran the hook's very command by hand before.
fn kubectl_exec(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = create_pod(stage, "")?;
    stage.kubectl(&["exec", "app", "--", "sh", "-c", &visiting(SCRIPT)])?;
    sleep(WHILE);
    let (ended, witness) = delete(stage, &pod)?;
    is_hook(stage, check, &ended, witness)
}

fn create_pod(stage: &Stage<'_>, more: &str) -> Result<Pod> {
    let hook = visitor(SCRIPT);
    let hook = format!("lifecycle: {{ preStop: {{ exec: {{ command: {hook} }} }} }}\n  {more}");
    stage.create_pod("app", &pod_spec(10, &handler(), &hook))
}

/// The last one was the hook.
fn is_hook(
    stage: &Stage<'_>,
    check: &mut Check,
    ended: &Ended,
    mut witness: Witness,
) -> Result<()> {
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check.check_hook(
        &ended.report,
        HookKind::Exec,
        HookMethod::Observed,
        How::Ended,
    );
    check_hook_run(check, ended, &mut witness)?;
    check.staged("it was run before", witness.count_of("hooked") > 1, true);
    stage.compare(check, ended)
}
