//! Runs the set-ups, each in a process of its own, and in each the cases: beside each other where they can be.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::harness::{self, Disagreements, Judged, Tried, attempt};
use gracewatch_tests::whole::Whole;
use serde::{Deserialize, Serialize};

use crate::Args;
use crate::case::Case;
use crate::check::Check;
use crate::rig::Rig;
use crate::setup::Setup;
use crate::stage::Stage;
use crate::{cases, critest, record, table};

/// What one set-up found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Names and versions of containerd and the OCI runtime.
    pub(crate) versions: String,
    tried: Vec<Tried<Check>>,
}

/// What one case found, and with which set-up.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) setup: Setup,
    pub(crate) check: Check,
}

impl Judged for Found {
    fn disagreements(&self) -> Disagreements {
        self.check.disagreements()
    }
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
    let (mut first, mut versions) = (Vec::new(), Vec::new());
    for setup in Setup::wanted(args) {
        let (possible, not): (Vec<_>, Vec<_>) = possible(&cases, setup);
        match &args.critest {
            Some(_) => println!("\n{}: critest", setup.description()),
            None => println!("\n{}: {} cases", setup.description(), possible.len()),
        }
        for case in not.iter().filter(|_| args.critest.is_none()) {
            println!(
                "  {} ... not possible: the controller of memory is bound to cgroup v1, which is not seen here",
                case.name
            );
        }
        let results = run_apart(setup, None)?;
        versions.push((setup, results.versions));
        first.extend(
            results
                .tried
                .into_iter()
                .map(|tried| with_setup(setup, tried)),
        );
    }
    if args.record_dir.is_some() {
        return Ok(true);
    }
    let played = harness::set_up_once_more(first, |tried| {
        let setup = tried.found.setup;
        println!(
            "\n{} with {}, once more and alone",
            tried.name,
            setup.description()
        );
        once_more(setup, &tried.name)
    });
    table::print_table(args, &played, &versions, started.elapsed())
}

/// Runs the case of this name with a containerd and an agent that it has for itself.
fn once_more(setup: Setup, name: &str) -> Tried<Found> {
    let tried = run_apart(setup, Some(name)).and_then(|mut results| {
        let tried = results.tried.pop();
        tried.context("there is no such case")
    });
    let tried = tried.unwrap_or_else(|error| Tried::without_stage(name, Check::default(), &error));
    with_setup(setup, tried)
}

fn with_setup(setup: Setup, tried: Tried<Check>) -> Tried<Found> {
    let check = tried.found;
    Tried {
        found: Found { setup, check },
        name: tried.name,
        ending: tried.ending,
        took: tried.took,
        log: tried.log,
    }
}

/// Runs one set-up, or only one case with it, in a process of its own and reads what it found.
fn run_apart(setup: Setup, case: Option<&str>) -> Result<Results> {
    let results = std::env::temp_dir().join(format!("gracewatch-cri-{}.json", std::process::id()));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    command.args(["--one", setup.name(), "--results"]);
    command.arg(&results);
    if let Some(case) = case {
        command.args(["--case", case]);
    }
    let status = command.status().context("cannot start myself")?;
    let text = std::fs::read_to_string(&results);
    std::fs::remove_file(&results).ok();
    ensure!(
        status.success(),
        "{} ended with {status}",
        setup.description()
    );
    serde_json::from_str(&text.context("it wrote no results")?).context("its results are no JSON")
}

/// Runs one set-up in this process; a case that failed is a result, no failure.
pub(crate) fn run_one(args: &Args, setup: Setup, results: &Path) -> Result<bool> {
    let rig = Rig::new(args, setup)?;
    if let Some(program) = &args.critest {
        let tried = critest::run(&rig, program, args);
        return write(results, &rig, vec![tried]);
    }
    let (cases, _) = possible(&wanted(args), setup);
    if let Some(folder) = &args.record_dir {
        record::record_all(&rig, &cases, setup, folder)?;
        return write(results, &rig, Vec::new());
    }
    let agent = rig.start_agent("agent", &cases, None)?;
    let (alone, beside): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.alone);
    let mut tried = beside::run(&beside, args.at_once, |case| run(&rig, &agent, case));
    for case in alone {
        tried.push(run(&rig, &agent, case));
    }
    let words = agent.log_text();
    let (status, _) = agent.stop()?;
    if rig.interrupted.is_set() {
        bail!("interrupted; everything was ended and removed");
    }
    ensure!(
        status.success(),
        "the agent ended with {status} and said: {words}"
    );
    tried.sort_by_key(|one| cases.iter().position(|case| case.name == one.name));
    write(results, &rig, tried)
}

fn write(path: &Path, rig: &Rig, tried: Vec<Tried<Check>>) -> Result<bool> {
    let results = Results {
        versions: rig.versions()?,
        tried,
    };
    std::fs::write(path, serde_json::to_string(&results)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

fn wanted(args: &Args) -> Vec<Case> {
    let part = args.filter.as_deref().unwrap_or_default();
    let mut all = cases::all_cases();
    all.retain(|case| case.name.contains(part));
    if let Some(name) = &args.case {
        all.retain(|case| case.name == name);
    }
    all
}

/// The cases that this set-up can run, and those that it cannot.
fn possible(cases: &[Case], setup: Setup) -> (Vec<Case>, Vec<Case>) {
    cases
        .iter()
        .partition(|case| !(case.limits_memory && setup.is_without_limits()))
}

/// Runs one case and says how it went.
pub(crate) fn run(rig: &Rig, agent: &Whole, case: &Case) -> Tried<Check> {
    let stage = Stage { case, rig, agent };
    let tried = attempt(case.name, Check::default(), |check| {
        ensure!(!rig.interrupted.is_set(), "interrupted");
        (case.run)(&stage, check)
    });
    let tried = tried.with_log(|| rig.logs_of(case));
    print_outcome(&tried);
    tried
}

fn print_outcome(tried: &Tried<Check>) {
    let (name, took, word) = (&tried.name, tried.took.as_secs_f32(), tried.ending.as_str());
    let words = match tried.ending.details().join("; ") {
        words if words.is_empty() => words,
        words => format!(" ({words})"),
    };
    println!("  {name} {took:.1} s ... {word}{words}");
}
