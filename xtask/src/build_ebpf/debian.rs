//! The compiler by way of apt: Debian keeps a recent rustc for its browsers, also in old releases.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::print_progress;
use super::toolchain::{Toolchain, Version, Way, inspect};
use crate::process;

/// rustc, cargo, and the source of `core`. LLVM comes on top, in the version rustc was built with.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What a person is told to run; an archive with another LLVM is met by the error that names it.
pub(super) const ADVICE: &str = "apt-get install rustc-web cargo-web rust-web-src llvm-22-dev";

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";

/// The packaged compiler, if all of it is there.
pub(super) fn find_toolchain() -> Result<Toolchain> {
    for program in [RUSTC, CARGO] {
        ensure!(Path::new(program).exists(), "{program} is missing");
    }
    let rustc = PathBuf::from(RUSTC);
    let (version, _sysroot) = inspect(&rustc)?;
    let llvm = PathBuf::from(format!("/usr/lib/llvm-{}/lib/libLLVM.so", version.llvm));
    ensure!(
        llvm.exists(),
        "{} is missing (package {})",
        llvm.display(),
        llvm_package(&version)
    );
    Ok(Toolchain {
        way: Way::Debian,
        cargo: PathBuf::from(CARGO),
        rustc,
        version,
        llvm,
    })
}

/// Installs the packages; apt uses whatever archive the machine is configured for.
pub(super) fn install() -> Result<()> {
    ensure!(process::exists("apt-get"), "there is no apt-get");
    let user = std::fs::metadata("/proc/self")
        .context("cannot read our own user id from /proc/self")?
        .uid();
    if let (Err(missing), 1..) = (find_toolchain(), user) {
        bail!("{missing:#}, and installing with apt-get needs root");
    }

    print_progress(&format!(
        "installing Debian's {} with apt-get: about half a minute",
        PACKAGES.join(", ")
    ));
    apt_install(&PACKAGES)?;
    let llvm = llvm_package(&Version::from_rustc(Path::new(RUSTC))?);
    print_progress(&format!(
        "installing {llvm}, for bpf-linker, with apt-get: about half a minute"
    ));
    apt_install(&[&llvm])
}

fn llvm_package(version: &Version) -> String {
    format!("llvm-{}-dev", version.llvm)
}

/// Installs; where that fails, the package lists may be missing or old: fetches them and tries again.
fn apt_install(packages: &[&str]) -> Result<()> {
    // rustc-web conflicts with rustc and rustup as packages: never remove what someone put there.
    let mut arguments = vec!["install", "--yes", "--no-install-recommends", "--no-remove"];
    arguments.extend(packages);
    if apt_get(&arguments).is_ok() {
        return Ok(());
    }
    print_progress("fetching apt's package lists first");
    match apt_get(&["update"]).and_then(|()| apt_get(&arguments)) {
        Ok(()) => Ok(()),
        Err(error) => bail!(
            "cannot install {}: {}",
            packages.join(" "),
            process::error_line(&error)
        ),
    }
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .arg("-qq")
        .args(arguments);
    process::output(&mut command).map(drop)
}
