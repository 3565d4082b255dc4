//! What the guest has from Debian: systemd, D-Bus, crun and a busybox, unpacked and never installed, and the kernel's
//! modules. Kept in the cache by the kernel's version.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::tools::{install, remove};
use crate::vm::archive::{Archive, Package};
use crate::vm::kernels::Kernel;
use crate::vm::mirror::Mirror;
use crate::vm::series;
use crate::{cache, process};

/// The links from /lib to /usr/lib and so on, which must be there before others are unpacked through them.
const LINKS: &str = "base-files";

/// What is asked for; dependencies come with it.
const PACKAGES: [&str; 5] = [LINKS, "systemd", "dbus", "crun", "busybox-static"];

/// Modules of the kernel, each after those that it needs: the disk, and what containers and their network are made of.
pub(super) const MODULES: [&str; 6] = [
    "drivers/block/virtio_blk",
    "net/llc/llc",
    "net/802/stp",
    "net/bridge/bridge",
    "drivers/net/veth",
    "fs/overlayfs/overlay",
];

/// By these files a whole tree is known.
const WITNESSES: [&str; 4] = [
    "usr/lib/systemd/systemd",
    "usr/bin/dbus-daemon",
    "usr/bin/crun",
    BUSYBOX,
];
const BUSYBOX: &str = "usr/bin/busybox";

/// Nothing in the guest reads these.
const SUPERFLUOUS: [&str; 5] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/perl5",
];

/// The cache's folder for one kernel.
#[derive(Debug)]
pub(super) struct Base(PathBuf);

impl Base {
    /// Debian's files, as they are in the guest.
    pub(super) fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    /// A static busybox.
    pub(super) fn busybox(&self) -> PathBuf {
        self.tree().join(BUSYBOX)
    }

    /// The file of one of [`MODULES`], not compressed.
    pub(super) fn module(&self, path: &str) -> PathBuf {
        self.0.join(module_file(path))
    }

    fn is_whole(&self) -> bool {
        let tree = self.tree();
        let mut files = WITNESSES
            .iter()
            .map(|file| tree.join(file))
            .chain(MODULES.iter().map(|path| self.module(path)));
        files.all(|file| file.exists())
    }
}

/// The name of a module's file outside of its tree.
pub(super) fn module_file(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("{name}.ko")
}

/// What the guest has from Debian, fetched where it is missing.
pub(super) fn ensure(kernel: &Kernel) -> Result<Base> {
    let base = Base(cache::dir("guest", kernel.series)?.join(&kernel.package.version));
    if base.is_whole() {
        return Ok(base);
    }
    eprintln!(
        "guest: {} and the modules of {} (fetched from Debian, some 50 MB)",
        PACKAGES.join(", "),
        kernel.release,
    );
    let started = Instant::now();
    install(&base.0, |partial| {
        let partial = Base(partial.to_owned());
        install_packages(&partial, kernel)?;
        anyhow::ensure!(
            partial.is_whole(),
            "Debian's packages do not hold all of {} and {}",
            WITNESSES.join(", "),
            MODULES.join(", ")
        );
        Ok(())
    })
    .context("cannot make the guest's file system")?;
    eprintln!("guest: took {:.0} s", started.elapsed().as_secs_f64());
    Ok(base)
}

fn install_packages(base: &Base, kernel: &Kernel) -> Result<()> {
    let series = series::find(kernel.series).map_err(anyhow::Error::msg)?;
    let archive = Archive::open(&Mirror::of_this_machine()?, series.suites)?;
    let tree = base.tree();
    let mut packages: Vec<Package> = Vec::new();
    for name in PACKAGES {
        for package in archive.with_dependencies(&[name])? {
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    }
    let (links, others): (Vec<_>, Vec<_>) = packages
        .into_iter()
        .partition(|package| package.name == LINKS);
    for packages in [links, others] {
        unpack(&archive, &packages, &base.0, &tree)?;
    }
    for folder in SUPERFLUOUS {
        remove(&tree.join(folder))?;
    }
    take_modules(base, &archive, kernel)
}

/// Downloads packages and unpacks them into `tree`; `folder` is for the time between.
fn unpack(archive: &Archive, packages: &[Package], folder: &Path, tree: &Path) -> Result<()> {
    let download = folder.join("download");
    std::fs::create_dir_all(&download)
        .with_context(|| format!("cannot make {}", download.display()))?;
    for file in archive.download_all(packages, &download)? {
        process::output(Command::new("dpkg").arg("-x").arg(file).arg(tree))?;
    }
    remove(&download)
}

fn take_modules(base: &Base, archive: &Archive, kernel: &Kernel) -> Result<()> {
    let tree = base.0.join("kernel");
    unpack(
        archive,
        std::slice::from_ref(&kernel.package),
        &base.0,
        &tree,
    ).with_context(|| {
        format!(
            "the kernel's modules cannot be had; look for a newer kernel: `cargo xtask vm {} --update`",
            kernel.series
        )
    })?;
    for path in MODULES {
        let packed = tree
            .join("usr/lib/modules")
            .join(&kernel.release)
            .join(format!("kernel/{path}.ko.xz"));
        // Debian's busybox knows the format, whatever this machine has.
        let content = Command::new(base.busybox())
            .arg("xzcat")
            .arg(&packed)
            .output()
            .context("cannot start the guest's busybox")?;
        anyhow::ensure!(
            content.status.success(),
            "cannot unpack {}",
            packed.display()
        );
        let file = base.module(path);
        std::fs::write(&file, content.stdout)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    remove(&tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_known_by_its_name_alone() {
        assert_eq!(module_file("drivers/block/virtio_blk"), "virtio_blk.ko");
    }

    #[test]
    fn half_a_folder_is_not_whole() {
        let folder =
            std::env::temp_dir().join(format!("gracewatch-guest-base-{}", std::process::id()));
        let base = Base(folder.clone());
        for file in WITNESSES {
            let path = base.tree().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let without_modules = base.is_whole();
        for path in MODULES {
            std::fs::write(base.module(path), "x").unwrap();
        }
        let whole = base.is_whole();
        remove(&folder).unwrap();
        assert!(!without_modules && whole);
    }
}
