//! What the probes count of connections: a server is told each step, so that every number and its phase are known. Looked at
//! without the engine, and in a report.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use agent_core::connection::{
    BySide, Direction, Mode, Phase, PhaseCounts, Scope, Side, SocketCounts,
};
use agent_core::event::CgroupId;
use agent_core::report::Outcome;
use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use anyhow::{Result, ensure};
use gracewatch::probes::{PhaseRules, Signals, Sockets, TcpFeature};
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::rig::attacker::{self, Attack, Plan};
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::kubelet::send_signal;
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::puppet::{Order, Puppet};
use gracewatch_tests::rig::stage::Via;
use gracewatch_tests::whole::free_port;
use rustix::net::sockopt;

use super::records::Alone;
use crate::check::Check;
use crate::scenario::{Scenario, Stage};

pub(crate) const SHARED: &[Scenario] = &[Scenario::with_spec(
    "connections_reset",
    |rig, name| vec![rig.selector(name, Some(10))],
    connections_reset,
)];
pub(crate) const ALONE: &[Scenario] = &[
    Scenario::without_spec("sockets_are_counted", counted),
    Scenario::without_spec("listeners_beside_push_out_none", listeners_beside),
];

pub(super) const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// A port below those that the kernel gives to clients.
const NOT_OF_CLIENTS: u16 = 17_001;
/// How long a number may take that follows from what was done.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A server in a tracked container, on every address of this machine.
pub(super) struct Server {
    pub(super) main: Launched,
    pub(super) puppet: Puppet,
    port: u16,
}

impl Server {
    fn address_on(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, self.port)
    }

    /// A connection that the server has taken.
    pub(super) fn accepted(&mut self, ip: IpAddr) -> Result<TcpStream> {
        let connection = TcpStream::connect(self.address_on(ip))?;
        self.puppet.send_order(Order::Accept(1))?;
        Ok(connection)
    }

    /// One that it does not know of.
    fn refused(&self, ip: IpAddr) -> Result<()> {
        let refused = TcpStream::connect(self.address_on(ip));
        ensure!(
            refused.is_err(),
            "somebody listens at {}",
            self.address_on(ip)
        );
        Ok(())
    }
}

/// Accepted, reset by the peer, unread at the exit, left in the queue, refused over IPv4 and IPv6: each in its phase.
fn counted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut alone = Alone::new()?;
    let sees_reasons = all_but_reasons_is_seen(&alone, check);
    let cgroup = stage.cgroup("")?;
    let container = alone.track_cgroup(&cgroup)?;
    let signals = Signal::KILL.mask_bit() | Signal::TERM.mask_bit();
    let mask = Signals::that_all_begin(signals);
    alone
        .probes
        .tracker
        .track_container((container.0, container.0), &[], mask)?;
    alone.probes.sockets.add(container.0)?;
    let mut server = start(stage, &cgroup)?;
    let rules = PhaseRules {
        main: Some(server.main.pid()),
        phase: Phase::Running,
        stops: signals,
        candidates: 0,
        void_until: Timestamp(0),
    };
    alone.probes.sockets.set_phase_rules(container.0, rules)?;

    let unread = server.accepted(V4)?;
    std::io::Write::write_all(&mut &unread, b"nobody reads this")?;
    let idle = server.accepted(V6)?;
    let resetting = server.accepted(V4)?;
    sockopt::set_socket_linger(&resetting, Some(Duration::ZERO))?;
    drop(resetting);
    let sockets = &mut alone.probes.sockets;
    wait_for_counts(sockets, container, |counts| counts.phases[0].cut == 1)?;

    send_signal(stage.toolbox(), server.main.pid(), Signal::TERM, Via::Pidfd)?;
    let left_in_queue = TcpStream::connect(server.address_on(V4))?;
    server.puppet.send_order(Order::StopListening)?;
    server.refused(V4)?;
    server.refused(V6)?;
    server.puppet.send_order(Order::Exit)?;
    server.main.wait_end(LIMIT)?;
    server.refused(V4)?;
    let counts = wait_for_counts(sockets, container, |counts| counts.phases[3].refused == 1)?;
    compare(check, &counts, sees_reasons);
    drop((unread, idle, left_in_queue));
    sockets.remove(container.0)?;
    check.require_equal("after it was forgotten", sockets.read(container.0)?, None);
    cgroup.remove()
}

