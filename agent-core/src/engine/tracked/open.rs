//! One open termination: what was told of it, what it waits for, its report as it stands.

use std::time::Duration;

use super::Context;
use crate::config::Limits;
use crate::remaining::Remaining;
use crate::report::{Endpoint, Report, Trigger};
use crate::sockets::Sockets;
use crate::termination::{
    EXIT_TAKES, HOOK_TO_STOP_SIGNAL_MAX, REMAINING_AFTER, ReportStage, Surroundings, Termination,
};
use crate::time::Timestamp;
use crate::traffic::MARKS_MAX;

/// How long after the end of the grace a main process that got the stop signal and lives on keeps its termination open.
/// After that the signal was not meant to end it.
const GIVE_UP_AFTER: Duration = Duration::from_hours(1);

/// How long an answer to what a main process left behind is waited for; a busy node needs seconds.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// The grace to count with where none is known: systemd's `DefaultTimeoutStopSec`.
const GRACE_DEFAULT: Duration = Duration::from_secs(90);

/// How often it is asked what keeps a main process that was not seen to exit, one time each [`REMAINING_AFTER`]. A program
/// that begins to exit after that and does not come to the end of it is found stuck at its SIGKILL alone.
const QUESTIONS_MAX: u32 = 360;

/// How long the last counts of its connections are waited for; the agent reads them at once.
pub(super) const COUNT_MAX: Duration = Duration::from_millis(200);

/// A termination that is not finished.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, as they became known"
)]
pub(super) struct OpenTermination {
    /// Its report's number, once anything was told of it.
    pub(super) id: Option<u64>,
    /// What was told last.
    pub(super) told: ProgressKey,
    /// When the exit became known.
    exit_noticed: Option<Timestamp>,
    /// When the release became known.
    release_noticed: Option<Timestamp>,
    /// Whether SIGKILL has not ended the main process for long.
    pub(super) stuck: bool,
    /// Whether it was asked what the main process left behind.
    pub(super) inspected: bool,
    /// Whether it ended without an answer to that.
    pub(super) left_unknown: bool,
    /// The last counts of its connections.
    pub(super) final_counts: FinalCounts,
    /// Whether it is known what was left after the exit.
    pub(super) rest: Rest,
    /// When it was asked last what is left, before the exit was seen.
    asked_before_exit: Option<Timestamp>,
    /// Whether it was in the middle of its exit then.
    pub(super) is_exiting: bool,
    /// How often that was asked.
    questions: u32,
    /// When something was learned of it last. Where that ended a wait, the end may lie before it.
    pub(super) noticed_at: Timestamp,
}

/// What is left after the exit of the main process, which the report waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Everything else is waited for.
    #[default]
    Later,
    /// It was asked for at this time.
    Asked(Timestamp),
    /// Something is left, as it is for a moment where a parent is slow.
    Left,
    /// It was asked for again at this time.
    AskedAgain(Timestamp),
    /// It is known.
    Known,
}

/// The last counts of a termination's connections, which its report waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FinalCounts {
    /// Everything else is waited for.
    #[default]
    Later,
    /// They were asked for at this time.
    Asked(Timestamp),
    /// They did not come.
    Missing,
}

/// The steps of a termination, as far as they are done, and what is known of it by others.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each of which is a step of its own"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProgressKey {
    hook_started: Option<Timestamp>,
    hook_ended: Option<Timestamp>,
    stop_signal: Option<Timestamp>,
    kill: Option<Timestamp>,
    exit: Option<Timestamp>,
    released: Option<Timestamp>,
    stuck: bool,
    requested: Option<Timestamp>,
    reason: Option<Trigger>,
    pod_known: bool,
    name_known: bool,
    resets: usize,
    endpoint: (Option<Timestamp>, Option<Timestamp>),
    exiting: bool,
}

