//! Which of a container's processes is the main one.
//!
//! The main process is the first one that entered from outside and runs a program, or is PID 1 of a pid namespace and will. One
//! that exits without ever having called exec does not count if another is there: a runtime's helper that makes the real one
//! and goes. Of several that did, it is the last to go: the container was stopped before its program was executed.
//!
//! A sandbox (Kubernetes' and CRI-O's `pause`, podman's `catatonit -P`) holds namespaces for other containers and is
//! killed as a matter of course. No path tells it from a container, the first program of its main process does: such a one is no
//! subject, unless the status of a pod names it (a pod that only keeps room for others runs `pause` as its container).

use std::cmp::Reverse;
use std::time::Duration;

use super::Container;
use crate::event::{Event, EventKind, Exec, ExitStatus};
use crate::process::{Origin, PROC_TICK, Process, SignalFact};
use crate::report::SubjectKind;
use crate::signal::Signal;
use crate::stop_signals;
use crate::termination::{STOP_MAX_DEFAULT, is_of_runtime};
use crate::time::Timestamp;

/// What a process is that ends soon after the main one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// The container has gone on with it.
    TakesPlace {
        /// Whether that is certain.
        certain: bool,
    },
    /// It was the next main process.
    Follows,
}

/// How likely a process is the main one: the lower, the likelier.
pub(super) type Rank = (u8, Option<Reverse<Timestamp>>, Timestamp);

/// Where a process stands among those that may be the main one, if it may be.
pub(super) fn election_rank(process: &Process) -> Option<Rank> {
    if process.spent {
        return None;
    }
    let has_run = process.has_run();
    let left_without_exec = process.exit.is_some() && !has_run;
    // A process of a sandbox that a service started is an init, too; the service's own program ran before it.
    let class = match (process.is_init() || has_run, left_without_exec) {
        (true, false) => 0,
        (false, false) => 1,
        (_, true) => 2,
    };
    let left = process.exit.as_ref().filter(|_| left_without_exec);
    let left = left.map(|exit| Reverse(exit.at));
    // Where one start is rounded down and the other is not, the rounded one may be the later.
    Some((class, left, process.latest_start()))
}

/// Whether a process was seen to enter from outside while the main one lived: a visitor.
fn entered_beside(main: &Process, other: &Process) -> bool {
    let ended = main.exit.as_ref().map(|exit| exit.at);
    other.origin == Origin::Entered && ended.is_some_and(|ended| other.known_at < ended)
}

/// Whether a process was seen to enter from outside, and started after the main one's exit.
fn entered_after(main: &Process, other: &Process) -> bool {
    other.origin == Origin::Entered && main.ended_before(other.start)
}

impl Container {
    /// The main process, as far as the facts tell now.
    pub(crate) fn main(&self) -> Option<&Process> {
        self.processes.main()
    }

    fn candidates(&self) -> impl Iterator<Item = &Process> {
        let all = self.processes.values();
        all.filter(|process| !process.spent)
    }

    /// Whether another process than the main one lives and could take its place: what a daemon left behind. One that was seen to
    /// enter from outside while the main process lived is a visitor (a shell, a command that was run in the container). One that
    /// came after it and runs the same program is the next main process.
    pub(crate) fn has_successor(&self) -> bool {
        let Some(main) = self.main() else {
            return false;
        };
        let is_next = |other: &Process| {
            let argv = other.argv().arguments();
            other.has_run() && self.came_after(main, other) && self.runs_the_same(main, argv)
        };
        self.candidates().any(|other| {
            other.tgid != main.tgid
                && other.is_alive()
                && !entered_beside(main, other)
                && !is_next(other)
        })
    }

    /// When the last process became known that entered after the main one's exit and of which no program was seen yet: it is the next
    /// main process if that is the same one.
    pub(crate) fn newcomer_known_at(&self) -> Option<Timestamp> {
        let main = self.main().filter(|_main| !self.is_of_runtime())?;
        let awaited = self.candidates().filter(|other| {
            other.is_alive() && self.came_after(main, other) && !other.was_seen_to_run()
        });
        awaited.map(|other| other.known_at).max()
    }

