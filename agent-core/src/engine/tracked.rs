//! One tracked container and where its termination stands: what was told of it, what it waits for, when it is over.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Limits;
use crate::container::{Container, Wishes};
use crate::findings;
use crate::output::Output;
use crate::report::{Doubt, MainExit, Outcome, Report, StopSignal};
use crate::termination::{HOOK_TO_STOP_SIGNAL_MAX, Termination};
use crate::time::Timestamp;
use crate::verdict;

/// How long after the end of the grace a main process that got the stop signal and lives on keeps its termination open.
/// After that the signal was not meant to end it.
const GIVE_UP_AFTER: Duration = Duration::from_hours(1);

/// The grace to count with where none is known: systemd's `DefaultTimeoutStopSec`.
const GRACE_DEFAULT: Duration = Duration::from_secs(90);

/// What a container is given to act with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) limits: &'a Limits,
    pub(super) lost: Option<Timestamp>,
    pub(super) next_id: &'a mut u64,
    pub(super) outputs: &'a mut VecDeque<Output>,
}

/// A tracked container.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) container: Container,
    /// When to call [`Self::handle_timeout`].
    pub(super) deadline: Option<Timestamp>,
    /// Whether it was looked at what the main process left behind.
    pub(super) looked_at: bool,
    open: Option<Open>,
    untracked: bool,
}

/// A termination that is not finished.
#[derive(Debug, Default)]
struct Open {
    /// Its report's number, once anything was told of it.
    id: Option<u64>,
    /// What was told last.
    told: Steps,
    /// When the exit became known.
    exit_noticed: Option<Timestamp>,
    /// When the release became known.
    release_noticed: Option<Timestamp>,
    /// Whether SIGKILL has not ended the main process for long.
    stuck: bool,
    /// Whether it was asked what the main process left behind.
    inspected: bool,
    /// Whether it ended without an answer to that.
    left_unknown: bool,
}

/// The steps of a termination, as far as they are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Steps {
    hook_started: Option<Timestamp>,
    hook_ended: Option<Timestamp>,
    stop_signal: Option<Timestamp>,
    kill: Option<Timestamp>,
    exit: Option<Timestamp>,
    released: Option<Timestamp>,
    stuck: bool,
}

/// Why a report is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    Step,
    End,
    AgentStops,
}

impl Tracked {
    pub(super) const fn new(container: Container) -> Self {
        Self {
            container,
            deadline: None,
            looked_at: false,
            open: None,
            untracked: false,
        }
    }

    /// Whether nothing more can come of it.
    pub(super) const fn is_gone(&self) -> bool {
        self.container.removed && self.open.is_none()
    }

    /// Passes on what the container wants done.
    pub(super) fn grant(&self, wishes: Wishes, context: &mut Context<'_>) {
        let container = self.container.id();
        for tgid in wishes.watch {
            context.outputs.push_back(Output::Watch { container, tgid });
        }
        if wishes.inspect && !self.container.removed {
            context.outputs.push_back(Output::Inspect { container });
        }
        if let Some(reason) = wishes.dropped {
            let at = context.now;
            context.outputs.push_back(Output::Dropped { reason, at });
        }
    }

    /// Says what is new, and sets the deadline.
    pub(super) fn update(&mut self, context: &mut Context<'_>) {
        let container = self.container.id();
        if self.container.removed && !self.untracked {
            self.untracked = true;
            context.outputs.push_back(Output::Untrack { container });
        }
        let termination =
            Termination::of(&self.container).filter(|_open| !self.container.is_sandbox());
        let Some(termination) = termination else {
            withdraw(self.open.take(), &self.container, context);
            self.deadline = None;
            return;
        };
        let open = self.open.get_or_insert_default();
        let ended_before = open.ended();
        open.notice(&termination, context.now);
        // At the exit and at the release, so that the last count is complete; a removed one is counted as it is untracked.
        if open.ended() != ended_before && !self.untracked {
            context.outputs.push_back(Output::Count { container });
        }
        if termination.may_go_on() {
            if !open.inspected {
                open.inspected = true;
                self.looked_at = false;
                context.outputs.push_back(Output::Inspect { container });
            }
        } else {
            let steps = Steps::of(&termination, open.stuck);
            if open.told != steps {
                open.told = steps;
                let report = open.report(&termination, Occasion::Step, context);
                context
                    .outputs
                    .push_back(Output::Progress(Box::new(report)));
            }
        }
        self.deadline = open.deadline(&termination, context.limits);
    }

    /// The deadline is reached.
    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let Some(termination) = Termination::of(&self.container) else {
            return;
        };
        let Some(open) = &mut self.open else {
            return;
        };
        if open
            .closes_at(context.limits)
            .is_some_and(|at| at <= context.now)
        {
            if termination.may_go_on() && self.container.has_successor() {
                withdraw(self.open.take(), &self.container, context);
                self.container.forget_main();
            } else {
                self.finish(Occasion::End, context);
            }
        } else if hook_expires_at(&termination).is_some_and(|at| at <= context.now) {
            self.container.forget_hooks();
        } else if open
            .stuck_at(&termination, context.limits)
            .is_some_and(|at| at <= context.now)
        {
            open.stuck = true;
        } else if gives_up_at(&termination).is_some_and(|at| at <= context.now) {
            self.container.forget_stop_signals();
        }
    }

    /// The agent is about to stop.
    pub(super) fn shut_down(&mut self, context: &mut Context<'_>) {
        self.finish(Occasion::AgentStops, context);
    }

    fn finish(&mut self, occasion: Occasion, context: &mut Context<'_>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        if let Some(termination) = Termination::of(&self.container) {
            open.left_unknown = termination.may_go_on() && !self.looked_at;
            let report = open.report(&termination, occasion, context);
            context
                .outputs
                .push_back(Output::Finished(Box::new(report)));
        }
        self.container.close_termination();
    }
}

