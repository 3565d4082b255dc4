//! Plays cases beside each other, judges the reports, shrinks what failed, and sums up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::harness::STAGE_FAILED;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::clock::Span;
use gracewatch_tests::rig::toolbox::Toolbox;
use serde_json::Value;

use crate::Args;
use crate::agent::{Agents, CALM, STARVED};
use crate::case::Case;
use crate::generate;
use crate::judge::{Judgement, judge_reports};
use crate::shrink;
use crate::stage::{AHEAD, AHEAD_SLOW, Played, Rig, run_case};
use crate::stalls::{LATE, LATE_SLOW, Stalled, Stalls};
use crate::summary::summary;
use crate::tell::{as_json, print_tried};

/// Cases of the starved agent at a time: more would leave it no time at all.
const STARVED_AT_ONCE: usize = 3;
/// How long an agent may take to report, and a starved one.
const REPORT_LIMIT: Duration = Duration::from_secs(20);
/// How long a second report might take.
const SECOND_REPORT: Duration = Duration::from_secs(3);
/// How often a smaller case is tried before it is taken for one that does not fail.
const TRIES: usize = 2;
/// How often a case is played whose time the machine spent standing still.
const STALLED_MAX: usize = 4;
/// Rounds of shrinking of one case.
const ROUNDS: usize = 14;
/// Failures that are shrunk, each of another class.
const SHRUNK_MAX: usize = 20;

/// One case that was played.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) number: u64,
    pub(crate) case: Case,
    pub(crate) ending: Ending,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Ending {
    Judged {
        judgement: Judgement,
        played: Box<Played>,
        reports: Vec<Value>,
    },
    StageFailed(String),
}

/// Runs what `args` ask for; whether nothing failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "random stops load probes and make cgroups: run this as root"
    );
    let toolbox = Toolbox::new()?;
    toolbox.add_link(crate::program::NAME)?;
    let folder = Folder::new("fuzz")?;
    let agents = Agents::start(folder.path(), toolbox.folder(), args.journals.as_deref())?;
    let late = if args.guest { LATE_SLOW } else { LATE };
    let rig = Rig {
        agents,
        stalls: Stalls::start_watching(toolbox.folder(), late)?,
        folder,
        toolbox,
        ahead: if args.guest { AHEAD_SLOW } else { AHEAD },
    };
    let cases: Vec<(u64, Case)> = match &args.case {
        Some(text) => {
            let case: Case = serde_json::from_str(text)?;
            (0..args.times).map(|time| (time, case.clone())).collect()
        }
        None => (args.first..args.first + args.stops)
            .map(|number| (number, generate::generate_case(args.seed, number)))
            .collect(),
    };
    let started = Instant::now();
    println!(
        "{} stops of seed {}, {} at a time",
        cases.len(),
        args.seed,
        args.jobs
    );
    let tried = play_all(&rig, &cases, args.jobs, "");
    for one in &tried {
        print_tried(one, args.case.is_some());
    }
    if args.case.is_none() && !args.no_shrink {
        shrink_all(&rig, &tried, args.jobs);
    }
    let passed = summary(&tried, started.elapsed());
    if args.guest {
        let result = if passed { "ok" } else { "failed" };
        let stops = tried.len();
        println!(
            "VM-SCENARIO name=random_stops result={result} detail={stops} of seed {}",
            args.seed
        );
    }
    Ok(passed)
}

/// Plays all, those of the starved agent a few at a time beside the others.
fn play_all(rig: &Rig, cases: &[(u64, Case)], jobs: usize, prefix: &str) -> Vec<Tried> {
    let (starved, calm): (Vec<_>, Vec<_>) = cases.iter().partition(|(_, case)| case.starved);
    let done = AtomicUsize::new(0);
    let act = |(number, case): &&(u64, Case)| {
        let tried = try_one(rig, *number, case, prefix);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if prefix.is_empty() && done.is_multiple_of(100) {
            println!("{done} of {} are done", cases.len());
        }
        tried
    };
    let mut tried = thread::scope(|scope| {
        let starved = scope.spawn(|| beside::run(&starved, STARVED_AT_ONCE, act));
        let mut tried = beside::run(&calm, jobs, act);
        tried.extend(starved.join().unwrap_or_default());
        tried
    });
    look_for_second_reports(rig, &mut tried);
    tried.sort_by_key(|tried| tried.number);
    tried
}

