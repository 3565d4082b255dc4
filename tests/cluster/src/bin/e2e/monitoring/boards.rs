//! The dashboards: each query is put as Grafana would put it with `All` chosen everywhere, and each has an answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use gracewatch_tests::harness::is_wrong_verdict;
use serde_json::{Map, Value, json};

use super::json::{is_true, list_of, text_of};
use super::prometheus::Prometheus;
use crate::check::Check;

/// What Grafana puts in the place of its variables.
const VARIABLES: [(&str, &str); 9] = [
    ("$__rate_interval", "15s"),
    ("$__range_s", "3600"),
    ("$__range", "1h"),
    ("$cluster", ".*"),
    ("$namespace", ".*"),
    ("$workload", ".*"),
    ("$container", ".*"),
    ("$pod", ".*"),
    ("$node", ".*"),
];
/// The distance of two points of a graph.
const STEP: &str = "5s";

/// Panels that are rightly empty where all is well: dashboard, title, and why. What they count must be there.
const RIGHTLY_EMPTY: [(&str, &str, &str); 7] = [
    (
        "gracewatch-pod",
        "Connections at the stop signal and after",
        "whether a connection is accepted between the stop signal and the exit is up to the moment",
    ),
    ("gracewatch-agents", "Down", "every agent answers"),
    ("gracewatch-agents", "Not ready", "every agent has scanned"),
    (
        "gracewatch-agents",
        "Probes not attached",
        "this kernel takes all",
    ),
    ("gracewatch-agents", "Watches down", "the API server is up"),
    (
        "gracewatch-workload",
        "Advised preStop sleep",
        "no workload had 20 stops",
    ),
    (
        "gracewatch-workload",
        "Advised grace period",
        "no workload had 20 stops",
    ),
];
/// Metrics that are rightly absent, and why.
const RIGHTLY_ABSENT: [(&str, &str); 3] = [
    (
        "gracewatch_program_run_seconds_total",
        "kernel.bpf_stats_enabled is 0",
    ),
    (
        "workload_termination_recommended_prestop_sleep_seconds",
        "no workload had 20 stops",
    ),
    (
        "workload_termination_recommended_grace_seconds",
        "no workload had 20 stops",
    ),
];

/// All answers: by dashboard, by panel, one for each query.
pub(super) fn query_boards(
    prometheus: &Prometheus,
    folder: &Path,
    all_ran: bool,
    check: &mut Check,
) -> Result<Value> {
    let mut answers = Map::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let board: Value = serde_json::from_str(&fs::read_to_string(entry?.path())?)?;
        let mut asking = Asking {
            prometheus,
            uid: text_of(&board, "uid"),
            all_ran,
            check,
        };
        asking.variables(&board)?;
        let mut of_board = BTreeMap::new();
        for panel in list_of(&board, "panels") {
            let id = panel.get("id").map(Value::to_string).unwrap_or_default();
            of_board.insert(id, asking.query_panel(panel)?);
        }
        answers.insert(text_of(&board, "uid").to_owned(), json!(of_board));
    }
    check.require("there are dashboards", !answers.is_empty());
    Ok(Value::Object(answers))
}

/// One dashboard that is asked for.
struct Asking<'a> {
    prometheus: &'a Prometheus,
    uid: &'a str,
    all_ran: bool,
    check: &'a mut Check,
}

impl Asking<'_> {
    /// The values to choose from.
    fn variables(&mut self, board: &Value) -> Result<()> {
        let variables = board.get("templating").map(|all| list_of(all, "list"));
        for variable in variables.unwrap_or_default() {
            let query = text_of(variable, "definition");
            let inner = query
                .strip_prefix("label_values(")
                .and_then(|inner| inner.strip_suffix(')'));
            let Some((selector, label)) = inner.and_then(|inner| inner.rsplit_once(", ")) else {
                continue;
            };
            let values = self
                .prometheus
                .label_values(&fill_variables(selector), label)?;
            // One cluster alone needs no name.
            if self.all_ran && label != "cluster" {
                let what = format!("{}: the variable {label} has values", self.uid);
                self.check.require(what, !values.is_empty());
            }
        }
        Ok(())
    }

    fn query_panel(&mut self, panel: &Value) -> Result<Vec<Value>> {
        let title = text_of(panel, "title");
        let mut answers = Vec::new();
        for query in list_of(panel, "targets") {
            let expr = fill_variables(text_of(query, "expr"));
            let name = text_of(query, "refId");
            let what = format!("{}: {title} ({name})", self.uid);
            let asked = if is_true(query, "instant") {
                self.prometheus.instant(&expr)
            } else {
                self.prometheus.query_range(&expr, STEP)
            };
            match asked {
                Err(error) if is_wrong_verdict(&error) => {
                    self.check
                        .require_equal(what, format!("{error:#}"), "an answer".to_owned());
                }
                Err(error) => return Err(error),
                Ok(series) => {
                    if self.all_ran {
                        self.check_answer(title, &expr, &what, series.is_empty())?;
                    }
                    if self.all_ran && is_true(query, "exemplar") {
                        let found = self.prometheus.exemplars(&expr)?;
                        self.check
                            .require(format!("{what} has exemplars"), !found.is_empty());
                    }
                    answers.push(json!({ "refId": name, "series": series }));
                }
            }
        }
        Ok(answers)
    }

    /// Not empty, or rightly so: then what it counts is there.
    fn check_answer(&mut self, title: &str, expr: &str, what: &str, is_empty: bool) -> Result<()> {
        let what = format!("{what} has an answer, or rightly none");
        if !is_empty {
            self.check.require(what, true);
            return Ok(());
        }
        let mut absent = Vec::new();
        for name in metrics(expr) {
            let there = format!("count(last_over_time({name}[1h]))");
            if self.prometheus.instant(&there)?.is_empty() {
                absent.push(name);
            }
        }
        let excused = |name: &&str| RIGHTLY_ABSENT.iter().any(|(known, _)| known == name);
        let is_listed = RIGHTLY_EMPTY
            .iter()
            .any(|(board, panel, _)| *board == self.uid && *panel == title);
        let rightly = absent.iter().all(excused) && (is_listed || !absent.is_empty());
        if rightly {
            self.check.require(what, true);
        } else {
            let got = format!("none; absent: {}", absent.join(", "));
            self.check.require_equal(what, got, "an answer".to_owned());
        }
        Ok(())
    }
}

/// The names of the metrics in a query: what stands before a selector.
fn metrics(expr: &str) -> Vec<&str> {
    let mut names: Vec<_> = expr
        .match_indices('{')
        .filter_map(|(at, _)| {
            let before = expr.get(..at)?;
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
            let start = before.trim_end_matches(is_name).len();
            before.get(start..).filter(|name| !name.is_empty())
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn fill_variables(query: &str) -> String {
    VARIABLES
        .iter()
        .fold(query.to_owned(), |query, (name, value)| {
            query.replace(name, value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_in_a_query() {
        let expr =
            "sum by (le) (rate(a_bucket{x=\"{y}\"}[5m])) / on () up{job=~\"b\"} and {z=\"1\"}";
        assert_eq!(metrics(expr), ["a_bucket", "up"]);
    }

    #[test]
    fn no_variable_is_left() {
        let filled = fill_variables("x{c=~\"$cluster\"}[$__range] offset $__range > $__range_s");
        assert_eq!(filled, "x{c=~\".*\"}[1h] offset 1h > 3600");
    }
}
