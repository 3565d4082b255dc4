//! Where a socket can be: address families, whose network it is, and who made it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use agent_core::connection::{Mode, Phase};
use anyhow::Result;
use gracewatch_tests::rig::network::{CLIENT, SERVER};
use gracewatch_tests::rig::puppet::Order;
use gracewatch_tests::whole::free_port;

use crate::capture::Flows;
use crate::case::{Case, Stage};
use crate::clients::{self, Met};
use crate::expected::{Expected, received, refused, refused_in_pod, resets_sent};
use crate::pod::{BACKLOG, PORT, Pod, without_network};
use crate::row::{Others, number_rows};
use crate::told::{Numbers, Told};
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "ipv4",
        what: "a listener for IPv4",
        run: |stage, verdict| family(stage, verdict, Ipv4Addr::UNSPECIFIED.into(), 0),
    },
    Case {
        name: "ipv6",
        what: "a listener for both families, clients by IPv6",
        run: |stage, verdict| family(stage, verdict, Ipv6Addr::UNSPECIFIED.into(), 1),
    },
    Case {
        name: "v4_mapped",
        what: "a listener for both families, clients by IPv4",
        run: |stage, verdict| family(stage, verdict, Ipv6Addr::UNSPECIFIED.into(), 0),
    },
    Case {
        name: "host_network",
        what: "a container in the machine's own network",
        run: host_network,
    },
    Case {
        name: "inherited_socket",
        what: "a listener that another container made and passed on",
        run: inherited_socket,
    },
    Case {
        name: "two_containers",
        what: "two containers of one pod, attempts at a port of neither",
        run: two_containers,
    },
    Case {
        name: "no_network",
        what: "a container without any network device",
        run: no_network,
    },
];

/// One of each kind of reset, and the peer's address in its mark.
fn family(
    stage: &Stage<'_>,
    verdict: &mut Verdict,
    any: std::net::IpAddr,
    by: usize,
) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.puppet("")?;
    let at = (any, PORT).into();
    server.send_order(Order::Listen {
        at,
        backlog: BACKLOG,
    })?;
    let (Some(server_ip), Some(client_ip)) = (SERVER.get(by), CLIENT.get(by)) else {
        anyhow::bail!("no such family");
    };
    let to = SocketAddr::from((*server_ip, PORT));
    let mut clients = clients::connect_to(&pod, to, 4)?;
    server.send_order(Order::Accept(4))?;
    clients::send_words(&clients, "never read\n")?;
    let resetting = clients.split_off(2);
    server.terminate()?;
    let aborted = clients::reset_all(resetting)?;
    server.order_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        refused: clients::refused(&pod, to, 3)?,
        aborted,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![
            received(Phase::Stopping, 2),
            resets_sent(Phase::Closing, Mode::Active, "tcp_abort_on_close", 2),
            refused(Phase::Closing, 3),
        ],
        refused: 3,
        at_stop_signal: 4,
        at_exit: 2,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    let marks = told.connections.map(|all| all.marks).unwrap_or_default();
    verdict.require_equal("marks", marks.len(), 7);
    for mark in marks {
        let peer = mark.peer.map(|peer| peer.ip());
        verdict.require_equal("the peer of a mark", peer, Some(*client_ip));
        verdict.require_equal("the port of a mark", mark.local_port, PORT);
    }
    Ok(())
}

