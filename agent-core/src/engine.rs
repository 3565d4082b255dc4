//! The owner of all state: which containers there are, what each is waiting for. It routes inputs to containers, keeps
//! the time, and says what follows; what the facts mean is decided in `crate::termination`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::advice::Advisor;
use crate::attribution::Selectors;
use crate::config::{Config, ConfigError, Limits};
use crate::container::{Container, ContainerEffects, Discovery, Means};
use crate::event::{CgroupId, Event, EventKind};
use crate::input::{Input, ProcessFound};
use crate::losses::AllLosses;
use crate::output::{DropReason, Effect, Output};
use crate::pod_facts::Seen;
use crate::purse::Purses;
use crate::sockets::Reasons;
use crate::stop_signals;
use crate::time::Timestamp;

mod kubernetes;
mod pods;
mod shares;
#[cfg(test)]
mod tests;
mod tracked;

use pods::Pods;
use shares::{Outermost, Shares};
use tracked::{Context, TrackedContainer};

/// How often the counter of lost records was looked at where a journal does not tell.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The engine: told things by [`Self::handle`], asked for what it says by [`Self::poll_output`].
///
/// Timeouts that are due run before an input is taken in, each at its own time; so what is said depends on the inputs
/// and their times alone, not on how punctually [`Self::handle_timeout`] is called.
#[derive(Debug)]
pub struct Engine {
    selectors: Selectors,
    containers: BTreeMap<CgroupId, TrackedContainer>,
    shares: Shares,
    deadlines: BTreeSet<(Timestamp, CgroupId)>,
    pods: Pods,
    pods_are_told: bool,
    purses: Purses,
    scan: Scan,
    shared: Shared,
    outputs: VecDeque<Output>,
}

/// What concerns every container.
#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// When records were lost.
    losses: AllLosses,
    /// Number of the next report.
    next_id: u64,
    /// The kernel's reasons for a reset, where connections are counted.
    reasons: Option<Reasons>,
    /// Whether it is answered what is left after an exit.
    remaining: bool,
    /// What the terminations of the workloads advise.
    advisor: Advisor,
}

/// A scan of the tree that is under way.
#[derive(Debug, Default)]
struct Scan {
    started_at: Option<Timestamp>,
    found: BTreeSet<CgroupId>,
}

