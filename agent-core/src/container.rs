//! What is known of one container: takes in facts. Facts are kept, not conclusions, so that their order does not
//! matter; [`crate::termination`] concludes.

use std::sync::Arc;
use std::time::Duration;

use crate::attribution;
use crate::command_line::CommandLine;
use crate::config::{Limits, Selector};
use crate::event::{
    CgroupId, Delivery, Event, EventKind, Exec, Exit, ExitStatus, Process as Seen, SignalSent, Tgid,
};
use crate::input::{ProcessFound, ProcessLimit};
use crate::losses::LossesOf;
use crate::output::DropReason;
use crate::pod_facts::PodFacts;
use crate::process::{Origin, Process, SignalFact};
use crate::purse::Purse;
use crate::remaining::Remaining;
use crate::report::{MainExit, Subject, SubjectKind};
use crate::signal::Signal;
use crate::spec::Spec;
use crate::stop_signals;
use crate::time::Timestamp;

mod election;
mod forgetting;
mod inner;
mod oom;
mod processes;

pub(crate) use election::Succession;
pub(crate) use inner::InnerSignal;
use inner::InnerSignals;
pub(crate) use oom::OomVictim;
use oom::OomVictims;
use processes::{Changed, Processes};

/// Exits that are remembered per container for as long as a look at it may not know of them.
const EXITED_MAX: usize = 16;

/// Signals of one kind to the main process that are kept though the share of its outermost container is used up.
const SIGNALS_WITHOUT_ROOM: usize = 32;

/// Connections to the port of its hook that are remembered per container.
const CONNECTS_MAX: usize = 64;

/// Threads that the runtime's process needs before it executes a program: with fewer left, the limit of processes ends it. Those of runc,
/// whose threads are gone when the limit is read; a container that is so near to its limit and was refused processes before
/// may be told to have met it although another reason ended the hook.
const THREADS_OF_RUNTIME: u64 = 8;

/// How soon after the exit of a process its limit must have been read; the agent does it at once.
const LIMIT_READ_WITHIN: Duration = Duration::from_secs(1);

/// A container.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, as they became known"
)]
pub(crate) struct Container {
    pub(crate) subject: Subject,
    selector: Option<Selector>,
    /// What it and all others in its outermost container may take of the memory.
    purse: Arc<Purse>,
    /// Whether it lies in another container.
    is_inner: bool,
    /// Whether it lies where a pod's containers do, be it in another container.
    lies_in_pod: bool,
    /// Whether it is a pod's, and pods are told.
    pub(crate) is_pods: bool,
    /// Its pod, if that is known.
    pub(crate) pod: Option<Arc<PodFacts>>,
    /// What it is to be stopped with.
    pub(crate) spec: Spec,
    /// When the engine began to track it.
    pub(crate) tracked_at: Timestamp,
    pub(crate) seen: Discovery,
    /// Until when its events were not told, if they were not from its birth. What was there by then and is not known is *not
    /// seen*, as opposed to *not there*.
    pub(crate) unseen_until: Option<Timestamp>,
    /// Whether it was gone before it was tracked.
    pub(crate) was_gone: bool,
    /// Whether any process is known to have been in it.
    pub(crate) was_populated: bool,
    pub(crate) processes: Processes,
    /// Exited processes that may have been the hook, and whose pid another process has since.
    pub(crate) replaced: Vec<Process>,
    /// Whether one was forgotten that may matter, as there were so many.
    pub(crate) has_forgotten: bool,
    /// Whether a signal was thrown away, as its outermost container has used up its share.
    pub(crate) has_forgotten_signals: bool,
    /// The last processes that exited, and when they had started.
    exited: Vec<(Tgid, Timestamp)>,
    /// Processes that the OOM killer chose, by time.
    pub(crate) oom: OomVictims,
    /// Whether the main process is one that was there before the last one went: what a daemon left behind, or a visitor.
    main_was_found: bool,
    /// Whether a stop signal was forgotten of which nothing had come for so long, though no grace period is known.
    pub(crate) gave_up: bool,
    /// Whether the main process may be one that only ran before or after it.
    pub(crate) main_is_doubtful: bool,
    /// Signals to processes that are not watched.
    pub(crate) inner: InnerSignals,
    /// When somebody from outside connected to the port of its hook.
    pub(crate) connects: Vec<Timestamp>,
    /// Since when its cgroup is empty or removed.
    pub(crate) released_at: Option<Timestamp>,
    /// When its cgroup became empty last, be it in use again or not.
    emptied_at: Option<Timestamp>,
    /// Whether its cgroup is removed.
    pub(crate) removed: bool,
    /// How near it was to its limit of processes when that was read last, and when that was.
    pub(crate) process_limit: Option<(Timestamp, ProcessLimit)>,
    /// What was left of it when that was looked for last and anything was.
    pub(crate) remaining: Option<Left>,
    /// The main process whose termination ended last.
    ended: Option<Ended>,
    /// Its command line, if it was certain that it was the main process.
    ended_argv: Option<CommandLine>,
    pub(crate) signals_inside: u64,
    pub(crate) signals_outside: u64,
    /// Signals between processes of the container that would have been told, had there not been so many.
    pub(crate) unrecorded_inside: u64,
}

