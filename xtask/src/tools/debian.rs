//! What comes from Debian as it is: a static busybox, the library with which runc filters system calls, `nft` for
//! kube-proxy, and servers and clients for tests of connections. Fetched by a private apt; the machine's own packages
//! stay what they are, and nothing is installed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::remove;
use crate::process;
use crate::vm::archive::{Archive, Package};
use crate::vm::mirror::{Mirror, codename};

/// Where codename and archive are unknown: what every mirror of Debian has.
const FALLBACK: &str = "stable";

/// A program of Debian, kept with the C library that it was built for, whatever the machine has.
struct Program {
    name: &'static str,
    package: &'static str,
    /// What the shell puts before its arguments: the file in the tree, and what that is to run.
    command: &'static str,
    /// Environment that it needs in its place, for the shell.
    environment: &'static str,
    /// The option by which it tells that it runs.
    probe: &'static str,
}

impl Program {
    const fn without_environment(
        name: &'static str,
        package: &'static str,
        command: &'static str,
        probe: &'static str,
    ) -> Self {
        Self {
            name,
            package,
            command,
            environment: "",
            probe,
        }
    }

    /// The script that starts it.
    fn script(&self) -> String {
        let Self {
            command,
            environment,
            ..
        } = self;
        format!(
            r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/tree
lib=x86_64-linux-gnu
loader=lib64/ld-linux-x86-64.so.2
[ -e "$here/$loader" ] || loader=usr/$loader
{environment}exec "$here/$loader" --library-path "$here/lib/$lib:$here/usr/lib/$lib" "$here/"{command} "$@"
"#
        )
    }
}

const NFT: [Program; 1] = [Program::without_environment(
    "nft",
    "nftables",
    "usr/sbin/nft",
    "--version",
)];

/// Real servers, a real load, an independent observer, and `ip` to connect them.
const TRAFFIC: [Program; 5] = [
    Program::without_environment("ip", "iproute2", "bin/ip", "-Version"),
    Program::without_environment("tcpdump", "tcpdump", "usr/bin/tcpdump", "--version"),
    Program::without_environment("nginx", "nginx", "usr/sbin/nginx", "-v"),
    Program::without_environment("wrk", "wrk", "usr/bin/wrk", "--version"),
    Program {
        name: "gunicorn",
        package: "gunicorn",
        command: "usr/bin/python3 -m gunicorn",
        environment: "export PYTHONHOME=\"$here/usr\" PYTHONDONTWRITEBYTECODE=1\n",
        probe: "--version",
    },
];

/// The release that everything here is taken from, and thus part of its name in the cache: to ask for versions needs
/// the archive.
pub(super) fn suite_name() -> String {
    codename().unwrap_or_else(|| FALLBACK.to_owned())
}

/// Fetches `busybox` into `folder`.
pub(super) fn busybox(folder: &Path) -> Result<()> {
    let tree = unpack_alone("busybox-static", folder)?;
    move_file(
        &tree,
        &["bin/busybox", "usr/bin/busybox"],
        folder,
        "busybox",
    )?;
    remove(&tree)
}

/// Fetches the static `libseccomp.a` and its headers into `folder`.
pub(super) fn seccomp(folder: &Path) -> Result<()> {
    let tree = unpack_alone("libseccomp-dev", folder)?;
    let library = "usr/lib/x86_64-linux-gnu/libseccomp.a";
    move_file(&tree, &[library], folder, "libseccomp.a")?;
    for header in ["seccomp.h", "seccomp-syscalls.h"] {
        move_file(&tree, &[&format!("usr/include/{header}")], folder, header)?;
    }
    remove(&tree)
}

/// Fetches `nft` into `folder`, with all that it needs.
pub(super) fn fetch_nft(folder: &Path) -> Result<()> {
    programs(&NFT, folder)
}

/// Fetches `ip`, `tcpdump`, `nginx`, `wrk` and `gunicorn` into `folder`, with all that they need.
pub(super) fn traffic(folder: &Path) -> Result<()> {
    programs(&TRAFFIC, folder)
}

/// Unpacks these programs into one tree, and writes a script for each.
fn programs(programs: &[Program], folder: &Path) -> Result<()> {
    let names: Vec<_> = programs.iter().map(|program| program.package).collect();
    unpack_with_dependencies(&names, folder)?;
    for program in programs {
        script(folder, program.name, &program.script(), program.probe)?;
    }
    Ok(())
}

/// Writes the script that starts a program, and tries it by an option with which the program tells that it runs.
pub(super) fn script(folder: &Path, name: &str, text: &str, probe: &str) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text)
        .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", path.display()))?;
    // By its words: of wrk, 1 is the usual status.
    let output = Command::new(&path).arg(probe).output();
    let runs = output.is_ok_and(|output| {
        output.status.code().is_some_and(|code| code <= 1)
            && !(output.stdout.is_empty() && output.stderr.is_empty())
    });
    ensure!(runs, "the {name} of Debian does not run here");
    Ok(())
}

/// Unpacks packages, and all that they need, into the folder `tree` of `folder`.
pub(super) fn unpack_with_dependencies(names: &[&str], folder: &Path) -> Result<PathBuf> {
    let archive = archive()?;
    unpack(&archive, &archive.with_dependencies(names)?, folder)
}

fn archive() -> Result<Archive> {
    Archive::open(&Mirror::of_this_machine()?, &[&suite_name()])
}

/// Unpacks a package alone into the folder `tree` of `folder`.
fn unpack_alone(name: &str, folder: &Path) -> Result<PathBuf> {
    let archive = archive()?;
    let packages = archive.packages(&[name], |found| found == name)?;
    ensure!(
        !packages.is_empty(),
        "Debian's {} has no package {name}",
        suite_name()
    );
    unpack(&archive, &packages, folder)
}

/// Unpacks packages into the folder `tree` of `folder`.
fn unpack(archive: &Archive, packages: &[Package], folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("tree");
    let download = folder.join("download");
    std::fs::create_dir_all(&download)
        .with_context(|| format!("cannot make {}", download.display()))?;
    for file in archive.download_all(packages, &download)? {
        process::output(Command::new("dpkg").arg("-x").arg(&file).arg(&tree))?;
    }
    remove(&download)?;
    Ok(tree)
}

/// Moves a file, from the first of these places that has it.
fn move_file(tree: &Path, places: &[&str], folder: &Path, name: &str) -> Result<()> {
    let found = places
        .iter()
        .map(|place| tree.join(place))
        .find(|path| path.exists());
    let found = found.with_context(|| format!("the package has no {}", places.join(" or ")))?;
    std::fs::rename(&found, folder.join(name))
        .with_context(|| format!("cannot move {}", found.display()))
}
