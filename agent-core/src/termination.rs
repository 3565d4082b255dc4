//! From the facts of a container to one termination and its report: when it began, which signal was the stop signal, which
//! SIGKILL counts, what the hook did, how it ended and why.
//!
//! [`Termination::derive`] reads top to bottom, a stage a module:
//!
//! ```text
//! observed → request → reason → grace → hook → kill_cause → Termination
//! Termination → outcome → trigger → crate::findings → uncertainty → report
//! ```
//!
//! It is a pure function of the facts, so that the order in which they came does not matter.

use std::time::Duration;

use crate::connection::Phase;
use crate::container::{Container, OomVictim};
use crate::event::{Delivery, ExitStatus};
use crate::process::{Process, SignalFact};
use crate::report::{
    Endpoint, Grace, Hook, Kill, KillCause, MainExit, Outcome, SignalFate, Start, Trigger,
};
use crate::stop_signals;
use crate::time::Timestamp;

mod exec_hook;
mod grace;
mod hook;
mod inferred_hook;
mod kill_cause;
mod observed;
mod outcome;
mod reason;
mod report;
mod request;
mod stop_signal;
mod trigger;
mod uncertainty;

use grace::{GraceCandidates, GraceUsed};
use kill_cause::OOM_WINDOW;
use observed::Observed;
use request::StopRequest;

pub(crate) use hook::HOOK_TO_STOP_SIGNAL_MAX;
pub(crate) use observed::STOP_MAX_DEFAULT;
pub(crate) use report::{ReportStage, Surroundings, pod_ref};
pub(crate) use request::SKEW;
pub(crate) use stop_signal::is_of_runtime;
pub(crate) use trigger::{takes_out, trigger};

/// After this time what is left of a container is not a matter of a parent that is slow to notice the exit. A runtime waits
/// for a container's init at once, and systemd for a service; a node on which either needs longer than that has a finding.
pub(crate) const REMAINING_AFTER: Duration = Duration::from_secs(5);

/// An exit that is seen to take longer than this is stuck. To free the memory of a large process takes the kernel a second or two; a
/// core dump can take longer, and is named.
pub(crate) const EXIT_TAKES: Duration = Duration::from_secs(4);

/// A handler that prints the stack and raises its signal again needs no longer than this. Which of the two raised it stays
/// doubtful, however long that took.
const HANDLER_TAKES: Duration = Duration::from_secs(5);

/// One termination as far as it has gone.
#[derive(Debug)]
pub(crate) struct Termination<'a> {
    pub(crate) container: &'a Container,
    pub(crate) main: &'a Process,
    pub(crate) hook: Option<Hook>,
    pub(crate) stop: Option<&'a SignalFact>,
    pub(crate) stops_repeated: u32,
    /// The stop signal when it came again for the same stop, as far as that is kept.
    stops_again: Vec<&'a SignalFact>,
    pub(crate) kill: Option<(&'a SignalFact, KillCause)>,
    pub(crate) kills_repeated: u32,
    pub(crate) exit: Option<&'a MainExit>,
    pub(crate) released_at: Option<Timestamp>,
    /// T0 as Kubernetes tells it.
    pub(crate) request: Option<StopRequest>,
    /// Why it was stopped, as far as Kubernetes tells.
    pub(crate) reason: Option<Trigger>,
    /// Signals from outside that were not the stop signal.
    pub(crate) others: Vec<&'a SignalFact>,
    /// Whether another signal may have been the stop signal.
    stop_uncertain: bool,
    /// The kubelet or the runtime began the stop again, the last time then.
    pub(crate) begun_again_at: Option<Timestamp>,
    grace_candidates: GraceCandidates,
    /// The grace that was in force, if it is known.
    grace: Option<Duration>,
    /// Whether it is not certain which process was the hook, or whether one was.
    pub(crate) hook_uncertain: bool,
}

