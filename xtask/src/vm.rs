//! `cargo xtask vm`.
use anyhow::Result;

/// Options of `vm`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not yet written")
}
