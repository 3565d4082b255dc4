//! What is happening right now, one line for each container, drawn again and again; on anything but a terminal one line
//! for each act.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gracewatch_tests::rig::kubelet::Act;

use crate::cast::Role;
use crate::show::{BOLD, DIM, PLAIN, describe_exit, with_style};

const FRAME: Duration = Duration::from_millis(100);

/// A step of one container's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It runs.
    Runs,
    /// The kubelet did something, or saw something.
    Act(Act),
    /// The agent's report is there.
    Reported,
    /// Something went wrong.
    Failed,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    step: Step,
    since: Instant,
    /// Its end, once it ended.
    end: Option<String>,
}

/// How far everybody is.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    rows: Mutex<Vec<Row>>,
    live: bool,
}

impl Progress {
    pub(crate) fn new(cast: &[Role]) -> Self {
        let now = Instant::now();
        let rows = cast
            .iter()
            .map(|role| Row {
                name: role.name,
                step: Step::Runs,
                since: now,
                end: None,
            })
            .collect();
        Self {
            started: now,
            rows: Mutex::new(rows),
            live: std::io::stdout().is_terminal(),
        }
    }

    /// This container came so far.
    pub(crate) fn set_step(&self, row: usize, step: Step) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = rows.get_mut(row) else { return };
        (row.step, row.since) = (step, Instant::now());
        if let Step::Act(Act::Ended(status)) = step {
            row.end = Some(format!(
                "{} after {:.1} s",
                describe_exit(status),
                self.started.elapsed().as_secs_f32()
            ));
        }
        if !self.live && step != Step::Reported {
            let words = row.description();
            println!(
                "  {:>5.1} s  {:<8} {words}",
                self.started.elapsed().as_secs_f32(),
                row.name
            );
        }
    }

    /// Draws until every report is there.
    pub(crate) fn draw_until_done(&self) {
        let mut drawn = 0;
        loop {
            let (frame, done) = self.render_frame();
            if self.live {
                let up = if drawn > 0 {
                    format!("\x1b[{drawn}A")
                } else {
                    String::new()
                };
                print!("{up}{frame}");
                std::io::stdout().flush().ok();
                drawn = frame.lines().count();
            }
            if done {
                return;
            }
            sleep(FRAME);
        }
    }

    fn render_frame(&self) -> (String, bool) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frame = String::new();
        for row in rows.iter() {
            let color = if row.is_done() { DIM } else { PLAIN };
            let name = with_style(BOLD, &format!("{:<8}", row.name));
            writeln!(
                frame,
                "\x1b[2K  {} {name} {}",
                row.symbol(),
                with_style(color, &row.description())
            )
            .ok();
        }
        (frame, rows.iter().all(Row::is_done))
    }
}

impl Row {
    fn is_done(&self) -> bool {
        matches!(self.step, Step::Reported | Step::Failed)
    }

    fn symbol(&self) -> &'static str {
        match self.step {
            Step::Reported => "✔",
            Step::Failed => "✘",
            Step::Runs | Step::Act(_) => {
                let frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"];
                let tick =
                    usize::try_from(self.since.elapsed().as_millis() / 100).unwrap_or_default();
                frames.get(tick % frames.len()).copied().unwrap_or_default()
            }
        }
    }

    fn description(&self) -> String {
        let since = self.since.elapsed();
        match self.step {
            Step::Runs => "running".to_owned(),
            Step::Act(Act::HookStarted) => {
                format!("preStop hook runs, {:.1} s", since.as_secs_f32())
            }
            Step::Act(Act::HookEnded(status)) => format!("preStop hook {}", describe_exit(status)),
            Step::Act(Act::HookOverran) => {
                "preStop hook used up the grace period and runs on".to_owned()
            }
            Step::Act(Act::SignalSent(timeout)) => {
                let left = timeout.saturating_sub(since);
                format!("SIGTERM sent, SIGKILL in {:.1} s", left.as_secs_f32())
            }
            Step::Act(Act::KillSent) => "SIGKILL sent".to_owned(),
            Step::Act(Act::Ended(_)) | Step::Reported => self.end.clone().unwrap_or_default(),
            Step::Failed => "failed".to_owned(),
        }
    }
}
