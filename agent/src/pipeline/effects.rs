//! Executes the effects of the engine: tells the kernel side whom to look at, and looks at /proc and the cgroup tree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent_common::map::{OUTSIDE, SignalCounts};
use agent_core::config::Config;
use agent_core::event::{CgroupId, Event, EventKind, Tgid};
use agent_core::input::{Input, ProcessFound, Unrecorded};
use agent_core::output::{Effect, Names};
use agent_core::signal::Signal;
use agent_core::time::Timestamp;

use super::tables::Tables;
use crate::agent_event::{AgentEvent, Update};
use crate::cgroups::{Cgroup, Tree};
use crate::clock;
use crate::driver::Driver;
use crate::node_addresses::NodeAddresses;
use crate::probes::{Counts, PhaseRules, Signals, Sockets, TrackError, Tracker};
use crate::process_limit;
use crate::processes;
use crate::remaining;
use crate::sink::Sink;

/// How often the tree is scanned for what has time.
const SCAN_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is said of one container that it uses up its share.
pub(super) const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// A container for which the kernel side had no room.
#[derive(Debug)]
struct Unplaced {
    outermost: CgroupId,
    signals: Signals,
}

/// Executes the effects.
#[derive(Debug)]
pub(super) struct EffectExecutor {
    tree: Tree,
    tracker: Tracker,
    /// Not there if connections are not counted.
    sockets: Option<Sockets>,
    /// Not there without pods, and so without a kubelet that connects to them.
    node_addresses: Option<NodeAddresses>,
    /// Where the tracked containers are in the tree.
    paths: BTreeMap<CgroupId, String>,
    scan_asked: bool,
    /// Whether a scan is asked for that has time.
    scan_wanted: bool,
    /// When a scan was made last.
    scanned_at: Timestamp,
    /// Containers for which the kernel side had no room.
    unplaced: BTreeMap<CgroupId, Unplaced>,
    /// Outermost containers that had used up their shares, and when that was said.
    warned: BTreeMap<CgroupId, Timestamp>,
    /// How many containers the engine tracks at the most.
    containers_max: usize,
    tables: Tables,
}

impl EffectExecutor {
    pub(super) fn new(
        tree: Tree,
        tracker: Tracker,
        sockets: Option<Sockets>,
        config: &Config,
    ) -> Self {
        let counts_from_node = config.pods && sockets.is_some();
        Self {
            tree,
            tracker,
            sockets,
            node_addresses: counts_from_node.then(NodeAddresses::default),
            paths: BTreeMap::new(),
            scan_asked: false,
            scan_wanted: false,
            scanned_at: Timestamp::default(),
            unplaced: BTreeMap::new(),
            warned: BTreeMap::new(),
            containers_max: config.limits.containers_max,
            tables: Tables::default(),
        }
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) const fn ask_for_scan(&mut self) {
        self.scan_asked = true;
    }

    /// Whether a scan was asked for since the last call, and is made now.
    pub(super) fn take_scan(&mut self) -> bool {
        let takes = self.scan_asked
            || (self.scan_wanted && clock::now().since(self.scanned_at) >= SCAN_INTERVAL);
        if takes {
            self.scan_asked = false;
            self.scan_wanted = false;
            self.scanned_at = clock::now();
        }
        takes
    }

    /// Executes all effects and feeds the answers to the engine, until there are no more effects. Says whether there were any.
    pub(super) fn execute_effects(&mut self, driver: &mut Driver, sink: &mut impl Sink) -> bool {
        let mut any = false;
        while let Some(effect) = driver.next_effect() {
            any = true;
            for answer in self.answer(effect, sink) {
                driver.tell_found(answer, clock::now(), sink);
            }
        }
        any
    }

