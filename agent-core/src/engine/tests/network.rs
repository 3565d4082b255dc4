//! Connections for scenarios: what the kernel side counted, and how it is told.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::scene::{CONTAINER, DOCKER, Scene, cgroup_created, config};
use super::stage;
use crate::config::Config;
use crate::connection::{
    AfterSignal, BySide, Direction, Mode, Peer, PeerCounts, Phase, PhaseCounts, ResetClass,
    ResetSeen, Scope, Side, SocketCounts,
};
use crate::event::EventKind;
use crate::input::Input;
use crate::output::{Effect, Output};
use crate::pod::{EndpointState, Pod};
use crate::time::Timestamp;

/// Numbers of reasons as no kernel has them: names count, not numbers.
pub(super) const ABORT_ON_CLOSE: u32 = 101;
pub(super) const STATE: u32 = 102;
pub(super) const ABORT_ON_DATA: u32 = 103;
pub(super) const NO_SOCKET: u32 = 104;

pub(super) fn reasons() -> BTreeMap<u32, String> {
    let names = [
        (ABORT_ON_CLOSE, "tcp_abort_on_close"),
        (STATE, "tcp_state"),
        (ABORT_ON_DATA, "tcp_abort_on_data"),
        (NO_SOCKET, "no_socket"),
    ];
    names.map(|(number, name)| (number, name.to_owned())).into()
}

pub(super) fn reset_class(phase: Phase, mode: Mode, reason: u32) -> ResetClass<u32> {
    ResetClass {
        phase,
        direction: Direction::Sent,
        mode,
        scope: Scope::Container,
        side: Side::Unknown,
        idle_closed: false,
        reason: Some(reason),
    }
}

pub(super) fn received(phase: Phase) -> ResetClass<u32> {
    ResetClass {
        direction: Direction::Received,
        reason: None,
        ..reset_class(phase, Mode::Unknown, 0)
    }
}

/// Counts in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(pub(super) SocketCounts);

impl Counts {
    pub(super) fn with_phase(mut self, phase: Phase, change: impl Fn(&mut PhaseCounts)) -> Self {
        let all = Phase::ALL.into_iter().zip(&mut self.0.phases);
        for (_, counts) in all.filter(|(other, _)| *other == phase) {
            change(counts);
        }
        self
    }

    pub(super) fn accepted_at(mut self, at: f64) -> Self {
        self.0.accepted_at = Some(seconds(at));
        self
    }

    pub(super) fn refused_at(mut self, at: f64) -> Self {
        self.0.refused_at = Some(seconds(at));
        self
    }

    pub(super) fn node_at(mut self, at: f64) -> Self {
        self.0.from_node_at = Some(seconds(at));
        self
    }

    pub(super) fn last_listener_closed_at(mut self, at: f64) -> Self {
        self.0.last_listener_closed_at = Some(seconds(at));
        self
    }

    pub(super) fn resets(mut self, class: ResetClass<u32>, count: u64) -> Self {
        self.0.resets.push((class, count));
        self
    }

    /// When the kernel side took a signal for the one that stops.
    pub(super) fn stopping_since(mut self, at: f64) -> Self {
        self.0.stopping_since = Some(seconds(at));
        self
    }

    /// What was counted after a signal, in one of the four places.
    pub(super) fn after_signal(
        mut self,
        place: usize,
        since: f64,
        change: impl Fn(&mut AfterSignal),
    ) -> Self {
        self.0.after_signals.resize(4, AfterSignal::default());
        let after = self.0.after_signals.get_mut(place);
        let after = after.expect("there are four places");
        after.since = Some(seconds(since));
        change(after);
        self
    }

    /// There was no place for a signal.
    pub(super) fn unplaced_at(mut self, at: f64) -> Self {
        self.0.unplaced_at = Some(seconds(at));
        self
    }

