//! The stop signal: handled, ignored, handled too slowly, another one than SIGTERM, none.

use agent_core::report::{FindingKind, KillCause, Outcome};
use anyhow::Result;

use crate::case::{Case, Known};
use crate::cases::programs::{HANDLER, SLEEP, SLOW, TERM};
use crate::check::{Check, Done};
use crate::pod::{ContainerSpec, IMAGE_QUIT};
use crate::stage::Stage;
use crate::verdict::Verdict;

const QUIT: u32 = 3;
const USR1: u32 = 10;
/// `SIGNAL_SIGUSR1` in the CRI's numbers.
const CRI_USR1: i32 = 29;

pub(super) const ALL: &[Case] = &[
    Case::new("handler", Known::with_grace(10), handler),
    Case::new("child_left", Known::with_grace(10), child_left),
    Case::new("ignored", Known::with_grace(2), ignored),
    Case::new("trap_ignored", Known::with_grace(2), trap_ignored),
    Case::new("too_slow", Known::with_grace(3), too_slow),
    Case::new("timeout_zero", Known::with_grace(10), timeout_zero),
    Case::new("stop_signal_of_image", Known::signal(10, QUIT), of_image),
    Case::new("stop_signal_of_spec", Known::signal(10, USR1), of_spec),
];

fn handler(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let stop = app.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .with_exit(0);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// It leaves a program behind that has not heard of the stop: the kernel kills that.
fn child_left(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let program = [
        "sh",
        "-c",
        "trap 'sleep 1.2; exit 0' TERM; sleep 1000 & wait",
    ];
    let (pod, app) = stage.run_container(ContainerSpec::from_command(&program))?;
    let stop = app.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .with_exit(0)
        .finding(FindingKind::KilledWithMain);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// The kernel throws a signal away for which PID 1 has no handler.
fn ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    ignored_by(stage, check, SLEEP)
}

/// A shell that has told the kernel to throw it away.
fn trap_ignored(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    ignored_by(
        stage,
        check,
        &["sh", "-c", "trap '' TERM; sleep 1000 & wait"],
    )
}

fn ignored_by(stage: &Stage<'_>, check: &mut Check, program: &[&str]) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(program))?;
    let stop = app.stop(2)?;
    let expected = Verdict::stopped(Outcome::SignalIgnored)
        .signal(TERM)
        .killed(KillCause::GraceExpired)
        .finding(FindingKind::SignalIgnored);
    check.container(stage, &app, Done::stopped(stop).killed_after(2), expected)?;
    check.end_pod(stage, &pod, &app)
}

fn too_slow(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(SLOW))?;
    let stop = app.stop(3)?;
    let expected = Verdict::stopped(Outcome::GraceExceeded)
        .signal(TERM)
        .killed(KillCause::GraceExpired)
        .finding(FindingKind::TooSlow);
    check.container(stage, &app, Done::stopped(stop).killed_after(3), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// No kubelet asks for it, but other clients of the CRI do.
fn timeout_zero(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let stop = app.stop(0)?;
    let expected = Verdict::stopped(Outcome::ForceKilled)
        .killed(KillCause::NoStopSignal)
        .finding(FindingKind::KilledWithoutStopSignal);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// `STOPSIGNAL` of the image.
fn of_image(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let program = [
        "sh",
        "-c",
        "trap 'kill $!; sleep 0.7; exit 0' QUIT; sleep 1000 & wait",
    ];
    let spec = ContainerSpec {
        image: IMAGE_QUIT,
        ..ContainerSpec::from_command(&program)
    };
    let (pod, app) = stage.run_container(spec)?;
    let stop = app.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(QUIT)
        .with_exit(0);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

/// `lifecycle.stopSignal` of the pod's specification, which wins over the image's.
fn of_spec(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let program = [
        "sh",
        "-c",
        "trap 'kill $!; sleep 0.7; exit 7' USR1; sleep 1000 & wait",
    ];
    let spec = ContainerSpec {
        image: IMAGE_QUIT,
        stop_signal: CRI_USR1,
        ..ContainerSpec::from_command(&program)
    };
    let (pod, app) = stage.run_container(spec)?;
    let stop = app.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(USR1)
        .with_exit(7);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}
