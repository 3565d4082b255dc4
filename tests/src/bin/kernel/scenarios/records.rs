//! What the probes record that few containers ever cause, looked at without the engine: processes from outside that
//! never call exec, and connections that are waited for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use agent_core::decode::decode;
use agent_core::event::{CgroupId, Connect, Event, EventKind, Exit, ExitStatus};
use agent_core::report::Outcome;
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch::probes::{Options, Probes, Signals};
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::kubelet::send_times;
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::stage::Via;
use tokio::runtime::{Builder, Runtime};

use crate::check::Check;
use crate::scenario::{Scenario, Stage, within};

pub(crate) const ALONE: &[Scenario] = &[
    Scenario::without_spec("exit_without_exec_is_recorded", exit_without_exec),
    Scenario::without_spec("awaited_connection_is_recorded", awaited_connection),
    Scenario::without_spec("stop_signal_known_late_is_recorded", known_late),
];

pub(crate) const SHARED: &[Scenario] = &[Scenario::without_spec(
    "stray_is_nobody",
    exit_without_exec_means_nothing,
)];

/// How long a record may take.
const LIMIT: Duration = Duration::from_secs(10);
/// What the stray process exits with.
const STATUS: u8 = 7;

/// The probes, with nothing behind them.
pub(super) struct Alone {
    pub(super) probes: Probes,
    _runtime: Runtime,
}

impl Alone {
    pub(super) fn new() -> Result<Self> {
        Self::that_sees(Signal::KILL.mask_bit() | Signal::TERM.mask_bit())
    }

    /// With the signals of this mask.
    pub(super) fn that_sees(signals: u64) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let probes = {
            let _entered = runtime.enter();
            Probes::load(&Options {
                ring_bytes: agent_common::map::EVENTS_BYTES,
                signals,
                log: false,
            })?
        };
        Ok(Self {
            probes,
            _runtime: runtime,
        })
    }

    pub(super) fn track_cgroup(&mut self, cgroup: &Cgroup) -> Result<CgroupId> {
        let id = cgroup.id()?;
        let signals = Signals::that_all_begin(Signal::KILL.mask_bit());
        self.probes
            .tracker
            .track_container((id.0, id.0), &[], signals)?;
        Ok(id)
    }

    /// What was recorded of this container since the last call.
    pub(super) fn events(&mut self, container: CgroupId) -> Result<Vec<Event>> {
        let mut events = self.all_events()?;
        events.retain(|event| event.container == Some(container));
        Ok(events)
    }

    /// The same of all containers, and of none.
    pub(super) fn all_events(&mut self) -> Result<Vec<Event>> {
        let mut decoded = Vec::new();
        while self.probes.ring.drain(|bytes| decoded.push(decode(bytes))) > 0 {}
        Ok(decoded.into_iter().collect::<Result<_, _>>()?)
    }

    fn connects(&mut self, container: CgroupId) -> Result<Vec<Connect>> {
        let events = self.events(container)?.into_iter();
        Ok(events.filter_map(|event| connect_of(event.kind)).collect())
    }
}

fn connect_of(kind: EventKind) -> Option<Connect> {
    if let EventKind::Connect(connect) = kind {
        Some(connect)
    } else {
        None
    }
}

fn signal_of(kind: EventKind) -> Option<Signal> {
    if let EventKind::Signal(sent) = kind {
        Some(sent.signal)
    } else {
        None
    }
}

fn exit_of(kind: EventKind) -> Option<Exit> {
    if let EventKind::Exit(exit) = kind {
        Some(exit)
    } else {
        None
    }
}

/// A process that leaves a stray one in the container, whose new parent is outside.
fn stray_launch(stage: &Stage<'_>, cgroup: &Cgroup) -> Launch {
    Launch::new(cgroup, stage.rig.command("stray", &STATUS.to_string())).sharing_pids()
}

/// Nobody had the stray process watched, moved it in, or saw it call exec: its exit is recorded all the same, once,
/// and told from that of the process that left it behind.
fn exit_without_exec(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut alone = Alone::new()?;
    let cgroup = stage.cgroup("")?;
    let container = alone.track_cgroup(&cgroup)?;
    let mut launched = stray_launch(stage, &cgroup).start(stage.toolbox())?;
    launched.wait_end(LIMIT)?;
    // A cgroup without processes can be removed, so all exits were recorded.
    cgroup.remove()?;
    let exits: Vec<Exit> = alone
        .events(container)?
        .into_iter()
        .filter_map(|event| exit_of(event.kind))
        .collect();
    let (executed, stray): (Vec<_>, Vec<_>) = exits.iter().partition(|exit| exit.executed);
    let pids: Vec<u32> = executed.iter().map(|exit| exit.process.tgid.0).collect();
    check.require_equal("exits after an exec", pids, vec![launched.pid()]);
    check.require_equal("exits without one", stray.len(), 1);
    let stray = stray
        .first()
        .or_wrong(|| "the stray's exit was not recorded".to_owned())?;
    check.require_equal("its status", stray.status, ExitStatus::Code(STATUS));
    check.require_equal("its name", stray.process.comm.as_str(), "stray");
    check.require_equal("its container", stray.process.container, Some(container));
    check.require("its parent is outside", stray.process.parent_outside);
    Ok(())
}