    /// Executes an effect and returns the answers.
    fn answer(&mut self, effect: Effect, sink: &mut impl Sink) -> Vec<Input> {
        match effect {
            Effect::Track {
                container,
                path,
                signals,
                begins,
                outermost,
            } => {
                let signals = signals_of(&signals, &begins);
                self.track_container((container, outermost), path, signals, sink)
            }
            Effect::Inspect { container } => self.inspect(container).into_iter().collect(),
            Effect::Count { container } => self.read_counts(container),
            Effect::ReadProcessLimit { container } => {
                self.read_process_limit(container).into_iter().collect()
            }
            Effect::FindRemaining {
                container,
                main,
                start,
            } => vec![self.find_remaining(container, main, start)],
            Effect::Expect { .. }
            | Effect::Watch { .. }
            | Effect::AwaitConnect { .. }
            | Effect::Phase { .. }
            | Effect::Untrack { .. }
            | Effect::Rescan { .. } => {
                self.execute_unanswered(effect, sink);
                Vec::new()
            }
        }
    }

    /// Executes an effect that has no answer.
    fn execute_unanswered(&mut self, effect: Effect, sink: &mut impl Sink) {
        match effect {
            Effect::Expect {
                cgroup,
                path,
                names,
                signals,
                begins,
                outermost,
            } => {
                let signals = signals_of(&signals, &begins);
                self.expect((cgroup, &path), outermost, (&names, signals), sink);
            }
            Effect::Watch { container, tgid } => {
                let watched = self.tracker.watch_process(tgid.0, container.0);
                record_failure(watched, Update::Watch, container, (&mut self.tables, sink));
            }
            Effect::AwaitConnect {
                container,
                address,
                port,
            } => {
                let awaited = self.tracker.await_connect(container.0, address, port);
                let to = (&mut self.tables, sink);
                record_failure(awaited, Update::AwaitConnect, container, to);
            }
            Effect::Phase {
                container,
                main,
                phase,
                stops,
                candidates,
                void_until,
            } => {
                let rules = PhaseRules {
                    main: main.map(|main| main.0),
                    phase,
                    stops: signal_mask(&stops),
                    candidates: signal_mask(&candidates),
                    void_until,
                };
                self.set_phase_rules(container, rules, sink);
            }
            Effect::Untrack { container } => self.untrack(container, sink),
            Effect::Rescan { at_once: true } => self.scan_asked = true,
            Effect::Rescan { at_once: false } => self.scan_wanted = true,
            Effect::Track { .. }
            | Effect::Inspect { .. }
            | Effect::Count { .. }
            | Effect::ReadProcessLimit { .. }
            | Effect::FindRemaining { .. } => {}
        }
    }

