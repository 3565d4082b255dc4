//! What needs feature gates that are off by default. `ContainerStopSignals`: a pod may name its stop signal, and the status of a
//! container tells which one it has. Without it nobody is told either.

use agent_core::report::{Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_stop_and_exit, delete};
use super::programs::{pod_spec, program};
use super::signals::{QUIT, handler_of, signal};
use crate::check::Check;
use crate::scenario::{Gates, Scenario};
use crate::stage::Stage;

const STOP_SIGNALS: Gates = &["ContainerStopSignals"];

pub(crate) const ALL: [Scenario; 2] = [
    Scenario::with_gates("stop_signal", STOP_SIGNALS, stop_signal),
    Scenario::with_gates("stop_signal_told", STOP_SIGNALS, stop_signal_told),
];

/// The pod names a signal of its own.
fn stop_signal(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(
        10,
        &program(&handler_of("USR1")),
        "lifecycle: { stopSignal: SIGUSR1 }",
    );
    with_signal(stage, check, &format!("os: {{ name: linux }}\n{spec}"), 10)
}

/// The image names one, and the container's status tells it.
fn stop_signal_told(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(10, &program(&handler_of("QUIT")), "");
    let spec = spec.replace("gracewatch-test:", "gracewatch-test-quit:");
    with_signal(stage, check, &spec, QUIT)
}

fn with_signal(stage: &Stage<'_>, check: &mut Check, spec: &str, number: u32) -> Result<()> {
    let pod = stage.create_pod("app", spec)?;
    let path = "jsonpath={.status.containerStatuses[0].stopSignal}";
    let told = stage.kubectl(&["get", "pod", "app", "--output", path])?;
    check.staged("the status tells a stop signal", told.is_empty(), false);
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    signal(check, &ended, number);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}
