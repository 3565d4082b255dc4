//! Namespaces: a pid namespace for the pod, the machine's own, a user namespace.

use agent_core::report::{FindingKind, KillCause, Outcome};
use anyhow::Result;

use crate::case::{Case, Known};
use crate::cases::programs::{HANDLER, SLEEP, SLOW, TERM};
use crate::check::{Check, Done};
use crate::pod::{ContainerSpec, Namespaces};
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) const ALL: &[Case] = &[
    Case::new("shared_pids", Known::with_grace(3), shared_pids),
    Case::new("host_pids", Known::with_grace(10), host_pids),
    Case::new("own_users", Known::with_grace(10), own_users),
];

/// No container's process is PID 1: that is the sandbox's. So the kernel throws no signal away, and `sleep` dies of it.
fn shared_pids(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, plain) = stage.one_in(
        Namespaces::SharedPids,
        ContainerSpec {
            name: "plain",
            ..ContainerSpec::from_command(SLEEP)
        },
    )?;
    let (handler, slow) = (
        pod.start(ContainerSpec {
            name: "handler",
            ..ContainerSpec::from_command(HANDLER)
        })?,
        pod.start(ContainerSpec {
            name: "slow",
            ..ContainerSpec::from_command(SLOW)
        })?,
    );
    std::thread::sleep(crate::stage::WARM_UP);
    let stop = plain.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .ended_by(TERM);
    check.container(stage, &plain, Done::stopped(stop), expected)?;
    let stop = handler.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .with_exit(0);
    check.container(stage, &handler, Done::stopped(stop), expected)?;
    let stop = slow.stop(3)?;
    let expected = Verdict::stopped(Outcome::GraceExceeded)
        .signal(TERM)
        .killed(KillCause::GraceExpired)
        .finding(FindingKind::TooSlow);
    check.container(stage, &slow, Done::stopped(stop).killed_after(3), expected)?;
    check.end_pod(stage, &pod, &slow)
}

/// When the main process has ended, the runtime kills what it left behind, which is no SIGKILL for the container.
fn host_pids(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.one_in(Namespaces::HostPids, ContainerSpec::from_command(HANDLER))?;
    let stop = app.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .with_exit(0);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}

fn own_users(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (pod, app) = stage.one_in(Namespaces::OwnUsers, ContainerSpec::from_command(HANDLER))?;
    let stop = app.stop(10)?;
    let expected = Verdict::stopped(Outcome::Graceful)
        .signal(TERM)
        .with_exit(0);
    check.container(stage, &app, Done::stopped(stop), expected)?;
    check.end_pod(stage, &pod, &app)
}
