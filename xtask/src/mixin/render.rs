//! From jsonnet to the files that Prometheus and Grafana read.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Made;
use crate::{cache, process};

/// Where the mixin is.
pub(super) const FOLDER: &str = "deploy/mixin";
/// Where its dashboards go: beside it, since they are of use without the rest.
const DASHBOARDS: &str = "deploy/dashboards";

const NOTE: &str = "# Rendered from deploy/mixin by `cargo xtask mixin`; do not edit.\n";

/// Everything that is rendered.
pub(super) fn render_all(tools: &Path) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    for name in ["alerts", "rules"] {
        let text = process::output(jsonnet(tools).args(["-S", &format!("{name}.jsonnet")]))?;
        made.push(Made {
            path: format!("{FOLDER}/rules/{name}.yaml"),
            text: format!("{NOTE}{text}"),
        });
    }
    let dashboards = process::output(jsonnet(tools).arg("dashboards.jsonnet"))?;
    let dashboards: Value = serde_json::from_str(&dashboards)?;
    let dashboards = dashboards
        .as_object()
        .context("dashboards.jsonnet gives no object of files")?;
    for (name, dashboard) in dashboards {
        made.push(Made {
            path: format!("{DASHBOARDS}/{name}"),
            text: format!("{}\n", serde_json::to_string_pretty(dashboard)?),
        });
    }
    Ok(made)
}

/// The sources are formatted as `jsonnetfmt` does.
pub(super) fn check_format(tools: &Path) -> Result<()> {
    let sources = sources(&cache::workspace().join(FOLDER))?;
    let mut command = Command::new(tools.join("jsonnetfmt"));
    let formatted = command.arg("--test").args(&sources).status()?.success();
    ensure!(
        formatted,
        "the sources in {FOLDER} are not formatted; mend it with `{} -i` on them",
        tools.join("jsonnetfmt").display()
    );
    Ok(())
}

fn jsonnet(tools: &Path) -> Command {
    let mut command = Command::new(tools.join("jsonnet"));
    command.current_dir(cache::workspace().join(FOLDER));
    command
}

/// Every file of jsonnet below `folder`.
fn sources(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path
            .extension()
            .is_some_and(|ending| ending == "jsonnet" || ending == "libsonnet")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