/// A termination is told once, also later.
fn look_for_second_reports(rig: &Rig, tried: &mut [Tried]) {
    thread::sleep(SECOND_REPORT);
    for one in tried {
        let Ending::Judged {
            judgement,
            played,
            reports,
        } = &mut one.ending
        else {
            continue;
        };
        let Ok(now) = rig.agents.reports_by_now(one.case.starved, &played.path) else {
            continue;
        };
        if now.len() > reports.len()
            && let Ok(again) = judge_reports(&one.case, played, &now, &[])
        {
            *judgement = again;
            *reports = now;
        }
    }
}

/// Plays one, a second time if its stage failed, and a few times if the machine stood still.
fn try_one(rig: &Rig, number: u64, case: &Case, prefix: &str) -> Tried {
    let mut ending = Ending::StageFailed(String::new());
    let (mut failed, mut stalled) = (0, 0);
    while failed < 2 && stalled < STALLED_MAX {
        let kind = if case.starved { STARVED } else { CALM };
        let name = format!("{kind}{prefix}-{number}-{}", failed + stalled);
        match judged(rig, case, &name) {
            Ok(judged) => {
                ending = judged;
                break;
            }
            Err(error) => {
                let text = format!("{error:#}");
                if error.is::<Stalled>() {
                    println!("stop {number} is played again: {text}");
                    stalled += 1;
                } else {
                    if failed == 0 {
                        println!("{STAGE_FAILED}stop {number}: {}", text.replace('\n', " "));
                    }
                    failed += 1;
                }
                ending = Ending::StageFailed(text);
            }
        }
    }
    Tried {
        number,
        case: case.clone(),
        ending,
    }
}

fn judged(rig: &Rig, case: &Case, name: &str) -> Result<Ending> {
    let played = run_case(rig, case, name)?;
    let course = Span {
        before: played.started_after,
        after: played.told_at,
    };
    if let Some(stalled) = rig.stalls.in_time(course) {
        return Err(stalled.into());
    }
    let limit = REPORT_LIMIT;
    let reports = rig.agents.reports(case.starved, &played.path, limit)?;
    let life = Span {
        before: played.started_after,
        after: played.released_at,
    };
    let starved = if case.starved {
        rig.agents.starved_in(life)
    } else {
        Vec::new()
    };
    let mut judgement = judge_reports(case, &played, &reports, &starved)?;
    // Whatever has no report must be counted, as the unseen one is.
    let is_counted = reports.is_empty() && case.starved && rig.agents.take_counted()?;
    if is_counted && judgement.is_missing() {
        judgement = Judgement::Unseen;
    }
    if !matches!(judgement, Judgement::Wrong(_)) {
        // What is right needs no log.
        std::fs::remove_file(rig.toolbox.log(name).path()).ok();
    }
    Ok(Ending::Judged {
        judgement,
        played: Box::new(played),
        reports,
    })
}

/// Shrinks the first failure of each class.
fn shrink_all(rig: &Rig, tried: &[Tried], jobs: usize) {
    let mut classes: BTreeMap<String, Vec<&Tried>> = BTreeMap::new();
    for one in tried {
        if let Ending::Judged { judgement, .. } = &one.ending
            && let Some(class) = judgement.fault_class()
        {
            classes.entry(class).or_default().push(one);
        }
    }
    for (index, (class, all)) in classes.iter().take(SHRUNK_MAX).enumerate() {
        // The one with the least acts is the least work.
        let Some(first) = all.iter().min_by_key(|one| as_json(&one.case).len()) else {
            continue;
        };
        let (case, of) = shrink_one(rig, &first.case, class, jobs, index);
        println!("\nclass {class}: {} of the stops WRONG", all.len());
        println!("    smallest: {}", as_json(&case));
        println!("    it fails in {of}");
    }
}

/// Returns the smallest case of the same class, and how often it fails.
fn shrink_one(rig: &Rig, case: &Case, class: &str, jobs: usize, index: usize) -> (Case, String) {
    let mut smallest = case.clone();
    let mut of = "one of one stops".to_owned();
    for round in 0..ROUNDS {
        let smaller = shrink::smaller(&smallest);
        let cases: Vec<(u64, Case)> = smaller
            .iter()
            .flat_map(|case| std::iter::repeat_n(case, TRIES))
            .zip(0..)
            .map(|(case, number)| (number, case.clone()))
            .collect();
        let tried = play_all(rig, &cases, jobs, &format!("-shrink{index}x{round}"));
        let fails = |one: &&Tried| match &one.ending {
            Ending::Judged { judgement, .. } => judgement.fault_class().as_deref() == Some(class),
            Ending::StageFailed(_) => false,
        };
        let Some(found) = tried.iter().find(fails) else {
            break;
        };
        let same = tried.iter().filter(|one| one.case == found.case);
        of = format!("{} of {TRIES} stops", same.filter(fails).count());
        smallest = found.case.clone();
    }
    (smallest, of)
}
