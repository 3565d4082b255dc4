//! Ends that nobody asked for: a program that completes or crashes.

use std::time::Duration;

use agent_core::report::{Outcome, Trigger};
use anyhow::Result;

use crate::check::Check;
use crate::scenario::{Container, Scenario, Stage};

pub(crate) const ALL: &[Scenario] = &[
    Scenario::plain("completed", |stage, check| {
        let container = stage.app("--on-stop exit --lifetime 300")?;
        ended(
            stage,
            check,
            container,
            (Outcome::Completed, Trigger::Completed),
        )
    }),
    Scenario::plain("crashed", |stage, check| {
        let container = stage.app("--on-stop exit --lifetime 300 --code 3")?;
        ended(
            stage,
            check,
            container,
            (Outcome::Crashed, Trigger::Crashed),
        )
    }),
    Scenario::plain("aborted", |stage, check| {
        let container = stage.app_sharing_pids("--on-stop exit --lifetime 300 --end abort")?;
        ended(
            stage,
            check,
            container,
            (Outcome::Crashed, Trigger::Crashed),
        )
    }),
];

/// No stop signal, no SIGKILL, only an exit with the status that the parent was told.
fn ended(
    stage: &Stage<'_>,
    check: &mut Check,
    mut container: Container,
    expected: (Outcome, Trigger),
) -> Result<()> {
    let ended = container.main.wait_end(Duration::from_secs(20))?;
    let report = stage.report(&container)?;
    check.same(
        "outcome and trigger",
        (report.outcome, report.trigger),
        expected,
    );
    check.same("a stop signal", report.stop_signal.is_some(), false);
    check.same("a SIGKILL", report.kill.is_some(), false);
    check.status(&report, ended.status);
    let own = container.log.at_step("exit")?;
    let at = report.exit.as_ref().map(|exit| exit.at);
    check.that(
        "the exit lies after the program's last word",
        at.is_some_and(|at| own <= at && at <= ended.told_at),
    );
    check.same("T0", Some(report.started_at), at);
    Ok(())
}
