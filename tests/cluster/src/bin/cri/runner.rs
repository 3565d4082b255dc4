//! Runs the set-ups, each in a process of its own, and in each the cases: beside each other where they can be.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::whole::Whole;
use serde::{Deserialize, Serialize};

use crate::Args;
use crate::case::Case;
use crate::check::{Check, Row};
use crate::rig::Rig;
use crate::setup::Setup;
use crate::stage::Stage;
use crate::{cases, record, table};

/// How one case ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) wrong: Vec<String>,
}

/// What one set-up found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Names and versions of containerd and the OCI runtime.
    pub(crate) versions: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Runs every set-up that is wanted, one after the other, and shows the table; whether all passed.
pub(crate) fn run_all(args: &Args) -> Result<bool> {
    let cases = wanted(args);
    if args.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return Ok(true);
    }
    ensure!(
        !cases.is_empty(),
        "no case has `{}` in its name",
        args.filter.as_deref().unwrap_or_default()
    );
    // Ctrl-C reaches the child, too, which cleans up; its end is waited for.
    for signal in [1, 2, 15] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .context("cannot catch Ctrl-C")?;
    }
    let started = Instant::now();
    let mut all = Vec::new();
    for setup in Setup::wanted(args) {
        let (possible, not): (Vec<_>, Vec<_>) = possible(&cases, setup);
        println!("\n{}: {} cases", setup.says(), possible.len());
        for case in not {
            println!(
                "  {} ... not possible: the controller of memory is bound to cgroup v1, which is not seen here",
                case.name
            );
        }
        all.push((setup, run_apart(setup)?));
    }
    if args.record_dir.is_some() {
        return Ok(true);
    }
    table::show(args, &all, started.elapsed())
}

/// Runs one set-up in a process of its own and reads what it found.
fn run_apart(setup: Setup) -> Result<Results> {
    let results = std::env::temp_dir().join(format!("gracewatch-cri-{}.json", std::process::id()));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    command.args(["--one", setup.name(), "--results"]);
    command.arg(&results);
    let status = command.status().context("cannot start myself")?;
    let text = std::fs::read_to_string(&results);
    std::fs::remove_file(&results).ok();
    ensure!(status.success(), "{} ended with {status}", setup.says());
    serde_json::from_str(&text.context("it wrote no results")?).context("its results are no JSON")
}

/// Runs one set-up in this process; a case that failed is a result, no failure.
pub(crate) fn run_one(args: &Args, setup: Setup, results: &Path) -> Result<bool> {
    let rig = Rig::new(args, setup)?;
    let (cases, _) = possible(&wanted(args), setup);
    if let Some(folder) = &args.record_dir {
        record::all(&rig, &cases, setup, folder)?;
        return write(results, &rig, Vec::new());
    }
    let agent = rig.agent("agent", &cases, None)?;
    let (alone, beside): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.alone);
    let mut outcomes = beside::run(&beside, args.at_once, |case| run(&rig, &agent, case));
    for case in alone {
        outcomes.push(run(&rig, &agent, case));
    }
    let words = agent.words();
    let (status, _) = agent.stop()?;
    if rig.interrupted.is_set() {
        bail!("interrupted; everything was ended and removed");
    }
    ensure!(
        status.success(),
        "the agent ended with {status} and said: {words}"
    );
    outcomes.sort_by_key(|outcome| cases.iter().position(|case| case.name == outcome.name));
    write(results, &rig, outcomes)
}

fn write(path: &Path, rig: &Rig, outcomes: Vec<Outcome>) -> Result<bool> {
    let results = Results {
        versions: rig.versions()?,
        outcomes,
    };
    std::fs::write(path, serde_json::to_string(&results)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

fn wanted(args: &Args) -> Vec<Case> {
    let part = args.filter.as_deref().unwrap_or_default();
    let mut all = cases::all();
    all.retain(|case| case.name.contains(part));
    all
}

/// The cases that this set-up can run, and those that it cannot.
fn possible(cases: &[Case], setup: Setup) -> (Vec<Case>, Vec<Case>) {
    cases
        .iter()
        .partition(|case| !(case.limits_memory && setup.is_without_limits()))
}

/// Runs one case and says how it went.
pub(crate) fn run(rig: &Rig, agent: &Whole, case: &Case) -> Outcome {
    let started = Instant::now();
    let mut check = Check::default();
    let stage = Stage { case, rig, agent };
    if rig.interrupted.is_set() {
        check.wrong.push("interrupted".to_owned());
    } else if let Err(error) = (case.run)(&stage, &mut check) {
        check.wrong.push(format!("{error:#}"));
    }
    tell(case, &check, started.elapsed());
    Outcome {
        name: case.name.to_owned(),
        rows: check.rows,
        wrong: check.wrong,
    }
}

fn tell(case: &Case, check: &Check, took: Duration) {
    let result = if check.wrong.is_empty() {
        "ok".to_owned()
    } else {
        format!("FAILED ({})", check.wrong.join("; "))
    };
    println!("  {} {:.1} s ... {result}", case.name, took.as_secs_f32());
}
