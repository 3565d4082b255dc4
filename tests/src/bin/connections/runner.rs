//! Runs the cases: small ones beside each other, then those with a load one by one, on one agent.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::harness::{self, Ending, Played, Tried, attempt};
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{Whole, binary, subjects_file};

use crate::case::{Case, Rig, Stage};
use crate::verdict::Verdict;
use crate::{Args, cases, table};

/// Small cases at a time: most of them only wait.
const AT_ONCE: usize = 6;

const JOURNAL: &str = "journal.jsonl";

/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = |case: &Case| {
        args.filter
            .as_ref()
            .is_none_or(|part| case.name.contains(part.as_str()))
    };
    let small: Vec<_> = cases::small_cases().into_iter().filter(wanted).collect();
    let alone: Vec<_> = cases::load_cases().into_iter().filter(wanted).collect();
    if args.list {
        for case in small.iter().chain(&alone) {
            println!("{}", case.name);
        }
        return Ok(true);
    }
    ensure!(
        !small.is_empty() || !alone.is_empty(),
        "no case has `{}` in its name",
        args.filter.as_deref().unwrap_or_default()
    );
    ensure!(
        rustix::process::geteuid().is_root(),
        "the connection tier loads probes and makes cgroups and network namespaces: run it as root"
    );
    let tools = args.tools.clone().context("--tools is missing")?;
    let rig = start(tools.clone())?;
    println!("running {} cases", small.len() + alone.len());
    let started = Instant::now();
    let mut first = beside::run(&small, AT_ONCE, |case| run_one(&rig, case));
    first.extend(alone.iter().map(|case| run_one(&rig, case)));
    let ended = end_rig(rig, args.keep.as_deref());
    let all = [small, alone].concat();
    let played = harness::set_up_once_more(first, |tried| once_more(&tried.name, &all, &tools));
    let passed = summary(&played, started.elapsed());
    ended?;
    if let (Some(path), true) = (&args.table_out, passed) {
        fs::write(path, table::of_all(&played.tried, &all))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(passed)
}

/// Runs the case of this name with an agent that it has for itself.
fn once_more(name: &str, all: &[Case], tools: &Path) -> Tried<Verdict> {
    let run = || {
        let case = all.iter().find(|case| case.name == name);
        let rig = start(tools.to_owned())?;
        let tried = run_one(&rig, case.context("there is no such case")?);
        end_rig(rig, None)?;
        Ok(tried)
    };
    run().unwrap_or_else(|error| Tried::without_stage(name, Verdict::default(), &error))
}

/// Ends the agent. Nothing was lost, and its journal tells the same again.
fn end_rig(rig: Rig, kept: Option<&Path>) -> Result<()> {
    let live = rig.agent.all_reports()?;
    let lost = rig.agent.metric("gracewatch_records_lost_total", "")?;
    let words = rig.agent.log_text();
    let (status, _) = rig.agent.stop()?;
    if let Some(folder) = kept {
        copy_files(&rig.toolbox, folder)?;
    }
    ensure!(
        status.success(),
        "the agent ended badly ({status}): {words}"
    );
    ensure!(lost == 0.0, "{lost} records were lost");
    let replayed = replay(&rig.toolbox.folder().join(JOURNAL))?;
    for report in &live {
        ensure!(
            replayed.contains(report),
            "the replayed journal does not give the report of {}",
            report.subject.path
        );
    }
    println!(
        "the journal gives all {} reports again; no record was lost",
        live.len()
    );
    Ok(())
}

/// The reports that a journal gives.
fn replay(journal: &Path) -> Result<Vec<Report>> {
    let mut command = Command::new(binary()?);
    let output = command.args(["replay", "--json"]).arg(journal).output()?;
    ensure!(
        output.status.success(),
        "replay failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

fn start(tools: PathBuf) -> Result<Rig> {
    let toolbox = Toolbox::new()?;
    let folder = Folder::new("connections")?;
    let journal = toolbox.folder().join(JOURNAL);
    let subjects = toolbox.folder().join("subjects.json");
    let known = cases::selectors(&toolbox, folder.path())?;
    fs::write(&subjects, subjects_file(&known)?)?;
    let agent = Whole::start(
        &format!("{}/*", folder.path()),
        &[
            "--journal",
            &journal.to_string_lossy(),
            "--subjects",
            &subjects.to_string_lossy(),
        ],
        &toolbox.folder().join("agent.log"),
    )?;
    Ok(Rig {
        agent,
        folder,
        toolbox,
        tools,
    })
}

fn run_one(rig: &Rig, case: &Case) -> Tried<Verdict> {
    let stage = Stage {
        name: case.name,
        rig,
    };
    let tried = attempt(case.name, Verdict::default(), |verdict| {
        (case.run)(&stage, verdict)
    });
    let tried = tried.with_log(|| rig.toolbox.logs_of(case.name));
    print_outcome(case, &tried);
    tried
}

/// Written whole, so that cases that run beside each other do not mix.
fn print_outcome(case: &Case, tried: &Tried<Verdict>) {
    let mut text = format!(
        "\ncase {} ... {} {:.1} s: {}\n{}",
        case.name,
        tried.ending.as_str(),
        tried.took.as_secs_f32(),
        case.what,
        table::of_case(&tried.found)
    );
    let mark = match tried.ending {
        Ending::StageFailed(_) => "no stage",
        Ending::Passed | Ending::Wrong(_) => "WRONG",
    };
    for words in tried.ending.details() {
        writeln!(text, "    {mark}: {words}").ok();
    }
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

fn summary(played: &Played<Verdict>, took: Duration) -> bool {
    print!("{}", played.summary());
    let failed: Vec<_> = played
        .tried
        .iter()
        .filter(|tried| !tried.ending.passed())
        .map(|tried| tried.name.as_str())
        .collect();
    if !failed.is_empty() {
        println!("\nfailed: {}", failed.join(", "));
    }
    println!(
        "\n{} passed, {} failed in {:.1} s",
        played.tried.len() - failed.len(),
        failed.len(),
        took.as_secs_f32()
    );
    played.passed()
}

/// Copies what helps to understand a failure.
fn copy_files(toolbox: &Toolbox, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for entry in fs::read_dir(toolbox.folder())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let to = folder.join(entry.file_name());
            fs::copy(entry.path(), &to)
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    Ok(())
}
