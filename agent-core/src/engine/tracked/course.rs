//! What a container's connections need: that the kernel side knows where it is in its life, and that what was counted is
//! taken in and told.

use super::open::{LastCounts, Occasion, pod_ref};
use super::{Context, Tracked};
use crate::connection::{Phase, SocketCounts};
use crate::event::{Event, EventKind, Tgid};
use crate::output::{Output, Wish};
use crate::termination::{STOP_MAX_DEFAULT, Termination};
use crate::time::Timestamp;

impl Tracked {
    /// Has the kernel side told of its main process and its phase, where they are other ones now.
    pub(super) fn tell_course(&mut self, context: &mut Context<'_>) {
        if context.reasons.is_none() {
            return;
        }
        let (main, phase) = self.present_course();
        let (_, before) = self.course;
        let is_over = self.container.removed && phase == Phase::Running;
        let expired = self.stir_expires_at().is_some_and(|at| at <= context.now);
        if is_over || (self.course == (main, phase) && !expired) {
            return;
        }
        self.course = (main, phase);
        let stirred = self.stirred_at.take().is_some();
        if before == Phase::Running && phase != Phase::Running {
            self.container.sockets.begin();
        }
        if (before != Phase::Running && phase == Phase::Running) || expired {
            self.part(context);
        }
        if stirred && phase == Phase::Hook {
            // Only the running phase takes back what the kernel side began.
            self.part(context);
            self.say_phase(main, Phase::Running, context);
        }
        self.say_phase(main, phase, context);
    }

    /// What was counted up to here is no part of what comes.
    fn part(&mut self, context: &mut Context<'_>) {
        self.container.sockets.part();
        let container = self.container.id();
        context
            .outputs
            .push_back(Output::Wish(Wish::Count { container }));
    }

    fn say_phase(&self, main: Option<Tgid>, phase: Phase, context: &mut Context<'_>) {
        context.outputs.push_back(Output::Wish(Wish::Phase {
            container: self.container.id(),
            main,
            phase,
        }));
    }

    /// Notices a signal with which the kernel side begins a phase, though it may be none that stops: the terminal's
    /// SIGWINCH, the SIGQUIT that asks for a dump. Whether it was, only hindsight tells.
    pub(super) fn notice_stir(&mut self, event: &Event, context: &Context<'_>) {
        let (main, phase) = self.course;
        if let EventKind::Signal(sent) = &event.kind
            && context.reasons.is_some()
            && phase == Phase::Running
            && main == Some(sent.target.tgid)
            && sent.sender.container != Some(self.container.id())
        {
            self.stirred_at.get_or_insert(event.at);
        }
    }

    /// When a signal that nothing came of turns out to be none that stops.
    pub(super) fn stir_expires_at(&self) -> Option<Timestamp> {
        Some(self.stirred_at?.after(STOP_MAX_DEFAULT))
    }

    fn present_course(&self) -> (Option<Tgid>, Phase) {
        if self.container.is_sandbox() {
            return (None, Phase::Running);
        }
        let main = self.container.main().map(|main| main.tgid);
        let termination = Termination::of(&self.container);
        let phase = termination.map_or(Phase::Running, |termination| termination.phase());
        (main, phase)
    }

    /// Takes in what was counted. It may be what the report waits for.
    pub(in crate::engine) fn take_sockets(
        &mut self,
        counts: SocketCounts,
        context: &mut Context<'_>,
    ) {
        if context.reasons.is_none() {
            return;
        }
        let container = &mut self.container;
        container.sockets.take(counts);
        let is_known = container.is_settled() && container.main().is_some();
        if is_known || container.sockets.has_too_many_untold() {
            self.tell_resets(context);
        }
        let open = self.open.as_ref();
        if open.is_some_and(|open| matches!(open.last_counts, LastCounts::Asked(_))) {
            self.finish(Occasion::End, context);
        }
    }

    /// Tells of resets that no output told of yet.
    pub(super) fn tell_resets(&mut self, context: &mut Context<'_>) {
        let container = &mut self.container;
        if let Some(reasons) = context.reasons.filter(|_| container.sockets.has_untold()) {
            let resets = container.sockets.tell(reasons);
            context.outputs.push_back(Output::Resets {
                subject: container.subject.clone(),
                pod: pod_ref(container),
                comm: container.main().map(|main| main.comm.clone()),
                resets,
            });
        }
    }
}
