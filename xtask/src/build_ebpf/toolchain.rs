//! Which compiler builds the probes: what a usable one is, and in which order the ways are tried.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;

use super::{debian, print_progress, rustup};
use crate::process;

/// The oldest rustc that compiles the workspace: its `rust-version`.
const OLDEST_RUSTC: (u32, u32) = (1, 95);

/// What the command line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Choice {
    /// The one that is ready, else the first that can be installed.
    #[default]
    Auto,
    /// The pinned nightly of rustup.
    Rustup,
    /// Debian's rustc-web.
    Debian,
}

/// A way to come by a compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Rustup,
    Debian,
}

impl Way {
    /// The word for it on the command line and in the stamp.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }

    fn find_toolchain(self) -> Result<Toolchain> {
        match self {
            Self::Rustup => rustup::find_toolchain(),
            Self::Debian => debian::find_toolchain(),
        }
    }

    fn install(self) -> Result<()> {
        match self {
            Self::Rustup => rustup::install(),
            Self::Debian => debian::install(),
        }
    }
}

/// A compiler that can build `core` for the kernel's target, and the LLVM that goes with it.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) way: Way,
    pub(super) cargo: PathBuf,
    pub(super) rustc: PathBuf,
    pub(super) version: Version,
    /// The shared libLLVM that bpf-linker is to be linked with.
    pub(super) llvm: PathBuf,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rustc {} (LLVM {}, {})",
            self.version.release,
            self.version.llvm,
            self.way.name()
        )
    }
}

/// What `rustc -vV` says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// For example `1.97.0-nightly`.
    pub(super) release: String,
    /// The major version of its LLVM.
    pub(super) llvm: u32,
}

impl Version {
    /// Asks the compiler.
    pub(super) fn from_rustc(rustc: &Path) -> Result<Self> {
        let text = process::output(Command::new(rustc).arg("-vV"))?;
        Self::parse(&text)
            .with_context(|| format!("cannot read the versions `{} -vV` prints", rustc.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let release = field("release:")?.to_owned();
        let llvm = field("LLVM version:")?.split('.').next()?.parse().ok()?;
        Some(Self { release, llvm })
    }

    /// Whether it compiles the workspace.
    fn is_new_enough(&self) -> bool {
        let mut numbers = self.release.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST_RUSTC,
            _ => false,
        }
    }
}

/// The version of `rustc` and its sysroot, if it can compile our probes with `-Z build-std=core`.
pub(super) fn inspect(rustc: &Path) -> Result<(Version, PathBuf)> {
    let version = Version::from_rustc(rustc)?;
    if !version.is_new_enough() {
        let (major, minor) = OLDEST_RUSTC;
        bail!(
            "{} is rustc {}, and {major}.{minor} or newer is needed",
            rustc.display(),
            version.release
        );
    }
    let sysroot =
        PathBuf::from(process::output(Command::new(rustc).args(["--print", "sysroot"]))?.trim());
    let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
    ensure!(
        source.exists(),
        "{} has no rust-src ({} is missing)",
        rustc.display(),
        source.display()
    );
    Ok((version, sysroot))
}

/// The compiler for `choice`; installs one where none is ready. The error lists what was tried.
pub(super) fn find_or_install(choice: Choice) -> Result<Toolchain> {
    let ways = candidates(choice);
    for way in ways {
        if let Ok(toolchain) = way.find_toolchain() {
            return Ok(toolchain);
        }
    }
    let mut tried = Vec::new();
    for way in ways {
        match way.install().and_then(|()| way.find_toolchain()) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => {
                let reason = format!("{}: {error:#}", way.name());
                tried.push(reason.clone());
                if tried.len() < ways.len() {
                    print_progress(&reason);
                }
            }
        }
    }
    bail!(
        "no compiler for eBPF. Tried:\n  {}\nEither of these helps, then run this again:\n  \
         rustup toolchain install {} --profile minimal --component rust-src\n  \
         as root on Debian 12 or newer with its security archive: {}",
        tried.join("\n  "),
        rustup::NIGHTLY,
        debian::ADVICE,
    )
}

/// The ways to try for `choice`, the preferred one first.
pub(super) const fn candidates(choice: Choice) -> &'static [Way] {
    match choice {
        Choice::Auto => &[Way::Rustup, Way::Debian],
        Choice::Rustup => &[Way::Rustup],
        Choice::Debian => &[Way::Debian],
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Version, Way, candidates};

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
                          host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";

    fn release(text: &str) -> Version {
        Version {
            release: text.to_owned(),
            llvm: 22,
        }
    }

    #[test]
    fn reads_release_and_llvm() {
        assert_eq!(Version::parse(DEBIAN), Some(release("1.96.0")));
        assert_eq!(Version::parse("release: 1.97.0-nightly\n"), None);
        assert_eq!(
            Version::parse("release: 1.97.0\nLLVM version: unknown\n"),
            None
        );
    }

    #[test]
    fn old_compilers_are_refused() {
        assert!(release("1.95.0").is_new_enough());
        assert!(release("1.97.0-nightly").is_new_enough());
        assert!(release("2.0.0").is_new_enough());
        assert!(!release("1.85.0").is_new_enough());
        assert!(!release("unknown").is_new_enough());
    }

    #[test]
    fn rustup_comes_first_and_a_choice_is_kept() {
        assert_eq!(candidates(Choice::Auto), [Way::Rustup, Way::Debian]);
        assert_eq!(candidates(Choice::Rustup), [Way::Rustup]);
        assert_eq!(candidates(Choice::Debian), [Way::Debian]);
    }
}
