//! Where this machine gets Debian packages from, read from its own apt configuration: no host name is written here.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// The base URIs of the Debian archive and, where the machine has one, of its security archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) main: String,
    pub(crate) security: Option<String>,
}

impl Mirror {
    /// Asks apt for the repositories of this machine.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let targets = process::output(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(RELEASE) $(REPO_URI)",
            "Identifier: Packages",
        ]))
        .context("kernels come from a Debian archive, and there is no apt here to ask for one")?;
        Self::from_targets(&targets, codename().as_deref()).context(
            "apt knows no Debian archive; give one by `--mirror URI` (and install the package debian-archive-keyring)",
        )
    }

    /// The archive at `uri`, with no security archive beside it.
    pub(crate) fn from_uri(uri: &str) -> Self {
        Self {
            main: uri.to_owned(),
            security: None,
        }
    }

    /// `targets` has one `SUITE URI` a line; `codename` is that of the installed release.
    fn from_targets(targets: &str, codename: Option<&str>) -> Option<Self> {
        let pairs = || targets.lines().filter_map(|line| line.split_once(' '));
        let is_release = |suite: &str| {
            Some(suite) == codename
                || matches!(
                    suite,
                    "stable" | "oldstable" | "testing" | "unstable" | "sid"
                )
        };
        let main = pairs().find(|(suite, _)| is_release(suite))?.1;
        let security = pairs()
            .find(|(suite, _)| suite.strip_suffix("-security").is_some_and(is_release))
            .map(|(_, uri)| uri.to_owned());
        Some(Self {
            main: main.to_owned(),
            security,
        })
    }

    /// The URI that serves `suite`; `None` for a security suite where the machine has no security archive.
    pub(crate) fn uri(&self, suite: &str) -> Option<&str> {
        if suite.ends_with("-security") {
            self.security.as_deref()
        } else {
            Some(&self.main)
        }
    }
}

/// The codename of the installed Debian release, such as `bookworm`; `None` on other systems.
pub(crate) fn codename() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches('"'))
    };
    (value("ID=") == Some("debian"))
        .then(|| value("VERSION_CODENAME=").map(str::to_owned))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "nodistro https://elsewhere.example/node/\n\
        bookworm http://mirror.example/debian/\n\
        bookworm-updates http://mirror.example/debian/\n\
        bookworm-security http://mirror.example/debian-security/\n";

    #[test]
    fn each_suite_comes_from_its_own_archive() {
        let mirror = Mirror::from_targets(TARGETS, Some("bookworm")).unwrap();
        assert_eq!(
            mirror.uri("trixie-backports"),
            Some("http://mirror.example/debian/")
        );
        assert_eq!(
            mirror.uri("bullseye-security"),
            Some("http://mirror.example/debian-security/")
        );
    }

    #[test]
    fn a_machine_without_a_security_archive_has_the_main_one() {
        let mirror = Mirror::from_targets("sid http://mirror.example/debian/\n", None).unwrap();
        assert_eq!(mirror.uri("sid"), Some("http://mirror.example/debian/"));
        assert_eq!(mirror.uri("bullseye-security"), None);
    }

    #[test]
    fn foreign_repositories_are_no_debian_archive() {
        assert_eq!(
            Mirror::from_targets(
                "nodistro https://elsewhere.example/node/\n",
                Some("bookworm")
            ),
            None
        );
    }
}
