//! What comes from Debian as it is: a static busybox, the library with which runc filters system calls, and `nft` for
//! kube-proxy. Fetched by a private apt; the machine's own packages stay what they are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::remove;
use crate::process;
use crate::vm::archive::{Archive, Package};
use crate::vm::mirror::{Mirror, codename};

/// Where codename and archive are unknown: what every mirror of Debian has.
const FALLBACK: &str = "stable";

/// `nft` with the C library that it was built for, whatever the machine has.
const NFT: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/tree
lib=x86_64-linux-gnu
exec "$here/lib64/ld-linux-x86-64.so.2" --library-path "$here/lib/$lib:$here/usr/lib/$lib" "$here/usr/sbin/nft" "$@"
"#;

/// The release that everything here is taken from, and thus part of its name in the cache: to ask for versions needs
/// the archive.
pub(super) fn suite() -> String {
    codename().unwrap_or_else(|| FALLBACK.to_owned())
}

/// Fetches `busybox` into `folder`.
pub(super) fn busybox(folder: &Path) -> Result<()> {
    let tree = unpack("busybox-static", Depth::Alone, folder)?;
    take(
        &tree,
        &["bin/busybox", "usr/bin/busybox"],
        folder,
        "busybox",
    )?;
    remove(&tree)
}

/// Fetches the static `libseccomp.a` and its headers into `folder`.
pub(super) fn seccomp(folder: &Path) -> Result<()> {
    let tree = unpack("libseccomp-dev", Depth::Alone, folder)?;
    let library = "usr/lib/x86_64-linux-gnu/libseccomp.a";
    take(&tree, &[library], folder, "libseccomp.a")?;
    for header in ["seccomp.h", "seccomp-syscalls.h"] {
        take(&tree, &[&format!("usr/include/{header}")], folder, header)?;
    }
    remove(&tree)
}

/// Fetches `nft` into `folder`, with all that it needs.
pub(super) fn nft(folder: &Path) -> Result<()> {
    unpack("nftables", Depth::WithLibraries, folder)?;
    let program = folder.join("nft");
    std::fs::write(&program, NFT)
        .and_then(|()| std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", program.display()))?;
    process::output(Command::new(&program).arg("--version"))
        .context("the nft of Debian does not run here")
        .map(drop)
}

/// Whether the packages that a package depends on are wanted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Alone,
    WithLibraries,
}

/// Unpacks a package into the folder `tree` of `folder`.
fn unpack(name: &str, depth: Depth, folder: &Path) -> Result<std::path::PathBuf> {
    let suite = suite();
    let archive = Archive::open(&Mirror::of_this_machine()?, &[&suite])?;
    let packages: Vec<Package> = match depth {
        Depth::Alone => archive.packages(&[name], |found| found == name)?,
        Depth::WithLibraries => archive.with_dependencies(name)?,
    };
    let tree = folder.join("tree");
    let download = folder.join("download");
    for package in &packages {
        std::fs::create_dir_all(&download)
            .with_context(|| format!("cannot make {}", download.display()))?;
        let file = archive.download(package, &download)?;
        process::output(Command::new("dpkg").arg("-x").arg(&file).arg(&tree))?;
        remove(&download)?;
    }
    anyhow::ensure!(
        !packages.is_empty(),
        "Debian's {suite} has no package {name}"
    );
    Ok(tree)
}

/// Moves a file, from the first of these places that has it.
fn take(tree: &Path, places: &[&str], folder: &Path, name: &str) -> Result<()> {
    let found = places
        .iter()
        .map(|place| tree.join(place))
        .find(|path| path.exists());
    let found = found.with_context(|| format!("the package has no {}", places.join(" or ")))?;
    std::fs::rename(&found, folder.join(name))
        .with_context(|| format!("cannot move {}", found.display()))
}
