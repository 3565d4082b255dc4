//! The rules in the chart's PrometheusRule: all that the mixin has, but for what the values leave out or add.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::documents;
use super::files;
use super::helm::{Helm, Release};
use crate::cache;

/// A label and a prefix for every alert.
const TEAM: &str = "nodes";
const PREFIX: &str = "https://wiki.example/";

/// Rules by their names.
type Rules = BTreeMap<String, Value>;

/// Compares the rules of the mixin with those that are rendered, one alert disabled; how many there are. Without a mixin
/// there are none.
pub(super) fn check(helm: &Helm, wrong: &mut Vec<String>) -> Result<usize> {
    if !cache::workspace().join(files::RULES).exists() {
        return Ok(0);
    }
    let mut expected = Rules::new();
    for file in files::copies("files/rules")? {
        let text = files::read_chart(&format!("files/rules/{file}"))?;
        let rules: Value = serde_saphyr::from_str(&text).with_context(|| file.clone())?;
        expected.extend(of_groups(&rules)?);
    }
    let alert = expected
        .iter()
        .find(|(_, rule)| rule.get("alert").is_some());
    let disabled = alert
        .map(|(name, _)| name.clone())
        .context("the mixin has no alert")?;
    expected.remove(&disabled);
    expected.values_mut().for_each(as_wished);
    let values = json!({"prometheusRule": {
        "enabled": true, "disabledAlerts": [disabled], "alertLabels": {"team": TEAM}, "runbookPrefix": PREFIX,
    }});
    let text = helm.template(&Release {
        name: "gracewatch",
        namespace: "gracewatch",
        values: &values,
        cluster: None,
    })?;
    let objects = documents::read(&text)?;
    let spec = objects
        .get("PrometheusRule/gracewatch")
        .and_then(|rule| rule.get("spec"))
        .context("there is no PrometheusRule")?;
    let (ours, theirs) = (of_groups(spec)?, expected);
    let mut found = Vec::new();
    let whole = |rules: &Rules| json!(rules);
    documents::differences("", &whole(&ours), &whole(&theirs), &mut found);
    wrong.extend(
        found
            .into_iter()
            .map(|line| format!("rules, chart and mixin: {line}")),
    );
    Ok(theirs.len())
}

/// What the values ask of every alert.
fn as_wished(rule: &mut Value) {
    if rule.get("alert").is_none() {
        return;
    }
    if let Some(url) = rule.pointer_mut("/annotations/runbook_url") {
        *url = json!(format!("{PREFIX}{}", url.as_str().unwrap_or_default()));
    }
    if let Some(labels) = rule.pointer_mut("/labels").and_then(Value::as_object_mut) {
        labels.insert("team".to_owned(), json!(TEAM));
    }
}

/// The rules of all groups. In the mixin no name is there twice.
fn of_groups(file: &Value) -> Result<Rules> {
    let mut found = Rules::new();
    let groups = file.get("groups").and_then(Value::as_array);
    for group in groups.context("it has no groups")? {
        let rules = group.get("rules").and_then(Value::as_array);
        for rule in rules.context("a group has no rules")? {
            let name = rule.get("alert").or_else(|| rule.get("record"));
            let name = name.and_then(Value::as_str).context("a rule has no name")?;
            let known = found.insert(name.to_owned(), rule.clone());
            ensure!(known.is_none(), "the rule {name} is there twice");
        }
    }
    Ok(found)
}
