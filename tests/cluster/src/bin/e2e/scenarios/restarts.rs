//! Containers that are stopped to be started again, by a change of the pod or by a rule in it.

use agent_core::report::{Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_stop_and_exit, delete};
use super::programs::{container, handler, pod_spec, program};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 2] = [
    Scenario::anywhere("definition_changed", definition_changed),
    Scenario::anywhere("restart_all_containers", restart_all_containers),
];

/// Another image, whose stop signal is another one, too.
fn definition_changed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let any = program(
        "trap 'say stop; kill $!; sleep 1; say exit; exit 0' TERM QUIT; say up; while :; do sleep 3600 & wait; done",
    );
    let first = stage.create_pod("app", &pod_spec(10, &any, ""))?;
    let mut witness = stage.witness(&first, "app")?;
    stage.kubectl(&[
        "set",
        "image",
        "pod/app",
        "app=localhost/gracewatch-test-quit:1",
    ])?;
    let ended = stage.wait_for_report(&first, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Restarted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    let second = stage.restarted(&first, "app")?;
    stage.compare(check, &ended)?;
    let (ended, mut witness) = delete(stage, &second)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    let stop = ended.report.stop_signal.as_ref();
    let number = stop.map(|stop| stop.signal.number());
    check.require_equal("stop signal", number, Some(3));
    check_stop_and_exit(check, &ended, &mut witness)?;
    stage.compare(check, &ended)
}

/// One of two containers ends in a way that makes the kubelet begin anew with the whole pod, without hooks.
fn restart_all_containers(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = "lifecycle: { preStop: { sleep: { seconds: 5 } } }";
    let rule = "restartPolicy: Never
  restartPolicyRules:
  - action: RestartAllContainers
    exitCodes: { operator: In, values: [88] }";
    // The second time it stays.
    let cause = program(
        "say up; if mkdir /once/ended 2> /dev/null; then sleep 4; exit 88; fi; while :; do sleep 3600 & wait; done",
    );
    let cause = container(
        "cause",
        &cause,
        &format!("{rule}\n  volumeMounts: [{{ name: once, mountPath: /once }}]"),
    );
    let spec = pod_spec(10, &handler(), hook);
    let volume = "volumes: [{ name: once, emptyDir: {} }]";
    let first = stage.create_pod("app", &format!("{spec}{cause}{volume}"))?;
    let mut witness = stage.witness(&first, "app")?;
    let ended = stage.wait_for_report(&first, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Restarted, &[]);
    check.require("no hook", ended.report.hook.is_none());
    check_stop_and_exit(check, &ended, &mut witness)?;
    // The kubelet removes the old containers, and with them their statuses.
    stage.compare_without_status(check, &ended)?;
    let cause = stage.wait_for_report(&first, "cause")?;
    check.verdict(&cause.report, Outcome::Crashed, Trigger::Crashed, &[]);
    stage.compare_without_status(check, &cause)?;
    stage.restarted(&first, "app").map(drop)
}
