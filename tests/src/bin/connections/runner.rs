//! Runs the cases: small ones beside each other, then those with a load one by one, on one agent.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::beside;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{Whole, binary, subjects_file};

use crate::case::{Case, Rig, Stage};
use crate::verdict::Verdict;
use crate::{Args, cases, table};

/// Small cases at a time: most of them only wait.
const AT_ONCE: usize = 6;

const JOURNAL: &str = "journal.jsonl";

/// How one case ended.
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) verdict: Verdict,
    took: Duration,
}

/// Runs what `args` ask for; whether all passed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = |case: &Case| {
        args.filter
            .as_ref()
            .is_none_or(|part| case.name.contains(part.as_str()))
    };
    let small: Vec<_> = cases::small().into_iter().filter(wanted).collect();
    let alone: Vec<_> = cases::alone().into_iter().filter(wanted).collect();
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
    let rig = start(tools)?;
    println!("running {} cases", small.len() + alone.len());
    let started = Instant::now();
    let mut outcomes = beside::run(&small, AT_ONCE, |case| run_one(&rig, case));
    outcomes.extend(alone.iter().map(|case| run_one(&rig, case)));
    let passed = summary(&outcomes, started.elapsed());
    if let (Some(path), true) = (&args.table_out, passed) {
        fs::write(path, table::of_all(&outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    end(rig, args.keep.as_deref())?;
    Ok(passed)
}

/// Ends the agent. Nothing was lost, and its journal tells the same again.
fn end(rig: Rig, kept: Option<&Path>) -> Result<()> {
    let live = rig.agent.all_reports()?;
    let lost = rig.agent.metric("gracewatch_records_lost_total", "")?;
    let words = rig.agent.words();
    let (status, _) = rig.agent.stop()?;
    if let Some(folder) = kept {
        keep(&rig.toolbox, folder)?;
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
    let known = cases::known(&toolbox, folder.path())?;
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

fn run_one(rig: &Rig, case: &Case) -> Outcome {
    let started = Instant::now();
    let mut verdict = Verdict::default();
    let stage = Stage {
        name: case.name,
        rig,
    };
    match catch_unwind(AssertUnwindSafe(|| (case.run)(&stage, &mut verdict))) {
        Ok(Ok(())) => verdict.disagreements(),
        Ok(Err(error)) => verdict.wrong.push(format!("{error:#}")),
        Err(_panic) => verdict
            .wrong
            .push("it panicked; the message is above".to_owned()),
    }
    let outcome = Outcome {
        case: *case,
        verdict,
        took: started.elapsed(),
    };
    outcome.tell();
    outcome
}

impl Outcome {
    fn passed(&self) -> bool {
        self.verdict.wrong.is_empty()
    }

    /// Written whole, so that cases that run beside each other do not mix.
    fn tell(&self) {
        let result = if self.passed() { "ok" } else { "FAILED" };
        let mut text = format!(
            "\ncase {} ... {result} {:.1} s: {}\n{}",
            self.case.name,
            self.took.as_secs_f32(),
            self.case.what,
            table::of_case(&self.verdict)
        );
        for wrong in &self.verdict.wrong {
            writeln!(text, "    WRONG: {wrong}").ok();
        }
        std::io::stdout().lock().write_all(text.as_bytes()).ok();
    }
}

fn summary(outcomes: &[Outcome], took: Duration) -> bool {
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.passed())
        .map(|outcome| outcome.case.name)
        .collect();
    if !failed.is_empty() {
        println!("\nfailed: {}", failed.join(", "));
    }
    println!(
        "\n{} passed, {} failed in {:.1} s",
        outcomes.len() - failed.len(),
        failed.len(),
        took.as_secs_f32()
    );
    failed.is_empty()
}

/// Copies what helps to understand a failure.
fn keep(toolbox: &Toolbox, folder: &Path) -> Result<()> {
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
