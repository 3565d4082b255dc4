//! Servers that close connections on which nothing is under way, and clients that use them again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use agent_core::connection::{Mode, Phase};
use agent_core::report::FindingKind;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::rig::puppet::Order;

use super::loads;
use crate::capture::Flows;
use crate::case::{Case, Stage};
use crate::clients::{self, ACKNOWLEDGED, Met};
use crate::expected::{Expected, idle_closed, resets_sent};
use crate::pod::{FOLLOWED, Pod};
use crate::row::Others;
use crate::told::Told;
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "idle_closed_at_stop",
        what: "closes idle connections upon its stop signal, of which some are used again",
        run: idle_closed_at_stop,
    },
    Case {
        name: "goodbyes",
        what: "closes idle connections, and the clients only say goodbye (TLS' close_notify)",
        run: goodbyes,
    },
    Case {
        name: "nginx_idle",
        what: "nginx, gracefully: idle keep-alive connections, and clients that send their next request",
        run: nginx_idle,
    },
];

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: pod\r\n\r\n";
const CLIENTS: usize = 4;

/// The end of the response, which the client does not wait for, and the next request cross.
fn idle_closed_at_stop(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut clients = clients::connect_accepted(&pod, &mut server, CLIENTS)?;
    clients::send_words(&clients, "a request\n")?;
    server.send_order(Order::Answer)?;
    clients::receive_answers(&clients)?;
    sleep(ACKNOWLEDGED);
    server.terminate()?;
    server.send_order(Order::Close)?;
    clients::hear_end(&clients)?;
    sleep(ACKNOWLEDGED);
    let unused = clients.split_off(3);
    clients::send_words(&clients, REQUEST)?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    server.order_exit()?;
    drop(unused);
    let late = resets_sent(Phase::Stopping, Mode::Passive, "tcp_timewait_socket", 3);
    let expected = Expected {
        resets: vec![idle_closed(late)],
        at_stop_signal: 4,
        finished: 4,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::IdleCloseRace]);
    Ok(())
}

/// They are reset as well, and nobody misses anything.
fn goodbyes(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    /// What it takes in TLS 1.3.
    const CLOSE_NOTIFY: usize = 24;
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, CLIENTS)?;
    server.terminate()?;
    server.send_order(Order::Close)?;
    clients::hear_end(&clients)?;
    sleep(ACKNOWLEDGED);
    clients::send_words(&clients, &"x".repeat(CLOSE_NOTIFY))?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    server.order_exit()?;
    let expected = Expected {
        resets: vec![resets_sent(
            Phase::Stopping,
            Mode::Passive,
            "tcp_timewait_socket",
            4,
        )],
        at_stop_signal: 4,
        finished: 4,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[]);
    Ok(())
}

/// A real server, which closes them as soon as it is told to stop.
fn nginx_idle(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.container(&loads::nginx_command(stage)?)?;
    loads::wait_listening(&pod)?;
    sleep(FOLLOWED);
    let clients = clients::connect(&pod, CLIENTS)?;
    clients::send_words(&clients, REQUEST)?;
    for client in &clients {
        response(client)?;
    }
    sleep(ACKNOWLEDGED);
    server.stop(loads::graceful()?)?;
    clients::hear_end(&clients)?;
    sleep(ACKNOWLEDGED);
    clients::send_words(&clients, REQUEST)?;
    let reset = clients::resets(&clients)?;
    server.wait_for_exit()?;
    let told = Told::end_and_wait(stage, &server)?;
    let ours = pod.is_server_side();
    let observed = Flows::from_packets(&pod.packets()?, ours).observed(told.phase_edges()?);
    let met = Met {
        reset,
        ..Met::default()
    };
    let others = Others {
        observed: &observed,
        expected: None,
        met: Some(&met),
    };
    verdict.compare(&told, others);
    verdict.require_equal("reset", reset, CLIENTS as u64);
    verdict.require_findings(&told, &[FindingKind::IdleCloseRace]);
    Ok(())
}

/// Reads the response to the end of its body.
fn response(mut client: &TcpStream) -> Result<()> {
    let mut read = Vec::new();
    let mut part = [0; 512];
    while !read.ends_with(b"an answer") {
        let count = client.read(&mut part).context("no response")?;
        ensure!(count > 0, "the server closed before its response was over");
        read.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.flush()?;
    Ok(())
}
