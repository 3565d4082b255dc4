//! Helm, on our chart.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::FOLDER;
use crate::{cache, process};

#[derive(Debug)]
pub(super) struct Helm {
    programs: PathBuf,
    /// Where Helm and kustomize may write.
    pub(super) work: PathBuf,
}

/// What is rendered, and for whom.
#[derive(Debug)]
pub(super) struct Release<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) values: &'a Value,
    /// The version of the cluster; without one Helm's own.
    pub(super) cluster: Option<&'a str>,
}

impl Helm {
    /// The one in the folder `programs`.
    pub(super) fn new(programs: &Path) -> Result<Self> {
        let work = cache::workspace().join("target/chart");
        std::fs::create_dir_all(&work)
            .with_context(|| format!("cannot make {}", work.display()))?;
        Ok(Self {
            programs: programs.to_owned(),
            work,
        })
    }

    /// What Helm has to say against the chart with these values.
    pub(super) fn lint_chart(&self, values: &Value) -> Result<()> {
        let mut command = self.command(&["lint", "--strict", "--quiet"]);
        let command = command.arg("--set-json").arg(values.to_string());
        process::output(command).map(drop)
    }

    /// The rendered manifest.
    pub(super) fn template(&self, release: &Release<'_>) -> Result<String> {
        process::output(&mut self.templating(release))
    }

    /// Why Helm does not render it; nothing if it does.
    pub(super) fn refusal(&self, release: &Release<'_>) -> Result<Option<String>> {
        let output = self
            .templating(release)
            .output()
            .context("cannot start helm")?;
        let is_refused = !output.status.success();
        Ok(is_refused.then(|| String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn templating(&self, release: &Release<'_>) -> Command {
        let mut command = self.command(&["template", "--namespace", release.namespace]);
        command
            .arg("--set-json")
            .arg(release.values.to_string())
            .args(
                release
                    .cluster
                    .map(|version| format!("--kube-version={version}")),
            )
            .args(["--name-template", release.name]);
        command
    }

    /// Helm with the chart, away from the folders of whoever runs it.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("helm"));
        for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(folder, self.work.join("helm"));
        }
        command.args(args).arg(cache::workspace().join(FOLDER));
        command
    }

    /// What kustomize makes of a folder.
    pub(super) fn kustomize(&self, folder: &Path) -> Result<String> {
        let mut command = Command::new(self.programs.join("kustomize"));
        process::output(command.arg("build").arg(folder))
    }
}
