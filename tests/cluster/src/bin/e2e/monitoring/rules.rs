//! The rules: each was evaluated without an error, and what the scenarios did is seen by the alerts that are about it.

use anyhow::Result;
use serde_json::Value;

use super::json::{list_of, text_of};
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

pub(super) fn query_rules(prometheus: &Prometheus, all_ran: bool, check: &mut Check) -> Result<()> {
    let mut rules = 0;
    for group in prometheus.rule_groups()? {
        for rule in list_of(&group, "rules") {
            rules += 1;
            let (name, error) = (text_of(rule, "name"), text_of(rule, "lastError"));
            if text_of(rule, "health") == "err" || !error.is_empty() {
                check.require_equal(format!("rule {name}"), error, "");
            }
            // Evaluated or not yet: the query itself must be one.
            prometheus.instant(text_of(rule, "query"))?;
            if all_ran {
                check_rule(prometheus, rule, name, check)?;
            }
        }
    }
    check.require("rules are loaded", rules > 0);
    Ok(())
}

fn check_rule(prometheus: &Prometheus, rule: &Value, name: &str, check: &mut Check) -> Result<()> {
    if text_of(rule, "type") == "recording" {
        check.require(
            format!("{name} has series"),
            !prometheus.instant(name)?.is_empty(),
        );
    }
    let state = text_of(rule, "state");
    if SEEN.contains(&name) {
        check.require(format!("{name} is seen"), state != "inactive");
    }
    if NOT_SEEN.contains(&name) {
        check.require_equal(format!("state of {name}"), state, "inactive");
    }
    Ok(())
}
