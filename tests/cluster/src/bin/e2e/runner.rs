//! Runs the scenarios: some beside each other, then those that need the cluster for themselves.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::claim;
use gracewatch_tests::harness::{self, Ending, Played, Tried, attempt};

use crate::Args;
use crate::agent::Agents;
use crate::check::Check;
use crate::monitoring::Monitoring;
use crate::place::Place;
use crate::scenario::{Gates, Needs, Scenario};
use crate::scenarios;
use crate::stage::{Stage, Try};
use crate::suite::Suite;
use crate::table::{self, Outcome};
use crate::watch::Watch;
use crate::{page, record};

/// Scenarios at a time: most of them only wait.
const AT_ONCE: usize = 6;
const POLL: Duration = Duration::from_millis(200);

/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted: Vec<Scenario> = scenarios::all_scenarios()
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
    let monitoring = match &args.suite {
        Some(_) => None,
        None => Monitoring::start(&place, args)?,
    };
    let played = match &args.suite {
        Some(programs) => Suite {
            args,
            place: &place,
            watch: &watch,
            agents: &agents,
            programs,
        }
        .run(),
        None => play_all(&wanted, args, &place, &watch, &agents)?,
    };
    let played = monitored(played, monitoring.as_ref(), args);
    let passed = conclude(args, &played, started.elapsed())?;
    if let Some(path) = &args.page_out {
        page::write(path, &place.versions(args)?, &played.tried)?;
    }
    if args.keep {
        keep_cluster(args, &place, &agents)?;
    }
    drop(monitoring);
    drop(agents);
    drop(watch);
    place.shut_down()?;
    Ok(passed)
}

/// Plays all scenarios, and turns on the feature gates that some of them need.
fn play_all(
    wanted: &[Scenario],
    args: &Args,
    place: &Place,
    watch: &Watch,
    agents: &Agents<'_>,
) -> Result<Played<Check>> {
    if args.record_dir.is_some() {
        record::start_recording(agents)?;
    }
    let mut played = Played::default();
    for (gates, set) in group_by_gates(wanted, place) {
        if !gates.is_empty() {
            println!(
                "\nfeature gates that are off by default are on from here: {}",
                gates.join(", ")
            );
            agents.enable(gates)?;
        }
        played.append(play_set(&set, args, place, watch, agents)?);
    }
    Ok(played)
}

/// Adds what Prometheus says in the end.
fn monitored(
    mut played: Played<Check>,
    monitoring: Option<&Monitoring>,
    args: &Args,
) -> Played<Check> {
    if let Some(monitoring) = monitoring {
        let all_ran = args.only.is_none() && args.record_dir.is_none();
        let ask = |_: &Outcome| {
            let asked = monitoring.query_all(args, all_ran);
            print_outcome(&asked);
            asked
        };
        let first = monitoring.query_all(args, all_ran);
        print_outcome(&first);
        played.append(harness::set_up_once_more(vec![first], ask));
    }
    played
}

/// The scenarios by the feature gates that they need; those that need none come first. Those that cannot run are told.
fn group_by_gates(wanted: &[Scenario], place: &Place) -> Vec<(Gates, Vec<Scenario>)> {
    let mut sets: Vec<(Gates, Vec<Scenario>)> = Vec::new();
    for scenario in wanted {
        if scenario.needs == Needs::OwnCluster && place.own_cluster().is_none() {
            println!(
                "scenario {} ... not here: it needs a cluster of its own",
                scenario.name
            );
            continue;
        }
        match sets.iter_mut().find(|(gates, _)| *gates == scenario.gates) {
            Some((_, set)) => set.push(*scenario),
            None => sets.push((scenario.gates, vec![*scenario])),
        }
    }
    sets.sort_by_key(|(gates, _)| gates.len());
    sets
}

/// Runs one set: some beside each other, then the others; and then again those whose stage failed.
fn play_set(
    set: &[Scenario],
    args: &Args,
    place: &Place,
    watch: &Watch,
    agents: &Agents<'_>,
) -> Result<Played<Check>> {
    let one = |scenario: &Scenario| run_one(scenario, Try::First, place, watch, agents);
    let mut first = match &args.record_dir {
        None => run_scenarios(set, watch, one),
        Some(folder) => {
            let mut outcomes = Vec::new();
            for scenario in set {
                let outcome = one(scenario);
                record::save_journal(agents, &outcome, args, folder)?;
                outcomes.push(outcome);
            }
            outcomes
        }
    };
    watch.check_stopped()?;
    first.sort_by_key(|outcome| set.iter().position(|one| one.name == outcome.name));
    let played = harness::set_up_once_more(first, |tried| {
        let scenario = set.iter().find(|one| one.name == tried.name);
        scenario.map_or_else(
            || {
                let why = anyhow::anyhow!("there is no such scenario");
                Tried::without_stage(&tried.name, Check::default(), &why)
            },
            |scenario| once_more(scenario, place, watch, agents),
        )
    });
    watch.check_stopped()?;
    Ok(played)
}

