//! Signals inside of a container, and signals to other processes than the main one.

use agent_common::map::BUDGET_BURST;
use agent_core::event::{Handler, SignalSent};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::kubelet::send_times;
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::stage::Via;

use super::{SOON, Scene, actor_command, numbers};
use crate::check::Check;
use crate::scenario::Stage;

/// A container's processes signal each other a hundred times: the first ones are told, all are counted.
pub(super) fn inside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    const SENT: u64 = 100;
    let options = format!("--on-stop never --signals {SENT}");
    let mut scene = Scene::start_app(stage, &options)?;
    let main = scene.main.pid();
    let signals = scene.signals()?;
    let told = signals.iter().filter(|sent| sent.signal == Signal::TERM);
    let (told, budget) = (told.count() as u64, scene.budget());
    check.require(
        format!("{told} were told, of at most {budget}"),
        (BUDGET_BURST..=budget).contains(&told),
    );
    let one = scene.signal(Signal::TERM)?;
    check.require("its target is not watched", !one.watched);
    check.require_equal("its sender", one.sender.tgid.0, main);
    check.require_equal(
        "its sender's container",
        one.sender.container,
        Some(scene.container),
    );
    check.require_equal("its handler", one.handler, Handler::Custom);
    check.require_equal("the last one from outside", one.last_outside, None);
    let kill = scene.signal(Signal::KILL)?;
    check.require_equal("the killed one", kill.target.tgid, one.target.tgid);
    check.require("it is not watched", !kill.watched);
    let counts = scene.counts();
    check.require_equal("all of them", counts.inside, SENT + 1);
    check.require_equal("those not told", counts.unrecorded, [0, SENT - told, 0]);
    scene.kill_and_wait(stage)
}

/// A process that was put into the container signals the main one: `kill 1`.
pub(super) fn main_from_inside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_app(stage, "--on-stop never")?;
    let main = scene.main.pid();
    let from_inside = |number: u32| -> Result<u32> {
        let program = actor_command(stage, "killer", &format!("kills 1 {number} 1"));
        let mut killer = Launch::new(&scene.cgroup, program)
            .joining(main)
            .start(stage.toolbox())?;
        killer.wait_end(SOON)?;
        Ok(killer.pid())
    };
    let killer = from_inside(15)?;
    from_inside(9)?;
    stage.toolbox().log(stage.name).wait_for("signal", SOON)?;
    let signals = scene.signals()?;
    check.require_equal(
        "told: SIGKILL does nothing to an init",
        numbers(&signals),
        vec![15],
    );
    let one = scene.signal(Signal::TERM)?;
    check.require_equal("its target", (one.target.tgid.0, one.watched), (main, true));
    check.require_equal("its sender", one.sender.tgid.0, killer);
    check.require_equal(
        "its sender's container",
        one.sender.container,
        Some(scene.container),
    );
    check.require_equal("deliveries", scene.deliveries()?.len(), 1);
    check.require_equal("signals from inside", scene.counts().inside, 2);
    scene.kill_and_wait(stage)
}

/// PID 1 exits at its stop signal and the kernel kills the processes that it left: they are told, each with what it had
/// set for that signal.
pub(super) fn left_children(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_actor(stage, "leaves-children")?;
    scene.send_signal(stage, Signal::TERM)?;
    scene.main.wait_end(SOON)?;
    let main = scene.main.pid();
    let signals = scene.signals()?;
    let mut killed: Vec<_> = signals
        .iter()
        .filter(|sent| sent.signal == Signal::KILL)
        .map(|sent| {
            let handler = sent.last_outside.map(|last| (last.signal, last.handler));
            (sent.target.comm.as_str(), sent.watched, handler)
        })
        .collect();
    killed.sort_unstable_by_key(|(comm, ..)| *comm);
    let set = |handler| Some((Signal::TERM, handler));
    let expected = vec![
        ("app", false, set(Handler::Custom)),
        ("sleep", false, set(Handler::Default)),
    ];
    check.require_equal("killed", killed, expected);
    let kills = signals.iter().filter(|sent| sent.signal == Signal::KILL);
    check.require(
        "by the kernel, while PID 1 ended",
        kills
            .clone()
            .all(|sent| sent.is_from_kernel() && sent.sender.tgid.0 == main),
    );
    let waits = |sent: &SignalSent| sent.pending.is_some_and(|set| set.contains(Signal::TERM));
    check.require(
        "the stop signal never came to them",
        !kills.clone().any(waits),
    );
    Ok(())
}

/// A supervisor kills its child after the stop signal.
pub(super) fn supervised(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_actor(stage, "kills-its-child")?;
    scene.send_signal(stage, Signal::TERM)?;
    scene.main.wait_end(SOON)?;
    let kill = scene.signal(Signal::KILL)?;
    check.require_equal("killed", kill.target.comm.as_str(), "app");
    check.require_equal("by", kill.sender.tgid.0, scene.main.pid());
    check.require("a process sent it", !kill.is_from_kernel() && !kill.watched);
    Ok(())
}

/// Signals from outside to a process that did not come from outside are told as long as there are few.
pub(super) fn others_from_outside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    const SENT: u32 = 50;
    let mut scene = Scene::start_actor(stage, "leaves-children")?;
    let main = scene.main.pid();
    let child = children(main)?.into_iter().next().context("no child")?;
    send_times(stage.toolbox(), child, Signal::TERM, Via::Kill, SENT)?;
    let signals = scene.signals()?;
    let (told, budget) = (signals.len() as u64, scene.budget());
    check.require(
        format!("{told} were told, of at most {budget}"),
        (BUDGET_BURST..=budget).contains(&told),
    );
    let all = signals
        .iter()
        .all(|sent| sent.target.tgid.0 == child && !sent.watched);
    check.require("of the child", all);
    let counts = scene.counts();
    check.require_equal("all of them", counts.outside, u64::from(SENT));
    check.require_equal(
        "those not told",
        counts.unrecorded,
        [0, 0, u64::from(SENT) - told],
    );
    scene.kill_and_wait(stage)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    text.split_whitespace()
        .map(|word| word.parse().context("not a pid"))
        .collect()
}
