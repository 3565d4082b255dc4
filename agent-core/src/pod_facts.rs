//! What was told of one pod, kept as it came. It concludes nothing but whose container an id is.

use crate::event::CgroupId;
use crate::pod::{Deletion, EndpointState, KubeletEvent, Pod, PodContainer, Role};
use crate::report::Endpoint;
use crate::time::Timestamp;

mod named;

use named::NamedContainers;

/// Deletions of one pod that are kept: the first says when, later ones with which other grace.
const DELETIONS_MAX: usize = 4;

/// Words of the kubelet that are kept of one pod; a restart says about three.
const EVENTS_MAX: usize = 32;

/// States of a pod's endpoints that are kept: the last ones. Readiness may come and go for as long as it lives.
const ENDPOINTS_MAX: usize = 16;

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodFacts {
    /// As it was seen last.
    pub(crate) pod: Pod,
    /// When it was seen first.
    pub(crate) known_at: Timestamp,
    /// Requests to delete it, the first one first.
    pub(crate) deletions: Vec<DeletionSeen>,
    /// When its API object was seen to be gone.
    pub(crate) gone: Option<Seen>,
    /// When it was first seen to be disrupted.
    pub(crate) disrupted_at: Option<Timestamp>,
    /// What the kubelet said, in the order in which it came.
    pub(crate) events: Vec<(KubeletEvent, Timestamp)>,
    /// How it stood in the EndpointSlices, and from when on it was seen so, by time.
    endpoints: Vec<(Timestamp, EndpointState)>,
    /// The containers that its status named; it names the last two of each name only.
    named: NamedContainers,
}

/// A wish to delete the pod, and how it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeletionSeen {
    pub(crate) deletion: Deletion,
    pub(crate) seen: Seen,
}

/// When something was noticed, and whether by a list, so that it may have been so for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: Timestamp,
    pub(crate) listed: bool,
}

impl PodFacts {
    pub(crate) fn new(pod: Pod, seen: Seen) -> Self {
        let mut facts = Self {
            known_at: seen.at,
            pod: pod.clone(),
            deletions: Vec::new(),
            gone: None,
            disrupted_at: None,
            events: Vec::new(),
            endpoints: Vec::new(),
            named: NamedContainers::default(),
        };
        facts.update_pod(pod, seen);
        facts
    }

    /// It was seen again.
    pub(crate) fn update_pod(&mut self, pod: Pod, seen: Seen) {
        self.gone = None;
        if pod.uid != self.pod.uid {
            self.deletions.clear();
            self.disrupted_at = None;
            self.endpoints.clear();
        }
        if let Some(deletion) = &pod.deletion {
            let known = self.deletions.last();
            let is_new = known.is_none_or(|last| last.deletion.grace != deletion.grace);
            if is_new && self.deletions.len() < DELETIONS_MAX {
                self.deletions.push(DeletionSeen {
                    deletion: deletion.clone(),
                    seen,
                });
            }
        }
        if pod.disruption.is_some() {
            self.disrupted_at.get_or_insert(seen.at);
        }
        self.named.update_containers(&pod.containers);
        self.pod = pod;
    }

