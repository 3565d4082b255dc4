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
use gracewatch_tests::harness::{self, Tried, attempt};
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
    if let Some(code) = toolbox::run_part() {
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
        cases::all_cases().for_each(|case| println!("{}", case.name));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        args.recordings.is_dir(),
        "{} is no folder; give the recordings by --recordings",
        args.recordings.display()
    );
    let wanted = |case: &&Case| {
        args.filter
            .as_ref()
            .is_none_or(|part| case.name.contains(part))
    };
    let wanted: Vec<&Case> = cases::all_cases().filter(wanted).collect();
    ensure!(
        !wanted.is_empty(),
        "no case has a name like this; --list shows all"
    );
    let started = Instant::now();
    let stage = set_up(args)?;
    let first = wanted.iter().map(|case| run_one(&stage, case)).collect();
    // Its browser has a folder that the next one needs.
    drop(stage);
    let played = harness::set_up_once_more(first, |tried| once_more(args, &wanted, &tried.name));
    print!("{}", played.summary());
    println!(
        "\n{} passed, {} failed in {:.1} s",
        played.tried.len() - played.failed(),
        played.failed(),
        started.elapsed().as_secs_f64()
    );
    if !played.passed() {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(folder) = &args.shots {
        shots::write(&set_up(args)?, folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a browser, and makes room for what the cases write.
fn set_up(args: &Args) -> Result<Stage> {
    Ok(Stage {
        browser: Browser::start(&args.browser)?,
        axe: std::fs::read_to_string(&args.axe)
            .with_context(|| format!("cannot read {}", args.axe.display()))?,
        recordings: args.recordings.clone(),
        toolbox: Toolbox::new()?,
    })
}

/// Runs the case of this name with a browser that it has for itself.
fn once_more(args: &Args, cases: &[&Case], name: &str) -> Tried<()> {
    let run = || {
        let case = cases.iter().find(|case| case.name == name);
        Ok(run_one(
            &set_up(args)?,
            case.context("there is no such case")?,
        ))
    };
    run().unwrap_or_else(|error| Tried::without_stage(name, (), &error))
}

fn run_one(stage: &Stage, case: &Case) -> Tried<()> {
    let tried = attempt(case.name, (), |()| (case.run)(stage));
    let (word, took) = (tried.ending.as_str(), tried.took.as_secs_f64());
    println!("page {} ... {word} {took:.1} s", case.name);
    for words in tried.ending.details() {
        println!("    {words}");
    }
    tried.with_log(|| stage.toolbox.logs_of("page"))
}