/// A neighbour listens on more ports than are remembered of all containers. What is refused at a port that was closed before
/// counts for its container still.
fn listeners_beside(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    const FLOOD: Duration = Duration::from_secs(2);
    let mut alone = Alone::new()?;
    let (cgroup, beside) = (stage.cgroup("")?, stage.cgroup("beside")?);
    let (container, neighbour) = (alone.track_cgroup(&cgroup)?, alone.track_cgroup(&beside)?);
    for id in [container, neighbour] {
        alone.probes.sockets.add(id.0)?;
    }
    // The neighbour takes ports of the range for clients, so that it never takes this one.
    let port = free_port(NOT_OF_CLIENTS)?;
    let mut server = start_at(stage, &cgroup, port)?;
    server.puppet.send_order(Order::StopListening)?;
    let plan = Plan {
        attack: Attack::Listeners,
        agent: "",
        rest: Duration::ZERO,
    };
    let log = stage.toolbox().log(&stage.name_with("beside"));
    let argv = attacker::command_line(stage.toolbox(), plan, &beside.directory(), &log);
    let flood = Launch::new(&beside, argv).start(stage.toolbox())?;
    log.wait_for(attacker::UNDER_WAY, LIMIT)?;
    std::thread::sleep(FLOOD);
    server.refused(V4)?;
    let sockets = &mut alone.probes.sockets;
    let counts = wait_for_counts(sockets, container, |counts| counts.phases[0].refused == 1)?;
    check.require_equal("refused", counts.phases[0].refused, 1);
    let lost = alone.probes.tracker.newly_lost();
    let has_lost = |id: CgroupId| lost.iter().any(|(outermost, _)| *outermost == id.0);
    check.require("the neighbour's share is used up", has_lost(neighbour));
    check.require("its own is not", !has_lost(container));
    drop(flood);
    beside.kill_all();
    server.puppet.send_order(Order::Exit)?;
    server.main.wait_end(LIMIT)?;
    cgroup.remove()?;
    beside.remove()
}

/// Unread at the exit, left in the queue, refused before the exit and after it: the report tells each with its time.
fn connections_reset(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    const STEP: Duration = Duration::from_millis(200);
    let cgroup = stage.cgroup("")?;
    let mut server = start(stage, &cgroup)?;
    stage
        .agent
        .wait_watched(cgroup.path(), server.main.pid(), LIMIT)?;
    let mut unread = Vec::new();
    for _ in 0..4 {
        let connection = server.accepted(V4)?;
        std::io::Write::write_all(&mut &connection, b"nobody reads this")?;
        unread.push(connection);
    }
    send_signal(stage.toolbox(), server.main.pid(), Signal::TERM, Via::Pidfd)?;
    std::thread::sleep(STEP);
    let left_in_queue = [
        TcpStream::connect(server.address_on(V4))?,
        TcpStream::connect(server.address_on(V4))?,
    ];
    server.puppet.send_order(Order::StopListening)?;
    for _ in 0..3 {
        std::thread::sleep(STEP);
        server.refused(V4)?;
    }
    std::thread::sleep(STEP);
    server.puppet.send_order(Order::Exit)?;
    server.main.wait_end(LIMIT)?;
    server.refused(V4)?;
    cgroup.remove()?;
    let report = stage.report_of(&cgroup)?;
    drop((unread, left_in_queue));
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    let connections = report
        .connections
        .or_wrong(|| "they are not counted".to_owned())?;
    check.require_equal(
        "reset",
        connections.connections_reset(Direction::Sent),
        4 + 2,
    );
    check.require_equal("refused", connections.refused, 3 + 1);
    check.require_equal("marks", connections.marks.len(), 4 + 2 + 3 + 1);
    Ok(())
}