    fn track_container(
        &mut self,
        (container, outermost): (CgroupId, CgroupId),
        path: String,
        signals: Signals,
        sink: &mut impl Sink,
    ) -> Vec<Input> {
        self.paths.insert(container, path.clone());
        let lies_in = Some(outermost).filter(|outermost| *outermost != container);
        self.expect_siblings(&path, lies_in, signals, sink);
        if let Some(sockets) = &mut self.sockets {
            // Before there can be any.
            record_failure(
                sockets.add(container.0),
                Update::Track,
                container,
                (&mut self.tables, sink),
            );
        }
        let looked_at = clock::now();
        let mut beyond = 0;
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
            let ids = (container.0, outermost.0);
            let tracked = self.tracker.track_container(ids, &below, signals);
            let tracked =
                record_failure(tracked, Update::Track, container, (&mut self.tables, sink));
            let Some(untracked) = tracked else {
                let unplaced = Unplaced { outermost, signals };
                self.unplaced.insert(container, unplaced);
                break;
            };
            beyond = untracked;
        }
        let since = clock::now();
        // If it is there, the kernel side will tell that it is removed: that comes after the removal of its directory.
        if self.tree.id(&path) != Some(container) {
            return vec![Input::Gone { container }];
        }
        let processes = self.processes(container, &path);
        let mut answers = vec![Input::Tracked { container, since }, processes];
        if beyond > 0 {
            answers.push(Input::Lost {
                outermost: Some(outermost),
                records: beyond,
                between: Some((looked_at, since)),
            });
        }
        answers
    }

    /// Has the kernel side track from their birth what is made beside this container.
    fn expect_siblings(
        &mut self,
        path: &str,
        outermost: Option<CgroupId>,
        signals: Signals,
        sink: &mut impl Sink,
    ) {
        if let Some((above, name)) = path.rsplit_once('/')
            && let Some(parent) = self.tree.id(above)
        {
            let names = [Names::from_name(name)];
            self.expect((parent, above), outermost, (&names, signals), sink);
        }
    }

    /// Has the kernel side track from their birth what is made in this cgroup under such names.
    fn expect(
        &mut self,
        (parent, path): (CgroupId, &str),
        outermost: Option<CgroupId>,
        (names, signals): (&[Names], Signals),
        sink: &mut impl Sink,
    ) {
        let lies_in = outermost.map(|outermost| outermost.0);
        let expected = self
            .tracker
            .add_parent((parent.0, path), lies_in, names, signals);
        let expected = record_failure(expected, Update::Parent, parent, (&mut self.tables, sink));
        if expected.is_some() && self.tree.id(path) != Some(parent) {
            // It was removed before the kernel side was told.
            let removed = self.tracker.remove_parent(parent.0);
            record_failure(removed, Update::Parent, parent, (&mut self.tables, sink));
        }
    }

    fn inspect(&mut self, container: CgroupId) -> Option<Input> {
        let path = self.paths.get(&container)?.clone();
        Some(self.processes(container, &path))
    }

    fn processes(&mut self, container: CgroupId, path: &str) -> Input {
        let below = self.tree.scan_below(container, path).cgroups;
        let paths = std::iter::once(path).chain(below.iter().map(|cgroup| cgroup.path.as_str()));
        let mut processes = processes::of_container(&self.tree, paths);
        processes
            .retain(|process| !process.parent_outside || self.verify_alive(container, process));
        let from_outside = processes.iter().find(|process| process.parent_outside);
        if let (Some(addresses), Some(process)) = (&mut self.node_addresses, from_outside) {
            addresses.record_starter(process.parent_tgid);
        }
        Input::Processes {
            container,
            processes,
        }
    }

    fn read_process_limit(&self, container: CgroupId) -> Option<Input> {
        let path = self.paths.get(&container)?;
        let limit = process_limit::read(&self.tree, path)?;
        Some(Input::ProcessLimit { container, limit })
    }

    fn find_remaining(&self, container: CgroupId, main: Tgid, start: Timestamp) -> Input {
        let path = self.paths.get(&container);
        let below = path.map_or_else(Vec::new, |path| {
            self.tree.scan_below(container, path).cgroups
        });
        let inner = below.iter().map(|cgroup| cgroup.path.as_str());
        let paths: Vec<&str> = path.map(String::as_str).into_iter().chain(inner).collect();
        Input::Remaining {
            container,
            remaining: remaining::find_remaining(&self.tree, &paths, main, start),
        }
    }

    /// Whether a process that was found is there still, after the kernel side was told to watch it: of its end it will tell.
    /// A runtime's helper that went in between would never be known to be gone. That it cannot be told is noted when the
    /// engine asks for it.
    fn verify_alive(&mut self, container: CgroupId, process: &ProcessFound) -> bool {
        let watched = self.tracker.watch_process(process.tgid.0, container.0);
        watched.is_err() || processes::is_there(process)
    }

    fn set_phase_rules(&mut self, container: CgroupId, rules: PhaseRules, sink: &mut impl Sink) {
        if let Some(sockets) = &mut self.sockets {
            let told = sockets.set_phase_rules(container.0, rules);
            record_failure(told, Update::Phase, container, (&mut self.tables, sink));
        }
    }

    fn read_counts(&mut self, container: CgroupId) -> Vec<Input> {
        let signals = answer_counts(container, self.tracker.counts(container.0));
        let sockets = self.sockets.as_mut().and_then(|sockets| {
            let read = sockets.read(container.0);
            read.inspect_err(cannot_read).ok().flatten()
        });
        let sockets = sockets.map(|counts| Input::Sockets {
            container,
            counts: Box::new(counts),
        });
        signals.into_iter().chain(sockets).collect()
    }

    /// Tells the engine what was counted of connections since the last time, of the containers that had any.
    pub(super) fn tell_sockets(&mut self, driver: &mut Driver, sink: &mut impl Sink) {
        let Some(sockets) = &mut self.sockets else {
            return;
        };
        let changed = sockets.changed();
        let changed = changed.inspect_err(cannot_read).unwrap_or_default();
        for (container, counts) in changed {
            let input = Input::Sockets {
                container: CgroupId(container),
                counts: Box::new(counts),
            };
            driver.tell_found(input, clock::now(), sink);
        }
        self.execute_effects(driver, sink);
    }

    fn untrack(&mut self, container: CgroupId, sink: &mut impl Sink) {
        self.paths.remove(&container);
        self.unplaced.remove(&container);
        self.warned.remove(&container);
        if let Some(sockets) = &mut self.sockets {
            let removed = sockets.remove(container.0);
            record_failure(
                removed,
                Update::Untrack,
                container,
                (&mut self.tables, sink),
            );
        }
        let untracked = self.tracker.untrack(container.0);
        record_failure(
            untracked,
            Update::Untrack,
            container,
            (&mut self.tables, sink),
        );
    }

    /// The tracked containers that are in the tree, but for these.
    pub(super) fn tracked_beside(&self, known: &BTreeSet<CgroupId>) -> Vec<Cgroup> {
        let others = self.paths.iter().filter(|(id, _)| !known.contains(id));
        let is_there = |(id, path): (&CgroupId, &String)| {
            let (above, _name) = path.rsplit_once('/')?;
            Some(Cgroup {
                id: self.tree.id(path).filter(|there| there == id)?,
                parent: self.tree.id(above)?,
                path: path.clone(),
            })
        };
        others.filter_map(is_there).collect()
    }

    /// Takes note of who starts containers: that is a process in the node's own network.
    pub(super) fn look_at(&mut self, event: &Event) {
        if let Some(addresses) = &mut self.node_addresses
            && let EventKind::Exec(exec) = &event.kind
            && exec.process.parent_outside
        {
            addresses.record_starter(exec.process.parent_tgid);
        }
    }

    /// Tells the kernel side which addresses are the node's own, if it is time to look.
    pub(super) fn tell_node_addresses(&mut self, sink: &mut impl Sink) {
        let (Some(addresses), Some(sockets)) = (&mut self.node_addresses, &mut self.sockets) else {
            return;
        };
        let Some(changes) = addresses.refresh(clock::now()) else {
            return;
        };
        let told = sockets.set_node_addresses(&changes.added, &changes.removed);
        if let Err(error) = told {
            tracing::warn!(%error, "the kernel side does not know all addresses of this node, so probes count as connections of others");
            sink.record_agent_event(&AgentEvent::UpdateFailed(Update::NodeAddress));
        }
    }

    /// Takes note of what the kernel side counted.
    pub(super) fn note_counts(&mut self, counts: &Counts) {
        self.tables.record_counts(counts);
    }

    /// Looks whether there is room for more containers.
    pub(super) fn look_at_tables(&mut self, driver: &Driver, sink: &mut impl Sink) {
        let containers = (self.paths.len(), self.containers_max);
        self.tables
            .check_full_tables(&self.tracker, containers, sink);
        self.tables
            .look_at_shares(driver.beyond_share(), clock::now());
    }

    /// Tracks those containers for which there was no room, if there may be room again.
    pub(super) fn place_again(&mut self, driver: &mut Driver, sink: &mut impl Sink) {
        if self.unplaced.is_empty() || self.tables.are_full() {
            return;
        }
        for (container, unplaced) in std::mem::take(&mut self.unplaced) {
            let Unplaced { outermost, signals } = unplaced;
            if let Some(path) = self.paths.get(&container).cloned() {
                for answer in self.track_container((container, outermost), path, signals, sink) {
                    driver.tell_found(answer, clock::now(), sink);
                }
            }
        }
        self.execute_effects(driver, sink);
    }

    /// What was lost of each outermost container since the last call. Says it now and then. New cgroups outside of all
    /// containers are looked for.
    pub(super) fn newly_lost(&mut self) -> Vec<(CgroupId, u64)> {
        let newly = self.tracker.newly_lost();
        self.scan_wanted |= newly.iter().any(|(id, _)| *id == OUTSIDE);
        let newly: Vec<_> = newly
            .into_iter()
            .filter(|(id, _)| *id != OUTSIDE)
            .map(|(outermost, records)| (CgroupId(outermost), records))
            .collect();
        self.warn_of_shares(&newly);
        newly
    }

    /// One line for all, with the one that lost most: there may be thousands.
    fn warn_of_shares(&mut self, newly: &[(CgroupId, u64)]) {
        let now = clock::now();
        let since = |at: &Timestamp| now.since(*at);
        self.warned.retain(|_, at| since(at) < WARN_INTERVAL);
        let mut unsaid: Vec<_> = newly
            .iter()
            .filter(|(outermost, _)| !self.warned.contains_key(outermost))
            .collect();
        unsaid.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
        let Some((most, records)) = unsaid.first() else {
            return;
        };
        tracing::warn!(
            records,
            path = self.paths.get(most).map_or("", String::as_str),
            other_containers = unsaid.len() - 1,
            "a container caused more than its share of records or cgroups, or the ring buffer was full: its own reports are incomplete, and those of the containers in it"
        );
        self.warned
            .extend(unsaid.iter().map(|(outermost, _)| (*outermost, now)));
    }

    /// Has the kernel side forget what it added itself of containers that are gone.
    pub(super) fn sweep(&mut self, sink: &mut impl Sink) {
        if let Err(error) = self.tracker.sweep() {
            tracing::warn!(%error, "the kernel side could not be told to forget containers that are gone");
            sink.record_agent_event(&AgentEvent::UpdateFailed(Update::Untrack));
        }
    }
}

