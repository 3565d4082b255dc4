//! What only somebody on the node can do: static pods, and a kubelet that is restarted at the wrong moment.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{Outcome, Trigger};
use anyhow::{Context as _, Result};
use gracewatch_cluster::cluster::NODE;

use crate::check::Check;
use crate::scenario::{Needs, Scenario};
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 2] = [
    Scenario {
        name: "static_pod_removed",
        needs: Needs::OwnCluster,
        alone: false,
        gates: &[],
        run: static_pod_removed,
    },
    Scenario::upsetting("kubelet_restarted", kubelet_restarted),
];

/// A manifest on the node is removed: the pod's UID in the cgroup is another one than in the API.
fn static_pod_removed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let manifest = stage.cluster()?.static_pod_dir().join("static.yaml");
    let (namespace, label) = (stage.namespace(), stage.label_value());
    let text = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{ name: static, namespace: {namespace}, labels: {{ {label} }} }}
spec:
  terminationGracePeriodSeconds: 10
  containers:
  - name: app
    image: localhost/gracewatch-test:1
    command: [sh, -c, 'trap "sleep 1; exit 0" TERM; while :; do sleep 0.2; done']
"#
    );
    fs::write(&manifest, text).with_context(|| format!("cannot write {}", manifest.display()))?;
    let pod = stage.wait_until_ready(&format!("static-{NODE}"))?;
    fs::remove_file(&manifest).with_context(|| format!("cannot remove {}", manifest.display()))?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    stage.compare(check, &ended)
}

/// The kubelet is restarted while a container takes its time after the stop signal: one report, and it is right.
fn kubelet_restarted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod(
        "slow",
        r#"
terminationGracePeriodSeconds: 30
containers:
- name: app
  image: localhost/gracewatch-test:1
  command: [sh, -c, 'trap "sleep 6; exit 0" TERM; while :; do sleep 0.2; done']
"#,
    )?;
    stage.kubectl(&["delete", "pod", "slow", "--wait=false"])?;
    // Two words of the kubelet within two seconds may be one that it said twice; Events are cut to seconds.
    sleep(Duration::from_millis(3200));
    stage.cluster()?.restart_kubelet()?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.begun_anew(&ended.report, Outcome::Graceful, &[]);
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    // The runtime said when it was first asked to stop, to the kubelet that is gone, and does not say it again.
    stage.compare(check, &ended)
}
