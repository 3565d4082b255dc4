//! One tracked container and where its termination stands: what was told of it, what it waits for, when it is over.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use crate::advice::Advisor;
use crate::config::Limits;
use crate::connection::{Phase, SocketCounts};
use crate::container::{Container, ContainerEffects, Succession};
use crate::event::{CgroupId, Event, EventKind};
use crate::losses::LossesOf;
use crate::output::{Effect, Output, UnreportedReason};
use crate::pod_facts::PodFacts;
use crate::remaining::Remaining;
use crate::signal::Signal;
use crate::sockets::Reasons;
use crate::spec;
use crate::stop_signals;
use crate::termination::{ReportStage, STOP_MAX_DEFAULT, Termination};
use crate::time::Timestamp;
use crate::traffic;

mod open;
mod phase;

use super::pods::Exited;
use open::{FinalCounts, OpenTermination, ProgressKey, gives_up_at, hook_expires_at};
use phase::{Connections, PhaseGiven};

/// What a container is given to act with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) limits: &'a Limits,
    /// When records were lost that may be about it.
    pub(super) losses: LossesOf<'a>,
    pub(super) next_id: &'a mut u64,
    /// The kernel's reasons for a reset, where connections are counted.
    pub(super) reasons: Option<&'a Reasons>,
    /// Whether it is answered what is left after an exit.
    pub(super) remaining: bool,
    pub(super) advisor: &'a mut Advisor,
    pub(super) outputs: &'a mut VecDeque<Output>,
}

/// A tracked container.
#[derive(Debug)]
pub(super) struct TrackedContainer {
    pub(super) container: Container,
    /// The outermost container that it is in; its own if it is in none.
    pub(super) outermost: CgroupId,
    /// When to call [`Self::handle_timeout`].
    pub(super) deadline: Option<Timestamp>,
    /// When it was looked at what the main process left behind, if it was.
    pub(super) looked_at: Option<Timestamp>,
    open: Option<OpenTermination>,
    /// Whether there was a report of it.
    reported: bool,
    /// Whether the agent is about to stop.
    shut_down: bool,
    /// Its connections.
    pub(super) connections: Connections,
    /// The stop signal for which signals are recorded.
    recorded: Option<Signal>,
    /// Address and port of its hook, connections to which were asked for.
    awaited: Option<(IpAddr, u16)>,
}

impl TrackedContainer {
    pub(super) fn new(container: Container, outermost: CgroupId) -> Self {
        Self {
            outermost,
            deadline: None,
            looked_at: None,
            open: None,
            reported: false,
            shut_down: false,
            connections: Connections::default(),
            recorded: container.spec.stop_signal,
            awaited: None,
            container,
        }
    }

    /// Whether it is a container of the pod with this UID in its path.
    pub(super) fn is_of_pod(&self, key: &str) -> bool {
        self.container.is_pods && self.container.subject.pod_uid.as_deref() == Some(key)
    }

    /// The effect that has it tracked, with the signals that matter for it.
    pub(super) fn track_effect(&self) -> Output {
        Output::Effect(Effect::Track {
            container: self.container.id(),
            path: self.container.subject.path.clone(),
            signals: stop_signals::recorded(self.recorded),
            begins: stop_signals::beginning(self.recorded),
            outermost: self.outermost,
        })
    }

    /// Its pod has become known, or has changed.
    pub(super) fn set_pod(&mut self, pod: Arc<PodFacts>, context: &mut Context<'_>) {
        self.container.set_pod(pod);
        if self.container.removed {
            return;
        }
        if self.recorded != self.container.spec.stop_signal {
            self.recorded = self.container.spec.stop_signal;
            context.outputs.push_back(self.track_effect());
        }
        let awaited = self.connects_awaited();
        if let Some((address, port)) = awaited
            && awaited != self.awaited
        {
            self.awaited = awaited;
            context
                .outputs
                .push_back(Output::Effect(Effect::AwaitConnect {
                    container: self.container.id(),
                    address,
                    port,
                }));
        }
    }

    /// Where the kubelet would connect to for its hook.
    fn connects_awaited(&self) -> Option<(IpAddr, u16)> {
        let pod = self.container.pod.as_ref()?;
        let own = pod.container(self.container.subject.container_id.as_ref()?)?;
        let address = pod.pod.ips.first()?;
        Some((*address, spec::awaited_port(own, pod)?))
    }

    /// The exit of its main process, for the other containers of the pod that its path names.
    pub(super) fn main_exit(&self) -> Option<(&str, Exited<'_>)> {
        let subject = &self.container.subject;
        let exit = self.container.main()?.exit.as_ref()?;
        let pod = subject.pod_uid.as_deref()?;
        let exited = Exited {
            cgroup: subject.cgroup,
            id: subject.container_id.as_deref()?,
            at: exit.at,
        };
        self.container.is_pods.then_some((pod, exited))
    }

