//! An agent that starts when the connections are there already: how many were open follows from how they end.

use agent_core::connection::{Mode, Phase};
use anyhow::Result;
use gracewatch_tests::whole::Whole;

use crate::capture::Flows;
use crate::case::{Case, Stage};
use crate::clients::{self, Met};
use crate::expected::{Expected, refused, resets_sent};
use crate::pod::Pod;
use crate::row::Others;
use crate::told::Told;
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[Case {
    name: "older_than_agent",
    what: "the agent starts after the server has its connections",
    run: older_than_agent,
}];

/// Told by an agent of its own; the shared one sees the same.
fn older_than_agent(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut clients = clients::connect_accepted(&pod, &mut server, 6)?;
    let log = stage.rig.toolbox.folder().join("late.log");
    let agent = Whole::start(server.container.cgroup.path(), &[], &log)?;
    let gone = clients.split_off(4);
    server.terminate()?;
    drop(gone);
    clients::send_words(&clients, "never read\n")?;
    server.order_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        refused: clients::refused(&pod, pod.address(), 2)?,
        ..Met::default()
    };
    server.container.cgroup.remove()?;
    let told = Told::wait_for_report(&agent, &server.container)?;
    let shared = Told::wait_for_report(&stage.rig.agent, &server.container)?;
    verdict.require_equal(
        "by the agent that was there before",
        told.connections.as_ref().map(|all| all.at_stop_signal),
        shared.connections.as_ref().map(|all| all.at_stop_signal),
    );
    let ours = pod.is_server_side();
    let observed = Flows::from_packets(&pod.packets()?, ours).observed(told.phase_edges()?);
    let expected = Expected {
        resets: vec![
            resets_sent(Phase::Closing, Mode::Active, "tcp_abort_on_close", 4),
            refused(Phase::Closing, 2),
        ],
        refused: 2,
        at_stop_signal: 6,
        at_exit: 4,
        finished: 2,
        ..Expected::default()
    };
    let others = Others {
        observed: &observed,
        expected: Some(&expected),
        met: Some(&met),
    };
    verdict.compare(&told, others);
    Ok(())
}
