//! What keeps a verdict from being certain.

use super::{ReportStage, STOP_MAX_DEFAULT, Surroundings, Termination, grace, outcome};
use crate::event::Delivery;
use crate::losses::LossesOf;
use crate::process::{Origin, SignalFact};
use crate::report::{Doubt, KillCause, Start, SubjectKind, Trigger};
use crate::time::Timestamp;
use crate::traffic;

impl Termination<'_> {
    /// Returns all doubts, in the order of [`Doubt`].
    pub(super) fn doubts(&self, stage: ReportStage, surroundings: &Surroundings<'_>) -> Vec<Doubt> {
        let ended = stage != ReportStage::Progress;
        let counts = surroundings
            .sockets
            .of_termination(&traffic::phase_edges(self));
        let counts_missing = surroundings.counts_missing || counts.is_none();
        let cause = self.kill_cause();
        let all = [
            (
                Doubt::RecordsLost,
                self.container.has_forgotten_signals || self.may_lack_records(surroundings.losses),
            ),
            (
                Doubt::SeenLate,
                self.was_seen_late() || self.hook_began_unseen(),
            ),
            (
                Doubt::ExitMissing,
                stage == ReportStage::End && self.exit.is_none(),
            ),
            (
                Doubt::MainUncertain,
                self.container.main_is_ambiguous() || surroundings.left_unknown,
            ),
            (Doubt::AgentStopped, stage == ReportStage::AgentStops),
            (
                Doubt::GraceUnknown,
                match cause {
                    Some(KillCause::GraceExpired) => self.grace.is_none(),
                    // Where nobody tells the grace period, none can be said to have been left.
                    Some(KillCause::Other) => self.grace_candidates.may_be_another(),
                    Some(
                        KillCause::NoStopSignal
                        | KillCause::Oom
                        | KillCause::Inside
                        | KillCause::Kernel,
                    )
                    | None => false,
                },
            ),
            (Doubt::Traced, self.was_traced()),
            (
                Doubt::KernelKillUnexplained,
                cause == Some(KillCause::Kernel),
            ),
            (Doubt::SignalMissing, outcome::is_signal_missing(self)),
            (
                Doubt::HookUncertain,
                self.hook_uncertain || self.ended_on_hook_alone(),
            ),
            (Doubt::PodUnknown, ended && !self.container.is_settled()),
            (Doubt::RuntimeOpaque, self.container.is_opaque()),
            (
                Doubt::ConnectionsMissing,
                ended && surroundings.reasons.is_some() && counts_missing,
            ),
            (Doubt::StopSignalUncertain, self.stop_uncertain),
            (Doubt::SignalFateUnknown, self.lacks_fate()),
            (Doubt::ProcessesForgotten, self.may_lack_hook()),
        ];
        all.into_iter()
            .filter_map(|(doubt, holds)| holds.then_some(doubt))
            .collect()
    }

    /// Whether records may have been lost when this termination may have been open.
    fn may_lack_records(&self, losses: LossesOf<'_>) -> bool {
        let made_at = self.container.seen.made_at().unwrap_or_default();
        let begun_at = self.may_have_begun_unseen_at().max(made_at);
        let removed_at = self.released_at.filter(|_at| self.container.removed);
        losses.may_be_between(begun_at, removed_at.unwrap_or(Timestamp(u64::MAX)))
    }

    /// Whether it ended by itself, and only a process that looks like the hook says that it was being terminated: a probe may
    /// be written like the hook.
    fn ended_on_hook_alone(&self) -> bool {
        self.hook.is_some() && self.exit.is_some() && self.request.is_none() && !self.was_stopped()
    }

    /// Whether so many processes were in it at once that the hook's may not be known.
    fn may_lack_hook(&self) -> bool {
        let of_service = self.container.subject.kind == SubjectKind::SystemdService;
        let may_have_hook =
            self.container.spec.hook_command().is_some() || !self.container.is_settled();
        self.container.has_forgotten && (may_have_hook || of_service)
    }

    /// Whether the stop signal was queued for a process that has no handler for it, and nobody saw what came of it: it was
    /// taken by sigwait, or thrown away as soon as it was unblocked.
    fn lacks_fate(&self) -> bool {
        let queued = |stop: &SignalFact| stop.blocked && stop.result != Delivery::Ignored;
        self.kill.is_some() && self.stop.is_some_and(queued) && self.stop_fate().is_none()
    }

    fn was_traced(&self) -> bool {
        self.stop.is_some_and(|stop| stop.traced) || self.kill.is_some_and(|(kill, _)| kill.traced)
    }

    /// Whether a hook that ran before then would have been seen, and was not left out on purpose: all containers of a pod are
    /// restarted without their hooks.
    pub(crate) fn would_have_seen_hook(&self, then: Timestamp) -> bool {
        let reach = self.grace_candidates.likely().unwrap_or(STOP_MAX_DEFAULT);
        let watched_before = match self.main.origin {
            Origin::Entered => true,
            Origin::Found | Origin::Mentioned => self.main.known_at.after(reach) <= then,
        };
        watched_before && self.reason != Some(Trigger::Restarted)
    }

    /// Whether a part of it may have happened before anybody watched the main process.
    fn was_seen_late(&self) -> bool {
        if self.began_unwatched() {
            return true;
        }
        match self.main.origin {
            Origin::Entered => false,
            Origin::Found => self.was_found() && self.may_have_begun_before(self.main.known_at),
            Origin::Mentioned => true,
        }
    }

    /// Whether the main process was there before anybody watched it, and a part of the termination may lie in that time.
    pub(crate) fn began_unwatched(&self) -> bool {
        let main_start = self.main.start;
        let until = self.container.unseen_until;
        let until = until.filter(|until| main_start <= *until);
        until.is_some_and(|until| self.may_have_begun_before(until))
    }

    fn was_found(&self) -> bool {
        self.container.seen.made_at().is_none()
    }

    /// Whether it was asked to stop before anybody watched it, so that a stop signal may have come that was not seen.
    pub(super) fn began_out_of_sight(&self) -> bool {
        let known_at = self.main.known_at;
        self.stop.is_none()
            && self.was_found()
            && self.main.origin == Origin::Found
            && self.request.is_some_and(|request| request.at <= known_at)
    }

    /// Whether the times of the hook rest on a T0 that is only known to a second.
    fn hook_began_unseen(&self) -> bool {
        let started_at = self.hook.as_ref().and_then(|hook| hook.started_at);
        self.request.is_some_and(|request| {
            request.by == Start::Deletion && !request.exact && started_at == Some(request.at)
        })
    }

    /// Whether a part of the termination may lie before `then`: it began there, or its beginning was not seen and may.
    fn may_have_begun_before(&self, then: Timestamp) -> bool {
        self.may_have_begun_at() <= then
    }

    /// When it may have begun at the earliest.
    fn may_have_begun_at(&self) -> Timestamp {
        let hook_missing = self.hook.is_none() && self.container.spec.hook.is_some();
        let begun_in_sight = self.request.is_some_and(|request| request.exact);
        // SIGKILL came when no grace period was over, counted from this stop signal: it may have been over for an earlier one.
        let stop_missing =
            self.stop.is_none() || self.kill_cause() == Some(KillCause::Other) && self.is_unasked();
        if !begun_in_sight && (stop_missing || hook_missing) {
            self.before_one_stop()
        } else {
            self.started_at()
        }
    }

    /// When it may have begun at the earliest, if records are missing: the stop signal that was seen need not be the first
    /// one, unless SIGKILL came when the grace period was over that began with it.
    fn may_have_begun_unseen_at(&self) -> Timestamp {
        if self.is_unasked() && self.kill_cause() != Some(KillCause::GraceExpired) {
            self.before_one_stop()
        } else {
            self.may_have_begun_at()
        }
    }

    /// Whether nobody but the stop signal tells when it began.
    const fn is_unasked(&self) -> bool {
        self.request.is_none()
    }

    /// When a stop at the latest began of which what was seen is the end.
    fn before_one_stop(&self) -> Timestamp {
        let reach = self
            .grace_candidates
            .likely()
            .map_or(STOP_MAX_DEFAULT, grace::longest);
        self.started_at().before(reach)
    }

    fn kill_cause(&self) -> Option<KillCause> {
        self.kill.map(|(_, cause)| cause)
    }
}