/// What a container is given from outside when it becomes known.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) purse: Arc<Purse>,
    pub(crate) is_inner: bool,
    pub(crate) pods_are_told: bool,
}

/// What was left of a container at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// When that was found.
    pub(crate) at: Timestamp,
    /// Since when each look found the main process in the middle of its exit.
    pub(crate) exiting_since: Option<Timestamp>,
    /// What it was.
    pub(crate) remaining: Remaining,
}

/// A main process whose termination is over. It may be stuck in its exit for hours after that.
#[derive(Clone, Copy, Debug)]
struct Ended {
    tgid: Tgid,
    start: Timestamp,
    is_init: bool,
    /// When it exited, if that was seen.
    exited_at: Option<Timestamp>,
}

/// How it became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// It was there already when the tree was scanned.
    Found,
    /// It was made before our eyes at this time.
    Made(Timestamp),
    /// The same, and the kernel side tracked it at once.
    FromBirth(Timestamp),
}

impl Discovery {
    /// When it was made, if that was seen.
    pub(crate) const fn made_at(self) -> Option<Timestamp> {
        match self {
            Self::Found => None,
            Self::Made(at) | Self::FromBirth(at) => Some(at),
        }
    }
}

/// What the container wants done after it took in a fact.
#[derive(Debug, Default)]
pub(crate) struct ContainerEffects {
    /// Have these watched.
    pub(crate) watch: Vec<Tgid>,
    /// Have its processes looked at.
    pub(crate) inspect: bool,
    /// Have its limit of processes read.
    pub(crate) process_limit: bool,
    /// Another process took the place of the main one after the release.
    pub(crate) reopened: bool,
    /// Something was thrown away.
    pub(crate) dropped: Option<DropReason>,
}

impl Ended {
    /// Whether this process cannot be the next main one: it is the ended one, it was there before that ended, or it runs in what
    /// is left of a container whose init has ended. The next one of that would be an init, too.
    fn rules_out(&self, process: &Process) -> bool {
        let is_same = process.tgid == self.tgid && process.started_like(self.start);
        let start = process.latest_start();
        let was_there = self.exited_at.is_some_and(|exit| start < exit);
        is_same || was_there || (self.is_init && !process.is_init())
    }
}

