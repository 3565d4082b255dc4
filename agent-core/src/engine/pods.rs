//! The pods of this node, by the UID that their cgroups are named after.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::event::CgroupId;
use crate::pod::{EndpointState, KubeletEvent, Pod};
use crate::pod_facts::{PodFacts, Seen};
use crate::time::Timestamp;

/// Words of the kubelet on pods that are not known yet. The watches of pods and of Events are two connections, of which
/// the second may be ahead by moments.
const EARLY_MAX: usize = 64;

/// Endpoints of pods that are not known yet: at the start those of all may come before the pods.
const EARLY_ENDPOINTS_MAX: usize = 1024;

/// The exit of a container's main process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exited<'a> {
    pub(super) cgroup: CgroupId,
    /// The container's id.
    pub(super) id: &'a str,
    pub(super) at: Timestamp,
}

/// The pods.
#[derive(Debug, Default)]
pub(super) struct Pods {
    known: BTreeMap<String, Arc<PodFacts>>,
    /// From a UID in the API to the one in cgroup paths, where that is another.
    aliases: BTreeMap<String, String>,
    early: VecDeque<(KubeletEvent, Timestamp)>,
    early_endpoints: VecDeque<(String, EndpointState, Timestamp)>,
}

/// What came of a pod that was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The UID in the paths of the pod that has changed.
    pub(super) changed: Option<String>,
    /// Whether a pod was thrown away for lack of room, be it this one.
    pub(super) dropped: bool,
}

impl Pods {
    /// A pod is new or has changed. `in_use` says whether a container of that pod is tracked.
    pub(super) fn update_pod(
        &mut self,
        pod: Pod,
        seen: Seen,
        max: usize,
        in_use: impl Fn(&str) -> bool,
    ) -> Taken {
        let key = pod.cgroup_uid.clone().unwrap_or_else(|| pod.uid.clone());
        let uid = pod.uid.clone();
        let mut dropped = false;
        if let Some(known) = self.known.get_mut(&key) {
            if known.pod == pod && known.gone.is_none() {
                return Taken {
                    changed: None,
                    dropped,
                };
            }
            Arc::make_mut(known).update_pod(pod, seen);
        } else {
            if self.known.len() >= max {
                dropped = true;
                if !self.make_room(in_use) {
                    return Taken {
                        changed: None,
                        dropped,
                    };
                }
            }
            self.known
                .insert(key.clone(), Arc::new(PodFacts::new(pod, seen)));
        }
        if uid != key {
            self.aliases.insert(uid, key.clone());
        }
        self.hear_early(&key);
        Taken {
            changed: Some(key),
            dropped,
        }
    }

    /// Forgets the pod without a container that is known for longest.
    fn make_room(&mut self, in_use: impl Fn(&str) -> bool) -> bool {
        let unused = self.known.iter().filter(|(key, _)| !in_use(key));
        let oldest = unused.min_by_key(|(_, facts)| (facts.gone.is_none(), facts.known_at));
        let Some(key) = oldest.map(|(key, _)| key.clone()) else {
            return false;
        };
        self.forget(&key);
        true
    }

    /// A pod's API object is gone. Returns its UID in paths.
    pub(super) fn take_gone(&mut self, uid: &str, seen: Seen) -> Option<String> {
        let key = self.aliases.remove(uid).unwrap_or_else(|| uid.to_owned());
        let facts = self.known.get_mut(&key)?;
        if facts.pod.uid != uid || facts.gone.is_some() {
            return None;
        }
        Arc::make_mut(facts).gone = Some(seen);
        Some(key)
    }

    /// The kubelet said something. Returns the UID in paths of the pod it is about, if that is known.
    pub(super) fn record_kubelet_event(
        &mut self,
        event: KubeletEvent,
        seen_at: Timestamp,
    ) -> Option<String> {
        let uid = &event.pod_uid;
        let key = self.aliases.get(uid).unwrap_or(uid).clone();
        let Some(facts) = self.known.get_mut(&key) else {
            if self.early.len() == EARLY_MAX {
                self.early.pop_front();
            }
            self.early.push_back((event, seen_at));
            return None;
        };
        Arc::make_mut(facts).record_kubelet_event(event, seen_at);
        Some(key)
    }

    /// The EndpointSlices changed. Returns the UID in paths of the pod it is about, if that is known.
    pub(super) fn note_endpoint(
        &mut self,
        uid: String,
        state: EndpointState,
        seen_at: Timestamp,
    ) -> Option<String> {
        let key = self.aliases.get(&uid).unwrap_or(&uid).clone();
        let Some(facts) = self.known.get_mut(&key) else {
            if self.early_endpoints.len() == EARLY_ENDPOINTS_MAX {
                self.early_endpoints.pop_front();
            }
            self.early_endpoints.push_back((uid, state, seen_at));
            return None;
        };
        Arc::make_mut(facts).note_endpoint(state, seen_at);
        Some(key)
    }

    fn hear_early(&mut self, key: &str) {
        let Some(facts) = self.known.get_mut(key) else {
            return;
        };
        let (its, others) = std::mem::take(&mut self.early_endpoints)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(uid, ..)| *uid == facts.pod.uid);
        self.early_endpoints = others;
        for (_, state, seen_at) in its {
            Arc::make_mut(facts).note_endpoint(state, seen_at);
        }
        let is_its = |event: &KubeletEvent| event.pod_uid == facts.pod.uid || event.pod_uid == key;
        let (its, others) = std::mem::take(&mut self.early)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(event, _)| is_its(event));
        self.early = others;
        for (event, seen_at) in its {
            Arc::make_mut(facts).record_kubelet_event(event, seen_at);
        }
    }

    /// The main process of a pod's container exited. Returns whether that may concern another container of the pod.
    pub(super) fn note_exit(&mut self, key: &str, exited: Exited<'_>) -> bool {
        let Exited { cgroup, id, at } = exited;
        let Some(facts) = self.known.get_mut(key) else {
            return false;
        };
        if facts.container_exit(id) == Some(at) || !facts.vouches_for(id, cgroup) {
            return false;
        }
        Arc::make_mut(facts).note_exit(id, at) && facts.has_sidecars()
    }

    /// A cgroup is that of a container with this id, by its path. Returns whether another was taken for it so far.
    pub(super) fn assign_cgroup(&mut self, key: &str, id: &str, cgroup: CgroupId) -> bool {
        let known = self.known.get_mut(key);
        let known = known.filter(|facts| facts.may_claim(id, cgroup));
        known.is_some_and(|facts| Arc::make_mut(facts).assign_cgroup(id, cgroup))
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<PodFacts>> {
        self.known.get(key).cloned()
    }

    /// No container of this pod is tracked any more.
    pub(super) fn release(&mut self, key: &str) {
        if self
            .known
            .get(key)
            .is_some_and(|facts| facts.gone.is_some())
        {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &str) {
        self.known.remove(key);
        self.aliases.retain(|_uid, of| of != key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
