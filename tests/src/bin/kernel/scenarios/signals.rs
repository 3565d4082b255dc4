//! Stop signals and what becomes of them: handled, ignored, blocked, outlived, raised again from inside.

use std::time::Duration;

use agent_core::event::{Delivery, ExitStatus, Handler};
use agent_core::report::{FindingKind, KillCause, Outcome, Report};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::rig::kubelet::{Stop, Stopped};
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::stage::Via;
use rustix::process::{Pid, kill_process};

use crate::check::Check;
use crate::scenario::{Container, Rig, Scenario, Stage, signal, within};

const SOON: Duration = Duration::from_secs(20);

pub(crate) const ALL: &[Scenario] = &[
    Scenario::with_spec(
        "handler",
        |rig, name| vec![rig.selector(name, Some(5))],
        handler,
    ),
    Scenario::without_spec("handler_pidfd", handler_pidfd),
    Scenario::with_spec(
        "sleep_as_pid_1",
        |rig, name| vec![rig.selector(name, Some(2))],
        sleep_as_pid_1,
    ),
    Scenario::with_spec(
        "sleep_stopped_young",
        |rig, name| vec![rig.selector(name, Some(2))],
        sleep_stopped_young,
    ),
    Scenario::with_spec("ignored_by_program", ignored_known, ignored_by_program),
    Scenario::with_spec(
        "too_slow",
        |rig, name| vec![rig.selector(name, Some(2))],
        too_slow,
    ),
    Scenario::with_spec(
        "never_exits",
        |rig, name| vec![rig.selector(name, Some(2))],
        never_exits,
    ),
    Scenario::with_spec(
        "sigwait",
        |rig, name| vec![rig.selector(name, Some(5))],
        sigwait,
    ),
    Scenario::with_spec(
        "self_raise",
        |rig, name| vec![rig.selector(name, Some(5))],
        self_raise,
    ),
    Scenario::with_spec("two_at_once", two_known, two_at_once),
    Scenario::without_spec("stopped_before_watched", stopped_before_watched),
    Scenario::with_spec(
        "stopped_right_after_start",
        |rig, name| vec![rig.selector(name, Some(2))],
        stopped_at_start,
    ),
];

/// The exit by the program's own clock: from the sent signal to the last thing it wrote down.
fn own_exit(
    check: &mut Check,
    report: &Report,
    stopped: &Stopped,
    container: &Container,
) -> Result<()> {
    let own = container.log.at_step("exit")?.since(stopped.signal.after);
    let longest = stopped.ended.told_at.since(stopped.signal.before);
    let measured = report.stop_signal_to_exit();
    check.took_between("stop signal to exit", measured, own, longest);
    Ok(())
}

fn delivery(check: &mut Check, report: &Report, expected: (Delivery, Handler, bool)) {
    let found = report
        .stop_signal
        .as_ref()
        .map(|stop| (stop.result, stop.handler, stop.blocked));
    check.require_equal("result, handler, blocked", found, Some(expected));
}

/// A program with a handler exits within its grace.
fn handler(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --takes 700")?;
    let stopped = stage.stop(&mut container, &within(5))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[], &[]);
    delivery(
        check,
        &report,
        (Delivery::Delivered, Handler::Custom, false),
    );
    own_exit(check, &report, &stopped, &container)?;
    check.require_equal(
        "T0",
        report.started_at,
        report
            .stop_signal
            .as_ref()
            .or_wrong(|| "no stop signal".to_owned())?
            .at,
    );
    let main = report
        .main
        .as_ref()
        .or_wrong(|| "no main process".to_owned())?;
    check.require_equal(
        "main process",
        (main.tgid.0, main.ns_tgid, main.ns_level),
        (container.main.pid(), 1, 1),
    );
    check.require_equal("its comm", main.comm.as_str(), "app");
    check.require_equal(
        "its command line",
        &main.argv,
        &stage
            .rig
            .app_command(stage.name, "--on-stop exit --takes 700"),
    );
    check.require(
        "its start lies after the shim's clock",
        main.start >= container.main.started_after(),
    );
    let exit = report.exit.as_ref().or_wrong(|| "no exit".to_owned())?.at;
    check.require(
        "it was released after its exit",
        report.released_at.is_some_and(|at| at >= exit),
    );
    check.require_equal("signals from inside", report.signals_inside, 0);
    Ok(())
}

