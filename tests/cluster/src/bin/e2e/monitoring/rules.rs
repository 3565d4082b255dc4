//! The rules: each was evaluated without an error, and what the scenarios did is seen by the alerts that are about it.

use anyhow::Result;
use serde_json::Value;

use super::json::{list, text};
use super::prometheus::Prometheus;
use crate::check::Check;

/// What the scenarios do for certain, so that these alerts are pending or firing in the end.
const SEEN: [&str; 2] = [
    "TerminationStopSignalIgnored",
    "TerminationPreStopHookOverran",
];
/// What must not be said of agents that are well.
const NOT_SEEN: [&str; 6] = [
    "GracewatchAbsent",
    "GracewatchAgentDown",
    "GracewatchAgentMissing",
    "GracewatchAgentNotReady",
    "GracewatchEventsLost",
    "GracewatchInternalErrors",
];

pub(super) fn ask(prometheus: &Prometheus, all_ran: bool, check: &mut Check) -> Result<()> {
    let mut rules = 0;
    for group in prometheus.rules()? {
        for rule in list(&group, "rules") {
            rules += 1;
            let (name, error) = (text(rule, "name"), text(rule, "lastError"));
            if text(rule, "health") == "err" || !error.is_empty() {
                check.same(format!("rule {name}"), error, "");
            }
            // Evaluated or not yet: the query itself must be one.
            prometheus.instant(text(rule, "query"))?;
            if all_ran {
                judge(prometheus, rule, name, check)?;
            }
        }
    }
    check.that("rules are loaded", rules > 0);
    Ok(())
}

fn judge(prometheus: &Prometheus, rule: &Value, name: &str, check: &mut Check) -> Result<()> {
    if text(rule, "type") == "recording" {
        check.that(
            format!("{name} has series"),
            !prometheus.instant(name)?.is_empty(),
        );
    }
    let state = text(rule, "state");
    if SEEN.contains(&name) {
        check.that(format!("{name} is seen"), state != "inactive");
    }
    if NOT_SEEN.contains(&name) {
        check.same(format!("state of {name}"), state, "inactive");
    }
    Ok(())
}
