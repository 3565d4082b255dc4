//! The kinds that the Prometheus operator adds to the Kubernetes API, as files: they come with its Go module, of which
//! nothing is compiled.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::golang;

pub(super) const NAME: &str = "prometheus-operator";
const OF: &str = "github.com/prometheus-operator/prometheus-operator";
/// Where they are in the module.
const FOLDER: &str = "example/prometheus-operator-crd";
/// Those that the chart makes objects of.
pub(super) const FILES: [&str; 3] = [
    "monitoring.coreos.com_podmonitors.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
];

pub(super) fn key() -> Result<String> {
    Ok(format!("{NAME}-{}", golang::version(NAME, OF)?))
}

/// Copies the files into `folder`.
pub(super) fn build(folder: &Path) -> Result<()> {
    let source = golang::source(NAME, OF)?.join(FOLDER);
    for name in FILES {
        let from = source.join(name);
        std::fs::copy(&from, folder.join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