impl Container {
    pub(crate) fn new(
        subject: Subject,
        selector: Option<Selector>,
        means: Means,
        tracked_at: Timestamp,
        seen: Discovery,
    ) -> Self {
        Self {
            purse: means.purse,
            is_inner: means.is_inner,
            lies_in_pod: attribution::lies_in_pod(&subject.path),
            is_pods: means.pods_are_told && subject.pod_uid.is_some(),
            pod: None,
            spec: Spec::new(selector.as_ref(), None, None),
            subject,
            selector,
            tracked_at,
            seen,
            unseen_until: None,
            was_gone: false,
            was_populated: false,
            processes: Processes::default(),
            replaced: Vec::new(),
            has_forgotten: false,
            has_forgotten_signals: false,
            exited: Vec::new(),
            oom: OomVictims::default(),
            main_was_found: false,
            main_is_doubtful: false,
            gave_up: false,
            ended_argv: None,
            inner: InnerSignals::default(),
            connects: Vec::new(),
            released_at: None,
            emptied_at: None,
            removed: false,
            process_limit: None,
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

    /// It is forgotten, and with it what it took of the memory.
    pub(crate) fn into_subject(self) -> Subject {
        self.subject
    }

    /// The stop signal, and whether it was configured rather than supposed.
    pub(crate) fn stop_signal(&self) -> (Signal, bool) {
        match self.spec.stop_signal {
            Some(signal) => (signal, true),
            None => (Signal::TERM, false),
        }
    }

    /// The pod that its path names has become known, or has changed: it is its own if the status says so.
    pub(crate) fn set_pod(&mut self, pod: Arc<PodFacts>) {
        let id = self.subject.container_id.as_deref();
        let cgroup = self.id();
        self.pod = id
            .is_some_and(|id| pod.vouches_for(id, cgroup))
            .then_some(pod);
        let pod = self.pod.as_deref();
        let spec = Spec::new(self.selector.as_ref(), pod, id);
        // The status tells the stop signal of the container that is there now: another image's, perhaps.
        let replaced = |pod: &PodFacts| id.is_some_and(|id| pod.has_replaced(id));
        let replaced = pod.is_some_and(replaced);
        let stop_signal = self.spec.stop_signal.filter(|_| replaced);
        self.spec = Spec {
            stop_signal: stop_signal.or(spec.stop_signal),
            ..spec
        };
        self.forget_needless();
    }

    /// Whether the status of its pod names it.
    pub(crate) fn is_named(&self) -> bool {
        let named =
            |pod: &Arc<PodFacts>| Some(pod.names_container(self.subject.container_id.as_deref()?));
        self.pod.as_ref().and_then(named).unwrap_or(false)
    }

    /// Whether nothing more can become known of what it is.
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_pods || (self.spec.name.is_some() && self.is_named())
    }

    /// Takes in what the kernel side told of this container; of cgroups only what concerns its topmost one.
    pub(crate) fn apply_event(&mut self, event: &Event, limits: &Limits) -> ContainerEffects {
        let mut effects = ContainerEffects::default();
        self.was_populated |= !matches!(event.kind, EventKind::CgroupRemoved);
        match &event.kind {
            EventKind::Signal(sent) if sent.watched => {
                self.take_signal(sent, event.at, limits, &mut effects);
            }
            EventKind::Signal(sent) => {
                let outside = sent.sender.container != Some(self.id());
                self.inner.add(InnerSignal::new(sent, event.at, outside));
            }
            EventKind::Exec(exec) => self.take_exec(exec, event.at, limits, &mut effects),
            EventKind::Exit(exit) => self.take_exit(exit, event.at, limits, &mut effects),
            EventKind::Attach(seen) => {
                let process = Process::from_seen(seen, Origin::Entered, event.at);
                self.remember(process, seen.parent_outside, limits, &mut effects);
            }
            EventKind::CgroupPopulated { populated } => {
                self.released_at = (!populated).then_some(event.at);
                self.emptied_at = self.released_at.or(self.emptied_at);
                effects.inspect =
                    *populated && self.processes.values().all(|known| !known.is_alive());
            }
            EventKind::CgroupRemoved => self.remove(event.at),
            EventKind::OomVictim { pid, comm } => self.oom.add(OomVictim {
                pid: *pid,
                comm: comm.clone(),
                at: event.at,
            }),
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
                if let Some(mut process) = self.of_start(&delivered.process) {
                    process.deliveries.add(delivered, event.at);
                }
            }
            EventKind::CgroupMade { .. } | EventKind::Reset(_) => {}
        }
        effects
    }