    /// Whether a process that lives entered from outside after the main one's exit. Who is there although the cgroup was empty in
    /// between did, too. The start of one that was found may be of a moment before that: `/proc` rounds it down.
    fn came_after(&self, main: &Process, other: &Process) -> bool {
        let emptied = main
            .exit
            .as_ref()
            .zip(self.emptied_at)
            .is_some_and(|(exit, emptied)| exit.at <= emptied);
        emptied || entered_after(main, other)
    }

    /// Whether this is the next main process: the program of the last one, begun anew in the same cgroup by whoever had begun
    /// it. A runtime makes another container instead.
    pub(crate) fn is_restart(&self, event: &Event) -> bool {
        if let EventKind::Exec(Exec { process, .. }) | EventKind::Attach(process) = &event.kind {
            // A number that is used again.
            let is_anew =
                |main: &Process| main.tgid == process.tgid && !main.is_same_process(process);
            let main = self.main().filter(|main| is_anew(main));
            if main.is_some_and(|main| main.ended_before(process.start)) {
                return true;
            }
        }
        let EventKind::Exec(exec) = &event.kind else {
            return false;
        };
        let argv = exec.argv.iter().map(String::as_str);
        exec.process.parent_outside
            && self.main().is_some_and(|main| {
                main.ended_before(exec.process.start) && self.runs_the_same(main, argv)
            })
    }

    /// What the exit of another process than the main one, which has ended, says of that: nothing as a rule. A process that lives on
    /// when its report is due takes its place, see [`Self::has_successor`]; one that ends before that does, too.
    pub(crate) fn succession(&self, event: &Event, may_go_on: bool) -> Option<Succession> {
        let EventKind::Exit(exit) = &event.kind else {
            return None;
        };
        let main = self.main().filter(|_main| !self.is_of_runtime())?;
        let other = self.processes.get(&exit.process.tgid)?;
        let is_other =
            other.tgid != main.tgid && other.is_same_process(&exit.process) && !other.spent;
        if !is_other || !other.is_alive() {
            return None;
        }
        if main.exit.is_none() {
            // Found in its place after a loss.
            let is_next = main
                .vanished_at
                .is_some_and(|vanished| other.known_at >= vanished);
            return is_next.then_some(Succession::Follows);
        }
        let by_runtime = |fact: &SignalFact| {
            let stops = stop_signals::may_stop(fact.signal) || fact.signal == Signal::KILL;
            stops && is_of_runtime(&fact.sender)
        };
        let mut signals = other.stops.iter().chain(other.kills.iter());
        let is_stopped = signals.any(by_runtime);
        let is_newcomer = entered_after(main, other);
        // One of several that are left is no more than a helper of theirs.
        let another = |another: &Process| {
            let is_it = [main.tgid, other.tgid].contains(&another.tgid);
            // What was looked up may be newer than this exit.
            let was_there = another.start.after(PROC_TICK) < event.at;
            !is_it && was_there && another.is_alive() && !entered_beside(main, another)
        };
        let may_go_on = may_go_on && !self.candidates().any(another);
        match (is_newcomer, may_go_on) {
            (false, true) if !entered_beside(main, other) => {
                Some(Succession::TakesPlace { certain: true })
            }
            // Whoever is stopped by systemd is no program that it runs before or after the main one for a moment.
            (true, true) if is_stopped => Some(Succession::TakesPlace { certain: true }),
            // A program that ran before the main one (`ExecStartPre=`), or that cleaned up after it and failed.
            (true, true) if exit.status != ExitStatus::Code(0) => {
                Some(Succession::TakesPlace { certain: false })
            }
            // systemd runs no program after the main one as the init of a namespace.
            (true, false)
                if is_stopped
                    || other.is_init()
                    || self.runs_the_same(main, other.argv().arguments()) =>
            {
                Some(Succession::Follows)
            }
            (_, _) => None,
        }
    }

