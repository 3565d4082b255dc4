//! Runs the scenarios: those that share an agent beside each other, then those with agents of their own.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::harness::{self, Ending, Played, Tried, attempt};
use gracewatch_tests::in_process::InProcess;

use crate::Args;
use crate::accuracy::Table;
use crate::agent::Agent;
use crate::check::{Check, Compared};
use crate::scenario::{Rig, Scenario, Stage};
use crate::{programs, record, scenarios};

/// Scenarios at a time: most of them only wait.
const AT_ONCE: usize = 12;
/// The same on an emulated processor.
const AT_ONCE_SLOW: usize = 10;
/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = |scenario: &Scenario| {
        args.filter
            .as_ref()
            .is_none_or(|part| scenario.name.contains(part.as_str()))
    };
    let shared: Vec<_> = scenarios::all_scenarios()
        .into_iter()
        .filter(wanted)
        .collect();
    let alone: Vec<_> = scenarios::own_agents().into_iter().filter(wanted).collect();
    if args.list {
        for scenario in shared.iter().chain(&alone) {
            println!("{}", scenario.name);
        }
        return Ok(true);
    }
    ensure!(
        !shared.is_empty() || !alone.is_empty(),
        "no scenario has `{}` in its name",
        args.filter.as_deref().unwrap_or_default()
    );
    ensure!(
        rustix::process::geteuid().is_root(),
        "the real-kernel tier loads probes and makes cgroups: run it as root"
    );
    if let Some(folder) = &args.record_dir {
        return record_all(folder, args.crowd, wanted);
    }
    programs::report(args.guest)?;
    println!("\nrunning {} scenarios", shared.len() + alone.len());
    let started = Instant::now();
    let rig = Rig::new(args.guest, args.crowd)?;
    let mut first = run_shared(&rig, &shared, args.guest)?;
    for scenario in &alone {
        first.push(run_one(&rig, &NoAgent, scenario, args.guest));
    }
    let mut compared = rig.compared();
    drop(rig);
    let played = harness::set_up_once_more(first, |tried| {
        once_more(&tried.name, (&shared, &alone), args, &mut compared)
    });
    compared.extend(
        played
            .tried
            .iter()
            .flat_map(|tried| tried.found.compared.iter().copied()),
    );
    summary(args, &played, &compared, started.elapsed())
}

/// Runs those that share an agent beside each other.
fn run_shared(rig: &Rig, shared: &[Scenario], guest: bool) -> Result<Vec<Tried<Check>>> {
    if shared.is_empty() {
        return Ok(Vec::new());
    }
    let selectors = shared
        .iter()
        .flat_map(|scenario| (scenario.known)(rig, scenario.name))
        .collect();
    let agent = InProcess::start(rig.folder.path(), selectors)?;
    let at_once = if rig.slow { AT_ONCE_SLOW } else { AT_ONCE };
    let tried = beside::run(shared, at_once, |scenario| {
        run_one(rig, &agent, scenario, guest)
    });
    agent.stop()?;
    Ok(tried)
}

/// Runs the scenario of this name with a rig and an agent that it has for itself.
fn once_more(
    name: &str,
    (shared, alone): (&[Scenario], &[Scenario]),
    args: &Args,
    compared: &mut Vec<Compared>,
) -> Tried<Check> {
    let is_it = |scenario: &&Scenario| scenario.name == name;
    let mut run = || {
        let guest = args.guest;
        let rig = Rig::new(guest, args.crowd)?;
        let tried = if let Some(scenario) = alone.iter().find(is_it) {
            run_one(&rig, &NoAgent, scenario, guest)
        } else {
            let scenario: Vec<_> = shared.iter().filter(is_it).copied().collect();
            let mut tried = run_shared(&rig, &scenario, guest)?;
            tried.pop().context("there is no such scenario")?
        };
        compared.extend(rig.compared());
        Ok(tried)
    };
    run().unwrap_or_else(|error| Tried::without_stage(name, Check::new(Duration::ZERO), &error))
}

