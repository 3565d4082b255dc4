//! What is known of one process of a container: who it is, what signals it got, how it ended. It concludes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::command_line::{CommandLine, file_name};
use crate::deliveries::Deliveries;
use crate::event::{Delivery, Exec, ExitStatus, Handler, Process as Seen, SignalSent, Tgid};
use crate::hook;
use crate::input::ProcessFound;
use crate::purse::{Charge, Purse};
use crate::report::{MainExit, MainProcess, Sender, SignalFate};
use crate::signal::{Signal, SignalSet};
use crate::signals::Signals;
use crate::time::Timestamp;

/// `/proc` counts starts in clock ticks, and rounds them down.
pub(crate) const PROC_TICK: Duration = Duration::from_millis(10);

/// By how much two starts of one process may differ: `/proc` counts them in clock ticks of 10 ms.
const START_TOLERANCE_NS: u64 = 20_000_000;

/// Execs of one process that are kept: the first ones, of which one may be the hook's, and the last.
const EXECS_MAX: usize = 4;

/// How a process became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was seen to enter the container or to exec in it.
    Entered,
    /// It was there when the container was looked at.
    Found,
    /// Only a signal for it, or its exit, was seen.
    Mentioned,
}

/// A process that entered its container from outside.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, as they became known"
)]
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// What it takes of the share of its outermost container, once it is remembered.
    _charge: Option<Arc<Charge>>,
    pub(crate) tgid: Tgid,
    pub(crate) ns_tgid: u32,
    pub(crate) ns_level: u32,
    pub(crate) start: Timestamp,
    pub(crate) comm: String,
    /// Its command line when it was found, if that was its own.
    found_argv: CommandLine,
    /// Whether it had one of its own then, be it remembered or not.
    has_run_found: bool,
    /// When it was found to run that, and what it was called then.
    found_as: Option<(Timestamp, String)>,
    pub(crate) origin: Origin,
    /// When it became known.
    pub(crate) known_at: Timestamp,
    /// Its execs that were seen, by time.
    execs: Vec<ExecFact>,
    /// It looks like the hook and is none.
    pub(crate) is_no_hook: bool,
    /// It looks like the hook and ended, and no stop signal followed soon.
    pub(crate) hook_expired: bool,
    /// Signals from outside that may have been meant to stop it, by time.
    pub(crate) stops: Signals,
    /// SIGKILLs, by time.
    pub(crate) kills: Signals,
    /// Signals that other processes of the container sent to it, by time.
    pub(crate) from_inside: Signals,
    /// Signals that no process sent, but for SIGKILL: the kernel did, because of what the program did or set up.
    pub(crate) by_kernel: Signals,
    /// The last signal that it sent to itself and that was not thrown away.
    pub(crate) raised: Option<Signal>,
    /// Signals that it took out of its queue.
    pub(crate) deliveries: Deliveries,
    pub(crate) exit: Option<MainExit>,
    /// The signals that still waited for it at its exit, where the kernel side tells.
    pub(crate) pending_at_exit: Option<SignalSet>,
    /// Whether it exited without ever having run a program.
    pub(crate) never_ran: bool,
    /// When it was found to be gone without an exit having been seen.
    pub(crate) vanished_at: Option<Timestamp>,
    /// Whether it was part of a termination that is over, or is known not to be the main process.
    pub(crate) spent: bool,
}

impl Process {
    pub(crate) fn from_seen(seen: &Seen, origin: Origin, at: Timestamp) -> Self {
        Self {
            _charge: None,
            tgid: seen.tgid,
            ns_tgid: seen.ns_tgid,
            ns_level: seen.ns_level,
            start: seen.start,
            comm: seen.comm.clone(),
            found_argv: CommandLine::default(),
            has_run_found: false,
            found_as: None,
            origin,
            known_at: at,
            execs: Vec::new(),
            is_no_hook: false,
            hook_expired: false,
            stops: Signals::default(),
            kills: Signals::default(),
            from_inside: Signals::default(),
            by_kernel: Signals::default(),
            raised: None,
            deliveries: Deliveries::default(),
            exit: None,
            pending_at_exit: None,
            never_ran: false,
            vanished_at: None,
            spent: false,
        }
    }

