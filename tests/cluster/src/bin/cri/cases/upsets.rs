//! Stops that do not go straight: asked for twice, or the runtime is restarted in the middle.

use std::thread::{self, sleep};
use std::time::Duration;

use agent_core::report::{Doubt, FindingKind, KillCause, Outcome};
use anyhow::{Result, anyhow};
use gracewatch_tests::rig::clock::{self, Span};

use crate::case::{Case, Known};
use crate::cases::programs::{SLOW, TERM};
use crate::check::{Check, Done};
use crate::pod::ContainerSpec;
use crate::stage::Stage;
use crate::verdict::Verdict;

/// A grace in seconds that no restart of containerd takes, so that SIGKILL cannot come by chance when it would be over.
const LONG: u64 = 60;

pub(super) const ALL: &[Case] = &[
    Case::new("stopped_twice", Known::with_grace(10), stopped_twice),
    Case::new(
        "containerd_restarted",
        Known::with_grace(LONG),
        containerd_restarted,
    )
    .alone(),
];

/// The runtime ended the grace, but not when the specification says: which one it was told is known to nobody else.
fn too_slow() -> Verdict {
    Verdict::stopped(Outcome::GraceExceeded)
        .signal(TERM)
        .killed(KillCause::GraceExpired)
        .finding(FindingKind::TooSlow)
        .with_doubt(Doubt::GraceUnknown)
}

/// A second StopContainer, 1 s after the first, with 2 s: containerd does not send the stop signal again, but SIGKILL
/// comes when the shorter time is over, 3 s after the stop signal.
fn stopped_twice(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(SLOW))?;
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| app.stop(10));
        sleep(Duration::from_secs(1));
        let second = app.stop(2);
        (first.join(), second)
    });
    let first = first.map_err(|_panic| anyhow!("the first stop's thread panicked"))??;
    let stop = Span {
        before: first.before,
        after: first.after.max(second?.after),
    };
    check.container(stage, &app, Done::stopped(stop).killed_after(3), too_slow())?;
    check.end_pod(stage, &pod, &app)
}

/// The new containerd does not know that the stop signal was sent, and sends it again when the kubelet asks again.
fn containerd_restarted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(SLOW))?;
    let before = clock::now();
    thread::scope(|scope| {
        // It ends with the containerd that it asked.
        scope.spawn(|| app.stop(LONG).is_err());
        sleep(Duration::from_secs(1));
        stage.rig.restart_containerd()
    })?;
    let again = app.stop(2)?;
    let stop = Span {
        before,
        after: again.after,
    };
    check.container(stage, &app, Done::stopped(stop), too_slow().with_repeats(1))?;
    check.end_pod(stage, &pod, &app)
}
