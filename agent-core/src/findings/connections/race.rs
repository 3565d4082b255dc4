//! Connections that came when the container did not take them any more.

use std::time::Duration;

use super::resets::Resets;
use super::{Network, capital, number};
use crate::advice::round_up_to_seconds;
use crate::connection::Connections;
use crate::findings::{finding_of, format_duration};
use crate::pod::PreStop;
use crate::report::{Endpoint, Finding, FindingKind, Outcome};
use crate::termination::{Termination, takes_out, trigger};
use crate::time::Timestamp;
use crate::traffic::Arrivals;

/// What is added to a sleep that would have covered the last arrival.
const SLEEP_MARGIN: Duration = Duration::from_secs(1);

/// A last arrival so shortly before the exit, or after it, was perhaps not the last: soon after the exit the pod loses its
/// network, and nobody sees who still sends.
const LAST_SIGHT: Duration = Duration::from_millis(300);

/// Connections came when it did not take them any more.
pub(in crate::findings) fn endpoint_race(
    termination: &Termination<'_>,
    outcome: Outcome,
    network: &Network,
) -> Option<Finding> {
    let takes_out = takes_out(trigger(termination, outcome));
    let traffic = network.of_stop(outcome).filter(|_| takes_out)?;
    let (connections, arrivals) = (&traffic.connections, &traffic.arrivals);
    let began = termination.started_at();
    let mut facts = Vec::new();
    let mut is_of_clients = false;
    // Where attempts at a closed port are usual, those of the termination need not come of it.
    let refused = arrivals.others.refused;
    if refused > traffic.refused_running()
        && let Some(closed_at) = connections.last_listener_closed_at
        && termination.kill.is_none_or(|(kill, _)| closed_at < kill.at)
    {
        is_of_clients = arrivals.clients.refused > 0;
        facts.push(format!(
            "{} refused, with a listener closed {} after the beginning of the termination",
            number(refused, "connection was", "connections were"),
            format_duration(closed_at.since(began))
        ));
    }
    let (accepted, queued) = (
        arrivals.others.accepted_after,
        Resets::from_traffic(traffic).queued(),
    );
    if accepted > 0 && queued > 0 {
        is_of_clients |= arrivals.clients.accepted_after > 0;
        facts.push(format!(
            "{} after the stop signal, and {queued} that it had not accepted were reset",
            number(accepted, "connection came", "connections came"),
        ));
    }
    if facts.is_empty() {
        return None;
    }
    let last = if is_of_clients {
        arrivals.last_of_clients_at.filter(|at| *at >= began)
    } else {
        None
    };
    let last = last.or(connections.last_arrival_at)?;
    facts.push(format!(
        "the last one came {} after the beginning",
        format_duration(last.since(began))
    ));
    if !is_of_clients {
        facts.push(unclear(arrivals));
    }
    facts.extend(pollers(connections));
    facts.extend(
        network
            .endpoint
            .as_ref()
            .map(|endpoint| unready(endpoint, began)),
    );
    facts.extend(describe_hook(termination));
    facts.extend(refused_in_pod(connections));
    let advice = Sleep::derive(termination, network, last).advice(termination, connections);
    Some(finding_of(
        FindingKind::EndpointRace,
        format!("{}.", capital(&facts.join("; "))),
        if is_of_clients {
            advice
        } else {
            format!("A scraper or a health check needs nothing. If these were clients: {advice}")
        },
    ))
}

/// Who came so seldom that nothing tells what it is.
fn unclear(arrivals: &Arrivals) -> String {
    let addresses = u64::try_from(arrivals.unclear).unwrap_or(u64::MAX);
    format!(
        "they may be health checks or scrapes: they came from {}, too seldom to tell, to a port that no client was seen to use",
        number(addresses, "address", "addresses")
    )
}

