//! What the pipeline says, on its way to a view.

use std::cell::RefCell;
use std::io;

use agent_core::output::Output;
use agent_core::report::Report;
use agent_core::time::Timestamp;

use crate::agent_event::AgentEvent;
use crate::sink::Sink;
use crate::terminal::Style;

/// A way to show terminations.
pub(super) trait View {
    /// Something for the person who looks on, in a sentence or two.
    fn remark(&mut self, text: &str) -> io::Result<()>;

    /// Something was learned of an open termination.
    fn progress(&mut self, report: &Report) -> io::Result<()>;

    /// What was told of under this number was no termination.
    fn withdrawn(&mut self, id: u64) -> io::Result<()>;

    /// A termination is finished.
    fn finished(&mut self, report: &Report) -> io::Result<()>;

    /// Time passes, or the counts changed.
    fn refresh(&mut self, size: Size, counts: Counts, now: Timestamp) -> io::Result<()>;
}

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) rows: Option<usize>,
    pub(super) style: Style,
}

/// What a view may say in a line about everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Subjects followed now, if that is known.
    pub(super) followed: Option<usize>,
    /// Finished terminations.
    pub(super) finished: u64,
    /// Records that the kernel side could not hand over.
    pub(super) lost: u64,
}

/// The view, and what it is told in numbers.
pub(super) struct State {
    view: Box<dyn View>,
    counts: Counts,
    began: bool,
    /// Why nothing can be shown any more.
    failure: Option<io::Error>,
    size: Option<Size>,
}

impl State {
    pub(super) fn new(view: Box<dyn View>) -> Self {
        Self {
            view,
            counts: Counts::default(),
            began: false,
            failure: None,
            size: None,
        }
    }

    pub(super) fn refresh(&mut self, rows: Option<usize>, style: Style, now: Timestamp) {
        let size = Size { rows, style };
        self.size = Some(size);
        let shown = self.view.refresh(size, self.counts, now);
        self.record_result(shown);
    }

    /// The last view, after everything was said.
    pub(super) fn show_last_view(&mut self, now: Timestamp) {
        if let Some(size) = self.size {
            self.refresh(size.rows, size.style, now);
        }
    }

    pub(super) fn record_failure(&mut self, error: io::Error) {
        self.failure = Some(error);
    }

    pub(super) const fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    pub(super) fn into_failure(self) -> Option<io::Error> {
        self.failure
    }

    fn record_result(&mut self, shown: io::Result<()>) {
        if let Err(error) = shown {
            self.failure.get_or_insert(error);
        }
    }

    pub(super) fn remark(&mut self, text: &str) {
        let shown = self.view.remark(text);
        self.record_result(shown);
    }

    pub(super) fn output(&mut self, output: &Output) {
        let shown = match output {
            Output::Progress(report) => self.view.progress(report),
            Output::Withdrawn { id, .. } => self.view.withdrawn(*id),
            Output::Finished(report) => {
                self.counts.finished += 1;
                self.view.finished(report)
            }
            Output::Tracked { added, .. } => {
                let followed = self.counts.followed.unwrap_or(0);
                self.counts.followed = Some(if *added {
                    followed + 1
                } else {
                    followed.saturating_sub(1)
                });
                Ok(())
            }
            Output::Effect(_)
            | Output::Resets { .. }
            | Output::Dropped { .. }
            | Output::Unreported { .. } => Ok(()),
        };
        self.record_result(shown);
    }

    fn record_agent_event(&mut self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::Scanned { .. } if !self.began => {
                self.began = true;
                self.remark(&greeting(self.counts.followed.unwrap_or(0)));
            }
            AgentEvent::Counted(counts) => self.counts.lost = counts.lost.values().sum(),
            AgentEvent::Scanned { .. }
            | AgentEvent::Started(_)
            | AgentEvent::Attached(_)
            | AgentEvent::TcpFeatures(_)
            | AgentEvent::Full(_)
            | AgentEvent::ProgramsRan(_)
            | AgentEvent::Undecodable(_)
            | AgentEvent::UpdateFailed(_)
            | AgentEvent::Journal { .. }
            | AgentEvent::Watching { .. }
            | AgentEvent::ApiFailed { .. }
            | AgentEvent::PodsKnown(_)
            | AgentEvent::EventWritten(_) => {}
        }
    }
}

/// Hands what the pipeline says to the view, on the same thread as the redrawing.
pub(super) struct WatchSink<'a> {
    pub(super) state: &'a RefCell<State>,
}

impl Sink for WatchSink<'_> {
    fn output(&mut self, output: &Output, _now: Timestamp) {
        self.state.borrow_mut().output(output);
    }

    fn record_agent_event(&mut self, event: &AgentEvent<'_>) {
        self.state.borrow_mut().record_agent_event(event);
    }
}

/// What is said once, when everything is followed.
fn greeting(followed: usize) -> String {
    let what = match followed {
        0 => "Nothing is running yet that could be followed; what starts is followed at once."
            .to_owned(),
        1 => "Following 1 service, container or cgroup.".to_owned(),
        many => format!("Following {many} services, containers and cgroups."),
    };
    format!(
        "{what} A termination appears here when one stops; until then it is normal that nothing happens. Ctrl-C ends."
    )
}
