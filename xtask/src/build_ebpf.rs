//! `cargo xtask build-ebpf`.
use anyhow::Result;

/// Options of `build-ebpf`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not yet written")
}
