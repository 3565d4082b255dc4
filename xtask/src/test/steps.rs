//! What each step of `cargo xtask test` does.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser as _, ValueEnum};

use crate::cargo::{self, cargo};
use crate::{build_ebpf, cache, demo, docs, process, vm};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// cargo fmt --check.
    Format,
    /// cargo clippy.
    Lints,
    /// The eBPF object.
    Probes,
    /// cargo test.
    Unit,
    /// This machine's kernel.
    Kernel,
    /// The demo.
    Demo,
    /// Other kernels.
    Vm,
    /// Generated pages, and the links of all.
    Docs,
}

impl Step {
    /// Every step, in the order in which they run: what is quick and often wrong comes first, and last the pages,
    /// some of which the steps before may write.
    pub(crate) const ALL: [Self; 8] = [
        Self::Format,
        Self::Lints,
        Self::Probes,
        Self::Unit,
        Self::Kernel,
        Self::Demo,
        Self::Vm,
        Self::Docs,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::Probes => "probes",
            Self::Unit => "unit",
            Self::Docs => "docs",
            Self::Kernel => "kernel",
            Self::Demo => "demo",
            Self::Vm => "vm",
        }
    }
}

/// Everything but the kernel side, which compiles for another target.
const USER_SIDE: [&str; 3] = ["--workspace", "--exclude", "agent-ebpf"];

/// Runs a step; the error says in one sentence why it failed.
pub(crate) fn run(step: Step, write_docs: bool) -> Result<()> {
    match step {
        Step::Format => process::run(&mut cargo(&["fmt", "--all", "--check"]))
            .context("mend it with `cargo fmt --all`"),
        Step::Lints => process::run(cargo(&["clippy", "--quiet"]).args(USER_SIDE).args([
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])),
        Step::Probes => build_ebpf::build().map(drop),
        Step::Unit => {
            build_ebpf::build()?;
            process::run(cargo(&["test", "--quiet"]).args(USER_SIDE))
        }
        Step::Docs if write_docs => docs::write(),
        Step::Docs => docs::check(),
        Step::Kernel => kernel(write_docs),
        Step::Demo => demo_to_its_end(),
        Step::Vm => other_kernels(write_docs),
    }
}

fn kernel(write_docs: bool) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the probes and cgroups of this kernel need root: run `cargo xtask test` as root, or leave this out with \
         `--without kernel,demo`"
    );
    build_ebpf::build()?;
    let mut tests = Command::new(cargo::build_with_agent("kernel")?);
    if write_docs {
        tests
            .arg("--accuracy-out")
            .arg(cache::workspace().join("docs/accuracy.md"));
    }
    process::run(&mut tests)
}

fn demo_to_its_end() -> Result<()> {
    process::run(&mut demo::build()?)
}

/// `vm` with the options that somebody who only types `cargo xtask vm` would get.
fn other_kernels(write_docs: bool) -> Result<()> {
    #[derive(clap::Parser)]
    struct Usual {
        #[command(flatten)]
        args: vm::Args,
    }
    let words = ["vm", "--write-docs"];
    let words = words
        .get(..if write_docs { 2 } else { 1 })
        .unwrap_or_default();
    vm::run(&Usual::try_parse_from(words)?.args)
}
