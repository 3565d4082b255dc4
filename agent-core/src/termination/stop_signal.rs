//! Which signal was the stop signal: the one that began the stop, of whatever number.
//!
//! A container's image names its stop signal, and on a cluster with default feature gates, as with Docker, podman and
//! systemd, nobody tells which it is. So the number alone decides only where it is configured, or SIGTERM. What else decides
//! is who sent it (whoever sends SIGKILL later sent the stop signal), when (SIGKILL comes when the grace period is over), and
//! how the process ended. Where these do not suffice the choice is doubtful, and so is the report.

use std::time::Duration;

use super::observed::STOP_MAX_DEFAULT;
use crate::container::Container;
use crate::event::{Delivery, ExitStatus, Handler};
use crate::process::{Process, SignalFact};
use crate::report::{Sender, SignalFate};
use crate::signal::Signal;
use crate::stop_signals;
use crate::time::Timestamp;

/// How far from the end of the grace period a SIGKILL may be that ends it, for choosing among several signals.
const GRACE_TOLERANCE: Duration = Duration::from_millis(1500);

/// How many signals that were not the stop signal a report names.
const OTHERS_MAX: usize = 8;

/// The choice of the stop signal.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice<'a> {
    /// The stop signal, the first time it was sent for this stop.
    pub(super) stop: Option<&'a SignalFact>,
    /// The same signal from the same sender again, for the same stop.
    pub(super) again: Vec<&'a SignalFact>,
    /// Whether another signal may have been it, or this one may have been none.
    pub(super) is_uncertain: bool,
    /// Signals from outside before the end that were not it.
    pub(super) others: Vec<&'a SignalFact>,
}

/// Chooses the stop signal among those of the main process. `kill` is the SIGKILL that ended it, if one did.
pub(super) fn choose<'a>(
    container: &Container,
    main: &'a Process,
    kill: Option<&SignalFact>,
) -> Choice<'a> {
    let candidates = Candidates::of(container, main, kill);
    let killed_from_outside = kill.filter(|kill| kill.sender.outside && !kill.sender.kernel);
    let (stop, is_uncertain) = match (killed_from_outside, main.exit.as_ref()) {
        (Some(kill), _) => candidates.before_kill(kill),
        (None, Some(exit)) => match exit.status {
            ExitStatus::Signal { signal, .. } if signal != Signal::KILL => {
                candidates.before_death_by(signal)
            }
            ExitStatus::Signal { .. } => (candidates.usual(), false),
            ExitStatus::Code(code) => candidates.before_exit_with(code),
        },
        (None, None) => (
            candidates.usual().or_else(|| candidates.after_deletion()),
            false,
        ),
    };
    candidates.conclude(stop, is_uncertain)
}

/// The signals that may have been the stop signal, and what helps to choose.
struct Candidates<'a, 'c> {
    container: &'c Container,
    main: &'a Process,
    /// From outside, by time.
    outside: Vec<&'a SignalFact>,
    /// From other processes of the container, by time.
    inside: Vec<&'a SignalFact>,
    /// The configured stop signal, else SIGTERM.
    usual: Signal,
    end: Option<Timestamp>,
    /// How long a stop may take from its signal to its end.
    reach: Duration,
}

impl<'a, 'c> Candidates<'a, 'c> {
    fn of(container: &'c Container, main: &'a Process, kill: Option<&SignalFact>) -> Self {
        let end = [
            main.exit.as_ref().map(|exit| exit.at),
            kill.map(|kill| kill.at),
        ];
        let end = end.into_iter().flatten().min();
        let (usual, _configured) = container.stop_signal();
        let counts = |fact: &&SignalFact| {
            // Fatal by its default action, and yet the process ended with a status: it was ending before.
            let came_while_ending = fact.exiting && main.exit.is_some() && main.died_of().is_none();
            let may_stop = fact.signal == usual || stop_signals::may_stop(fact.signal);
            may_stop && !fact.too_late && !came_while_ending && end.is_none_or(|end| fact.at <= end)
        };
        let grace = container.spec.grace;
        Self {
            container,
            main,
            outside: main.stops.iter().filter(counts).collect(),
            inside: main.from_inside.iter().filter(counts).collect(),
            usual,
            end,
            // A stop that begins anew with a whole grace period, after a restart of the kubelet, takes up to two of them.
            reach: grace.map_or(STOP_MAX_DEFAULT, |grace| grace * 2 + GRACE_TOLERANCE),
        }
    }

