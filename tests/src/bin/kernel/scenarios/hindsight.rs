//! What the probes tell apart for hindsight: whose connections they were, and which signal they came after.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener};

use agent_core::connection::{BySide, Mode, Phase, Side, SocketCounts};
use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch::probes::{PhaseRules, Signals};
use gracewatch_tests::rig::clock::{self, Span};
use gracewatch_tests::rig::kubelet::send_signal;
use gracewatch_tests::rig::puppet::Order;
use gracewatch_tests::rig::stage::Via;

use super::records::Alone;
use super::sockets::{LIMIT, V4, V6, start, wait_for_counts};
use crate::check::Check;
use crate::scenario::{Scenario, Stage};

pub(crate) const ALONE: &[Scenario] = &[
    Scenario::without_spec("sides_are_told_apart", accepted_and_initiated),
    Scenario::without_spec("signals_begin_intervals", intervals),
];

/// Accepted and half closed with a request that is not read, the container's own with an answer that is not read, and
/// idle ones that the exit closes, of which one is used again.
fn accepted_and_initiated(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut alone = Alone::new()?;
    let cgroup = stage.cgroup("")?;
    let container = alone.track_cgroup(&cgroup)?;
    alone.probes.sockets.add(container.0)?;
    let mut server = start(stage, &cgroup)?;
    let rules = PhaseRules {
        main: Some(server.main.pid()),
        phase: Phase::Running,
        stops: Signal::KILL.mask_bit(),
        candidates: 0,
        void_until: Timestamp(0),
    };
    alone.probes.sockets.set_phase_rules(container.0, rules)?;
    let half_closed = server.accepted(V4)?;
    std::io::Write::write_all(&mut &half_closed, b"nobody reads this")?;
    half_closed.shutdown(Shutdown::Write)?;
    let idle = [server.accepted(V4)?, server.accepted(V6)?];
    let listener = TcpListener::bind((V4, 0))?;
    server
        .puppet
        .send_order(Order::Connect(listener.local_addr()?))?;
    let (database, _) = listener.accept()?;
    std::io::Write::write_all(&mut &database, b"nobody reads this")?;
    server.puppet.send_order(Order::Exit)?;
    server.main.wait_end(LIMIT)?;
    let sockets = &mut alone.probes.sockets;
    wait_for_counts(sockets, container, |counts| counts.phases[3].finished == 2)?;
    for one in &idle {
        std::io::Write::write_all(&mut &*one, b"GET /next HTTP/1.1\r\n\r\n")?;
    }
    let counts = wait_for_counts(sockets, container, |counts| resets(counts) == 4)?;
    compare_sides(check, &counts);
    drop((half_closed, database));
    sockets.remove(container.0)?;
    cgroup.remove()
}

fn compare_sides(check: &mut Check, counts: &SocketCounts) {
    let [running, _, _, closing] = counts.phases.map(|phase| phase.by_side);
    check.require_equal("half closed while it ran", counts.phases[0].finished, 1);
    check.require_equal("nobody's fault yet", running, Some(BySide::default()));
    let expected = BySide {
        cut_initiated: 1,
        aborted: 1,
        aborted_half_closed: 1,
        aborted_initiated: 1,
        ..BySide::default()
    };
    check.require_equal("after the exit", closing, Some(expected));
    // Not by reason: it depends on whether the client's kernel has acknowledged the end before the next request.
    let mut resets = BTreeMap::new();
    for (class, count) in &counts.resets {
        *resets
            .entry((class.mode, class.side, class.idle_closed))
            .or_insert(0) += count;
    }
    let expected = BTreeMap::from([
        ((Mode::Active, Side::Accepted, false), 1),
        ((Mode::Active, Side::Initiated, false), 1),
        ((Mode::Passive, Side::Accepted, true), 2),
    ]);
    check.require_equal("whose they were", resets, expected);
}

fn resets(counts: &SocketCounts) -> u64 {
    counts.resets.iter().map(|(_, count)| count).sum()
}

/// What is counted after each signal from outside has a place of its own, as long as there is one; the stop signal
/// always has.
fn intervals(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let winch = Signal::try_from(28).context("no SIGWINCH")?;
    let stops = Signal::KILL.mask_bit() | Signal::TERM.mask_bit();
    let mut alone = Alone::that_sees(stops | winch.mask_bit())?;
    let cgroup = stage.cgroup("")?;
    let container = alone.track_cgroup(&cgroup)?;
    let tracker = &mut alone.probes.tracker;
    let signals = Signals::that_all_begin(stops | winch.mask_bit());
    tracker.track_container((container.0, container.0), &[], signals)?;
    alone.probes.sockets.add(container.0)?;
    let mut server = start(stage, &cgroup)?;
    let sockets = &mut alone.probes.sockets;
    let pid = server.main.pid();
    let rules = |void_until| PhaseRules {
        main: Some(pid),
        phase: Phase::Running,
        stops,
        candidates: stops | winch.mask_bit(),
        void_until,
    };
    sockets.set_phase_rules(container.0, rules(Timestamp(0)))?;
    let mut held = vec![server.accepted(V4)?];
    send_signal(stage.toolbox(), pid, winch, Via::Pidfd)?;
    held.push(server.accepted(V4)?);
    sockets.set_phase_rules(container.0, rules(clock::now()))?;
    held.push(server.accepted(V4)?);
    let mut spans = Vec::new();
    for signal in [winch, Signal::TERM, Signal::TERM, winch, winch, winch] {
        spans.push(send_signal(stage.toolbox(), pid, signal, Via::Pidfd)?);
        held.push(server.accepted(V4)?);
    }
    let counts = wait_for_counts(sockets, container, |counts| accepted(counts) == 9)?;
    compare_intervals(check, &counts, &spans);
    server.puppet.send_order(Order::Exit)?;
    server.main.wait_end(LIMIT)?;
    let counts = wait_for_counts(sockets, container, |counts| counts.phases[3].finished == 9)?;
    check.require_equal("left at the exit", counts.phases[3].finished, 9);
    drop(held);
    sockets.remove(container.0)?;
    cgroup.remove()
}

fn accepted(counts: &SocketCounts) -> u64 {
    let after = counts.after_signals.iter().map(|after| after.counts);
    let all = counts.phases.into_iter().chain(after);
    all.map(|one| one.accepted).sum()
}

fn compare_intervals(check: &mut Check, counts: &SocketCounts, spans: &[Span]) {
    let by_phase = counts.phases.map(|one| one.accepted);
    check.require_equal("by phase", by_phase, [2, 0, 1, 0]);
    let after = counts.after_signals.iter();
    let by_place: Vec<u64> = after.map(|after| after.counts.accepted).collect();
    // The second place had one before what was there became void, and the last signal found none.
    check.require_equal("by place", by_place, vec![1, 3, 1, 1]);
    let place = |place: usize| counts.after_signals.get(place).and_then(|one| one.since);
    let times = [
        (place(2), "SIGWINCH"),
        (counts.stopping_since, "SIGTERM"),
        (place(3), "SIGTERM again"),
        (place(0), "SIGWINCH"),
        (place(1), "SIGWINCH"),
        (counts.unplaced_at, "SIGWINCH without a place"),
    ];
    for ((at, what), span) in times.into_iter().zip(spans) {
        check.require(
            format!("{what} at {at:?}, sent within {span}"),
            at.is_some_and(|at| span.contains(at)),
        );
    }
}
