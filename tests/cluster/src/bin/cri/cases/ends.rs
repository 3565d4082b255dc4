//! Ends without StopContainer: the sandbox is stopped, the container removed by force, or it ends by itself.

use std::thread::sleep;
use std::time::Duration;

use agent_core::report::{FindingKind, KillCause, Outcome, Trigger};
use anyhow::Result;

use crate::case::{Case, Known};
use crate::cases::programs::HANDLER;
use crate::check::{Check, Done};
use crate::pod::ContainerSpec;
use crate::stage::Stage;
use crate::verdict::Verdict;

/// The limit of memory of the case that reaches it.
const MEMORY: i64 = 32 << 20;

pub(super) const ALL: &[Case] = &[
    Case::new("sandbox_stopped", Known::with_grace(10), sandbox_stopped),
    Case::new("removed_by_force", Known::with_grace(10), removed_by_force),
    Case::new("crash", Known::with_grace(10), crash_alone),
    Case::new("completes", Known::with_grace(10), completes),
    Case::new("out_of_memory", Known::with_grace(10), out_of_memory).limits_memory(),
];

fn killed() -> Verdict {
    Verdict::stopped(Outcome::ForceKilled)
        .killed(KillCause::NoStopSignal)
        .finding(FindingKind::KilledWithoutStopSignal)
}

/// containerd kills what still runs when its sandbox is stopped.
fn sandbox_stopped(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let stop = pod.stop()?;
    check.container(stage, &app, Done::stopped(stop), killed())?;
    check.end_pod(stage, &pod, &app)
}

fn removed_by_force(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(HANDLER))?;
    let stop = app.remove()?;
    check.container(stage, &app, Done::stopped(stop).removed(), killed())?;
    check.end_pod(stage, &pod, &app)
}

fn crash_alone(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    check_end(stage, check, "sleep 2; exit 3", by_itself(3))
}

fn completes(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    check_end(stage, check, "sleep 2; exit 0", by_itself(0))
}

/// It collects zeros until the kernel ends it.
fn out_of_memory(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = ContainerSpec {
        memory: Some(MEMORY),
        ..ContainerSpec::from_command(&["sh", "-c", "sleep 2; exec tail /dev/zero"])
    };
    let (pod, app) = stage.run_container(spec)?;
    let expected = Verdict::unasked(Outcome::OomKilled)
        .killed(KillCause::Oom)
        .finding(FindingKind::OomKilled);
    check.container(stage, &app, Done::default(), expected)?;
    check.end_pod(stage, &pod, &app)
}

fn by_itself(status: u8) -> Verdict {
    if status == 0 {
        Verdict::by_itself(Outcome::Completed, Trigger::Completed, status)
    } else {
        Verdict::by_itself(Outcome::Crashed, Trigger::Crashed, status)
    }
}

fn check_end(stage: &Stage<'_>, check: &mut Check, script: &str, expected: Verdict) -> Result<()> {
    let (pod, app) = stage.run_container(ContainerSpec::from_command(&["sh", "-c", script]))?;
    // Until a kubelet sees it and cleans up.
    sleep(Duration::from_secs(1));
    check.container(stage, &app, Done::default(), expected)?;
    check.end_pod(stage, &pod, &app)
}