/// The network namespace tells nothing there: what has no socket is known by its port.
fn host_network(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::of_the_machine(stage, free_port(0)?)?;
    let mut server = pod.server()?;
    let clients = clients::connect_accepted(&pod, &mut server, 3)?;
    clients::send_words(&clients, "never read\n")?;
    server.terminate()?;
    server.send_order(Order::StopListening)?;
    let mut met = Met {
        refused: clients::refused(&pod, pod.address(), 2)?,
        ..Met::default()
    };
    server.order_exit()?;
    met.refused += clients::refused(&pod, pod.address(), 3)?;
    met.reset = clients::resets(&clients)?;
    let expected = Expected {
        resets: vec![
            refused(Phase::Stopping, 2),
            resets_sent(Phase::Closing, Mode::Active, "tcp_abort_on_close", 3),
            refused(Phase::Closing, 3),
        ],
        refused: 5,
        at_stop_signal: 3,
        at_exit: 3,
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    Ok(())
}

/// Sockets belong to who made the listener: that is what the kernel keeps. The server has none, and its maker runs on.
fn inherited_socket(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut maker = pod.puppet("maker")?;
    maker.listen(PORT, BACKLOG)?;
    let door = stage.rig.toolbox.folder().join("inherited.door");
    maker.send_order(Order::Give(door.clone()))?;
    let mut server = pod.puppet("server")?;
    server.send_order(Order::Take(door))?;
    let clients = clients::connect_accepted(&pod, &mut server, 3)?;
    clients::send_words(&clients, "never read\n")?;
    server.terminate_and_exit()?;
    let met = Met {
        reset: clients::resets(&clients)?,
        ..Met::default()
    };
    let of_server = Told::end_and_wait(stage, &server.container)?;
    verdict.classes(&of_server, Some(&Expected::default()));
    verdict.require_equal(
        "connections of the server",
        of_server.report_numbers.at_stop_signal,
        0,
    );
    verdict.complete(&of_server.report);
    verdict
        .notes
        .push("all of it is told of the container that made the listener".to_owned());
    maker.terminate_and_exit()?;
    let expected = Expected {
        resets: vec![resets_sent(
            Phase::Running,
            Mode::Active,
            "tcp_abort_on_close",
            3,
        )],
        ..Expected::default()
    };
    verdict.end_and_compare(stage, (pod, &maker.container), &expected, &met)?;
    Ok(())
}

/// Whose port it would have been nobody knows: told of the container that was stopped last, as the pod's.
fn two_containers(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    const OTHER: u16 = 9999;
    let pod = Pod::new(stage)?;
    let mut first = pod.puppet("first")?;
    first.listen(PORT, BACKLOG)?;
    let mut second = pod.puppet("second")?;
    let [ip, _] = SERVER;
    let (served, other) = ((ip, PORT).into(), (ip, OTHER).into());
    first.terminate()?;
    let mut met = Met {
        refused: clients::refused(&pod, other, 3)?,
        ..Met::default()
    };
    first.order_exit()?;
    met.refused += clients::refused(&pod, served, 2)?;
    met.refused += clients::refused(&pod, other, 1)?;
    second.terminate()?;
    met.refused += clients::refused(&pod, other, 4)?;
    second.order_exit()?;
    let of_first = Told::end_and_wait(stage, &first.container)?;
    let of_second = Told::end_and_wait(stage, &second.container)?;
    let ours = pod.is_server_side();
    let observed = Flows::from_packets(&pod.packets()?, ours).observed(of_first.phase_edges()?);
    let expected_first = vec![
        refused_in_pod(Phase::Stopping, 3),
        refused_in_pod(Phase::Closing, 1),
        refused(Phase::Closing, 2),
    ];
    let expected_second = vec![refused_in_pod(Phase::Stopping, 4)];
    let expected = |resets, refused, refused_in_pod| Expected {
        resets,
        refused,
        refused_in_pod,
        ..Expected::default()
    };
    let all = [expected_first.clone(), expected_second.clone()].concat();
    verdict.classes(&of_first, Some(&expected(expected_first, 6, 4)));
    verdict.classes(&of_second, Some(&expected(expected_second, 4, 4)));
    for told in [&of_first, &of_second] {
        verdict.complete(&told.report);
    }
    let sum = (
        Numbers::sum_with(&of_first.report_numbers, &of_second.report_numbers),
        Numbers::sum_of_known(&of_first.metrics, &of_second.metrics),
    );
    let expected = expected(all, 10, 8);
    let others = Others {
        observed: &observed,
        expected: Some(&expected),
        met: Some(&met),
    };
    verdict.rows.extend(number_rows(&sum.0, &sum.1, others));
    Ok(())
}

/// Nothing to count is no reason for a doubt.
fn no_network(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let (_namespace, mut server) = without_network(stage)?;
    server.terminate_and_exit()?;
    let told = Told::end_and_wait(stage, &server.container)?;
    let observed = Flows::default().observed(told.phase_edges()?);
    let others = Others {
        observed: &observed,
        expected: Some(&Expected::default()),
        met: None,
    };
    verdict.compare(&told, others);
    Ok(())
}
