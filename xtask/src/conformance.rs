//! `cargo xtask conformance`: builds the probes, the agent and the runner of the conformance table, and becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build_ebpf, cache, cargo, process, tools};

const PAGE: &str = "docs/conformance.md";
const ROWS: &str = "tests/conformance";

/// Stop programs that we did not write, and compare each report with what must be said. Needs root.
///
/// The rows are in tests/conformance/*.toml: what runs, how it is stopped, what must be reported, and what must not be. Each is
/// a container (cgroup, pid, mount and network namespaces of its own; no Docker, no Kubernetes) with Debian's programs for its
/// root, which are fetched into the cache once. A process called `runc` sends the signals. Prints expected × reported, and the
/// confusion matrix over outcomes, triggers, causes of SIGKILL and findings.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only rows whose file, kind or name contains this; several are separated by commas.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    only: Vec<String>,
    /// Write docs/conformance.md from what is found. For all rows only.
    #[arg(long, conflicts_with = "only")]
    write_docs: bool,
    /// Options of the program itself.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = build()?;
    if !args.only.is_empty() {
        command.arg("--only").arg(args.only.join(","));
    }
    if args.write_docs {
        command.arg("--docs-out").arg(cache::workspace().join(PAGE));
    }
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = command.args(&args.rest).exec();
    Err(error).context("cannot start the conformance runner")
}

/// Fails if the page has other rows than tests/conformance.
pub(crate) fn check_page() -> Result<()> {
    let mut command = Command::new(cargo::build_debug("conformance")?);
    command.current_dir(cache::workspace());
    process::output(command.args(["--rows", ROWS, "--check-page", PAGE])).map(drop)
}

/// Builds everything, and gives the command that runs the table.
fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the conformance runner loads probes and makes cgroups and namespaces: run it as root, \
         `sudo -E env PATH=\"$PATH\" cargo xtask conformance`"
    );
    let programs = tools::programs()?;
    let object = build_ebpf::build()?;
    let mut command = Command::new(cargo::build_with_agent(&object, "conformance")?);
    command.arg("--programs").arg(programs);
    command.arg("--rows").arg(cache::workspace().join(ROWS));
    Ok(command)
}

/// Runs all of it; with `write_docs` the page is written.
pub(crate) fn test(write_docs: bool) -> Result<process::FailedStages> {
    let mut command = build()?;
    if write_docs {
        command.arg("--docs-out").arg(cache::workspace().join(PAGE));
    }
    process::run_tests(&mut command)
}
