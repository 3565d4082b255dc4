//! Runs the scenarios: some beside each other, then those that need the cluster for themselves.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::beside;

use crate::Args;
use crate::agent::Agents;
use crate::check::Check;
use crate::monitoring::Monitoring;
use crate::place::Place;
use crate::scenario::{Needs, Scenario};
use crate::scenarios;
use crate::stage::Stage;
use crate::table::{self, Outcome};
use crate::watch::Watch;
use crate::{page, record};

/// Scenarios at a time: most of them only wait.
const AT_ONCE: usize = 6;
const POLL: Duration = Duration::from_millis(200);

/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted: Vec<Scenario> = scenarios::all()
        .into_iter()
        .filter(|scenario| {
            args.only
                .as_ref()
                .is_none_or(|parts| parts.split(',').any(|part| scenario.name.contains(part)))
        })
        .collect();
    if args.list {
        for scenario in &wanted {
            println!("{}", scenario.name);
        }
        return Ok(true);
    }
    ensure!(
        !wanted.is_empty(),
        "no scenario has `{}` in its name; --list shows all",
        args.only.as_deref().unwrap_or_default()
    );
    let started = Instant::now();
    let place = Place::open(args)?;
    let watch = Watch::start(&place)?;
    let agents = Agents::install(&place, &watch, &args.manifests)?;
    println!("agent ready after {:.1} s", started.elapsed().as_secs_f64());
    let monitoring = Monitoring::start(&place, args)?;
    let mut outcomes = match &args.record_dir {
        None => play(&wanted, &place, &watch, &agents),
        Some(folder) => {
            record::begin(&agents)?;
            let mut outcomes = Vec::new();
            for scenario in &wanted {
                let outcome = run_one(scenario, &place, &watch, &agents);
                record::end(&agents, &outcome, args, folder)?;
                outcomes.push(outcome);
            }
            outcomes
        }
    };
    outcomes.sort_by_key(|outcome| wanted.iter().position(|one| one.name == outcome.name));
    watch.go_on()?;
    if let Some(monitoring) = &monitoring {
        let all_ran = args.only.is_none() && args.record_dir.is_none();
        let outcome = monitoring.ask(args, all_ran);
        tell(&outcome);
        outcomes.push(outcome);
    }
    let passed = conclude(args, &outcomes, started.elapsed())?;
    if let Some(path) = &args.page_out {
        page::write(path, &place.versions(args)?, &outcomes)?;
    }
    if args.keep {
        keep(args, &place, &agents)?;
    }
    drop(monitoring);
    drop(agents);
    drop(watch);
    place.close()?;
    Ok(passed)
}

fn play(wanted: &[Scenario], place: &Place, watch: &Watch, agents: &Agents<'_>) -> Vec<Outcome> {
    let (possible, impossible): (Vec<&Scenario>, Vec<&Scenario>) = wanted
        .iter()
        .partition(|scenario| scenario.needs == Needs::Cluster || place.own().is_some());
    for scenario in impossible {
        println!(
            "scenario {} ... not here: it needs a cluster of its own",
            scenario.name
        );
    }
    let (alone, beside): (Vec<&Scenario>, Vec<&Scenario>) =
        possible.into_iter().partition(|scenario| scenario.alone);
    let one = |scenario: &Scenario| run_one(scenario, place, watch, agents);
    let outcomes = beside::run(&beside, AT_ONCE, |scenario| {
        watch.go_on().is_ok().then(|| one(scenario))
    });
    let mut outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
    outcomes.extend(
        alone
            .into_iter()
            .take_while(|_| watch.go_on().is_ok())
            .map(one),
    );
    outcomes
}

fn run_one(scenario: &Scenario, place: &Place, watch: &Watch, agents: &Agents<'_>) -> Outcome {
    let started = Instant::now();
    let mut check = Check::default();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let stage = Stage::open(scenario.name, place, watch, agents)?;
        let ran = (scenario.run)(&stage, &mut check);
        ran.and(stage.close())
    }));
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) => check.failed(&error),
        Err(_panic) => check.failed(&anyhow::anyhow!("it panicked; the message is above")),
    }
    let outcome = Outcome {
        name: scenario.name,
        check,
        took: started.elapsed(),
    };
    tell(&outcome);
    outcome
}

/// Written whole, so that lines of scenarios that run beside each other do not mix.
fn tell(outcome: &Outcome) {
    let passed = outcome.check.passed();
    let mut text = format!(
        "scenario {} ... {} {:.1} s\n",
        outcome.name,
        if passed { "ok" } else { "FAILED" },
        outcome.took.as_secs_f64()
    );
    for row in outcome.check.0.iter().filter(|row| !row.holds) {
        let (what, got, expected) = (&row.what, &row.got, &row.expected);
        writeln!(text, "    {what}: {got}, but it was {expected}").ok();
    }
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

fn conclude(args: &Args, outcomes: &[Outcome], took: Duration) -> Result<bool> {
    let table = table::render(outcomes);
    println!("\n{table}");
    if let Some(path) = &args.table_out {
        fs::write(path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| !outcome.check.passed())
        .count();
    println!(
        "{} passed, {failed} failed in {:.1} s",
        outcomes.len() - failed,
        took.as_secs_f64()
    );
    Ok(failed == 0 && !outcomes.is_empty())
}

/// Says how to reach the cluster, and waits for Ctrl-C.
fn keep(args: &Args, place: &Place, agents: &Agents<'_>) -> Result<()> {
    let Some(own) = place.own() else {
        return Ok(());
    };
    let shell = place.write_shell(&args.logs, &args.tools)?;
    let shell = shell.display();
    println!(
        "\nthe cluster runs on until Ctrl-C\n\n  {shell} kubectl get pods --all-namespaces\n  {shell} busybox wget -qO- \
         {}/metrics\n",
        agents.address(gracewatch_cluster::cluster::NODE)?
    );
    while !own.interrupted.is_set() {
        thread::sleep(POLL);
    }
    Ok(())
}
