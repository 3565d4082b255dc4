//! Containers that nobody asked to stop.

use agent_core::report::{FindingKind, Outcome, Trigger};
use anyhow::Result;

use super::programs::{pod_spec, program};
use crate::check::Check;
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 2] = [
    Scenario::anywhere("crash", failing_exit),
    Scenario::anywhere("oom", oom_killed),
];

/// It ends with a status of failure.
fn failing_exit(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let spec = pod_spec(10, &program("say up; sleep 4; say exit; exit 3"), "");
    let pod = stage.begun_pod("app", &format!("restartPolicy: Never\n{spec}"), "app")?;
    let mut witness = stage.witness(&pod, "app")?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(&ended.report, Outcome::Crashed, Trigger::Crashed, &[]);
    let exit = ended.report.exit.as_ref().map(|exit| exit.at);
    check.when_announced(
        "exit",
        exit,
        witness.wait_for_first("exit")?,
        "the container",
    );
    check.staged("exit code", stage.exit_code(&ended)?, 3);
    stage.compare(check, &ended)
}

/// Its memory grows over its limit.
fn oom_killed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let glutton = program("say up; sleep 4; x=1234567890; while :; do x=$x$x; done");
    let spec = pod_spec(10, &glutton, "resources: { limits: { memory: 32Mi } }");
    let pod = stage.begun_pod("app", &format!("restartPolicy: Never\n{spec}"), "app")?;
    let ended = stage.wait_for_report(&pod, "app")?;
    check.verdict(
        &ended.report,
        Outcome::OomKilled,
        Trigger::Unknown,
        &[FindingKind::OomKilled],
    );
    check.staged(
        "reason",
        stage.reason(&ended)?.as_deref(),
        Some("OOMKilled"),
    );
    stage.check_event(check, &pod, "OOMKilled")?;
    stage.compare(check, &ended)
}
