//! The compiler by way of rustup: one pinned nightly, so that the object is the same everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::print_progress;
use super::toolchain::{Toolchain, Way, inspect};
use crate::process;

/// A nightly of LLVM 22, the same as that of Debian's rustc-web.
pub(super) const NIGHTLY: &str = "nightly-2026-05-20";

/// The pinned nightly, if it is installed with rust-src.
pub(super) fn find_toolchain() -> Result<Toolchain> {
    let rustc = which("rustc")?;
    let cargo = which("cargo")?;
    let (version, sysroot) = inspect(&rustc)?;
    let llvm = shared_llvm(&sysroot.join("lib"))?;
    Ok(Toolchain {
        way: Way::Rustup,
        cargo,
        rustc,
        version,
        llvm,
    })
}

/// Installs the pinned nightly, or its missing component.
pub(super) fn install() -> Result<()> {
    if !process::exists("rustup") {
        bail!("there is no rustup");
    }
    print_progress(&format!(
        "installing {NIGHTLY} with rust-src through rustup: about half a minute"
    ));
    let mut command = Command::new("rustup");
    command.args(["toolchain", "install", NIGHTLY, "--no-self-update"]);
    command.args(["--profile", "minimal", "--component", "rust-src"]);
    match process::output(&mut command) {
        Ok(_) => Ok(()),
        Err(error) => bail!("cannot install {NIGHTLY}: {}", process::error_line(&error)),
    }
}

/// The real program, not rustup's proxy: a proxy would follow rust-toolchain.toml.
fn which(program: &str) -> Result<PathBuf> {
    let mut command = Command::new("rustup");
    // Asking must not install: that is announced first.
    command
        .env("RUSTUP_AUTO_INSTALL", "0")
        .args(["which", "--toolchain", NIGHTLY, program]);
    Ok(PathBuf::from(process::output(&mut command)?.trim()))
}

/// rustc's own LLVM, `libLLVM.so.22.1-rust-1.97.0-nightly` or the like.
fn shared_llvm(lib: &Path) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(lib).with_context(|| format!("cannot list {}", lib.display()))?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("libLLVM.so."))
        })
        .with_context(|| format!("{NIGHTLY} has no shared LLVM in {}", lib.display()))
}