fn run_one(rig: &Rig, agent: &dyn Agent, scenario: &Scenario, guest: bool) -> Tried<Check> {
    let stage = Stage {
        name: scenario.name,
        rig,
        agent,
    };
    let tried = attempt(scenario.name, rig.new_check(), |check| {
        (scenario.run)(&stage, check)
    });
    let tried = tried.with_log(|| rig.toolbox.logs_of(scenario.name));
    print_outcome(&tried, guest);
    tried
}

/// One line, written whole, so that lines of scenarios that run beside each other do not mix.
fn print_outcome(tried: &Tried<Check>, guest: bool) {
    let words = match &tried.ending {
        Ending::Passed => &tried.found.notes,
        Ending::StageFailed(_) | Ending::Wrong(_) => tried.ending.details(),
    };
    let (name, detail) = (&tried.name, words.join("; ").replace('\n', " "));
    let line = if guest {
        match &tried.ending {
            Ending::Passed => format!("VM-SCENARIO name={name} result=ok detail={detail}\n"),
            Ending::StageFailed(_) => format!("VM-STAGE name={name} detail={detail}\n"),
            Ending::Wrong(_) => format!("VM-SCENARIO name={name} result=failed detail={detail}\n"),
        }
    } else {
        let detail = match detail.as_str() {
            "" => String::new(),
            _ => format!("  ({detail})"),
        };
        let (word, took) = (tried.ending.as_str(), tried.took.as_secs_f32());
        format!("scenario {name} ... {word} {took:.1} s{detail}\n")
    };
    std::io::stdout().lock().write_all(line.as_bytes()).ok();
}

fn summary(
    args: &Args,
    played: &Played<Check>,
    compared: &[Compared],
    took: Duration,
) -> Result<bool> {
    let failed: Vec<_> = played
        .tried
        .iter()
        .filter(|tried| !tried.ending.passed())
        .collect();
    print!("{}", played.summary());
    let inaccurate = if args.guest {
        None
    } else {
        show_accuracy(args, compared, failed.is_empty())?
    };
    if !failed.is_empty() || inaccurate.is_some() {
        println!("\nfailures:");
    }
    for tried in &failed {
        println!("\n{}:", tried.name);
        for wrong in tried.ending.details() {
            println!("    {wrong}");
        }
    }
    if let Some(problem) = &inaccurate {
        println!("\naccuracy:\n    {problem}");
    }
    let passed = played.tried.len() - failed.len();
    println!(
        "\n{passed} passed, {} failed in {:.1} s",
        failed.len() + usize::from(inaccurate.is_some()),
        took.as_secs_f32()
    );
    Ok(played.passed() && inaccurate.is_none())
}

/// Prints the table of errors and writes the page; what is wrong with it, if anything.
fn show_accuracy(args: &Args, compared: &[Compared], passed: bool) -> Result<Option<String>> {
    if compared.is_empty() {
        return Ok(None);
    }
    let table = Table::from_compared(compared);
    println!(
        "\nerror of the measured durations, against clocks that the agent knows nothing of:\n\n{}",
        table.render()
    );
    let problem = table.problem();
    if let (Some(path), true, None) = (&args.accuracy_out, passed, &problem) {
        table.write(path)?;
    }
    Ok(problem)
}

/// Plays the chosen scenarios again, each for an agent of its own that records.
fn record_all(folder: &Path, crowd: usize, wanted: impl Fn(&Scenario) -> bool) -> Result<bool> {
    let rig = Rig::new(false, crowd)?;
    for scenario in scenarios::all_scenarios()
        .iter()
        .filter(|scenario| record::is_chosen(scenario) && wanted(scenario))
    {
        record::record(&rig, scenario, folder)
            .with_context(|| format!("cannot record {}", scenario.name))?;
        println!("recorded {}", scenario.name);
    }
    Ok(true)
}

/// For scenarios that start their own.
#[derive(Debug)]
struct NoAgent;

impl Agent for NoAgent {
    fn wait_watched(&self, _path: &str, _pid: u32, _limit: Duration) -> Result<()> {
        Ok(())
    }

    fn report(&self, path: &str, _limit: Duration) -> Result<agent_core::report::Report> {
        anyhow::bail!("nobody watches {path}")
    }

    fn reports(&self, _path: &str) -> Vec<agent_core::report::Report> {
        Vec::new()
    }
}
