//! Native sidecars: they are stopped after the others, one after the other, the last one first.

use std::time::Duration;

use agent_core::report::{HookKind, HookMethod, Outcome, Trigger};
use anyhow::Result;

use super::hooks::{delete, said};
use super::programs::{container, handler, one, program};
use crate::check::{Check, How};
use crate::scenario::Scenario;
use crate::stage::Stage;

pub(crate) const ALL: [Scenario; 1] = [Scenario::anywhere("sidecars", sidecars)];

/// The hook of a sidecar runs at once, and what its container waits after that is the others' time and not the hook's.
fn sidecars(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let slow = program(
        "trap 'say stop; sleep 4; say exit; exit 0' TERM; say up; while :; do sleep 3600 & wait; done",
    );
    let always = "restartPolicy: Always";
    let hook = format!("{always}\n  lifecycle: {{ preStop: {{ sleep: {{ seconds: 1 }} }} }}");
    let sidecar = |name, more| container(name, &handler(), more);
    let init = format!(
        "initContainers:\n{}{}",
        sidecar("one", &hook),
        sidecar("two", always)
    );
    let pod = stage.pod("app", &format!("{init}{}", one(20, &slow, "")))?;
    let mut one_said = stage.witness(&pod, "one")?;
    let mut two_said = stage.witness(&pod, "two")?;
    let (app, mut app_said) = delete(stage, &pod)?;
    let two = stage.ended(&pod, "two")?;
    let one = stage.ended(&pod, "one")?;
    for (ended, witness) in [
        (&app, &mut app_said),
        (&two, &mut two_said),
        (&one, &mut one_said),
    ] {
        check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
        said(check, ended, witness)?;
        stage.compare(check, ended)?;
    }
    for (what, before, after) in [("main, two", &app, &two), ("two, one", &two, &one)] {
        let exit = before.report.exit.as_ref().map(|exit| exit.at);
        let stop = after.report.stop_signal.as_ref().map(|stop| stop.at);
        check.that(format!("order {what}"), exit.is_some() && exit < stop);
    }
    check.that(
        "only one has a hook",
        app.report.hook.is_none() && two.report.hook.is_none(),
    );
    check.hook(
        &one.report,
        HookKind::Sleep,
        HookMethod::Inferred,
        How::Ended,
    );
    let configured = Duration::from_secs(1);
    check.took("hook", one.report.hook_duration(), configured, "the spec");
    Ok(())
}