    /// One that was found; its command line only if there is room for it.
    pub(crate) fn from_found(found: &ProcessFound, at: Timestamp, purse: &Arc<Purse>) -> Self {
        let seen = Seen {
            tgid: found.tgid,
            ns_tgid: found.ns_tgid,
            ns_level: found.ns_level,
            ns_inum: 0,
            start: found.start,
            container: None,
            parent_tgid: found.parent_tgid,
            parent_outside: found.parent_outside,
            parent_comm: String::new(),
            comm: found.comm.clone(),
        };
        let known = Self::from_seen(&seen, Origin::Found, at);
        if is_of_runtime(&found.argv) {
            return known;
        }
        Self {
            found_argv: CommandLine::new(&found.argv, purse).unwrap_or_default(),
            found_as: Some((at, found.comm.clone())),
            has_run_found: !found.argv.is_empty(),
            ..known
        }
    }

    /// What one takes of the memory, without its command lines.
    pub(crate) const fn memory_size() -> usize {
        size_of::<Self>()
    }

    /// It is remembered at this charge.
    pub(crate) fn charged(self, charge: Charge) -> Self {
        Self {
            _charge: Some(Arc::new(charge)),
            ..self
        }
    }

    /// Whether it is the init of a pid namespace of its own.
    pub(crate) const fn is_init(&self) -> bool {
        self.ns_level > 0 && self.ns_tgid == 1
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.exit.is_none() && self.vanished_at.is_none()
    }

    /// Whether it was seen to exit before then.
    pub(crate) fn ended_before(&self, then: Timestamp) -> bool {
        self.exit.as_ref().is_some_and(|exit| exit.at < then)
    }

    /// Whether it is this process.
    pub(crate) fn is_same_process(&self, seen: &Seen) -> bool {
        self.tgid == seen.tgid && self.started_like(seen.start)
    }

    /// Returns when it started at the latest: the start of one that was found is rounded down.
    pub(crate) fn latest_start(&self) -> Timestamp {
        match self.origin {
            Origin::Found => self.start.after(PROC_TICK),
            Origin::Entered | Origin::Mentioned => self.start,
        }
    }

    /// Whether a process with this start and the same tgid is this one.
    pub(crate) const fn started_like(&self, start: Timestamp) -> bool {
        self.start.0.abs_diff(start.0) <= START_TOLERANCE_NS
    }

    /// Takes over what a later look at it told.
    pub(crate) fn update(&mut self, other: Self) {
        if other.origin != Origin::Found {
            self.start = other.start;
            self.comm = other.comm;
        }
        if !self.has_run_found {
            self.found_argv = other.found_argv;
            self.found_as = other.found_as;
            self.has_run_found = other.has_run_found;
        }
        self.origin = match (self.origin, other.origin) {
            (Origin::Entered, _) | (_, Origin::Entered) => Origin::Entered,
            (Origin::Found, _) | (_, Origin::Found) => Origin::Found,
            (Origin::Mentioned, Origin::Mentioned) => Origin::Mentioned,
        };
        self.known_at = self.known_at.min(other.known_at);
    }

    /// Returns what became of a signal that was sent to it; none where the kernel side did not tell enough.
    pub(crate) fn fate_of(&self, fact: &SignalFact) -> Option<SignalFate> {
        if fact.result == Delivery::Ignored {
            return Some(SignalFate::Ignored);
        }
        let left_by = self.queued_again_at(fact);
        if let Some(fate) = self.deliveries.fate_of(fact, left_by) {
            return Some(fate);
        }
        if left_by.is_some() {
            // It was out of the queue by then, and had not been delivered: sigwait or signalfd took it.
            return fact.blocked.then_some(SignalFate::Fetched);
        }
        if fact.exiting {
            // Its default action ended the process where it was sent.
            return Some(SignalFate::Fatal);
        }
        let pending = self.pending_after(fact.at)?;
        if pending.contains(fact.signal) {
            return Some(SignalFate::Pending);
        }
        // It is out of the queue and was not delivered: sigwait or signalfd took it.
        fact.blocked.then_some(SignalFate::Fetched)
    }

    /// Returns when the next signal of the same number found none waiting: by then this one was out of the queue. Real-time signals
    /// wait beside each other.
    fn queued_again_at(&self, fact: &SignalFact) -> Option<Timestamp> {
        let is_next = |other: &&SignalFact| {
            other.signal == fact.signal
                && other.at > fact.at
                && other.result == Delivery::Delivered
                && !fact.signal.is_real_time()
        };
        let next = fact.sender.outside.then(|| self.stops.iter().find(is_next));
        next.flatten().map(|next| next.at)
    }

