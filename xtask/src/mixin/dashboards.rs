//! What a dashboard must be, beyond being JSON: what Grafana would show as an error, and what a reader would miss.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::Made;
use super::board::{Board, Panel, Place};

/// What Grafana takes as a uid.
const UID_MAX: usize = 40;
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// Grafana's own variables.
const BUILT_IN: [&str; 8] = [
    "__all",
    "__url_time_range",
    "__range",
    "__range_s",
    "__rate_interval",
    "__field",
    "__data",
    "__value",
];

/// What is wrong with it: a sentence each.
pub(super) fn lint(file: &Made) -> Result<Vec<String>> {
    let board: Board = serde_json::from_str(&file.text)
        .with_context(|| format!("{} is no dashboard", file.path))?;
    let mut wrong = Vec::new();
    if !file.path.ends_with(&format!("/{}.json", board.uid)) || board.uid.len() > UID_MAX {
        wrong.push(format!("its uid `{}` is not its name", board.uid));
    }
    let variables: Vec<&str> = board
        .templating
        .list
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    if variables.first() != Some(&"datasource") {
        wrong.push("its first variable is not the datasource".to_owned());
    }
    for name in used_variables(&file.text) {
        if !variables.contains(&name.as_str()) && !BUILT_IN.contains(&name.as_str()) {
            wrong.push(format!(
                "it uses the variable `{name}`, which it does not have"
            ));
        }
    }
    let mut ids = BTreeSet::new();
    for panel in &board.panels {
        let title = &panel.title;
        if title.is_empty() || !ids.insert(panel.id) {
            wrong.push(format!(
                "panel `{title}` has no title, or the id of another one"
            ));
        }
        if panel.kind != "row" {
            wrong.extend(
                defects(panel)
                    .into_iter()
                    .map(|what| format!("panel `{title}` {what}")),
            );
        }
    }
    for (one, other) in overlapping(&board.panels) {
        wrong.push(format!("panels `{one}` and `{other}` overlap"));
    }
    let said = |what| format!("{}: {what}", file.path);
    Ok(wrong.into_iter().map(said).collect())
}

fn defects(panel: &Panel) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what| {
        if !holds {
            wrong.push(what);
        }
    };
    let says = |text: &str| !text.trim().is_empty();
    must(says(&panel.description), "does not say what it means");
    must(says(&panel.field_config.defaults.unit), "has no unit");
    must(
        panel.datasource.uid == "${datasource}",
        "has a datasource of its own",
    );
    must(!panel.targets.is_empty(), "asks for nothing");
    for query in &panel.targets {
        let expr = &query.expr;
        must(says(expr), "has an empty query");
        must(
            expr.contains("cluster=~\"$cluster\""),
            "has a query that does not choose the cluster",
        );
        must(
            expr.contains("job=~"),
            "has a query that takes the metrics of others",
        );
        must(
            !expr.contains("rate(") || expr.contains("$__rate_interval"),
            "has a rate that does not go with the scrape interval",
        );
        must(
            panel.kind != "timeseries" || query.range,
            "has a query of one moment for a graph",
        );
    }
    wrong
}

/// The names of the variables that a text uses: `$name`, `${name…}`.
fn used_variables(text: &str) -> BTreeSet<String> {
    text.split('$')
        .skip(1)
        .map(|after| {
            after
                .trim_start_matches('{')
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect::<String>()
        })
        .filter(|name| name.starts_with(|first: char| first.is_alphabetic() || first == '_'))
        .collect()
}

/// Pairs of panels that lie on each other, or that reach out of the grid: with itself, then.
fn overlapping(panels: &[Panel]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (index, one) in panels.iter().enumerate() {
        let Place { x, y, w, h } = one.grid_pos;
        if x + w > COLUMNS || w == 0 || h == 0 {
            found.push((one.title.as_str(), one.title.as_str()));
        }
        for other in panels.iter().skip(index + 1) {
            let there = other.grid_pos;
            let beside = x >= there.x + there.w || there.x >= x + w;
            let above = y >= there.y + there.h || there.y >= y + h;
            if !beside && !above {
                found.push((one.title.as_str(), other.title.as_str()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_where_they_are_used() {
        let names = used_variables("a{b=~\"$cluster\"}[$__range] ${datasource:queryparam} 5$ x");
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["__range", "cluster", "datasource"]
        );
    }

    fn test_panel(x: u64, y: u64) -> Panel {
        let json = serde_json::json!({
            "id": 1,
            "type": "timeseries",
            "title": format!("{x} {y}"),
            "description": "what it is",
            "datasource": {"uid": "${datasource}"},
            "fieldConfig": {"defaults": {"unit": "s"}},
            "gridPos": {"x": x, "y": y, "w": 12, "h": 8},
            "targets": [{
                "expr": "rate(x{job=~\"a\", cluster=~\"$cluster\"}[$__rate_interval])",
                "refId": "A",
                "legendFormat": "",
                "range": true,
            }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn panels_on_each_other_are_found() {
        let apart = [test_panel(0, 0), test_panel(12, 0), test_panel(0, 8)];
        assert!(overlapping(&apart).is_empty());
        let on_each_other = [test_panel(0, 0), test_panel(6, 7)];
        assert_eq!(overlapping(&on_each_other), [("0 0", "6 7")]);
        assert_eq!(overlapping(&[test_panel(13, 0)]).len(), 1);
    }

    #[test]
    fn a_spoiled_panel_is_found() {
        let mut panel = test_panel(0, 0);
        assert!(defects(&panel).is_empty());
        panel.description = " ".to_owned();
        panel.targets[0].expr = "rate(x{job=~\"a\"}[5m])".to_owned();
        assert_eq!(
            defects(&panel),
            [
                "does not say what it means",
                "has a query that does not choose the cluster",
                "has a rate that does not go with the scrape interval"
            ]
        );
    }
}