/// Says whether the reasons are seen, too.
fn all_but_reasons_is_seen(alone: &Alone, check: &mut Check) -> bool {
    let tcp_features = alone.probes.programs.tcp_features();
    for (fact, seen) in &tcp_features {
        let name = fact.name();
        check.require(
            format!("{name} are seen"),
            *seen || *fact == TcpFeature::ResetReasons,
        );
    }
    tcp_features.contains(&(TcpFeature::ResetReasons, true))
}

pub(super) fn start(stage: &Stage<'_>, cgroup: &Cgroup) -> Result<Server> {
    start_at(stage, cgroup, free_port(0)?)
}

fn start_at(stage: &Stage<'_>, cgroup: &Cgroup, port: u16) -> Result<Server> {
    let key = stage.name_with("");
    let launch = Launch::new(cgroup, Puppet::command_line(stage.toolbox(), &key));
    let (main, mut puppet) = Puppet::start(stage.toolbox(), &key, &launch)?;
    let at = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    puppet.send_order(Order::Listen { at, backlog: 8 })?;
    Ok(Server { main, puppet, port })
}

/// What was counted as soon as it is as it should be, or else in the end.
pub(super) fn wait_for_counts(
    sockets: &mut Sockets,
    container: CgroupId,
    is_reached: impl Fn(&SocketCounts) -> bool,
) -> Result<SocketCounts> {
    let begin = Instant::now();
    loop {
        let counts = sockets
            .read(container.0)?
            .or_wrong(|| "it is not counted".to_owned())?;
        if is_reached(&counts) || begin.elapsed() > LIMIT {
            return Ok(counts);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn compare(check: &mut Check, counts: &SocketCounts, sees_reasons: bool) {
    let aborted = |aborted| {
        Some(BySide {
            aborted,
            ..BySide::default()
        })
    };
    let none = PhaseCounts {
        by_side: aborted(0),
        ..PhaseCounts::default()
    };
    let [running, hook, stopping, closing] = counts.phases;
    let expected = PhaseCounts {
        accepted: 3,
        cut: 1,
        ..none
    };
    check.require_equal("while it ran", running, expected);
    check.require_equal("in the hook", hook, none);
    let expected = PhaseCounts {
        accepted: 1,
        cut: 1,
        refused: 2,
        by_side: aborted(1),
        ..none
    };
    check.require_equal("after the stop signal", stopping, expected);
    let expected = PhaseCounts {
        cut: 1,
        finished: 1,
        refused: 1,
        by_side: aborted(1),
        ..none
    };
    check.require_equal("after the exit", closing, expected);
    check.require(
        "times in order",
        counts.accepted_at < counts.last_listener_closed_at
            && counts.last_listener_closed_at < counts.refused_at,
    );
    let resets: Vec<_> = counts
        .resets
        .iter()
        .map(|(class, count)| (class.phase, class.direction, class.mode, *count))
        .collect();
    let expected = vec![
        (Phase::Running, Direction::Received, Mode::Unknown, 1),
        (Phase::Stopping, Direction::Sent, Mode::Active, 1),
        (Phase::Stopping, Direction::Sent, Mode::Passive, 2),
        (Phase::Closing, Direction::Sent, Mode::Active, 1),
        (Phase::Closing, Direction::Sent, Mode::Passive, 1),
    ];
    check.require_equal("resets", resets, expected);
    for (class, _count) in &counts.resets {
        check.require_equal("by what", class.scope, Scope::Container);
        check.require_equal("whose wish", class.side, Side::Accepted);
        let has_reason = sees_reasons && class.direction == Direction::Sent;
        check.require_equal("a reason", class.reason.is_some(), has_reason);
    }
}
