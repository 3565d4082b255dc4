//! A container's connections: the phase that the kernel side counts them in, and what was counted and is reported.

use super::Context;
use crate::connection::{Phase, SocketCounts};
use crate::container::Container;
use crate::event::{CgroupId, Event, EventKind, Tgid};
use crate::output::{Output, Wish};
use crate::sockets::Sockets;
use crate::termination::{STOP_MAX_DEFAULT, pod_ref};
use crate::time::Timestamp;

/// What is counted of a container's connections, and the phase that the kernel side knows.
#[derive(Debug)]
pub(in crate::engine) struct Connections {
    pub(in crate::engine) sockets: Sockets,
    /// The main process and the phase that the kernel side was given last.
    given: (Option<Tgid>, Phase),
    /// When, since then, the main process first got a signal with which the kernel side begins a phase by itself.
    provisional_stop_at: Option<Timestamp>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            sockets: Sockets::default(),
            given: (None, Phase::Running),
            provisional_stop_at: None,
        }
    }
}

impl Connections {
    /// Gives the kernel side the main process and the phase, where they are other ones now.
    pub(super) fn sync_phase(
        &mut self,
        container: &Container,
        (main, phase): (Option<Tgid>, Phase),
        context: &mut Context<'_>,
    ) {
        if context.reasons.is_none() {
            return;
        }
        let id = container.id();
        let (_, before) = self.given;
        let is_over = container.removed && phase == Phase::Running;
        let expired = self
            .provisional_stop_expires_at()
            .is_some_and(|at| at <= context.now);
        if is_over || (self.given == (main, phase) && !expired) {
            return;
        }
        self.given = (main, phase);
        let was_provisional = self.provisional_stop_at.take().is_some();
        if before == Phase::Running && phase != Phase::Running {
            self.sockets.begin();
        }
        if (before != Phase::Running && phase == Phase::Running) || expired {
            self.part(id, context);
        }
        if was_provisional && phase == Phase::Hook {
            // Only the running phase takes back what the kernel side began by itself: a hook comes before the stop signal,
            // so the signal that it saw was none.
            self.part(id, context);
            give_phase(id, main, Phase::Running, context);
        }
        give_phase(id, main, phase, context);
    }

    /// What was counted up to here is no part of what comes.
    fn part(&mut self, container: CgroupId, context: &mut Context<'_>) {
        self.sockets.part();
        context
            .outputs
            .push_back(Output::Wish(Wish::Count { container }));
    }

    /// Takes in a reset, and notes a signal with which the kernel side begins a phase, though it may be none that stops: the
    /// terminal's SIGWINCH, the SIGQUIT that asks for a dump. Whether it was, only hindsight tells.
    pub(super) fn note_event(
        &mut self,
        event: &Event,
        container: &Container,
        context: &Context<'_>,
    ) {
        if let EventKind::Reset(reset) = &event.kind {
            self.sockets.mark(event.at, reset);
        }
        let (main, phase) = self.given;
        if let EventKind::Signal(sent) = &event.kind
            && context.reasons.is_some()
            && phase == Phase::Running
            && main == Some(sent.target.tgid)
            && sent.sender.container != Some(container.id())
        {
            self.provisional_stop_at.get_or_insert(event.at);
        }
    }

    /// When a signal that nothing came of turns out to be none that stops.
    pub(super) fn provisional_stop_expires_at(&self) -> Option<Timestamp> {
        Some(self.provisional_stop_at?.after(STOP_MAX_DEFAULT))
    }

    /// Takes in what was counted.
    pub(super) fn take(
        &mut self,
        counts: SocketCounts,
        container: &Container,
        context: &mut Context<'_>,
    ) {
        self.sockets.take(counts);
        let is_known = container.is_settled() && container.main().is_some();
        if is_known || self.sockets.has_too_many_untold() {
            self.report_resets(container, context);
        }
    }

    /// Reports the resets that no output reported yet.
    pub(super) fn report_resets(&mut self, container: &Container, context: &mut Context<'_>) {
        if let Some(reasons) = context.reasons.filter(|_| self.sockets.has_untold()) {
            let resets = self.sockets.tell(reasons);
            context.outputs.push_back(Output::Resets {
                subject: container.subject.clone(),
                pod: pod_ref(container),
                comm: container.main().map(|main| main.comm.clone()),
                resets,
            });
        }
    }
}

fn give_phase(container: CgroupId, main: Option<Tgid>, phase: Phase, context: &mut Context<'_>) {
    context.outputs.push_back(Output::Wish(Wish::Phase {
        container,
        main,
        phase,
    }));
}
