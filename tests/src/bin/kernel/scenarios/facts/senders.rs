//! Which signals are told, and that some have no sender.

use std::io::Write as _;

use agent_core::event::{Disposition, ExitStatus, Handler, SignalSent};
use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::{SOON, Scene, numbers};
use crate::check::Check;
use crate::scenario::{Stage, signal};

/// Every signal from outside to a watched process has a record, but SIGCHLD and SIGURG; PID 1 without handlers ignores
/// them all.
pub(super) fn any_signal(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_app(stage, "--on-stop never")?;
    // Real-time signals are not among those that the rig can send.
    let sent = [1, 2, 3, 6, 10, 12, 14, 15, 16, 17, 18, 23, 28, 29, 30];
    for number in sent {
        scene.send_signal(stage, signal(number)?)?;
    }
    let expected: Vec<u32> = sent
        .into_iter()
        .filter(|number| ![17, 23].contains(number))
        .collect();
    let signals = scene.signals()?;
    check.require_equal("recorded", numbers(&signals), expected);
    check.require(
        "all to a watched one",
        signals.iter().all(|sent| sent.watched),
    );
    let last = signals.last().context("nothing was recorded")?;
    let before = Disposition {
        signal: signal(29)?,
        handler: Handler::Default,
    };
    check.require_equal("the last one before", last.last_outside, Some(before));
    scene.kill_and_wait(stage)
}

/// A timer and a limit end the program: a signal is told that no process sent.
pub(super) fn without_sender(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut scene = Scene::start_and_end_actor(stage, "alarm")?;
    let alarm = scene.signal(signal(14)?)?;
    check.require("SIGALRM is the kernel's", alarm.is_from_kernel());
    let exit = scene.main_exit()?.status;
    let expected = ExitStatus::Signal {
        signal: signal(14)?,
        core_dumped: false,
    };
    check.require_equal("exit", exit, expected);
    Ok(())
}

/// A signal that a program causes or sends itself is told if it ends it.
pub(super) fn own_signals(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let ends = |deed: &str, number: u32| -> Result<SignalSent> {
        let mut scene = Scene::start_and_end_actor(stage, deed)?;
        scene.signal(signal(number)?)
    };
    let limit = ends("file-too-large", 25)?;
    check.require(
        "SIGXFSZ is the kernel's",
        limit.is_from_kernel() && limit.is_own(),
    );
    for (deed, number) in [("raises 10", 10), ("raises 6", 6)] {
        let raised = ends(deed, number)?;
        check.require(deed, !raised.is_from_kernel() && raised.is_own());
    }
    Ok(())
}

/// Somebody types ^C at the container's terminal: the kernel sends SIGINT, which nobody else did.
pub(super) fn typed_interrupt(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut keyboard = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY)?;
    grantpt(&keyboard)?;
    unlockpt(&keyboard)?;
    let deed = format!("on-terminal {}", ptsname_r(&keyboard)?);
    let mut scene = Scene::start_actor(stage, &deed)?;
    keyboard.write_all(b"\x03")?;
    stage.toolbox().log(stage.name).wait_for("signal", SOON)?;
    let typed = scene.signal(signal(2)?)?;
    check.require("it is the kernel's", typed.is_from_kernel());
    check.require("its target is watched", typed.watched);
    check.require_equal("its sender's container", typed.sender.container, None);
    check.require_equal("deliveries", scene.deliveries()?.len(), 1);
    scene.kill_and_wait(stage)
}
