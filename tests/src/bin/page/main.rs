//! The page tier: the page that the agent serves, in a real browser. Recordings are served by `gracewatch replay --serve`, and
//! what updates itself is watched with `gracewatch run`. Started by `cargo xtask page`, which builds and fetches what it needs.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program tells what it finds"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value has null where there is nothing"
)]

mod browser;
mod cases;
mod journal;
mod protocol;
mod served;
mod shots;
mod tab;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use gracewatch_tests::rig::toolbox::{self, Toolbox};

use crate::browser::Browser;
use crate::cases::{Case, Stage};

/// Tests the agent's page in a real browser.
#[derive(Debug, Parser)]
struct Args {
    /// The browser: a Chromium that can be run without a window
    #[arg(long, value_name = "FILE")]
    browser: PathBuf,
    /// axe.min.js of axe-core, which looks for what keeps people from using a page
    #[arg(long, value_name = "FILE")]
    axe: PathBuf,
    /// The folder with the recorded journals
    #[arg(long, value_name = "FOLDER", default_value = "tests/recordings")]
    recordings: PathBuf,
    /// Run only the cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// List the cases
    #[arg(long)]
    list: bool,
    /// Write the pictures of the docs into this folder, when all cases have passed
    #[arg(long, value_name = "FOLDER")]
    shots: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(code) = toolbox::play() {
        return code;
    }
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        cases::all().for_each(|case| println!("{}", case.name));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        args.recordings.is_dir(),
        "{} is no folder; give the recordings by --recordings",
        args.recordings.display()
    );
    let stage = Stage {
        browser: Browser::start(&args.browser)?,
        axe: std::fs::read_to_string(&args.axe)
            .with_context(|| format!("cannot read {}", args.axe.display()))?,
        recordings: args.recordings.clone(),
        toolbox: Toolbox::new()?,
    };
    let wanted = |case: &&Case| {
        args.filter
            .as_ref()
            .is_none_or(|part| case.name.contains(part))
    };
    let started = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    for case in cases::all().filter(wanted) {
        let begun = Instant::now();
        let result = (case.run)(&stage);
        let took = begun.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                passed += 1;
                println!("page {} ... ok {took:.1} s", case.name);
            }
            Err(error) => {
                failed += 1;
                println!("page {} ... FAILED {took:.1} s\n    {error:#}", case.name);
            }
        }
    }
    println!(
        "\n{passed} passed, {failed} failed in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    ensure!(
        passed + failed > 0,
        "no case has a name like this; --list shows all"
    );
    if failed > 0 {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(folder) = &args.shots {
        shots::write(&stage, folder)?;
    }
    Ok(ExitCode::SUCCESS)
}