/// The same with pidfd_send_signal, as runtimes do today, and no grace period known.
fn handler_pidfd(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --takes 300 --code 7")?;
    let stopped = stage.stop(
        &mut container,
        &Stop {
            via: Via::Pidfd,
            ..within(5)
        },
    )?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    check.require_equal("grace", report.grace.is_some(), false);
    own_exit(check, &report, &stopped, &container)
}

/// `sleep` as PID 1 has no handler: the kernel throws SIGTERM away.
fn sleep_as_pid_1(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_sleeper()?;
    // In its first second it might still be going to install a handler.
    std::thread::sleep(Duration::from_millis(1200));
    let report = ignored_as_pid_1(stage, check, &mut container)?;
    check.verdict(
        &report,
        Outcome::SignalIgnored,
        &[FindingKind::SignalIgnored],
        &[],
    );
    Ok(())
}

/// The same of one that was just started: the agent cannot know that it would never have installed a handler.
fn sleep_stopped_young(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let cgroup = stage.cgroup("")?;
    let main = Launch::new(&cgroup, stage.rig.command("sleep", "600")).start(stage.toolbox())?;
    main.wait_exec()?;
    std::thread::sleep(Duration::from_millis(300));
    let log = stage.toolbox().log(stage.name);
    let mut container = Container { cgroup, main, log };
    let report = ignored_as_pid_1(stage, check, &mut container)?;
    check.require_equal("outcome", report.outcome, Outcome::SignalIgnored);
    if !stage.rig.slow {
        let findings = [FindingKind::SignalIgnored, FindingKind::SignalBeforeHandler];
        check.verdict(&report, Outcome::SignalIgnored, &findings, &[]);
    }
    Ok(())
}

fn ignored_as_pid_1(
    stage: &Stage<'_>,
    check: &mut Check,
    container: &mut Container,
) -> Result<Report> {
    let stopped = stage.stop(container, &within(2))?;
    let report = stage.report(container)?;
    check.stop(&report, &stopped, Signal::TERM);
    delivery(check, &report, (Delivery::Ignored, Handler::Default, false));
    check.require_equal(
        "cause of SIGKILL",
        report.kill.as_ref().map(|kill| kill.cause),
        Some(KillCause::GraceExpired),
    );
    Ok(report)
}

/// SIGPIPE, which Rust programs ignore from their start, stands for any stop signal that a program ignores.
fn ignored_known(rig: &Rig, name: &str) -> Vec<agent_core::config::Selector> {
    let mut selector = rig.selector(name, Some(2));
    selector.stop_signal = Signal::try_from(13).ok();
    vec![selector]
}

fn ignored_by_program(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.app_sharing_pids("--on-stop default")?;
    let stopped = stage.stop(
        &mut container,
        &Stop {
            signal: signal(13)?,
            ..within(2)
        },
    )?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, signal(13)?);
    check.verdict(
        &report,
        Outcome::SignalIgnored,
        &[FindingKind::SignalIgnored],
        &[],
    );
    delivery(check, &report, (Delivery::Ignored, Handler::Ignore, false));
    Ok(())
}

/// A handler that takes longer than the grace period.
fn too_slow(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --takes 60000")?;
    let stopped = stage.stop(&mut container, &within(2))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(
        &report,
        Outcome::GraceExceeded,
        &[FindingKind::TooSlow],
        &[],
    );
    delivery(
        check,
        &report,
        (Delivery::Delivered, Handler::Custom, false),
    );
    check.require_equal(
        "cause of SIGKILL",
        report.kill.as_ref().map(|kill| kill.cause),
        Some(KillCause::GraceExpired),
    );
    Ok(())
}

/// A handler that only takes note; the stop signal comes twice.
fn never_exits(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop never")?;
    let pid = container.main.pid();
    let first =
        gracewatch_tests::rig::kubelet::send_signal(stage.toolbox(), pid, Signal::TERM, Via::Kill)?;
    container.log.wait_for("signal", Duration::from_secs(5))?;
    let stopped = stage.stop(&mut container, &within(2))?;
    let report = stage.report(&container)?;
    check.require_equal("outcome", report.outcome, Outcome::GraceExceeded);
    check.check_time(
        "the first stop signal",
        report.stop_signal.as_ref().map(|stop| stop.at),
        first,
    );
    check.require_equal("further stop signals", report.stop_signals_repeated, 1);
    check.check_exit(&report, &stopped);
    Ok(())
}

