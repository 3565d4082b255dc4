//! What is known of one container: takes in facts. Facts are kept, not conclusions, so that their order does not
//! matter; [`crate::termination`] concludes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Limits, Selector};
use crate::event::{CgroupId, Event, EventKind, Exec, Exit, Process as Seen, SignalSent, Tgid};
use crate::input::ProcessFound;
use crate::output::DropReason;
use crate::pod_facts::PodFacts;
use crate::process::{Origin, Process, SignalFact};
use crate::remaining::Remaining;
use crate::report::{MainExit, Subject, SubjectKind};
use crate::signal::Signal;
use crate::spec::Spec;
use crate::time::Timestamp;

mod election;
mod forgetting;
mod inner;

pub(crate) use inner::InnerSignal;
use inner::InnerSignals;

/// OOM kills that are remembered per container.
const OOM_MAX: usize = 16;

/// Exits that are remembered per container for as long as a look at it may not know of them.
const EXITED_MAX: usize = 16;

/// Connections to the port of its hook that are remembered per container.
const CONNECTS_MAX: usize = 64;

/// A process that the OOM killer chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OomVictim {
    /// Its thread group id, or that of one of its threads on kernels that tell a thread.
    pub(crate) pid: u32,
    /// Its `comm`, where the kernel tells it.
    pub(crate) comm: Option<String>,
    pub(crate) at: Timestamp,
}

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) subject: Subject,
    selector: Option<Selector>,
    /// Whether it is a pod's, and pods are told.
    pub(crate) is_pods: bool,
    /// Its pod, if that is known.
    pub(crate) pod: Option<Arc<PodFacts>>,
    /// What it is to be stopped with.
    pub(crate) spec: Spec,
    /// When the engine began to track it.
    pub(crate) tracked_at: Timestamp,
    /// Whether it was there already when the tree was scanned, as opposed to made before our eyes.
    pub(crate) from_scan: bool,
    pub(crate) processes: BTreeMap<Tgid, Process>,
    /// Exited processes that may have been the hook, and whose pid another process has since.
    pub(crate) replaced: Vec<Process>,
    /// Whether one was forgotten that may matter, as there were so many.
    pub(crate) has_forgotten: bool,
    /// The last processes that exited, and when they had started.
    exited: Vec<(Tgid, Timestamp)>,
    /// Processes that the OOM killer chose, by time.
    pub(crate) oom: Vec<OomVictim>,
    /// Signals to processes that are not watched.
    pub(crate) inner: InnerSignals,
    /// When somebody from outside connected to the port of its hook.
    pub(crate) connects: Vec<Timestamp>,
    /// Since when its cgroup is empty or removed.
    pub(crate) released_at: Option<Timestamp>,
    /// Whether its cgroup is removed.
    pub(crate) removed: bool,
    /// What was left of it when that was looked for last and anything was, and when that was.
    pub(crate) remaining: Option<(Timestamp, Remaining)>,
    /// The main process whose termination ended last.
    ended: Option<Ended>,
    pub(crate) signals_inside: u64,
    pub(crate) signals_outside: u64,
    /// Signals between processes of the container that would have been told, had there not been so many.
    pub(crate) unrecorded_inside: u64,
}

/// A main process whose termination is over. It may be stuck in its exit for hours after that.
#[derive(Clone, Copy, Debug)]
struct Ended {
    tgid: Tgid,
    start: Timestamp,
    is_init: bool,
}

/// What the container wants done after it took in a fact.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// Have these watched.
    pub(crate) watch: Vec<Tgid>,
    /// Have its processes looked at.
    pub(crate) inspect: bool,
    /// Another process took the place of the main one after the release.
    pub(crate) reopened: bool,
    /// Something was thrown away.
    pub(crate) dropped: Option<DropReason>,
}

impl Ended {
    /// Whether this process cannot be the next main one: it is the ended one, or runs in what is left of a container whose
    /// init has ended. The next one of that would be an init, too.
    fn rules_out(&self, process: &Process) -> bool {
        let is_same = process.tgid == self.tgid && process.started_like(self.start);
        is_same || (self.is_init && !process.is_init())
    }
}

impl Container {
    pub(crate) fn new(
        subject: Subject,
        selector: Option<Selector>,
        pods_are_told: bool,
        tracked_at: Timestamp,
        from_scan: bool,
    ) -> Self {
        Self {
            is_pods: pods_are_told && subject.pod_uid.is_some(),
            pod: None,
            spec: Spec::new(selector.as_ref(), None, None),
            subject,
            selector,
            tracked_at,
            from_scan,
            processes: BTreeMap::new(),
            replaced: Vec::new(),
            has_forgotten: false,
            exited: Vec::new(),
            oom: Vec::new(),
            inner: InnerSignals::default(),
            connects: Vec::new(),
            released_at: None,
            removed: false,
            remaining: None,
            ended: None,
            signals_inside: 0,
            signals_outside: 0,
            unrecorded_inside: 0,
        }
    }

