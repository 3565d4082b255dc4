//! The program that holds a pod's namespaces: Kubernetes' own, compiled from its source.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::golang;
use super::modules::KUBERNETES;
use crate::process;

const FLAGS: [&str; 3] = ["-Os", "-static", "-s"];

pub(super) fn key() -> Result<String> {
    let version = golang::version(KUBERNETES.name, KUBERNETES.of)?;
    Ok(format!("pause-{version}-{}", golang::digest(&FLAGS)))
}

/// Compiles `pause` into `folder`.
pub(super) fn build(folder: &Path) -> Result<()> {
    let source = golang::source(KUBERNETES.name, KUBERNETES.of)?.join("build/pause/linux/pause.c");
    let version = golang::version(KUBERNETES.name, KUBERNETES.of)?;
    process::output(
        Command::new("cc")
            .args(FLAGS)
            .arg(format!("-DVERSION={version}"))
            .arg("-o")
            .arg(folder.join("pause"))
            .arg(source),
    )
    .context("pause needs a C compiler and a static libc: `apt-get install gcc libc6-dev`")
    .map(drop)
}
