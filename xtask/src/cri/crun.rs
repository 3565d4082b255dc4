//! crun, the second OCI runtime: the newest of Debian, with the libraries that it was built for, whatever the machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::vm::archive::{Archive, Package};
use crate::vm::mirror::{Mirror, codename};
use crate::{cache, process};

/// Where the newest is.
const SUITE: &str = "sid";
/// Where the machine's own codename is unknown.
const FALLBACK: &str = "stable";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The program in the cache, fetched where it is missing. Which version it is, the tier's table tells: to get a
/// newer one, remove its folder.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = cache::dir("crun", SUITE)?;
    let program = folder.join("crun");
    if is_runnable(&program) {
        return Ok(program);
    }
    eprintln!("crun: fetched from Debian {SUITE}, seconds");
    let mirror = Mirror::of_this_machine()?;
    let tree = folder.join("tree");
    unpack(&mirror, SUITE, "crun", &tree)?;
    let own = codename().unwrap_or_else(|| FALLBACK.to_owned());
    let patcher = folder.join("patchelf");
    unpack(&mirror, &own, "patchelf", &patcher)?;
    let partial = folder.join("partial");
    fs::copy(tree.join("usr/bin/crun"), &partial).context("Debian's crun has no program")?;
    // It starts itself again from a copy in memory, so that a wrapper that calls the loader would not do.
    let libraries = tree.join(LIBRARIES);
    process::output(
        Command::new(patcher.join("usr/bin/patchelf"))
            .arg("--set-interpreter")
            .arg(libraries.join(LOADER))
            .arg("--set-rpath")
            .arg(&libraries)
            .arg("--force-rpath")
            .arg(&partial),
    )?;
    fs::rename(&partial, &program).context("cannot move crun")?;
    ensure!(
        is_runnable(&program),
        "the crun of Debian {SUITE} does not run here"
    );
    Ok(program)
}

/// By `--help`: `--version` would make a folder in /run.
fn is_runnable(program: &Path) -> bool {
    process::output(Command::new(program).arg("--help")).is_ok()
}

/// Unpacks a package into `tree`; for crun all that it needs, too.
fn unpack(mirror: &Mirror, suite: &str, name: &str, tree: &Path) -> Result<()> {
    let archive = Archive::open(mirror, &[suite])?;
    let packages: Vec<Package> = if suite == SUITE {
        archive.with_dependencies(&[name])?
    } else {
        archive.packages(&[name], |found| found == name)?
    };
    ensure!(!packages.is_empty(), "Debian {suite} has no package {name}");
    let download = tree.with_extension("download");
    for package in &packages {
        remove(&download)?;
        fs::create_dir_all(&download)
            .with_context(|| format!("cannot make {}", download.display()))?;
        let file = archive.download(package, &download)?;
        process::output(Command::new("dpkg").arg("-x").arg(&file).arg(tree))?;
    }
    remove(&download)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
