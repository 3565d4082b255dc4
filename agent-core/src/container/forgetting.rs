//! What a container need not remember any more.

use std::cmp::Reverse;

use super::{Container, Ended};
use crate::config::Limits;
use crate::event::Tgid;
use crate::process::{Origin, Process};
use crate::purse::Charge;

/// Exited processes that are kept of one container because they may have been its hook: in pods, probes are often written
/// like the hook, and run on while it is stopped.
const LIKELY_HOOKS_MAX: usize = 32;

/// A container that no status of a pod has named yet, or that another one made in itself, remembers this part of the processes
/// that others do: nobody but whoever makes it says that it needs them.
const UNKNOWN_PART: usize = 4;

impl Container {
    /// A process that exited is of no further use, unless it is the main one or may have been the hook.
    pub(super) fn forget_others(&mut self, exited: Tgid) {
        let is_main = self.main().is_some_and(|main| main.tgid == exited);
        if !is_main
            && self
                .processes
                .get(&exited)
                .is_some_and(|process| !self.may_be_hook(process))
        {
            self.processes.remove(exited);
        } else if self.is_settled() {
            self.forget_oldest();
        }
    }

    /// Of many that may have been the hook, the last ones count.
    fn forget_oldest(&mut self) {
        let main = self.main().map(|main| main.tgid);
        let mut exited: Vec<_> = self
            .processes
            .gone_processes()
            .filter(|process| Some(process.tgid) != main)
            .filter_map(|process| Some((Reverse(process.exit.as_ref()?.at), process.tgid)))
            .collect();
        exited.sort_unstable();
        for (_, tgid) in exited.into_iter().skip(LIKELY_HOOKS_MAX) {
            self.processes.remove(tgid);
        }
    }

    /// Whether this process, which exited, may have been the hook by what is known now.
    fn may_be_hook(&self, process: &Process) -> bool {
        if process.spent {
            return false;
        }
        if !self.is_settled() && process.origin == Origin::Entered {
            return true;
        }
        self.spec
            .hook_command()
            .is_some_and(|command| process.hook_at(command).is_some() || process.failed_to_run())
    }

    /// Forgets processes that were kept because the hook was not known.
    pub(super) fn forget_needless(&mut self) {
        let main = self.main().map(|main| main.tgid);
        let needless: Vec<Tgid> = self
            .processes
            .values()
            .filter(|process| process.exit.is_some() && Some(process.tgid) != main)
            .filter(|process| !self.may_be_hook(process))
            .map(|process| process.tgid)
            .collect();
        for tgid in needless {
            self.processes.remove(tgid);
        }
        let mut replaced = std::mem::take(&mut self.replaced);
        replaced.retain(|process| self.may_be_hook(process));
        self.replaced = replaced;
    }

    /// Finds room for one more process, if need be by forgetting another. There is always room for the first.
    pub(super) fn find_room(&mut self, limits: &Limits) -> Option<Charge> {
        let bytes = Process::memory_size();
        let is_known = self.is_settled() && !self.is_inner;
        let max = if is_known {
            limits.processes_max
        } else {
            limits.processes_max.div_ceil(UNKNOWN_PART)
        };
        let is_full = self.processes.len() >= max;
        if is_full && !self.make_room() {
            return None;
        }
        let charge = self.purse.reserve(bytes);
        if charge.is_none() && !self.processes.is_empty() && !is_full && !self.make_room() {
            return None;
        }
        Some(charge.unwrap_or_else(|| self.purse.take_anyway(bytes)))
    }

    /// Forgets one process that is not the main one: the oldest of those that exited, else one that is known to be a visitor of
    /// no interest. Returns whether there was one.
    pub(super) fn make_room(&mut self) -> bool {
        let main = self.main().map(|main| main.tgid);
        let is_other = |process: &&Process| Some(process.tgid) != main;
        let gone = self.processes.gone_processes().find(is_other);
        let victim = gone.or_else(|| {
            let mut others = self.processes.visitors().filter(is_other);
            others.find(|one| self.is_visitor(one))
        });
        let Some(victim) = victim else {
            return false;
        };
        let (tgid, may_matter) = (victim.tgid, self.may_be_hook(victim));
        self.has_forgotten |= may_matter;
        self.processes.remove(tgid).is_some()
    }