impl OpenTermination {
    /// When the exit and the release became known.
    pub(super) const fn end_times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.exit_noticed, self.release_noticed)
    }

    pub(super) fn notice(&mut self, termination: &Termination<'_>, now: Timestamp) {
        self.noticed_at = self.noticed_at.max(now);
        let ended = termination.exit.is_some() || termination.main.vanished_at.is_some();
        self.exit_noticed = ended.then(|| self.exit_noticed.unwrap_or(now));
        self.release_noticed = termination
            .released_at
            .is_some()
            .then(|| self.release_noticed.unwrap_or(now));
    }

    pub(super) fn deadline(
        &mut self,
        termination: &Termination<'_>,
        looked_at: Option<Timestamp>,
        limits: &Limits,
    ) -> Option<Timestamp> {
        let closes_at = self.closes_at(termination, looked_at, limits);
        // What came late may have moved the end.
        if let FinalCounts::Asked(asked_at) = self.final_counts {
            if closes_at.is_some_and(|at| at <= asked_at) {
                return Some(asked_at.after(COUNT_MAX));
            }
            self.final_counts = FinalCounts::Later;
        }
        if let Rest::Asked(asked_at) | Rest::AskedAgain(asked_at) = self.rest {
            if closes_at.is_some_and(|at| at <= asked_at) {
                return Some(asked_at.after(COUNT_MAX));
            }
            self.rest = Rest::Later;
        }
        [
            closes_at,
            self.asks_before_exit_at(termination),
            hook_expires_at(termination),
            self.stuck_at(termination, limits),
            gives_up_at(termination),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When late facts are waited for no longer: those of the kernel, its pod, and why it was stopped.
    pub(super) fn closes_at(
        &self,
        termination: &Termination<'_>,
        looked_at: Option<Timestamp>,
        limits: &Limits,
    ) -> Option<Timestamp> {
        let since = self.release_noticed.or(self.exit_noticed)?;
        let wait = if !termination.container.is_settled() {
            limits.pod_wait
        } else if termination.lacks_reason() {
            let pod = termination.container.pod.as_ref();
            if pod.is_some_and(|pod| pod.is_static()) {
                // That its object goes tells the reason, and the kubelet sees to that after the pod ended.
                limits.pod_wait
            } else {
                limits.reason_wait
            }
        } else {
            Duration::ZERO
        };
        let mut closes_at = since.after(wait.max(limits.tail));
        if termination.may_go_on() {
            closes_at = closes_at.max(goes_on_by(termination, (since, looked_at), limits));
        }
        if self.rest == Rest::Left && !termination.container.has_newcomer() {
            let exit_noticed = self.exit_noticed?;
            return Some(closes_at.max(exit_noticed.after(REMAINING_AFTER)));
        }
        Some(closes_at)
    }

    /// When it is asked what keeps a main process that was told to end and was not seen to: it may be in the middle of its
    /// exit. Every few seconds, for half an hour.
    pub(super) fn asks_before_exit_at(&self, termination: &Termination<'_>) -> Option<Timestamp> {
        let told_at = [
            termination.stop,
            termination.kill.map(|(kill, _cause)| kill),
        ]
        .into_iter()
        .flatten()
        .map(|fact| fact.at)
        .max()?;
        let ended = termination.exit.is_some()
            || termination.released_at.is_some()
            || termination.main.vanished_at.is_some();
        let since = self.asked_before_exit.unwrap_or(told_at).max(told_at);
        let asks = !ended && self.questions < QUESTIONS_MAX;
        let wait = if self.is_exiting {
            EXIT_TAKES
        } else {
            REMAINING_AFTER
        };
        asks.then(|| since.after(wait))
    }

    /// Takes note that it is asked then, before the exit was seen.
    pub(super) const fn ask_before_exit(&mut self, now: Timestamp) {
        self.asked_before_exit = Some(now);
        self.questions += 1;
    }

    /// Takes note that it is asked then, before the report is given out. Returns whether it is to be asked.
    pub(super) fn ask_for_rest(&mut self, termination: &Termination<'_>, now: Timestamp) -> bool {
        self.rest = match self.rest {
            Rest::Later if termination.exit.is_some() => Rest::Asked(now),
            Rest::Left => Rest::AskedAgain(now),
            Rest::Later | Rest::Asked(_) | Rest::AskedAgain(_) | Rest::Known => return false,
        };
        true
    }

    /// Takes in what is left. Returns whether the report need not wait for it any more.
    pub(super) fn take_rest(
        &mut self,
        termination: &Termination<'_>,
        remaining: &Remaining,
    ) -> bool {
        let outlives = termination.was_stopped()
            && termination.released_at.is_none()
            && !termination.container.has_newcomer();
        let is_left = remaining.main.is_some() || (outlives && !remaining.others.is_empty());
        self.rest = match self.rest {
            Rest::Asked(_) if is_left => Rest::Left,
            Rest::Asked(_) | Rest::AskedAgain(_) => Rest::Known,
            Rest::Later | Rest::Left | Rest::Known => return false,
        };
        if self.rest == Rest::Left {
            self.final_counts = FinalCounts::Later;
        }
        self.rest == Rest::Known
    }

    pub(super) fn stuck_at(
        &self,
        termination: &Termination<'_>,
        limits: &Limits,
    ) -> Option<Timestamp> {
        let (kill, _cause) = termination.kill?;
        let waiting = termination.exit.is_none() && !self.stuck;
        waiting.then(|| kill.at.after(limits.stuck_after))
    }

    /// Returns the report as it stands.
    pub(super) fn report(
        &mut self,
        termination: &Termination<'_>,
        sockets: &Sockets,
        stage: ReportStage,
        context: &mut Context<'_>,
    ) -> Report {
        let id = *self.id.get_or_insert_with(|| {
            let id = *context.next_id;
            *context.next_id += 1;
            id
        });
        let surroundings = Surroundings {
            id,
            now: context.now,
            limits: context.limits,
            losses: context.losses,
            sockets,
            reasons: context.reasons,
            counts_missing: self.final_counts == FinalCounts::Missing,
            left_unknown: self.left_unknown,
        };
        termination.report(stage, &surroundings)
    }
}

impl ProgressKey {
    pub(super) fn from_termination(
        termination: &Termination<'_>,
        sockets: &Sockets,
        stuck: bool,
    ) -> Self {
        let started_at = termination.started_at();
        let since_start = |mark: &&(Timestamp, _)| mark.0 >= started_at;
        let resets = sockets.reset_marks().iter().filter(since_start).count();
        let times = |endpoint: Endpoint| (endpoint.unready_at, endpoint.terminating_at);
        let hook = termination.hook.as_ref();
        Self {
            hook_started: hook.and_then(|hook| hook.started_at),
            hook_ended: hook.and_then(|hook| hook.ended_at),
            stop_signal: termination.stop.map(|stop| stop.at),
            kill: termination.kill.map(|(kill, _cause)| kill.at),
            exit: termination.exit.map(|exit| exit.at),
            released: termination.released_at,
            stuck,
            requested: termination.request.map(|request| request.at),
            reason: termination.reason,
            pod_known: termination.container.pod.is_some(),
            name_known: termination.container.spec.name.is_some(),
            resets: resets.min(MARKS_MAX),
            endpoint: termination.endpoint().map_or((None, None), times),
            exiting: termination.is_held_in_exit(),
        }
    }
}

/// By when it is known whether a container goes on whose main process ended in an orderly way at that time, and in which it was looked
/// what was left behind.
fn goes_on_by(
    termination: &Termination<'_>,
    (ended_at, looked_at): (Timestamp, Option<Timestamp>),
    limits: &Limits,
) -> Timestamp {
    // What was looked up is newer than the records that were told by then; those come within the tail.
    let looked = looked_at.map_or(ended_at.after(LOOK_MAX), |at| at.after(limits.tail));
    // The program is begun anew, or this was one of several: only the newcomer's exec tells.
    let newcomer = termination.container.newcomer_known_at();
    newcomer.map_or(looked, |known_at| looked.max(known_at.after(LOOK_MAX)))
}

/// When a hook that no stop signal followed turns out to be none.
pub(super) fn hook_expires_at(termination: &Termination<'_>) -> Option<Timestamp> {
    let ended = termination.hook.as_ref()?.ended_at?;
    termination
        .rests_on_hook()
        .then(|| ended.after(HOOK_TO_STOP_SIGNAL_MAX))
}

/// When a stop signal that nothing came of turns out to be none.
pub(super) fn gives_up_at(termination: &Termination<'_>) -> Option<Timestamp> {
    let stop = termination.stop?;
    let grace = termination.container.spec.grace.unwrap_or(GRACE_DEFAULT);
    (termination.kill.is_none() && termination.exit.is_none() && termination.released_at.is_none())
        .then(|| stop.at.after(grace).after(GIVE_UP_AFTER))
}
