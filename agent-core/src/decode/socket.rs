//! The same for what the kernel side says of connections.

use core::mem::offset_of;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use agent_common::record::{Endpoint, ResetRecord};
use agent_common::socket::{
    self, ACCEPTED, ARRIVALS_KEPT, IDLE_CLOSED, INITIATED, INTERVALS, NO_REASON, ResetKey,
    ResetKind,
};

use super::{DecodeError, Record};
use crate::connection::{
    AfterSignal, BySide, Direction, Mode, Peer, PeerCounts, Phase, PhaseCounts, ResetClass,
    ResetSeen, Scope, Side, SocketCounts,
};
use crate::time::Timestamp;

impl Record<'_> {
    pub(super) fn decode_reset(self) -> Result<ResetSeen, DecodeError> {
        let number = |field: usize| self.read_u32(field);
        let (address, port) = self.endpoint(offset_of!(ResetRecord, peer))?;
        let local_port = number(offset_of!(ResetRecord, local_port))?;
        let interval = Interval::from_raw(number(offset_of!(ResetRecord, interval))?)?;
        let kind = number(offset_of!(ResetRecord, reset))?;
        let scope = number(offset_of!(ResetRecord, scope))?;
        let reason = number(offset_of!(ResetRecord, reason))?;
        let traits = number(offset_of!(ResetRecord, traits))?;
        Ok(ResetSeen {
            class: decode_reset_class(interval, (kind, scope), traits, reason)?,
            refused: number(offset_of!(ResetRecord, refused))? != 0,
            local_port: super::parse_port(local_port)?,
            peer: (!address.is_unspecified()).then_some(SocketAddr::new(address, port)),
            after_signal: matches!(interval, Interval::AfterSignal(_)),
        })
    }

    pub(super) fn endpoint(self, offset: usize) -> Result<(IpAddr, u16), DecodeError> {
        let port = self.read_u32(offset + offset_of!(Endpoint, port))?;
        let address = self.read_array::<16>(offset + offset_of!(Endpoint, address))?;
        Ok((
            Ipv6Addr::from(address).to_canonical(),
            super::parse_port(port)?,
        ))
    }
}

/// What an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    Phase(Phase),
    /// After the signal in this place.
    AfterSignal(usize),
}

impl Interval {
    fn from_raw(given: u32) -> Result<Self, DecodeError> {
        if let Some(phase) = socket::Phase::from_id(given) {
            return Ok(Self::Phase(phase.into()));
        }
        let number = usize::try_from(given).ok().filter(|one| *one < INTERVALS);
        let place = number.and_then(|one| one.checked_sub(Phase::ALL.len()));
        place
            .map(Self::AfterSignal)
            .ok_or(DecodeError::InvalidReset(given))
    }

    /// The phase that it is, or may turn out to be.
    const fn phase(self) -> Phase {
        match self {
            Self::Phase(phase) => phase,
            Self::AfterSignal(_) => Phase::Stopping,
        }
    }
}

/// What the kernel side counted of a container: the value of its entry, and its entries among the resets.
///
/// # Errors
/// A [`DecodeError`] if a reset has numbers that do not exist.
pub fn counts(
    connections: &socket::Connections,
    resets: impl IntoIterator<Item = (ResetKey, u64)>,
) -> Result<SocketCounts, DecodeError> {
    let mut of_phases = Vec::new();
    let mut after_signals = after_signals(connections);
    for (key, count) in resets {
        let interval = Interval::from_raw(u32::from(key.interval))?;
        let what = (u32::from(key.kind), u32::from(key.scope));
        let class = decode_reset_class(interval, what, u32::from(key.traits), key.reason)?;
        let place = match interval {
            Interval::Phase(_) => Some(&mut of_phases),
            Interval::AfterSignal(place) => {
                after_signals.get_mut(place).map(|after| &mut after.resets)
            }
        };
        if let Some(place) = place {
            place.push((class, count));
        }
    }
    // The kernel's order is none.
    of_phases.sort_unstable();
    for after in &mut after_signals {
        after.resets.sort_unstable();
    }
    let [running, hook, stopping, closing, ..] = connections.intervals;
    Ok(SocketCounts {
        phases: [running, hook, stopping, closing].map(phase_counts),
        accepted_at: moment(connections.accepted_at),
        refused_at: moment(connections.refused_at),
        from_node_at: moment(connections.from_node_at),
        last_listener_closed_at: moment(connections.last_listener_closed_at),
        resets: of_phases,
        after_signals,
        stopping_since: moment(connections.progress.stopping_at),
        unplaced_at: moment(connections.progress.unplaced_at),
        peers: connections.peers.iter().filter_map(decode_peer).collect(),
    })
}