    pub(crate) const fn id(&self) -> CgroupId {
        self.subject.cgroup
    }

    /// The stop signal, and whether it was configured rather than supposed.
    pub(crate) fn stop_signal(&self) -> (Signal, bool) {
        match self.spec.stop_signal {
            Some(signal) => (signal, true),
            None => (Signal::TERM, false),
        }
    }

    /// Its pod has become known, or has changed.
    pub(crate) fn set_pod(&mut self, pod: Arc<PodFacts>) {
        let id = self.subject.container_id.as_deref();
        let spec = Spec::new(self.selector.as_ref(), Some(&pod), id);
        // The status tells the stop signal of the container that is there now: another image's, perhaps.
        let replaced = id.is_some_and(|id| pod.has_replaced(id));
        let stop_signal = self.spec.stop_signal.filter(|_| replaced);
        self.spec = Spec {
            stop_signal: stop_signal.or(spec.stop_signal),
            ..spec
        };
        self.pod = Some(pod);
        self.forget_needless();
    }

    /// Whether the status of its pod names it.
    pub(crate) fn is_named(&self) -> bool {
        let named = |pod: &Arc<PodFacts>| Some(pod.names(self.subject.container_id.as_deref()?));
        self.pod.as_ref().and_then(named).unwrap_or(false)
    }

    /// Whether nothing more can become known of what it is.
    pub(crate) const fn is_settled(&self) -> bool {
        !self.is_pods || self.spec.name.is_some()
    }

    /// Takes in what the kernel side told of this container; of cgroups only what concerns its topmost one.
    pub(crate) fn take(&mut self, event: &Event, limits: &Limits) -> Wishes {
        let mut wishes = Wishes::default();
        match &event.kind {
            EventKind::Signal(sent) if sent.watched => {
                self.take_signal(sent, event.at, limits, &mut wishes);
            }
            EventKind::Signal(sent) => {
                let outside = sent.sender.container != Some(self.id());
                self.inner.add(InnerSignal::new(sent, event.at, outside));
            }
            EventKind::Exec(exec) => self.take_exec(exec, event.at, limits, &mut wishes),
            EventKind::Exit(exit) => self.take_exit(exit, event.at, limits, &mut wishes),
            EventKind::Attach(seen) => {
                let process = Process::seen(seen, Origin::Entered, event.at);
                self.remember(process, seen.parent_outside, limits, &mut wishes);
            }
            EventKind::CgroupPopulated { populated } => {
                self.released_at = (!populated).then_some(event.at);
                wishes.inspect =
                    *populated && self.processes.values().all(|known| !known.is_alive());
            }
            EventKind::CgroupRemoved => self.remove(event.at),
            EventKind::OomVictim { pid, comm } => {
                // The first one was chosen; with memory.oom.group the kernel kills all others after it.
                if self.oom.len() < OOM_MAX {
                    self.oom.push(OomVictim {
                        pid: *pid,
                        comm: comm.clone(),
                        at: event.at,
                    });
                }
            }
            EventKind::Connect(connect) => {
                let outside = connect.process.container != Some(self.id());
                if outside {
                    if self.connects.len() == CONNECTS_MAX {
                        self.connects.remove(0);
                    }
                    self.connects.push(event.at);
                }
            }
            EventKind::Delivered(delivered) => {
                if let Some(process) = self.of_start(&delivered.process) {
                    process.deliveries.add(delivered, event.at);
                }
            }
            EventKind::CgroupMade { .. } | EventKind::Reset(_) => {}
        }
        wishes
    }

    /// Its cgroup is gone.
    pub(crate) fn remove(&mut self, at: Timestamp) {
        self.removed = true;
        self.released_at = Some(self.released_at.map_or(at, |known| known.min(at)));
    }

    /// Takes in which processes it holds. `lost` says since when facts may be missing.
    pub(crate) fn take_found(
        &mut self,
        found: &[ProcessFound],
        now: Timestamp,
        lost: Option<Timestamp>,
        limits: &Limits,
    ) -> Wishes {
        let mut wishes = Wishes::default();
        for process in found.iter().filter(|process| process.parent_outside) {
            let process = Process::found(process, now);
            // It was there when the container was looked at, and was told to be gone before the look was.
            let is_gone = self
                .exited
                .iter()
                .any(|(tgid, start)| *tgid == process.tgid && process.started_like(*start));
            let tgid = process.tgid;
            if !is_gone && self.remember(process, true, limits, &mut wishes) {
                wishes.watch.push(tgid);
            }
        }
        self.notice_vanished(found, now, lost);
        wishes
    }

    /// After a loss, a main process that is not there any more is gone, although no exit was seen.
    fn notice_vanished(&mut self, found: &[ProcessFound], now: Timestamp, lost: Option<Timestamp>) {
        let Some((main, known_at)) = self.main().map(|main| (main.tgid, main.known_at)) else {
            return;
        };
        let missing = found.iter().all(|process| process.tgid != main);
        if missing
            && lost.is_some_and(|lost| lost >= known_at)
            && let Some(main) = self.processes.get_mut(&main)
            && main.is_alive()
        {
            main.vanished_at = Some(now);
        }
    }

