//! How a server can end: what it leaves open is reset or finished by the kernel.

use std::net::Shutdown;
use std::thread::sleep;

use agent_core::connection::{Mode, Phase};
use agent_core::report::FindingKind;
use anyhow::Result;
use gracewatch_tests::rig::puppet::Order;

use crate::case::{Case, Stage};
use crate::clients::{self, ACKNOWLEDGED, Met};
use crate::expected::{Expected, idle_closed, received, refused, resets_sent};
use crate::pod::{PORT, Pod};
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "unread_data",
        what: "exits with requests that it has not read",
        run: unread_data,
    },
    Case {
        name: "half_closed",
        what: "exits with requests that it has not read, of clients that have sent their FIN",
        run: half_closed,
    },
    Case {
        name: "accept_queue",
        what: "exits with a full accept queue",
        run: accept_queue,
    },
    Case {
        name: "idle_keep_alive",
        what: "exits with idle connections, of which some are used again",
        run: idle_keep_alive,
    },
    Case {
        name: "drains_well",
        what: "answers all, closes, stops to listen and exits",
        run: drains_well,
    },
    Case {
        name: "sigkill",
        what: "is killed in the middle of its responses",
        run: sigkill,
    },
    Case {
        name: "aborts",
        what: "closes by SO_LINGER 0 upon its stop signal",
        run: aborts,
    },
];

/// The kernel resets connections with unread data when they are closed.
fn unread_data(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, 5)?;
    clients::send_words(&clients, "never read\n")?;
    server.terminate_and_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![resets_sent(
            Phase::Closing,
            Mode::Active,
            "tcp_abort_on_close",
            5,
        )],
        at_stop_signal: 5,
        at_exit: 5,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// A client that has nothing more to say may still wait for the answer.
fn half_closed(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, 3)?;
    clients::send_words(&clients, "never read\n")?;
    for client in &clients {
        client.shutdown(Shutdown::Write)?;
    }
    sleep(ACKNOWLEDGED);
    server.terminate_and_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![resets_sent(
            Phase::Closing,
            Mode::Active,
            "tcp_abort_on_close",
            3,
        )],
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::ConnectionsReset]);
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
        .map(|_| clients::start_connect(pod.outside(), pod.address()))
        .collect::<Result<Vec<_>>>()?;
    server.terminate_and_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        refused: clients::wait_refused(attempts)?,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![
            resets_sent(Phase::Closing, Mode::Active, "tcp_state", 4),
            refused(Phase::Closing, 2),
        ],
        refused: 2,
        at_stop_signal: 4,
        at_exit: 4,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// The exit ends them by a FIN. Who sends a request nevertheless gets a reset, by what is left of the socket.
fn idle_keep_alive(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut clients = clients::connect_accepted(&pod, &mut server, 5)?;
    clients::send_words(&clients, "a request\n")?;
    server.send_order(Order::Answer)?;
    clients::receive_answers(&clients)?;
    server.terminate_and_exit()?;
    clients::hear_end(&clients)?;
    clients.truncate(3);
    sleep(ACKNOWLEDGED);
    clients::send_words(&clients, "too late\n")?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![idle_closed(resets_sent(
            Phase::Closing,
            Mode::Passive,
            "tcp_timewait_socket",
            3,
        ))],
        at_stop_signal: 5,
        at_exit: 5,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::IdleCloseRace]);
    Ok(())
}

/// Nothing is reset, and nothing is refused.
fn drains_well(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let early = clients::connect_accepted(&pod, &mut server, 3)?;
    clients::send_words(&early, "before\n")?;
    server.terminate()?;
    let late = clients::connect_accepted(&pod, &mut server, 2)?;
    clients::send_words(&late, "after\n")?;
    server.send_order(Order::Answer)?;
    server.send_order(Order::Close)?;
    for clients in [early, late] {
        clients::receive_answers(&clients)?;
        clients::hear_end(&clients)?;
    }
    server.send_order(Order::StopListening)?;
    server.order_exit()?;
    let met = Met {
        accepted_after: 2,
        ..Met::default()
    };
    let expected = Expected {
        accepted_after: 2,
        at_stop_signal: 3,
        finished: 5,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// All have a part of a response. Three have also sent a request that is not read; of the others, one sends it after the
/// kill, and one gives up, which resets since it has unread data itself.
fn sigkill(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut clients = clients::connect_accepted(&pod, &mut server, 5)?;
    clients::send_words(&clients, "a request\n")?;
    server.send_order(Order::Answer)?;
    server.send_order(Order::Stuff)?;
    let mut others = clients.split_off(3);
    clients::send_words(&clients, "another\n")?;
    server.container.kill_and_wait()?;
    drop(others.split_off(1));
    clients::send_words(&others, "too late\n")?;
    let met = Met {
        reset: clients::resets(&clients)? + clients::resets(&others)?,
        aborted: 1,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![
            resets_sent(Phase::Closing, Mode::Active, "tcp_abort_on_close", 3),
            resets_sent(Phase::Closing, Mode::Passive, "tcp_abort_on_data", 1),
            received(Phase::Closing, 1),
        ],
        at_stop_signal: 5,
        at_exit: 5,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// What is reset before the exit is reset while it stops.
fn aborts(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, 4)?;
    server.terminate()?;
    server.send_order(Order::Abort)?;
    server.order_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![resets_sent(Phase::Stopping, Mode::Active, "tcp_state", 4)],
        at_stop_signal: 4,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}
