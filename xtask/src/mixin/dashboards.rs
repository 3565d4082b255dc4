//! What a dashboard must be, beyond being JSON: what Grafana would show as an error, and what a reader would miss.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Made;

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// Grafana's own variables.
const BUILT_IN: [&str; 6] = [
    "__range",
    "__range_s",
    "__rate_interval",
    "__field",
    "__data",
    "__value",
];

/// What is wrong with it: a sentence each.
pub(super) fn lint(file: &Made) -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&file.text)?;
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(format!("{}: {what}", file.path));
    let uid = dashboard["uid"].as_str().unwrap_or_default();
    if !file.path.ends_with(&format!("/{uid}.json")) || uid.is_empty() || uid.len() > 40 {
        say(format!("its uid `{uid}` is not its name"));
    }
    let variables = variables(&dashboard);
    if variables.first().map(String::as_str) != Some("datasource") {
        say("its first variable is not the datasource".to_owned());
    }
    for name in used(&dashboard.to_string()) {
        if !variables.contains(&name)
            && !BUILT_IN.contains(&name.as_str())
            && name != "__url_time_range"
        {
            say(format!(
                "it uses the variable `{name}`, which it does not have"
            ));
        }
    }
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap_or_default();
        if title.is_empty() || !ids.insert(panel["id"].as_u64()) {
            say(format!(
                "panel `{title}` has no title, or the id of another one"
            ));
        }
        if panel["type"] == "row" {
            continue;
        }
        for what in defects(panel) {
            say(format!("panel `{title}` {what}"));
        }
    }
    for (one, other) in overlapping(panels) {
        say(format!("panels `{one}` and `{other}` overlap"));
    }
    Ok(wrong)
}

fn defects(panel: &Value) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what| {
        if !holds {
            wrong.push(what);
        }
    };
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    must(text(&panel["description"]), "does not say what it means");
    must(
        text(&panel["fieldConfig"]["defaults"]["unit"]),
        "has no unit",
    );
    must(
        panel["datasource"]["uid"] == "${datasource}",
        "has a datasource of its own",
    );
    let queries = panel["targets"].as_array().cloned().unwrap_or_default();
    must(!queries.is_empty(), "asks for nothing");
    for query in &queries {
        must(text(&query["expr"]), "has an empty query");
        let expr = query["expr"].as_str().unwrap_or_default();
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
            panel["type"] != "timeseries" || query["range"] == true,
            "has a query of one moment for a graph",
        );
    }
    wrong
}

/// The names of its variables.
fn variables(dashboard: &Value) -> Vec<String> {
    let list = dashboard["templating"]["list"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(|variable| Some(variable["name"].as_str()?.to_owned()))
        .collect()
}

/// The names of the variables that a text uses: `$name`, `${name…}`.
fn used(text: &str) -> BTreeSet<String> {
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
fn overlapping(panels: &[Value]) -> Vec<(String, String)> {
    let place = |panel: &Value| {
        let of = |name: &str| panel["gridPos"][name].as_u64().unwrap_or_default();
        (of("x"), of("y"), of("w"), of("h"))
    };
    let title = |panel: &Value| panel["title"].as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (index, one) in panels.iter().enumerate() {
        let (x, y, w, h) = place(one);
        if x + w > COLUMNS || w == 0 || h == 0 {
            found.push((title(one), title(one)));
        }
        for other in panels.iter().skip(index + 1) {
            let (left, top, width, height) = place(other);
            if x < left + width && left < x + w && y < top + height && top < y + h {
                found.push((title(one), title(other)));
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
        let names = used("a{b=~\"$cluster\"}[$__range] ${datasource:queryparam} 5$ x");
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["__range", "cluster", "datasource"]
        );
    }

    fn panel(x: u64, y: u64) -> Value {
        serde_json::json!({"title": format!("{x} {y}"), "gridPos": {"x": x, "y": y, "w": 12, "h": 8}})
    }

    #[test]
    fn panels_on_each_other_are_found() {
        let apart = [panel(0, 0), panel(12, 0), panel(0, 8)];
        assert!(overlapping(&apart).is_empty());
        let on_each_other = [panel(0, 0), panel(6, 7)];
        assert_eq!(
            overlapping(&on_each_other),
            [("0 0".to_owned(), "6 7".to_owned())]
        );
        assert_eq!(overlapping(&[panel(13, 0)]).len(), 1);
    }

    #[test]
    fn a_spoiled_panel_is_found() {
        let mut panel = serde_json::json!({
            "type": "timeseries",
            "description": "what it is",
            "datasource": {"uid": "${datasource}"},
            "fieldConfig": {"defaults": {"unit": "s"}},
            "targets": [{"expr": "rate(x{job=~\"a\", cluster=~\"$cluster\"}[$__rate_interval])", "range": true}],
        });
        assert!(defects(&panel).is_empty());
        panel["description"] = " ".into();
        panel["targets"][0]["expr"] = "rate(x{job=~\"a\"}[5m])".into();
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
