//! `cargo xtask page`: fetches a browser, builds the agent and the page tier, and runs that.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{build_ebpf, cache, cargo, process, tools};

/// Test the agent's page in a real browser. Needs root.
///
/// Recordings of real terminations are served by `gracewatch replay --serve`, and what updates itself by `gracewatch run`, on
/// containers of the test's own. The browser is Debian's Chromium, fetched into the cache once with all its libraries; axe-core,
/// which looks at contrast and the like, comes from npm. Nothing is installed or left behind, and no page may ask for anything
/// that the agent does not serve itself. Takes a minute.
///
/// What follows `--` goes to the program `page`: `cargo xtask page -- --filter keyboard`; `-- --help` lists all.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Write the pictures of docs/page.md anew, when all has passed.
    #[arg(long)]
    write_docs: bool,
    /// Options of the program itself.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    process::run(build(args.write_docs)?.args(&args.rest))
}

/// Runs all of it; with `write_docs` its pictures go into the docs.
pub(crate) fn test(write_docs: bool) -> Result<process::FailedStages> {
    process::run_tests(&mut build(write_docs)?)
}

/// Builds everything, and gives the command that runs the tier.
fn build(write_docs: bool) -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the page tier loads probes and makes cgroups: run it as root, \
         `sudo -E env PATH=\"$PATH\" cargo xtask page`"
    );
    let (browser, axe) = tools::browser()?;
    let object = build_ebpf::build()?;
    let mut command = Command::new(cargo::build_with_agent(&object, "page")?);
    command.arg("--browser").arg(browser).arg("--axe").arg(axe);
    command
        .arg("--recordings")
        .arg(cache::workspace().join("tests/recordings"));
    if write_docs {
        command
            .arg("--shots")
            .arg(cache::workspace().join("docs/images"));
    }
    Ok(command)
}
