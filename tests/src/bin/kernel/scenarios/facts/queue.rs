//! What becomes of a signal that is queued.

use agent_core::event::{Delivery, Handler};
use agent_core::signal::{Signal, SignalSet};
use anyhow::{Context as _, Result};

use super::{SOON, Scene};
use crate::check::Check;
use crate::scenario::Stage;

/// A program with a handler takes its signal at once.
pub(super) fn delivered(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_app(stage, "--on-stop never")?;
    scene.send_signal(stage, Signal::TERM)?;
    let log = stage.toolbox().log(stage.name);
    log.wait_for("signal", SOON)?;
    let found = scene.deliveries()?;
    let found: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.process.tgid.0,
                one.signal,
                one.handler,
                one.unkillable,
                one.traced,
            )
        })
        .collect();
    let main = scene.main.pid();
    let expected = vec![(main, Signal::TERM, Handler::Custom, true, false)];
    check.require_equal("delivered", found, expected);
    scene.kill_and_wait(stage)
}

/// An init without a handler blocks its signal for a moment: the kernel queues it, and throws it away later.
pub(super) fn thrown_away(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_actor(stage, "blocks-a-while 15")?;
    scene.send_signal(stage, Signal::TERM)?;
    stage
        .toolbox()
        .log(stage.name)
        .wait_for("unblocked", SOON)?;
    let sent = scene.signal(Signal::TERM)?;
    check.require_equal("its result", sent.result, Delivery::Delivered);
    check.require("it was blocked", sent.blocked);
    check.require_equal("it waited", is_sigterm_pending(sent.pending), Some(true));
    let found = scene.deliveries()?;
    check.require_equal("deliveries", found.len(), 1);
    let one = found.first().context("no delivery")?;
    check.require_equal("its handler", one.handler, Handler::Default);
    check.require("it was thrown away", one.is_thrown_away());
    scene.kill_and_wait(stage)?;
    let kill = scene.signal(Signal::KILL)?;
    check.require_equal(
        "it waited at SIGKILL",
        is_sigterm_pending(kill.pending),
        Some(false),
    );
    Ok(())
}

/// A signal that is blocked for good still waits at the end.
pub(super) fn pending(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_actor(stage, "blocks 15")?;
    scene.send_signal(stage, Signal::TERM)?;
    scene.kill_and_wait(stage)?;
    let kill = scene.signal(Signal::KILL)?;
    check.require_equal(
        "waits at SIGKILL",
        is_sigterm_pending(kill.pending),
        Some(true),
    );
    let exit = scene.main_exit()?;
    check.require_equal(
        "waits at the exit",
        is_sigterm_pending(exit.pending),
        Some(true),
    );
    check.require_equal("deliveries", scene.deliveries()?.len(), 0);
    Ok(())
}

/// One that was fetched by sigwait does not wait any more, and was not delivered.
pub(super) fn fetched(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_app(stage, "--on-stop sigwait --takes 60000")?;
    scene.send_signal(stage, Signal::TERM)?;
    stage.toolbox().log(stage.name).wait_for("signal", SOON)?;
    scene.kill_and_wait(stage)?;
    let sent = scene.signal(Signal::TERM)?;
    check.require_equal(
        "waits when it was sent",
        is_sigterm_pending(sent.pending),
        Some(true),
    );
    let kill = scene.signal(Signal::KILL)?;
    check.require_equal(
        "waits at SIGKILL",
        is_sigterm_pending(kill.pending),
        Some(false),
    );
    check.require_equal("deliveries", scene.deliveries()?.len(), 0);
    Ok(())
}

/// Whether SIGTERM waits.
fn is_sigterm_pending(pending: Option<SignalSet>) -> Option<bool> {
    pending.map(|set| set.contains(Signal::TERM))
}
