//! preStop hooks by ExecSync, and exec probes, which are none.

use std::thread::{self, sleep};
use std::time::Duration;

use agent_core::report::{Doubt, FindingKind, Outcome};
use anyhow::{Result, anyhow};
use gracewatch_tests::rig::clock;

use crate::case::{Case, Known};
use crate::cases::programs::{HANDLER, TERM};
use crate::check::{Check, Done};
use crate::pod::{Container, ContainerSpec};
use crate::stage::Stage;
use crate::verdict::{HookVerdict, Verdict};

const GOOD: &[&str] = &["sh", "-c", "echo stopping > /tmp/stop && sleep 1.5"];
const FAILING: &[&str] = &["sh", "-c", "sleep 0.5; exit 5"];
const MISSING: &[&str] = &["/no/such/hook", "now"];
const ENDLESS: &[&str] = &["sleep", "60"];
/// As the hook, but for one character.
const PROBE: &[&str] = &["sh", "-c", "echo stopping > /tmp/stop && sleep 0.5"];

pub(super) const ALL: &[Case] = &[
    Case::new("hook", Known::with_hook(10, GOOD), hook_completes),
    Case::new("hook_fails", Known::with_hook(10, FAILING), hook_fails),
    // Alone: without a pod that tells of its deletion, what failed belongs to the stop only if that follows within a second.
    Case::new("hook_missing", Known::with_hook(10, MISSING), missing).alone(),
    Case::new("hook_overruns", Known::with_hook(2, ENDLESS), overruns),
    Case::new("probe_only", Known::with_hook(10, GOOD), probe_only),
    Case::new("probe_and_hook", Known::with_hook(10, GOOD), probe_and_hook),
    Case::new(
        "probe_like_hook",
        Known::with_hook(10, FAILING),
        probe_like_hook,
    ),
];

fn graceful() -> Verdict {
    Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .with_exit(0)
}

fn hook_completes(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let hook = app.exec_sync(GOOD)?;
    let stop = app.stop(9)?;
    check.staged("ExecSync says another code", hook.exit_code == 0);
    let expected = graceful().with_hook(HookVerdict::exited(0));
    let done = Done::stopped(stop).with_hook(hook.span);
    check.container(stage, &app, done, expected)?;
    check.end_pod(stage, &pod, &app)
}

fn hook_fails(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let hook = app.exec_sync(FAILING)?;
    let stop = app.stop(10)?;
    check.staged("ExecSync says another code", hook.exit_code == 5);
    let expected = graceful()
        .with_hook(HookVerdict::exited(5))
        .finding(FindingKind::HookFailed);
    let done = Done::stopped(stop).with_hook(hook.span);
    check.container(stage, &app, done, expected)?;
    check.end_pod(stage, &pod, &app)
}

fn missing(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    check.staged("a missing program ran", app.exec_sync(MISSING).is_err());
    let failed_at = clock::now();
    let stop = app.stop(10)?;
    // Without a pod that tells of its deletion the two belong together only then.
    check.staged(
        "the stop came more than half a second after the hook",
        stop.before.since(failed_at) < Duration::from_millis(500),
    );
    let expected = graceful()
        .with_hook(HookVerdict::missing())
        .finding(FindingKind::HookMissing);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// The kubelet gives up on the hook when the grace period is over, and gives the stop signal its least, 2 s.
fn overruns(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let (hook, stop) = thread::scope(|scope| {
        let hook = scope.spawn(|| app.exec_sync(ENDLESS));
        sleep(Duration::from_secs(2));
        let stop = app.stop(2);
        (hook.join(), stop)
    });
    let hook = hook.map_err(|_panic| anyhow!("the hook's thread panicked"))??;
    check.staged("ExecSync says another code", hook.exit_code == 137);
    let expected = graceful()
        .with_hook(HookVerdict::taken_along())
        .finding(FindingKind::HookOverran);
    let done = Done::stopped(stop?).with_hook(hook.span);
    check.container(stage, &app, done, expected)?;
    check.end_pod(stage, &pod, &app)
}

/// A probe that runs all the time, also during the stop, and no hook.
fn probe_only(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let stop = probing(&app, || app.stop(10))?;
    let expected = graceful().finding(FindingKind::HookNotRun);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// The same with a hook in the middle of it.
fn probe_and_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let (hook, stop) = probing(&app, || Ok((app.exec_sync(GOOD)?, app.stop(9)?)))?;
    let expected = graceful().with_hook(HookVerdict::exited(0));
    let done = Done::stopped(stop).with_hook(hook.span);
    check.container(stage, &app, done, expected)?;
    check.end_pod(stage, &pod, &app)
}

/// A probe with the hook's very command line, some time before: the hook is the last of the two.
fn probe_like_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    app.exec_sync(FAILING)?;
    sleep(Duration::from_millis(1500));
    let hook = app.exec_sync(FAILING)?;
    let stop = app.stop(10)?;
    let expected = graceful()
        .with_hook(HookVerdict::exited(5))
        .finding(FindingKind::HookFailed)
        .with_doubt(Doubt::HookUncertain);
    let done = Done::stopped(stop).with_hook(hook.span);
    check.container(stage, &app, done, expected)?;
    check.end_pod(stage, &pod, &app)
}

/// Probes before and during `then`.
fn probing<T>(app: &Container<'_>, then: impl FnOnce() -> Result<T>) -> Result<T> {
    app.exec_sync(PROBE)?;
    thread::scope(|scope| {
        // Those that run into the end of the container fail.
        scope.spawn(|| while app.exec_sync(PROBE).is_ok_and(|probe| probe.exit_code == 0) {});
        then()
    })
}
