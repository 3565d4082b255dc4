//! The demo: an agent, five containers that are stopped as a kubelet stops them, and what the agent says of each beside
//! what was really done. Started by `cargo xtask demo`, which builds what it needs.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a demo is there to be read in a terminal"
)]

mod cast;
mod compare;
mod play;
mod progress;
mod show;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::toolbox::{self, Toolbox};
use gracewatch_tests::rig::trace::Trace;
use gracewatch_tests::test_program;
use gracewatch_tests::whole::{Whole, free_port, subjects_file};

/// The agent's usual port, which is taken if it is free.
const PORT: u16 = 8637;

/// Stops containers as a kubelet does and shows what the agent measured.
#[derive(Debug, Parser)]
struct Args {
    /// Leave the agent running in the end, until Ctrl-C, so that its pages can be opened.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    if let Some(code) = toolbox::run_part() {
        return code;
    }
    test_program::run(|| run(&Args::parse()).map(|()| true))
}

fn run(args: &Args) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the demo loads probes and makes cgroups: run it as root"
    );
    let toolbox = Toolbox::new()?;
    let folder = Folder::new("demo")?;
    let interrupted = play::catch_signals(&folder)?;
    let cast = cast::all_roles(&toolbox);
    let subjects = toolbox.folder().join("subjects.json");
    let known: Vec<_> = cast.iter().map(|role| role.selector(&folder)).collect();
    std::fs::write(&subjects, subjects_file(&known)?)?;
    let trace = Trace::start()?;
    let log = toolbox.folder().join("agent.log");
    let agent = Whole::start_at(
        free_port(PORT)?,
        &["--subjects", &subjects.to_string_lossy()],
        &log,
    )?;
    show::opening(&agent, &cast);
    let played = play::run_all(&cast, &toolbox, &folder, &agent);
    ensure!(
        !interrupted.is_set(),
        "interrupted; everything was ended and removed"
    );
    let played = played?;
    show::timelines(&played);
    let error_max = compare::print_table(&played, &trace)?;
    show::metrics(&agent, &folder)?;
    show::closing(&played, error_max);
    if args.keep {
        show::print_pages(&agent);
        interrupted.wait_for_interrupt();
    }
    let (status, _) = agent.stop()?;
    // With Ctrl-C the agent got the signal, too, and ended by itself.
    ensure!(status.success(), "the agent ended with {status}");
    drop((folder, toolbox, trace));
    show::print_removed(args.keep);
    Ok(())
}