    /// Somebody came at these times to a port, and was accepted or refused so often by phase.
    pub(super) fn with_peer(
        mut self,
        (last_byte, port): (u8, u16),
        arrivals: &[f64],
        counts: &[(Phase, PeerCounts)],
    ) -> Self {
        let mut by_interval = vec![PeerCounts::default(); 8];
        for (place, phase) in by_interval.iter_mut().zip(Phase::ALL) {
            let its = counts.iter().filter(|(other, _)| *other == phase);
            for (_, counts) in its {
                *place = *counts;
            }
        }
        self.0.peers.push(Peer {
            address: [10, 0, 0, last_byte].into(),
            port,
            from_node: false,
            arrivals: arrivals.iter().map(|at| seconds(*at)).collect(),
            counts: by_interval,
        });
        self
    }

    pub(super) fn into_input(self) -> Input {
        Input::Sockets {
            container: CONTAINER,
            counts: Box::new(self.0),
        }
    }
}

pub(super) fn seconds(at: f64) -> Timestamp {
    stage::seconds(at)
}

/// With connections counted.
pub(super) fn counting() -> Config {
    Config {
        reset_reasons: Some(reasons()),
        remaining: true,
        ..config(Vec::new())
    }
}

impl Scene {
    /// A container whose connections are counted.
    pub(super) fn counted() -> Self {
        Self::with_config(counting()).receives(cgroup_created(CONTAINER, DOCKER))
    }

    /// The container of a pod whose connections are counted, with the pod known and the main process running.
    pub(super) fn counted_in(pod: &Pod) -> Self {
        let mut config = counting();
        config.pods = true;
        Self::with_config(config)
            .receives(cgroup_created(CONTAINER, &stage::path(0)))
            .at_second(0.5)
            .watch_shows(pod)
            .running()
    }

    /// The EndpointSlices have the pod like this.
    pub(super) fn endpoint(self, ready: bool, terminating: bool) -> Self {
        let seen_at = self.now;
        self.receives(Input::Endpoint {
            uid: stage::UID.to_owned(),
            state: EndpointState {
                ready,
                serving: ready,
                terminating,
            },
            seen_at,
        })
    }

    /// The kernel side is asked, or tells by itself.
    pub(super) fn counts(self, counts: Counts) -> Self {
        self.receives(counts.into_input())
    }

    /// One reset is recorded, by a peer that is always the same.
    pub(super) fn resets(self, class: ResetClass<u32>, port: u16) -> Self {
        self.happens(EventKind::Reset(ResetSeen {
            class,
            refused: false,
            local_port: 8080,
            peer: Some(([10, 0, 0, 7], port).into()),
            after_signal: false,
        }))
    }

    /// What the kernel side was told of the course, as `main phase`.
    pub(super) fn phases_given(&self) -> Vec<(Option<u32>, Phase)> {
        let phase_given = |output: &Output| match output {
            Output::Effect(Effect::Phase { main, phase, .. }) => {
                Some((main.map(|main| main.0), *phase))
            }
            _ => None,
        };
        self.said.iter().filter_map(phase_given).collect()
    }

    /// Up to which second the kernel side was told each time that what began is void.
    pub(super) fn voided(&self) -> Vec<f64> {
        let void = |output: &Output| match output {
            Output::Effect(Effect::Phase { void_until, .. }) => {
                Some(void_until.since(Timestamp(0)).as_secs_f64())
            }
            _ => None,
        };
        self.said.iter().filter_map(void).collect()
    }

    /// How often it was asked for counts.
    pub(super) fn times_counted(&self) -> usize {
        let counts = |output: &&Output| matches!(output, Output::Effect(Effect::Count { .. }));
        self.said.iter().filter(counts).count()
    }
}

/// A reset from this port of the peer.
pub(super) fn a_reset(port: u16) -> ResetSeen {
    ResetSeen {
        class: reset_class(Phase::Closing, Mode::Active, STATE),
        refused: false,
        local_port: 8080,
        peer: Some(([10, 0, 0, 7], port).into()),
        after_signal: false,
    }
}

