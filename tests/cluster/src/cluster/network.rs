//! The node's address: it is the bridge's, which has to be there before the first pod.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::address;

/// The bridge that the pods' network plugin is configured with.
const BRIDGE: &str = "cni0";

/// Makes the bridge as its plugin would.
pub(super) fn bridge_up(tools: &Path) -> Result<()> {
    let with_prefix = format!("{}/16", address());
    for args in [
        &["link", "add", BRIDGE, "type", "bridge"][..],
        &["address", "add", &with_prefix, "dev", BRIDGE],
        &["link", "set", BRIDGE, "up"],
    ] {
        let output = Command::new(tools.join("busybox"))
            .arg("ip")
            .args(args)
            .output()
            .context("cannot start busybox")?;
        ensure!(
            output.status.success(),
            "`ip {}` failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}
