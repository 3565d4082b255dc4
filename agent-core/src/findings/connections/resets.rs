//! Connections that the container's shutdown reset: those of its clients, its own, and those that it had closed when
//! nothing was under way.

use super::{Network, capital, number};
use crate::connection::{Direction, Mode, Phase, ResetClass, Scope, Side};
use crate::findings::finding_of;
use crate::report::{Finding, FindingKind, Outcome};
use crate::termination::Termination;
use crate::traffic::Traffic;

/// Resets that the container sent since T0 and that hurt, by what they were.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Of connections that it accepted, or of which it is not known who did.
    clients: Hurt,
    /// Closed by the exit, and data came after it. While it runs a program may close and get a last word that nobody needs
    /// (TLS' `close_notify`).
    late: u64,
    /// Closed when nothing was under way, and data came after it.
    idle: u64,
    /// The same while it ran, since it is tracked.
    idle_running: u64,
    /// Of its own connections.
    own: Hurt,
    /// Of the pod, of whichever container.
    of_pod: u64,
}

/// Resets that cut a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hurt {
    /// Closed with unread data.
    unread: u64,
    /// Not accepted when the listener was closed, or closed with a linger of 0.
    queued: u64,
    /// For a reason that the kernel does not tell.
    untold: u64,
}

impl Resets {
    pub(super) fn from_traffic(traffic: &Traffic) -> Self {
        let connections = &traffic.connections;
        let mut resets = Self::default();
        for one in &connections.resets {
            if let Some(place) = resets.counter_for(&one.class) {
                *place = place.saturating_add(one.count);
            }
        }
        // Probes and scrapers may be among them.
        let polled = traffic.polled();
        if traffic.aborted() == 0 || resets.clients.total_count() <= polled {
            resets.clients = Hurt::default();
        }
        if traffic.aborted_initiated() == 0 {
            resets.own = Hurt::default();
        }
        let clients_at_exit = connections.at_exit > connections.initiated_at_exit;
        if !clients_at_exit {
            resets.late = 0;
        }
        resets
    }

    /// Connections that waited in the accept queue when the listener was closed.
    pub(super) const fn queued(&self) -> u64 {
        self.clients.queued
    }

    /// Where resets of this class are counted, if they matter.
    fn counter_for(&mut self, class: &ResetClass<String>) -> Option<&mut u64> {
        if class.idle_closed && class.scope == Scope::Container {
            return Some(match class.phase {
                Phase::Running => &mut self.idle_running,
                Phase::Hook | Phase::Stopping | Phase::Closing => &mut self.idle,
            });
        }
        if class.phase == Phase::Running || class.direction != Direction::Sent {
            return None;
        }
        if class.scope == Scope::Pod {
            return Some(&mut self.of_pod);
        }
        let hurt = match class.side {
            Side::Accepted | Side::Unknown => &mut self.clients,
            Side::Initiated => &mut self.own,
        };
        match (class.mode, class.reason.as_deref()) {
            (Mode::Active, Some("tcp_abort_on_close")) => Some(&mut hurt.unread),
            // `tcp_disconnect`, by `inet_child_forget` or by a linger of 0.
            // <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp.c#L3305>
            (Mode::Active, Some("tcp_state")) => Some(&mut hurt.queued),
            (Mode::Passive, Some("tcp_abort_on_data"))
                if class.phase == Phase::Closing && class.side != Side::Initiated =>
            {
                Some(&mut self.late)
            }
            // Up to 6.9 there are none, up to 6.11 those of active resets are not told.
            (Mode::Active, None | Some("not_specified")) | (Mode::Unknown, None) => {
                Some(&mut hurt.untold)
            }
            (Mode::Active | Mode::Passive | Mode::Unknown, _) => None,
        }
    }
}

impl Hurt {
    const fn total_count(self) -> u64 {
        self.unread
            .saturating_add(self.queued)
            .saturating_add(self.untold)
    }
}

/// One kind of them: how many, what they were, what helps.
type Listed = (u64, &'static str, &'static str);

/// Its shutdown reset connections.
pub(in crate::findings) fn reset_connections(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
) -> Option<Finding> {
    let traffic = network.of_stop(outcome)?;
    let resets = Resets::from_traffic(traffic);
    let of_clients = of_clients(&resets, traffic);
    let own = list_own(&resets.own);
    // What hurts clients is said first, and advised on.
    let worst = advice_on_most(&of_clients).or_else(|| advice_on_most(&own))?;
    let mut facts = Vec::new();
    if let Some(listed) = listed(&of_clients) {
        facts.push(format!(
            "since its termination began it reset connections: {listed}"
        ));
        facts.extend(half_closed(&resets, traffic));
        facts.extend(termination.stop.map(|_| established(traffic)));
    }
    if let Some(listed) = listed(&own) {
        facts.push(format!(
            "since its termination began it reset connections of its own, to others: {listed}"
        ));
    }
    if resets.of_pod > 0 {
        facts.push(format!(
            "{} more in the pod's network namespace belong to no container for sure",
            resets.of_pod
        ));
    }
    Some(finding_of(
        FindingKind::ConnectionsReset,
        format!("{}.", capital(&facts.join("; "))),
        worst.to_owned(),
    ))
}

