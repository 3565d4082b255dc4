//! What the demo did by its own clock beside what the agent measured.

use std::time::Duration;

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch::timeline::human;

use crate::play::Played;
use crate::show::{BOLD, DIM, heading, paint};

/// One duration, twice.
struct Line {
    name: &'static str,
    what: &'static str,
    demo: Duration,
    agent: Duration,
}

/// Prints the table; returns the largest error.
pub(crate) fn table(played: &[Played<'_>]) -> Result<Duration> {
    heading("What the demo did, and what the agent measured");
    println!(
        "  {}",
        paint(DIM, &format!("{:<9}{:<24}{:>12}{:>12}{:>12}", "", "", "by the demo", "by the agent", "difference"))
    );
    let mut error_max = Duration::ZERO;
    for line in lines(played)? {
        let error = line.agent.abs_diff(line.demo);
        error_max = error_max.max(error);
        println!(
            "  {}{:<24}{:>12}{:>12}{:>12}",
            paint(BOLD, &format!("{:<9}", line.name)),
            line.what,
            seconds(line.demo),
            seconds(line.agent),
            human(error)
        );
    }
    let note = "The demo reads its clock in its own processes, before and after their system calls; the agent's comes from the\n  \
                kernel's hooks. The difference is mostly the way of those processes into the kernel and back.";
    println!("\n  {}", paint(DIM, note));
    Ok(error_max)
}

fn lines(played: &[Played<'_>]) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for one in played {
        let name = one.role.name;
        let mut line = |what, agent: Option<Duration>, (from, to): (Timestamp, Timestamp)| -> Result<()> {
            let agent = agent.with_context(|| format!("{name}: the agent did not report {what}"))?;
            lines.push(Line { name, what, demo: to.since(from), agent });
            Ok(())
        };
        let (stopped, report) = (&one.stopped, &one.report);
        if let Some(hook) = stopped.hook {
            line("preStop hook", report.hook_duration(), (hook.started_after, hook.ended.told_at))?;
        }
        if let Some(kill) = stopped.kill {
            line("SIGTERM to SIGKILL", report.stop_signal_to_kill(), (stopped.signal.after, kill.before))?;
        }
        let end = one.last_word.unwrap_or(stopped.ended.told_at);
        line("SIGTERM to exit", report.stop_signal_to_exit(), (stopped.signal.after, end))?;
    }
    Ok(lines)
}

fn seconds(duration: Duration) -> String {
    format!("{:.6} s", duration.as_secs_f64())
}