impl Engine {
    /// An engine that knows of no container yet.
    ///
    /// # Errors
    /// A [`ConfigError`] if a glob, a hook's command or a limit cannot be used.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.limits.validate()?;
        Ok(Self {
            selectors: Selectors::compile(&config)?,
            containers: BTreeMap::new(),
            shares: Shares::default(),
            deadlines: BTreeSet::new(),
            pods: Pods::default(),
            pods_are_told: config.pods,
            purses: Purses::default(),
            scan: Scan::default(),
            shared: Shared {
                limits: config.limits,
                losses: AllLosses::default(),
                next_id: 1,
                reasons: config.reset_reasons.map(Reasons),
                remaining: config.remaining,
                advisor: Advisor::default(),
            },
            outputs: VecDeque::new(),
        })
    }

    /// Tells the engine something. Drain [`Self::poll_output`] afterwards.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        self.handle_timeout(now);
        match input {
            Input::Event(event) => self.take_event(&event, now),
            Input::CgroupFound { cgroup, path, .. } => self.take_scanned(cgroup, &path, now),
            Input::ScanFinished => self.finish_scan(now),
            Input::Tracked { container, since } => self.inform(container, now, |tracked, _| {
                tracked.container.take_tracked(since);
            }),
            Input::Gone { container } => self.inform(container, now, |tracked, _| {
                tracked.container.take_gone(now);
            }),
            Input::Processes {
                container,
                processes,
            } => self.take_processes(container, &processes, now),
            Input::SignalCounts {
                container,
                inside,
                outside,
                unrecorded,
            } => self.inform(container, now, |tracked, _| {
                tracked.container.signals_inside = inside;
                tracked.container.signals_outside = outside;
                tracked.container.unrecorded_inside = unrecorded.inside;
            }),
            Input::Pod {
                pod,
                seen_at: at,
                listed,
            } => self.take_pod(*pod, Seen { at, listed }, now),
            Input::PodGone {
                uid,
                seen_at: at,
                listed,
            } => self.take_pod_gone(&uid, Seen { at, listed }, now),
            Input::Kubelet { event, seen_at } => self.take_word(event, seen_at, now),
            Input::Sockets { container, counts } => {
                self.inform(container, now, |tracked, context| {
                    tracked.take_sockets(*counts, context);
                });
            }
            Input::ProcessLimit { container, limit } => {
                self.inform(container, now, |tracked, _| {
                    tracked.container.process_limit = Some((now, limit));
                });
            }
            Input::Remaining {
                container,
                remaining,
            } => self.inform(container, now, |tracked, context| {
                tracked.take_remaining(remaining, context);
            }),
            Input::Endpoint {
                uid,
                state,
                seen_at,
            } => self.take_endpoint(uid, state, seen_at, now),
            Input::Lost {
                records: _,
                outermost,
                between,
            } => self.take_lost(outermost, between, now),
            Input::Shutdown => self.shut_down(now),
        }
    }

    /// When to call [`Self::handle_timeout`], if nothing is handled before.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Tells the engine that it is `now`. Drain [`Self::poll_output`] afterwards.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((due, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_first();
            self.inform(id, due, |tracked, context| {
                tracked.handle_timeout(context);
            });
        }
    }

    /// The next thing that the engine says.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn take_event(&mut self, event: &Event, now: Timestamp) {
        match &event.kind {
            EventKind::CgroupMade { path, .. } => {
                self.expect(event.cgroup, path);
                let from_birth = event.container == Some(event.cgroup);
                let seen = if from_birth {
                    Discovery::FromBirth(event.at)
                } else {
                    Discovery::Made(event.at)
                };
                self.start_tracking(event.cgroup, path, seen, now);
                if from_birth && !self.containers.contains_key(&event.cgroup) {
                    let container = event.cgroup;
                    self.queue_output(Output::Effect(Effect::Untrack { container }));
                }
            }
            EventKind::OomVictim { pid, .. } => {
                if let Some(id) = self.container_of_event(event).or_else(|| self.holder(*pid)) {
                    self.deliver_event(id, event, now);
                }
            }
            EventKind::CgroupRemoved | EventKind::CgroupPopulated { .. } => {
                if self.containers.contains_key(&event.cgroup) {
                    self.deliver_event(event.cgroup, event, now);
                }
            }
            EventKind::Connect(_) => {
                // Its cgroup may be that of who connects.
                let awaiting = event.container;
                self.pass_or_drop(awaiting, event, now);
            }
            EventKind::Reset(_)
            | EventKind::Signal(_)
            | EventKind::Delivered(_)
            | EventKind::Exec(_)
            | EventKind::Exit(_)
            | EventKind::Attach(_) => self.pass_or_drop(self.container_of_event(event), event, now),
        }
    }

    fn pass_or_drop(&mut self, id: Option<CgroupId>, event: &Event, now: Timestamp) {
        match id.filter(|id| self.containers.contains_key(id)) {
            Some(id) => self.deliver_event(id, event, now),
            None => self.queue_output(Output::Dropped {
                reason: DropReason::ContainerUnknown,
                at: now,
            }),
        }
    }

    fn deliver_event(&mut self, id: CgroupId, event: &Event, now: Timestamp) {
        self.update_container(id, now, |tracked, context| {
            tracked.apply_event(event, context)
        });
        let exit = self
            .containers
            .get(&id)
            .and_then(TrackedContainer::main_exit);
        if let Some((pod, exited)) = exit
            && self.pods.note_exit(pod, exited)
        {
            let key = pod.to_owned();
            self.refresh(&key, now);
        }
    }

    /// The container that an event is about. The kernel side may name a surrounding one until it has learned of one
    /// inside, so the very cgroup counts first.
    fn container_of_event(&self, event: &Event) -> Option<CgroupId> {
        [Some(event.cgroup), event.container]
            .into_iter()
            .flatten()
            .find(|id| self.containers.contains_key(id))
    }

    /// The container that this process is known in.
    fn holder(&self, pid: u32) -> Option<CgroupId> {
        let holds = |tracked: &&TrackedContainer| {
            let mut known = tracked.container.processes.keys();
            known.any(|tgid| tgid.0 == pid)
        };
        let tracked = self.containers.values().find(holds)?;
        Some(tracked.container.id())
    }

    /// Has containers tracked from their birth that are made in this cgroup, if any are likely to be.
    fn expect(&mut self, cgroup: CgroupId, path: &str) {
        if let Some((names, stop_signal)) = self.selectors.expected(path) {
            self.queue_output(Output::Effect(Effect::Expect {
                cgroup,
                path: path.to_owned(),
                names,
                signals: stop_signals::recorded(stop_signal),
                begins: stop_signals::beginning(stop_signal),
                outermost: self.shares.shared(&self.selectors, path),
            }));
        }
    }

    fn take_scanned(&mut self, cgroup: CgroupId, path: &str, now: Timestamp) {
        self.expect(cgroup, path);
        self.scan.started_at.get_or_insert(now);
        if self.start_tracking(cgroup, path, Discovery::Found, now)
            || self.containers.contains_key(&cgroup)
        {
            self.scan.found.insert(cgroup);
        }
    }

    /// Containers that the scan did not find are gone, but for those that appeared while it went on.
    fn finish_scan(&mut self, now: Timestamp) {
        let scan = std::mem::take(&mut self.scan);
        let started_at = scan.started_at.unwrap_or(now);
        let tracked = self.containers.values().map(|tracked| &tracked.container);
        let gone: Vec<CgroupId> = tracked
            .filter(|container| !container.removed && container.tracked_at < started_at)
            .map(Container::id)
            .filter(|id| !scan.found.contains(id))
            .collect();
        for id in gone {
            self.inform(id, now, |tracked, _| {
                tracked.container.remove(now);
            });
        }
    }

    fn take_processes(&mut self, id: CgroupId, found: &[ProcessFound], now: Timestamp) {
        self.update_container(id, now, |tracked, context| {
            tracked.looked_at = Some(now);
            tracked
                .container
                .take_found(found, now, context.losses, context.limits)
        });
    }

    /// Whatever they may be about and is open may lack facts, and so may what opens soon. Exits may be among the lost.
    fn take_lost(
        &mut self,
        outermost: Option<CgroupId>,
        between: Option<(Timestamp, Timestamp)>,
        now: Timestamp,
    ) {
        let (since, until) = between.unwrap_or((now.before(LOOK_INTERVAL), now));
        match outermost {
            Some(outermost) => {
                let losses = &mut self.shared.losses;
                if !self.shares.has_container_in(outermost) {
                    losses.forget_untracked(now, |id| self.shares.has_container_in(id));
                }
                losses.add_of(outermost, since, until);
            }
            None => self.shared.losses.add(since, until),
        }
        let at_once = outermost.is_none();
        self.queue_output(Output::Effect(Effect::Rescan { at_once }));
        let concerned =
            |tracked: &&TrackedContainer| outermost.is_none_or(|id| tracked.outermost == id);
        let concerned = self.containers.values().filter(concerned);
        let ids: Vec<CgroupId> = concerned.map(|tracked| tracked.container.id()).collect();
        for id in ids {
            self.update_container(id, now, |_tracked, _context| ContainerEffects {
                inspect: true,
                ..ContainerEffects::default()
            });
        }
    }

    fn shut_down(&mut self, now: Timestamp) {
        let ids: Vec<CgroupId> = self.containers.keys().copied().collect();
        for id in ids {
            self.inform(id, now, |tracked, context| {
                tracked.shut_down(context);
            });
        }
    }

    /// Begins to track a cgroup if it is a subject that is not tracked yet. Returns whether it did.
    fn start_tracking(
        &mut self,
        cgroup: CgroupId,
        path: &str,
        seen: Discovery,
        now: Timestamp,
    ) -> bool {
        if self.containers.contains_key(&cgroup) {
            return false;
        }
        let Some(subject) = self.selectors.subject(cgroup, path) else {
            return false;
        };
        let outer_path = self.selectors.outermost(path).unwrap_or(path);
        // An older container may have had the very path.
        let outer = self
            .shares
            .tracked(outer_path)
            .filter(|_| outer_path != path);
        let outermost = Outermost {
            id: outer.unwrap_or(cgroup),
            path: outer_path,
        };
        if let Some(reason) = self.lacks_room(outermost) {
            self.shares.note_missed();
            self.queue_output(Output::Dropped { reason, at: now });
            return false;
        }
        self.queue_output(Output::Tracked {
            subject: subject.clone(),
            added: true,
        });
        let selector = self.selectors.selector(path).cloned();
        let pod = subject.pod_uid.clone();
        let means = Means {
            purse: self.purses.get_or_create_purse(outer_path),
            is_inner: outer_path != path,
            pods_are_told: self.pods_are_told,
        };
        let container = Container::new(subject, selector, means, now, seen);
        let tracked = TrackedContainer::new(container, outermost.id);
        self.queue_output(tracked.track_effect());
        self.containers.insert(cgroup, tracked);
        self.shares.add(path, cgroup, outermost);
        self.track_inner_again(path);
        if let Some(key) = pod.filter(|_| self.pods_are_told) {
            if self.assign_container(cgroup, &key) {
                self.refresh(&key, now);
            } else {
                self.tell_pod(cgroup, &key, now);
            }
        }
        true
    }

    /// Why there is no room for one more container in this outermost one.
    fn lacks_room(&self, outermost: Outermost<'_>) -> Option<DropReason> {
        let (tracked, max) = (self.containers.len(), self.shared.limits.containers_max);
        if tracked >= max {
            Some(DropReason::ContainersFull)
        } else if !self.shares.has_room(outermost, tracked, max) {
            Some(DropReason::ContainersShare)
        } else {
            None
        }
    }

    /// Whoever tracks a container takes all below it; containers inside that are tracked already get their own again.
    fn track_inner_again(&mut self, path: &str) {
        for id in self.shares.inside(path) {
            let Some(tracked) = self.containers.get_mut(&id) else {
                continue;
            };
            if tracked.container.removed {
                continue;
            }
            let outer_path = self.selectors.outermost(&tracked.container.subject.path);
            let outermost = outer_path.and_then(|path| self.shares.tracked(path));
            if let Some(outermost) = outermost.filter(|id| *id != tracked.outermost) {
                self.shares.move_to(tracked.outermost, outermost);
                tracked.outermost = outermost;
            }
            self.outputs.push_back(tracked.track_effect());
        }
    }

    /// Lets a container do something, and then carries out what follows from it.
    fn update_container(
        &mut self,
        id: CgroupId,
        now: Timestamp,
        act: impl FnOnce(&mut TrackedContainer, &mut Context<'_>) -> ContainerEffects,
    ) {
        let Some(tracked) = self.containers.get_mut(&id) else {
            return;
        };
        let deadline_before = tracked.deadline;
        let mut context = Context {
            now,
            limits: &self.shared.limits,
            losses: self.shared.losses.for_outermost(tracked.outermost),
            next_id: &mut self.shared.next_id,
            reasons: self.shared.reasons.as_ref(),
            remaining: self.shared.remaining,
            advisor: &mut self.shared.advisor,
            outputs: &mut self.outputs,
        };
        let effects = act(tracked, &mut context);
        tracked.emit_effects(effects, &mut context);
        tracked.update(&mut context);
        let (deadline, gone) = (tracked.deadline, tracked.is_gone());
        if let Some(before) = deadline_before {
            self.deadlines.remove(&(before, id));
        }
        if gone {
            self.forget(id);
        } else if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
    }

    /// Tells a container something of which no effect follows.
    fn inform(
        &mut self,
        id: CgroupId,
        now: Timestamp,
        act: impl FnOnce(&mut TrackedContainer, &mut Context<'_>),
    ) {
        self.update_container(id, now, |tracked, context| {
            act(tracked, context);
            ContainerEffects::default()
        });
    }

    fn forget(&mut self, id: CgroupId) {
        if let Some(tracked) = self.containers.remove(&id) {
            let subject = tracked.container.into_subject();
            let path = subject.path.as_str();
            let outer_path = self.selectors.outermost(path).unwrap_or(path);
            let outermost = Outermost {
                id: tracked.outermost,
                path: outer_path,
            };
            if self.shares.remove(path, id, outermost) {
                self.shared.losses.forget(outermost.id);
            }
            self.purses.release(outer_path);
            let pod = subject.pod_uid.clone();
            self.queue_output(Output::Tracked {
                subject,
                added: false,
            });
            let limits = &self.shared.limits;
            if self.shares.take_missed(self.containers.len(), limits) {
                self.queue_output(Output::Effect(Effect::Rescan { at_once: false }));
            }
            if let Some(key) = pod {
                self.release_pod(&key);
            }
        }
    }

    fn queue_output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