    /// Takes in what the kernel side told of it.
    pub(super) fn apply_event(
        &mut self,
        event: &Event,
        context: &mut Context<'_>,
    ) -> ContainerEffects {
        if self.container.is_restart(event) {
            // What is told from now on is the next main process's.
            self.finish(ReportStage::End, context);
        }
        self.take_succession(event, context);
        self.connections.note_event(event, &self.container, context);
        self.container.apply_event(event, context.limits)
    }

    /// What took the place of the main process ends before the report of that is out.
    fn take_succession(&mut self, event: &Event, context: &mut Context<'_>) {
        let has_ended = self.container.main().is_some_and(|main| !main.is_alive());
        // Of a program that is still stopping, each of many processes may exit.
        if self.open.is_none() || !has_ended || !matches!(event.kind, EventKind::Exit(_)) {
            return;
        }
        let termination = Termination::derive(&self.container);
        let may_go_on = termination.is_some_and(|termination| termination.may_go_on());
        match self.container.succession(event, may_go_on) {
            Some(Succession::TakesPlace { certain }) => {
                withdraw(self.open.take(), &self.container, context);
                self.container.forget_main();
                self.container.main_is_doubtful |= !certain;
            }
            Some(Succession::Follows) => self.finish(ReportStage::End, context),
            None => {}
        }
    }

    /// Whether nothing more can come of it.
    pub(super) const fn is_gone(&self) -> bool {
        self.container.removed && self.open.is_none()
    }

    /// Passes on what the container wants done.
    pub(super) fn emit_effects(&mut self, effects: ContainerEffects, context: &mut Context<'_>) {
        let container = self.container.id();
        if effects.reopened {
            self.connections.sockets.settle();
        }
        for tgid in effects.watch {
            context
                .outputs
                .push_back(Output::Effect(Effect::Watch { container, tgid }));
        }
        if effects.inspect && !self.container.removed {
            context
                .outputs
                .push_back(Output::Effect(Effect::Inspect { container }));
        }
        if effects.process_limit && !self.container.removed {
            context
                .outputs
                .push_back(Output::Effect(Effect::ReadProcessLimit { container }));
        }
        if let Some(reason) = effects.dropped {
            let at = context.now;
            context.outputs.push_back(Output::Dropped { reason, at });
        }
    }

    /// Derives the termination, says what is new of it, and sets the deadline.
    pub(super) fn update(&mut self, context: &mut Context<'_>) {
        if self.shut_down {
            return;
        }
        let is_sandbox = self.container.is_sandbox();
        let termination = Termination::derive(&self.container).filter(|_open| !is_sandbox);
        let main = self.container.main().filter(|_main| !is_sandbox);
        let phase = termination
            .as_ref()
            .map_or(Phase::Running, Termination::phase);
        let given = PhaseGiven {
            main: main.map(|main| main.tgid),
            phase,
            stop_signal: self.container.stop_signal().0,
        };
        let began_at = termination
            .as_ref()
            .map(|open| traffic::phase_edges(open).began_at);
        let given = (given, began_at);
        self.connections.sync_phase(&self.container, given, context);
        let Some(termination) = termination else {
            withdraw(self.open.take(), &self.container, context);
            self.deadline = self.connections.signals_expire_at(&self.container);
            if self.container.removed {
                self.forget(is_sandbox, context);
            }
            return;
        };
        let container = self.container.id();
        let open = self.open.get_or_insert_default();
        let ended_before = open.end_times();
        open.notice(&termination, context.now);
        // At the exit and at the release, so that the last count is complete.
        if open.end_times() != ended_before {
            context
                .outputs
                .push_back(Output::Effect(Effect::Count { container }));
        }
        if termination.may_go_on() {
            if !open.inspected {
                open.inspected = true;
                self.looked_at = None;
                context
                    .outputs
                    .push_back(Output::Effect(Effect::Inspect { container }));
            }
        } else {
            let sockets = &self.connections.sockets;
            let steps = ProgressKey::from_termination(&termination, sockets, open.stuck);
            if open.told != steps {
                open.told = steps;
                let report = open.report(&termination, sockets, ReportStage::Progress, context);
                context
                    .outputs
                    .push_back(Output::Progress(Box::new(report)));
            }
        }
        self.deadline = open.deadline(&termination, self.looked_at, context.limits);
    }

    /// Its cgroup is gone, and nothing of it is open.
    fn forget(&mut self, is_sandbox: bool, context: &mut Context<'_>) {
        let container = self.container.id();
        if !self.reported && !is_sandbox {
            context.outputs.push_back(Output::Unreported {
                subject: self.container.subject.clone(),
                reason: self.why_unreported(context),
            });
        }
        self.connections
            .report_all_resets(&self.container, None, context);
        context
            .outputs
            .push_back(Output::Effect(Effect::Untrack { container }));
    }

    fn why_unreported(&self, context: &Context<'_>) -> UnreportedReason {
        // What tells that a process was in it may be among the lost.
        let tracked_at = self.container.tracked_at;
        let may_have_been_populated = context.losses.may_be_between(tracked_at, context.now);
        if self.container.was_gone {
            UnreportedReason::Gone
        } else if self.container.was_populated || may_have_been_populated {
            UnreportedReason::MainUnseen
        } else {
            UnreportedReason::Empty
        }
    }