    /// The usual stop signal, as it came last.
    fn usual(&self) -> Option<&'a SignalFact> {
        let mut newest_first = self.outside.iter().rev();
        newest_first.find(|fact| fact.signal == self.usual).copied()
    }

    /// The newest signal after the pod was asked to stop: a runtime sends no other then.
    fn after_deletion(&self) -> Option<&'a SignalFact> {
        let pod = self.container.pod.as_ref()?;
        let since = pod.stop_requested_at(self.container.spec.name.as_deref(), self.main.start)?;
        let mut newest_first = self.outside.iter().rev();
        newest_first
            .find(|fact| fact.at >= since && is_of_runtime(&fact.sender))
            .copied()
    }

    /// Whoever sends SIGKILL when the grace period is over has sent the stop signal.
    fn before_kill(&self, kill: &SignalFact) -> (Option<&'a SignalFact>, bool) {
        let same: Vec<_> = self.of_sender(&kill.sender);
        let pool = if same.is_empty() {
            &self.outside
        } else {
            &same
        };
        let newest_first = || pool.iter().rev().copied();
        let usual = newest_first().find(|fact| fact.signal == self.usual);
        let fits = |fact: &&SignalFact| {
            let waited = kill.at.since(fact.at);
            self.container.spec.grace.is_some_and(|grace| {
                waited + GRACE_TOLERANCE >= grace && waited <= grace + GRACE_TOLERANCE
            })
        };
        let is_near = |fact: &&SignalFact| kill.at.since(fact.at) <= self.reach;
        let (_, configured) = self.container.stop_signal();
        let other = newest_first()
            .filter(|fact| fact.signal != self.usual)
            .filter(|_fact| !same.is_empty())
            .filter(is_near);
        let fitting = other.clone().find(|fact| fits(fact));
        match (usual, fitting) {
            // Both may have begun it; only one of them came a grace period before.
            (Some(usual), Some(other)) if !configured && !fits(&usual) => (Some(other), false),
            (Some(usual), None) if !configured && !is_near(&usual) => {
                let other = other.max_by_key(|fact| (fact.result != Delivery::Ignored, fact.at));
                (Some(other.unwrap_or(usual)), other.is_some())
            }
            (Some(usual), _) => (Some(usual), false),
            (None, Some(other)) => (Some(other), false),
            (None, None) => {
                // A terminal's SIGWINCH is thrown away by most programs; what they react to is likelier to be it.
                let other = other.max_by_key(|fact| (fact.result != Delivery::Ignored, fact.at));
                let left_out = self.outside.iter().any(|fact| is_of_runtime(&fact.sender));
                (other, other.is_none() && left_out)
            }
        }
    }

    /// A signal that somebody sent and that ended it was the stop signal, unless the usual one came before.
    fn before_death_by(&self, signal: Signal) -> (Option<&'a SignalFact>, bool) {
        if let Some(usual) = self.usual() {
            return (Some(usual), false);
        }
        let ended = |fact: &&SignalFact| fact.signal == signal && fact.result != Delivery::Ignored;
        let newest = |all: &[&'a SignalFact]| all.iter().rev().copied().find(|fact| ended(fact));
        if let Some(stop) = newest(&self.outside).or_else(|| newest(&self.inside)) {
            return (Some(stop), false);
        }
        // It may have handled its stop signal, and died of a signal of its own during the shutdown.
        self.before_exit_with(u8::MAX)
    }

    /// The usual stop signal ends a program by whatever status. Another one was the stop signal if the status says so (0, or
    /// 128 and its number) and the runtime sent it; a thread dump that a program survives ends nothing.
    fn before_exit_with(&self, code: u8) -> (Option<&'a SignalFact>, bool) {
        if let Some(usual) = self.usual() {
            return (Some(usual), false);
        }
        if let Some(stop) = self.after_deletion() {
            return (Some(stop), false);
        }
        let end = self.end;
        let is_near = |fact: &&&SignalFact| end.is_some_and(|end| end.since(fact.at) <= self.reach);
        let had_effect = |fact: &&&SignalFact| {
            let lost = matches!(
                self.main.fate_of(fact),
                Some(SignalFate::Ignored | SignalFate::Discarded | SignalFate::Pending)
            );
            !lost
                && (fact.handler == Handler::Custom || fact.blocked || fact.signal == Signal::TERM)
        };
        let newest =
            |all: &[&'a SignalFact]| all.iter().rev().filter(is_near).find(had_effect).copied();
        if let Some(other) = newest(&self.outside) {
            let by_number = u32::from(code) == 128 + other.signal.number();
            let by_runtime = is_of_runtime(&other.sender);
            let is_stop = other.signal == Signal::TERM || by_number || (code == 0 && by_runtime);
            return (is_stop.then_some(other), !is_stop);
        }
        let inside = newest(&self.inside).filter(|fact| stop_signals::asks_to_end(fact.signal));
        (inside, false)
    }

    fn of_sender(&self, sender: &Sender) -> Vec<&'a SignalFact> {
        let same = self.outside.iter().copied();
        same.filter(|fact| is_same(&fact.sender, sender)).collect()
    }

    /// The first of an unbroken row of the same signal from the same sender began the stop: a runtime that is restarted sends
    /// it again.
    fn conclude(self, stop: Option<&'a SignalFact>, is_uncertain: bool) -> Choice<'a> {
        let Some(newest) = stop else {
            return Choice {
                is_uncertain,
                others: self.others(None, &[]),
                ..Choice::default()
            };
        };
        let pool = if self.outside.contains(&newest) {
            &self.outside
        } else {
            &self.inside
        };
        let same = |fact: &&&SignalFact| {
            fact.signal == newest.signal && is_same(&fact.sender, &newest.sender)
        };
        let mut row: Vec<&SignalFact> = Vec::new();
        for fact in pool
            .iter()
            .filter(same)
            .filter(|fact| fact.at <= newest.at)
            .rev()
        {
            if row
                .last()
                .is_some_and(|later| later.at.since(fact.at) > self.reach)
            {
                break;
            }
            row.push(fact);
        }
        row.reverse();
        let stop = row.first().copied();
        let again: Vec<_> = row.into_iter().skip(1).collect();
        Choice {
            stop,
            is_uncertain,
            others: self.others(stop, &again),
            again,
        }
    }

    fn others(&self, stop: Option<&SignalFact>, again: &[&SignalFact]) -> Vec<&'a SignalFact> {
        let is_of_stop = |fact: &SignalFact| Some(fact) == stop || again.contains(&fact);
        let before_end = self.main.stops.iter();
        let mut others: Vec<_> = before_end
            .filter(|fact| self.end.is_none_or(|end| fact.at <= end) && !is_of_stop(fact))
            .filter(|fact| stop_signals::may_stop(fact.signal))
            .collect();
        let skipped = others.len().saturating_sub(OTHERS_MAX);
        others.drain(..skipped);
        others
    }
}

/// Whether two signals came from the same program: a runtime starts a new process for each.
fn is_same(one: &Sender, other: &Sender) -> bool {
    one.comm == other.comm && one.parent_comm == other.parent_comm
}

/// Whether a program that stops containers and services sent it. A name proves nothing against malice, but a person's `kill`
/// has another one.
pub(super) fn is_of_runtime(sender: &Sender) -> bool {
    const RUNTIMES: [&str; 11] = [
        "runc", "crun", "youki", "runsc", "systemd", "conmon", "conmonrs", "dockerd", "podman",
        "crio", "kubelet",
    ];
    let comm = sender.comm.as_str();
    sender.outside
        && (sender.tgid.0 == 1
            || RUNTIMES.contains(&comm)
            || comm.starts_with("containerd")
            || comm.starts_with("runc:"))
}
