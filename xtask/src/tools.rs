//! The programs of a real cluster and of a real container runtime: built from their Go modules once, and kept in the
//! cache by version. A part is built in a folder of its own and moved when it is whole, so that a broken run leaves
//! nothing half behind, and an empty or damaged cache is only slow.

mod axe;
mod browser;
mod debian;
mod golang;
mod modules;
mod monitors;
mod pause;
mod programs;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::cache;
use modules::Module;

/// Build the programs of a real cluster into the cache, and print the folder that has them all.
///
/// etcd, Kubernetes, Helm, containerd, runc, network plugins and Prometheus are built with Go, in the versions of tests/cluster/go; busybox and
/// nft come from Debian. With an empty cache ten minutes on two cores, else no time. `e2e` and `cri` do it by themselves.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what runs containers without a Kubernetes.
    #[arg(long)]
    runtime: bool,
    /// What every step of `cargo xtask test` needs, so that none has to wait: the browser and what makes connections, too.
    #[arg(long, conflicts_with = "runtime")]
    all: bool,
    /// Only the programs of the conformance table.
    #[arg(long, conflicts_with_all = ["runtime", "all"])]
    programs: bool,
}

#[expect(clippy::print_stdout, reason = "the folder is what was asked for")]
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.all {
        mixin()?;
        traffic()?;
        programs()?;
        browser()?;
    }
    let folder = if args.programs {
        programs()
    } else if args.runtime {
        runtime()
    } else {
        ensure()
    };
    println!("{}", folder?.display());
    Ok(())
}