    /// The deadline is reached.
    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let Some(termination) = Termination::derive(&self.container) else {
            return;
        };
        let Some(open) = &mut self.open else {
            return;
        };
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= context.now);
        if is_due(open.closes_at(&termination, self.looked_at, context.limits)) {
            let goes_on = termination.may_go_on() && self.container.has_successor();
            if termination.is_stage() || goes_on {
                withdraw(self.open.take(), &self.container, context);
                // systemd lets no program run so long before the main one.
                let ran_long = self.container.main_ran_longer_than(STOP_MAX_DEFAULT);
                let doubtful = ran_long && self.container.has_newcomer();
                self.container.forget_main();
                self.container.main_is_doubtful |= doubtful;
                return;
            }
            let asked_at = context.now.max(open.noticed_at);
            let asks = context.remaining && open.ask_for_rest(&termination, asked_at);
            if asks {
                let effect = remaining_effect(&termination);
                context.outputs.push_back(effect);
            }
            if context.reasons.is_some() && open.final_counts == FinalCounts::Later {
                open.final_counts = FinalCounts::Asked(asked_at);
                let container = self.container.id();
                context
                    .outputs
                    .push_back(Output::Effect(Effect::Count { container }));
            } else if !asks {
                open.final_counts = FinalCounts::Missing;
                self.finish(ReportStage::End, context);
            }
        } else if is_due(hook_expires_at(&termination)) {
            self.container.forget_hooks();
        } else if is_due(open.asks_before_exit_at(&termination)) {
            open.ask_before_exit(context.now);
            if context.remaining {
                context.outputs.push_back(remaining_effect(&termination));
            }
        } else if is_due(open.stuck_at(&termination, context.limits)) {
            open.stuck = true;
        } else if is_due(gives_up_at(&termination)) {
            self.container.forget_stop_signals();
        }
    }

    /// Takes in what was counted of its connections. It may be what the report waits for.
    pub(super) fn take_sockets(&mut self, counts: SocketCounts, context: &mut Context<'_>) {
        if context.reasons.is_none() {
            return;
        }
        self.connections
            .apply_counts(counts, &self.container, context);
        let open = self.open.as_ref();
        if open.is_some_and(|open| matches!(open.final_counts, FinalCounts::Asked(_))) {
            self.finish(ReportStage::End, context);
        }
    }

    /// Takes in what is left of it. It may be what the report waits for.
    pub(super) fn take_remaining(&mut self, remaining: Remaining, context: &mut Context<'_>) {
        let Some(termination) = Termination::derive(&self.container) else {
            return;
        };
        let Some(open) = &mut self.open else {
            return;
        };
        let is_known = open.take_rest(&termination, &remaining);
        let is_over = is_known && open.final_counts == FinalCounts::Later;
        let is_exiting = remaining.main.as_ref().is_some_and(|main| main.exiting);
        open.is_exiting = is_exiting;
        self.container.take_remaining(remaining, context.now);
        if is_over && context.reasons.is_none() {
            self.finish(ReportStage::End, context);
        }
    }

    /// The agent is about to stop. Nothing is begun after that: the next main process may be in a termination, too.
    pub(super) fn shut_down(&mut self, context: &mut Context<'_>) {
        self.shut_down = true;
        self.deadline = None;
        let termination = Termination::derive(&self.container);
        if termination.is_some_and(|termination| termination.is_stage()) {
            withdraw(self.open.take(), &self.container, context);
        } else {
            self.finish(ReportStage::AgentStops, context);
        }
        self.connections
            .report_all_resets(&self.container, None, context);
    }

    fn finish(&mut self, stage: ReportStage, context: &mut Context<'_>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        let mut edges = None;
        if let Some(termination) = Termination::derive(&self.container) {
            edges = Some(traffic::phase_edges(&termination));
            open.left_unknown = termination.may_go_on() && self.looked_at.is_none();
            let sockets = &self.connections.sockets;
            let mut report = open.report(&termination, sockets, stage, context);
            report.advice = context.advisor.observe_report(&report);
            self.reported = true;
            context
                .outputs
                .push_back(Output::Finished(Box::new(report)));
        }
        self.connections
            .report_all_resets(&self.container, edges.as_ref(), context);
        self.container.close_termination();
    }
}

/// The effect that asks what is left.
fn remaining_effect(termination: &Termination<'_>) -> Output {
    Output::Effect(Effect::FindRemaining {
        container: termination.container.id(),
        main: termination.main.tgid,
        start: termination.main.start,
    })
}

/// Takes back what was told of a termination that was none.
fn withdraw(open: Option<OpenTermination>, container: &Container, context: &mut Context<'_>) {
    if let Some(id) = open.and_then(|open| open.id) {
        let container = container.id();
        context
            .outputs
            .push_back(Output::Withdrawn { id, container });
    }
}
