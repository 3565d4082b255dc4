//! The processes that are remembered of a container, in the orders in which they are asked for: an event asks for the main one many
//! times, and may find hundreds of processes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use super::election::{self, Rank};
use crate::event::Tgid;
use crate::process::{Origin, Process};
use crate::time::Timestamp;

/// Processes by their pid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    all: BTreeMap<Tgid, Process>,
    orders: Orders,
}

/// The same in other orders.
#[derive(Clone, Debug, Default)]
struct Orders {
    /// Those that can be the main one, the likeliest first.
    candidates: BTreeSet<(Rank, Tgid)>,
    /// Those that are gone, the oldest first.
    gone: BTreeSet<(Timestamp, Tgid)>,
    /// Those that came from outside, have run a program and are there, the oldest first.
    visitors: BTreeSet<(Timestamp, Tgid)>,
}

/// Where a process stands in the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    rank: Option<Rank>,
    start: Timestamp,
    gone: bool,
    visits: bool,
}

/// A process that is changed. Afterwards it stands where it belongs.
#[derive(Debug)]
pub(crate) struct Changed<'a> {
    process: &'a mut Process,
    before: Place,
    orders: &'a mut Orders,
}

impl Processes {
    /// The main process, as far as the facts tell now.
    pub(super) fn main(&self) -> Option<&Process> {
        let (_rank, tgid) = self.orders.candidates.first()?;
        self.all.get(tgid)
    }

    /// Those that are gone, the oldest first.
    pub(super) fn gone_processes(&self) -> impl Iterator<Item = &Process> {
        self.in_order(&self.orders.gone)
    }

    /// Those that came from outside, have run a program and are there, the oldest first.
    pub(super) fn visitors(&self) -> impl Iterator<Item = &Process> {
        self.in_order(&self.orders.visitors)
    }

    fn in_order(&self, order: &BTreeSet<(Timestamp, Tgid)>) -> impl Iterator<Item = &Process> {
        order.iter().filter_map(|(_start, tgid)| self.all.get(tgid))
    }

    /// The process with this pid, to be changed.
    pub(super) fn get_mut(&mut self, tgid: Tgid) -> Option<Changed<'_>> {
        let process = self.all.get_mut(&tgid)?;
        Some(Changed {
            before: Place::from_process(process),
            process,
            orders: &mut self.orders,
        })
    }

    /// Remembers one; what had its pid before is returned.
    pub(super) fn insert(&mut self, process: Process) -> Option<Process> {
        let tgid = process.tgid;
        let replaced = self.remove(tgid);
        self.orders.add(tgid, Place::from_process(&process));
        self.all.insert(tgid, process);
        replaced
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, tgid: Tgid) -> Option<Process> {
        let process = self.all.remove(&tgid)?;
        self.orders.remove(tgid, Place::from_process(&process));
        Some(process)
    }

    /// Changes all of them.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut Process)) {
        self.orders = Orders::default();
        for (tgid, process) in &mut self.all {
            change(process);
            self.orders.add(*tgid, Place::from_process(process));
        }
    }

    /// Forgets those that are gone.
    pub(super) fn forget_gone(&mut self) {
        self.all.retain(|_tgid, process| process.is_alive());
        self.change_all(|_process| {});
    }
}

impl Deref for Processes {
    type Target = BTreeMap<Tgid, Process>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Orders {
    fn add(&mut self, tgid: Tgid, place: Place) {
        if let Some(rank) = place.rank {
            self.candidates.insert((rank, tgid));
        }
        if place.gone {
            self.gone.insert((place.start, tgid));
        }
        if place.visits {
            self.visitors.insert((place.start, tgid));
        }
    }

    fn remove(&mut self, tgid: Tgid, place: Place) {
        if let Some(rank) = place.rank {
            self.candidates.remove(&(rank, tgid));
        }
        if place.gone {
            self.gone.remove(&(place.start, tgid));
        }
        if place.visits {
            self.visitors.remove(&(place.start, tgid));
        }
    }
}

impl Place {
    fn from_process(process: &Process) -> Self {
        let alive = process.is_alive();
        Self {
            rank: election::election_rank(process),
            start: process.start,
            gone: !alive,
            visits: alive && process.origin == Origin::Entered && process.has_run(),
        }
    }
}

impl Deref for Changed<'_> {
    type Target = Process;

