//! A private apt: own sources, lists and package cache, so that looking into other Debian suites leaves the machine's
//! apt alone. apt itself checks the suites' signatures and each package's hash.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::vm::mirror::Mirror;
use crate::{cache, process};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package as the suites' indices describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) suite: String,
}

/// Some suites of the Debian archive, with their indices fetched.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Fetches (or refreshes) the indices of `suites`; needs the network, but not root.
    pub(crate) fn open(mirror: &Mirror, suites: &[&str]) -> Result<Self> {
        ensure!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing; install the package debian-archive-keyring"
        );
        let folder = cache::dir("apt", &suites.join("+"))?;
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        for (name, content) in [
            ("sources.list", sources_list(mirror, suites)),
            ("apt.conf", apt_conf(&folder)),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let archive = Self { folder };
        process::output(archive.apt_command("apt-get").arg("update")).with_context(|| {
            format!("cannot fetch the package index of {}", suites.join(" and "))
        })?;
        Ok(archive)
    }

    /// The option that makes apt use this archive and nothing else.
    pub(crate) fn option(&self) -> OsString {
        let mut option = OsString::from("--config-file=");
        option.push(self.folder.join("apt.conf"));
        option
    }

    /// `program` of the apt family on this archive, blind to what is installed here.
    fn apt_command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg(self.option())
            .arg("-oDir::State::status=/dev/null");
        command
    }

    /// Every version of every package whose name begins with one of `prefixes` and passes `wanted`.
    pub(crate) fn packages(
        &self,
        prefixes: &[&str],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Package>> {
        let mut names = Vec::new();
        for prefix in prefixes {
            let listed = process::output(self.apt_command("apt-cache").args(["pkgnames", prefix]))?;
            names.extend(
                listed
                    .lines()
                    .filter(|name| wanted(name))
                    .map(str::to_owned),
            );
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let table = process::output(self.apt_command("apt-cache").arg("madison").args(&names))?;
        Ok(table.lines().filter_map(parse_madison).collect())
    }

    /// Packages, and all that they depend on.
    pub(crate) fn with_dependencies(&self, names: &[&str]) -> Result<Vec<Package>> {
        let mut apt = self.apt_command("apt-get");
        apt.args(["--simulate", "--no-install-recommends", "install"]);
        let plan = process::output(apt.args(names))?;
        Ok(plan.lines().filter_map(parse_plan).collect())
    }

    /// The size of a package's file in bytes, where the index tells.
    pub(crate) fn size(&self, package: &Package) -> Option<u64> {
        let record = process::output(
            self.apt_command("apt-cache")
                .arg("show")
                .arg(package.pinned()),
        )
        .ok()?;
        record
            .lines()
            .find_map(|line| line.strip_prefix("Size: "))?
            .parse()
            .ok()
    }

    /// Fetches the package's file into `folder`, which must be empty, and returns its path.
    pub(crate) fn download(&self, package: &Package, folder: &Path) -> Result<PathBuf> {
        let mut files = self.download_all(std::slice::from_ref(package), folder)?;
        files
            .pop()
            .with_context(|| format!("apt fetched no file for {}", package.name))
    }

    /// Fetches the files of several packages, which takes little longer than of one, into `folder`, which must be empty;
    /// returns their paths in any order.
    pub(crate) fn download_all(&self, packages: &[Package], folder: &Path) -> Result<Vec<PathBuf>> {
        process::output(
            self.apt_command("apt-get")
                .arg("download")
                .args(packages.iter().map(Package::pinned))
                .current_dir(folder),
        )?;
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }
}

impl Package {
    fn pinned(&self) -> String {
        format!("{}={}", self.name, self.version)
    }
}

fn sources_list(mirror: &Mirror, suites: &[&str]) -> String {
    suites
        .iter()
        .filter_map(|suite| {
            Some(format!(
                "deb [arch=amd64 signed-by={KEYRING}] {} {suite} main\n",
                mirror.uri(suite)?
            ))
        })
        .collect()
}

/// apt's own user cannot enter a home folder, hence the sandbox line.
fn apt_conf(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Dir::Etc::sourcelist \"{folder}/sources.list\";\n\
         Dir::Etc::sourceparts \"-\";\n\
         Dir::State::lists \"{folder}/lists\";\n\
         Dir::Cache \"{folder}/cache\";\n\
         APT::Architecture \"amd64\";\n\
         APT::Architectures \"amd64\";\n\
         APT::Sandbox::User \"root\";\n\
         APT::Update::Error-Mode \"any\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::PDiffs \"false\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}

/// A line of `apt-cache madison`: `NAME | VERSION | URI SUITE/COMPONENT ARCH Packages`.
fn parse_madison(line: &str) -> Option<Package> {
    let mut fields = line.split('|').map(str::trim);
    let (name, version, source) = (fields.next()?, fields.next()?, fields.next()?);
    let mut words = source.split_whitespace();
    let suite = words.nth(1)?.split('/').next()?;
    (words.last() == Some("Packages")).then(|| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        suite: suite.to_owned(),
    })
}

/// A line of `apt-get --simulate`: `Inst NAME (VERSION ORIGIN/SUITE [ARCHITECTURE])`.
fn parse_plan(line: &str) -> Option<Package> {
    let mut words = line.strip_prefix("Inst ")?.split_whitespace();
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('(')?.to_owned();
    let suite = words.next()?.rsplit('/').next()?.to_owned();
    Some(Package {
        name,
        version,
        suite,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_what_would_be_installed() {
        let package = parse_plan("Inst libmnl0 (1.0.4-3 Debian:12.11/oldstable [amd64])").unwrap();
        assert_eq!(package.pinned(), "libmnl0=1.0.4-3");
        assert_eq!(package.suite, "oldstable");
        assert_eq!(
            parse_plan("Conf libmnl0 (1.0.4-3 Debian:12.11/oldstable [amd64])"),
            None
        );
    }

    #[test]
    fn a_madison_line_tells_version_and_suite() {
        let line = "linux-image-5.10.0-46-cloud-amd64 | 5.10.262-1 | http://m.example/debian-security \
                    bullseye-security/main amd64 Packages";
        let package = parse_madison(line).unwrap();
        assert_eq!(
            (package.version.as_str(), package.suite.as_str()),
            ("5.10.262-1", "bullseye-security")
        );
        assert_eq!(
            package.pinned(),
            "linux-image-5.10.0-46-cloud-amd64=5.10.262-1"
        );
    }

    #[test]
    fn source_packages_and_noise_are_not_packages() {
        assert_eq!(
            parse_madison("linux | 5.10.262-1 | http://m.example/debian bullseye/main Sources"),
            None
        );
        assert_eq!(parse_madison("N: nothing found"), None);
    }

    #[test]
    fn a_suite_the_machine_cannot_reach_is_left_out() {
        let sources = sources_list(
            &Mirror::from_uri("http://m.example/debian"),
            &["bullseye", "bullseye-security"],
        );
        assert_eq!(
            sources,
            format!("deb [arch=amd64 signed-by={KEYRING}] http://m.example/debian bullseye main\n")
        );
    }
}