/// What is built and kept as one.
#[derive(Clone, Copy, Debug)]
enum Part {
    Go(&'static Module),
    Busybox,
    Pause,
    /// What runc filters system calls with. No tool, but needed to build one.
    Seccomp,
    /// What kube-proxy programs the kernel's packet filter with.
    Nft,
    /// What the Prometheus operator adds to the Kubernetes API: its kinds, as files for `kubectl apply`.
    Monitors,
    /// Servers and clients for tests of connections, and what observes them.
    Traffic,
    /// The programs of the conformance table.
    Programs,
    /// A browser for tests of the page.
    Browser,
    /// What looks for what keeps people from using a page.
    Axe,
}

/// Everything that a cluster of one machine and the scenarios on it need, in one folder.
pub(crate) fn ensure() -> Result<PathBuf> {
    let more = [
        Part::Go(&modules::PROMETHEUS),
        Part::Go(&modules::HELM),
        Part::Monitors,
    ];
    together(&[&RUNTIME[..], &CLUSTER, &more].concat())
}

/// Only the cluster.
pub(crate) fn cluster() -> Result<PathBuf> {
    together(&[&RUNTIME[..], &CLUSTER].concat())
}

/// What makes, serves, loads and observes connections: `ip`, `tcpdump`, `nginx`, `gunicorn`, `wrk`.
pub(crate) fn traffic() -> Result<PathBuf> {
    Part::Traffic.ensure()
}

/// What renders the mixin and tests its rules: `jsonnet`, `jsonnetfmt`, `promtool`.
pub(crate) fn mixin() -> Result<PathBuf> {
    together(&[Part::Go(&modules::JSONNET), Part::Go(&modules::PROMETHEUS)])
}

/// The root of the containers in which the programs of the conformance table run.
pub(crate) fn programs() -> Result<PathBuf> {
    Ok(Part::Programs.ensure()?.join("tree"))
}

/// A browser, and `axe.min.js`: what tests the page.
pub(crate) fn browser() -> Result<(PathBuf, PathBuf)> {
    let (browser, axe) = (Part::Browser.ensure()?, Part::Axe.ensure()?);
    Ok((browser.join("chromium"), axe.join("axe.min.js")))
}

/// The suite for container runtimes: `critest`.
pub(crate) fn critest() -> Result<PathBuf> {
    let folder = Part::Go(&modules::CRITEST).ensure()?;
    Ok(folder.join("critest"))
}

/// Kubernetes' own end-to-end tests.
#[derive(Debug)]
pub(crate) struct KubernetesTests {
    /// The folder of `e2e.test`, `ginkgo` and `agnhost`.
    pub(crate) programs: PathBuf,
    /// The folder of Kubernetes' source.
    pub(crate) source: PathBuf,
}

/// Builds them.
pub(crate) fn kubernetes_tests() -> Result<KubernetesTests> {
    let module = &modules::KUBERNETES_TESTS;
    Ok(KubernetesTests {
        programs: Part::Go(module).ensure()?,
        source: golang::source(module.name, module.of)?,
    })
}

/// What renders manifests: `helm` and `kustomize`.
pub(crate) fn renderers() -> Result<PathBuf> {
    Part::Go(&modules::HELM).ensure()
}

/// What runs containers without a Kubernetes: runtime, network plugins, and what the rig's images are made of.
pub(crate) fn runtime() -> Result<PathBuf> {
    together(&RUNTIME)
}

const RUNTIME: [Part; 5] = [
    Part::Go(&modules::RUNC),
    Part::Go(&modules::CONTAINERD),
    Part::Go(&modules::CNI),
    Part::Busybox,
    Part::Pause,
];

const CLUSTER: [Part; 3] = [
    Part::Go(&modules::ETCD),
    Part::Go(&modules::KUBERNETES),
    Part::Nft,
];

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Go(module) => module.name,
            Self::Busybox => "busybox",
            Self::Pause => "pause",
            Self::Seccomp => "libseccomp",
            Self::Nft => "nft",
            Self::Monitors => monitors::NAME,
            Self::Traffic => "traffic",
            Self::Programs => "programs",
            Self::Browser => "browser",
            Self::Axe => "axe-core",
        }
    }

    /// What tells one build of this part from another: the name of its folder.
    fn key(self) -> Result<String> {
        match self {
            Self::Go(module) => golang::key(module),
            Self::Pause => pause::key(),
            Self::Monitors => monitors::key(),
            Self::Busybox
            | Self::Seccomp
            | Self::Nft
            | Self::Traffic
            | Self::Programs
            | Self::Browser => Ok(format!("{}-{}", self.name(), debian::suite_name())),
            Self::Axe => Ok(format!("{}-{}", self.name(), axe::VERSION)),
        }
    }

    /// The files that are in its folder when it is whole.
    fn files(self) -> Vec<&'static str> {
        match self {
            Self::Go(module) => module.programs.to_vec(),
            Self::Busybox => vec!["busybox"],
            Self::Pause => vec!["pause"],
            Self::Seccomp => vec!["libseccomp.a", "seccomp.h", "seccomp-syscalls.h"],
            Self::Nft => vec!["nft"],
            Self::Monitors => monitors::FILES.to_vec(),
            Self::Traffic => vec!["ip", "tcpdump", "nginx", "gunicorn", "wrk"],
            Self::Programs => programs::FILES.to_vec(),
            Self::Browser => vec!["chromium", "fonts.conf"],
            Self::Axe => vec!["axe.min.js"],
        }
    }

    fn build(self, folder: &Path) -> Result<()> {
        match self {
            Self::Go(module) => {
                let libraries = module.cgo.then(|| Self::Seccomp.ensure()).transpose()?;
                golang::build(module, libraries.as_deref(), folder)
            }
            Self::Pause => pause::build(folder),
            Self::Monitors => monitors::build(folder),
            Self::Busybox => debian::busybox(folder),
            Self::Seccomp => debian::seccomp(folder),
            Self::Nft => debian::fetch_nft(folder),
            Self::Traffic => debian::traffic(folder),
            Self::Programs => programs::fetch(folder),
            Self::Browser => browser::fetch(folder),
            Self::Axe => axe::fetch(folder),
        }
    }

    /// Its folder in the cache, built where it is missing or not whole.
    fn ensure(self) -> Result<PathBuf> {
        let folder = cache::dir("tools", "parts")?.join(self.key()?);
        let whole = |folder: &Path| missing(self, folder).is_none();
        if whole(&folder) {
            return Ok(folder);
        }
        eprintln!("tools: {} ({})", self.name(), self.effort());
        let started = Instant::now();
        install(&folder, |partial| {
            self.build(partial)?;
            match missing(self, partial) {
                None => Ok(()),
                Some(program) => {
                    anyhow::bail!("its build made no `{program}`")
                }
            }
        })
        .with_context(|| format!("cannot make {}", self.name()))?;
        eprintln!(
            "tools: {} took {:.0} s",
            self.name(),
            started.elapsed().as_secs_f64()
        );
        Ok(folder)
    }

    /// What to expect of a build with an empty cache.
    const fn effort(self) -> &'static str {
        match self {
            Self::Go(module) => module.effort,
            Self::Pause => "compiled, seconds",
            Self::Monitors => "fetched as a Go module, seconds",
            Self::Busybox | Self::Seccomp | Self::Nft | Self::Traffic => {
                "fetched from Debian, seconds"
            }
            Self::Programs => "fetched from Debian, two minutes",
            Self::Browser => "fetched from Debian, half a minute",
            Self::Axe => "fetched from npm, seconds",
        }
    }
}