    /// Whether this process, which came from outside and has run a program, ran another one than the hook in a runtime's container,
    /// whose main process is known: a probe, or a command of a person.
    fn is_visitor(&self, process: &Process) -> bool {
        let is_hook = |command: &[String]| process.hook_at(command).is_some();
        self.is_of_runtime() && self.is_settled() && !self.spec.hook_command().is_some_and(is_hook)
    }

    /// Keeps an exited process that may have been the hook, though another one has its pid now.
    pub(super) fn keep_replaced(&mut self, process: Process) {
        if process.exit.is_none() || !self.may_be_hook(&process) {
            return;
        }
        if self.replaced.len() == LIKELY_HOOKS_MAX {
            self.replaced.remove(0);
            self.has_forgotten = true;
        }
        self.replaced.push(process);
    }

    /// The termination is over: what was part of it counts no more. What entered after the main process's exit was no part of
    /// it, unless a runtime made the container: that one ends with its first process.
    pub(crate) fn close_termination(&mut self) {
        let ended = self.main().map(|main| Ended {
            tgid: main.tgid,
            start: main.start,
            is_init: main.is_init(),
            exited_at: main.exit.as_ref().map(|exit| exit.at),
        });
        self.ended = ended.or(self.ended);
        if !self.may_be_beside_main() {
            self.ended_argv = self.main().map(|main| main.argv().clone());
        }
        self.remaining = None;
        self.process_limit = None;
        let main = self.main().cloned().filter(|_main| !self.is_of_runtime());
        // One that was found need not have been seen to enter: records were lost, or are read later. `/proc` rounds its start
        // down, so that one that is after the exit is certain. Where the exit was not seen, what was not there before may be next.
        let comes_after = |process: &Process| {
            main.as_ref().is_some_and(|main| match main.vanished_at {
                Some(vanished) if main.exit.is_none() => process.known_at >= vanished,
                _ => process.origin != Origin::Mentioned && main.ended_before(process.start),
            })
        };
        let is_doubtful = main.as_ref().is_some_and(|main| main.exit.is_none());
        self.processes.forget_gone();
        self.processes.change_all(|process| {
            let is_ruled_out = self.ended.is_some_and(|ended| ended.rules_out(process));
            process.spent = is_ruled_out || !comes_after(process);
        });
        self.replaced.clear();
        self.has_forgotten = false;
        self.has_forgotten_signals = false;
        self.gave_up = false;
        self.main_was_found = false;
        self.main_is_doubtful = is_doubtful && self.main().is_some();
        self.oom.clear();
        self.inner.clear();
        self.connects.clear();
        self.signals_inside = 0;
        self.signals_outside = 0;
        self.unrecorded_inside = 0;
    }

    /// The main process went, and what it left behind is the container now (a daemon that forked).
    pub(crate) fn forget_main(&mut self) {
        self.remaining = None;
        let Some((main, exit)) = self.main().map(|main| (main.tgid, main.exit.clone())) else {
            return;
        };
        self.processes.remove(main);
        let was_found = |next: &Process| {
            next.origin != Origin::Entered && exit.is_some_and(|exit| next.known_at < exit.at)
        };
        self.main_was_found = self.main().is_some_and(was_found);
    }

    /// What looked like the hook was none.
    pub(crate) fn forget_hooks(&mut self) {
        let Some(command) = self.spec.hook_command().map(<[String]>::to_vec) else {
            return;
        };
        let forget = |process: &mut Process| {
            if process.hook_at(&command).is_some() {
                process.is_no_hook |= process.is_alive();
                process.hook_expired |= !process.is_alive();
            }
        };
        self.processes.change_all(forget);
        self.replaced.iter_mut().for_each(forget);
    }

    /// Nothing came of the stop signal: the main process lives on.
    pub(crate) fn forget_stop_signals(&mut self) {
        self.gave_up |= self.spec.grace.is_none();
        self.processes.change_all(|process| process.stops.clear());
    }
}