fn moment(at: u64) -> Option<Timestamp> {
    (at != 0).then_some(Timestamp(at))
}

/// None as long as no signal came.
fn after_signals(connections: &socket::Connections) -> Vec<AfterSignal> {
    let since = connections.progress.signals;
    if since.iter().all(|at| *at == 0) {
        return Vec::new();
    }
    let counts = connections.intervals.iter().skip(Phase::ALL.len());
    since
        .into_iter()
        .zip(counts)
        .map(|(since, counts)| AfterSignal {
            since: moment(since),
            counts: phase_counts(*counts),
            resets: Vec::new(),
        })
        .collect()
}

const fn phase_counts(counts: socket::PhaseCounts) -> PhaseCounts {
    PhaseCounts {
        accepted: counts.accepted,
        connected: counts.connected,
        finished: counts.finished,
        cut: counts.cut,
        refused: counts.refused,
        refused_in_pod: counts.refused_in_pod,
        accepted_from_node: counts.accepted_from_node,
        refused_from_node: counts.refused_from_node,
        by_side: Some(BySide {
            finished_initiated: counts.finished_initiated,
            cut_initiated: counts.cut_initiated,
            aborted: counts.aborted,
            aborted_half_closed: counts.aborted_half_closed,
            aborted_initiated: counts.aborted_initiated,
        }),
    }
}

/// None if nobody is in this place.
fn decode_peer(peer: &socket::Peer) -> Option<Peer> {
    let [first, second] = peer.address.map(u64::to_ne_bytes);
    let mut address = [0; 16];
    for (to, from) in address.iter_mut().zip(first.iter().chain(&second)) {
        *to = *from;
    }
    let kept = peer.count.min(ARRIVALS_KEPT as u64);
    let mut arrivals: Vec<Timestamp> = (peer.count.saturating_sub(kept)..peer.count)
        .filter_map(|nth| {
            let place = usize::try_from(nth % ARRIVALS_KEPT as u64).ok()?;
            moment(*peer.arrivals.get(place)?)
        })
        .collect();
    // Two at once may have been written in another order.
    arrivals.sort_unstable();
    let both = peer.accepted.iter().zip(peer.refused);
    (peer.count > 0).then(|| Peer {
        address: Ipv6Addr::from(address).to_canonical(),
        port: super::parse_port(peer.port).unwrap_or_default(),
        from_node: peer.from_node != 0,
        arrivals,
        counts: both
            .map(|(accepted, refused)| PeerCounts {
                accepted: u64::from(*accepted),
                refused: u64::from(refused),
            })
            .collect(),
    })
}

fn decode_reset_class(
    interval: Interval,
    (kind, scope): (u32, u32),
    traits: u32,
    reason: u32,
) -> Result<ResetClass<u32>, DecodeError> {
    let kind = ResetKind::from_id(kind).ok_or(DecodeError::InvalidReset(kind))?;
    let scope = socket::Scope::from_id(scope).ok_or(DecodeError::InvalidReset(scope))?;
    let (direction, mode) = match kind {
        ResetKind::SentActive => (Direction::Sent, Mode::Active),
        ResetKind::SentPassive => (Direction::Sent, Mode::Passive),
        ResetKind::Received => (Direction::Received, Mode::Unknown),
    };
    let has = |one: u8| traits & u32::from(one) != 0;
    Ok(ResetClass {
        phase: interval.phase(),
        direction,
        mode,
        scope: match scope {
            socket::Scope::Container => Scope::Container,
            socket::Scope::Pod => Scope::Pod,
        },
        side: match (has(ACCEPTED), has(INITIATED)) {
            (true, false) => Side::Accepted,
            (false, true) => Side::Initiated,
            (true, true) | (false, false) => Side::Unknown,
        },
        idle_closed: has(IDLE_CLOSED),
        reason: (reason != NO_REASON).then_some(reason),
    })
}

impl From<socket::Phase> for Phase {
    fn from(phase: socket::Phase) -> Self {
        match phase {
            socket::Phase::Running => Self::Running,
            socket::Phase::Hook => Self::Hook,
            socket::Phase::Stopping => Self::Stopping,
            socket::Phase::Closing => Self::Closing,
        }
    }
}
