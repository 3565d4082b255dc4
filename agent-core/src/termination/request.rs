//! When, by what Kubernetes tells, the container was asked to stop: by the deletion of its pod, or by the kubelet's word
//! that it is killing it.

use std::time::Duration;

use super::observed::Observed;
use crate::pod::{KubeletEvent, KubeletEventKind};
use crate::pod_facts::PodFacts;
use crate::report::Start;
use crate::time::Timestamp;

/// A deletion that the watch shows later than this after the request has been waiting for the watch.
const LIVE: Duration = Duration::from_secs(2);

/// How far the API server's clock may be from the node's, and how long after the kubelet the agent may see a deletion.
pub(crate) const SKEW: Duration = Duration::from_millis(500);

/// To how much the times in API objects are cut.
const SECOND: Duration = Duration::from_secs(1);

/// The wish that it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StopRequest {
    /// T0, as well as it is known.
    pub(crate) at: Timestamp,
    /// What it was taken from: [`Start::Deletion`] or [`Start::Killing`].
    pub(crate) by: Start,
    /// It was not before.
    pub(crate) earliest: Timestamp,
    /// Whether `at` was seen on the node, as opposed to read from a time that is cut to a second.
    pub(crate) exact: bool,
}

/// Returns the request, if there was one that this termination can have come of.
pub(super) fn find_request(observed: &Observed<'_>) -> Option<StopRequest> {
    let pod = observed.container.pod.as_ref()?;
    let deletion = deletion(observed, pod);
    let killing = killing(observed, pod);
    match (deletion, killing) {
        // A probe's kill that was under way when the pod was deleted.
        (Some(deletion), Some(killing)) if killing.at < deletion.earliest => Some(killing),
        (Some(deletion), _) => Some(deletion),
        (None, killing) => killing,
    }
}

/// The first deletion. That of a static pod's object does not concern its containers.
fn deletion(observed: &Observed<'_>, pod: &PodFacts) -> Option<StopRequest> {
    if pod.is_static() {
        return None;
    }
    let (at, earliest, exact) = match (pod.deletions.first(), pod.gone) {
        (Some(first), _) => {
            let requested = first.deletion.requested_at;
            let (at, listed) = (first.seen.at, first.seen.listed);
            if listed || at.since(requested) > LIVE {
                (requested, requested, false)
            } else {
                (at, requested.min(at), true)
            }
        }
        (None, Some(gone)) if !gone.listed => (gone.at, gone.at.before(LIVE), true),
        (None, _) => return None,
    };
    let counts = match observed.latest_start() {
        None => true,
        Some(last) if observed.was_stopped() => earliest <= last.after(SKEW),
        Some(exit) => at <= exit,
    };
    counts.then(|| StopRequest {
        at: observed.latest_start().map_or(at, |last| at.min(last)),
        by: Start::Deletion,
        earliest,
        exact,
    })
}

/// The kubelet's first `Killing` that is about this very container and not about one before it.
pub(super) fn killing(observed: &Observed<'_>, pod: &PodFacts) -> Option<StopRequest> {
    let events = kubelet_events(observed, pod).filter(|(event, _)| event.kind.is_killing());
    let at = |(event, latest): (&KubeletEvent, Timestamp)| StopRequest {
        at: observed
            .latest_start()
            .map_or(latest, |last| latest.min(last)),
        by: Start::Killing,
        earliest: event.happened_at,
        exact: false,
    };
    events.map(at).min_by_key(|request| request.at)
}

/// Returns what the kubelet said of this container while it lived, each with when that happened at the latest.
pub(crate) fn kubelet_events<'a>(
    observed: &Observed<'a>,
    pod: &'a PodFacts,
) -> impl Iterator<Item = (&'a KubeletEvent, Timestamp)> {
    let Observed {
        container,
        main,
        exit,
        ..
    } = observed;
    let latest = |event: &KubeletEvent, seen_at: Timestamp| {
        let end = event.happened_at.after(SECOND);
        seen_at.min(end).max(event.happened_at)
    };
    pod.events
        .iter()
        .filter(move |(event, _)| {
            container.spec.name.is_some() && event.container == container.spec.name
        })
        .map(move |(event, seen_at)| (event, latest(event, *seen_at)))
        .filter(move |(event, latest)| {
            *latest >= main.start && exit.is_none_or(|exit| event.happened_at <= exit.at)
        })
}

/// How long after the first word of the kubelet another one means that it begins the stop again. It may say the same twice at
/// once, in two Events.
const BEGUN_AGAIN_MIN: Duration = Duration::from_secs(2);

/// Returns when the stop was begun again, the last time: the kubelet said so again in another Event, after a restart of its
/// own, or the runtime sent the stop signal again, after a restart of the runtime. Each gives a whole grace period anew.
pub(super) fn begun_again(observed: &Observed<'_>) -> Option<Timestamp> {
    observed.container.pod.as_ref()?;
    let stop = observed.stop.map(|stop| stop.at);
    let signals = observed.choice.again.iter().map(|fact| fact.at);
    let again = signals.filter(|at| stop.is_some_and(|stop| at.since(stop) >= BEGUN_AGAIN_MIN));
    said_again(observed, |_at| true)
        .into_iter()
        .chain(again)
        .max()
}

/// Returns when the stop was begun again before the stop signal was sent, the last time. The kubelet runs the hook from its
/// start then.
pub(super) fn begun_again_before_stop(observed: &Observed<'_>) -> Option<Timestamp> {
    let stop = observed.stop.map(|stop| stop.at);
    said_again(observed, |at| stop.is_none_or(|stop| at <= stop))
}

/// Returns when the kubelet said again that it stops the container, the last such time.
fn said_again(observed: &Observed<'_>, such: impl Fn(Timestamp) -> bool) -> Option<Timestamp> {
    let pod = observed.container.pod.as_ref()?;
    let said: Vec<Timestamp> = kubelet_events(observed, pod)
        .filter(|(event, _)| event.kind == KubeletEventKind::Stopping)
        .map(|(_, latest)| latest)
        .collect();
    let first = *said.iter().min()?;
    let later = said
        .into_iter()
        .filter(|at| at.since(first) >= BEGUN_AGAIN_MIN);
    later.filter(|at| such(*at)).max()
}