    fn take_signal(
        &mut self,
        sent: &SignalSent,
        at: Timestamp,
        limits: &Limits,
        wishes: &mut Wishes,
    ) {
        let outside =
            sent.sender.container != Some(self.id()) && sent.sender.tgid != sent.target.tgid;
        let meant_to_stop = outside || self.is_control_process(sent.sender.tgid);
        let fact = SignalFact::new(sent, at, outside);
        self.mention(&sent.target, at, limits, wishes);
        let Some(target) = self.of_start(&sent.target) else {
            return;
        };
        if sent.signal == Signal::KILL {
            target.kills.add(fact);
        } else if meant_to_stop && !fact.sender.kernel {
            target.stops.add(fact);
        } else if !fact.sender.kernel && sent.sender.tgid != sent.target.tgid {
            target.from_inside.add(fact);
        } else if fact.sender.kernel {
            target.by_kernel.add(fact);
        }
    }

    /// Whether systemd started this process beside the main one: `ExecStop=` runs inside the service's cgroup, and its
    /// signals are systemd's wish to stop. A hook or a probe of a container does not speak for the runtime.
    fn is_control_process(&self, sender: Tgid) -> bool {
        self.subject.kind == SubjectKind::SystemdService
            && self.main().is_some_and(|main| main.tgid != sender)
            && self
                .processes
                .get(&sender)
                .is_some_and(|process| process.origin == Origin::Entered)
    }

    fn take_exec(&mut self, exec: &Exec, at: Timestamp, limits: &Limits, wishes: &mut Wishes) {
        let known = self.remember(
            Process::seen(&exec.process, Origin::Entered, at),
            exec.process.parent_outside,
            limits,
            wishes,
        );
        if !known {
            return;
        }
        let Some(process) = self.of_start(&exec.process) else {
            return;
        };
        process.take_exec(exec, at);
    }

    fn take_exit(&mut self, exit: &Exit, at: Timestamp, limits: &Limits, wishes: &mut Wishes) {
        if !exit.executed && self.main().is_some() && self.of_start(&exit.process).is_none() {
            // Cloned into the container's cgroup, it was never attached: that it ends is all there is to tell of one that
            // entered and found no program to run.
            let process = Process::seen(&exit.process, Origin::Entered, at);
            self.remember(process, exit.process.parent_outside, limits, wishes);
        } else {
            self.mention(&exit.process, at, limits, wishes);
        }
        if let Some(process) = self.of_start(&exit.process) {
            process.exit = Some(MainExit {
                at,
                status: exit.status,
                rebooted: exit.ns_reboot,
            });
            process.pending_at_exit = exit.pending;
            process.never_ran = !exit.executed;
            if process.origin == Origin::Entered {
                process.comm.clone_from(&exit.process.comm);
            }
        }
        if self.exited.len() == EXITED_MAX {
            self.exited.remove(0);
        }
        self.exited.push((exit.process.tgid, exit.process.start));
        self.forget_others(exit.process.tgid);
    }

    /// The process with this tgid, if it is the one that started then.
    fn of_start(&mut self, seen: &Seen) -> Option<&mut Process> {
        self.processes
            .get_mut(&seen.tgid)
            .filter(|known| known.started_like(seen.start))
    }

    /// Remembers a process that only a signal or an exit told of, if it may be the main one.
    fn mention(&mut self, seen: &Seen, at: Timestamp, limits: &Limits, wishes: &mut Wishes) {
        if self.of_start(seen).is_none() && self.main().is_none() {
            let process = Process::seen(seen, Origin::Mentioned, at);
            self.remember(process, seen.parent_outside, limits, wishes);
        }
    }

    /// Remembers a process. False: it was not, because it is none from outside, is older news than what is known, or
    /// there is no room.
    fn remember(
        &mut self,
        mut process: Process,
        from_outside: bool,
        limits: &Limits,
        wishes: &mut Wishes,
    ) -> bool {
        if let Some(known) = self.processes.get_mut(&process.tgid) {
            if known.started_like(process.start) {
                known.update(process);
                return true;
            }
            if known.start > process.start {
                return false;
            }
        }
        if !from_outside {
            return false;
        }
        if self.processes.len() >= limits.processes_max && !self.make_room() {
            self.has_forgotten = true;
            wishes.dropped = Some(DropReason::ProcessesFull);
            return false;
        }
        process.spent = self.ended.is_some_and(|ended| ended.rules_out(&process));
        let released_before = |released: Timestamp| released < process.start;
        if !process.spent && !self.removed && self.released_at.is_some_and(released_before) {
            self.released_at = None;
            wishes.reopened = true;
        }
        if let Some(replaced) = self.processes.insert(process.tgid, process) {
            self.keep_replaced(replaced);
        }
        true
    }
}
