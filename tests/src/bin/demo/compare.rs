//! What was done, by the demo's own clock and by the kernel's trace, beside what the agent measured.

use std::time::Duration;

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch::timeline::format_duration;
use gracewatch_tests::rig::trace::{Trace, Traced};

use crate::play::Played;
use crate::show::{BOLD, DIM, heading, with_style};

/// One duration, by three clocks.
struct Line {
    name: &'static str,
    what: &'static str,
    demo: Duration,
    /// `None` where the trace lost it: its buffer is small beside what a busy machine can fill it with.
    trace: Option<Duration>,
    agent: Duration,
}

/// Prints the table; returns how far the agent is from the kernel's trace at the most.
pub(crate) fn print_table(played: &[Played<'_>], trace: &Trace) -> Result<Duration> {
    heading("What was done, and what the agent measured");
    let titles = format!(
        "{:>15}{:>15}{:>15}{:>15}",
        "by the demo", "by tracefs", "by the agent", "agent's error"
    );
    println!("  {}", with_style(DIM, &format!("{:<29}{titles}", "")));
    let mut error_max = None;
    for line in compare_lines(played, trace)? {
        let error = line.trace.map(|trace| line.agent.abs_diff(trace));
        error_max = error_max.max(error);
        println!(
            "  {}{:<20}{:>15}{:>15}{:>15}{:>15}",
            with_style(BOLD, &format!("{:<9}", line.name)),
            line.what,
            seconds(line.demo),
            line.trace.map_or_else(|| "lost".to_owned(), seconds),
            seconds(line.agent),
            error.map_or_else(|| "?".to_owned(), format_duration)
        );
    }
    let note = "The demo reads the clock in its own processes, right before and after what they do: that includes their way into\n  \
                the kernel and back. tracefs is the kernel's own trace of the same moments; its times are whole microseconds.";
    println!("\n  {}", with_style(DIM, note));
    error_max.context("tracefs has none of what happened, so there is nothing to compare with; is another program reading the trace?")
}

fn compare_lines(played: &[Played<'_>], trace: &Trace) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for one in played {
        let name = one.role.name;
        let mut line = |what,
                        agent: Option<Duration>,
                        demo: (Timestamp, Timestamp),
                        traced: Traces|
         -> Result<()> {
            let agent =
                agent.with_context(|| format!("{name}: the agent did not report {what}"))?;
            lines.push(Line {
                name,
                what,
                demo: demo.1.since(demo.0),
                trace: traced.0.zip(traced.1).map(|(from, to)| to.since(from)),
                agent,
            });
            Ok(())
        };
        let (stopped, report, pid) = (&one.stopped, &one.report, one.pid);
        // Before, the same number may have been another process.
        let since = one.began;
        if let Some(hook) = stopped.hook {
            let end = trace.first_time(hook.pid, Traced::Exit, since);
            // Its last program: the rig's own comes before it.
            let exec = end.and_then(|end| trace.last_time(hook.pid, Traced::Exec, since, end));
            let traced = Traces(exec, end);
            line(
                "preStop hook",
                report.hook_duration(),
                (hook.started_after, hook.ended.told_at),
                traced,
            )?;
        }
        let signal = trace.first_time(pid, Traced::Signal(15), since);
        if let Some(kill) = stopped.kill {
            let traced = Traces(signal, trace.first_time(pid, Traced::Signal(9), since));
            line(
                "SIGTERM to SIGKILL",
                report.stop_signal_to_kill(),
                (stopped.signal.after, kill.before),
                traced,
            )?;
        }
        let end = one.last_word.unwrap_or(stopped.ended.told_at);
        let traced = Traces(signal, trace.first_time(pid, Traced::Exit, since));
        line(
            "SIGTERM to exit",
            report.stop_signal_to_exit(),
            (stopped.signal.after, end),
            traced,
        )?;
    }
    Ok(lines)
}

/// When something began and ended, by the trace.
struct Traces(Option<Timestamp>, Option<Timestamp>);

fn seconds(duration: Duration) -> String {
    format!("{:.6} s", duration.as_secs_f64())
}
