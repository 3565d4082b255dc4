//! What keeps a verdict from being certain.

use std::time::Duration;

use super::{ReportStage, STOP_MAX_DEFAULT, Surroundings, Termination, outcome};
use crate::process::Origin;
use crate::report::{Doubt, KillCause, Start};
use crate::time::Timestamp;

impl Termination<'_> {
    /// Returns all doubts, in the order of [`Doubt`].
    pub(super) fn doubts(&self, stage: ReportStage, surroundings: &Surroundings<'_>) -> Vec<Doubt> {
        let ended = stage != ReportStage::Progress;
        let counts_missing =
            surroundings.counts_missing || surroundings.sockets.of_termination().is_none();
        let cause = self.kill.map(|(_, cause)| cause);
        let all = [
            (Doubt::RecordsLost, self.may_lack_records(surroundings.lost)),
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
                cause == Some(KillCause::GraceExpired) && self.grace.is_none(),
            ),
            (Doubt::Traced, self.was_traced()),
            (
                Doubt::KernelKillUnexplained,
                cause == Some(KillCause::Kernel),
            ),
            (Doubt::SignalMissing, outcome::is_signal_missing(self)),
            (Doubt::HookUncertain, self.hook_uncertain),
            (Doubt::PodUnknown, ended && !self.container.is_settled()),
            (Doubt::RuntimeOpaque, self.container.is_opaque()),
            (
                Doubt::ConnectionsMissing,
                ended && surroundings.reasons.is_some() && counts_missing,
            ),
        ];
        all.into_iter()
            .filter_map(|(doubt, holds)| holds.then_some(doubt))
            .collect()
    }

    /// Whether records were lost when this termination may have been open.
    fn may_lack_records(&self, lost: Option<Timestamp>) -> bool {
        lost.is_some_and(|lost| self.may_have_begun_before(lost))
    }

    fn was_traced(&self) -> bool {
        self.stop.is_some_and(|stop| stop.traced) || self.kill.is_some_and(|(kill, _)| kill.traced)
    }

    fn was_seen_late(&self) -> bool {
        match self.main.origin {
            Origin::Entered => false,
            Origin::Found => {
                self.container.from_scan && self.may_have_begun_before(self.main.known_at)
            }
            Origin::Mentioned => true,
        }
    }

    /// Whether it was asked to stop before anybody watched it, so that a stop signal may have come that was not seen.
    pub(super) fn began_out_of_sight(&self) -> bool {
        let known_at = self.main.known_at;
        self.stop.is_none()
            && self.container.from_scan
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
        let hook_missing = self.hook.is_none() && self.container.spec.hook.is_some();
        let begun_in_sight = self.request.is_some_and(|request| request.exact);
        let reach = if !begun_in_sight && (self.stop.is_none() || hook_missing) {
            self.graces.likely().unwrap_or(STOP_MAX_DEFAULT)
        } else {
            Duration::ZERO
        };
        self.started_at() <= then.after(reach)
    }
}
