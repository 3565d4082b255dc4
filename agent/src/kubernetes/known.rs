//! The pods of this node as the engine was last told of them: tells what is new, what changed in a way that matters, and
//! what vanished while nobody listened. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent_core::input::Input;
use agent_core::pod::{Disruption, Pod, Workload};
use agent_core::time::Timestamp;
use k8s_openapi::api::core::v1 as api;
use kube::runtime::watcher::Event;

use super::owner::Owner;
use super::reduce::{ReducedPod, reduce};

/// Pods that are remembered at once; a node runs some hundreds at the most.
const PODS_MAX: usize = 2048;
/// The same second of the wall clock comes to slightly different times of the boot clock from one conversion to the next.
const SAME: Duration = Duration::from_millis(900);

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pods: BTreeMap<String, Entry>,
    /// While a list comes in: which pods it held so far.
    listed: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct Entry {
    pod: Pod,
    /// The workload, once it was looked up.
    workload: Option<Workload>,
    /// Why the kubelet said by an Event that it stops the pod, before the status says so.
    disruption: Option<Disruption>,
}

/// When something was seen, and how the clocks stand to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    /// On the boot clock.
    pub(super) seen_at: Timestamp,
    /// The wall clock at the boot clock's zero, in nanoseconds since 1970.
    pub(super) wall_at_boot: u64,
}

/// What follows from one event of the watch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// For the engine, in this order.
    pub(super) inputs: Vec<Input>,
    /// An owner to be looked up, and the UID of its pod.
    pub(super) unsure: Option<(String, Owner)>,
}

impl Known {
    /// Takes one event of the watch.
    pub(super) fn apply_watch_event(
        &mut self,
        event: Event<api::Pod>,
        moment: ClockReading,
    ) -> Change {
        match event {
            Event::Init => {
                self.listed = Some(BTreeSet::new());
                Change::default()
            }
            Event::InitApply(object) => {
                if let (Some(listed), Some(uid)) = (&mut self.listed, &object.metadata.uid) {
                    listed.insert(uid.clone());
                }
                self.apply_object(&object, moment, true)
            }
            Event::InitDone => self.list_ended(moment),
            Event::Apply(object) => self.apply_object(&object, moment, false),
            Event::Delete(object) => self.delete(&object, moment),
        }
    }

    /// How many pods there are.
    pub(super) fn len(&self) -> usize {
        self.pods.len()
    }

    /// The UID in the API of a pod that the kubelet names: its own, or the hash of a static pod.
    pub(super) fn api_uid(&self, uid: &str) -> Option<&str> {
        if let Some((uid, _)) = self.pods.get_key_value(uid) {
            return Some(uid);
        }
        self.pods
            .values()
            .find(|entry| entry.pod.cgroup_uid.as_deref() == Some(uid))
            .map(|entry| entry.pod.uid.as_str())
    }

    /// An owner was looked up for this pod: the pod as it stands now, if that says something new.
    pub(super) fn set_workload(
        &mut self,
        uid: &str,
        workload: Workload,
        seen_at: Timestamp,
    ) -> Option<Input> {
        let entry = self.pods.get_mut(uid)?;
        entry.workload = Some(workload.clone());
        if entry.pod.workload == workload {
            return None;
        }
        entry.pod.workload = workload;
        Some(pod_input(&entry.pod, seen_at, false))
    }

    /// The kubelet said why it stops this pod: the pod with that, if it was not known.
    pub(super) fn disrupted(
        &mut self,
        uid: &str,
        disruption: Disruption,
        seen_at: Timestamp,
    ) -> Option<Input> {
        let entry = self.pods.get_mut(uid)?;
        entry.disruption = Some(disruption);
        if entry.pod.disruption.is_some() {
            return None;
        }
        entry.pod.disruption = Some(disruption);
        Some(pod_input(&entry.pod, seen_at, false))
    }

    fn apply_object(&mut self, object: &api::Pod, moment: ClockReading, listed: bool) -> Change {
        let Some(ReducedPod { mut pod, owner }) = reduce(object, moment.wall_at_boot) else {
            return Change::default();
        };
        let uid = pod.uid.clone();
        let Some(entry) = self.pods.get_mut(&uid) else {
            if self.pods.len() >= PODS_MAX {
                tracing::debug!(
                    pod = pod.name,
                    "more pods than this agent remembers: left out"
                );
                return Change::default();
            }
            let input = pod_input(&pod, moment.seen_at, listed);
            self.pods.insert(
                uid.clone(),
                Entry {
                    pod,
                    workload: None,
                    disruption: None,
                },
            );
            return Change {
                inputs: vec![input],
                unsure: owner.map(|owner| (uid, owner)),
            };
        };
        if let Some(workload) = &entry.workload {
            pod.workload = workload.clone();
        }
        pod.disruption = pod.disruption.or(entry.disruption);
        steady(&mut pod, &entry.pod);
        let inputs = if pod == entry.pod {
            Vec::new()
        } else {
            entry.pod = pod;
            vec![pod_input(&entry.pod, moment.seen_at, listed)]
        };
        let unsure = owner.filter(|_owner| entry.workload.is_none());
        Change {
            inputs,
            unsure: unsure.map(|owner| (uid, owner)),
        }
    }

    /// The last state comes with the deletion, and may be the first that shows it.
    fn delete(&mut self, object: &api::Pod, moment: ClockReading) -> Change {
        let Some(uid) = object.metadata.uid.clone() else {
            return Change::default();
        };
        if !self.pods.contains_key(&uid) {
            return Change::default();
        }
        let mut inputs = self.apply_object(object, moment, false).inputs;
        self.pods.remove(&uid);
        inputs.push(pod_gone_input(uid, moment.seen_at, false));
        Change {
            inputs,
            unsure: None,
        }
    }

    fn list_ended(&mut self, moment: ClockReading) -> Change {
        let listed = self.listed.take().unwrap_or_default();
        let vanished: Vec<String> = self
            .pods
            .keys()
            .filter(|uid| !listed.contains(*uid))
            .cloned()
            .collect();
        let mut change = Change::default();
        for uid in vanished {
            self.pods.remove(&uid);
            change
                .inputs
                .push(pod_gone_input(uid, moment.seen_at, true));
        }
        change
    }
}

/// Keeps the time of the deletion as it was converted first. Once everything has ended, the kubelet itself deletes the
/// pod again, without grace: that says nothing of how its containers were stopped.
fn steady(new: &mut Pod, old: &Pod) {
    if let (Some(new), Some(old)) = (&mut new.deletion, &old.deletion) {
        if new.grace.is_zero() {
            new.clone_from(old);
        }
        let (a, b) = (new.requested_at, old.requested_at);
        if a.since(b).max(b.since(a)) < SAME {
            new.requested_at = b;
        }
    }
}

fn pod_input(pod: &Pod, seen_at: Timestamp, listed: bool) -> Input {
    Input::Pod {
        pod: Box::new(pod.clone()),
        seen_at,
        listed,
    }
}

const fn pod_gone_input(uid: String, seen_at: Timestamp, listed: bool) -> Input {
    Input::PodGone {
        uid,
        seen_at,
        listed,
    }
}

#[cfg(test)]
mod tests;