/// The first of its files that is not in `folder`.
fn missing(part: Part, folder: &Path) -> Option<&'static str> {
    let is_there = |program: &&str| {
        std::fs::metadata(folder.join(program)).is_ok_and(|file| file.is_file() && file.len() > 0)
    };
    part.files().into_iter().find(|program| !is_there(program))
}

/// Fills a new folder and moves it to `target`, in the place of what may be there.
pub(crate) fn install(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = target.with_extension(format!("partial-{}", std::process::id()));
    remove(&partial)?;
    std::fs::create_dir_all(&partial)
        .with_context(|| format!("cannot make {}", partial.display()))?;
    let moved = fill(&partial).and_then(|()| {
        remove(target)?;
        std::fs::rename(&partial, target)
            .with_context(|| format!("cannot move {} to its place", target.display()))
    });
    if moved.is_err() {
        remove(&partial)?;
    }
    moved
}

pub(crate) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One folder with links to the programs of all `parts`.
fn together(parts: &[Part]) -> Result<PathBuf> {
    let mut links = Vec::new();
    let mut keys = Vec::new();
    for part in parts {
        let folder = part.ensure()?;
        keys.push(part.key()?);
        links.extend(
            part.files()
                .into_iter()
                .map(|program| (program, folder.join(program))),
        );
    }
    let set = cache::dir("tools", "sets")?.join(golang::digest(&keys));
    if !links.iter().all(|(name, _)| set.join(name).exists()) {
        install(&set, |partial| {
            for (name, program) in &links {
                symlink(program, partial.join(name))
                    .with_context(|| format!("cannot link {name} into {}", partial.display()))?;
            }
            Ok(())
        })?;
    }
    ensure!(
        links.iter().all(|(name, _)| set.join(name).exists()),
        "{} does not hold all programs; remove it and start again",
        set.display()
    );
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("gracewatch-tools-{name}-{}", std::process::id()));
        remove(&path).unwrap();
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_folder_with_an_empty_program_is_not_whole() {
        let folder = folder("whole");
        let none = missing(Part::Pause, &folder);
        std::fs::write(folder.join("pause"), "").unwrap();
        let empty = missing(Part::Pause, &folder);
        std::fs::write(folder.join("pause"), "x").unwrap();
        let whole = missing(Part::Pause, &folder);
        remove(&folder).unwrap();
        assert_eq!((none, empty, whole), (Some("pause"), Some("pause"), None));
    }

    #[test]
    fn what_fails_leaves_nothing_and_what_works_replaces() {
        let root = folder("install");
        let target = root.join("part");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("half"), "x").unwrap();
        let failed = install(&target, |partial| {
            std::fs::write(partial.join("new"), "x")?;
            anyhow::bail!("no")
        });
        let after_failure: Vec<_> = file_names(&root);
        install(&target, |partial| {
            Ok(std::fs::write(partial.join("new"), "x")?)
        })
        .unwrap();
        let after_success = file_names(&target);
        remove(&root).unwrap();
        assert!(failed.is_err());
        assert_eq!(after_failure, ["part"]);
        assert_eq!(after_success, ["new"]);
    }

    fn file_names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}
