//! The benchmark, run as root by `cargo xtask bench`: what the agent costs, as ratios against the same work without it.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on its terminal"
)]

mod aims;
mod cost;
mod crowd;
mod flood;
mod footprint;
mod page;
mod probes;
mod quiet;
mod ratio;
mod remembered;
mod resets;
mod slowdown;
mod stage;
mod table;
mod tiny;
mod work;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::page::Page;
use crate::quiet::Quiet;
use crate::stage::Stage;

/// How long to wait, all in all, for others to leave the machine alone.
const PATIENCE: Duration = Duration::from_mins(10);
const HURRY: Duration = Duration::from_secs(5);

/// Measures what the agent costs. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// The object with the empty programs.
    #[arg(long, value_name = "FILE")]
    empty: PathBuf,
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// Write the page of the documents to this file.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match work::run_as_worker() {
        Some(played) => played,
        None => measure(&Args::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the benchmark loads probes into the kernel and makes cgroups: run it as root"
    );
    let empty = std::fs::read(&args.empty)
        .with_context(|| format!("cannot read {}", args.empty.display()))?;
    let mut stage = Stage::create()?;
    let mut quiet = Quiet::new(if args.quick { HURRY } else { PATIENCE })?;
    let page = Page {
        cost: cost::measure(&mut stage, &mut quiet, &empty, args.quick)?,
        slowdown: slowdown::measure(&mut stage, &mut quiet, &empty, args.quick)?,
        footprint: footprint::measure(&stage, &mut quiet, args.quick)?,
        flood: flood::measure(&stage, &mut quiet, args.quick)?,
        resets: resets::measure(&stage, &mut quiet, args.quick)?,
        remembered: remembered::measure(&stage, &mut quiet, args.quick)?,
        disturbed: quiet.disturbed,
    };
    drop(stage);
    println!("{}", page.results());
    if let Some(path) = &args.page {
        std::fs::write(path, page.document())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// One line of progress.
fn print_progress(text: &str) {
    eprintln!("bench: {text}");
}
