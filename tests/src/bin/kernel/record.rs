//! Records the journals that are committed as fixtures: chosen scenarios, each with an agent of its own, with the
//! names of this run taken out.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::whole::{Whole, subjects_file};

use crate::agent::whole::Own;
use crate::scenario::{Rig, Scenario, Stage};

/// Scenarios whose journals are worth keeping: each stands for one way to end.
const CHOSEN: &[&str] = &[
    "handler",
    "sleep_as_pid_1",
    "ignored_by_program",
    "sigwait",
    "too_slow",
    "self_raise",
    "two_at_once",
    "hook_then_stop",
    "hook_eats_grace",
    "hook_ended_by_container",
    "killed_from_inside",
    "child_cgroup",
    "connections_reset",
];

/// Whether this scenario's journal is kept.
pub(crate) fn is_chosen(scenario: &Scenario) -> bool {
    CHOSEN.contains(&scenario.name)
}

/// Plays one scenario for an agent that records, and keeps the journal as `<folder>/<name>.jsonl`.
pub(crate) fn record(rig: &Rig, scenario: &Scenario, folder: &Path) -> Result<()> {
    let name = scenario.name;
    let known = (scenario.known)(rig, name);
    let subjects = rig.toolbox.folder().join(format!("{name}.json"));
    std::fs::write(&subjects, subjects_file(&known)?)?;
    let journal = rig.toolbox.folder().join(format!("{name}.jsonl"));
    let (subjects, journal) = (subjects.to_string_lossy(), journal.to_string_lossy());
    let log = rig.toolbox.folder().join(format!("{name}.agent"));
    let glob = format!("{}/{name}*", rig.folder.path());
    let agent = Own::new(Whole::start(
        &glob,
        &["--subjects", &subjects, "--journal", &journal],
        &log,
    )?);
    let mut check = rig.new_check();
    (scenario.run)(
        &Stage {
            name,
            rig,
            agent: &agent,
        },
        &mut check,
    )?;
    let words = agent.whole.log_text();
    let (status, _) = agent.whole.stop()?;
    ensure!(
        status.success(),
        "the agent ended with {status} and said: {words}"
    );
    ensure!(
        check.wrong.is_empty(),
        "the report is wrong: {}",
        check.wrong.join("; ")
    );
    let text = std::fs::read_to_string(&*journal).context("no journal was recorded")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{name}.jsonl"));
    std::fs::write(&path, without_names(rig, &text))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Takes out what names this run and this machine: the rig's folders.
fn without_names(rig: &Rig, journal: &str) -> String {
    let toolbox = rig.toolbox.folder().to_string_lossy();
    journal
        .replace(&*toolbox, "/rig")
        .replace(rig.folder.path(), "/rig")
}
