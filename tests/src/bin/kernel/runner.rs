//! Runs the scenarios: those that share an agent beside each other, then those with agents of their own.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::beside;

use crate::Args;
use crate::accuracy::Table;
use crate::agent::Agent;
use crate::agent::in_process::InProcess;
use crate::check::{Check, Compared};
use crate::scenario::{Rig, Scenario, Stage};
use crate::{programs, record, scenarios};

/// Scenarios at a time: most of them only wait.
const AT_ONCE: usize = 12;
/// The same on an emulated processor.
const AT_ONCE_SLOW: usize = 6;
/// How one scenario ended.
struct Outcome {
    name: &'static str,
    check: Check,
    took: Duration,
}

/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = |scenario: &Scenario| {
        args.filter
            .as_ref()
            .is_none_or(|part| scenario.name.contains(part.as_str()))
    };
    let shared: Vec<_> = scenarios::all().into_iter().filter(wanted).collect();
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
        return record_all(folder, wanted);
    }
    programs::report(args.guest)?;
    let rig = Rig::new(args.guest)?;
    println!("\nrunning {} scenarios", shared.len() + alone.len());
    let started = Instant::now();
    let mut outcomes = Vec::new();
    if !shared.is_empty() {
        let selectors = shared
            .iter()
            .flat_map(|scenario| (scenario.known)(&rig, scenario.name))
            .collect();
        let agent = InProcess::start(rig.folder.path(), selectors)?;
        let at_once = if rig.slow { AT_ONCE_SLOW } else { AT_ONCE };
        outcomes = beside::run(&shared, at_once, |scenario| {
            run_one(&rig, &agent, scenario, args.guest)
        });
        agent.stop()?;
    }
    for scenario in &alone {
        outcomes.push(run_one(&rig, &NoAgent, scenario, args.guest));
    }
    let mut compared =
        std::mem::take(&mut *rig.traced.lock().unwrap_or_else(PoisonError::into_inner));
    drop(rig);
    compared.extend(
        outcomes
            .iter()
            .flat_map(|outcome| outcome.check.compared.iter().copied()),
    );
    summary(args, &outcomes, &compared, started.elapsed())
}

fn run_one(rig: &Rig, agent: &dyn Agent, scenario: &Scenario, guest: bool) -> Outcome {
    let started = Instant::now();
    let mut check = rig.check();
    let stage = Stage {
        name: scenario.name,
        rig,
        agent,
    };
    match catch_unwind(AssertUnwindSafe(|| (scenario.run)(&stage, &mut check))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => check.wrong.push(format!("{error:#}")),
        Err(_panic) => check
            .wrong
            .push("it panicked; the message is above".to_owned()),
    }
    let outcome = Outcome {
        name: scenario.name,
        check,
        took: started.elapsed(),
    };
    outcome.tell(guest);
    outcome
}

impl Outcome {
    fn passed(&self) -> bool {
        self.check.wrong.is_empty()
    }

    /// One line, written whole, so that lines of scenarios that run beside each other do not mix.
    fn tell(&self, guest: bool) {
        let result = if self.passed() { "ok" } else { "failed" };
        let words = if self.passed() {
            &self.check.notes
        } else {
            &self.check.wrong
        };
        let detail = words.join("; ").replace('\n', " ");
        let line = if guest {
            format!(
                "VM-SCENARIO name={} result={result} detail={detail}\n",
                self.name
            )
        } else {
            let result = if self.passed() { "ok" } else { "FAILED" };
            let detail = if detail.is_empty() {
                detail
            } else {
                format!("  ({detail})")
            };
            format!(
                "scenario {} ... {result} {:.1} s{detail}\n",
                self.name,
                self.took.as_secs_f32()
            )
        };
        std::io::stdout().lock().write_all(line.as_bytes()).ok();
    }
}

fn summary(
    args: &Args,
    outcomes: &[Outcome],
    compared: &[Compared],
    took: Duration,
) -> Result<bool> {
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.passed())
        .collect();
    let inaccurate = if args.guest {
        None
    } else {
        show_accuracy(args, compared, failed.is_empty())?
    };
    if !failed.is_empty() || inaccurate.is_some() {
        println!("\nfailures:");
    }
    for outcome in &failed {
        println!("\n{}:", outcome.name);
        for wrong in &outcome.check.wrong {
            println!("    {wrong}");
        }
    }
    if let Some(problem) = &inaccurate {
        println!("\naccuracy:\n    {problem}");
    }
    let passed = outcomes.len() - failed.len();
    println!(
        "\n{passed} passed, {} failed in {:.1} s",
        failed.len() + usize::from(inaccurate.is_some()),
        took.as_secs_f32()
    );
    Ok(failed.is_empty() && inaccurate.is_none())
}

/// Prints the table of errors and writes the page; what is wrong with it, if anything.
fn show_accuracy(args: &Args, compared: &[Compared], passed: bool) -> Result<Option<String>> {
    if compared.is_empty() {
        return Ok(None);
    }
    let table = Table::of(compared);
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
fn record_all(folder: &Path, wanted: impl Fn(&Scenario) -> bool) -> Result<bool> {
    let rig = Rig::new(false)?;
    for scenario in scenarios::all()
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

    fn count(&self, _path: &str) -> usize {
        0
    }
}
