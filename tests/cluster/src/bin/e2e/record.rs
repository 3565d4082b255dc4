//! Recording: one scenario after the other, each with an agent of its own whose journal becomes a fixture, with the cgroups
//! of others than Kubernetes taken out.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use gracewatch_cluster::cluster::NODE;
use gracewatch_cluster::journal::without_places;

use crate::Args;
use crate::agent::Agents;
use crate::table::Outcome;

/// The name of the volume, and of the folder where it is mounted.
const VOLUME: &str = "journal";
const FILE: &str = "run.jsonl";
/// More than an hour of everything comes to.
const BYTES_MAX: &str = "1000000000";
/// Where the kubelet has all pods.
const PODS: &str = "/kubepods";

/// Makes the agents of this cluster, which is ours, write journals.
pub(crate) fn start_recording(agents: &Agents<'_>) -> Result<()> {
    let patch = serde_json::json!([
        { "op": "add", "path": "/spec/template/spec/volumes/-", "value": { "name": VOLUME, "emptyDir": {} } },
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/volumeMounts/-",
            "value": { "name": VOLUME, "mountPath": format!("/{VOLUME}") }
        },
        {
            "op": "replace",
            "path": "/spec/template/spec/containers/0/args",
            "value": ["run", "--journal", format!("/{VOLUME}/{FILE}"), "--journal-max-bytes", BYTES_MAX]
        },
    ]);
    agents.patch_daemonset(&patch.to_string())
}

/// Takes the journal, and keeps it as `<folder>/k8s_<name>.jsonl` if it is of a scenario that passed.
pub(crate) fn save_journal(
    agents: &Agents<'_>,
    outcome: &Outcome,
    args: &Args,
    folder: &Path,
) -> Result<()> {
    let text = take_journal(agents)?;
    if !outcome.ending.passed() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("k8s_{}.jsonl", outcome.name));
    let text = without_places(&of_pods(&text), std::slice::from_ref(&args.tools));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Ends the agent, so that its journal is whole; the next agent is ready then. Its journal.
pub(crate) fn take_journal(agents: &Agents<'_>) -> Result<String> {
    let pod = agents.ready_pod(NODE)?;
    let uid = pod.metadata.uid.context("the agent's pod has no UID")?;
    let place =
        format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/{VOLUME}/{FILE}");
    // The volume goes with the pod; what is open stays.
    let mut journal = File::open(&place).with_context(|| format!("cannot open {place}"))?;
    agents.restart(NODE)?;
    let mut text = String::new();
    journal
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {place}"))?;
    Ok(text)
}

/// The journal without the cgroups of the machine and of the rig's own daemons, which name this run.
fn of_pods(journal: &str) -> String {
    let is_kept = |line: &str| {
        let is_cgroup = line.contains("\"cgroup_found\":{") || line.contains("\"cgroup_made\":{");
        !is_cgroup || line.contains(&format!("\"path\":\"{PODS}"))
    };
    journal
        .split_inclusive('\n')
        .filter(|line| is_kept(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::of_pods;

    #[test]
    fn a_journal_keeps_the_cgroups_of_pods_and_everything_else() {
        let kept = "{\"cgroup_found\":{\"cgroup\":2,\"path\":\"/kubepods\"}}\n{\"pod\":{}}\n\
            {\"cgroup_made\":{\"cgroup\":3,\"path\":\"/kubepods/burstable\"}}\n";
        let rig = "{\"cgroup_found\":{\"cgroup\":1,\"path\":\"/rig-1\"}}\n";
        assert_eq!(of_pods(&format!("{rig}{kept}")), kept);
    }
}
