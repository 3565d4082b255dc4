//! Deletions that are more than one wish, or less than a patient one.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, Outcome, Trigger};
use anyhow::Result;

use super::hooks::said;
use super::programs::{START_UP, handler, one, slow};
use super::signals::exceeded;
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 3] = [
    Scenario::anywhere("force", force),
    Scenario::anywhere("force_ignored", force_ignored),
    Scenario::anywhere("second_delete", second_delete),
];

const FORCE: [&str; 5] = ["delete", "pod", "app", "--grace-period=0", "--force"];

/// Its object goes at once, and the container gets its stop signal all the same.
fn force(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod("app", &one(10, &handler(), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    stage.kubectl(&FORCE)?;
    let ended = stage.ended(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    said(check, &ended, &mut witness)?;
    stage.compare_without_status(check, &ended)
}

/// The kubelet leaves it a second of grace, and two at the least after the stop signal: not six, and not none.
fn force_ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod("app", &one(6, "[sleep, infinity]", ""))?;
    sleep(START_UP);
    stage.kubectl(&FORCE)?;
    let ended = stage.ended(&pod, "app")?;
    let findings = [FindingKind::SignalIgnored];
    check.verdict(
        &ended.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &findings,
    );
    check.took(
        "signal to SIGKILL",
        ended.report.stop_signal_to_kill(),
        Duration::from_secs(2),
        "the kubelet's least",
    );
    stage.compare_without_status(check, &ended)
}

/// Deleted with a grace of 12 s, and two seconds later with one of 2 s: the kubelet has asked the runtime to stop it by
/// then, does not take that back, and containerd waits as long as it was first told.
fn second_delete(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let pod = stage.pod("app", &one(12, &slow(), ""))?;
    let mut witness = stage.witness(&pod, "app")?;
    let delete = ["delete", "pod", "app", "--wait=false"];
    stage.kubectl(&delete)?;
    sleep(Duration::from_secs(2));
    stage.kubectl(&[&delete[..], &["--grace-period=2"]].concat())?;
    let ended = stage.ended(&pod, "app")?;
    exceeded(check, &ended, &mut witness, (12, "the first grace"))?;
    let grace = ended.report.grace.as_ref().map(|grace| grace.configured);
    check.same("grace", grace, Some(Duration::from_secs(12)));
    check.same("exit code", stage.exit_code(&ended)?, 137);
    stage.compare(check, &ended)
}
