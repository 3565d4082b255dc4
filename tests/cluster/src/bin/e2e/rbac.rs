//! Every right that `deploy/` gives is needed, and together they suffice: one agent with all of them, and for each right
//! one agent that has all but this, side by side on the same pods. What an agent cannot do any more is read from its
//! reports, its metrics, and the Events in the API.

mod agent;
mod pods;
mod rights;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::check::Check;
use crate::scenario::{Needs, Scenario};
use crate::stage::Stage;
use agent::Agent;
use rights::{Ability, RIGHTS};

/// How long it may take until every agent has told what it can.
const LIMIT: Duration = Duration::from_mins(2);
/// What comes later than that from one agent than from all others is late, not impossible.
const SETTLE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_secs(1);
/// What an agent must not be allowed to do, as (verb, resource).
const BEYOND: [(&str, &str); 7] = [
    ("get", "secrets"),
    ("get", "pods"),
    ("delete", "pods"),
    ("create", "pods/exec"),
    ("create", "events"),
    ("get", "nodes"),
    ("list", "replicasets.apps"),
];

pub(crate) const ALL: [Scenario; 1] = [Scenario {
    name: "each_right_is_needed",
    needs: Needs::Cluster,
    // Eleven more agents would slow the others down.
    alone: true,
    gates: &[],
    run: each_right_is_needed,
}];

fn each_right_is_needed(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let work = Work::create(stage.cluster_place().manifests())?;
    let agents = std::iter::once(None)
        .chain(RIGHTS.iter().map(Some))
        .map(|without| Agent::describe(stage.cluster_place().kubectl(), &work.0, without))
        .collect::<Result<Vec<_>>>()?;
    let tried = try_out(&agents, stage, check);
    // On somebody else's cluster nothing is to be left behind, however it went.
    let removed = agents
        .iter()
        .map(Agent::remove)
        .collect::<Result<Vec<()>>>()
        .context("cannot remove the agents that tried the rights");
    tried.and(removed.map(drop))
}

/// A folder with a copy of the manifests, beside which overlays are written, since kustomize takes relative paths only.
#[derive(Debug)]
struct Work(PathBuf);

impl Work {
    fn create(manifests: &Path) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("gracewatch-rights-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let work = Self(folder);
        let status = Command::new("cp")
            .arg("-r")
            .args([manifests, &work.0.join("kustomize")])
            .status()
            .context("cannot start cp")?;
        ensure!(status.success(), "cannot copy {}", manifests.display());
        Ok(work)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn try_out(agents: &[Agent<'_>], stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    for agent in agents {
        agent.install()?;
    }
    for agent in agents {
        agent.wait_ready()?;
    }
    let complete = agents.first().context("no agent")?;
    check.require_equal(
        "the rights in deploy/",
        complete.rights()?,
        rights::all_rights(),
    );
    check.require_equal("rights beyond them", complete.allowed(&BEYOND)?, vec![]);
    pods::run_pods(stage)?;
    let started = Instant::now();
    while started.elapsed() < LIMIT && !all_have_told(agents, stage)? {
        sleep(POLL);
    }
    sleep(SETTLE);
    let (mut writing, mut counting) = (0, 0);
    for agent in agents {
        let lost = &Ability::all_abilities() - &agent.abilities(stage.namespace())?;
        writing += usize::from(!lost.contains(&Ability::WriteEvents));
        counting += usize::from(!lost.contains(&Ability::CountEvents));
        let what = agent.without.map_or_else(
            || "lost with all rights".to_owned(),
            |right| format!("lost without {right}"),
        );
        check.require_equal(what, lost, agent.expected());
    }
    check.require_equal("forbidden with all rights", complete.forbidden()?, vec![]);
    // The agents' word on what they wrote, against the API's.
    let others = complete.others(agents)?;
    check.require_equal(
        "Events, and those counted up",
        pods::events(stage)?,
        (writing + others, counting + others),
    );
    Ok(())
}

/// Whether every agent has shown what it should be able to do.
fn all_have_told(agents: &[Agent<'_>], stage: &Stage<'_>) -> Result<bool> {
    for agent in agents {
        let missing = &(&Ability::all_abilities() - &agent.expected())
            - &agent.abilities(stage.namespace())?;
        if !missing.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}