impl<'a> Termination<'a> {
    /// Derives the termination from the facts. Returns none if nothing says that the container is being terminated.
    pub(crate) fn derive(container: &'a Container) -> Option<Self> {
        let observed = Observed::from_container(container)?;
        let request = request::find_request(&observed);
        let reason = reason::find_reason(&observed, request.as_ref());
        let grace_candidates = GraceCandidates::derive(&observed, request.as_ref(), reason);
        let (hook, hook_uncertain) =
            hook::find_hook(&observed, request.as_ref(), reason, &grace_candidates);
        if !has_begun(&observed, request.as_ref(), hook.as_ref()) {
            return None;
        }
        let grace_used = GraceUsed::derive(&observed, request, hook.as_ref());
        let begun_again_at = request::begun_again(&observed);
        let (kill, grace) = match observed.kill {
            Some(kill) => {
                let (cause, grace) = kill_cause::find_kill_cause(
                    &observed,
                    &grace_candidates,
                    &grace_used,
                    begun_again_at,
                    kill,
                );
                (Some((kill, cause)), grace)
            }
            None => (None, grace_candidates.known),
        };
        Some(Self {
            container,
            main: observed.main,
            stop: observed.stop,
            stops_repeated: observed.stops_repeated(),
            kill,
            kills_repeated: observed.kills_repeated(),
            exit: observed.exit,
            released_at: container.released_at,
            hook,
            request,
            reason,
            stops_again: observed.choice.again,
            others: observed.choice.others,
            stop_uncertain: observed.choice.is_uncertain,
            begun_again_at,
            grace_candidates,
            grace,
            hook_uncertain,
        })
    }

    /// The SIGKILL, as a report holds it.
    pub(crate) fn as_kill(&self) -> Option<Kill> {
        self.kill.map(|(fact, cause)| Kill {
            at: fact.at,
            sender: fact.sender.clone(),
            cause,
        })
    }

