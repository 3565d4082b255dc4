//! What a container's connections need: that the kernel side knows where it is in its life, and that what was counted is
//! taken in and told.

use super::open::{LastCounts, Occasion, pod_ref};
use super::{Context, Tracked};
use crate::connection::{Phase, SocketCounts};
use crate::event::Tgid;
use crate::output::{Output, Wish};
use crate::termination::Termination;

impl Tracked {
    /// Has the kernel side told of its main process and its phase, where they are other ones now.
    pub(super) fn tell_course(&mut self, context: &mut Context<'_>) {
        if context.reasons.is_none() {
            return;
        }
        let (main, phase) = self.present_course();
        let (_, before) = self.course;
        let is_over = self.container.removed && phase == Phase::Running;
        if is_over || self.course == (main, phase) {
            return;
        }
        self.course = (main, phase);
        let container = self.container.id();
        if before == Phase::Running {
            if phase != Phase::Running {
                self.container.sockets.begin();
            }
        } else if phase == Phase::Running {
            // What was counted up to here is no part of what comes.
            self.container.sockets.part();
            context
                .outputs
                .push_back(Output::Wish(Wish::Count { container }));
        }
        context.outputs.push_back(Output::Wish(Wish::Phase {
            container,
            main,
            phase,
        }));
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
