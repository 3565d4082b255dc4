//! The jail's network at its start: the loopback device.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

const CONF: &[u8] = br#"{"cniVersion":"1.0.0","name":"lo","type":"loopback"}"#;

/// Brings the loopback device up as a runtime does in a pod: by the CNI plugin for it, so that no other tool is needed.
pub(super) fn loopback_up(plugin: &Path) -> Result<()> {
    let mut child = Command::new(plugin)
        .envs([
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "jail"),
            ("CNI_IFNAME", "lo"),
            // The namespace is that of the plugin itself, which it would refuse.
            ("CNI_NETNS_OVERRIDE", "1"),
        ])
        // A process of its own, which is in the same namespace.
        .env("CNI_NETNS", format!("/proc/{}/ns/net", std::process::id()))
        .env("CNI_PATH", plugin.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start the CNI plugin {}", plugin.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(CONF).context("the CNI plugin is gone")?;
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "no loopback device: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
