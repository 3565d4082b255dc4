//! Calling cargo again, in the workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{cache, process};

/// The cargo that called us, in the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::workspace()).args(args);
    command
}

/// Builds the agent, and the program of the tests package that uses it, both in release; gives the program's path.
pub(crate) fn build_with_agent(program: &str) -> Result<PathBuf> {
    process::run(
        cargo(&["build", "--quiet", "--release"])
            .args(["--package", "gracewatch", "--bin", "gracewatch"])
            .args(["--package", "gracewatch-tests", "--bin", program]),
    )?;
    Ok(cache::workspace().join("target/release").join(program))
}