fn run_scenarios(
    set: &[Scenario],
    watch: &Watch,
    one: impl Fn(&Scenario) -> Outcome + Sync,
) -> Vec<Outcome> {
    let (alone, beside): (Vec<&Scenario>, Vec<&Scenario>) =
        set.iter().partition(|scenario| scenario.alone);
    let outcomes = beside::run(&beside, AT_ONCE, |scenario| {
        watch.check_stopped().is_ok().then(|| one(scenario))
    });
    let mut outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
    outcomes.extend(
        alone
            .into_iter()
            .take_while(|_| watch.check_stopped().is_ok())
            .map(one),
    );
    outcomes
}

/// Sets a scenario up once more, when the others have ended and what is left of its first try has gone.
fn once_more(scenario: &Scenario, place: &Place, watch: &Watch, agents: &Agents<'_>) -> Outcome {
    println!("scenario {} once more, alone", scenario.name);
    let ready = watch
        .check_stopped()
        .and_then(|()| place.restart_stopped())
        .and_then(|()| Stage::wait_gone(scenario.name, place));
    match ready {
        Ok(()) => run_one(scenario, Try::Second, place, watch, agents),
        Err(error) => Tried::without_stage(scenario.name, Check::default(), &error),
    }
}

fn run_one(
    scenario: &Scenario,
    which: Try,
    place: &Place,
    watch: &Watch,
    agents: &Agents<'_>,
) -> Outcome {
    let mut log = String::new();
    let before = agents.restarts();
    let tried = attempt(scenario.name, Check::default(), |check| {
        let stage = Stage::create((scenario.name, which), place, watch, agents)?;
        let ran = (scenario.run)(&stage, check);
        if ran.is_err() || !check.holds() {
            log = stage.last_words();
        }
        stage.remove()?;
        ran.map_err(|error| unless_starved(error, agents, before))?;
        claim!(!check.0.is_empty(), "nothing was checked");
        Ok(())
    });
    let mut tried = tried.with_log(|| log);
    if !tried.ending.passed() && tried.found.holds() {
        tried.found.failed(tried.ending.details());
    }
    print_outcome(&tried);
    tried
}

/// An agent that the kubelet started again, since on a starved machine it did not answer in time, has nothing to say of what was
/// before: that is the stage's fault, and the error is made so. One that ended by itself is wrong.
fn unless_starved(error: anyhow::Error, agents: &Agents<'_>, before: i32) -> anyhow::Error {
    const ENDED_BY_KUBELET: [i32; 3] = [0, 137, 143];
    let ends = agents.exit_codes();
    let by_kubelet = ends.iter().all(|code| ENDED_BY_KUBELET.contains(code));
    if agents.restarts() <= before || !by_kubelet {
        return error;
    }
    anyhow::anyhow!(
        "the kubelet started the agent again meanwhile (exit codes {ends:?}): {error:#}"
    )
}

/// Written whole, so that lines of scenarios that run beside each other do not mix.
pub(crate) fn print_outcome(outcome: &Outcome) {
    let (name, took) = (&outcome.name, outcome.took.as_secs_f64());
    let mut text = format!(
        "scenario {name} ... {} {took:.1} s\n",
        outcome.ending.as_str()
    );
    for words in outcome.ending.details() {
        writeln!(text, "    {words}").ok();
    }
    // Those of stages that failed stand in the summary.
    if let Ending::Wrong(_) = outcome.ending {
        for line in outcome.log.lines() {
            writeln!(text, "  | {line}").ok();
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

fn conclude(args: &Args, played: &Played<Check>, took: Duration) -> Result<bool> {
    let table = table::render(&played.tried);
    println!("\n{table}");
    if let Some(path) = &args.table_out {
        fs::write(path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print!("{}", played.summary());
    println!(
        "{} passed, {} failed in {:.1} s",
        played.tried.len() - played.failed(),
        played.failed(),
        took.as_secs_f64()
    );
    Ok(played.passed() && !played.tried.is_empty())
}

/// Says how to reach the cluster, and waits for Ctrl-C.
fn keep_cluster(args: &Args, place: &Place, agents: &Agents<'_>) -> Result<()> {
    let Some(own) = place.own_cluster() else {
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
