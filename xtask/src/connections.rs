//! `cargo xtask connections`: builds the probes, the agent and the connection tier, and becomes that program.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build_ebpf, cache, cargo, process, tools};

/// Compare what the agent says of connections with a capture and with the clients. Needs root.
///
/// Servers run in containers (cgroups, pid and network namespaces of their own, no Docker and no Kubernetes), clients at
/// the other end of a veth pair; the servers are stopped as a runtime does it. What the agent reports, what it exports,
/// what tcpdump captured and what the clients met must be the same. nginx, gunicorn, wrk, tcpdump and ip are Debian's,
/// fetched into the cache once; nothing is installed or left behind.
///
/// What follows `--` goes to the program `connections`: `cargo xtask connections -- --filter nginx`; `-- --help` lists all.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Options of the program itself.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = build()?.args(&args.rest).exec();
    Err(error).context("cannot start the connection tier")
}

/// Builds everything, and gives the command that runs the tier.
pub(crate) fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the connection tier loads probes and makes cgroups and network namespaces: run it as root, \
         `sudo -E env PATH=\"$PATH\" cargo xtask connections`"
    );
    let tools = tools::traffic()?;
    let object = build_ebpf::build()?;
    let mut command = Command::new(cargo::build_with_agent(&object, "connections")?);
    command.arg("--tools").arg(tools);
    Ok(command)
}

/// Runs all of it; with `write_docs` the table of this run goes into the page.
pub(crate) fn test(write_docs: bool) -> Result<process::FailedStages> {
    let mut command = build()?;
    if !write_docs {
        return process::run_tests(&mut command);
    }
    let table = cache::workspace().join("target/connections.md");
    let stages = process::run_tests(command.arg("--table-out").arg(&table))?;
    write(&table)?;
    Ok(stages)
}

const PAGE: &str = "docs/connections.md";
const BEGIN: &str = "<!-- proof: begin -->";
const END: &str = "<!-- proof: end -->";
const WORDS: &str = "\
Written by `cargo xtask test --only connections --write-docs`; do not edit between these lines.

Three numbers stand in each cell: what the agent reported, what tcpdump captured at the client's end of the veth pair (as a
range where the capture cannot tell on which side of a signal or an exit something was), and what the clients met or did (`–`
where they do not know). The first is the same in the metrics. Resets by phase and reason are the agent's. The last column is
how far its time of the last arrival is from the capture's.
";

fn write(table: &Path) -> Result<()> {
    let table = fs::read_to_string(table)
        .with_context(|| format!("the table is missing: {}", table.display()))?;
    let path = cache::workspace().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("{PAGE} is missing"))?;
    let page = with(&page, &table)
        .with_context(|| format!("{PAGE} has no lines `{BEGIN}` and `{END}` for the table"))?;
    fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))?;
    eprintln!("wrote {PAGE}");
    Ok(())
}

/// The page with another table.
fn with(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{WORDS}\n{}\n\n{END}{after}",
        table.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page = format!("before\n{BEGIN}\n{END}\nafter\n");
        let once = with(&page, "| a |\n").unwrap();
        assert!(once.starts_with("before\n") && once.ends_with("\nafter\n"));
        assert!(once.contains("\n| a |\n"));
        assert_eq!(
            with(&once, "| b |").unwrap(),
            once.replace("| a |", "| b |")
        );
        assert_eq!(with("no lines", "| a |"), None);
    }
}
