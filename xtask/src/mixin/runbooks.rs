//! Each alert has its page, and each page its alert.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Made;

/// How the path of the rendered alerts ends.
pub(super) const ALERTS: &str = "rules/alerts.yaml";
const FOLDER: &str = "docs/runbooks";
/// What every page answers, in this order.
const SECTIONS: [&str; 6] = [
    "## What it means",
    "## Is it urgent?",
    "## Look here first",
    "## Causes, the likeliest first",
    "## When it lies",
    "## Silence it",
];

/// What is missing, too much, or not as every page is: a sentence each.
pub(super) fn unpaired(workspace: &Path, made: &[Made]) -> Result<Vec<String>> {
    let alerts: BTreeSet<&str> = made
        .iter()
        .filter(|file| file.path.ends_with(ALERTS))
        .flat_map(|file| alerts(&file.text))
        .collect();
    let folder = workspace.join(FOLDER);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut pages = BTreeSet::new();
    let mut wrong = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name == "README" {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        if let Some(section) = missing_section(&text) {
            wrong.push(format!(
                "{FOLDER}/{name}.md has no `{section}` in its place"
            ));
        }
        pages.insert(name.into_owned());
    }
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    for alert in &alerts {
        if !pages.contains(*alert) {
            wrong.push(format!("the alert {alert} has no page {FOLDER}/{alert}.md"));
        }
        if !list.contains(&format!("({alert}.md)")) {
            wrong.push(format!(
                "{FOLDER}/README.md does not name the alert {alert}"
            ));
        }
    }
    for page in pages.iter().filter(|page| !alerts.contains(page.as_str())) {
        wrong.push(format!("{FOLDER}/{page}.md is about no alert"));
    }
    Ok(wrong)
}

/// The names of the alerts in a rendered rule file.
pub(super) fn alerts(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let name = line.trim_start().strip_prefix("- alert: \"")?;
        name.strip_suffix('"')
    })
}

fn missing_section(text: &str) -> Option<&'static str> {
    let mut lines = text.lines();
    SECTIONS
        .into_iter()
        .find(|section| !lines.any(|line| line == *section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_found_by_name() {
        let text = "groups:\n- name: \"g\"\n  rules:\n  - alert: \"A\"\n    expr: \"up == 0\"\n  - alert: \"B\"\n";
        assert_eq!(alerts(text).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn a_page_without_a_section_is_found() {
        let all = SECTIONS.join("\n\ntext\n\n");
        assert_eq!(missing_section(&all), None);
        let without = all.replace("## When it lies", "## When");
        assert_eq!(missing_section(&without), Some("## When it lies"));
        let turned = format!("{}\n{}", SECTIONS[1], SECTIONS[0]);
        assert_eq!(missing_section(&turned), Some(SECTIONS[1]));
    }
}