/// Takes back what was told of a termination that was none.
fn withdraw(open: Option<Open>, container: &Container, context: &mut Context<'_>) {
    if let Some(id) = open.and_then(|open| open.id) {
        let container = container.id();
        context
            .outputs
            .push_back(Output::Withdrawn { id, container });
    }
}

impl Open {
    /// When the exit and the release became known.
    const fn ended(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.exit_noticed, self.release_noticed)
    }

    fn notice(&mut self, termination: &Termination<'_>, now: Timestamp) {
        let ended = termination.exit.is_some() || termination.main.vanished_at.is_some();
        self.exit_noticed = ended.then(|| self.exit_noticed.unwrap_or(now));
        self.release_noticed = termination
            .released_at
            .is_some()
            .then(|| self.release_noticed.unwrap_or(now));
    }

    fn deadline(&self, termination: &Termination<'_>, limits: &Limits) -> Option<Timestamp> {
        [
            self.closes_at(limits),
            hook_expires_at(termination),
            self.stuck_at(termination, limits),
            gives_up_at(termination),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When late facts are waited for no longer.
    fn closes_at(&self, limits: &Limits) -> Option<Timestamp> {
        let since = self.release_noticed.or(self.exit_noticed)?;
        Some(since.after(limits.tail))
    }

    fn stuck_at(&self, termination: &Termination<'_>, limits: &Limits) -> Option<Timestamp> {
        let (kill, _cause) = termination.kill?;
        let waiting = termination.exit.is_none() && !self.stuck;
        waiting.then(|| kill.at.after(limits.stuck_after))
    }

    fn report(
        &mut self,
        termination: &Termination<'_>,
        occasion: Occasion,
        context: &mut Context<'_>,
    ) -> Report {
        let id = *self.id.get_or_insert_with(|| {
            let id = *context.next_id;
            *context.next_id += 1;
            id
        });
        let outcome = match (occasion, verdict::outcome(termination)) {
            (Occasion::Step, _) => Outcome::InProgress,
            (Occasion::End | Occasion::AgentStops, outcome) => outcome.unwrap_or(Outcome::Unknown),
        };
        let container = termination.container;
        Report {
            id,
            subject: container.subject.clone(),
            main: Some(termination.main.as_main()),
            outcome,
            trigger: verdict::trigger(termination, outcome),
            started_at: termination.started_at(),
            hook: termination.hook.clone(),
            stop_signal: termination.stop.map(|stop| StopSignal {
                at: stop.at,
                signal: stop.signal,
                sender: stop.sender.clone(),
                result: stop.result,
                handler: stop.handler,
                blocked: stop.blocked,
            }),
            stop_signals_repeated: termination.stops_repeated,
            kill: termination.as_kill(),
            kills_repeated: termination.kills_repeated,
            exit: termination.exit.cloned(),
            released_at: termination.released_at,
            grace: verdict::grace(termination),
            signals_inside: container.signals_inside,
            signals_outside: container.signals_outside,
            findings: findings::findings(termination, outcome, context.limits, context.now),
            doubts: self.doubts(termination, occasion, context.lost),
        }
    }

    fn doubts(
        &self,
        termination: &Termination<'_>,
        occasion: Occasion,
        lost: Option<Timestamp>,
    ) -> Vec<Doubt> {
        let mut doubts = termination.doubts(lost);
        let exit: Option<&MainExit> = termination.exit;
        let others = [
            (
                Doubt::ExitMissing,
                occasion == Occasion::End && exit.is_none(),
            ),
            (Doubt::MainUncertain, self.left_unknown),
            (Doubt::AgentStopped, occasion == Occasion::AgentStops),
        ];
        for (doubt, holds) in others {
            if holds && !doubts.contains(&doubt) {
                doubts.push(doubt);
            }
        }
        doubts.sort_unstable();
        doubts
    }
}

impl Steps {
    fn of(termination: &Termination<'_>, stuck: bool) -> Self {
        let hook = termination.hook.as_ref();
        Self {
            hook_started: hook.map(|hook| hook.started_at),
            hook_ended: hook.and_then(|hook| hook.ended_at),
            stop_signal: termination.stop.map(|stop| stop.at),
            kill: termination.kill.map(|(kill, _cause)| kill.at),
            exit: termination.exit.map(|exit| exit.at),
            released: termination.released_at,
            stuck,
        }
    }
}

/// When a hook that no stop signal followed turns out to be none.
fn hook_expires_at(termination: &Termination<'_>) -> Option<Timestamp> {
    let ended = termination.hook.as_ref()?.ended_at?;
    termination
        .rests_on_hook()
        .then(|| ended.after(HOOK_TO_STOP_SIGNAL_MAX))
}

/// When a stop signal that nothing came of turns out to be none.
fn gives_up_at(termination: &Termination<'_>) -> Option<Timestamp> {
    let stop = termination.stop?;
    let grace = termination.container.grace().unwrap_or(GRACE_DEFAULT);
    (termination.kill.is_none() && termination.exit.is_none() && termination.released_at.is_none())
        .then(|| stop.at.after(grace).after(GIVE_UP_AFTER))
}