/// Those who are left out.
fn pollers(connections: &Connections) -> Option<String> {
    let pollers = connections.pollers.iter();
    let listed: Vec<String> = pollers
        .map(|poller| {
            format!(
                "{} from {} to port {} every {}",
                poller.accepted.saturating_add(poller.refused),
                poller.address,
                poller.port,
                format_duration(poller.every)
            )
        })
        .collect();
    (!listed.is_empty()).then(|| {
        format!(
            "not counted are {}, as scrapers and health checks come",
            listed.join(", ")
        )
    })
}

/// When the EndpointSlices said so.
fn unready(endpoint: &Endpoint, began: Timestamp) -> String {
    match endpoint.unready_at {
        Some(at) if at >= began => format!(
            "the EndpointSlices had it as not ready {} after the beginning",
            format_duration(at.since(began))
        ),
        Some(_) => "the EndpointSlices had it as not ready before the beginning".to_owned(),
        None => "the EndpointSlices still had it as ready".to_owned(),
    }
}

fn describe_hook(termination: &Termination<'_>) -> Option<String> {
    if !termination.container.is_pods {
        return None;
    }
    Some(match &termination.hook {
        None if termination.container.spec.hook.is_none() => "there was no preStop hook".to_owned(),
        None => "its preStop hook was not seen".to_owned(),
        Some(hook) => match hook.duration() {
            Some(took) => format!("its preStop hook took {}", format_duration(took)),
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

/// How long it should have gone on listening after the beginning of the termination.
#[derive(Clone, Copy, Debug)]
struct Sleep {
    length: Duration,
    /// Whether that is the least that would have helped.
    is_least: bool,
}

impl Sleep {
    /// For as long as connections came, until the endpoints were withdrawn, and a margin.
    fn derive(termination: &Termination<'_>, network: &Network, last: Timestamp) -> Self {
        let endpoint = network.endpoint.as_ref();
        let until = endpoint
            .and_then(|one| one.unready_at)
            .map_or(last, |at| at.max(last));
        let exit = termination.exit.map(|exit| exit.at);
        Self {
            length: round_up_to_seconds(until.since(termination.started_at())) + SLEEP_MARGIN,
            is_least: exit.is_some_and(|exit| last.after(LAST_SIGHT) >= exit),
        }
    }

    fn advice(self, termination: &Termination<'_>, connections: &Connections) -> String {
        let least = if self.is_least { "at least " } else { "" };
        let length = format!("{least}{} s", self.length.as_secs());
        if !termination.container.is_pods {
            return format!(
                "Let it go on listening for {length} after it is told to stop, or take it out of the load balancer that long before."
            );
        }
        let closed_at = connections.last_listener_closed_at;
        let in_hook = closed_at
            .zip(termination.stop)
            .is_some_and(|(closed_at, stop)| closed_at < stop.at);
        let how = match (in_hook, termination.container.spec.hook.as_ref()) {
            (true, _) => format!(
                "It stops listening before the stop signal: have it wait {length} before that, at the beginning of its preStop hook"
            ),
            (false, None) => format!("Add a preStop sleep of {length}"),
            (false, Some(PreStop::Sleep { .. })) => {
                format!("Lengthen the preStop sleep to {length}")
            }
            (false, Some(PreStop::Exec { .. } | PreStop::HttpGet { .. } | PreStop::TcpSocket)) => {
                format!("Let the preStop hook go on for {length}")
            }
        };
        let grace = self.grace_advice(termination);
        format!(
            "{how}, so that it goes on listening until no connections are sent to it any more{grace}."
        )
    }

    /// The grace period covers the sleep and the exit together.
    fn grace_advice(self, termination: &Termination<'_>) -> String {
        let exit = termination.exit.zip(termination.stop);
        let took = exit.map_or(Duration::ZERO, |(exit, stop)| exit.at.since(stop.at));
        let needed = self.length + round_up_to_seconds(took) + SLEEP_MARGIN;
        match termination.grace() {
            Some(grace) if grace.configured < needed => format!(
                ", and raise the grace period to {} s, since it covers the sleep and the exit together",
                needed.as_secs()
            ),
            Some(_) | None => String::new(),
        }
    }
}