fn of_clients(resets: &Resets, traffic: &Traffic) -> [Listed; 4] {
    let has_closed = traffic.connections.last_listener_closed_at.is_some();
    let queued = if has_closed {
        "that waited in the accept queue of a listener that was closed (or were closed with SO_LINGER 0)"
    } else {
        "that were closed with SO_LINGER 0 or disconnected"
    };
    [
        (
            resets.clients.unread,
            "that were closed with unread data",
            UNREAD,
        ),
        (
            resets.clients.queued,
            queued,
            if has_closed { QUEUED } else { LINGERED },
        ),
        (
            resets.late,
            "for which data came after its exit had closed them",
            LATE,
        ),
        (
            resets.clients.untold,
            "for a reason that this kernel does not tell",
            UNTOLD,
        ),
    ]
}

const fn list_own(own: &Hurt) -> [Listed; 3] {
    [
        (own.unread, "that were closed with unread data", OWN),
        (
            own.queued,
            "that were closed with SO_LINGER 0 or disconnected",
            OWN,
        ),
        (
            own.untold,
            "for a reason that this kernel does not tell",
            OWN,
        ),
    ]
}

/// The advice on the most frequent of them, if there are any.
fn advice_on_most(kinds: &[Listed]) -> Option<&'static str> {
    let worst = kinds.iter().max_by_key(|(count, ..)| *count);
    worst
        .filter(|(count, ..)| *count > 0)
        .map(|(_, _, advice)| *advice)
}

fn listed(kinds: &[Listed]) -> Option<String> {
    let such = kinds.iter().filter(|(count, ..)| *count > 0);
    let listed: Vec<String> = such
        .map(|(count, what, _)| format!("{count} {what}"))
        .collect();
    (!listed.is_empty()).then(|| listed.join(", "))
}

/// Whether the client still waited for an answer, nobody can tell: it said that it has nothing more to say.
fn half_closed(resets: &Resets, traffic: &Traffic) -> Option<String> {
    let count = traffic.aborted_half_closed();
    (count > 0 && resets.clients.total_count() > 0).then(|| {
        format!(
            "{} half closed by the client, which may have waited for an answer",
            number(count, "of them was", "of them were")
        )
    })
}

fn established(traffic: &Traffic) -> String {
    let connections = &traffic.connections;
    let of_clients = |all: u64, own: u64| all.saturating_sub(own);
    format!(
        "{} established at the stop signal and {} at the exit",
        number(
            of_clients(
                connections.at_stop_signal,
                connections.initiated_at_stop_signal
            ),
            "was",
            "were"
        ),
        of_clients(connections.at_exit, connections.initiated_at_exit)
    )
}

/// It closed connections when nothing was under way, and the client sent its next request nevertheless.
pub(in crate::findings) fn idle_closed(outcome: Outcome, network: &Network) -> Option<Finding> {
    let traffic = network.of_stop(outcome)?;
    let resets = Resets::from_traffic(traffic);
    if resets.idle == 0 {
        return None;
    }
    let mut facts = vec![format!(
        "since its termination began it closed idle connections, and for {} data came from the client, most likely the next \
         request, which was answered with a reset",
        number(resets.idle, "of them", "of them")
    )];
    if resets.idle_running > 0 {
        facts.push(format!(
            "the same happened {} while it ran",
            number(resets.idle_running, "time", "times")
        ));
    }
    Some(finding_of(
        FindingKind::IdleCloseRace,
        format!("{}.", capital(&facts.join("; "))),
        if resets.idle_running > 0 {
            IDLE_RUNNING
        } else {
            IDLE
        }
        .to_owned(),
    ))
}

const UNREAD: &str = "Stop accepting, read and answer the requests that are under way, and only then close and exit: the kernel resets a connection that is closed with unread data.";
const QUEUED: &str = "Accept and answer what waits in the accept queue before the listener is closed; a preStop sleep, during which the server still works, lets the queue run empty.";
const LINGERED: &str =
    "Close without SO_LINGER 0, so that a FIN ends the connection after what was sent.";
const LATE: &str = "Close idle connections while the program still runs (HTTP/1: answer with `Connection: close`, HTTP/2: GOAWAY) and exit when none is left.";
const UNTOLD: &str = "Look for connections that it closes before it has read everything, or that it never accepted: finish the requests under way and empty the accept queue before the exit.";
const OWN: &str = "Nobody who connected to this container is affected; it is the client of these. If an answer matters, read it and end the session in the protocol's own way before the connection is closed.";
const IDLE: &str = "A client cannot know that a connection is about to be closed. Announce it: answer with `Connection: close` (HTTP/2: GOAWAY) after the stop signal and let the clients close; close what is still idle only after a preStop sleep, when nothing is sent to it any more.";
const IDLE_RUNNING: &str = "Keep idle connections open for longer than the clients and proxies in front of it do (a keep-alive timeout above the idle timeout of the load balancer), so that they close first; after the stop signal answer with `Connection: close` (HTTP/2: GOAWAY) and let the clients close.";
