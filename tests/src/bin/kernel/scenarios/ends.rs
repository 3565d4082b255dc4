//! Ends that nobody asked for: a program that completes or crashes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::report::{Outcome, Report, Trigger};
use anyhow::Result;
use gracewatch_tests::rig::launch::Launch;

use crate::check::Check;
use crate::scenario::{Container, Scenario, Stage};

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("completed", |stage, check| {
        let container = stage.start_app("--on-stop exit --lifetime 300")?;
        check_exit_alone(
            stage,
            check,
            container,
            (Outcome::Completed, Trigger::Completed),
        )
    }),
    Scenario::without_spec("crashed", |stage, check| {
        let container = stage.start_app("--on-stop exit --lifetime 300 --code 3")?;
        check_exit_alone(
            stage,
            check,
            container,
            (Outcome::Crashed, Trigger::Crashed),
        )
    }),
    Scenario::without_spec("aborted", |stage, check| {
        let container = stage.app_sharing_pids("--on-stop exit --lifetime 300 --end abort")?;
        check_exit_alone(
            stage,
            check,
            container,
            (Outcome::Crashed, Trigger::Crashed),
        )
    }),
    Scenario::without_spec("crash_loop", crash_loop),
];

/// How often a program is begun anew.
const CRASHES: usize = 5;
/// How long it is not there in between.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the reports of all may take.
const LIMIT: Duration = Duration::from_secs(15);

/// A service whose program is begun anew in the same cgroup soon after each crash, as by `Restart=` of systemd.
fn crash_loop(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let cgroup = stage.cgroup("")?;
    let program = stage
        .rig
        .app_command(stage.name, "--on-stop exit --lifetime 100 --code 3");
    let launch = Launch::new(&cgroup, program).sharing_pids();
    let mut crashed = Vec::new();
    for _crash in 0..CRASHES {
        let mut main = launch.start(stage.toolbox())?;
        main.wait_end(LIMIT)?;
        crashed.push(main.pid());
        sleep(PAUSE);
    }
    cgroup.remove()?;
    let started = Instant::now();
    let reports = || stage.agent.reports(cgroup.path());
    while reports().len() < CRASHES && started.elapsed() < LIMIT {
        sleep(PAUSE);
    }
    let reports = reports();
    let reported: Vec<_> = reports.iter().filter_map(main_pid).collect();
    check.require_equal("main processes with a report", reported, crashed);
    for report in &reports {
        check.verdict(report, Outcome::Crashed, &[], &[]);
    }
    Ok(())
}

fn main_pid(report: &Report) -> Option<u32> {
    Some(report.main.as_ref()?.tgid.0)
}

/// No stop signal, no SIGKILL, only an exit with the status that the parent was told.
fn check_exit_alone(
    stage: &Stage<'_>,
    check: &mut Check,
    mut container: Container,
    expected: (Outcome, Trigger),
) -> Result<()> {
    let ended = container.main.wait_end(Duration::from_secs(20))?;
    let report = stage.report(&container)?;
    check.require_equal(
        "outcome and trigger",
        (report.outcome, report.trigger),
        expected,
    );
    check.require_equal("a stop signal", report.stop_signal.is_some(), false);
    check.require_equal("a SIGKILL", report.kill.is_some(), false);
    check.status(&report, ended.status);
    let own = container.log.at_step("exit")?;
    let at = report.exit.as_ref().map(|exit| exit.at);
    check.require(
        "the exit lies after the program's last word",
        at.is_some_and(|at| own <= at && at <= ended.told_at),
    );
    check.require_equal("T0", Some(report.started_at), at);
    Ok(())
}