fn any_class() -> impl Strategy<Value = ResetClass<u32>> {
    let phase = select(Phase::ALL.to_vec());
    let direction = select(vec![Direction::Sent, Direction::Received]);
    let mode = select(vec![Mode::Active, Mode::Passive, Mode::Unknown]);
    let scope = select(vec![Scope::Container, Scope::Pod]);
    let reason = select(vec![None, Some(STATE), Some(ABORT_ON_CLOSE), Some(7)]);
    let side = select(vec![Side::Unknown, Side::Accepted, Side::Initiated]);
    let class = (phase, direction, mode, scope, side, any::<bool>(), reason);
    class.prop_map(
        |(phase, direction, mode, scope, side, idle_closed, reason)| ResetClass {
            phase,
            direction,
            mode,
            scope,
            side,
            idle_closed,
            reason,
        },
    )
}

pub(super) fn any_reset() -> impl Strategy<Value = ResetSeen> {
    (any_class(), any::<bool>(), 1_u16..4).prop_map(|(class, refused, port)| ResetSeen {
        class,
        refused,
        ..a_reset(port)
    })
}

fn any_phase() -> impl Strategy<Value = PhaseCounts> + Clone {
    let sides = proptest::option::of(any::<[u8; 5]>().prop_map(|numbers| {
        let [
            finished_initiated,
            cut_initiated,
            aborted,
            aborted_half_closed,
            aborted_initiated,
        ] = numbers.map(u64::from);
        BySide {
            finished_initiated,
            cut_initiated,
            aborted,
            aborted_half_closed,
            aborted_initiated,
        }
    }));
    (any::<[u8; 8]>(), sides).prop_map(|(numbers, by_side)| {
        let [
            accepted,
            connected,
            finished,
            cut,
            refused,
            in_pod,
            of_node,
            refused_of_node,
        ] = numbers.map(u64::from);
        PhaseCounts {
            accepted,
            connected,
            finished,
            cut,
            refused,
            refused_in_pod: in_pod,
            accepted_from_node: of_node,
            refused_from_node: refused_of_node,
            by_side,
        }
    })
}

/// Counts as they may be, not only as they can come one after the other.
pub(super) fn any_counts() -> impl Strategy<Value = SocketCounts> {
    let phase = any_phase();
    let at = || proptest::option::of((0_u64..60_000).prop_map(|at| Timestamp(at * 1_000_000)));
    let times = (at(), at(), at(), at());
    let resets = || proptest::collection::btree_map(any_class(), 0_u64..9, 0..6);
    let after_signal = (at(), phase.clone(), resets()).prop_map(|(since, counts, resets)| {
        let resets = resets.into_iter().collect();
        AfterSignal {
            since,
            counts,
            resets,
        }
    });
    let after_signals = prop_oneof![
        1 => Just(Vec::new()),
        2 => proptest::collection::vec(after_signal, 4),
    ];
    let signals = (after_signals, at(), at());
    let peers = proptest::collection::vec(any_peer(), 0..4);
    let phases = (phase.clone(), phase.clone(), phase.clone(), phase);
    (phases, times, resets(), signals, peers).prop_map(|(phases, times, resets, signals, peers)| {
        SocketCounts {
            phases: phases.into(),
            accepted_at: times.0,
            refused_at: times.1,
            from_node_at: times.2,
            last_listener_closed_at: times.3,
            resets: resets.into_iter().collect(),
            after_signals: signals.0,
            stopping_since: signals.1,
            unplaced_at: signals.2,
            peers,
        }
    })
}

fn any_peer() -> impl Strategy<Value = Peer> {
    let arrivals = proptest::collection::vec(0_u64..60, 0..8);
    let counts = proptest::collection::vec((0_u64..9, 0_u64..9), 8);
    (1_u8..4, 1_u16..4, any::<bool>(), arrivals, counts).prop_map(
        |(address, port, from_node, mut arrivals, counts)| {
            arrivals.sort_unstable();
            let seconds = |at: u64| Timestamp(at * 1_000_000_000);
            Peer {
                address: [10, 0, 0, address].into(),
                port,
                from_node,
                arrivals: arrivals.into_iter().map(seconds).collect(),
                counts: counts
                    .into_iter()
                    .map(|(accepted, refused)| PeerCounts { accepted, refused })
                    .collect(),
            }
        },
    )
}
