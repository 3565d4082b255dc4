//! The diagnoses of connections: those that came too late, and those that were reset. Each is right or is not said, so
//! what the numbers leave open (a probe of the kubelet's, the peer's doing, a goodbye after the close) counts for
//! neither.

use std::time::Duration;

use super::{finding_of, span};
use crate::advice::whole;
use crate::connection::{Connections, Direction, Mode, Phase, ResetClass, Scope};
use crate::pod::PreStop;
use crate::report::{Endpoint, Finding, FindingKind, Outcome};
use crate::termination::Termination;
use crate::time::Timestamp;
use crate::traffic::Traffic;

/// What is added to a sleep that would have covered the last arrival.
const SLEEP_MARGIN: Duration = Duration::from_secs(1);

/// What is known of a termination's connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) traffic: Option<Traffic>,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Network {
    /// The numbers of a stop that is over: before they are not complete, and who ends by himself asks for no advice.
    fn of_stop(&self, termination: &Termination<'_>, outcome: Outcome) -> Option<&Traffic> {
        let is_over = outcome != Outcome::InProgress && termination.is_stop(outcome);
        self.traffic.as_ref().filter(|_| is_over)
    }
}

/// Resets that the container sent since T0 and that hurt, by what they were.
#[derive(Debug, Default)]
struct Resets {
    /// Closed with unread data.
    unread: u64,
    /// Not accepted when the listener was closed, or closed with a linger of 0.
    queued: u64,
    /// Closed by the exit, and data came after it. While it runs a program may close and get a last word that nobody needs
    /// (TLS' `close_notify`).
    late: u64,
    /// Of connections, for a reason that the kernel does not tell.
    untold: u64,
    /// Of the pod, of whichever container.
    of_pod: u64,
}

impl Resets {
    fn of(traffic: &Traffic) -> Self {
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

/// Connections came when it did not take them any more.
pub(super) fn race(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
) -> Option<Finding> {
    let traffic = network.of_stop(termination, outcome)?;
    let connections = &traffic.connections;
    let last = connections.last_arrival_at?;
    let began = termination.started_at();
    let mut facts = Vec::new();
    // Where attempts at a closed port are usual, those of the termination need not come of it.
    if connections.refused > traffic.refused_running()
        && let Some(closed_at) = connections.unlistened_at
    {
        facts.push(format!(
            "{} refused, with a listener closed {} after the beginning of the termination",
            number(connections.refused, "connection was", "connections were"),
            span(closed_at.since(began))
        ));
    }
    let queued = Resets::of(traffic).queued;
    if connections.accepted_after > 0 && queued > 0 {
        facts.push(format!(
            "{} after the stop signal, and {queued} that it had not accepted were reset",
            number(
                connections.accepted_after,
                "connection came",
                "connections came"
            ),
        ));
    }
    if facts.is_empty() {
        return None;
    }
    facts.push(format!(
        "the last one came {} after the beginning",
        span(last.since(began))
    ));
    facts.extend(
        network
            .endpoint
            .as_ref()
            .map(|endpoint| unready(endpoint, began)),
    );
    facts.extend(hook(termination));
    facts.extend(refused_in_pod(connections));
    Some(finding_of(
        FindingKind::EndpointRace,
        format!("{}.", capital(&facts.join("; "))),
        sleep_advice(termination, last.since(began)),
    ))
}

/// When the EndpointSlices said so.
fn unready(endpoint: &Endpoint, began: Timestamp) -> String {
    match endpoint.unready_at {
        Some(at) if at >= began => format!(
            "the EndpointSlices had it as not ready {} after the beginning",
            span(at.since(began))
        ),
        Some(_) => "the EndpointSlices had it as not ready before the beginning".to_owned(),
        None => "the EndpointSlices still had it as ready".to_owned(),
    }
}

fn hook(termination: &Termination<'_>) -> Option<String> {
    if !termination.container.is_pods {
        return None;
    }
    Some(match &termination.hook {
        None if termination.container.spec.hook.is_none() => "there was no preStop hook".to_owned(),
        None => "its preStop hook was not seen".to_owned(),
        Some(hook) => match hook.duration() {
            Some(took) => format!("its preStop hook took {}", span(took)),
            None => "how long its preStop hook took is not known".to_owned(),
        },
    })
}

fn refused_in_pod(connections: &Connections) -> Option<String> {
    (connections.refused_in_pod > 0).then(|| {
        format!(
            "{} more refused at other ports of the pod, of which container cannot be told",
            number(connections.refused_in_pod, "was", "were")
        )
    })
}

/// To go on listening for as long as connections came, and a margin.
fn sleep_advice(termination: &Termination<'_>, arrived_after: Duration) -> String {
    let sleep = whole(arrived_after) + SLEEP_MARGIN;
    let seconds = sleep.as_secs();
    if !termination.container.is_pods {
        return format!(
            "Let it go on listening for {seconds} s after it is told to stop, or take it out of the load balancer that long before."
        );
    }
    let how = match termination.container.spec.hook {
        None => format!("Add a preStop sleep of {seconds} s"),
        Some(PreStop::Sleep { .. }) => format!("Lengthen the preStop sleep to {seconds} s"),
        Some(PreStop::Exec { .. } | PreStop::HttpGet { .. } | PreStop::TcpSocket) => {
            format!("Let the preStop hook take {seconds} s at the least")
        }
    };
    format!(
        "{how}, so that it goes on listening until no connections are sent to it any more{}.",
        grace_advice(termination, sleep)
    )
}

/// The grace period covers the sleep and the exit together.
fn grace_advice(termination: &Termination<'_>, sleep: Duration) -> String {
    let exit = termination.exit.zip(termination.stop);
    let took = exit.map_or(Duration::ZERO, |(exit, stop)| exit.at.since(stop.at));
    let needed = sleep + whole(took) + SLEEP_MARGIN;
    match termination.grace() {
        Some(grace) if grace.configured < needed => format!(
            ", and raise the grace period to {} s, since it covers the sleep and the exit together",
            needed.as_secs()
        ),
        Some(_) | None => String::new(),
    }
}

/// Its shutdown reset connections.
pub(super) fn reset(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
) -> Option<Finding> {
    let traffic = network.of_stop(termination, outcome)?;
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

fn number(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// With a capital as the first letter.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().collect::<String>());
    first.unwrap_or_default() + letters.as_str()
}
