//! Ends that only the kernel explains: a namespace that was powered off, and the OOM killer's victim.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use agent_core::event::{Event, EventKind};
use anyhow::Result;
use gracewatch_tests::rig::launch::Launch;

use super::super::kills;
use super::{SOON, Scene, actor_command};
use crate::check::Check;
use crate::scenario::{Stage, signal};

/// An init that powers off its namespace is killed by the kernel, and is said to have died of SIGINT.
pub(super) fn rebooted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let cgroup = stage.cgroup("")?;
    let launch = Launch::new(&cgroup, actor_command(stage, "", "powers-off"));
    let mut scene = Scene::launch(stage, cgroup, &launch)?;
    let ended = scene.main.wait_end(SOON)?;
    let exit = scene.main_exit()?;
    check.require_equal("what reboot(2) left", exit.ns_reboot, Some(signal(2)?));
    check.require_equal("what its parent sees", ended.status.signal(), Some(2));
    check.notes.push(format!("at the hook: {:?}", exit.status));
    Ok(())
}

/// The OOM killer's victim has a name, where the kernel passes the task.
pub(super) fn named_victim(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let (cgroup, launch, memory) = kills::too_large(stage)?;
    let mut scene = Scene::launch(stage, cgroup, &launch)?;
    scene.main.wait_end(Duration::from_mins(1))?;
    drop(memory);
    let states = scene.alone.probes.programs.states().iter();
    let names_it = states
        .filter(|state| state.refused.is_none())
        .any(|state| state.program.name == "mark_victim_task");
    // Where it has no name, it has no container either.
    let events = scene.alone.all_events()?;
    let main = scene.main.pid();
    let victims: Vec<_> = events
        .iter()
        .filter_map(victim_of)
        .filter(|(pid, _)| *pid == main)
        .collect();
    let name = names_it.then(|| "hog".to_owned());
    check.require_equal("victims", victims, vec![(main, name)]);
    Ok(())
}

fn victim_of(event: &Event) -> Option<(u32, Option<String>)> {
    if let EventKind::OomVictim { pid, comm } = &event.kind {
        Some((*pid, comm.clone()))
    } else {
        None
    }
}
