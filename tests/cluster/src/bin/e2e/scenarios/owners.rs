//! Pods of each kind of owner.

use std::slice;

use agent_core::report::{Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_stop_and_exit, delete};
use super::programs::{handler, pod_spec, program};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::{Ended, Pod, Stage};

pub(crate) const ALL: [Scenario; 4] = [
    Scenario::anywhere("cron_job", cron_job),
    Scenario::anywhere("job", job_completes),
    Scenario::anywhere("stateful_set", stateful_set),
    Scenario::anywhere("daemon_set", daemon_set),
];

/// What a Job's pods are made of.
fn pod_template(label: &str) -> String {
    let spec = pod_spec(10, &program("say up; sleep 4; say exit"), "");
    let spec = format!("restartPolicy: Never\n{spec}").replace('\n', "\n      ");
    format!(
        "template:\n    metadata: {{ labels: {{ app: work, {label} }} }}\n    spec:\n      {spec}\n"
    )
}

/// It does its work and ends.
fn job_completes(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let work = pod_template(&stage.label_value());
    stage.apply_yaml(&format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: work }}\nspec:\n  {work}"
    ))?;
    completed(stage, check, "Job", "work")
}

/// Its Job's name is made of its own and the time; no request of ours made it. (Up to a minute passes until it begins.)
fn cron_job(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let work = pod_template(&stage.label_value()).replace('\n', "\n    ");
    stage.apply_yaml(&format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{ name: nightly }}\nspec:\n  schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      {work}"
    ))?;
    completed(stage, check, "CronJob", "nightly")
}

fn completed(stage: &Stage<'_>, check: &mut Check, kind: &str, name: &str) -> Result<()> {
    let pod = stage.another("work", &[])?;
    let mut witness = stage.witness(&pod, "app")?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Completed, Trigger::Completed, &[]);
    let exit = ended.report.exit.as_ref().map(|exit| exit.at);
    check.when_announced(
        "exit",
        exit,
        witness.wait_for_first("exit")?,
        "the container",
    );
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    check_owner(check, &ended, kind, name);
    stage.compare(check, &ended)
}

fn check_owner(check: &mut Check, ended: &Ended, kind: &str, name: &str) {
    let got = ended.report.pod.as_ref().map(|pod| &pod.workload);
    let got = got.map(|owner| (owner.kind.as_str(), owner.name.as_str()));
    check.require_equal("workload", got, Some((kind, name)));
}

/// A pod that is deleted comes back under the same name: two reports of two containers.
fn stateful_set(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    apply_workload(stage, "apps/v1", "StatefulSet", "serviceName: db\n  ")?;
    let first = stage.another("set", &[])?;
    let second = deleted(stage, check, &first, "StatefulSet", &[&first])?;
    check.require_equal("name", second.name.as_str(), first.name.as_str());
    deleted(stage, check, &second, "StatefulSet", &[&first, &second])?;
    let page = stage.metrics_page(slice::from_ref(&second))?;
    let (namespace, workload) = (("namespace", stage.namespace()), ("workload", "set"));
    let how = [("outcome", "graceful"), ("trigger", "deleted")];
    let labels = [&[namespace, workload][..], &how].concat();
    let name = "workload_termination_outcomes_total";
    check.require_equal(name, page.sum(name, &labels), Some(2.0));
    for pod in [&first, &second] {
        let id: String = pod.container_id("app")?.chars().take(12).collect();
        let labels = [namespace, ("pod", "set-0"), ("container_id", &id)];
        let name = "pod_termination_outcome";
        check.require_equal(name, page.sum(name, &labels), Some(1.0));
    }
    Ok(())
}

/// One pod of it per node.
fn daemon_set(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    apply_workload(stage, "apps/v1", "DaemonSet", "")?;
    let first = stage.another("set", &[])?;
    deleted(stage, check, &first, "DaemonSet", &[&first]).map(drop)
}

fn apply_workload(stage: &Stage<'_>, api: &str, kind: &str, more: &str) -> Result<()> {
    let spec = pod_spec(10, &handler(), "").replace('\n', "\n      ");
    let label = stage.label_value();
    stage.apply_yaml(&format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata: {{ name: set }}\nspec:\n  {more}selector: {{ matchLabels: {{ app: set }} }}\n  template:\n    metadata: {{ labels: {{ app: set, {label} }} }}\n    spec:\n      {spec}\n"
    ))
}

/// Deletes the pod; the one that comes in its place.
fn deleted(
    stage: &Stage<'_>,
    check: &mut Check,
    pod: &Pod,
    kind: &str,
    before: &[&Pod],
) -> Result<Pod> {
    let (ended, mut witness) = delete(stage, pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check_owner(check, &ended, kind, "set");
    stage.compare(check, &ended)?;
    stage.another("set", before)
}