    fn deref(&self) -> &Process {
        self.process
    }
}

impl DerefMut for Changed<'_> {
    fn deref_mut(&mut self) -> &mut Process {
        self.process
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        let now = Place::from_process(self.process);
        if now != self.before {
            self.orders.remove(self.process.tgid, self.before);
            self.orders.add(self.process.tgid, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::ProcessFound;
    use crate::purse::Purses;
    use crate::time::Timestamp;

    fn found_process(tgid: u32, start: u64) -> Process {
        let found = ProcessFound {
            tgid: Tgid(tgid),
            ns_tgid: tgid,
            ns_level: 0,
            parent_tgid: Tgid(1),
            parent_outside: true,
            start: Timestamp(start),
            comm: "app".to_owned(),
            argv: vec!["app".to_owned()],
        };
        let purse = Purses::default().get_or_create_purse("/app");
        Process::from_found(&found, Timestamp(start), &purse)
    }

    #[test]
    fn the_main_process_is_found_again_after_every_change() {
        let mut processes = Processes::default();
        let main = |processes: &Processes| processes.main().map(|main| main.tgid.0);
        assert_eq!(main(&processes), None);
        processes.insert(found_process(2, 200));
        assert_eq!(main(&processes), Some(2));
        processes.insert(found_process(3, 100));
        assert_eq!(main(&processes), Some(3));
        processes.get_mut(Tgid(3)).unwrap().spent = true;
        assert_eq!(main(&processes), Some(2));
        processes.change_all(|process| process.spent = !process.spent);
        assert_eq!(main(&processes), Some(3));
        processes.remove(Tgid(3));
        assert_eq!(main(&processes), None);
    }

    /// Each is where it would be if all of them were put in order now.
    fn is_in_order(processes: &Processes) -> bool {
        let mut anew = processes.clone();
        anew.change_all(|_process| {});
        let orders = |of: &Processes| {
            let Orders {
                candidates,
                gone,
                visitors,
            } = of.orders.clone();
            (candidates, gone, visitors)
        };
        orders(processes) == orders(&anew)
    }

    #[test]
    fn each_change_leaves_all_in_order() {
        let mut processes = Processes::default();
        for (tgid, start) in [(1, 500), (2, 100), (3, 300), (1, 400)] {
            processes.insert(found_process(tgid, start));
            assert!(is_in_order(&processes));
        }
        let starts = |gone: &mut dyn Iterator<Item = &Process>| {
            gone.map(|process| process.start.0).collect::<Vec<_>>()
        };
        processes.get_mut(Tgid(2)).unwrap().origin = Origin::Entered;
        processes.get_mut(Tgid(3)).unwrap().origin = Origin::Entered;
        assert!(is_in_order(&processes));
        assert_eq!(starts(&mut processes.visitors()), [100, 300]);
        for tgid in [1, 3] {
            processes.get_mut(Tgid(tgid)).unwrap().vanished_at = Some(Timestamp(900));
        }
        assert!(is_in_order(&processes));
        assert_eq!(starts(&mut processes.gone_processes()), [300, 400]);
        assert_eq!(starts(&mut processes.visitors()), [100]);
        processes.get_mut(Tgid(3)).unwrap().start = Timestamp(600);
        assert_eq!(starts(&mut processes.gone_processes()), [400, 600]);
        processes.forget_gone();
        assert!(is_in_order(&processes));
        assert_eq!(processes.len(), 1);
    }
}
