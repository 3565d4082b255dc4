//! Stops in the middle of which the kubelet or the runtime goes: when it is back, the stop begins anew, with a whole new grace
//! period. How long each takes was measured with Kubernetes 1.37.2 and containerd 2.4.2.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, HookKind, KillCause, Outcome};
use anyhow::{Context as _, Result};

use super::programs::{pod_spec, slow_program};
use crate::check::{Check, Off};
use crate::scenario::Scenario;
use crate::stage::{Ended, Pod, Stage, Witness};

pub(crate) const ALL: [Scenario; 3] = [
    Scenario::upsetting("kubelet_killed", kubelet_killed),
    Scenario::upsetting("kubelet_away", kubelet_away),
    Scenario::upsetting("containerd_killed", containerd_killed),
];

/// How long the preStop sleep takes of the pod that has one.
const HOOK: u64 = 10;

/// Pods that are in the middle of their stop.
struct Stopping {
    /// It got its stop signal, and takes longer than it may.
    app: Pod,
    said: Witness,
    /// Its preStop sleep runs.
    hooked: Pod,
}

/// Deletes both, and waits for the stop signal of the one without a hook.
fn stopping(stage: &Stage<'_>, grace: u32) -> Result<Stopping> {
    let app = stage.create_pod("app", &pod_spec(grace, &slow_program(), ""))?;
    let hook = format!("lifecycle: {{ preStop: {{ sleep: {{ seconds: {HOOK} }} }} }}");
    // Of a grace period that the hook fits into.
    let grace = u64::from(grace).max(HOOK + 2);
    let hooked = pod_spec(u32::try_from(grace)?, &slow_program(), &hook);
    let hooked = stage.create_pod("hooked", &hooked)?;
    let mut said = stage.witness(&app, "app")?;
    stage.kubectl(&["delete", "pod", "app", "hooked", "--wait=false"])?;
    said.wait_for_first("stop")?;
    Ok(Stopping { app, said, hooked })
}

/// The kubelet is killed five seconds after the stop signal of a grace period of 20 s, and started five seconds later. It
/// sends no second stop signal, but waits for a whole grace period again: SIGKILL comes 31 s after the stop signal. Of the
/// other pod it runs the hook again.
fn kubelet_killed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    kubelet_goes(stage, check, 20, (5, 5))
}

/// The kubelet is away for longer than the grace period: nobody kills meanwhile.
fn kubelet_away(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    kubelet_goes(stage, check, 10, (3, 20))
}

/// The kubelet is killed and started again after so many seconds each.
fn kubelet_goes(
    stage: &Stage<'_>,
    check: &mut Check,
    grace: u32,
    (until, away): (u64, u64),
) -> Result<()> {
    let mut pods = stopping(stage, grace)?;
    sleep(Duration::from_secs(until));
    stage.cluster()?.kill_kubelet()?;
    sleep(Duration::from_secs(away));
    stage.cluster()?.start_kubelet()?;
    let (until, away, grace) = (
        Duration::from_secs(until),
        Duration::from_secs(away),
        Duration::from_secs(grace.into()),
    );
    let ended = stage.wait_for_report(&pods.app, "app")?;
    exceeded(check, &ended, &mut pods.said)?;
    let waited = ended.report.stop_signal_to_kill();
    let least = until + away + grace;
    check.require_equal(
        "SIGKILL after a new grace period",
        waited >= Some(least),
        true,
    );
    check.require_equal("stop signals again", ended.report.stop_signals_repeated, 0);
    // What the kubelet told the runtime after its restart is not known, and need not be said.
    let configured = ended.report.grace.as_ref().map(|known| known.configured);
    let is_possible = configured.is_none_or(|configured| configured == grace);
    check.require_equal(
        "the grace is the specification's, or not told",
        is_possible,
        true,
    );
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.compare(check, &ended)?;
    hooked(stage, check, &pods.hooked, away)
}

/// The kubelet runs the hook again from its start: it began once more after the time away, and what of the grace period is
/// left counts from there.
fn hooked(stage: &Stage<'_>, check: &mut Check, pod: &Pod, away: Duration) -> Result<()> {
    let ended = stage.wait_for_report(pod, "app")?;
    let report = &ended.report;
    check.begun_anew(report, Outcome::GraceExceeded, &[FindingKind::TooSlow]);
    check.require_equal(
        "cause",
        report.kill.as_ref().map(|kill| kill.cause),
        Some(KillCause::GraceExpired),
    );
    let hook = report.hook.as_ref().map(|hook| hook.kind);
    check.require_equal("hook", hook, Some(HookKind::Sleep));
    let stop = report.stop_signal.as_ref().context("no stop signal")?.at;
    let whole = away + Duration::from_secs(HOOK);
    check.require_equal(
        "the stop signal came after a whole hook again",
        stop.since(report.started_at) >= whole,
        true,
    );
    // It may be said to have taken as long as the last time, or all the time from the first.
    let said = report.hook_duration();
    let possible = said.is_none_or(|said| {
        said + Duration::from_secs(1) >= Duration::from_secs(HOOK)
            && said <= stop.since(report.started_at)
    });
    check.require_equal("the hook's duration is possible", possible, true);
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    Ok(())
}

/// containerd is killed five seconds after the stop signal of a grace period of 20 s, and started three seconds later. The
/// new one knows nothing of the stop: when the kubelet asks again, some ten seconds later, it sends the stop signal again, and
/// waits for a whole grace period. A running preStop sleep is the kubelet's, and is not harmed.
fn containerd_killed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut pods = stopping(stage, 20)?;
    sleep(Duration::from_secs(5));
    stage.cluster()?.kill_containerd()?;
    sleep(Duration::from_secs(3));
    stage.cluster()?.start_containerd()?;
    let ended = stage.wait_for_report(&pods.app, "app")?;
    exceeded(check, &ended, &mut pods.said)?;
    let report = &ended.report;
    check.require_equal(
        "the stop signal came again",
        report.stop_signals_repeated > 0,
        true,
    );
    let least = Duration::from_secs(5 + 3 + 20);
    check.require_equal(
        "SIGKILL after a new grace period",
        report.stop_signal_to_kill() >= Some(least),
        true,
    );
    check.staged("exit code", stage.exit_code(&ended)?, 137);
    stage.compare(check, &ended)?;
    let ended = stage.wait_for_report(&pods.hooked, "app")?;
    let report = &ended.report;
    check.require_equal("outcome", report.outcome, Outcome::GraceExceeded);
    let by = ("the spec", Off::Less);
    let hook = Duration::from_secs(HOOK);
    check.check_duration("hook", report.hook_duration(), hook, by);
    let left = Duration::from_secs(20).saturating_sub(hook);
    check.lasted(
        "signal to SIGKILL",
        report.stop_signal_to_kill(),
        left,
        "the grace",
    );
    stage.compare(check, &ended)
}

/// It got its stop signal when it says so, and was killed because the new grace period was over.
fn exceeded(check: &mut Check, ended: &Ended, said: &mut Witness) -> Result<()> {
    let report = &ended.report;
    check.begun_anew(report, Outcome::GraceExceeded, &[FindingKind::TooSlow]);
    let cause = report.kill.as_ref().map(|kill| kill.cause);
    check.require_equal("cause", cause, Some(KillCause::GraceExpired));
    let stop = report.stop_signal.as_ref().map(|stop| stop.at);
    check.check_time(
        "stop signal",
        stop,
        said.wait_for_first("stop")?,
        "the container",
    );
    Ok(())
}