/// A program that blocks the signal and fetches it: delivered, although it has no handler.
fn sigwait(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop sigwait --takes 400")?;
    let stopped = stage.stop(&mut container, &within(5))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[], &[]);
    delivery(
        check,
        &report,
        (Delivery::Delivered, Handler::Default, true),
    );
    own_exit(check, &report, &stopped, &container)
}

/// Go's runtime raises a signal that it was told to pass on; as PID 1 that is thrown away, and it exits with 2.
fn self_raise(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop self-raise")?;
    let stopped = stage.stop(&mut container, &within(5))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[], &[]);
    delivery(
        check,
        &report,
        (Delivery::Delivered, Handler::Custom, false),
    );
    check.require_equal(
        "stop signals from outside after the first",
        report.stop_signals_repeated,
        0,
    );
    check.require_equal(
        "exit",
        report.exit.map(|exit| exit.status),
        Some(ExitStatus::Code(2)),
    );
    Ok(())
}

fn two_known(rig: &Rig, name: &str) -> Vec<agent_core::config::Selector> {
    ["graceful", "stubborn"]
        .map(|suffix| rig.selector(&format!("{name}-{suffix}"), Some(2)))
        .into()
}

/// Two containers stop at the same time, one exits and one is killed: neither gets the other's facts.
fn two_at_once(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut graceful = stage.app_as("graceful", "--on-stop exit --takes 500 --code 3")?;
    let mut stubborn = stage.app_as("stubborn", "--on-stop never")?;
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| stage.stop(&mut graceful, &within(2)));
        let second = stage.stop(&mut stubborn, &within(2));
        (first.join(), second)
    });
    let first = first.map_err(|_panic| anyhow::anyhow!("the first stop panicked"))??;
    let second = second?;
    let report = stage.report(&graceful)?;
    check.stop(&report, &first, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[], &[]);
    check.require_equal(
        "main process",
        report.main.as_ref().map(|main| main.tgid.0),
        Some(graceful.main.pid()),
    );
    own_exit(check, &report, &first, &graceful)?;
    let report = stage.report(&stubborn)?;
    check.stop(&report, &second, Signal::TERM);
    check.verdict(
        &report,
        Outcome::GraceExceeded,
        &[FindingKind::TooSlow],
        &[],
    );
    check.require_equal(
        "main process",
        report.main.as_ref().map(|main| main.tgid.0),
        Some(stubborn.main.pid()),
    );
    Ok(())
}

/// The stop follows the start as fast as it can: the agent may have doubts, but tells nothing wrong.
fn stopped_at_start(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let cgroup = stage.cgroup("")?;
    let launch = Launch::new(&cgroup, stage.rig.app_command(stage.name, "--on-stop exit"));
    let mut main = launch.start(stage.toolbox())?;
    let log = stage.toolbox().log(stage.name);
    log.wait_for("ready", SOON)?;
    let stopped = within(2).run(stage.toolbox(), &mut main, &|_act| {})?;
    let container = Container { cgroup, main, log };
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    check.notes.extend(
        report
            .doubts
            .iter()
            .map(|doubt| format!("doubt: {doubt:?}")),
    );
    own_exit(check, &report, &stopped, &container)
}

/// A race that the agent can lose: SIGTERM comes the moment the process is in the cgroup, and SIGKILL later. Whatever the
/// agent says then must be right, or not certain.
fn stopped_before_watched(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    for round in 0..if stage.rig.slow { 3 } else { 12 } {
        let cgroup = stage.cgroup(&round.to_string())?;
        let launch = Launch::new(&cgroup, stage.rig.command("sleep", "600"));
        let mut main = launch.start(stage.toolbox())?;
        let members = cgroup.directory().join("cgroup.procs");
        while std::fs::read_to_string(&members)?.is_empty() {
            std::hint::spin_loop();
        }
        let pid = Pid::from_raw(main.pid().cast_signed()).context("no pid")?;
        kill_process(pid, rustix::process::Signal::TERM)?;
        std::thread::sleep(Duration::from_millis(200));
        kill_process(pid, rustix::process::Signal::KILL)?;
        main.wait_end(SOON)?;
        cgroup.remove()?;
        let report = stage.report_of(&cgroup)?;
        let right = report.stop_signal.is_some() && report.outcome != Outcome::ForceKilled;
        check.require(
            format!(
                "round {round}: {:?} for certain; signals from outside to others: {}",
                report.outcome, report.signals_outside
            ),
            right || !report.doubts.is_empty(),
        );
    }
    Ok(())
}