fn answer_counts(container: CgroupId, counts: SignalCounts) -> Option<Input> {
    let SignalCounts {
        inside,
        outside,
        unrecorded: [kills, unrecorded_inside, unrecorded_outside],
        ..
    } = counts;
    let unrecorded = Unrecorded {
        kills,
        inside: unrecorded_inside,
        outside: unrecorded_outside,
    };
    let are_none = inside == 0 && outside == 0 && unrecorded.is_none();
    (!are_none).then_some(Input::SignalCounts {
        container,
        inside,
        outside,
        unrecorded,
    })
}

/// What came of it; a failure is said and counted. That a map is full is said once for all.
fn record_failure<T>(
    result: Result<T, TrackError>,
    update: Update,
    container: CgroupId,
    (tables, sink): (&mut Tables, &mut impl Sink),
) -> Option<T> {
    let result = result.inspect_err(|error| {
        let (container, update_name) = (container.0, update.name());
        match error {
            TrackError::Full { .. } => {
                tracing::debug!(%error, container, update = update_name, "the kernel side has no room");
                tables.suspect();
            }
            TrackError::BeyondShare { .. } => {
                tracing::debug!(%error, container, update = update_name, "the kernel side is not told");
            }
            TrackError::Refused { .. } => {
                tracing::warn!(%error, container, update = update_name, "the kernel side could not be told");
            }
        }
        sink.record_agent_event(&AgentEvent::UpdateFailed(update));
    });
    result.ok()
}

fn cannot_read(error: &TrackError) {
    tracing::warn!(%error, "what the kernel side counted of connections cannot be read");
}

fn signals_of(recorded: &[Signal], beginning: &[Signal]) -> Signals {
    Signals {
        recorded: signal_mask(recorded),
        beginning: signal_mask(beginning),
    }
}

/// The signals as a mask, bit n-1 for signal n.
pub(super) fn signal_mask(signals: &[Signal]) -> u64 {
    signals
        .iter()
        .fold(0, |mask, signal| mask | signal.mask_bit())
}
