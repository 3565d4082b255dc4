//! What each step of `cargo xtask test` does.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser as _, ValueEnum};

use crate::cargo::{self, USER_SIDE, cargo};
use crate::process::FailedStages;
use crate::test::runtimes::{self, Part};
use crate::{
    build_ebpf, cache, chart, conformance, connections, cri, demo, docs, e2e, fuzz, hostile, mixin,
    page, process, vm,
};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// cargo fmt --check.
    Format,
    /// cargo clippy, of the kernel side too.
    Lints,
    /// The eBPF object.
    Probes,
    /// cargo test.
    Unit,
    /// Alerts, recording rules and dashboards.
    Mixin,
    /// The Helm chart, without a cluster.
    Chart,
    /// This machine's kernel.
    Kernel,
    /// Random stops on this machine's kernel.
    Fuzz,
    /// Attacks from inside of a container.
    Hostile,
    /// Connections, with a capture beside.
    Connections,
    /// The conformance table.
    Conformance,
    /// The demo.
    Demo,
    /// The page, in a browser.
    Page,
    /// Real container runtimes.
    Cri,
    /// Other kernels.
    Vm,
    /// A real Kubernetes.
    E2e,
    /// Real container runtimes in a virtual machine.
    Guest,
    /// Generated pages, and the links of all.
    Docs,
}

impl Step {
    /// Every step, in the order in which they run: what is quick and often wrong comes first, and last the pages,
    /// some of which the steps before may write.
    pub(crate) const ALL: [Self; 18] = [
        Self::Format,
        Self::Lints,
        Self::Probes,
        Self::Unit,
        Self::Mixin,
        Self::Chart,
        Self::Kernel,
        Self::Fuzz,
        Self::Hostile,
        Self::Connections,
        Self::Conformance,
        Self::Demo,
        Self::Page,
        Self::Cri,
        Self::Vm,
        Self::E2e,
        Self::Guest,
        Self::Docs,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::Probes => "probes",
            Self::Unit => "unit",
            Self::Mixin => "mixin",
            Self::Chart => "chart",
            Self::Kernel => "kernel",
            Self::Fuzz => "fuzz",
            Self::Hostile => "hostile",
            Self::Connections => "connections",
            Self::Conformance => "conformance",
            Self::Demo => "demo",
            Self::Page => "page",
            Self::Cri => "cri",
            Self::Vm => "vm",
            Self::E2e => "e2e",
            Self::Guest => "guest",
            Self::Docs => "docs",
        }
    }
}

/// Runs a step, and gives the stages of it that failed but once; the error says in one sentence why it failed.
pub(crate) fn run(step: Step, write_docs: bool) -> Result<FailedStages> {
    let done = |done: Result<()>| done.map(|()| FailedStages::default());
    match step {
        Step::Format => done(
            process::run(&mut cargo(&["fmt", "--all", "--check"]))
                .context("mend it with `cargo fmt --all`"),
        ),
        Step::Lints => done(lints()),
        Step::Probes => done(build_ebpf::build().map(drop)),
        Step::Unit => {
            build_ebpf::build()?;
            process::run_tests(cargo(&["test", "--quiet"]).args(USER_SIDE))
        }
        Step::Mixin => done(mixin::check()),
        Step::Chart => done(chart::check()),
        Step::Kernel => kernel(write_docs),
        Step::Fuzz => fuzz::test(),
        Step::Hostile => hostile::test(),
        Step::Connections => connections::test(write_docs),
        Step::Conformance => conformance::test(write_docs),
        Step::Demo => done(demo_to_its_end()),
        Step::Page => page::test(write_docs),
        Step::Cri => runtimes(write_docs),
        Step::Vm => other_kernels(write_docs),
        Step::E2e => kubernetes(write_docs),
        Step::Guest => runtimes_in_a_guest(write_docs),
        Step::Docs if write_docs => done(docs::write()),
        Step::Docs => done(docs::check()),
    }
}

/// The kernel side is linted as if it were for this machine: the toolchain that compiles it has no clippy, and what it
/// needs beyond the workspace's own is one nightly feature and a panic that does not unwind. Its own target folder,
/// because of these flags.
fn lints() -> Result<()> {
    const DENY: [&str; 3] = ["--", "--deny", "warnings"];
    let mut user_side = cargo(&["clippy", "--quiet", "--all-targets"]);
    process::run(user_side.args(USER_SIDE).args(DENY))?;
    let mut kernel_side = cargo(&["clippy", "--quiet", "--package", "agent-ebpf"]);
    kernel_side
        .args(["--target-dir", "target/ebpf-lints"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cpanic=abort")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(kernel_side.args(DENY))
}

fn kernel(write_docs: bool) -> Result<FailedStages> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the probes and cgroups of this kernel need root: run `cargo xtask test` as root, or leave this out with \
         `--without kernel,connections,demo,page,cri,e2e`"
    );
    let object = build_ebpf::build()?;
    let mut tests = Command::new(cargo::build_with_agent(&object, "kernel")?);
    if write_docs {
        tests
            .arg("--accuracy-out")
            .arg(cache::workspace().join("docs/accuracy.md"));
    }
    process::run_tests(&mut tests)
}

fn demo_to_its_end() -> Result<()> {
    process::run(&mut demo::build()?)
}

fn runtimes(write_docs: bool) -> Result<FailedStages> {
    let table = cache::workspace().join("target/cri.md");
    let stages = process::run_tests(cri::build()?.arg("--table-out").arg(&table))?;
    if write_docs {
        runtimes::write(Part::Machine, &table)?;
    }
    Ok(stages)
}

fn runtimes_in_a_guest(write_docs: bool) -> Result<FailedStages> {
    let found = cri::run_in_guest(&[])?;
    if write_docs {
        runtimes::write(Part::Guest, &found.table)?;
    }
    Ok(found.stages)
}

fn kubernetes(write_docs: bool) -> Result<FailedStages> {
    let page = write_docs.then(|| cache::workspace().join("docs/kubernetes.md"));
    process::run_tests(&mut e2e::build_all(page)?)
}

/// `vm` with the options that somebody who only types `cargo xtask vm` would get.
fn other_kernels(write_docs: bool) -> Result<FailedStages> {
    #[derive(clap::Parser)]
    struct Usual {
        #[command(flatten)]
        args: vm::Args,
    }
    let words = ["vm", "--write-docs"];
    let words = words
        .get(..if write_docs { 2 } else { 1 })
        .unwrap_or_default();
    vm::test(&Usual::try_parse_from(words)?.args)
}
