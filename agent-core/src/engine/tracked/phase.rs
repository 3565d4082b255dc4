//! A container's connections: the phase that the kernel side counts them in, and what was counted and is reported.

use std::time::Duration;

use super::Context;
use crate::connection::{Phase, SocketCounts};
use crate::container::Container;
use crate::event::{Event, EventKind, Tgid};
use crate::output::{Effect, Output};
use crate::signal::Signal;
use crate::sockets::{Edges, Parting, Placement, Sockets};
use crate::stop_signals;
use crate::termination::{STOP_MAX_DEFAULT, pod_ref};
use crate::time::Timestamp;

/// How long after the end of a grace period SIGKILL may end it: a busy runtime takes seconds.
const KILL_MAX: Duration = Duration::from_secs(10);

/// What is counted of a container's connections, and the phase that the kernel side knows.
#[derive(Debug)]
pub(in crate::engine) struct Connections {
    pub(in crate::engine) sockets: Sockets,
    /// What the kernel side was given last.
    given: PhaseGiven,
    /// When the main process last got a signal with which the kernel side began an interval that may turn out to be
    /// of no termination.
    signalled_at: Option<Timestamp>,
    /// Up to when all such signals, and all that is over, do not count any more.
    void_until: Timestamp,
}

/// What the kernel side is given of a container's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PhaseGiven {
    /// Its main process, if it is known.
    pub(super) main: Option<Tgid>,
    pub(super) phase: Phase,
    /// The stop signal as far as anybody knows.
    pub(super) stop_signal: Signal,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            sockets: Sockets::default(),
            given: PhaseGiven {
                main: None,
                phase: Phase::Running,
                stop_signal: Signal::TERM,
            },
            signalled_at: None,
            void_until: Timestamp::default(),
        }
    }
}

impl Connections {
    /// Gives the kernel side the course, where it is another one now. `began_at` says when the termination began at the
    /// earliest, if there is one.
    pub(super) fn sync_phase(
        &mut self,
        container: &Container,
        (phase_given, began_at): (PhaseGiven, Option<Timestamp>),
        context: &mut Context<'_>,
    ) {
        if context.reasons.is_none() {
            return;
        }
        let before = self.given;
        let is_over = container.removed && phase_given.phase == Phase::Running;
        let expired = self.signals_expire_at(container);
        let has_expired = expired.is_some_and(|at| at <= context.now);
        if is_over || (before == phase_given && !has_expired) {
            return;
        }
        self.given = phase_given;
        let ran = before.phase == Phase::Running;
        let parted = match (ran, phase_given.phase == Phase::Running) {
            (true, false) => {
                self.sockets.begin_termination();
                // The signals before it were none that stopped it. Those that came after may be.
                let is_older = |at: &Timestamp| began_at.is_some_and(|began| *at < began);
                let older = self.signalled_at().filter(is_older);
                older
                    .filter(|_| phase_given.phase == Phase::Hook)
                    .map(|at| (Parting::Signals, at))
            }
            (false, true) => Some((Parting::Termination, context.now)),
            (true, true) if has_expired => self.signalled_at().map(|at| (Parting::Signals, at)),
            (true, true) | (false, false) => None,
        };
        if let Some((what, void_until)) = parted {
            self.part(what, void_until);
        }
        context.outputs.push_back(Output::Effect(Effect::Phase {
            container: container.id(),
            main: phase_given.main,
            phase: phase_given.phase,
            stops: stop_signals::stopping(phase_given.stop_signal),
            candidates: stop_signals::candidates(phase_given.stop_signal),
            void_until: self.void_until,
        }));
        if parted.is_some() {
            // After the phase was given, so that these counts hold all that belongs to what is over.
            let container = container.id();
            context
                .outputs
                .push_back(Output::Effect(Effect::Count { container }));
        }
    }

    /// What was counted up to here is no part of what comes, and what began up to this time does not count any more.
    fn part(&mut self, what: Parting, void_until: Timestamp) {
        self.void_until = self.void_until.max(void_until);
        self.signalled_at = self.signalled_at.filter(|at| *at > void_until);
        self.sockets.part(what, void_until);
    }

    /// Takes in a reset, and notes a signal with which the kernel side begins an interval, though it may be none that stops:
    /// the terminal's SIGWINCH, the SIGQUIT that asks for a dump. Whether it was, only hindsight tells.
    pub(super) fn note_event(
        &mut self,
        event: &Event,
        container: &Container,
        context: &Context<'_>,
    ) {
        if let EventKind::Reset(reset) = &event.kind {
            self.sockets.record_reset(event.at, reset);
        }
        if let EventKind::Signal(sent) = &event.kind
            && context.reasons.is_some()
            && self.given.main == Some(sent.target.tgid)
            && sent.sender.container != Some(container.id())
            && stop_signals::is_candidate(sent.signal, self.given.stop_signal)
        {
            self.signalled_at = self.signalled_at.max(Some(event.at));
        }
    }

    /// When the last such signal came, as its record told or, if that was lost, as the counts do.
    fn signalled_at(&self) -> Option<Timestamp> {
        self.signalled_at.max(self.sockets.signalled_at())
    }

    /// When signals that nothing came of turn out to be none that stops. As long as that is open, places are taken.
    pub(super) fn signals_expire_at(&self, container: &Container) -> Option<Timestamp> {
        let at = self
            .signalled_at()
            .filter(|_| self.given.phase == Phase::Running)?;
        // A stop that begins anew, after a restart of the kubelet, takes up to two grace periods.
        let grace = container.spec.grace.unwrap_or_default() * 2;
        Some(at.after(STOP_MAX_DEFAULT.max(grace + KILL_MAX)))
    }

    /// Takes in what was counted.
    pub(super) fn apply_counts(
        &mut self,
        counts: SocketCounts,
        container: &Container,
        context: &mut Context<'_>,
    ) {
        self.sockets.apply_counts(counts);
        let is_known = container.is_settled() && container.main().is_some();
        if self.sockets.has_too_many_untold() {
            let placement = self.sockets.placement(None);
            self.report_resets(container, Some(placement), context);
        } else if is_known {
            self.report_resets(container, None, context);
        }
    }

    /// Reports the resets that no output reported yet; without a placement only those whose phase is sure.
    pub(super) fn report_resets(
        &mut self,
        container: &Container,
        placement: Option<Placement>,
        context: &mut Context<'_>,
    ) {
        let Some(reasons) = context.reasons else {
            return;
        };
        let resets = self.sockets.take_unreported(reasons, placement);
        if !resets.is_empty() {
            context.outputs.push_back(Output::Resets {
                subject: container.subject.clone(),
                pod: pod_ref(container),
                resets,
            });
        }
    }

    /// Reports all of them: its termination is over, or there is none and it goes.
    pub(super) fn report_all_resets(
        &mut self,
        container: &Container,
        edges: Option<&Edges>,
        context: &mut Context<'_>,
    ) {
        let placement = self.sockets.placement(edges);
        self.report_resets(container, Some(placement), context);
    }
}
