//! What is known of one container: takes in facts. Facts are kept, not conclusions, so that their order does not
//! matter; [`crate::termination`] concludes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Limits, Selector};
use crate::event::{CgroupId, Event, EventKind, Exec, Exit, Process as Seen, SignalSent, Tgid};
use crate::hook;
use crate::input::ProcessFound;
use crate::output::DropReason;
use crate::process::{Origin, Process, SignalFact};
use crate::report::{MainExit, Subject, SubjectKind};
use crate::signal::Signal;
use crate::time::Timestamp;

mod election;

/// OOM kills that are remembered per container.
const OOM_MAX: usize = 16;

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) subject: Subject,
    pub(crate) spec: Option<Selector>,
    /// When the engine began to track it.
    pub(crate) tracked_at: Timestamp,
    /// Whether it was there already when the tree was scanned, as opposed to made before our eyes.
    pub(crate) from_scan: bool,
    pub(crate) processes: BTreeMap<Tgid, Process>,
    /// Pids that the OOM killer chose, and when.
    pub(crate) oom: Vec<(u32, Timestamp)>,
    /// Since when its cgroup is empty or removed.
    pub(crate) released_at: Option<Timestamp>,
    /// Whether its cgroup is removed.
    pub(crate) removed: bool,
    pub(crate) signals_inside: u64,
    pub(crate) signals_outside: u64,
}

/// What the container wants done after it took in a fact.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// Have these watched.
    pub(crate) watch: Vec<Tgid>,
    /// Have its processes looked at.
    pub(crate) inspect: bool,
    /// Something was thrown away.
    pub(crate) dropped: Option<DropReason>,
}

impl Container {
    pub(crate) fn new(
        subject: Subject,
        spec: Option<Selector>,
        tracked_at: Timestamp,
        from_scan: bool,
    ) -> Self {
        Self {
            subject,
            spec,
            tracked_at,
            from_scan,
            processes: BTreeMap::new(),
            oom: Vec::new(),
            released_at: None,
            removed: false,
            signals_inside: 0,
            signals_outside: 0,
        }
    }

    pub(crate) const fn id(&self) -> CgroupId {
        self.subject.cgroup
    }

    /// The stop signal, and whether it was configured rather than supposed.
    pub(crate) fn stop_signal(&self) -> (Signal, bool) {
        match self.spec.as_ref().and_then(|spec| spec.stop_signal) {
            Some(signal) => (signal, true),
            None => (Signal::TERM, false),
        }
    }

    pub(crate) fn grace(&self) -> Option<Duration> {
        self.spec.as_ref()?.grace
    }

    /// Takes in what the kernel side told of this container; of cgroups only what concerns its topmost one.
    pub(crate) fn take(&mut self, event: &Event, limits: &Limits) -> Wishes {
        let mut wishes = Wishes::default();
        match &event.kind {
            EventKind::Signal(sent) => self.take_signal(sent, event.at, limits, &mut wishes),
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
            EventKind::OomVictim { pid } => {
                if self.oom.len() == OOM_MAX {
                    self.oom.remove(0);
                }
                self.oom.push((*pid, event.at));
            }
            EventKind::CgroupMade { .. } => {}
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
            if self.remember(Process::found(process, now), true, limits, &mut wishes) {
                wishes.watch.push(process.tgid);
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
        } else if !fact.sender.kernel {
            target.stopped_from_inside = true;
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
        let is_hook = self
            .spec
            .as_ref()
            .and_then(|spec| spec.pre_stop.as_ref())
            .is_some_and(|command| hook::matches(command, &exec.argv, exec.argv_cut));
        if !known {
            return;
        }
        let Some(process) = self.of_start(&exec.process) else {
            return;
        };
        if process.exec_at.is_none_or(|last| last <= at) {
            process.exec_at = Some(at);
            process.comm.clone_from(&exec.process.comm);
            process.argv.clone_from(&exec.argv);
        }
        if is_hook {
            process.hook_at = Some(process.hook_at.map_or(at, |first| first.min(at)));
        }
    }

    fn take_exit(&mut self, exit: &Exit, at: Timestamp, limits: &Limits, wishes: &mut Wishes) {
        self.mention(&exit.process, at, limits, wishes);
        if let Some(process) = self.of_start(&exit.process) {
            process.exit = Some(MainExit {
                at,
                status: exit.status,
            });
            if process.origin == Origin::Entered {
                process.comm.clone_from(&exit.process.comm);
            }
        }
        self.forget_others(exit.process.tgid);
    }

    /// A process that exited is of no further use, unless it is the main one or looked like the hook.
    fn forget_others(&mut self, exited: Tgid) {
        let is_main = self.main().is_some_and(|main| main.tgid == exited);
        let is_hook = |process: &Process| process.hook_at.is_some() && !process.spent;
        if !is_main
            && self
                .processes
                .get(&exited)
                .is_some_and(|process| !is_hook(process))
        {
            self.processes.remove(&exited);
        }
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
        process: Process,
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
            wishes.dropped = Some(DropReason::ProcessesFull);
            return false;
        }
        if self
            .released_at
            .is_some_and(|released| released < process.start)
            && !self.removed
        {
            self.released_at = None;
        }
        self.processes.insert(process.tgid, process);
        true
    }

    /// Forgets one process that exited and is not the main one.
    fn make_room(&mut self) -> bool {
        let main = self.main().map(|main| main.tgid);
        let victim = self
            .processes
            .values()
            .filter(|process| Some(process.tgid) != main && !process.is_alive())
            .min_by_key(|process| process.start)
            .map(|process| process.tgid);
        victim.is_some_and(|tgid| self.processes.remove(&tgid).is_some())
    }

    /// The termination is over: what was part of it counts no more.
    pub(crate) fn close_termination(&mut self) {
        self.processes.retain(|_tgid, process| process.is_alive());
        for process in self.processes.values_mut() {
            process.spent = true;
        }
        self.oom.clear();
        self.signals_inside = 0;
        self.signals_outside = 0;
    }

    /// The main process went, and what it left behind is the container now (a daemon that forked).
    pub(crate) fn forget_main(&mut self) {
        if let Some(main) = self.main().map(|main| main.tgid) {
            self.processes.remove(&main);
        }
    }

    /// What looked like the hook was none.
    pub(crate) fn forget_hooks(&mut self) {
        let main = self.main().map(|main| main.tgid);
        self.processes.retain(|tgid, process| {
            process.hook_at.is_none() || process.is_alive() || Some(*tgid) == main
        });
        for process in self.processes.values_mut() {
            process.hook_at = None;
        }
    }

    /// Nothing came of the stop signal: the main process lives on.
    pub(crate) fn forget_stop_signals(&mut self) {
        for process in self.processes.values_mut() {
            process.stops.clear();
        }
    }
}