    /// Whether this command line is that of the main process, which is begun anew in the same cgroup.
    fn runs_the_same<'a>(&self, main: &Process, argv: impl Iterator<Item = &'a str>) -> bool {
        !self.is_of_runtime() && main.argv().has_words(argv)
    }

    /// Whether a process entered from outside after the main one had ended: the next main process, or what systemd runs after a
    /// stop. It is nothing that the main process left behind. A runtime makes another container instead.
    pub(crate) fn has_newcomer(&self) -> bool {
        let Some(main) = self.main().filter(|_main| !self.is_of_runtime()) else {
            return false;
        };
        self.candidates().any(|other| entered_after(main, other))
    }

    /// Whether the main process ran for longer than this.
    pub(crate) fn main_ran_longer_than(&self, long: Duration) -> bool {
        self.main().is_some_and(|main| {
            let exit = main.exit.as_ref();
            exit.is_some_and(|exit| exit.at.since(main.start) > long)
        })
    }

    /// Whether the main process entered after another one had ended, is another program, and ended soon by itself: systemd runs
    /// programs after the main one, too (`ExecStopPost=`), for up to [`STOP_MAX_DEFAULT`].
    pub(super) fn may_be_beside_main(&self) -> bool {
        let (Some(main), Some(before)) = (self.main(), self.ended_argv.as_ref()) else {
            return false;
        };
        let is_other = !main.argv().has_words(before.arguments());
        let ran = main.exit.as_ref().map(|exit| exit.at.since(main.start));
        let is_stopped = main.stops.len() > 0 || main.kills.len() > 0;
        let is_short = ran.is_some_and(|ran| ran <= STOP_MAX_DEFAULT);
        !self.is_of_runtime() && is_other && is_short && !is_stopped
    }

    /// Whether another process could as well be the main one: it was not seen which entered first.
    pub(crate) fn main_is_ambiguous(&self) -> bool {
        let found = |process: &Process| process.origin != Origin::Entered;
        self.main().is_some_and(|main| {
            let alone = self.candidates().filter(|other| found(other)).count() <= 1;
            let is_successor = self.main_was_found && found(main);
            main.origin == Origin::Mentioned
                || is_successor
                || self.main_is_doubtful
                || self.may_be_beside_main()
                || (!main.is_init() && found(main) && !alone)
        })
    }

    /// Whether a runtime made it for a container.
    pub(crate) const fn is_of_runtime(&self) -> bool {
        match self.subject.kind {
            SubjectKind::Docker
            | SubjectKind::Podman
            | SubjectKind::Containerd
            | SubjectKind::Crio => true,
            SubjectKind::SystemdService | SubjectKind::SystemdScope | SubjectKind::Cgroup => false,
        }
    }

    /// Whether it is a sandbox, which is no subject. Only a pod has one with `pause`; a container of Docker may run a program of
    /// that name. podman's pods have an infra container, whose only word is the program's path. What the main process executed
    /// first tells, not what it calls itself.
    pub(crate) fn is_sandbox(&self) -> bool {
        let is_of_podman = self.subject.kind == SubjectKind::Podman;
        let main = self.main().filter(|_| self.is_of_runtime());
        let first = main.and_then(Process::first_program);
        !self.is_named()
            && first.is_some_and(|(name, argv)| match name {
                "pause" => self.lies_in_pod || (is_of_podman && argv.arguments().count() == 1),
                "catatonit" => is_of_podman && argv.arguments().any(|word| word == "-P"),
                _ => false,
            })
    }

    /// Whether its processes on the node are a virtual machine's or a sandboxed kernel's instead of its own: its pod names
    /// a runtime class, and the main process is one of such a runtime (Kata Containers, gVisor).
    pub(crate) fn is_opaque(&self) -> bool {
        const RUNTIMES: [&str; 8] = [
            "qemu-",
            "firecracker",
            "cloud-hyperviso",
            "stratovirt",
            "dragonball",
            "virtiofsd",
            "containerd-shim-kata",
            "runsc",
        ];
        let has_class = self
            .pod
            .as_ref()
            .is_some_and(|pod| pod.pod.runtime_class.is_some());
        let is_one = |name: &str| RUNTIMES.iter().any(|one| name.starts_with(one));
        has_class
            && self.main().is_some_and(|main| {
                let program = main.argv().file_name();
                is_one(&main.comm) || program.is_some_and(is_one)
            })
    }
}
