//! The pods that the agents watch: of a Job of a CronJob, of a ReplicaSet that something else controls and that is behind a
//! Service, and one whose liveness probe fails again and again.

use anyhow::Result;
use k8s_openapi::api::events::v1::Event;
use serde::Deserialize;

use crate::stage::Stage;

pub(super) const CRON_JOB: &str = "nightly";
pub(super) const OWNER: &str = "team";
/// How many pods there are: so many Events can be written without counting one up.
pub(super) const COUNT: f64 = 3.0;

#[derive(Debug, Deserialize)]
struct Events {
    items: Vec<Event>,
}

/// Makes the pods and ends them.
pub(super) fn run_pods(stage: &Stage<'_>) -> Result<()> {
    stage.kubectl(&["create", "configmap", OWNER])?;
    let uid = ["get", "configmap", OWNER, "-o", "jsonpath={.metadata.uid}"];
    stage.apply_yaml(&manifests(&stage.kubectl(&uid)?))?;
    let from = format!("cronjob/{CRON_JOB}");
    stage.kubectl(&["create", "job", "nightly-1", "--from", &from])?;
    for label in ["app=team", "job-name=nightly-1"] {
        for condition in ["--for=create", "--for=condition=Ready"] {
            stage.kubectl(&["wait", "pod", condition, "--timeout=60s", "-l", label])?;
        }
    }
    stage.until_endpoints(OWNER, 1)?;
    stage.kubectl(&["delete", "replicaset", "team-set"])?;
    stage.kubectl(&["delete", "job", "nightly-1"]).map(drop)
}

/// How many Events agents wrote on the pod that was stopped again and again, and how many of them were counted up.
pub(super) fn events(stage: &Stage<'_>) -> Result<(usize, usize)> {
    let events = stage.kubectl(&["get", "events.events.k8s.io", "-o", "json"])?;
    let events: Events = serde_json::from_str(&events)?;
    let own = || {
        events.items.iter().filter(|event| {
            let regarding = event.regarding.as_ref().and_then(|pod| pod.name.as_deref());
            event.reporting_controller.as_deref() == Some("gracewatch")
                && event.reason.as_deref() == Some("StopSignalIgnored")
                && regarding == Some("sick")
        })
    };
    let counted_up = own().filter(|event| event.series.is_some());
    Ok((own().count(), counted_up.count()))
}

/// A ConfigMap is an unusual controller, but one that every cluster has.
fn manifests(owner: &str) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: team-set
  ownerReferences:
    - {{apiVersion: v1, kind: ConfigMap, name: {OWNER}, uid: {owner}, controller: true}}
spec:
  selector: {{matchLabels: {{app: team}}}}
  template:
    metadata: {{labels: {{app: team}}}}
    spec: {of_set}
---
apiVersion: v1
kind: Service
metadata: {{name: {OWNER}}}
spec: {{selector: {{app: team}}, ports: [{{port: 80}}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: {CRON_JOB}}}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate: {{spec: {{template: {{spec: {of_job}}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: sick}}
spec: {sick}
"#,
        of_set = pod_spec("Always", ""),
        of_job = pod_spec("Never", ""),
        sick = pod_spec(
            "Always",
            r#", livenessProbe: {exec: {command: ["false"]}, initialDelaySeconds: 1, periodSeconds: 1, failureThreshold: 1}"#
        ),
    )
}

/// A pod whose main process ignores its stop signal, with little grace.
fn pod_spec(restart: &str, of_container: &str) -> String {
    format!(
        r#"{{restartPolicy: {restart}, terminationGracePeriodSeconds: 1, containers: [{{name: sleeper, image: "localhost/gracewatch-test:1", command: [sleep, "3600"]{of_container}}}]}}"#
    )
}
