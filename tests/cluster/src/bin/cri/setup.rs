//! The set-ups: an OCI runtime with a view of the cgroups.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use gracewatch_cluster::containerd::Runtime;
use gracewatch_cluster::jail::{CgroupView, Jail};

use crate::Args;

/// An OCI runtime with a view of the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Setup {
    /// runc with the machine's own cgroup trees.
    Runc,
    /// runc with the v2 tree alone, on a machine that has both.
    RuncUnified,
    /// crun, which refuses to run where both are, with the v2 tree alone.
    Crun,
}

impl Setup {
    /// The name that `--setup` takes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::RuncUnified => "runc-unified",
            Self::Crun => "crun",
        }
    }

    /// What it is, for people.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Runc => "runc, the machine's cgroups",
            Self::RuncUnified => "runc, cgroup v2 alone",
            Self::Crun => "crun, cgroup v2 alone",
        }
    }

    pub(crate) const fn cgroup_view(self) -> CgroupView {
        match self {
            Self::Runc => CgroupView::Machine,
            Self::RuncUnified | Self::Crun => CgroupView::Unified,
        }
    }

    pub(crate) fn runtime(self, args: &Args, jail: &Jail) -> Result<Runtime> {
        let (name, binary): (_, PathBuf) = match self {
            Self::Runc | Self::RuncUnified => ("runc", args.tools.join("runc")),
            Self::Crun => (
                "crun",
                args.crun
                    .clone()
                    .context("name crun's program by `--crun FILE`")?,
            ),
        };
        let runtime = Runtime {
            name: name.to_owned(),
            binary,
        };
        if self.is_without_limits() {
            return runtime.unlimited(jail, &args.tools);
        }
        Ok(runtime)
    }

    /// Whether containers can have no limits: the controllers are bound to cgroup v1, which is not seen.
    pub(crate) fn is_without_limits(self) -> bool {
        is_hybrid() && self.cgroup_view() == CgroupView::Unified
    }

    /// Those that were asked for, else those that this machine and the options allow.
    pub(crate) fn wanted(args: &Args) -> Vec<Self> {
        if !args.setup.is_empty() {
            return args.setup.clone();
        }
        let mut all = vec![Self::Runc];
        if is_hybrid() {
            all.push(Self::RuncUnified);
        }
        if args.crun.is_some() {
            all.push(Self::Crun);
        }
        all
    }
}

/// Whether the machine has other cgroup trees than v2, whatever is seen of them here.
fn is_hybrid() -> bool {
    // The lines of other trees have a number above 0.
    std::fs::read_to_string("/proc/self/cgroup")
        .is_ok_and(|table| table.lines().any(|line| !line.starts_with("0:")))
}