    /// The kubelet said something of it.
    pub(crate) fn record_kubelet_event(&mut self, event: KubeletEvent, seen_at: Timestamp) {
        if self.events.iter().any(|(known, _)| *known == event) {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.push((event, seen_at));
    }

    /// It stands like this in the EndpointSlices.
    pub(crate) fn note_endpoint(&mut self, state: EndpointState, seen_at: Timestamp) {
        let place = self.endpoints.partition_point(|(at, _)| *at <= seen_at);
        self.endpoints.insert(place, (seen_at, state));
        if self.endpoints.len() > ENDPOINTS_MAX {
            self.endpoints.remove(0);
        }
    }

    /// When it was taken out of the EndpointSlices for a termination that began then at the earliest; none if it was in
    /// none that was seen.
    pub(crate) fn endpoint(&self, earliest: Timestamp) -> Option<Endpoint> {
        if self.endpoints.is_empty() {
            return None;
        }
        Some(Endpoint {
            unready_at: self.endpoint_since(earliest, |state| !state.ready),
            terminating_at: self.endpoint_since(earliest, |state| state.terminating),
        })
    }

    /// Since when its endpoints were like this at `earliest`; else when they first became so after it.
    fn endpoint_since(
        &self,
        earliest: Timestamp,
        is_so: impl Fn(&EndpointState) -> bool,
    ) -> Option<Timestamp> {
        let mut since = None;
        for (at, state) in &self.endpoints {
            if *at > earliest && since.is_some() {
                break;
            }
            since = is_so(state).then(|| since.unwrap_or(*at));
        }
        since
    }

    /// The main process of the container with this id exited. Returns whether that is news.
    pub(crate) fn note_exit(&mut self, id: &str, at: Timestamp) -> bool {
        self.named.note_exit(id, at)
    }

    /// The exit of the container with this id, if it was seen.
    pub(crate) fn container_exit(&self, id: &str) -> Option<Timestamp> {
        self.named.get(id)?.exit
    }

    /// Whether this cgroup may be that of the container with this id, and is not known to be.
    pub(crate) fn may_claim(&self, id: &str, cgroup: CgroupId) -> bool {
        let named = self.named.get(id);
        named.is_some_and(|named| named.cgroup.is_none_or(|first| cgroup < first))
    }

    /// A container with this id lies in this cgroup. Returns whether another was taken for it so far.
    pub(crate) fn assign_cgroup(&mut self, id: &str, cgroup: CgroupId) -> bool {
        self.named.assign_cgroup(id, cgroup)
    }

    /// Whether the status of the pod shows the container with this id in this cgroup to be one of its own. A path alone is the
    /// word of whoever made the cgroup; it counts as long as no status has named any id.
    pub(crate) fn vouches_for(&self, id: &str, cgroup: CgroupId) -> bool {
        match self.named.get(id) {
            Some(named) => named.cgroup.is_none_or(|first| first == cgroup),
            None => self.named.is_empty(),
        }
    }

    /// Returns since when this container of it was asked to stop at the latest, for one that started at `started_at`: by the
    /// deletion of the pod, which does not concern a static one, or by the kubelet's word.
    pub(crate) fn stop_requested_at(
        &self,
        name: Option<&str>,
        started_at: Timestamp,
    ) -> Option<Timestamp> {
        let deletion = self.deletions.first().filter(|_deletion| !self.is_static());
        let deletion =
            deletion.map(|deletion| deletion.deletion.requested_at.min(deletion.seen.at));
        let stops = |event: &KubeletEvent| {
            event.kind.is_killing()
                && name.is_some()
                && event.container.as_deref() == name
                && event.happened_at >= started_at
        };
        let events = self.events.iter().map(|(event, _)| event);
        let killing = events
            .filter(|event| stops(event))
            .map(|event| event.happened_at);
        killing.chain(deletion).min()
    }

    /// Whether its cgroups are named after the hash of its manifest: the kubelet has it from a file, and what happens to
    /// its object in the API does not concern its containers.
    pub(crate) const fn is_static(&self) -> bool {
        self.pod.cgroup_uid.is_some()
    }

    /// Whether the kubelet connects to it for probes.
    pub(crate) fn has_network_probes(&self) -> bool {
        let mut all = self.pod.containers.iter();
        all.any(|one| !one.probe_ports.is_empty())
    }

    /// Whether the order in which its containers are stopped matters.
    pub(crate) fn has_sidecars(&self) -> bool {
        let mut all = self.pod.containers.iter();
        all.any(|one| one.role == Role::Sidecar)
    }

    /// Whether a status named this id.
    pub(crate) fn names_container(&self, id: &str) -> bool {
        self.named.get(id).is_some()
    }

    /// The container with this id: the one whose status named it, or the only one there is while no status has named any.
    pub(crate) fn container(&self, id: &str) -> Option<&PodContainer> {
        match (self.named.get(id), self.pod.containers.as_slice()) {
            (Some(named), all) => all.iter().find(|one| one.name == named.name),
            (None, [only]) if self.named.is_empty() => Some(only),
            (None, _) => None,
        }
    }

    /// Whether its status names another container in the place of the one with this id.
    pub(crate) fn has_replaced(&self, id: &str) -> bool {
        let present = self.container(id).and_then(|one| one.ids.first());
        present.is_some_and(|present| present != id)
    }

    /// The last exit of each container that has to be gone before this sidecar gets its stop signal, up to `end`; none for
    /// one that was not seen to exit.
    /// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/kuberuntime/kuberuntime_termination_order.go#L43>
    pub(crate) fn exits_before(&self, sidecar: &str, end: Timestamp) -> Vec<Option<Timestamp>> {
        let mut all = self.pod.containers.iter();
        let own = all.position(|one| one.name == sidecar);
        let goes_first = |(place, other): &(usize, &PodContainer)| match other.role {
            Role::Main => true,
            Role::Sidecar => own.is_some_and(|own| *place > own),
            Role::Init | Role::Ephemeral => false,
        };
        let containers = self.pod.containers.iter().enumerate();
        containers
            .filter(goes_first)
            .map(|(_, other)| self.last_exit(&other.name, end))
            .collect()
    }

    fn last_exit(&self, name: &str, end: Timestamp) -> Option<Timestamp> {
        let of_it = self.named.iter().filter(|named| named.name == name);
        of_it
            .filter_map(|named| named.exit)
            .filter(|at| *at <= end)
            .max()
    }
}
