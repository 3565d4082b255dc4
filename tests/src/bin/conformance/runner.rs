//! Runs the rows: those that share the agent beside each other, then those with agents of their own.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use agent_core::config::Selector;
use anyhow::{Context as _, Result, ensure};
use gracewatch::journal;
use gracewatch_tests::beside;
use gracewatch_tests::harness::{self, Ending, Played, Tried, attempt};
use gracewatch_tests::in_process::InProcess;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{Whole, subjects_file};

use crate::container::{self, Container, Rig};
use crate::row::{self, Agent, Row};
use crate::step::Act;
use crate::table::{self, Found};
use crate::watcher::Watcher;
use crate::{Args, page};

/// How long the agent may take to say what it must say.
const REPORT_LIMIT: Duration = Duration::from_secs(20);
/// How long a second report of a stop that has one is waited for, after all rows.
const LATE: Duration = Duration::from_secs(3);
/// Agents of their own at a time: each has probes of its own.
const OWN_AT_ONCE: usize = 2;
/// More than a run needs.
const JOURNAL_MAX: u64 = 1 << 32;

/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let all = row::read_all(&args.rows)?;
    if let Some(path) = &args.check_page {
        return page::check_page(path, &all).map(|()| true);
    }
    let rows: Vec<_> = all.into_iter().filter(|row| is_wanted(row, args)).collect();
    ensure!(
        !rows.is_empty(),
        "no row has `{}` in it",
        args.only.join("` or `")
    );
    if args.list {
        for row in &rows {
            println!("{}: {}: {}", row.file, row.kind, row.name);
        }
        println!("{} rows", rows.len());
        return Ok(true);
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "probes are loaded and cgroups and namespaces made: run it as root"
    );
    println!("running {} rows", rows.len());
    let started = Instant::now();
    let first = run_rows(args, &rows)?;
    let played = harness::set_up_once_more(first, |tried| once_more(&tried.name, args, &rows));
    let found = table::in_order(&rows, &played.tried);
    println!("\n{}", table::matrices(&found).markdown());
    summary(args, &played, started.elapsed())?;
    if let (Some(path), true) = (&args.docs_out, args.only.is_empty()) {
        std::fs::write(path, page::render(&found))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(played.passed())
}

fn is_wanted(row: &Row, args: &Args) -> bool {
    let has = |text: &String| {
        [&row.file, &row.kind, &row.name]
            .iter()
            .any(|of_row| of_row.contains(text.as_str()))
    };
    args.only.is_empty() || args.only.iter().any(has)
}

fn create_rig(args: &Args) -> Result<Rig> {
    let folder = Folder::new("conformance")?;
    folder.create_cgroup(container::SLICE)?;
    Ok(Rig {
        folder,
        toolbox: Toolbox::new()?,
        programs: args.programs.clone().context("--programs is missing")?,
    })
}

/// Plays each row once.
fn run_rows(args: &Args, rows: &[Row]) -> Result<Vec<Tried<Found>>> {
    let rig = create_rig(args)?;
    let with = |agent: Agent| -> Vec<Row> {
        let with_it = rows.iter().filter(|row| row.agent == agent);
        with_it.cloned().collect()
    };
    let (mut shared, own) = (with(Agent::Shared), with(Agent::Own));
    // What takes longest begins first, so that nothing is waited for alone in the end.
    shared.sort_by_key(|row| Reverse(row.duration()));
    let mut tried = Vec::new();
    if !shared.is_empty() {
        let selectors = shared.iter().map(|row| selector(&rig, row));
        let journal = args.journal.as_ref().map(|path| journal::Options {
            path: path.clone(),
            bytes_max: JOURNAL_MAX,
        });
        let selectors = selectors.collect::<Result<_>>()?;
        let agent = InProcess::start_recording(rig.folder.path(), selectors, journal)?;
        tried = beside::run(&shared, args.at_once, |row| {
            run_one(args, &rig, row, || Ok(Watcher::Shared(&agent)))
        });
        std::thread::sleep(LATE);
        for one in &mut tried {
            let path = format!("{}/{}", rig.folder.path(), path_of(&shared, &one.name));
            one.found.count_again(agent.reports(&path), &mut one.ending);
        }
        agent.stop()?;
    }
    tried.extend(beside::run(&own, OWN_AT_ONCE, |row| {
        run_one(args, &rig, row, || start_agent(&rig, row))
    }));
    Ok(tried)
}

fn path_of(rows: &[Row], name: &str) -> String {
    let row = rows.iter().find(|row| row.name == name);
    row.map(container::cgroup_path).unwrap_or_default()
}

