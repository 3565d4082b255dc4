//! What Kubernetes tells, for the containers that it concerns.

use super::Engine;
use super::tracked::TrackedContainer;
use crate::container::ContainerEffects;
use crate::event::CgroupId;
use crate::output::{DropReason, Output};
use crate::pod::{EndpointState, KubeletEvent, Pod};
use crate::pod_facts::Seen;
use crate::time::Timestamp;

impl Engine {
    pub(super) fn take_pod(&mut self, pod: Pod, seen: Seen, now: Timestamp) {
        let containers = &self.containers;
        let in_use = |key: &str| containers.values().any(|tracked| tracked.is_of_pod(key));
        let taken = self
            .pods
            .update_pod(pod, seen, self.shared.limits.pods_max, in_use);
        if taken.dropped {
            self.queue_output(Output::Dropped {
                reason: DropReason::PodsFull,
                at: now,
            });
        }
        if let Some(key) = taken.changed {
            self.refresh(&key, now);
        }
    }

    pub(super) fn take_pod_gone(&mut self, uid: &str, seen: Seen, now: Timestamp) {
        if let Some(key) = self.pods.take_gone(uid, seen) {
            self.refresh(&key, now);
            self.release_pod(&key);
        }
    }

    pub(super) fn take_word(&mut self, event: KubeletEvent, seen_at: Timestamp, now: Timestamp) {
        if let Some(key) = self.pods.record_kubelet_event(event, seen_at) {
            self.refresh(&key, now);
        }
    }

    pub(super) fn take_endpoint(
        &mut self,
        uid: String,
        state: EndpointState,
        seen_at: Timestamp,
        now: Timestamp,
    ) {
        if let Some(key) = self.pods.note_endpoint(uid, state, seen_at) {
            self.refresh(&key, now);
        }
    }

    /// Tells the containers of a pod what is known of it.
    pub(super) fn refresh(&mut self, key: &str, now: Timestamp) {
        let all = self.containers.values();
        let ids: Vec<CgroupId> = all
            .filter(|tracked| tracked.is_of_pod(key))
            .map(|tracked| tracked.container.id())
            .collect();
        for id in &ids {
            self.assign_container(*id, key);
            if let Some((pod, exited)) = self
                .containers
                .get(id)
                .and_then(TrackedContainer::main_exit)
            {
                self.pods.note_exit(pod, exited);
            }
        }
        for id in ids {
            self.tell_pod(id, key, now);
        }
    }

    /// Takes this container for the one of the pod that has its id, unless one that was made before has it. Returns whether
    /// a later one was taken for it so far.
    pub(super) fn assign_container(&mut self, id: CgroupId, key: &str) -> bool {
        let tracked = self.containers.get(&id);
        let container_id = tracked.and_then(|tracked| {
            let subject = &tracked.container.subject;
            subject.container_id.as_deref()
        });
        container_id.is_some_and(|container_id| self.pods.assign_cgroup(key, container_id, id))
    }

    pub(super) fn tell_pod(&mut self, id: CgroupId, key: &str, now: Timestamp) {
        if let Some(pod) = self.pods.get(key) {
            self.update_container(id, now, |tracked, context| {
                tracked.set_pod(pod, context);
                ContainerEffects::default()
            });
        }
    }

    /// Forgets a pod that is gone if none of its containers is tracked any more.
    pub(super) fn release_pod(&mut self, key: &str) {
        let mut all = self.containers.values();
        if !all.any(|tracked| tracked.is_of_pod(key)) {
            self.pods.release(key);
        }
    }
}
