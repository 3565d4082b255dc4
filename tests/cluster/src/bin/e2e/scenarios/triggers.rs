//! Who wanted the container to stop, and why: not always somebody who deletes a pod. (The shutdown of the node is missing: a
//! kubelet learns of it from systemd-logind only, which belongs to the machine. The engine's own tests have it.)

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, Outcome, Trigger};
use anyhow::Result;
use gracewatch_cluster::cluster::NODE;

use super::hooks::check_stop_and_exit;
use super::programs::{START_UP, handler, pod_spec, program};
use crate::check::Check;
use crate::scenario::{Needs, Scenario};
use crate::stage::{Ended, Stage};

pub(crate) const ALL: [Scenario; 6] = [
    Scenario::anywhere("liveness", liveness),
    Scenario::anywhere("startup_probe", startup_probe),
    Scenario::anywhere("startup_probe_once", startup_probe_once),
    Scenario::anywhere("post_start", post_start),
    Scenario::anywhere("evicted", evicted),
    Scenario {
        name: "preempted",
        needs: Needs::OwnCluster,
        alone: false,
        gates: &[],
        run: preempted,
    },
];

/// What a node has one of, so that a pod has to make room for another without others being concerned.
const SEAT: &str = "example.com~1seat";

/// A folder that outlives the pod's containers.
const ONCE: &str = "volumes: [{ name: once, emptyDir: {} }]\n";

/// A probe that fails the first time, after three seconds, and never again.
fn failing_once(kind: &str) -> String {
    format!(
        "{kind}: {{ exec: {{ command: [sh, -c, '! mkdir /once/failed 2> /dev/null'] }}, initialDelaySeconds: 3, periodSeconds: 1, failureThreshold: 1 }}\n  volumeMounts: [{{ name: once, mountPath: /once }}]"
    )
}

/// A probe that fails once kills the first container after the grace of its own; the second one goes with the pod, by the
/// grace of the deletion.
fn liveness(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let probe = failing_once("livenessProbe").replace(
        "periodSeconds",
        "terminationGracePeriodSeconds: 2, periodSeconds",
    );
    let spec = pod_spec(30, "[sleep, infinity]", &probe);
    let first = stage.create_pod("app", &format!("{spec}{ONCE}"))?;
    let ended = stage.wait_for_report(&first, "app")?;
    ignored(check, &ended, Trigger::Liveness, Duration::from_secs(2));
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.kubelet_told(check, &first, "Killing")?;
    stage.check_event(check, &first, "StopSignalIgnored")?;
    stage.compare(check, &ended)?;
    let second = stage.restarted(&first, "app")?;
    sleep(START_UP);
    stage.kubectl(&["delete", "pod", "app", "--grace-period=3", "--wait=false"])?;
    let ended = stage.wait_for_report(&second, "app")?;
    ignored(check, &ended, Trigger::Deleted, Duration::from_secs(3));
    stage.compare(check, &ended)
}

fn ignored(check: &mut Check, ended: &Ended, trigger: Trigger, grace: Duration) {
    let findings = [FindingKind::SignalIgnored];
    let report = &ended.report;
    check.verdict(report, Outcome::SignalIgnored, trigger, &findings);
    check.lasted(
        "signal to SIGKILL",
        report.stop_signal_to_kill(),
        grace,
        "the grace",
    );
}

/// It fails the first time.
fn startup_probe(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(10, &handler(), &failing_once("startupProbe"));
    by_the_kubelet(
        stage,
        check,
        &format!("{spec}{ONCE}"),
        Trigger::StartupProbe,
    )
}

/// Of a pod that is not to be restarted the kubelet ends the whole, by the same words as if it had been deleted:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go#L1484>. That a
/// probe had failed is another Event, of which this need not be the consequence.
fn startup_probe_once(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(10, &handler(), &failing_once("startupProbe"));
    let spec = format!("restartPolicy: Never\n{spec}{ONCE}");
    by_the_kubelet(stage, check, &spec, Trigger::Unknown)
}

/// The kubelet ends what it could not begin as it should.
fn post_start(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = "lifecycle: { postStart: { exec: { command: [sh, -c, 'sleep 3; exit 7'] } } }";
    let spec = format!("restartPolicy: Never\n{}", pod_spec(10, &handler(), hook));
    by_the_kubelet(stage, check, &spec, Trigger::PostStart)
}

/// The kubelet stops the container of its own will.
fn by_the_kubelet(
    stage: &Stage<'_>,
    check: &mut Check,
    spec: &str,
    trigger: Trigger,
) -> Result<()> {
    let pod = stage.begun_pod("app", spec, "app")?;
    let mut witness = stage.witness(&pod, "app")?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, trigger, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.kubelet_told(check, &pod, "Killing")?;
    stage.compare(check, &ended)
}

/// As a drained node's pods are.
fn evicted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.evict_pod(&pod)?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Evicted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// The scheduler takes its place for a pod of higher priority, which runs then.
fn preempted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let seat = format!(r#"[{{ "op": "add", "path": "/status/capacity/{SEAT}", "value": "1" }}]"#);
    let node = ["patch", "node", NODE, "--subresource=status", "--type=json"];
    stage.kubectl(&[&node[..], &["--patch", &seat]].concat())?;
    stage.apply_yaml("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: { name: gracewatch-e2e-first }\nvalue: 1000\n")?;
    let takes = format!(
        "resources: {{ limits: {{ {}: 1 }} }}",
        SEAT.replace("~1", "/")
    );
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), &takes))?;
    let mut witness = stage.witness(&pod, "app")?;
    let high = pod_spec(0, &program("say up; sleep 3600"), &takes);
    stage.create_pod(
        "first",
        &format!("priorityClassName: gracewatch-e2e-first\n{high}"),
    )?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Preempted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}
