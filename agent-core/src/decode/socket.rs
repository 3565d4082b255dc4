//! The same for what the kernel side says of connections.

use core::mem::offset_of;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use agent_common::record::{Endpoint, ResetRecord};
use agent_common::socket::{self, NO_REASON, ResetKey, ResetKind};

use super::{DecodeError, Record};
use crate::connection::{
    Direction, Mode, Phase, PhaseCounts, ResetClass, ResetSeen, Scope, SocketCounts,
};
use crate::time::Timestamp;

impl Record<'_> {
    pub(super) fn reset(self) -> Result<ResetSeen, DecodeError> {
        let number = |field: usize| self.u32(field);
        let (address, port) = self.endpoint(offset_of!(ResetRecord, peer))?;
        let local_port = number(offset_of!(ResetRecord, local_port))?;
        Ok(ResetSeen {
            class: class(
                number(offset_of!(ResetRecord, phase))?,
                number(offset_of!(ResetRecord, reset))?,
                number(offset_of!(ResetRecord, scope))?,
                number(offset_of!(ResetRecord, reason))?,
            )?,
            refused: number(offset_of!(ResetRecord, refused))? != 0,
            local_port: super::port(local_port)?,
            peer: (!address.is_unspecified()).then_some(SocketAddr::new(address, port)),
        })
    }

    pub(super) fn endpoint(self, offset: usize) -> Result<(IpAddr, u16), DecodeError> {
        let port = self.u32(offset + offset_of!(Endpoint, port))?;
        let address = self.array::<16>(offset + offset_of!(Endpoint, address))?;
        Ok((Ipv6Addr::from(address).to_canonical(), super::port(port)?))
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
    let mut counted = resets
        .into_iter()
        .map(|(key, count)| {
            let class = class(
                u32::from(key.phase),
                u32::from(key.kind),
                u32::from(key.scope),
                key.reason,
            )?;
            Ok((class, count))
        })
        .collect::<Result<Vec<_>, DecodeError>>()?;
    // The kernel's order is none.
    counted.sort_unstable();
    let moment = |at: u64| (at != 0).then_some(Timestamp(at));
    Ok(SocketCounts {
        phases: connections.phases.map(phase_counts),
        accepted_at: moment(connections.accepted_at),
        refused_at: moment(connections.refused_at),
        from_node_at: moment(connections.from_node_at),
        unlistened_at: moment(connections.unlistened_at),
        resets: counted,
    })
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
    }
}

fn class(phase: u32, kind: u32, scope: u32, reason: u32) -> Result<ResetClass<u32>, DecodeError> {
    let phase = socket::Phase::from_id(phase).ok_or(DecodeError::InvalidReset(phase))?;
    let kind = ResetKind::from_id(kind).ok_or(DecodeError::InvalidReset(kind))?;
    let scope = socket::Scope::from_id(scope).ok_or(DecodeError::InvalidReset(scope))?;
    let (direction, mode) = match kind {
        ResetKind::SentActive => (Direction::Sent, Mode::Active),
        ResetKind::SentPassive => (Direction::Sent, Mode::Passive),
        ResetKind::Received => (Direction::Received, Mode::Unknown),
    };
    Ok(ResetClass {
        phase: phase.into(),
        direction,
        mode,
        scope: match scope {
            socket::Scope::Container => Scope::Container,
            socket::Scope::Pod => Scope::Pod,
        },
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
