//! What runs in the VM: the real-kernel test program, linked statically, as PID 1 of an initramfs.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::vm::initramfs::Initramfs;
use crate::{cache, process};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the test program (which embeds the probes) and returns its path. It has a target folder of its own, so that
/// its flags neither rebuild the workspace nor wait for it.
pub(crate) fn build() -> Result<PathBuf> {
    eprintln!("building the guest");
    let started = Instant::now();
    let folder = cache::workspace().join("target/guest");
    process::run(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(cache::workspace())
            .args([
                "build",
                "--quiet",
                "--release",
                "--package",
                "gracewatch-tests",
                "--bin",
                "kernel",
            ])
            .args(["--target", TARGET, "--target-dir"])
            .arg(&folder)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    )?;
    eprintln!(
        "built the guest in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(folder.join(TARGET).join("release/kernel"))
}

/// Packs `init` into an initramfs at `path`.
pub(crate) fn pack(init: &Path, path: &Path) -> Result<()> {
    let content = std::fs::read(init).with_context(|| format!("cannot read {}", init.display()))?;
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    write(BufWriter::new(file), &content)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn write(to: BufWriter<File>, init: &[u8]) -> std::io::Result<()> {
    let mut initramfs = Initramfs::new(to)?;
    initramfs.program("init", init)?;
    initramfs.finish().map(drop)
}
