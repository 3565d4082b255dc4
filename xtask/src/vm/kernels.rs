//! Kernels to boot: found in the Debian archive, kept in the cache by series and full version, used from there without
//! network until someone asks for newer ones.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::vm::archive::{Archive, Package};
use crate::vm::mirror::Mirror;
use crate::vm::series::Series;
use crate::{cache, process};

/// The pool drops old versions now and then before the index does: how many builds to try, newest first.
const TRIES: usize = 3;

/// A kernel that can be booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// The series' name, e.g. `6.1`.
    pub(crate) series: &'static str,
    /// What `uname -r` says in it.
    pub(crate) release: String,
    /// Where it came from.
    pub(crate) package: Package,
    /// The bootable image.
    pub(crate) image: PathBuf,
}

/// Gives the cached kernel of `series`, or fetches one; with `update`, looks for a newer one first and falls back to
/// the cached one when that fails.
pub(crate) fn obtain(
    series: &'static Series,
    update: bool,
    mirror: impl Fn() -> Result<Mirror>,
) -> Result<Kernel> {
    let folder = cache::dir("kernel", series.name)?;
    let fetch = || fetch(series, &mirror()?, &folder);
    match read_current(series, &folder) {
        Some(kernel) if !update => Ok(kernel),
        Some(kernel) => fetch().or_else(|error| {
            eprintln!(
                "{:>5}  cannot look for a newer one, using {}: {error:#}",
                series.name, kernel.release
            );
            Ok(kernel)
        }),
        None => fetch().with_context(|| format!("cannot get a {} kernel", series.name)),
    }
}

fn fetch(series: &'static Series, mirror: &Mirror, folder: &Path) -> Result<Kernel> {
    eprintln!(
        "{:>5}  reading the package index of {}",
        series.name,
        series.suites.join(", ")
    );
    let archive = Archive::open(mirror, series.suites)?;
    let packages = archive.packages(&["linux-binary-", "linux-image-"], |name| {
        series.release(name).is_some()
    })?;
    let candidates = newest_first(with_kernel(series, packages))?;
    let mut failure = None;
    for (release, package) in candidates.into_iter().take(TRIES) {
        match fetch_one(series, &archive, folder, release, package) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => {
                eprintln!("{:>5}  {error:#}", series.name);
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => bail!(
            "{} has no {} cloud kernel; name another series",
            series.suites.join(" and "),
            series.name
        ),
    }
}

/// One package per release: the one that holds the kernel image.
fn with_kernel(series: &Series, packages: Vec<Package>) -> Vec<(String, Package)> {
    let mut by_release = BTreeMap::<String, Package>::new();
    for package in packages {
        let Some(release) = series.release(&package.name).map(str::to_owned) else {
            continue;
        };
        if package.name.starts_with("linux-binary-") || !by_release.contains_key(&release) {
            by_release.insert(release, package);
        }
    }
    by_release.into_iter().collect()
}

/// Sorts by Debian's own rule of which version is newer.
fn newest_first(packages: Vec<(String, Package)>) -> Result<Vec<(String, Package)>> {
    let mut ranked = Vec::with_capacity(packages.len());
    for (release, package) in &packages {
        let mut older = 0_usize;
        for (_, other) in &packages {
            let newer = Command::new("dpkg")
                .args(["--compare-versions", &package.version, "gt", &other.version])
                .status()
                .context("cannot start dpkg, which compares versions and unpacks kernels")?;
            older += usize::from(newer.success());
        }
        ranked.push((older, release.clone(), package.clone()));
    }
    ranked.sort_by_key(|(older, _, _)| Reverse(*older));
    Ok(ranked
        .into_iter()
        .map(|(_, release, package)| (release, package))
        .collect())
}

fn fetch_one(
    series: &'static Series,
    archive: &Archive,
    folder: &Path,
    release: String,
    package: Package,
) -> Result<Kernel> {
    let image = folder.join(&package.version).join("vmlinuz");
    if !image.exists() {
        let size = archive.size(&package).map_or(String::new(), |bytes| {
            format!(" ({}.{} MB)", bytes / 1_000_000, bytes / 100_000 % 10)
        });
        eprintln!(
            "{:>5}  fetching {} {}{size}",
            series.name, package.name, package.version
        );
        let started = Instant::now();
        let partial = folder.join(format!("partial-{}", std::process::id()));
        let unpacked = unpack(archive, &package, &release, &partial, &image);
        remove(&partial)?;
        unpacked?;
        eprintln!(
            "{:>5}  fetched in {:.1} s",
            series.name,
            started.elapsed().as_secs_f64()
        );
    }
    let kernel = Kernel {
        series: series.name,
        release,
        package,
        image,
    };
    write_current(&kernel, folder)?;
    Ok(kernel)
}

/// Downloads into `partial` and moves the finished image to `image`, so that a broken run leaves no half kernel.
fn unpack(
    archive: &Archive,
    package: &Package,
    release: &str,
    partial: &Path,
    image: &Path,
) -> Result<()> {
    remove(partial)?;
    let (download, tree) = (partial.join("download"), partial.join("tree"));
    for path in [
        download.as_path(),
        tree.as_path(),
        image.parent().unwrap_or(partial),
    ] {
        std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    let file = archive.download(package, &download)?;
    process::output(Command::new("dpkg").arg("-x").arg(&file).arg(&tree))?;
    let places = [
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ];
    let found = places
        .iter()
        .map(|place| tree.join(place))
        .find(|path| path.exists());
    let found = found.with_context(|| {
        format!(
            "{} holds no kernel at {}",
            package.name,
            places.join(" or ")
        )
    })?;
    std::fs::rename(&found, image)
        .with_context(|| format!("cannot move the kernel to {}", image.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// `current` in a series' folder says which version was fetched last, and what the package's name does not tell.
fn write_current(kernel: &Kernel, folder: &Path) -> Result<()> {
    let Package {
        name,
        version,
        suite,
    } = &kernel.package;
    let path = folder.join("current");
    std::fs::write(
        &path,
        format!("{}\n{name}\n{version}\n{suite}\n", kernel.release),
    )
    .with_context(|| format!("cannot write {}", path.display()))
}

fn read_current(series: &'static Series, folder: &Path) -> Option<Kernel> {
    let text = std::fs::read_to_string(folder.join("current")).ok()?;
    let mut lines = text.lines().map(str::to_owned);
    let (release, name, version, suite) =
        (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
    let image = folder.join(&version).join("vmlinuz");
    image.exists().then_some(Kernel {
        series: series.name,
        release,
        package: Package {
            name,
            version,
            suite,
        },
        image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::series::find;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            suite: "sid".into(),
        }
    }

    #[test]
    fn the_binary_package_wins_over_the_image_of_the_same_release() {
        let image = package("linux-image-7.3.4+deb13-cloud-amd64", "7.3.4-1");
        let binary = package("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1");
        for order in [
            vec![image.clone(), binary.clone()],
            vec![binary.clone(), image],
        ] {
            let kernels = with_kernel(find("7.3").unwrap(), order);
            assert_eq!(
                kernels,
                vec![("7.3.4+deb13-cloud-amd64".to_owned(), binary.clone())]
            );
        }
    }
}