    /// The kernel side tells of it from then on, if it did not before.
    pub(crate) fn take_tracked(&mut self, since: Timestamp) {
        if !matches!(self.seen, Discovery::FromBirth(_)) {
            self.unseen_until = self.unseen_until.or(Some(since));
        }
    }

    /// It was gone when it was to be tracked. What was told from its birth tells of its end, too.
    pub(crate) fn take_gone(&mut self, now: Timestamp) {
        if !matches!(self.seen, Discovery::FromBirth(_)) && self.unseen_until.is_none() {
            self.was_gone = true;
            self.remove(now);
        }
    }

    /// Its cgroup is gone.
    pub(crate) fn remove(&mut self, at: Timestamp) {
        self.removed = true;
        self.released_at = Some(self.released_at.map_or(at, |known| known.min(at)));
    }

    /// Takes in what is left of it.
    pub(crate) fn take_remaining(&mut self, remaining: Remaining, at: Timestamp) {
        let is_exiting = remaining.main.as_ref().is_some_and(|main| main.exiting);
        let before = self.remaining.as_ref();
        let since = before.and_then(|left| left.exiting_since).unwrap_or(at);
        if remaining.main.is_some() || !remaining.others.is_empty() {
            self.remaining = Some(Left {
                at,
                exiting_since: is_exiting.then_some(since),
                remaining,
            });
        }
    }

    /// Takes in which processes it holds. `losses` say when facts may be missing.
    pub(crate) fn take_found(
        &mut self,
        found: &[ProcessFound],
        now: Timestamp,
        losses: LossesOf<'_>,
        limits: &Limits,
    ) -> ContainerEffects {
        let mut effects = ContainerEffects::default();
        self.was_populated |= !found.is_empty();
        for process in found.iter().filter(|process| process.parent_outside) {
            let process = Process::from_found(process, now, &self.purse);
            // It was there when the container was looked at, and was told to be gone before the look was.
            let is_gone = self
                .exited
                .iter()
                .any(|(tgid, start)| *tgid == process.tgid && process.started_like(*start));
            let tgid = process.tgid;
            if !is_gone && self.remember(process, true, limits, &mut effects) {
                effects.watch.push(tgid);
            }
        }
        self.notice_vanished(found, now, losses);
        effects
    }

    /// After a loss, a main process that is not there any more is gone, although no exit was seen.
    fn notice_vanished(&mut self, found: &[ProcessFound], now: Timestamp, losses: LossesOf<'_>) {
        let Some((main, known_at)) = self.main().map(|main| (main.tgid, main.known_at)) else {
            return;
        };
        let missing = found.iter().all(|process| process.tgid != main);
        if missing
            && losses.may_be_since(known_at)
            && let Some(mut main) = self.processes.get_mut(main)
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
        effects: &mut ContainerEffects,
    ) {
        let outside =
            sent.sender.container != Some(self.id()) && sent.sender.tgid != sent.target.tgid;
        let by_control = !outside
            && [sent.sender.tgid, sent.sender.parent_tgid]
                .into_iter()
                .any(|sender| self.is_control_process(sender));
        let meant_to_stop = outside || by_control;
        self.heed_systemd(sent);
        let fact = SignalFact {
            by_control,
            ..SignalFact::new(sent, at, outside)
        };
        self.mention(&sent.target, at, limits, effects);
        let charge = self.purse.reserve(SignalFact::memory_size());
        let is_main = charge.is_none()
            && self
                .main()
                .is_some_and(|main| main.is_same_process(&sent.target));
        let Some(mut target) = self.of_start(&sent.target) else {
            return;
        };
        let signals = if sent.signal == Signal::KILL {
            &mut target.kills
        } else if meant_to_stop && !fact.sender.kernel {
            &mut target.stops
        } else if fact.sender.kernel {
            &mut target.by_kernel
        } else if sent.sender.tgid != sent.target.tgid {
            &mut target.from_inside
        } else {
            if sent.result != Delivery::Ignored {
                target.raised = Some(sent.signal);
            }
            return;
        };
        let is_kept = charge.is_some() || (is_main && signals.len() < SIGNALS_WITHOUT_ROOM);
        if is_kept {
            signals.add(fact, charge);
        }
        drop(target);
        self.has_forgotten_signals |= !is_kept;
    }

