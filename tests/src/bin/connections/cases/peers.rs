//! What clients and other peers do, and when.

use std::net::TcpListener;
use std::thread::sleep;

use agent_core::connection::{Mode, Phase};
use agent_core::report::FindingKind;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::clock::{self, Span};
use gracewatch_tests::rig::network::CLIENT;
use gracewatch_tests::rig::puppet::Order;

use crate::case::{Case, Stage};
use crate::clients::{self, ACKNOWLEDGED, Met};
use crate::expected::{Expected, idle_closed, initiated, received, refused, resets_sent};
use crate::pod::Pod;
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "goes_on_connecting",
        what: "a client goes on connecting after the listener is closed",
        run: goes_on_connecting,
    },
    Case {
        name: "client_resets",
        what: "clients reset, before the stop signal and after it",
        run: client_resets,
    },
    Case {
        name: "data_after_shutdown",
        what: "clients send to sockets that were shut down, which the kernel resets",
        run: data_after_shutdown,
    },
    Case {
        name: "time_wait",
        what: "clients send to connections that the server closed while it ran",
        run: time_wait,
    },
    Case {
        name: "outgoing",
        what: "the container's own connections, of which the peer resets one",
        run: outgoing,
    },
];

/// Refused while it stops, and after its exit.
fn goes_on_connecting(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    server.terminate()?;
    let before = clock::now();
    server.send_order(Order::StopListening)?;
    let closed = Span {
        before,
        after: clock::now(),
    };
    let mut met = Met {
        refused: clients::refused(&pod, pod.address(), 7)?,
        ..Met::default()
    };
    server.order_exit()?;
    met.refused += clients::refused(&pod, pod.address(), 4)?;
    let expected = Expected {
        resets: vec![refused(Phase::Stopping, 7), refused(Phase::Closing, 4)],
        refused: 11,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::EndpointRace]);
    let unlistened = told.connections.and_then(|all| all.last_listener_closed_at);
    verdict.require(
        format!("the listener was closed within {closed}, told was {unlistened:?}"),
        unlistened.is_some_and(|at| closed.contains(at)),
    );
    Ok(())
}

/// Whose fault it is must not be confused.
fn client_resets(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut early = clients::connect_accepted(&pod, &mut server, 6)?;
    let mut late = early.split_off(3);
    let rest = late.split_off(2);
    let mut aborted = clients::reset_all(early)?;
    server.terminate()?;
    aborted += clients::reset_all(late)?;
    server.order_exit()?;
    clients::hear_end(&rest)?;
    let met = Met {
        aborted,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![received(Phase::Running, 3), received(Phase::Stopping, 2)],
        at_stop_signal: 3,
        at_exit: 1,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// The kernel runs the same function as for a reset that it received. None was.
fn data_after_shutdown(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, 4)?;
    server.terminate()?;
    server.send_order(Order::ShutDown)?;
    clients::hear_end(&clients)?;
    clients::send_words(&clients, "too late\n")?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    server.order_exit()?;
    let expected = Expected {
        resets: vec![idle_closed(resets_sent(
            Phase::Stopping,
            Mode::Passive,
            "tcp_abort_on_data",
            4,
        ))],
        at_stop_signal: 4,
        finished: 4,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::IdleCloseRace]);
    Ok(())
}

/// What answers is no full socket, and knows no cgroup.
fn time_wait(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, 3)?;
    server.send_order(Order::Close)?;
    clients::hear_end(&clients)?;
    sleep(ACKNOWLEDGED);
    clients::send_words(&clients, "too late\n")?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    server.terminate_and_exit()?;
    let expected = Expected {
        resets: vec![idle_closed(resets_sent(
            Phase::Running,
            Mode::Passive,
            "tcp_timewait_socket",
            3,
        ))],
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[]);
    Ok(())
}

/// Nobody's client here is affected: one is reset by the peer, one has data that is not read, and one is left.
fn outgoing(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.puppet("")?;
    let [here, _] = CLIENT;
    let listener = pod.outside().run(|| TcpListener::bind((here, 0)))??;
    let mut peers = Vec::new();
    for _ in 0..3 {
        server.send_order(Order::Connect(listener.local_addr()?))?;
        peers.push(listener.accept()?.0);
    }
    let ends = peers.pop().context("no peer")?;
    let says = [peers.pop().context("no peer")?];
    clients::send_words(&says, "never read\n")?;
    server.terminate()?;
    let aborted = clients::reset_all(peers)?;
    server.order_exit()?;
    let met = Met {
        reset: clients::resets(&says)?,
        aborted,
        ..Met::default()
    };
    clients::hear_end(&[ends])?;
    let expected = Expected {
        resets: vec![
            initiated(resets_sent(
                Phase::Closing,
                Mode::Active,
                "tcp_abort_on_close",
                1,
            )),
            initiated(received(Phase::Stopping, 1)),
        ],
        at_stop_signal: 3,
        at_exit: 2,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::ConnectionsReset]);
    let advice = told.report.findings.iter().map(|one| &one.advice);
    for advice in advice {
        verdict.require(
            format!("no advice on servers, but: {advice}"),
            advice.starts_with("Nobody who connected"),
        );
    }
    let own = told.connections.map_or((0, 0), |all| {
        (all.initiated_at_stop_signal, all.initiated_at_exit)
    });
    verdict.require_equal("its own at the stop signal and at the exit", own, (3, 2));
    Ok(())
}