    /// T0.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.start().map_or_else(Timestamp::default, |(at, _)| at)
    }

    /// What T0 was taken from.
    pub(crate) fn start_source(&self) -> Start {
        self.start().map_or(Start::Release, |(_, by)| by)
    }

    fn start(&self) -> Option<(Timestamp, Start)> {
        let request = self.request.map(|request| (request.at, request.by));
        match (request, self.seen_start()) {
            (Some(request), Some(seen)) if seen.0 <= request.0 => Some(seen),
            (request, seen) => request.or(seen),
        }
    }

    /// T0 as the kernel shows it.
    fn seen_start(&self) -> Option<(Timestamp, Start)> {
        let hook = self.hook.as_ref().and_then(|hook| hook.started_at);
        [
            (hook, Start::Hook),
            (self.stop.map(|stop| stop.at), Start::StopSignal),
            (self.kill.map(|(kill, _)| kill.at), Start::Kill),
            (self.exit.map(|exit| exit.at), Start::Exit),
            (self.released_at, Start::Release),
            (self.main.vanished_at, Start::Release),
        ]
        .into_iter()
        .find_map(|(at, by)| Some((at?, by)))
    }

    /// How far it has come.
    pub(crate) const fn phase(&self) -> Phase {
        if self.exit.is_some() || self.released_at.is_some() || self.main.vanished_at.is_some() {
            Phase::Closing
        } else if self.stop.is_some() || self.kill.is_some() {
            Phase::Stopping
        } else {
            Phase::Hook
        }
    }

    /// When its pod was taken out of the EndpointSlices; none if it is in none.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let pod = self.container.pod.as_ref()?;
        // The slices may be seen to change before the pod is seen to be deleted.
        let started_at = self.started_at();
        let earliest = self.request.map_or(started_at, |request| request.earliest);
        pod.endpoint(started_at.min(earliest))
    }

    /// Whether only a process that looks like the hook says that the container is being terminated.
    pub(crate) const fn rests_on_hook(&self) -> bool {
        self.stop.is_none()
            && self.kill.is_none()
            && self.exit.is_none()
            && self.released_at.is_none()
            && self.main.vanished_at.is_none()
            && self.request.is_none()
    }

    /// What became of the stop signal, where that was seen.
    pub(crate) fn stop_fate(&self) -> Option<SignalFate> {
        self.main.fate_of(self.stop?)
    }

    /// Whether the kernel threw the stop signal away, when it was sent or when it was unblocked, and each time that it came
    /// again.
    pub(crate) fn was_ignored(&self) -> bool {
        self.stop.is_some_and(|stop| !stop.traced) && self.received().is_none()
    }

    /// The stop signal, the first time that it was not thrown away.
    pub(crate) fn received(&self) -> Option<&'a SignalFact> {
        let all = self
            .stop
            .into_iter()
            .chain(self.stops_again.iter().copied());
        all.into_iter().find(|fact| !self.main.threw_away(fact))
    }

    /// The signal of which the main process died, if another process sent that.
    pub(crate) fn sender_of_death(&self) -> Option<&'a SignalFact> {
        let signal = self.main.died_of()?;
        let all = self.main.stops.iter().chain(self.main.from_inside.iter());
        let last = all
            .filter(|fact| fact.signal == signal && fact.result != Delivery::Ignored)
            .max_by_key(|fact| fact.at)?;
        // The kernel sent the same for a fault of the program, or the program handled that one and died of its own: abort(3).
        let mut by_kernel = self.main.by_kernel.iter();
        let was_own = by_kernel.any(|fact| fact.signal == signal && fact.at >= last.at);
        let took = self
            .exit
            .map_or(Duration::ZERO, |exit| exit.at.since(last.at));
        let was_handled = self.main.fate_of(last) == Some(SignalFate::Handled)
            && took > HANDLER_TAKES
            && !stop_signals::asks_to_end(signal);
        (!was_own && !was_handled).then_some(last)
    }

    /// Whether the main process was in the middle of its exit for seconds, before its exit was seen or without that.
    pub(crate) fn is_held_in_exit(&self) -> bool {
        let Some(left) = self.container.remaining.as_ref() else {
            return false;
        };
        let until = self.exit.map_or(left.at, |exit| exit.at);
        left.exiting_since
            .is_some_and(|since| until.since(since) >= EXIT_TAKES)
    }

    /// The process that the OOM killer chose for this end, or the last one before it.
    pub(crate) fn chosen_oom_victim(&self) -> Option<&'a OomVictim> {
        let end = self.exit.map_or(Timestamp(u64::MAX), |exit| exit.at);
        self.container.oom.chosen_by(end.after(OOM_WINDOW))
    }

    /// Whether the OOM killer ended the main process.
    pub(crate) fn main_was_oom_killed(&self) -> bool {
        matches!(self.kill, Some((_, KillCause::Oom)))
    }

    /// Whether somebody outside ended it, or tried to.
    pub(crate) fn was_stopped(&self) -> bool {
        observed::was_stopped(self.stop, self.kill.map(|(kill, _)| kill))
    }

    /// Whether it was stopped, as opposed to having ended by itself.
    pub(crate) fn is_stop(&self, outcome: Outcome) -> bool {
        self.was_stopped()
            || self.hook.as_ref().is_some_and(|hook| hook.tgid.is_some())
            || outcome == Outcome::ExitedEarly
            || (matches!(outcome, Outcome::InProgress | Outcome::Unknown) && self.request.is_some())
    }

    /// Whether it is a pod's container that was stopped for a reason which may still be told.
    pub(crate) fn lacks_reason(&self) -> bool {
        self.container.is_pods && self.reason.is_none() && self.was_stopped()
    }

    /// The grace in force and what was left of it, if it is known.
    pub(crate) fn grace(&self) -> Option<Grace> {
        let grace_used = GraceUsed {
            hook: self.hook.as_ref(),
            request: self.request,
            stop: self.stop.map(|stop| stop.at),
            role: self.container.spec.role,
            pause: self.container.spec.hook_pause(),
        };
        Some(grace::derive_grace(self.grace?, &grace_used))
    }

    /// Whether the main process went without being told to, in a way in which a daemon leaves its first process:
    /// status 0, and it was not a namespace's init. Then it depends on what is left in the container. A runtime's
    /// container ends with its first process; only a helper that ran no program may go before that.
    pub(crate) fn may_go_on(&self) -> bool {
        let ends = self.container.is_of_runtime() && self.main.has_run();
        !ends
            && self.stop.is_none()
            && self.kill.is_none()
            && self.released_at.is_none()
            && self
                .exit
                .is_some_and(|exit| exit.status == ExitStatus::Code(0))
            && !self.main.is_init()
    }

    /// Whether only a stage of the runtime has come and gone: the container's program was not begun.
    pub(crate) fn is_stage(&self) -> bool {
        self.container.is_of_runtime() && !self.main.has_run() && self.may_go_on()
    }
}

/// Whether anything says that the container is being terminated, or has ended.
fn has_begun(observed: &Observed<'_>, request: Option<&StopRequest>, hook: Option<&Hook>) -> bool {
    observed.latest_start().is_some()
        || request.is_some()
        || hook.is_some()
        || observed.container.released_at.is_some()
        || observed.main.vanished_at.is_some()
}
