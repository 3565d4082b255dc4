//! One pod, deleted: what becomes of the stop signal.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, Outcome, Trigger};
use anyhow::Result;

use super::hooks::{delete, said};
use super::programs::{START_UP, handler, one, program, slow};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::{Ended, Stage, Witness};

pub(crate) const ALL: [Scenario; 6] = [
    Scenario::anywhere("seed", seed),
    Scenario::anywhere("handler", with_handler),
    Scenario::anywhere("ignored", ignored),
    Scenario::anywhere("too_slow", too_slow),
    Scenario::anywhere("stop_signal", stop_signal),
    Scenario::anywhere("image_stop_signal", image_stop_signal),
];

/// A hook of two seconds, and a shell that takes one more to end.
fn seed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod(
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
    let ended = stage.ended(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check.same("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// It ends by itself within its time.
fn with_handler(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod("app", &one(10, &handler(), ""))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    signal(check, &ended, 15);
    said(check, &ended, &mut witness)?;
    check.same("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// PID 1 without a handler: the kernel throws the signal away, SIGKILL comes after the grace period.
fn ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod("ignored", &one(3, "[sleep, infinity]", ""))?;
    // In its first second a program is given the benefit of the doubt: it may not have had the time for a handler.
    sleep(START_UP);
    stage.keep(&pod)?;
    stage.kubectl(&["delete", "pod", "ignored", "--wait=false"])?;
    let ended = stage.ended(&pod, "app")?;
    check.verdict(
        &ended.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &[FindingKind::SignalIgnored],
    );
    check.same("exit code", stage.exit_code(&ended)?, 137);
    stage.told(check, &pod, "StopSignalIgnored")?;
    stage.described(check, &pod, "StopSignalIgnored")?;
    stage.compare(check, &ended)
}

/// It handles the signal, and would need a minute.
fn too_slow(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod("app", &one(3, &slow(), ""))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    exceeded(check, &ended, &mut witness, (3, "the grace"))?;
    check.same("exit code", stage.exit_code(&ended)?, 137);
    stage.told(check, &pod, "GracePeriodExceeded")?;
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
    check.when("stop signal", stop, witness.at("stop")?, "the container");
    check.took(
        "signal to SIGKILL",
        ended.report.stop_signal_to_kill(),
        Duration::from_secs(seconds),
        by,
    );
    Ok(())
}

/// The pod names a signal of its own.
fn stop_signal(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let usr1 = program(
        "trap 'say stop; sleep 1; say exit; exit 0' USR1; say up; while :; do sleep 3600 & wait; done",
    );
    let spec = one(10, &usr1, "lifecycle: { stopSignal: SIGUSR1 }");
    let pod = stage.pod("app", &format!("os: {{ name: linux }}\n{spec}"))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    signal(check, &ended, 10);
    said(check, &ended, &mut witness)?;
    check.same("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

/// The image names one.
fn image_stop_signal(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let quit = program(
        "trap 'say stop; sleep 1; say exit; exit 0' QUIT; say up; while :; do sleep 3600 & wait; done",
    );
    let spec = one(10, &quit, "").replace("gracewatch-test:", "gracewatch-test-quit:");
    let pod = stage.pod("app", &spec)?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    signal(check, &ended, 3);
    said(check, &ended, &mut witness)?;
    check.same("exit code", stage.exit_code(&ended)?, 0);
    stage.compare(check, &ended)
}

fn signal(check: &mut Check, ended: &Ended, number: u32) {
    let stop = ended.report.stop_signal.as_ref();
    check.same(
        "stop signal",
        stop.map(|stop| stop.signal.number()),
        Some(number),
    );
}
