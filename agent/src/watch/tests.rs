//! What a view writes.

use std::rc::Rc;

use agent_core::report::Outcome;

use super::sink::{Counts, Size};
use super::*;
use crate::terminal::Style;
use crate::timeline::sample;

/// A writer whose text can be looked at from outside.
#[derive(Clone, Debug, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn take_text(&self) -> String {
        String::from_utf8(self.0.take()).unwrap()
    }
}

fn open_report() -> agent_core::report::Report {
    let mut report = sample::seed_report();
    report.outcome = Outcome::InProgress;
    report.exit = None;
    report
}

const COUNTS: Counts = Counts {
    followed: Some(7),
    finished: 0,
    lost: 0,
};

fn terminal_size(rows: usize) -> Size {
    Size {
        rows: Some(rows),
        style: Style::PLAIN,
    }
}

#[test]
fn json_has_a_line_for_each_report() {
    let (reports, remarks) = (Paper::default(), Paper::default());
    let mut lines = Lines::new(
        reports.clone(),
        remarks.clone(),
        Format::Json { progress: false },
    );
    lines.remark("Following 3.").unwrap();
    lines.progress(&open_report()).unwrap();
    lines.finished(&sample::seed_report()).unwrap();
    let text = reports.take_text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let report: agent_core::report::Report = serde_json::from_str(&text).unwrap();
    assert_eq!(report, sample::seed_report());
    assert!(remarks.take_text().contains("Following 3"));
}

#[test]
fn json_tells_progress_on_request() {
    let (reports, remarks) = (Paper::default(), Paper::default());
    let mut lines = Lines::new(reports.clone(), remarks, Format::Json { progress: true });
    lines.progress(&open_report()).unwrap();
    lines.withdrawn(3).unwrap();
    let text = reports.take_text();
    assert!(text.contains("\"outcome\":\"in_progress\""), "{text}");
    assert_eq!(text.lines().last(), Some("{\"id\":3,\"withdrawn\":true}"));
}

#[test]
fn text_has_a_timeline_for_each_report() {
    let reports = Paper::default();
    let mut lines = Lines::new(
        reports.clone(),
        Paper::default(),
        Format::Text(Style::PLAIN),
    );
    lines.progress(&open_report()).unwrap();
    lines.finished(&sample::seed_report()).unwrap();
    assert_eq!(reports.take_text(), format!("{}\n", timeline_of_seed()));
}

fn timeline_of_seed() -> String {
    crate::timeline::render(&sample::seed_report(), &Style::PLAIN)
}

#[test]
fn open_terminations_are_drawn_over_and_finished_ones_stay() {
    let paper = Paper::default();
    let mut live = Live::new(paper.clone());
    let now = sample::at_micros(11_000_000);
    live.progress(&open_report()).unwrap();
    live.refresh(terminal_size(24), COUNTS, now).unwrap();
    let first = paper.take_text();
    assert!(
        first.contains("11.0 s") && first.contains("7 followed · 1 terminating"),
        "{first}"
    );
    live.finished(&sample::seed_report()).unwrap();
    live.refresh(
        terminal_size(24),
        Counts {
            finished: 1,
            ..COUNTS
        },
        now,
    )
    .unwrap();
    let second = paper.take_text();
    let (before, after) = second.split_once(&timeline_of_seed()).unwrap();
    assert!(
        before.contains("\u{1b}[2A\u{1b}[J"),
        "two lines are drawn over: {before:?}"
    );
    assert!(after.contains("0 terminating · 1 finished"), "{after}");
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    let paper = Paper::default();
    let mut live = Live::new(paper.clone());
    live.refresh(terminal_size(24), COUNTS, sample::at_micros(0))
        .unwrap();
    assert!(paper.take_text().contains("7 followed"));
    live.refresh(terminal_size(24), COUNTS, sample::at_micros(100_000))
        .unwrap();
    assert_eq!(paper.take_text(), "");
    live.progress(&open_report()).unwrap();
    live.refresh(terminal_size(24), COUNTS, sample::at_micros(200_000))
        .unwrap();
    paper.take_text();
    live.withdrawn(3).unwrap();
    live.refresh(terminal_size(24), COUNTS, sample::at_micros(300_000))
        .unwrap();
    assert!(paper.take_text().contains("0 terminating"));
}

#[test]
fn more_than_fit_are_counted() {
    let paper = Paper::default();
    let mut live = Live::new(paper.clone());
    for id in 1..=30 {
        let mut report = open_report();
        report.id = id;
        live.progress(&report).unwrap();
    }
    live.refresh(terminal_size(24), COUNTS, sample::at_micros(11_000_000))
        .unwrap();
    let text = paper.take_text();
    assert!(text.contains("30 terminating (10 not shown)"), "{text}");
    assert!(text.lines().count() < 24, "{text}");
}
