//! The rows of what came and went over the network while a container was terminated.

use agent_core::connection::{Connections, Direction, Phase, ResetMark};
use agent_core::report::Report;
use agent_core::time::Timestamp;

use super::moments::{Marker, Markers};
use super::row::{Row, Severity};
use super::words;

/// A row for each kind of reset, for the last arrival and for the endpoint, as far as they were.
pub(super) fn traffic_rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(unready(report));
    if let Some(connections) = &report.connections {
        let is_counted = words::counted_to_the_end(report);
        let last = connections.last_arrival_at.filter(|_| is_counted);
        rows.extend(last.map(|at| single(at, Marker::Arrival, "last arrival")));
        for sign in [Marker::Sent, Marker::Received, Marker::Refused] {
            let in_all = is_counted.then(|| counted(connections, sign));
            rows.extend(resets_row(connections, sign, in_all));
        }
    }
    rows
}

/// Its endpoint was taken out of service. One that was out before all this began says nothing about it.
fn unready(report: &Report) -> Option<Row> {
    let endpoint = report.endpoint.as_ref()?;
    let at = endpoint.unready_at.or(endpoint.terminating_at)?;
    (at >= report.started_at).then(|| single(at, Marker::Endpoint, "not ready"))
}

fn single(at: Timestamp, sign: Marker, what: &str) -> Row {
    let moments = Markers {
        sign,
        at: vec![at],
        in_all: None,
    };
    marks_row(at, moments, what, Severity::Neutral)
}

fn marks_row(at: Timestamp, moments: Markers, what: &str, news: Severity) -> Row {
    let event = format!("{} {what}", moments.sign.symbol());
    Row::new_event(at, event, news, Some(moments))
}

/// The resets of one kind. Without a time of any there is no place for them in the picture; the words have them.
fn resets_row(connections: &Connections, sign: Marker, in_all: Option<u64>) -> Option<Row> {
    let marks = connections.marks.iter();
    let at: Vec<_> = marks
        .filter(|mark| sign_of(mark) == sign)
        .map(|mark| mark.at)
        .collect();
    let first = at.iter().min().copied()?;
    let marked = u64::try_from(at.len()).unwrap_or(u64::MAX);
    let in_all = in_all.map(|count| count.max(marked));
    let what = match (sign, in_all) {
        (Marker::Sent, Some(1)) => "reset sent",
        (Marker::Sent, _) => "resets sent",
        (Marker::Received, Some(1)) => "reset received",
        (Marker::Received, _) => "resets received",
        (Marker::Refused | Marker::Arrival | Marker::Endpoint, _) => "refused",
    };
    let moments = Markers { sign, at, in_all };
    Some(marks_row(first, moments, what, Severity::Bad))
}

/// What a reset is to the one who looks: a refused attempt broke no connection.
pub(crate) const fn sign_of(mark: &ResetMark) -> Marker {
    match (mark.refused, mark.class.direction) {
        (true, _) => Marker::Refused,
        (false, Direction::Sent) => Marker::Sent,
        (false, Direction::Received) => Marker::Received,
    }
}

fn counted(connections: &Connections, sign: Marker) -> u64 {
    let of_probes = connections.refused_from_node;
    let refused = connections.refused + connections.refused_in_pod + of_probes;
    match sign {
        Marker::Refused => refused,
        Marker::Sent => resets(connections, Direction::Sent).saturating_sub(refused),
        Marker::Received | Marker::Arrival | Marker::Endpoint => {
            resets(connections, Direction::Received)
        }
    }
}

/// Resets since T0, those included that belong to the pod and to no container for sure.
fn resets(connections: &Connections, direction: Direction) -> u64 {
    let resets = connections.resets.iter();
    resets
        .filter(|one| one.class.phase != Phase::Running && one.class.direction == direction)
        .map(|one| one.count)
        .sum()
}
