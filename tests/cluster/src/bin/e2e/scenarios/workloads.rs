//! Pods that others own: rolling updates, jobs.

use agent_core::report::{Outcome, Trigger};
use anyhow::Result;

use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 1] = [Scenario::anywhere("rolling_update", rolling_update)];

const REPLICAS: usize = 10;

/// A Deployment of ten replicas is restarted: ten reports, each of the Deployment.
fn rolling_update(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    stage.apply_yaml(&format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: {REPLICAS}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web, {label} }} }}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: app
        image: localhost/gracewatch-test:1
        command: [sh, -c, 'trap "exit 0" TERM; while :; do sleep 0.2; done']
"#,
        label = stage.label_value()
    ))?;
    let rollout = ["rollout", "status", "deployment/web", "--timeout=120s"];
    stage.kubectl(&rollout)?;
    let pods = stage.wait_for_pods("web", REPLICAS)?;
    stage.kubectl(&["rollout", "restart", "deployment/web"])?;
    stage.kubectl(&rollout)?;
    let mut seen = Vec::new();
    for pod in &pods {
        let ended = stage.wait_for_report(pod, "app")?;
        check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
        stage.compare(check, &ended)?;
        let workload = ended.report.pod.map(|pod| pod.workload);
        check.require_equal(
            "workload",
            workload.map(|owner| (owner.kind, owner.name)),
            Some(("Deployment".to_owned(), "web".to_owned())),
        );
        seen.push(ended.report.id);
    }
    seen.sort_unstable();
    seen.dedup();
    check.require_equal("reports", seen.len(), REPLICAS);
    let page = stage.metrics_page(&pods)?;
    let counted = page.sum(
        "workload_termination_outcomes_total",
        &[
            ("namespace", stage.namespace()),
            ("workload_kind", "Deployment"),
            ("workload", "web"),
            ("outcome", "graceful"),
            ("trigger", "deleted"),
        ],
    );
    check.require_equal("workload_termination_outcomes_total", counted, Some(10.0));
    Ok(())
}
