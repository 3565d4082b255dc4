//! Pods that share what others have for themselves, and that have more than one container.

use std::thread::sleep;

use agent_core::report::{FindingKind, Outcome, Trigger};
use anyhow::Result;

use super::hooks::{check_stop_and_exit, delete};
use super::programs::{IMAGE, START_UP, container, handler, pod_spec, program};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 7] = [
    Scenario::anywhere("host_pid", host_pid),
    Scenario::anywhere("share_pid", share_pid),
    Scenario::anywhere("host_network", host_network),
    Scenario::anywhere("user_ns", user_ns),
    Scenario::anywhere("two_containers", two_containers),
    Scenario::anywhere("init", init_container),
    Scenario::anywhere("ephemeral", ephemeral),
];

/// In the node's pid namespace.
fn host_pid(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    no_pid_1(stage, check, "hostPID: true")
}

/// In one pid namespace with the other containers and `pause`.
fn share_pid(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    no_pid_1(stage, check, "shareProcessNamespace: true")
}

/// Two programs that are not PID 1: one with a handler, and one without, which the stop signal ends as any process.
fn no_pid_1(stage: &Stage<'_>, check: &mut Check, with: &str) -> Result<()> {
    let plain = container("plain", "[sleep, infinity]", "");
    let spec = pod_spec(10, &handler(), "");
    let pod = stage.create_pod("app", &format!("{with}\n{spec}{plain}"))?;
    sleep(START_UP);
    let (app, mut witness) = delete(stage, &pod)?;
    check.verdict(&app.report, Outcome::Graceful, Trigger::Deleted, &[]);
    let main = app.report.main.as_ref();
    check.require(
        "its main process is not PID 1",
        main.is_some_and(|main| main.ns_tgid != 1 && main.comm == "sh"),
    );
    check_stop_and_exit(check, &app, &mut witness)?;
    stage.compare(check, &app)?;
    let plain = stage.wait_for_report(&pod, "plain")?;
    check.verdict(&plain.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check.staged("exit code", stage.exit_code(&plain)?, 143);
    stage.compare(check, &plain)
}

/// With the node's addresses.
fn host_network(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    with_handler(stage, check, "hostNetwork: true")
}

/// Its root is nobody on the node.
fn user_ns(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    with_handler(stage, check, "hostUsers: false")
}

fn with_handler(stage: &Stage<'_>, check: &mut Check, with: &str) -> Result<()> {
    let spec = pod_spec(10, &handler(), "");
    let pod = stage.create_pod("app", &format!("{with}\n{spec}"))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    stage.compare(check, &ended)
}

/// Each has its own verdict.
fn two_containers(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let deaf = container("deaf", "[sleep, infinity]", "");
    let spec = pod_spec(3, &handler(), "");
    let pod = stage.create_pod("app", &format!("{spec}{deaf}"))?;
    sleep(START_UP);
    let (app, mut witness) = delete(stage, &pod)?;
    check.verdict(&app.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &app, &mut witness)?;
    stage.compare(check, &app)?;
    let deaf = stage.wait_for_report(&pod, "deaf")?;
    check.verdict(
        &deaf.report,
        Outcome::SignalIgnored,
        Trigger::Deleted,
        &[FindingKind::SignalIgnored],
    );
    let line = stage.check_event(check, &pod, "StopSignalIgnored")?;
    check.require("the Event names the container", line.contains("deaf"));
    stage.compare(check, &deaf)
}

/// One that does its work before the others begin.
fn init_container(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let setup = program("say up; sleep 3; say exit");
    let setup = container("setup", &setup, "");
    let spec = pod_spec(10, &handler(), "");
    let spec = format!("initContainers:\n{setup}{spec}");
    let pod = stage.begun_pod("app", &spec, "setup")?;
    let mut witness = stage.witness(&pod, "setup")?;
    let ended = stage.wait_for_report(&pod, "setup")?;
    check.verdict(&ended.report, Outcome::Completed, Trigger::Completed, &[]);
    let exit = ended.report.exit.as_ref().map(|exit| exit.at);
    check.when_announced(
        "exit",
        exit,
        witness.wait_for_first("exit")?,
        "the container",
    );
    stage.compare(check, &ended)?;
    let pod = stage.wait_until_ready("app")?;
    let (ended, mut witness) = delete(stage, &pod)?;
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
    check_stop_and_exit(check, &ended, &mut witness)?;
    stage.compare(check, &ended)
}

/// One that was added to the running pod.
fn ephemeral(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    stage.create_pod("app", &pod_spec(10, &handler(), ""))?;
    let command: Vec<String> = serde_json::from_str(&handler())?;
    let image = format!("--image={IMAGE}");
    let debug = [
        "debug",
        "app",
        "--container=debug",
        "--profile=general",
        "--image-pull-policy=IfNotPresent",
        &image,
        "--",
    ];
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    stage.kubectl(&[&debug, command.as_slice()].concat())?;
    let pod = stage.wait_until_started("app", "debug")?;
    let mut debug_said = stage.witness(&pod, "debug")?;
    let (app, mut app_said) = delete(stage, &pod)?;
    let debug = stage.wait_for_report(&pod, "debug")?;
    for (ended, witness) in [(&app, &mut app_said), (&debug, &mut debug_said)] {
        check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
        check_stop_and_exit(check, ended, witness)?;
        stage.compare(check, ended)?;
    }
    Ok(())
}
