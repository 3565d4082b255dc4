//! Which workloads have series of their own, which series those are, and which workload goes for another.

use std::collections::{BTreeMap, BTreeSet};

use agent_core::report::SubjectKind;
use agent_core::time::Timestamp;

use super::super::Retention;
use super::super::label::{Labels, SubjectRef};
use crate::shares::Sharer;

/// Workloads of these kinds have a new name each time as a rule, so they take at the most half of the room: the others
/// must not end up under `other` because a node ran many jobs. The same holds for containers without a pod, and for scopes.
const SHORT_LIVED: [&str; 2] = ["Job", "Pod"];

/// The workloads that have series.
#[derive(Debug, Default)]
pub(in crate::metrics) struct Known {
    workloads: BTreeMap<Labels, Entry>,
    uses: u64,
}

/// A workload.
#[derive(Debug)]
struct Entry {
    sharer: Sharer,
    is_short_lived: bool,
    /// Until when it is shown if nothing more is counted for it, where its name never comes again.
    until: Option<Timestamp>,
    /// Larger than that of each workload that was used before.
    used: u64,
    series: BTreeSet<Labels>,
}

/// Under which labels something is counted.
#[derive(Debug)]
pub(in crate::metrics) struct Place {
    pub(super) workload: Labels,
    /// Whether it is one too many.
    pub(super) is_other: bool,
    /// The series of the workload that had to go for it.
    pub(super) gone: Vec<Labels>,
}

impl Place {
    /// Whether its workload was one too many, or another had to go for it.
    pub(in crate::metrics) const fn is_at_a_cost(&self) -> bool {
        self.is_other || !self.gone.is_empty()
    }
}

/// Whether there is room for one more.
#[derive(Debug)]
enum Room {
    Free,
    /// If this workload goes.
    After(Labels),
    None,
}

impl Known {
    /// The labels to count under: the workload's own, or those of the rest when there is no room for another.
    pub(super) fn find_or_insert(
        &mut self,
        who: &SubjectRef<'_>,
        retention: Retention,
        now: Timestamp,
    ) -> Place {
        let workload = Labels::of_workload(who);
        let comes_once = comes_once(who);
        let until = comes_once.then(|| now.after(retention.time));
        self.uses += 1;
        let mut place = Place {
            workload,
            is_other: false,
            gone: Vec::new(),
        };
        if let Some(known) = self.workloads.get_mut(&place.workload) {
            known.used = self.uses;
            known.until = until;
            return place;
        }
        let kind = who.pod.map(|pod| pod.workload.kind.as_str());
        let entry = Entry {
            sharer: Sharer::from_subject(who.subject, who.pod),
            is_short_lived: comes_once || kind.is_some_and(|kind| SHORT_LIVED.contains(&kind)),
            until,
            used: self.uses,
            series: BTreeSet::new(),
        };
        match self.find_room(&entry, retention.workloads_max) {
            Room::Free => {}
            Room::After(victim) => place.gone = self.forget(&victim),
            Room::None => {
                place.workload = Labels::of_other_workloads(who);
                place.is_other = true;
                return place;
            }
        }
        self.workloads.insert(place.workload.clone(), entry);
        place
    }

    /// Whether there is room for one more, and who has to go for it: of whoever has most the one that was not used for longest,
    /// if the newcomer's sharer has less even then.
    fn find_room(&self, newcomer: &Entry, max: usize) -> Room {
        let all = self.workloads.values();
        let own = all.filter(|one| one.sharer == newcomer.sharer).count();
        if own >= newcomer.sharer.max_share(max) && own > 0 {
            return Room::None;
        }
        let all = self.workloads.values();
        let short_lived = all.filter(|one| one.is_short_lived).count();
        let too_many_short_lived = newcomer.is_short_lived && short_lived >= max.div_ceil(2);
        if self.workloads.len() < max && !too_many_short_lived {
            return Room::Free;
        }
        let mut of: BTreeMap<&Sharer, Vec<(u64, &Labels)>> = BTreeMap::new();
        for (labels, one) in &self.workloads {
            if one.is_short_lived || !too_many_short_lived {
                of.entry(&one.sharer).or_default().push((one.used, labels));
            }
        }
        let own = of.get(&newcomer.sharer).map_or(0, Vec::len);
        let most = of.values().map(Vec::len).max().unwrap_or(0);
        let largest = of.values().filter(|its| its.len() == most);
        let oldest = largest.filter_map(|its| its.iter().min()).min();
        let victim = oldest.filter(|_| own + 1 < most);
        victim.map_or(Room::None, |(_, labels)| Room::After((*labels).clone()))
    }

    /// Forgets those whose time is over. Returns their series.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Labels> {
        let is_over = |one: &Entry| one.until.is_some_and(|until| until <= now);
        let over = self.workloads.iter().filter(|(_, one)| is_over(one));
        let over: Vec<Labels> = over.map(|(labels, _)| labels.clone()).collect();
        over.iter().flat_map(|labels| self.forget(labels)).collect()
    }

    /// Forgets a workload. Returns its series, without those that others have, too.
    fn forget(&mut self, workload: &Labels) -> Vec<Labels> {
        let Some(entry) = self.workloads.remove(workload) else {
            return Vec::new();
        };
        let is_alone = |labels: &Labels| {
            // Only what belongs to the pod as a whole is shared: by its containers.
            let mut others = self.workloads.values();
            !labels.is_of_pod() || !others.any(|other| other.series.contains(labels))
        };
        entry.series.into_iter().filter(is_alone).collect()
    }

    /// Takes note of a series of this workload, unless it is counted with others.
    pub(super) fn record_series(&mut self, workload: &Labels, series: &Labels) {
        let known = self.workloads.get_mut(workload);
        if let Some(known) = known.filter(|known| !known.series.contains(series)) {
            known.series.insert(series.clone());
        }
    }
}

/// Whether it has a name that no other gets: a runtime's container without a pod, and a scope.
fn comes_once(who: &SubjectRef<'_>) -> bool {
    let has_own_name = match who.subject.kind {
        SubjectKind::SystemdScope
        | SubjectKind::Docker
        | SubjectKind::Podman
        | SubjectKind::Containerd
        | SubjectKind::Crio => true,
        SubjectKind::SystemdService | SubjectKind::Cgroup => false,
    };
    has_own_name && who.pod.is_none() && who.subject.pod_uid.is_none()
}