/// The engine takes such a process neither for the main one nor for a hook.
fn exit_without_exec_means_nothing(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit --takes 200")?;
    let mut launched = stray_launch(stage, &container.cgroup).start(stage.toolbox())?;
    launched.wait_end(LIMIT)?;
    let stopped = stage.stop(&mut container, &within(5))?;
    let report = stage.report(&container)?;
    check.stop(&report, &stopped, Signal::TERM);
    check.verdict(&report, Outcome::Graceful, &[], &[]);
    check.require_equal("a hook", report.hook.is_some(), false);
    check.require_equal(
        "reports",
        stage.agent.reports(container.cgroup.path()).len(),
        1,
    );
    Ok(())
}

/// Which signal stops a container may become known when it is tracked already: from its pod.
fn known_late(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut alone = Alone::new()?;
    let container = stage.start_app("--on-stop never")?;
    let (pid, id) = (container.main.pid(), alone.track_cgroup(&container.cgroup)?);
    alone.probes.tracker.watch_process(pid, id.0)?;
    let sent = |alone: &mut Alone| {
        send_times(stage.toolbox(), pid, Signal::TERM, Via::Kill, 1)?;
        let events = alone.events(id)?.into_iter();
        Ok::<_, anyhow::Error>(events.filter_map(|event| signal_of(event.kind)).collect())
    };
    check.require_equal("before", sent(&mut alone)?, Vec::new());
    let signals = Signals::that_all_begin(Signal::TERM.mask_bit() | Signal::KILL.mask_bit());
    alone
        .probes
        .tracker
        .track_container((id.0, id.0), &[], signals)?;
    check.require_equal("after", sent(&mut alone)?, vec![Signal::TERM]);
    Ok(())
}

/// A connection is recorded with who opened it and where to, if it is waited for, and no other one is.
fn awaited_connection(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut alone = Alone::new()?;
    let cgroup = stage.cgroup("")?;
    let container = alone.track_cgroup(&cgroup)?;
    let (awaited, other) = (listen(Ipv4Addr::LOCALHOST)?, listen(Ipv4Addr::LOCALHOST)?);
    TcpStream::connect(awaited.local_addr()?)?;
    check.require_equal("before the wish", alone.connects(container)?, Vec::new());

    expect(&mut alone, container, &awaited, check)?;
    TcpStream::connect(other.local_addr()?)?;
    check.require_equal("to another port", alone.connects(container)?, Vec::new());
    let port = awaited.local_addr()?.port();
    // The same address through a socket of the other family.
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
    TcpStream::connect(mapped)?;
    let found = alone.connects(container)?;
    let found = found.iter().map(|connect| (connect.address, connect.port));
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    check.require_equal("as a mapped address", found.collect(), vec![(v4, port)]);
    match listen(Ipv6Addr::LOCALHOST) {
        Ok(listener) => expect(&mut alone, container, &listener, check)?,
        Err(error) => check.notes.push(format!("not over IPv6: {error:#}")),
    }

    alone.probes.tracker.untrack(container.0)?;
    TcpStream::connect(awaited.local_addr()?)?;
    check.require_equal(
        "after it was untracked",
        alone.connects(container)?,
        Vec::new(),
    );
    cgroup.remove()
}

fn listen(address: impl Into<IpAddr>) -> Result<TcpListener> {
    TcpListener::bind((address.into(), 0)).context("cannot listen")
}

/// Waits for connections to the listener on behalf of the container, opens one, and looks at its record.
fn expect(
    alone: &mut Alone,
    container: CgroupId,
    listener: &TcpListener,
    check: &mut Check,
) -> Result<()> {
    let to = listener.local_addr()?;
    let (address, port) = (to.ip(), to.port());
    alone
        .probes
        .tracker
        .await_connect(container.0, address, port)?;
    TcpStream::connect(to)?;
    let found = alone.connects(container)?;
    check.require_equal("connections", found.len(), 1);
    let connect = found
        .first()
        .or_wrong(|| format!("no connection to {to}"))?;
    check.require_equal("where to", (connect.address, connect.port), (address, port));
    check.require_equal("who", connect.process.tgid.0, std::process::id());
    check.require_equal("its container", connect.process.container, None);
    Ok(())
}
