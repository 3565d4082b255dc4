//! The signals that may have been the stop signal, and the rules of the choice, one for each way in which the process ended.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::{is_of_runtime, is_same};
use crate::container::Container;
use crate::event::{Delivery, Handler};
use crate::process::{Process, SignalFact};
use crate::report::SignalFate;
use crate::signal::Signal;
use crate::stop_signals;
use crate::termination::grace;
use crate::termination::observed::STOP_MAX_DEFAULT;
use crate::time::Timestamp;

/// How much longer than two grace periods a stop may take for its signal to count still.
const REACH_BEYOND: Duration = Duration::from_millis(1500);

/// A choice, and whether another signal may have been it.
type Chosen<'a> = (Option<&'a SignalFact>, bool);

/// The signals that may have been the stop signal, and what helps to choose.
pub(super) struct Candidates<'a, 'c> {
    container: &'c Container,
    pub(super) main: &'a Process,
    /// From outside, by time.
    pub(super) outside: Vec<&'a SignalFact>,
    /// From other processes of the container, by time.
    pub(super) inside: Vec<&'a SignalFact>,
    /// The configured stop signal, else SIGTERM.
    usual: Signal,
    pub(super) end: Option<Timestamp>,
    /// How long a stop may take from its signal to its end.
    pub(super) reach: Duration,
}

impl<'a, 'c> Candidates<'a, 'c> {
    pub(super) fn from_container(
        container: &'c Container,
        main: &'a Process,
        kill: Option<&SignalFact>,
    ) -> Self {
        let end = [
            main.exit.as_ref().map(|exit| exit.at),
            kill.map(|kill| kill.at),
        ];
        let end = end.into_iter().flatten().min();
        let (usual, _configured) = container.stop_signal();
        let in_time = |fact: &&SignalFact| {
            // Fatal by its default action, and yet the process ended with a status: it was ending before.
            let came_while_ending = fact.exiting && main.exit.is_some() && main.died_of().is_none();
            !fact.too_late && !came_while_ending && end.is_none_or(|end| fact.at <= end)
        };
        let counts = |fact: &&SignalFact| {
            let may_stop = fact.signal == usual || stop_signals::may_stop(fact.signal);
            may_stop && in_time(fact)
        };
        let mut outside: Vec<&SignalFact> = main.stops.iter().filter(counts).collect();
        if outside.is_empty() {
            let died_of = main.died_of();
            let may_stop = |fact: &&SignalFact| {
                // What dies of a signal for faults was not stopped by it: whoever sent that ended it. A person who stops a process
                // and lets it go on (SIGSTOP, SIGCONT) ends nothing.
                (stop_signals::is_fault(fact.signal) && died_of != Some(fact.signal))
                    || (stop_signals::is_of_job_control(fact.signal) && is_of_runtime(&fact.sender))
            };
            outside.extend(main.stops.iter().filter(in_time).filter(may_stop));
        }
        let grace = container.spec.grace;
        Self {
            container,
            main,
            outside,
            // What the hook sends is what the hook does; the stop signal comes after it.
            inside: main
                .from_inside
                .iter()
                .filter(|fact| counts(fact) && !container.is_from_hook(fact))
                .collect(),
            usual,
            end,
            // A stop that begins anew with a whole grace period, after a restart of the kubelet, takes up to two of them.
            reach: grace.map_or(STOP_MAX_DEFAULT, |grace| grace * 2 + REACH_BEYOND),
        }
    }

