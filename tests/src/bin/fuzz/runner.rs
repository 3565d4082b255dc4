//! Plays cases beside each other, judges the reports, shrinks what failed, and sums up.

use std::collections::BTreeMap;
use std::io::Write as _;
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
use crate::judge::{Judgement, judge};
use crate::shrink;
use crate::stage::{Played, Rig, play};

/// Cases of the starved agent at a time: more would leave it no time at all.
const STARVED_AT_ONCE: usize = 3;
/// How long an agent may take to report, and a starved one.
const REPORT_LIMIT: Duration = Duration::from_secs(20);
/// How long a second report might take.
const SECOND_REPORT: Duration = Duration::from_secs(3);
/// How often a smaller case is tried before it is taken for one that does not fail.
const TRIES: usize = 2;
/// Rounds of shrinking of one case.
const ROUNDS: usize = 14;
/// Failures that are shrunk, each of another class.
const SHRUNK_MAX: usize = 20;
/// Stages that may fail in a run, and one more of every so many stops.
const FAILED_STAGES_MAX: usize = 3;
const STOPS_PER_FAILED_STAGE: usize = 500;

/// One case that was played.
#[derive(Debug)]
struct Tried {
    number: u64,
    case: Case,
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
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
    toolbox.link(crate::program::NAME)?;
    let folder = Folder::new("fuzz")?;
    let agents = Agents::start(folder.path(), toolbox.folder(), args.journals.as_deref())?;
    let rig = Rig {
        agents,
        folder,
        toolbox,
    };
    let cases: Vec<(u64, Case)> = match &args.case {
        Some(text) => {
            let case: Case = serde_json::from_str(text)?;
            (0..args.times).map(|time| (time, case.clone())).collect()
        }
        None => (args.first..args.first + args.stops)
            .map(|number| (number, generate::case(args.seed, number)))
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
        tell(one, args.case.is_some());
    }
    if args.case.is_none() && !args.no_shrink {
        shrink_all(&rig, &tried, args.jobs);
    }
    Ok(summary(&tried, started.elapsed()))
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
            && let Ok(again) = judge(&one.case, played, &now, &[])
        {
            *judgement = again;
            *reports = now;
        }
    }
}

/// Plays one, a second time if its stage failed.
fn try_one(rig: &Rig, number: u64, case: &Case, prefix: &str) -> Tried {
    let mut ending = Ending::StageFailed(String::new());
    for attempt in 0..2 {
        let kind = if case.starved { STARVED } else { CALM };
        let name = format!("{kind}{prefix}-{number}-{attempt}");
        ending = match judged(rig, case, &name) {
            Ok(ending) => ending,
            Err(error) => {
                let text = format!("{error:#}");
                if attempt == 0 {
                    println!("{STAGE_FAILED}stop {number}: {}", text.replace('\n', " "));
                }
                Ending::StageFailed(text)
            }
        };
        if matches!(ending, Ending::Judged { .. }) {
            break;
        }
    }
    Tried {
        number,
        case: case.clone(),
        ending,
    }
}

