//! The dashboards: each query is put as Grafana would put it with `All` chosen everywhere, and each has an answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

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
const RIGHTLY_EMPTY: [(&str, &str, &str); 6] = [
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
        "workload_termination_advised_prestop_sleep_seconds",
        "no workload had 20 stops",
    ),
    (
        "workload_termination_advised_grace_seconds",
        "no workload had 20 stops",
    ),
];

/// All answers: by dashboard, by panel, one for each query.
pub(super) fn ask(
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
        let uid = board["uid"].as_str().unwrap_or_default().to_owned();
        ask_variables(prometheus, &board, &uid, all_ran, check)?;
        let mut of_board = BTreeMap::new();
        for panel in board["panels"].as_array().into_iter().flatten() {
            if let Some(queries) = panel["targets"].as_array() {
                let asked = ask_panel(prometheus, &uid, panel, queries, all_ran, check)?;
                of_board.insert(panel["id"].to_string(), asked);
            }
        }
        answers.insert(uid, json!(of_board));
    }
    check.that("there are dashboards", !answers.is_empty());
    Ok(Value::Object(answers))
}

fn ask_variables(
    prometheus: &Prometheus,
    board: &Value,
    uid: &str,
    all_ran: bool,
    check: &mut Check,
) -> Result<()> {
    for variable in board["templating"]["list"].as_array().into_iter().flatten() {
        let query = variable["query"]["query"].as_str();
        let query = query.and_then(|query| query.strip_prefix("label_values(")?.strip_suffix(')'));
        let Some((selector, label)) = query.and_then(|query| query.rsplit_once(", ")) else {
            continue;
        };
        let values = prometheus.label_values(&fill(selector), label)?;
        // One cluster alone needs no name.
        if all_ran && label != "cluster" {
            let what = format!("{uid}: the variable {label} has values");
            check.that(what, !values.is_empty());
        }
    }
    Ok(())
}

fn ask_panel(
    prometheus: &Prometheus,
    uid: &str,
    panel: &Value,
    queries: &[Value],
    all_ran: bool,
    check: &mut Check,
) -> Result<Vec<Value>> {
    let title = panel["title"].as_str().unwrap_or_default();
    let mut answers = Vec::new();
    for query in queries {
        let expr = fill(query["expr"].as_str().unwrap_or_default());
        let what = format!(
            "{uid}: {title} ({})",
            query["refId"].as_str().unwrap_or_default()
        );
        let asked = if query["instant"] == true {
            prometheus.instant(&expr)
        } else {
            prometheus.range(&expr, STEP)
        };
        let series = match asked {
            Ok(series) => series,
            Err(error) => {
                check.same(what, format!("{error:#}").as_str(), "an answer");
                continue;
            }
        };
        if all_ran {
            judge(
                prometheus,
                uid,
                title,
                &expr,
                &what,
                series.is_empty(),
                check,
            )?;
            if query["exemplar"] == true {
                check.that(
                    format!("{what} has exemplars"),
                    !prometheus.exemplars(&expr)?.is_empty(),
                );
            }
        }
        answers.push(json!({ "refId": query["refId"], "series": series }));
    }
    Ok(answers)
}

/// Not empty, or rightly so: then what it counts is there.
fn judge(
    prometheus: &Prometheus,
    uid: &str,
    title: &str,
    expr: &str,
    what: &str,
    is_empty: bool,
    check: &mut Check,
) -> Result<()> {
    if !is_empty {
        check.that(format!("{what} has an answer"), true);
        return Ok(());
    }
    let mut absent = Vec::new();
    for name in metrics(expr) {
        let there = !prometheus
            .instant(&format!("count(last_over_time({name}[1h]))"))?
            .is_empty();
        if !there {
            absent.push(name);
        }
    }
    let excused = |name: &&str| RIGHTLY_ABSENT.iter().any(|(absent, _)| absent == name);
    let is_listed = RIGHTLY_EMPTY
        .iter()
        .any(|(board, panel, _)| *board == uid && *panel == title);
    let rightly = absent.iter().all(excused) && (is_listed || !absent.is_empty());
    check.same(
        format!("{what} has an answer"),
        format!("none; absent: {absent:?}").as_str(),
        if rightly { "none, rightly" } else { "one" },
    );
    if rightly && let Some(row) = check.0.last_mut() {
        row.holds = true;
    }
    Ok(())
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

fn fill(query: &str) -> String {
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
        let filled = fill("x{c=~\"$cluster\"}[$__range] offset $__range > $__range_s");
        assert_eq!(filled, "x{c=~\".*\"}[1h] offset 1h > 3600");
    }
}
