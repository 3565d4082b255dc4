//! Records the journals of the cases: each with an agent of its own, one after the other, with what names this run taken
//! out.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::journal::without_places;

use crate::case::Case;
use crate::rig::Rig;
use crate::runner;
use crate::setup::Setup;

/// Plays these cases and keeps their journals as `<folder>/cri_<set-up>_<name>.jsonl`; those that went wrong are not kept.
pub(crate) fn record_all(rig: &Rig, cases: &[Case], setup: Setup, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut wrong = Vec::new();
    for case in cases {
        let journal = rig.logs.join(format!("{}.jsonl", case.name));
        let agent = rig.start_agent(case.name, std::slice::from_ref(case), Some(&journal))?;
        let tried = runner::run(rig, &agent, case);
        let words = agent.log_text();
        let (status, _) = agent.stop()?;
        ensure!(
            status.success(),
            "the agent ended with {status} and said: {words}"
        );
        if !tried.ending.passed() {
            wrong.push(case.name);
            continue;
        }
        let text = std::fs::read_to_string(&journal).context("no journal was recorded")?;
        let path = folder.join(format!("cri_{}_{}.jsonl", setup.name(), case.name));
        let text = without_places(&own_lines(&text, rig.prefix()), &rig.places);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(
        wrong.is_empty(),
        "not kept, because they are wrong: {}",
        wrong.join(", ")
    );
    Ok(())
}

/// The journal without what names this run, and without the cgroups of others that were there at its start.
fn own_lines(journal: &str, prefix: &str) -> String {
    let (above, within) = (format!("\"{prefix}\""), format!("{prefix}/"));
    journal
        .lines()
        .filter(|line| !line.contains("\"cgroup_found\"") || line.contains(prefix))
        .map(|line| line.replace(&above, "\"/rig\"").replace(&within, "/") + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::own_lines;

    #[test]
    fn a_journal_names_neither_the_run_nor_its_neighbours() {
        let journal = "{\"cgroup_found\":{\"path\":\"/rig-1\"}}\n\
            {\"cgroup_found\":{\"path\":\"/neighbour\"}}\n\
            {\"cgroup_made\":{\"path\":\"/rig-1/kubepods/x\"}}\n";
        let expected = "{\"cgroup_found\":{\"path\":\"/rig\"}}\n\
            {\"cgroup_made\":{\"path\":\"/kubepods/x\"}}\n";
        assert_eq!(own_lines(journal, "/rig-1"), expected);
    }
}
