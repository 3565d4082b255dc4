//! The demo's words around the agent's: opening, timelines, metrics, closing.

use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;
use gracewatch::terminal::style_of_stdout;
use gracewatch::timeline::{format_duration, render};
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::whole::Whole;

use crate::cast::Role;
use crate::play::Played;

pub(crate) const BOLD: &str = "1";
pub(crate) const DIM: &str = "2";
pub(crate) const PLAIN: &str = "0";

/// Text in a terminal's style; plain where there is none.
pub(crate) fn with_style(style: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    if plain {
        text.to_owned()
    } else {
        format!("\x1b[{style}m{text}\x1b[0m")
    }
}

pub(crate) fn heading(text: &str) {
    println!("\n{}\n", with_style(BOLD, &format!("── {text}")));
}

/// How a process ended, in words.
pub(crate) fn describe_exit(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed".to_owned(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("exited with {code}"),
        (None, None) => "ended".to_owned(),
    }
}

pub(crate) fn opening(agent: &Whole, cast: &[Role]) {
    println!("{}", with_style(BOLD, "Gracewatch demo"));
    println!(
        "The agent runs on http://{}/ with its probes in this kernel. Five containers (cgroups and pid namespaces of their\n\
         own) are now stopped as a kubelet stops them: preStop hook, SIGTERM, what is left of the grace period, SIGKILL.\n",
        agent.address()
    );
    for role in cast {
        println!(
            "  {} {:>3} s grace  {}",
            with_style(BOLD, &format!("{:<8}", role.name)),
            role.grace.as_secs(),
            role.says
        );
    }
    let longest = cast
        .iter()
        .map(|role| role.grace.as_secs())
        .max()
        .unwrap_or_default();
    heading(&format!(
        "Stopping all five at once (about {} s)",
        longest + 2
    ));
}

pub(crate) fn timelines(played: &[Played<'_>]) {
    heading("What the agent saw");
    let style = style_of_stdout();
    for one in played {
        println!("  {}", with_style(DIM, one.role.says));
        println!("{}", render(&one.report, &style).trim_end());
        println!();
    }
}

/// The lines of /metrics that the demo's containers gave.
pub(crate) fn metrics(agent: &Whole, folder: &Folder) -> Result<()> {
    heading(&format!(
        "What Prometheus scrapes from http://{}/metrics",
        agent.address()
    ));
    let (_, text) = agent.get("/metrics")?;
    let names = [
        "pod_termination_prestop_duration_seconds{",
        "pod_termination_signal_to_exit_seconds{",
        "pod_termination_sigkill_used{",
        "pod_termination_outcome{",
        "workload_termination_outcomes_total{",
        "workload_termination_findings_total{",
    ];
    for name in names {
        let mut series: Vec<_> = text.lines().filter(|line| line.starts_with(name)).collect();
        series.sort_unstable();
        for line in series {
            println!(
                "  {}",
                line.replace(&format!(",cgroup=\"{}", folder.path()), ",cgroup=\"…")
            );
        }
    }
    Ok(())
}

pub(crate) fn closing(played: &[Played<'_>], error_max: Duration) {
    heading("In short");
    for one in played {
        let outcome = serde_json::to_value(one.report.outcome).ok();
        let outcome = outcome
            .as_ref()
            .and_then(|word| word.as_str())
            .unwrap_or_default()
            .replace('_', " ");
        let exit = one
            .report
            .stop_signal_to_exit()
            .map(format_duration)
            .unwrap_or_default();
        println!(
            "  {}{outcome:<16}{exit:>9} after SIGTERM",
            with_style(BOLD, &format!("{:<9}", one.role.name))
        );
    }
    println!(
        "\n  No duration of the agent is further than {} from the kernel's own trace.",
        format_duration(error_max)
    );
}

/// Where the agent can be asked, as long as it runs.
pub(crate) fn print_pages(agent: &Whole) {
    println!(
        "\n  The agent goes on until Ctrl-C:\n    http://{0}/\n    http://{0}/metrics\n    http://{0}/api/v1/terminations",
        agent.address()
    );
}

pub(crate) fn print_removed(kept: bool) {
    println!(
        "\n  The agent, its probes and all containers are gone again; nothing is left behind."
    );
    if !kept {
        println!(
            "  `cargo xtask demo --keep` leaves the agent running, so that its pages can be opened."
        );
    }
}
