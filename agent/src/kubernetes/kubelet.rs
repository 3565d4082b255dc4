//! What the kubelet says by Events: why it stops a container, and that a hook failed.

mod words;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use agent_core::input::Input;
use agent_core::pod::KubeletEvent;
use agent_core::time::Timestamp;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::watcher::Event;

use self::words::{Said, parse_event};
use super::access::Access;
use super::facts::ApiUpdates;
use super::follow::{Followed, PAGE, follow};
use super::known::{ClockReading, Known};
use super::pods::read_clocks;
use super::reduce::boot_time;

/// Events cannot be selected by node, so those of all kubelets come; what is known to be of no use is left out by the
/// API server. `source` is the reporting component of Events of the newer form, too:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/registry/core/event/strategy.go>.
const FIELDS: &str = "involvedObject.kind=Pod,source=kubelet,reason!=Pulling,reason!=Pulled,reason!=Created,reason!=Started,reason!=BackOff,reason!=Unhealthy,reason!=Failed,reason!=FailedMount,reason!=SandboxChanged,reason!=FailedCreatePodSandBox";
/// An Event that is older than the agent by more than this is about nothing that it measures.
const BEFORE_START: Duration = Duration::from_mins(1);
/// Events that are remembered, so that none is told twice.
const HEARD_MAX: usize = 4096;

/// Watches; never ends.
pub(super) async fn watch_events(access: &Access, known: &RefCell<Known>, facts: &ApiUpdates) {
    let followed = Followed {
        resource: "events",
        fields: Some(FIELDS.to_owned()),
        page: PAGE,
    };
    let mut heard = Heard::new(read_clocks().seen_at);
    follow(
        access,
        &followed,
        facts,
        async |event: Event<api::Event>| {
            let (Event::InitApply(event) | Event::Apply(event)) = event else {
                return;
            };
            if !is_of(&event, &access.node) {
                return;
            }
            let Some(said) = parse_event(&event) else {
                return;
            };
            let moment = read_clocks();
            let Some(happened_at) = heard.first_time(&event, moment) else {
                return;
            };
            let input = event_input(&event, said, happened_at, moment, &mut known.borrow_mut());
            if let Some(input) = input {
                facts.send_input(input).await;
            }
        },
    )
    .await;
}

/// Whether the kubelet of this node said it.
fn is_of(event: &api::Event, node: &str) -> bool {
    let host = event
        .source
        .as_ref()
        .and_then(|source| source.host.as_deref());
    let instance = event
        .reporting_instance
        .as_deref()
        .filter(|name| !name.is_empty());
    host.or(instance) == Some(node)
}

fn event_input(
    event: &api::Event,
    said: Said,
    happened_at: Timestamp,
    moment: ClockReading,
    known: &mut Known,
) -> Option<Input> {
    let uid = event.involved_object.uid.as_deref()?;
    // The pod may be known later, or be gone already: the engine judges that.
    let pod_uid = known.api_uid(uid).unwrap_or(uid).to_owned();
    match said {
        Said::OfContainer(kind) => Some(Input::Kubelet {
            event: KubeletEvent {
                pod_uid,
                container: container(event),
                kind,
                happened_at,
            },
            seen_at: moment.seen_at,
        }),
        Said::OfPod(disruption) => known.disrupted(&pod_uid, disruption, moment.seen_at),
    }
}

/// `spec.containers{web}`, `spec.initContainers{…}`, `spec.ephemeralContainers{…}`.
fn container(event: &api::Event) -> Option<String> {
    let path = event.involved_object.field_path.as_deref()?;
    let (_, name) = path.split_once('{')?;
    Some(name.strip_suffix('}')?.to_owned())
}

/// Which Events were told already. The kubelet says the same again by counting an Event up.
#[derive(Debug)]
struct Heard {
    /// Nothing older is told.
    since: Timestamp,
    /// The count last seen of each, by UID.
    counts: BTreeMap<String, i32>,
    /// UIDs in the order in which they came, with the time of the Event.
    order: VecDeque<(String, Timestamp)>,
}

impl Heard {
    fn new(start: Timestamp) -> Self {
        let before = u64::try_from(BEFORE_START.as_nanos()).unwrap_or(u64::MAX);
        Self {
            since: Timestamp(start.0.saturating_sub(before)),
            counts: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// When it happened, if it was not heard before.
    fn first_time(&mut self, event: &api::Event, moment: ClockReading) -> Option<Timestamp> {
        let happened_at = boot_time(&last_time(event)?, moment.wall_at_boot);
        if happened_at < self.since {
            return None;
        }
        let uid = event.metadata.uid.clone()?;
        let count = event_count(event);
        match self.counts.insert(uid.clone(), count) {
            Some(before) if before >= count => return None,
            Some(_less) => {}
            None => self.order.push_back((uid, happened_at)),
        }
        if self.order.len() > HEARD_MAX
            && let Some((oldest, at)) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
            self.since = self.since.max(at);
        }
        Some(happened_at)
    }
}

fn event_count(event: &api::Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    series.or(event.count).unwrap_or(1)
}

/// When it happened last, in whichever of the forms it is told.
fn last_time(event: &api::Event) -> Option<Time> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    series
        .map(|time| Time(time.0))
        .or_else(|| event.last_timestamp.clone())
        .or_else(|| event.event_time.as_ref().map(|time| Time(time.0)))
        .or_else(|| event.first_timestamp.clone())
        .or_else(|| event.metadata.creation_timestamp.clone())
}

#[cfg(test)]
mod tests;