    /// Whether the kernel threw a signal away that was sent to it, as far as is known.
    pub(crate) fn threw_away(&self, fact: &SignalFact) -> bool {
        self.fate_of(fact).is_some_and(SignalFate::is_thrown_away)
    }

    /// The signals that waited for it when it was last told of, after `at`.
    fn pending_after(&self, at: Timestamp) -> Option<SignalSet> {
        let exit = self.exit.as_ref().filter(|exit| exit.at >= at);
        let kill = self.kills.iter().rfind(|kill| kill.at >= at);
        self.pending_at_exit
            .filter(|_pending| exit.is_some())
            .or_else(|| kill.and_then(|kill| kill.pending))
    }

    /// It called exec. Returns whether there was room for the command line.
    pub(crate) fn take_exec(&mut self, exec: &Exec, at: Timestamp, purse: &Arc<Purse>) -> bool {
        let place = self.execs.partition_point(|known| known.at <= at);
        if place == self.execs.len() {
            self.comm.clone_from(&exec.process.comm);
        }
        let argv = CommandLine::new(&exec.argv, purse);
        let has_room = argv.is_some();
        let fact = ExecFact {
            at,
            comm: exec.process.comm.clone(),
            is_of_runtime: is_of_runtime(&exec.argv),
            argv: argv.unwrap_or_default(),
            cut: exec.argv_cut || !has_room,
        };
        self.execs.insert(place, fact);
        if self.execs.len() > EXECS_MAX {
            self.execs.remove(EXECS_MAX - 1);
        }
        has_room
    }

    /// Returns when the program that it ran at `at` was begun: its last exec before, else its start.
    pub(crate) fn program_since(&self, at: Timestamp) -> Timestamp {
        let before = self.execs.iter().rev().find(|exec| exec.at <= at);
        before.map_or(self.start, |exec| exec.at)
    }

    /// Returns the first program that it began after `at`, and when.
    pub(crate) fn program_after(&self, at: Timestamp) -> Option<(&str, Timestamp)> {
        let after = self.execs.iter().find(|exec| exec.at > at)?;
        Some((&after.comm, after.at))
    }

    /// Its command line, the last one seen.
    pub(crate) fn argv(&self) -> &CommandLine {
        let last = self.execs.last();
        last.map_or(&self.found_argv, |exec| &exec.argv)
    }

    /// Whether it was seen to run a program of its own.
    pub(crate) fn has_run(&self) -> bool {
        // A stage of the runtime calls exec on its way to the program.
        self.execs.iter().any(|exec| !exec.is_of_runtime) || self.has_run_found
    }

    /// Whether any exec of it was seen.
    pub(crate) const fn was_seen_to_run(&self) -> bool {
        !self.execs.is_empty()
    }

    /// Returns the name of the first program that it is known to have run, and the words of that. It is the name of the file
    /// that was executed; of a process that was there before, its name if its command line agrees; of one that only a signal or
    /// its exit told of, the name that it had then. What a process calls itself later is not among them.
    pub(crate) fn first_program(&self) -> Option<(&str, &CommandLine)> {
        let mut execs = self.execs.iter();
        let exec = execs.find(|exec| !exec.is_of_runtime);
        let found = self.found_as.as_ref();
        let found = found.filter(|(at, _)| exec.is_none_or(|exec| *at < exec.at));
        if let Some((_, comm)) = found {
            let agrees = self.found_argv.file_name() == Some(comm);
            return agrees.then_some((comm, &self.found_argv));
        }
        if let Some(exec) = exec {
            return Some((&exec.comm, &exec.argv));
        }
        (self.origin == Origin::Mentioned).then_some((&self.comm, &self.found_argv))
    }

    /// Its first exec of the hook's command.
    pub(crate) fn hook_at(&self, command: &[String]) -> Option<Timestamp> {
        let mut execs = self.execs.iter().filter(|_exec| !self.is_no_hook);
        let hook = execs.find(|exec| hook::matches(command, &exec.argv, exec.cut));
        hook.map(|exec| exec.at)
    }

    /// Whether only the beginning of the command line that looks like the hook's is known.
    pub(crate) fn is_hook_cut(&self, command: &[String]) -> bool {
        let mut execs = self.execs.iter();
        let hook = execs.find(|exec| hook::matches(command, &exec.argv, exec.cut));
        hook.is_some_and(|exec| exec.cut)
    }

