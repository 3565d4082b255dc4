//! Signals of which only hindsight tells whether one of them was the stop signal.

use agent_core::connection::Phase;
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::puppet::Order;

use crate::case::{Case, Stage};
use crate::clients::{self, Met};
use crate::expected::{Expected, received};
use crate::pod::Pod;
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "dump_before_stop",
        what: "somebody asks for a dump by SIGQUIT; it goes on, and is stopped by SIGTERM later",
        run: dump_before_stop,
    },
    Case {
        name: "image_stop_signal",
        what: "the stop signal is the image's SIGQUIT, of which nobody told, after a resized terminal and before one",
        run: image_stop_signal,
    },
    Case {
        name: "many_resizes",
        what: "twenty SIGWINCH, then SIGTERM",
        run: many_resizes,
    },
];

/// SIGWINCH.
const RESIZED: u32 = 28;

/// All that follows the dump was while it ran.
fn dump_before_stop(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut early = clients::connect_accepted(&pod, &mut server, 6)?;
    server.send_dump()?;
    let mut ending = early.split_off(3);
    let aborted = clients::reset_all(ending.split_off(2))?;
    drop(ending);
    let late = clients::connect_accepted(&pod, &mut server, 4)?;
    server.terminate()?;
    server.send_order(Order::Close)?;
    clients::hear_end(&early)?;
    clients::hear_end(&late)?;
    server.order_exit()?;
    let met = Met {
        aborted,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![received(Phase::Running, 1)],
        at_stop_signal: 3 + 4,
        finished: 3 + 4,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// What follows the signal in the middle was while it stopped.
fn image_stop_signal(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut early = clients::connect_accepted(&pod, &mut server, 5)?;
    let resized = Signal::try_from(RESIZED).context("no SIGWINCH")?;
    server.container.disturb(resized)?;
    drop(early.split_off(4));
    server.send_quit()?;
    let aborted = clients::reset_all(early.split_off(3))?;
    server.container.disturb(resized)?;
    let late = clients::connect_accepted(&pod, &mut server, 2)?;
    server.send_order(Order::Close)?;
    clients::hear_end(&early)?;
    clients::hear_end(&late)?;
    server.order_exit()?;
    let met = Met {
        aborted,
        accepted_after: 2,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![received(Phase::Stopping, 1)],
        accepted_after: 2,
        at_stop_signal: 4,
        finished: 3 + 2,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    let signal = told.report.stop_signal.map(|stop| stop.signal.number());
    verdict.require_equal("stop signal", signal, Some(3));
    Ok(())
}

/// More than can be told apart, and none of them matters.
fn many_resizes(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut early = clients::connect_accepted(&pod, &mut server, 4)?;
    let resized = Signal::try_from(RESIZED).context("no SIGWINCH")?;
    for _ in 0..20 {
        server.container.disturb(resized)?;
    }
    let aborted = clients::reset_all(early.split_off(3))?;
    server.terminate()?;
    server.order_exit()?;
    clients::hear_end(&early)?;
    let met = Met {
        aborted,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![received(Phase::Running, 1)],
        at_stop_signal: 3,
        at_exit: 3,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}
