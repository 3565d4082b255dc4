//! One pod, deleted: what becomes of the stop signal.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_stop_and_exit, delete};
use super::programs::{START_UP, handler, pod_spec, program, slow_program};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::{Ended, Stage, Witness};

pub(crate) const ALL: [Scenario; 7] = [
    Scenario::anywhere("seed", seed_pod),
    Scenario::anywhere("handler", with_handler),
    Scenario::anywhere("child_left", child_left),
    Scenario::anywhere("ignored", ignored),
    Scenario::anywhere("too_slow", too_slow),
    Scenario::anywhere("image_stop_signal", image_stop_signal),
    Scenario::anywhere("image_stop_signal_ignored", image_stop_signal_ignored),
];

/// A hook of two seconds, and a shell that takes one more to end.
fn seed_pod(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod(
        "seed",
        r#"
terminationGracePeriodSeconds: 10
containers:
- name: app
  image: localhost/gracewatch-test:1
  command: [sh, -c, 'trap "sleep 1; exit 0" TERM; while :; do sleep 1; done']
  lifecycle:
    preStop:
      exec:
        command: [sleep, "2"]
"#,
    )?;
    stage.kubectl(&["delete", "pod", "seed"])?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// It ends by itself within its time.
fn with_handler(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), ""))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    signal(check, &ended, 15);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// It ends by itself within its time, and leaves a program behind that has not heard of the stop: the kernel kills that.
fn child_left(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let script = handler_of("TERM").replace("kill $!; ", "");
    let pod = stage.create_pod("app", &pod_spec(10, &program(&script), ""))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(
        &ended.report,
        Outcome::Graceful,
        Trigger::Deleted,
        &[FindingKind::KilledWithMain],
    );
    signal(check, &ended, 15);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// PID 1 without a handler: the kernel throws the signal away, SIGKILL comes after the grace period.
fn ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("ignored", &pod_spec(3, "[sleep, infinity]", ""))?;
    // In its first second a program is given the benefit of the doubt: it may not have had the time for a handler.
    sleep(START_UP);
    stage.keep_object(&pod)?;
    stage.kubectl(&["delete", "pod", "ignored", "--wait=false"])?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(
        &ended.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &[FindingKind::SignalIgnored],
    );
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.check_event(check, &pod, "StopSignalIgnored")?;
    stage.described(check, &pod, "StopSignalIgnored")?;
    stage.compare(check, &ended)
}

/// It handles the signal, and would need a minute.
fn too_slow(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.create_pod("app", &pod_spec(3, &slow_program(), ""))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    exceeded(check, &ended, &mut witness, (3, "the grace"))?;
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.check_event(check, &pod, "GracePeriodExceeded")?;
    stage.compare(check, &ended)
}

/// It got the signal when it says so, and SIGKILL came so many seconds later.
pub(super) fn exceeded(
    check: &mut Check,
    ended: &Ended,
    witness: &mut Witness,
    (seconds, by): (u64, &'static str),
) -> Result<()> {
    check.verdict(
        &ended.report,
        Outcome::GraceExceeded,
        Trigger::Deleted,
        &[FindingKind::TooSlow],
    );
    let stop = ended.report.stop_signal.as_ref().map(|stop| stop.at);
    check.check_time(
        "stop signal",
        stop,
        witness.wait_for_first("stop")?,
        "the container",
    );
    check.lasted(
        "signal to SIGKILL",
        ended.report.stop_signal_to_kill(),
        Duration::from_secs(seconds),
        by,
    );
    Ok(())
}

/// SIGQUIT.
pub(super) const QUIT: u32 = 3;

/// A script that takes a second to end after this signal.
pub(super) fn handler_of(signal: &str) -> String {
    format!(
        "trap 'say stop; kill $!; sleep 1; say exit; exit 0' {signal}; say up; while :; do sleep 3600 & wait; done"
    )
}

/// The image names its stop signal, and nobody tells the agent.
fn image_stop_signal(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(10, &program(&handler_of("QUIT")), "");
    let spec = spec.replace("gracewatch-test:", "gracewatch-test-quit:");
    let pod = stage.create_pod("app", &spec)?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    signal(check, &ended, QUIT);
    check_stop_and_exit(check, &ended, &mut witness)?;
    check.staged("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// The image names a stop signal for which the program has no handler, as where it is inherited from a base image: the
/// kernel throws it away.
fn image_stop_signal_ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(3, &handler(), "").replace("gracewatch-test:", "gracewatch-test-quit:");
    let pod = stage.create_pod("app", &spec)?;
    sleep(START_UP);
    let (ended, _witness) = delete(stage, &pod)?;
    check.verdict(
        &ended.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &[FindingKind::SignalIgnored],
    );
    signal(check, &ended, QUIT);
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.compare(check, &ended)
}

pub(super) fn signal(check: &mut Check, ended: &Ended, number: u32) {
    let stop = ended.report.stop_signal.as_ref();
    check.require_equal(
        "stop signal",
        stop.map(|stop| stop.signal.number()),
        Some(number),
    );
}