    /// systemd stops the main process first. Of several that were found in a service, the one to which it sends a stop signal is
    /// the main one; what is older was left behind by an earlier one (`KillMode=process`).
    fn heed_systemd(&mut self, sent: &SignalSent) {
        let of_service = self.subject.kind == SubjectKind::SystemdService;
        let is_systemds = sent.sender.tgid == Tgid(1) && stop_signals::may_stop(sent.signal);
        if !of_service || !is_systemds {
            return;
        }
        let target = sent.target.tgid;
        let is_led_astray = self.main().is_some_and(|main| {
            let is_untold = main.stops.len() == 0 && main.is_alive();
            main.tgid != target && main.origin == Origin::Found && is_untold
        });
        let is_candidate = self.processes.get(&target).is_some_and(|known| {
            known.is_same_process(&sent.target)
                && known.is_alive()
                && !known.spent
                && known.origin == Origin::Found
        });
        if is_led_astray && is_candidate {
            self.processes
                .change_all(|process| process.spent |= process.tgid != target);
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

    fn take_exec(
        &mut self,
        exec: &Exec,
        at: Timestamp,
        limits: &Limits,
        effects: &mut ContainerEffects,
    ) {
        let known = self.remember(
            Process::from_seen(&exec.process, Origin::Entered, at),
            exec.process.parent_outside,
            limits,
            effects,
        );
        if !known {
            return;
        }
        let purse = Arc::clone(&self.purse);
        let Some(mut process) = self.of_start(&exec.process) else {
            return;
        };
        let is_kept = process.take_exec(exec, at, &purse);
        drop(process);
        self.has_forgotten |= !is_kept;
    }

    fn take_exit(
        &mut self,
        exit: &Exit,
        at: Timestamp,
        limits: &Limits,
        effects: &mut ContainerEffects,
    ) {
        if !exit.executed && self.main().is_some() && self.of_start(&exit.process).is_none() {
            // Cloned into the container's cgroup, it was never attached: that it ends is all there is to tell of one that
            // entered and found no program to run.
            let process = Process::from_seen(&exit.process, Origin::Entered, at);
            self.remember(process, exit.process.parent_outside, limits, effects);
        } else {
            self.mention(&exit.process, at, limits, effects);
        }
        if let Some(mut process) = self.of_start(&exit.process) {
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
        effects.process_limit = self.may_have_met_limit(&exit.process);
        if self.exited.len() == EXITED_MAX {
            self.exited.remove(0);
        }
        self.exited.push((exit.process.tgid, exit.process.start));
        self.forget_others(exit.process.tgid);
    }

    /// The limit of processes that was reached right after a process exited at this time, if one was.
    pub(crate) fn limit_at(&self, exited_at: Timestamp) -> Option<ProcessLimit> {
        let (read_at, limit) = self.process_limit?;
        let is_reached = limit.refused > 0 && limit.current + THREADS_OF_RUNTIME >= limit.max;
        let is_soon = read_at >= exited_at && read_at.since(exited_at) <= LIMIT_READ_WITHIN;
        (is_reached && is_soon).then_some(limit)
    }

    /// Whether this process, which exited, may have been a hook that failed because of a limit of processes.
    fn may_have_met_limit(&self, seen: &Seen) -> bool {
        let hook = self.spec.hook_command();
        let process = self.processes.get(&seen.tgid);
        process.is_some_and(|process| {
            let failed = process
                .exit
                .as_ref()
                .is_some_and(|exit| exit.status != ExitStatus::Code(0));
            let is_hook = hook.is_some_and(|command| process.hook_at(command).is_some());
            failed
                && (is_hook || (process.failed_to_run() && (hook.is_some() || !self.is_settled())))
        })
    }

    /// Whether this process entered from outside, as far as is remembered.
    pub(crate) fn has_entered(&self, tgid: Tgid) -> bool {
        self.processes.contains_key(&tgid) || self.exited.iter().any(|(one, _)| *one == tgid)
    }

    /// Whether the hook sent this signal, or a process that it started.
    pub(crate) fn is_from_hook(&self, fact: &SignalFact) -> bool {
        let Some(command) = self.spec.hook_command() else {
            return false;
        };
        let is_hook = |tgid: &Tgid| {
            let process = self.processes.get(tgid);
            process.is_some_and(|process| process.hook_at(command).is_some())
        };
        [fact.sender.tgid, fact.sender_parent].iter().any(is_hook)
    }

    /// Whether a command that entered beside this main process sent this signal, and is not the hook.
    pub(crate) fn is_from_visitor(&self, main: &Process, fact: &SignalFact) -> bool {
        let sender = fact.sender.tgid;
        sender != main.tgid && self.has_entered(sender) && !self.is_from_hook(fact)
    }

    /// The process with this tgid, if it is the one that started then.
    fn of_start(&mut self, seen: &Seen) -> Option<Changed<'_>> {
        self.processes
            .get_mut(seen.tgid)
            .filter(|known| known.started_like(seen.start))
    }

    /// Remembers a process that only a signal or an exit told of, if it may be the main one.
    fn mention(
        &mut self,
        seen: &Seen,
        at: Timestamp,
        limits: &Limits,
        effects: &mut ContainerEffects,
    ) {
        if self.of_start(seen).is_none() && self.main().is_none() {
            let process = Process::from_seen(seen, Origin::Mentioned, at);
            self.remember(process, seen.parent_outside, limits, effects);
        }
    }

    /// Remembers a process. False: it was not, because it is none from outside, is older news than what is known, or
    /// there is no room.
    fn remember(
        &mut self,
        process: Process,
        from_outside: bool,
        limits: &Limits,
        effects: &mut ContainerEffects,
    ) -> bool {
        if let Some(known) = self.processes.get(&process.tgid) {
            if known.started_like(process.start) {
                self.update(process, effects);
                return true;
            }
            if known.start > process.start {
                return false;
            }
        }
        if !from_outside {
            return false;
        }
        let Some(charge) = self.find_room(limits) else {
            self.has_forgotten = true;
            effects.dropped = Some(DropReason::ProcessesFull);
            return false;
        };
        let mut process = process.charged(charge);
        process.spent = self.ended.is_some_and(|ended| ended.rules_out(&process));
        if !process.spent {
            self.reopen(process.start, effects);
        }
        if let Some(replaced) = self.processes.insert(process) {
            self.keep_replaced(replaced);
        }
        true
    }

    /// Takes over what a later look at a process told. If it was only found, and the last termination was closed in between, it was
    /// taken for a part of that: where it turns out to have entered from outside, it may be the next main process all the same.
    fn update(&mut self, process: Process, effects: &mut ContainerEffects) {
        let ended = self.ended.filter(|_ended| !self.is_of_runtime());
        let Some(mut known) = self.processes.get_mut(process.tgid) else {
            return;
        };
        let was_entered = known.origin == Origin::Entered;
        known.update(process);
        let enters = !was_entered && known.origin == Origin::Entered;
        let comes_next = ended.filter(|ended| enters && !ended.rules_out(&known));
        if known.spent && comes_next.is_some() {
            known.spent = false;
            let start = known.start;
            drop(known);
            self.reopen(start, effects);
        }
    }

    /// A process that may be the next main one started then: the cgroup that was released before is in use again.
    fn reopen(&mut self, start: Timestamp, effects: &mut ContainerEffects) {
        let released_before = |released: Timestamp| released < start;
        if !self.removed && self.released_at.is_some_and(released_before) {
            self.released_at = None;
            effects.reopened = true;
        }
    }
}