    /// The usual stop signal: as a runtime sent it last, if that was within reach of the end, else as it came last.
    pub(super) fn usual_signal(&self) -> Option<&'a SignalFact> {
        self.of_runtime(|fact| self.is_usual(fact))
            .or_else(|| newest(&self.outside, |fact| self.is_usual(fact)))
    }

    /// The newest signal after the pod was asked to stop: a runtime sends no other then.
    pub(super) fn after_deletion(&self) -> Option<&'a SignalFact> {
        let pod = self.container.pod.as_ref()?;
        let since = pod.stop_requested_at(self.container.spec.name.as_deref(), self.main.start)?;
        newest(&self.outside, |fact| {
            fact.at >= since && is_of_runtime(&fact.sender)
        })
    }

    /// Whoever sends SIGKILL when the grace period is over has sent the stop signal. Before the SIGKILL of a person, what a
    /// runtime sent counts first.
    pub(super) fn before_kill(&self, kill: &SignalFact) -> Chosen<'a> {
        if !is_of_runtime(&kill.sender) {
            if let Some(usual) = self.of_runtime(|fact| self.is_usual(fact)) {
                return (Some(usual), self.has_rival(usual));
            }
            let noticed = self.of_runtime(|fact| self.had_effect(fact));
            if let Some(stop) = noticed.or_else(|| self.of_runtime(|_fact| true)) {
                return (Some(stop), true);
            }
        }
        let all = || self.outside.iter().copied();
        let same: Vec<_> = all()
            .filter(|fact| is_same(&fact.sender, &kill.sender))
            .collect();
        if same.is_empty() {
            let usual = newest(&self.outside, |fact| self.is_usual(fact));
            let by_runtime = all().any(|fact| is_of_runtime(&fact.sender));
            // A process of the container had asked it to end before: `kubectl exec`, and `docker kill` later.
            let inside = self.asked_from_inside().filter(|_| usual.is_none());
            return (
                usual.or(inside),
                usual.is_none() && (by_runtime || inside.is_some()),
            );
        }
        self.before_kill_by_same(&same, kill.at)
    }

    /// Of the signals of whoever sent SIGKILL then: the one that came a grace period before. Where several did the usual one,
    /// in doubt; where none did the usual one, in doubt unless it is the last one.
    fn before_kill_by_same(&self, same: &[&'a SignalFact], killed_at: Timestamp) -> Chosen<'a> {
        let (_, configured) = self.container.stop_signal();
        let usual = newest(same, |fact| self.is_usual(fact));
        let near: Vec<_> = same
            .iter()
            .copied()
            .filter(|fact| self.is_near(fact))
            .collect();
        let fitting: Vec<_> = near
            .iter()
            .copied()
            .filter(|fact| self.fits_grace(killed_at.since(fact.at)))
            .collect();
        let fits = |fact: &SignalFact| fitting.contains(&fact);
        if let Some(usual) = usual.filter(|usual| configured && (fitting.is_empty() || fits(usual)))
        {
            // Another one that came a grace period before may have been it all the same.
            return (Some(usual), numbers(&fitting).len() > 1);
        }
        match numbers(&fitting).len() {
            1 => {
                let chosen = newest(&fitting, |_fact| true);
                // The runtime had sent the usual one before, and may have been late with SIGKILL.
                let follows_usual = |chosen: &SignalFact| {
                    let mut usual = near.iter().filter(|fact| self.is_usual(fact));
                    !self.is_usual(chosen) && usual.any(|usual| usual.at < chosen.at)
                };
                (chosen, chosen.is_some_and(follows_usual))
            }
            0 => {
                let near = if near.is_empty() { same } else { &near };
                let usual = newest(near, |fact| self.is_usual(fact));
                // A terminal's SIGWINCH is thrown away by most programs; what they react to is likelier to be it.
                let chosen = usual.or_else(|| {
                    let all = near.iter().copied();
                    all.max_by_key(|fact| (fact.result != Delivery::Ignored, fact.at))
                });
                let is_last = chosen == near.last().copied();
                // One that the runtime sent to reload the program is followed by no SIGKILL after a grace period.
                let is_reload = usual.is_none() && self.container.spec.grace.is_some();
                (chosen, is_reload || (numbers(near).len() > 1 && !is_last))
            }
            _ => {
                let chosen = newest(&fitting, |fact| self.is_usual(fact))
                    .or_else(|| newest(&fitting, |fact| self.had_effect(fact)))
                    .or_else(|| newest(&fitting, |_fact| true));
                (chosen, true)
            }
        }
    }

    /// SIGKILL came from inside, from the kernel, or from nobody who was seen: it tells nothing of the stop signal.
    pub(super) fn before_kill_from_inside(&self) -> Chosen<'a> {
        let usual = self.usual_signal();
        let counts = |fact: &&SignalFact| is_of_runtime(&fact.sender) || self.had_effect(fact);
        if let Some(usual) = usual.filter(counts) {
            return (Some(usual), self.has_rival(usual));
        }
        match self.of_runtime(|_fact| true) {
            Some(stop) => (Some(stop), true),
            None => (usual, false),
        }
    }

    /// A signal that somebody sent and that ended it was the stop signal, unless a stop had begun before.
    pub(super) fn before_death_by(&self, signal: Signal) -> Chosen<'a> {
        let may_have_ended =
            |fact: &SignalFact| fact.signal == signal && !self.main.threw_away(fact);
        let is_usual = |fact: &SignalFact| self.is_usual(fact) && self.had_effect(fact);
        let usual = self.of_runtime(|fact| self.is_usual(fact) && !self.main.threw_away(fact));
        if let Some(usual) = usual {
            // The runtime's other signal that ended it may have been the stop signal as well.
            let other = self.of_runtime(|fact| may_have_ended(fact) && fact.at > usual.at);
            return (Some(usual), signal != usual.signal && other.is_some());
        }
        if let Some(stop) = self.of_runtime(may_have_ended) {
            return (Some(stop), false);
        }
        if let Some(stop) = self.of_runtime(|fact| self.had_effect(fact)) {
            return (Some(stop), true);
        }
        let stop = newest(&self.outside, is_usual)
            .or_else(|| newest(&self.outside, may_have_ended))
            .or_else(|| newest(&self.inside, may_have_ended));
        match stop {
            // A runtime may have begun a stop that the program did not notice.
            Some(stop) => (Some(stop), self.of_runtime(|fact| fact != stop).is_some()),
            // It may have handled its stop signal, and died of a signal of its own during the shutdown.
            None => self.before_exit_with(u8::MAX),
        }
    }

    /// The usual stop signal ends a program by whatever status. Another one was the stop signal if the status says so (0, or
    /// 128 and its number) and the runtime sent it; a thread dump that a program survives ends nothing.
    pub(super) fn before_exit_with(&self, code: u8) -> Chosen<'a> {
        let is_usual = |fact: &SignalFact| self.is_usual(fact) && self.had_effect(fact);
        if let Some(usual) = self.of_runtime(is_usual) {
            return (Some(usual), self.has_rival(usual));
        }
        if let Some(stop) = self.after_deletion() {
            return (Some(stop), false);
        }
        let usual = newest(&self.outside, is_usual);
        let other = newest(&self.outside, |fact| {
            !self.is_usual(fact) && self.is_near(fact) && self.had_effect(fact)
        });
        match (usual, other) {
            (Some(_usual), Some(other)) if is_of_runtime(&other.sender) => (Some(other), true),
            // What came later may have ended it as well.
            (Some(usual), other) => (Some(usual), other.is_some_and(|other| other.at > usual.at)),
            (None, Some(other)) if stop_signals::is_fault(other.signal) => {
                // It stands for no message: systemd's watchdog, at which Go prints its stacks and exits with 2.
                let in_order = code == 0 && is_of_runtime(&other.sender);
                (Some(other), !in_order && !is_number_of(code, other))
            }
            (None, Some(other)) => {
                let by_number = is_number_of(code, other);
                let by_runtime = is_of_runtime(&other.sender);
                // systemd runs `ExecStop=` in the service; what it runs for a reload has other signals.
                let by_control = other.by_control && stop_signals::asks_to_end(other.signal);
                let is_stop = other.signal == Signal::TERM
                    || by_number
                    || (code == 0 && (by_runtime || by_control));
                let is_another =
                    |fact: &SignalFact| fact.signal != other.signal && self.had_effect(fact);
                // A runtime that sent the usual one had begun the stop, though the program did not notice it.
                let may_have_begun = |fact: &SignalFact| is_another(fact) || self.is_usual(fact);
                let is_one_of_several = !by_number && self.of_runtime(may_have_begun).is_some();
                (is_stop.then_some(other), !is_stop || is_one_of_several)
            }
            (None, None) => self.before_unnoticed_end(code),
        }
    }

    /// No signal from outside had an effect. A runtime that sent the usual one had begun the stop all the same; another one of
    /// the runtime's that still waited may have been meant so.
    fn before_unnoticed_end(&self, code: u8) -> Chosen<'a> {
        if let Some(usual) = self.of_runtime(|fact| self.is_usual(fact)) {
            return (Some(usual), false);
        }
        let waits = self
            .of_runtime(|fact| !self.main.threw_away(fact))
            .is_some();
        let Some(inside) = self.asked_from_inside() else {
            let is_doubtful = waits || self.may_be_drained(code) || self.was_asked_at_terminal();
            return (None, is_doubtful);
        };
        // A process of the container that sends another one than SIGTERM may only have a message for the program, which may
        // end in order of its own accord later.
        let is_asked = inside.signal == Signal::TERM || is_number_of(code, inside);
        let is_stop = is_asked || code == 0;
        (is_stop.then_some(inside), !is_asked || waits)
    }

    /// The newest signal by which a process of the container asked it to end within reach of the end.
    fn asked_from_inside(&self) -> Option<&'a SignalFact> {
        newest(&self.inside, |fact| {
            let asks = stop_signals::asks_to_end(fact.signal);
            asks && self.is_near(fact) && self.had_effect(fact)
        })
    }

    /// Whether the end may be that of a drain which a runtime's unusual signal began: where no grace period is known, an orderly one may
    /// take any time. SIGTERM begins nothing else, and nobody kills the container in time while the kubelet is down.
    fn may_be_drained(&self, code: u8) -> bool {
        let knows_grace = self.container.spec.grace.is_some();
        let may_have_begun = |fact: &SignalFact| {
            let may_stop = stop_signals::may_stop(fact.signal) && is_of_runtime(&fact.sender);
            let is_orderly = code == 0 || is_number_of(code, fact);
            let may_take_long = fact.signal == Signal::TERM || (!knows_grace && is_orderly);
            may_stop && may_take_long && self.had_effect(fact)
        };
        self.outside.iter().any(|fact| may_have_begun(fact))
    }

    /// Whether somebody typed Ctrl-C or Ctrl-\ at its terminal, or closed that: nobody else has the kernel send these signals.
    fn was_asked_at_terminal(&self) -> bool {
        let mut by_kernel = self.main.by_kernel.iter();
        by_kernel.any(|fact| {
            let is_terminals = matches!(fact.signal.number(), 1..=3);
            let had_effect = self.main.died_of() == Some(fact.signal) || self.had_effect(fact);
            is_terminals && self.is_near(fact) && had_effect
        })
    }

    /// The newest such signal that a runtime sent within reach of the end.
    fn of_runtime(&self, such: impl Fn(&SignalFact) -> bool) -> Option<&'a SignalFact> {
        newest(&self.outside, |fact| {
            is_of_runtime(&fact.sender) && self.is_near(fact) && such(fact)
        })
    }

    fn is_usual(&self, fact: &SignalFact) -> bool {
        fact.signal == self.usual
    }

    /// Whether nobody told the stop signal, and after the usual one the runtime sent another one that had an effect.
    fn has_rival(&self, usual: &SignalFact) -> bool {
        let (_, configured) = self.container.stop_signal();
        let is_rival = |fact: &SignalFact| {
            fact.signal != usual.signal && fact.at > usual.at && self.had_effect(fact)
        };
        !configured && self.of_runtime(is_rival).is_some()
    }

    /// Whether so much time lies between this stop signal and the end that nobody can tell whether it led there: a program that
    /// survives a person's signal, or a reload, may end much later for a reason of its own.
    pub(super) fn is_too_early(&self, stop: &SignalFact) -> bool {
        let by_runtime = self.is_usual(stop) && is_of_runtime(&stop.sender);
        !by_runtime && !self.is_near(stop)
    }

    /// Whether the main process died of a signal that somebody had sent to it before, and that it had handled then. A handler
    /// that prints the stack raises its signal again; the program may as well have done so by itself, much later.
    pub(super) fn may_have_raised_again(&self) -> bool {
        let Some(signal) = self.main.died_of() else {
            return false;
        };
        let all = self.main.stops.iter().chain(self.main.from_inside.iter());
        let was_handled = |fact: &SignalFact| {
            fact.signal == signal && self.main.fate_of(fact) == Some(SignalFate::Handled)
        };
        let mut by_kernel = self.main.by_kernel.iter();
        let by_nobody = by_kernel.any(|fact| fact.signal == signal);
        !stop_signals::asks_to_end(signal) && !by_nobody && all.into_iter().any(was_handled)
    }

    /// Whether a stop signal was forgotten that the end may still have come of.
    pub(super) const fn has_given_up(&self) -> bool {
        self.container.gave_up
    }

    fn is_near(&self, fact: &SignalFact) -> bool {
        self.end.is_none_or(|end| end.since(fact.at) <= self.reach)
    }

    /// Whether the program noticed it, as far as is known.
    fn had_effect(&self, fact: &SignalFact) -> bool {
        let fate = self.main.fate_of(fact);
        let lost = fate.is_some_and(|fate| fate.is_thrown_away() || fate == SignalFate::Pending);
        !lost && (fact.handler == Handler::Custom || fact.blocked || fact.signal == Signal::TERM)
    }

    /// Whether SIGKILL that came so long after a signal came when the grace period was over.
    fn fits_grace(&self, waited: Duration) -> bool {
        let spec = &self.container.spec;
        let Some(grace) = spec.grace else {
            return false;
        };
        grace::may_be_over_after(grace, spec.hook.is_some(), waited)
    }
}

fn newest<'a>(
    all: &[&'a SignalFact],
    such: impl Fn(&SignalFact) -> bool,
) -> Option<&'a SignalFact> {
    all.iter()
        .copied()
        .filter(|fact| such(fact))
        .min_by_key(|fact| Reverse(fact.at))
}

/// Whether a program exits with this status by custom after this signal.
fn is_number_of(code: u8, fact: &SignalFact) -> bool {
    u32::from(code) == 128 + fact.signal.number()
}

fn numbers(facts: &[&SignalFact]) -> BTreeSet<Signal> {
    facts.iter().map(|fact| fact.signal).collect()
}
