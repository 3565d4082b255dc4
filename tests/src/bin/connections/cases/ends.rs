//! How a server can end: what it leaves open is reset or finished by the kernel.

use agent_core::connection::{Mode, Phase};
use anyhow::Result;
use gracewatch_tests::rig::puppet::Order;

use crate::capture::Flows;
use crate::case::{Case, Stage};
use crate::clients::{self, Met};
use crate::pod::{PORT, Pod};
use crate::told::Told;
use crate::verdict::{Expected, Verdict, refused, sent};

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "unread_data",
        what: "exits with requests that it has not read",
        run: unread_data,
    },
    Case {
        name: "accept_queue",
        what: "exits with a full accept queue",
        run: accept_queue,
    },
    Case {
        name: "drains_well",
        what: "answers all, closes, stops to listen and exits",
        run: drains_well,
    },
];

/// The kernel resets connections with unread data when they are closed.
fn unread_data(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect(&pod, 5)?;
    server.obey(Order::Accept(5))?;
    clients::say(&clients, "never read\n")?;
    server.terminate()?;
    server.exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    let told = Told::of(stage, &server.container)?;
    let ours = pod.side();
    let observed = Flows::of(&pod.packets()?, ours).observed(told.edges()?);
    let expected = Expected {
        resets: vec![sent(Phase::Closing, Mode::Active, "tcp_abort_on_close", 5)],
        at_stop_signal: 5,
        at_exit: 5,
        ..Expected::default()
    };
    verdict.compare(&told, &observed, Some(&expected), Some(&met));
    Ok(())
}

/// With a backlog of 3, 4 connections wait to be taken and further attempts are not answered; they come again a second
/// later, when nobody listens any more.
fn accept_queue(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.puppet("")?;
    server.listen(PORT, 3)?;
    let clients = clients::connect(&pod, 4)?;
    let attempts = (0..2)
        .map(|_| clients::begin(pod.outside(), pod.address()))
        .collect::<Result<Vec<_>>>()?;
    server.terminate()?;
    server.exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        refused: clients::wait_refused(attempts)?,
        ..Met::default()
    };
    let told = Told::of(stage, &server.container)?;
    let ours = pod.side();
    let observed = Flows::of(&pod.packets()?, ours).observed(told.edges()?);
    let expected = Expected {
        resets: vec![
            sent(Phase::Closing, Mode::Active, "tcp_state", 4),
            refused(Phase::Closing, 2),
        ],
        refused: 2,
        at_stop_signal: 4,
        at_exit: 4,
        ..Expected::default()
    };
    verdict.compare(&told, &observed, Some(&expected), Some(&met));
    Ok(())
}

/// Nothing is reset, and nothing is refused.
fn drains_well(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let early = clients::connect(&pod, 3)?;
    server.obey(Order::Accept(3))?;
    clients::say(&early, "before\n")?;
    server.terminate()?;
    let late = clients::connect(&pod, 2)?;
    server.obey(Order::Accept(2))?;
    clients::say(&late, "after\n")?;
    server.obey(Order::Answer)?;
    server.obey(Order::Close)?;
    for clients in [early, late] {
        clients::hear(&clients)?;
        clients::hear_end(&clients)?;
    }
    server.obey(Order::StopListening)?;
    server.exit()?;
    let told = Told::of(stage, &server.container)?;
    let ours = pod.side();
    let observed = Flows::of(&pod.packets()?, ours).observed(told.edges()?);
    let expected = Expected {
        accepted_after: 2,
        at_stop_signal: 3,
        finished: 5,
        ..Expected::default()
    };
    let met = Met {
        accepted_after: 2,
        ..Met::default()
    };
    verdict.compare(&told, &observed, Some(&expected), Some(&met));
    Ok(())
}
