//! What runs in the VM: the real-kernel test program as PID 1 of an initramfs, and beside it, as `/gracewatch`, the
//! agent itself. Both are linked statically, so the guest needs no distribution.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::vm::initramfs::Initramfs;
use crate::{cache, process};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The static programs of a guest.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The real-kernel test program.
    pub(crate) test: PathBuf,
    /// The agent, with the probes in it.
    pub(crate) agent: PathBuf,
}

/// Builds the guest's programs around the eBPF object. They have a target folder of their own, so that their flags
/// neither rebuild the workspace nor wait for it.
pub(crate) fn build(object: &Path) -> Result<Programs> {
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
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(&folder)
            .args(["--package", "gracewatch-tests", "--bin", "kernel"])
            .args(["--package", "gracewatch", "--bin", "gracewatch"])
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("GRACEWATCH_EBPF_OBJECT", object),
    )?;
    eprintln!(
        "built the guest in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let programs = folder.join(TARGET).join("release");
    Ok(Programs {
        test: programs.join("kernel"),
        agent: programs.join("gracewatch"),
    })
}

/// Packs programs, each with its name in the guest's root folder, into an initramfs at `path`.
pub(crate) fn pack(programs: &[(&str, &Path)], path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let failed = || format!("cannot write {}", path.display());
    let mut initramfs = Initramfs::new(BufWriter::new(file)).with_context(failed)?;
    for (name, program) in programs {
        let content =
            std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        initramfs.program(name, &content).with_context(failed)?;
    }
    initramfs.finish().map(drop).with_context(failed)
}
