//! Parts of the cluster, and the agent itself, that are away at the wrong moment.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use agent_core::event::ExitStatus;
use agent_core::report::{Doubt, Outcome, Trigger};
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};

use super::programs::{pod_spec, program};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 3] = [
    Scenario::upsetting("containerd_restarted", containerd_restarted),
    Scenario::upsetting("agent_restarted", agent_restarted),
    Scenario::upsetting("apiserver_stopped", apiserver_stopped),
];

const REPLICAS: usize = 6;
/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(20);

/// The time that reports and containers have.
fn current_time() -> Result<Timestamp> {
    let text = fs::read_to_string("/proc/uptime").context("cannot read /proc/uptime")?;
    let seconds = text.split_whitespace().next().unwrap_or_default();
    let seconds = Duration::from_secs_f64(seconds.parse().context("/proc/uptime has no time")?);
    Ok(Timestamp::default().after(seconds))
}

/// A program that takes so many seconds to end.
fn slow_program(seconds: u32) -> String {
    program(&format!(
        "trap 'say stop; kill $!; sleep {seconds}; say exit; exit 0' TERM; say up; while :; do sleep 3600 & wait; done"
    ))
}

/// The runtime is restarted while a container takes its time after the stop signal.
fn containerd_restarted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(30, &slow_program(8), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.kubectl(&["delete", "pod", "app", "--wait=false"])?;
    let stop = witness.wait_for_first("stop")?;
    sleep(Duration::from_secs(1));
    stage.cluster()?.restart_containerd()?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    let got = ended.report.stop_signal.as_ref().map(|stop| stop.at);
    check.check_time("stop signal", got, stop, "the container");
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// The agent's pod is replaced in the middle: the next one says what it saw, and that this is not all.
fn agent_restarted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(60, &slow_program(25), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.kubectl(&["delete", "pod", "app", "--wait=false"])?;
    witness.wait_for_first("stop")?;
    stage.restart_agent()?;
    let ended = stage.wait_for_report(&pod, "app")?;
    let report = &ended.report;
    check.require_equal("outcome", report.outcome, Outcome::Unknown);
    check.require_equal("doubts", report.doubts.as_slice(), &[Doubt::SeenLate]);
    check.require_equal("trigger", report.trigger, Trigger::Deleted);
    check.require_equal("stop signal", report.stop_signal.is_some(), false);
    check.require_equal("findings", report.findings.len(), 0);
    let exit = report.exit.as_ref().map(|exit| exit.at);
    check.when_announced(
        "exit",
        exit,
        witness.wait_for_first("exit")?,
        "the container",
    );
    stage.compare(check, &ended)
}

/// The API server goes in the middle of a rolling update, and comes back.
fn apiserver_stopped(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(30, &slow_program(6), "").replace('\n', "\n      ");
    stage.apply_yaml(&format!(
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: {REPLICAS}
  minReadySeconds: 1
  strategy: {{ rollingUpdate: {{ maxSurge: 1, maxUnavailable: 0 }} }}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web, {label} }} }}
    spec:
      {spec}
",
        label = stage.label_value()
    ))?;
    let rollout = ["rollout", "status", "deployment/web", "--timeout=120s"];
    stage.kubectl(&rollout)?;
    let pods = stage.wait_for_pods("web", REPLICAS)?;
    stage.kubectl(&["rollout", "restart", "deployment/web"])?;
    stage.one_deleted(&pods)?;
    sleep(Duration::from_secs(1));
    // Asked to end it takes nothing new, and ends its watches within a minute.
    let gone = current_time()?;
    stage.cluster()?.stop_apiserver()?;
    sleep(AWAY);
    let back = current_time()?;
    stage.cluster()?.start_apiserver()?;
    stage.kubectl(&rollout)?;
    let mut meanwhile = 0;
    for pod in &pods {
        let ended = stage.wait_for_report(pod, "app")?;
        let at = ended.report.exit.as_ref().map(|exit| exit.at);
        // One that is deleted while everybody connects again may be gone before the agent is told, which it then says.
        let missed = ended.report.trigger == Trigger::Unknown && at > Some(back);
        let trigger = if missed {
            Trigger::Unknown
        } else {
            Trigger::Deleted
        };
        check.verdict(&ended.report, Outcome::Graceful, trigger, &[]);
        let exit = ended.report.exit.as_ref().map(|exit| exit.status);
        check.require_equal("exit", exit, Some(ExitStatus::Code(0)));
        meanwhile += usize::from(at > Some(gone) && at < Some(back));
        // Of a pod that goes while everybody connects again nobody sees the last status.
        stage.compare_without_status(check, &ended)?;
    }
    check.staged("one exited while it was away", meanwhile > 0, true);
    check.staged("one exited after that", meanwhile < REPLICAS, true);
    let page = stage.metrics_page(&pods)?;
    let labels = [
        ("namespace", stage.namespace()),
        ("workload_kind", "Deployment"),
        ("workload", "web"),
    ];
    let name = "workload_termination_outcomes_total";
    check.require_equal(name, page.sum(name, &labels), Some(6.0));
    Ok(())
}