    /// Whether it came from outside to run a program, and could not.
    pub(crate) fn failed_to_run(&self) -> bool {
        let failed = |exit: &MainExit| exit.status != ExitStatus::Code(0);
        self.never_ran
            && self.origin == Origin::Entered
            && self.execs.is_empty()
            && self.exit.as_ref().is_some_and(failed)
    }

    /// Returns it as a report holds it, with the program that it ran at `at`: one that it began later, while it was being
    /// stopped, names no workload, nor does a name that it gives itself then. A program that it had not begun by then is its
    /// first. `named` is the name that it had when a signal came, if one did.
    pub(crate) fn as_main(&self, at: Timestamp, named: Option<&str>) -> MainProcess {
        let later = self.execs.iter().any(|exec| exec.at > at);
        let ran = self.execs.iter().rev().find(|exec| exec.at <= at);
        let ran = ran.filter(|_exec| later);
        let named = named.filter(|_name| !later).unwrap_or(&self.comm);
        MainProcess {
            tgid: self.tgid,
            ns_tgid: self.ns_tgid,
            ns_level: self.ns_level,
            comm: ran.map_or(named, |exec| &exec.comm).to_owned(),
            argv: ran.map_or_else(|| self.argv(), |exec| &exec.argv).to_vec(),
            start: self.start,
        }
    }

    /// The signal that ended it, if one did.
    pub(crate) fn died_of(&self) -> Option<Signal> {
        match self.exit.as_ref()?.status {
            ExitStatus::Signal { signal, .. } => Some(signal),
            ExitStatus::Code(_) => None,
        }
    }
}

/// Whether a command line found in a container is that of the runtime, which its processes have until they exec.
fn is_of_runtime(argv: &[String]) -> bool {
    let program = argv.first().and_then(|path| file_name(path));
    program.is_some_and(|program| ["runc", "crun", "youki"].contains(&program))
}

/// One exec.
#[derive(Clone, Debug)]
struct ExecFact {
    at: Timestamp,
    comm: String,
    is_of_runtime: bool,
    argv: CommandLine,
    cut: bool,
}

/// One signal, as far as it matters later.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one moment, as the kernel gave them"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignalFact {
    pub(crate) at: Timestamp,
    pub(crate) signal: Signal,
    pub(crate) sender: Sender,
    /// The sender's parent.
    pub(crate) sender_parent: Tgid,
    /// The target's `comm` when it was sent.
    pub(crate) target_comm: String,
    /// The signals that waited for the target then, where the kernel side tells.
    pub(crate) pending: Option<SignalSet>,
    pub(crate) result: Delivery,
    pub(crate) handler: Handler,
    pub(crate) blocked: bool,
    pub(crate) traced: bool,
    /// Whether sender and target share a pid namespace that is not the machine's: a sidecar in a pod that shares one.
    pub(crate) shares_namespace: bool,
    /// A process that systemd started beside the main one sent it, or a child of that: `ExecStop=`, `ExecReload=`.
    pub(crate) by_control: bool,
    /// The target was dying already, for certain.
    pub(crate) too_late: bool,
    /// The target is dying, be it by this signal or from before.
    pub(crate) exiting: bool,
}

impl SignalFact {
    /// Whether somebody outside sent it, or systemd by a process that it started for that.
    pub(crate) const fn is_from_outside(&self) -> bool {
        self.sender.outside || self.by_control
    }

    /// What one takes of the memory, with its three names.
    pub(crate) const fn memory_size() -> usize {
        size_of::<Self>() + 3 * 16
    }

    pub(crate) fn new(sent: &SignalSent, at: Timestamp, outside: bool) -> Self {
        Self {
            at,
            signal: sent.signal,
            sender: Sender {
                tgid: sent.sender.tgid,
                comm: sent.sender.comm.clone(),
                parent_comm: sent.sender.parent_comm.clone(),
                outside,
                kernel: sent.is_from_kernel(),
            },
            sender_parent: sent.sender.parent_tgid,
            target_comm: sent.target.comm.clone(),
            pending: sent.pending,
            result: sent.result,
            handler: sent.handler,
            blocked: sent.blocked,
            traced: sent.traced,
            shares_namespace: sent.sender.ns_level > 0
                && (sent.sender.ns_level, sent.sender.ns_inum)
                    == (sent.target.ns_level, sent.target.ns_inum),
            by_control: false,
            too_late: sent.came_too_late(),
            exiting: sent.exiting,
        }
    }
}
