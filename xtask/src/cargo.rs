//! Calling cargo again, in the workspace.

use std::process::Command;

use crate::cache;

/// The cargo that called us, in the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::workspace()).args(args);
    command
}
