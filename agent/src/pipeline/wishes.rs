//! Carries out what the engine wishes: tells the kernel side whom to look at, and looks at /proc and the cgroup tree.

use std::collections::BTreeMap;

use agent_common::map::SignalCounts;
use agent_core::event::{CgroupId, Tgid};
use agent_core::input::Input;
use agent_core::output::Wish;
use agent_core::signal::Signal;

use crate::cgroups::Tree;
use crate::clock;
use crate::driver::Driver;
use crate::probes::{TrackError, Tracker};
use crate::processes;
use crate::sink::Sink;
use crate::vital::{Update, Vital};

/// What carries the wishes out.
#[derive(Debug)]
pub(super) struct Hands {
    tree: Tree,
    tracker: Tracker,
    /// Where the tracked containers are in the tree.
    paths: BTreeMap<CgroupId, String>,
    scan_asked: bool,
}

impl Hands {
    pub(super) const fn new(tree: Tree, tracker: Tracker) -> Self {
        Self {
            tree,
            tracker,
            paths: BTreeMap::new(),
            scan_asked: false,
        }
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) const fn ask_for_scan(&mut self) {
        self.scan_asked = true;
    }

    /// Whether a scan was asked for since the last call.
    pub(super) const fn take_scan(&mut self) -> bool {
        std::mem::replace(&mut self.scan_asked, false)
    }

    /// Carries out all wishes and tells the engine the answers, until it wishes nothing more. Says whether there were any.
    pub(super) fn carry_out(&mut self, driver: &mut Driver, sink: &mut impl Sink) -> bool {
        let mut any = false;
        while let Some(wish) = driver.next_wish() {
            any = true;
            if let Some(answer) = self.answer(wish, sink) {
                driver.tell_found(answer, clock::now(), sink);
            }
        }
        any
    }

    fn answer(&mut self, wish: Wish, sink: &mut impl Sink) -> Option<Input> {
        match wish {
            Wish::Track {
                container,
                path,
                signals,
            } => Some(self.track(container, path, mask(&signals), sink)),
            Wish::Inspect { container } => self.inspect(container),
            Wish::Watch { container, tgid } => {
                self.watch(container, tgid, sink);
                None
            }
            Wish::AwaitConnect {
                container,
                address,
                port,
            } => {
                let awaited = self.tracker.await_connect(container.0, address, port);
                if let Err(error) = awaited {
                    failed(Update::AwaitConnect, &error, container, sink);
                }
                None
            }
            Wish::Count { container } => answer_counts(container, self.tracker.counts(container.0)),
            Wish::Untrack { container } => self.untrack(container, sink),
            Wish::Rescan => {
                self.scan_asked = true;
                None
            }
            // Told to the kernel side by the commits that follow.
            Wish::Phase { .. } => None,
        }
    }

    fn track(
        &mut self,
        container: CgroupId,
        path: String,
        signals: u64,
        sink: &mut impl Sink,
    ) -> Input {
        // Twice: a cgroup made between the look and the first call is found by the second look; one made later is added
        // by the kernel side.
        for _look in 0..2 {
            let below: Vec<u64> = self
                .tree
                .scan_below(container, &path)
                .cgroups
                .iter()
                .map(|cgroup| cgroup.id.0)
                .collect();
            if let Err(error) = self.tracker.track(container.0, &below, signals) {
                failed(Update::Track, &error, container, sink);
                break;
            }
        }
        let answer = self.processes(container, &path);
        self.paths.insert(container, path);
        answer
    }

    fn inspect(&self, container: CgroupId) -> Option<Input> {
        let path = self.paths.get(&container)?;
        Some(self.processes(container, path))
    }

    fn processes(&self, container: CgroupId, path: &str) -> Input {
        let below = self.tree.scan_below(container, path).cgroups;
        let paths = std::iter::once(path).chain(below.iter().map(|cgroup| cgroup.path.as_str()));
        Input::Processes {
            container,
            processes: processes::of_container(&self.tree, paths),
        }
    }

    fn watch(&mut self, container: CgroupId, tgid: Tgid, sink: &mut impl Sink) {
        if let Err(error) = self.tracker.watch(tgid.0, container.0) {
            failed(Update::Watch, &error, container, sink);
        }
    }

    fn untrack(&mut self, container: CgroupId, sink: &mut impl Sink) -> Option<Input> {
        self.paths.remove(&container);
        match self.tracker.untrack(container.0) {
            Ok(counts) => answer_counts(container, counts),
            Err(error) => {
                failed(Update::Untrack, &error, container, sink);
                None
            }
        }
    }

    /// Has the kernel side forget what it added itself of containers that are gone.
    pub(super) fn sweep(&mut self, sink: &mut impl Sink) {
        if let Err(error) = self.tracker.sweep() {
            tracing::warn!(%error, "the kernel side could not be told to forget containers that are gone");
            sink.vital(&Vital::UpdateFailed(Update::Untrack));
        }
    }
}

fn answer_counts(container: CgroupId, counts: SignalCounts) -> Option<Input> {
    let SignalCounts { inside, outside } = counts;
    (counts != SignalCounts::default()).then_some(Input::SignalCounts {
        container,
        inside,
        outside,
    })
}

fn failed(update: Update, error: &TrackError, container: CgroupId, sink: &mut impl Sink) {
    tracing::warn!(%error, container = container.0, update = update.name(), "the kernel side could not be told");
    sink.vital(&Vital::UpdateFailed(update));
}

/// The signals as a mask, bit n-1 for signal n.
pub(super) fn mask(signals: &[Signal]) -> u64 {
    signals.iter().fold(0, |mask, signal| mask | signal.bit())
}