fn judged(rig: &Rig, case: &Case, name: &str) -> Result<Ending> {
    let played = play(rig, case, name)?;
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
    let judgement = judge(case, &played, &reports, &starved)?;
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

/// Says what is wrong with one; `all` also what is not.
fn tell(tried: &Tried, all: bool) {
    let Tried {
        number,
        case,
        ending,
    } = tried;
    let mut text = String::new();
    match ending {
        Ending::StageFailed(why) => text.push_str(&format!("stop {number}: no stage: {why}\n")),
        Ending::Judged {
            judgement: judgement @ Judgement::Wrong(wrong),
            played,
            reports,
        } => {
            text.push_str(&format!("stop {number} ... WRONG\n"));
            for one in wrong {
                text.push_str(&format!(
                    "    {}: {} was reported, and it was {}\n",
                    one.what, one.reported, one.expected
                ));
            }
            let class = judgement.class().unwrap_or_default();
            text.push_str(&format!("    class: {class}\n"));
            text.push_str(&format!("    case: {}\n", as_json(case)));
            text.push_str(&course(played));
            for report in reports {
                text.push_str(&format!("    report: {report}\n"));
            }
        }
        Ending::Judged {
            judgement:
                Judgement::Unsure {
                    doubts,
                    allowed: false,
                },
            played,
            ..
        } if !all => {
            text.push_str(&format!(
                "stop {number} ... unsure, and it could know: {}\n    case: {}\n{}",
                doubts.join(", "),
                as_json(case),
                course(played)
            ));
        }
        Ending::Judged {
            judgement, reports, ..
        } if all => {
            text.push_str(&format!("stop {number} ... {judgement:?}\n"));
            for report in reports {
                text.push_str(&format!("    report: {report}\n"));
            }
        }
        Ending::Judged { .. } => {}
    }
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

/// What was done, in the order of time.
fn course(played: &Played) -> String {
    let ms =
        |at: agent_core::time::Timestamp| at.since(played.started_after).as_secs_f64() * 1000.0;
    let mut steps: Vec<(f64, String)> = Vec::new();
    for sent in &played.sent {
        let of_stop = if sent.is_of_stop { " (stop)" } else { "" };
        let text = format!("signal {} by {:?}{of_stop}", sent.signal, sent.from);
        steps.push((ms(sent.span.before), text));
    }
    let is_mask = |line: &str| line.contains("mask");
    let log = played.log.iter().filter(|(_, line)| !is_mask(line));
    steps.extend(log.map(|(at, line)| (ms(*at), format!("`{line}`"))));
    steps.extend(played.frozen.iter().flat_map(|span| {
        [
            (ms(span.before), "frozen".to_owned()),
            (ms(span.after), "thawed".to_owned()),
        ]
    }));
    steps.push((ms(played.told_at), format!("{}", played.status)));
    steps.sort_by(|one, other| one.0.total_cmp(&other.0));
    let steps: Vec<String> = steps
        .into_iter()
        .map(|(at, what)| format!("{at:.1} {what}"))
        .collect();
    format!("    course in ms: {}\n", steps.join("; "))
}

fn as_json(case: &Case) -> String {
    serde_json::to_string(case).unwrap_or_else(|error| error.to_string())
}

/// Shrinks the first failure of each class.
fn shrink_all(rig: &Rig, tried: &[Tried], jobs: usize) {
    let mut classes: BTreeMap<String, Vec<&Tried>> = BTreeMap::new();
    for one in tried {
        if let Ending::Judged { judgement, .. } = &one.ending
            && let Some(class) = judgement.class()
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
            Ending::Judged { judgement, .. } => judgement.class().as_deref() == Some(class),
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

/// Prints the sums; whether nothing failed.
fn summary(tried: &[Tried], took: Duration) -> bool {
    let (mut right, mut wrong, mut stages, mut unseen) = (0, 0, 0, 0);
    for one in tried {
        match &one.ending {
            Ending::StageFailed(_) => stages += 1,
            Ending::Judged { judgement, .. } => match judgement {
                Judgement::Right => right += 1,
                Judgement::Wrong(_) => wrong += 1,
                Judgement::Unsure { .. } => {}
                Judgement::Unseen => unseen += 1,
            },
        }
    }
    println!(
        "\n{} stops in {:.0} s: {right} right, {wrong} wrong, {stages} without a stage, {unseen} unseen",
        tried.len(),
        took.as_secs_f64()
    );
    unsure(tried, false);
    unsure(tried, true);
    let stages_max = FAILED_STAGES_MAX + tried.len() / STOPS_PER_FAILED_STAGE;
    wrong == 0 && stages <= stages_max
}

/// The share of unsure reports, with the agent starved or not.
fn unsure(tried: &[Tried], starved: bool) {
    let such: Vec<_> = tried
        .iter()
        .filter(|one| one.case.starved == starved)
        .collect();
    let mut doubts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut count, mut allowed_count) = (0_usize, 0_usize);
    for one in &such {
        if let Ending::Judged {
            judgement:
                Judgement::Unsure {
                    doubts: why,
                    allowed,
                },
            ..
        } = &one.ending
        {
            count += 1;
            allowed_count += usize::from(*allowed);
            *doubts.entry(why.join("+")).or_default() += 1;
        }
    }
    let by_doubt: Vec<_> = doubts
        .into_iter()
        .map(|(doubt, count)| format!("{doubt} {count}"))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let share = count as f64 * 100.0 / such.len().max(1) as f64;
    let agent = if starved { "starved" } else { "not starved" };
    println!(
        "agent {agent}: {count} of {} unsure ({share:.1} %), of which {allowed_count} that nobody else can know: {}",
        such.len(),
        by_doubt.join(", ")
    );
}
