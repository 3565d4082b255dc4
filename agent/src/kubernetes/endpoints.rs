//! The endpoints of this node's pods, as the EndpointSlices of the whole cluster show them: what changed for a pod over
//! all slices that name it. Pure; of other nodes' endpoints nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use agent_core::input::Input;
use agent_core::pod::EndpointState;
use agent_core::time::Timestamp;
use k8s_openapi::api::discovery::v1 as api;
use kube::runtime::watcher::Event;

/// Pods in slices that are remembered at once: each of some hundreds of pods behind some services.
const PLACES_MAX: usize = 16_384;
/// How a pod stands that no slice names.
const GONE: EndpointState = EndpointState {
    ready: false,
    serving: false,
    terminating: true,
};

/// What is known.
#[derive(Debug)]
pub(super) struct Endpoints {
    node: String,
    /// By the slice's UID: pods of this node that it names, by UID. Slices without one are left out.
    slices: BTreeMap<String, BTreeMap<String, EndpointState>>,
    /// How each pod that a slice names was told last.
    told: BTreeMap<String, EndpointState>,
    /// Pods that may have to be told anew when the list has ended: an endpoint that moved to another slice is in the list
    /// twice or, for a moment, not at all.
    unsettled: BTreeSet<String>,
    /// While a list comes in: which slices it held so far.
    listed: Option<BTreeSet<String>>,
}

impl Endpoints {
    /// Nothing yet, of this node.
    pub(super) const fn new(node: String) -> Self {
        Self {
            node,
            slices: BTreeMap::new(),
            told: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            listed: None,
        }
    }

    /// Takes one event of the watch; gives what the engine is to be told.
    pub(super) fn apply_watch_event(
        &mut self,
        event: Event<api::EndpointSlice>,
        seen_at: Timestamp,
    ) -> Vec<Input> {
        match event {
            Event::Init => {
                self.listed = Some(BTreeSet::new());
                return Vec::new();
            }
            Event::InitApply(slice) => {
                let Some(uid) = slice.metadata.uid.clone() else {
                    return Vec::new();
                };
                let pods = self.pods_of(&slice);
                // Of slices that name none of its pods, which may be many, not even the UID is kept.
                if let Some(listed) = self.listed.as_mut().filter(|_| !pods.is_empty()) {
                    listed.insert(uid.clone());
                }
                self.replace(uid, pods);
                return Vec::new();
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let vanished = self.slices.keys().filter(|uid| !listed.contains(*uid));
                for uid in vanished.cloned().collect::<Vec<_>>() {
                    self.replace(uid, BTreeMap::new());
                }
            }
            Event::Apply(slice) => {
                if let Some(uid) = slice.metadata.uid.clone() {
                    let pods = self.pods_of(&slice);
                    self.replace(uid, pods);
                }
            }
            Event::Delete(slice) => {
                if let Some(uid) = slice.metadata.uid {
                    self.replace(uid, BTreeMap::new());
                }
            }
        }
        self.settle(seen_at)
    }

    /// The pods of this node that a slice names.
    fn pods_of(&self, slice: &api::EndpointSlice) -> BTreeMap<String, EndpointState> {
        let mut pods = BTreeMap::new();
        for endpoint in slice.endpoints.iter().flatten() {
            if endpoint.node_name.as_deref() != Some(self.node.as_str()) {
                continue;
            }
            let target = endpoint.target_ref.as_ref();
            let uid = target
                .filter(|target| target.kind.as_deref() == Some("Pod"))
                .and_then(|target| target.uid.clone());
            if let Some(uid) = uid {
                let state = endpoint_state(endpoint.conditions.as_ref());
                pods.entry(uid)
                    .and_modify(|best| *best = better(*best, state))
                    .or_insert(state);
            }
        }
        pods
    }

    /// A slice names these pods now.
    fn replace(&mut self, slice: String, mut pods: BTreeMap<String, EndpointState>) {
        let before = self.slices.remove(&slice).unwrap_or_default();
        let places: usize = self.slices.values().map(BTreeMap::len).sum();
        if places.saturating_add(pods.len()) > PLACES_MAX {
            tracing::debug!(
                slice,
                "more endpoints of this node than this agent remembers: new ones are left out"
            );
            pods.retain(|uid, _state| before.contains_key(uid));
        }
        self.unsettled.extend(before.into_keys());
        self.unsettled.extend(pods.keys().cloned());
        if !pods.is_empty() {
            self.slices.insert(slice, pods);
        }
    }

    /// What changed for the pods that are not settled.
    fn settle(&mut self, seen_at: Timestamp) -> Vec<Input> {
        let mut inputs = Vec::new();
        for uid in std::mem::take(&mut self.unsettled) {
            let places = self.slices.values().filter_map(|pods| pods.get(&uid));
            let state = places.copied().reduce(better);
            let before = match state {
                Some(state) => self.told.insert(uid.clone(), state),
                None => self.told.remove(&uid),
            };
            let state = state.unwrap_or(GONE);
            // A pod that came and went within one list was never told, and need not be.
            let is_news = before.map_or(state != GONE, |before| before != state);
            if is_news {
                inputs.push(Input::Endpoint {
                    uid,
                    state,
                    seen_at,
                });
            }
        }
        inputs
    }
}

/// With what the API says of conditions that are not set:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/staging/src/k8s.io/api/discovery/v1/types.go>.
fn endpoint_state(conditions: Option<&api::EndpointConditions>) -> EndpointState {
    EndpointState {
        ready: conditions.and_then(|all| all.ready).unwrap_or(true),
        serving: conditions.and_then(|all| all.serving).unwrap_or(true),
        terminating: conditions.and_then(|all| all.terminating).unwrap_or(false),
    }
}

/// Of two places of one pod: what any of them lets through comes.
const fn better(one: EndpointState, other: EndpointState) -> EndpointState {
    EndpointState {
        ready: one.ready || other.ready,
        serving: one.serving || other.serving,
        terminating: one.terminating && other.terminating,
    }
}

#[cfg(test)]
mod tests;