/// Plays the row of this name with a rig and an agent that it has for itself.
fn once_more(name: &str, args: &Args, rows: &[Row]) -> Tried<Found> {
    let run = || {
        let row: Vec<_> = rows
            .iter()
            .filter(|row| row.name == name)
            .cloned()
            .collect();
        run_rows(args, &row)?.pop().context("there is no such row")
    };
    run().unwrap_or_else(|error| Tried::without_stage(name, Found::default(), &error))
}

/// An agent of the row's own.
fn start_agent<'a>(rig: &Rig, row: &Row) -> Result<Watcher<'a>> {
    let path =
        |ending: &str| -> PathBuf { rig.toolbox.folder().join(format!("{}{ending}", row.name)) };
    let subjects = path(".json");
    let known = [selector(rig, row)?];
    std::fs::write(&subjects, subjects_file(&known)?)?;
    let glob = known
        .iter()
        .map(|selector| selector.cgroup.as_str())
        .collect::<String>();
    let subjects = subjects.to_string_lossy().into_owned();
    let ring = row
        .ring
        .unwrap_or(agent_common::map::EVENTS_BYTES)
        .to_string();
    let options = ["--subjects", &subjects, "--ring-bytes", &ring];
    let agent = Whole::start(&glob, &options, &path(".agent"))?;
    Ok(Watcher::Own(Box::new(agent)))
}

/// What the agent is told of a row.
fn selector(rig: &Rig, row: &Row) -> Result<Selector> {
    Ok(Selector {
        cgroup: format!("{}/{}", rig.folder.path(), container::cgroup_path(row)),
        grace: row.grace.map(Duration::from_secs_f64),
        stop_signal: row.stop_signal()?,
        pre_stop: (!row.hook.is_empty()).then(|| row.hook.clone()),
    })
}

fn run_one<'a>(
    args: &Args,
    rig: &Rig,
    row: &Row,
    watcher: impl FnOnce() -> Result<Watcher<'a>>,
) -> Tried<Found> {
    let tried = attempt(&row.name, Found::default(), |found| {
        let watcher = watcher()?;
        let done = stop_and_judge(rig, row, &watcher, found);
        let ended = watcher.end_agent();
        done.and(ended)
    });
    let tried = tried.with_log(|| rig.toolbox.logs_of(&row.name));
    print_outcome(args, row, &tried);
    tried
}

fn stop_and_judge(rig: &Rig, row: &Row, watcher: &Watcher<'_>, found: &mut Found) -> Result<()> {
    let steps = row.parse_steps()?;
    let mut told = steps.iter().zip(&row.steps).peekable();
    // An agent that is to miss the start is stopped before.
    let before = Act::AgentStops(true);
    if told.next_if(|(step, _)| step.act == before).is_some() {
        watcher.pause_agent(true)?;
    }
    let mut container = Container::start(rig, row, watcher)?;
    for (step, text) in told {
        container
            .run_step(step)
            .with_context(|| format!("step `{text}`"))?;
    }
    container.finish()?;
    let expected = row.expect.as_slice();
    let path = container.cgroup.path();
    found.reports = watcher.wait_reports(path, expected.len(), row.or_counted, REPORT_LIMIT)?;
    found.compare(row);
    Ok(())
}

/// One line, written whole, so that those of rows that run beside each other do not mix.
fn print_outcome(args: &Args, row: &Row, tried: &Tried<Found>) {
    let mut text = format!(
        "row {}: {} ... {} {:.1} s\n",
        row.file,
        row.name,
        tried.found.outcome_name(&tried.ending),
        tried.took.as_secs_f32()
    );
    for words in tried.ending.details() {
        writeln!(text, "    {}", words.replace('\n', " ")).ok();
    }
    if args.verbose {
        for report in &tried.found.reports {
            let json = serde_json::to_string_pretty(report).unwrap_or_default();
            text.push_str(&json);
            text.push('\n');
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

fn summary(args: &Args, played: &Played<Found>, took: Duration) -> Result<()> {
    print!("{}", played.summary());
    let mut wrong = String::new();
    for tried in played.tried.iter().filter(|tried| !tried.ending.passed()) {
        let word = tried.found.outcome_name(&tried.ending);
        writeln!(wrong, "{}: {word}", tried.name).ok();
        for words in tried.ending.details() {
            writeln!(wrong, "    {}", words.replace('\n', " ")).ok();
        }
    }
    if !wrong.is_empty() {
        println!("\nfailures:\n{wrong}");
    }
    if let Some(path) = &args.wrong_out {
        std::fs::write(path, &wrong)?;
    }
    let stages = played
        .tried
        .iter()
        .filter(|tried| matches!(tried.ending, Ending::StageFailed(_)));
    let total = table::count_outcomes(&played.tried);
    println!("{total}, {} without a stage\n", stages.count());
    println!(
        "{} passed, {} failed in {:.1} s",
        played.tried.len() - played.failed(),
        played.failed(),
        took.as_secs_f32()
    );
    Ok(())
}
