//! The rows of what came and went over the network while a container was terminated.

use agent_core::connection::{Connections, Direction, Phase, ResetMark};
use agent_core::report::Report;
use agent_core::time::Timestamp;

use super::moments::{Moments, Sign};
use super::row::{News, Row};
use super::words;

/// A row for each kind of reset, for the last arrival and for the endpoint, as far as they were.
pub(super) fn rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(unready(report));
    if let Some(connections) = &report.connections {
        let is_counted = words::counted_to_the_end(report);
        let last = connections.last_arrival_at.filter(|_| is_counted);
        rows.extend(last.map(|at| single(at, Sign::Arrival, "last arrival")));
        for sign in [Sign::Sent, Sign::Received, Sign::Refused] {
            let in_all = is_counted.then(|| counted(connections, sign));
            rows.extend(lane(connections, sign, in_all));
        }
    }
    rows
}

/// Its endpoint was taken out of service. One that was out before all this began says nothing about it.
fn unready(report: &Report) -> Option<Row> {
    let endpoint = report.endpoint.as_ref()?;
    let at = endpoint.unready_at.or(endpoint.terminating_at)?;
    (at >= report.started_at).then(|| single(at, Sign::Endpoint, "not ready"))
}

fn single(at: Timestamp, sign: Sign, what: &str) -> Row {
    let moments = Moments {
        sign,
        at: vec![at],
        in_all: None,
    };
    row(at, moments, what, News::Neutral)
}

fn row(at: Timestamp, moments: Moments, what: &str, news: News) -> Row {
    let event = format!("{} {what}", moments.sign.drawn());
    Row::event(at, event, news, Some(moments))
}

/// The resets of one kind. Without a time of any there is no place for them in the picture; the words have them.
fn lane(connections: &Connections, sign: Sign, in_all: Option<u64>) -> Option<Row> {
    let marks = connections.marks.iter();
    let at: Vec<_> = marks
        .filter(|mark| sign_of(mark) == sign)
        .map(|mark| mark.at)
        .collect();
    let first = at.iter().min().copied()?;
    let marked = u64::try_from(at.len()).unwrap_or(u64::MAX);
    let in_all = in_all.map(|count| count.max(marked));
    let what = match (sign, in_all) {
        (Sign::Sent, Some(1)) => "reset sent",
        (Sign::Sent, _) => "resets sent",
        (Sign::Received, Some(1)) => "reset received",
        (Sign::Received, _) => "resets received",
        (Sign::Refused | Sign::Arrival | Sign::Endpoint, _) => "refused",
    };
    let moments = Moments { sign, at, in_all };
    Some(row(first, moments, what, News::Bad))
}

/// What a reset is to the one who looks: a refused attempt broke no connection.
pub(crate) const fn sign_of(mark: &ResetMark) -> Sign {
    match (mark.refused, mark.class.direction) {
        (true, _) => Sign::Refused,
        (false, Direction::Sent) => Sign::Sent,
        (false, Direction::Received) => Sign::Received,
    }
}

fn counted(connections: &Connections, sign: Sign) -> u64 {
    let of_probes = connections.refused_from_node;
    let refused = connections.refused + connections.refused_in_pod + of_probes;
    match sign {
        Sign::Refused => refused,
        Sign::Sent => resets(connections, Direction::Sent).saturating_sub(refused),
        Sign::Received | Sign::Arrival | Sign::Endpoint => resets(connections, Direction::Received),
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
