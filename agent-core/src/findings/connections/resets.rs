//! Connections that the container's shutdown reset.

use super::{Network, capital, number};
use crate::connection::{Direction, Mode, Phase, ResetClass, Scope};
use crate::findings::finding_of;
use crate::report::{Finding, FindingKind, Outcome};
use crate::termination::Termination;
use crate::traffic::Traffic;

/// Resets that the container sent since T0 and that hurt, by what they were.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Closed with unread data.
    unread: u64,
    /// Not accepted when the listener was closed, or closed with a linger of 0.
    pub(super) queued: u64,
    /// Closed by the exit, and data came after it. While it runs a program may close and get a last word that nobody needs
    /// (TLS' `close_notify`).
    late: u64,
    /// Of connections, for a reason that the kernel does not tell.
    untold: u64,
    /// Of the pod, of whichever container.
    of_pod: u64,
}

impl Resets {
    pub(super) fn of(traffic: &Traffic) -> Self {
        let connections = &traffic.connections;
        let mut resets = Self::default();
        for one in &connections.resets {
            if let Some(place) = resets.place(&one.class) {
                *place = place.saturating_add(one.count);
            }
        }
        // Who resets cuts what is established; what the peer cut is not counted. Probes may be among them.
        let by_itself = traffic
            .cut()
            .saturating_sub(connections.resets_in_shutdown(Direction::Received));
        if by_itself == 0 || resets.cutting() <= connections.from_node() {
            (resets.unread, resets.queued, resets.untold) = (0, 0, 0);
        }
        if connections.at_exit == 0 {
            resets.late = 0;
        }
        resets
    }

    /// Where resets of this class are counted, if they matter.
    fn place(&mut self, class: &ResetClass<String>) -> Option<&mut u64> {
        if class.phase == Phase::Running || class.direction != Direction::Sent {
            return None;
        }
        if class.scope == Scope::Pod {
            return Some(&mut self.of_pod);
        }
        match (class.mode, class.reason.as_deref()) {
            (Mode::Active, Some("tcp_abort_on_close")) => Some(&mut self.unread),
            // `tcp_disconnect`, by `inet_child_forget` or by a linger of 0.
            // <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp.c#L3305>
            (Mode::Active, Some("tcp_state")) => Some(&mut self.queued),
            (Mode::Passive, Some("tcp_abort_on_data")) if class.phase == Phase::Closing => {
                Some(&mut self.late)
            }
            // Up to 6.9 there are none, up to 6.11 those of active resets are not told.
            (Mode::Active, None | Some("not_specified")) | (Mode::Unknown, None) => {
                Some(&mut self.untold)
            }
            (Mode::Active | Mode::Passive | Mode::Unknown, _) => None,
        }
    }

    /// Those that cut an established connection.
    const fn cutting(&self) -> u64 {
        self.unread
            .saturating_add(self.queued)
            .saturating_add(self.untold)
    }
}

/// Its shutdown reset connections.
pub(in crate::findings) fn reset(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
) -> Option<Finding> {
    let traffic = network.of_stop(outcome)?;
    let connections = &traffic.connections;
    let resets = Resets::of(traffic);
    let has_closed = connections.unlistened_at.is_some();
    let queued = if has_closed {
        "that waited in the accept queue of a listener that was closed (or were closed with SO_LINGER 0)"
    } else {
        "that were closed with SO_LINGER 0 or disconnected"
    };
    let kinds = [
        (resets.unread, "that were closed with unread data", UNREAD),
        (
            resets.queued,
            queued,
            if has_closed { QUEUED } else { LINGERED },
        ),
        (
            resets.late,
            "for which data came after its exit had closed them",
            LATE,
        ),
        (
            resets.untold,
            "for a reason that this kernel does not tell",
            UNTOLD,
        ),
    ];
    let worst = kinds.iter().max_by_key(|(count, ..)| *count);
    let (_, _, advice) = worst.filter(|(count, ..)| *count > 0)?;
    let listed: Vec<String> = kinds
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, what, _)| format!("{count} {what}"))
        .collect();
    let mut facts = vec![format!(
        "since its termination began it reset connections: {}",
        listed.join(", ")
    )];
    facts.extend(termination.stop.map(|_| {
        format!(
            "{} established at the stop signal and {} at the exit",
            number(connections.at_stop_signal, "was", "were"),
            connections.at_exit
        )
    }));
    if resets.of_pod > 0 {
        facts.push(format!(
            "{} more in the pod's network namespace belong to no container for sure",
            resets.of_pod
        ));
    }
    Some(finding_of(
        FindingKind::ConnectionsReset,
        format!("{}.", capital(&facts.join("; "))),
        (*advice).to_owned(),
    ))
}

const UNREAD: &str = "Stop accepting, read and answer the requests that are under way, and only then close and exit: the kernel resets a connection that is closed with unread data.";
const QUEUED: &str = "Accept and answer what waits in the accept queue before the listener is closed; a preStop sleep, during which the server still works, lets the queue run empty.";
const LINGERED: &str =
    "Close without SO_LINGER 0, so that a FIN ends the connection after what was sent.";
const LATE: &str = "Close idle connections while the program still runs (HTTP/1: answer with `Connection: close`, HTTP/2: GOAWAY) and exit when none is left.";
const UNTOLD: &str = "Look for connections that it closes before it has read everything, or that it never accepted: finish the requests under way and empty the accept queue before the exit.";
