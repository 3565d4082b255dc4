//! `gracewatch watch`: terminations as they happen, in this terminal.

mod lines;
mod live;
mod remote;
mod sink;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::time::Duration;

use agent_core::time::Timestamp;
use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use self::lines::{Format, Lines};
use self::live::Live;
use self::sink::{State, View, WatchSink};
use crate::client::{Address, Client};
use crate::clock;
use crate::kubernetes::{ApiUpdate, Kubernetes, KubernetesArgs};
use crate::open_files;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::stop;
use crate::subjects::SubjectArgs;
use crate::terminal::{NoEcho, rows_of_stdout, style_of_stdout};

/// How often open terminations are drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// What to watch, and how to show it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subjects: SubjectArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
    /// Show what the agent at this address measures, of this machine or another one: without root and without probes
    ///
    /// HOST:PORT or a URL; an agent listens on port 8637 unless it was told another. What is measured, and whether Kubernetes
    /// is asked, was decided where the agent runs: the options for that are refused here.
    #[arg(
        long,
        value_name = "URL",
        env = "GRACEWATCH_AGENT",
        help_heading = "Another agent"
    )]
    agent: Option<Address>,
    /// Print each report as one line of JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Print a line each time something is learned of an open termination, too
    #[arg(long, requires = "json", help_heading = "Output")]
    progress: bool,
}

/// Shows terminations until SIGINT, SIGTERM or SIGHUP, or until nobody reads standard output any more.
///
/// # Errors
/// One sentence, if it cannot start or not go on.
pub fn run(args: Args) -> anyhow::Result<()> {
    let stopped = stop::caught()?;
    let view = new_view(&args);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make the event loop's runtime")?;
    match args.agent {
        Some(address) => {
            runtime.block_on(remote::watch_remote(Client::new(address), view, stopped))
        }
        None => watch_locally(args, &runtime, view, stopped),
    }
}

/// Measures on this machine.
fn watch_locally(
    args: Args,
    runtime: &Runtime,
    view: Box<dyn View>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let access = args.kubernetes.access()?;
    let options = PipelineOptions {
        config: args.subjects.config(access.is_some())?,
        cgroup_root: args.subjects.cgroup_root,
        ring_bytes: args.subjects.ring_bytes,
        journal: None,
        probe_log: false,
    };
    let (kubernetes, facts) = match access {
        Some(access) => {
            // Who only looks on writes nothing into the cluster.
            let (kubernetes, ends) = Kubernetes::start(access, false)?;
            (Some(kubernetes), Some(ends.facts))
        }
        None => (None, None),
    };
    let ended = runtime.block_on(watch_until(options, facts, view, stopped));
    if let Some(kubernetes) = kubernetes {
        kubernetes.stop();
    }
    ended
}

fn new_view(args: &Args) -> Box<dyn View> {
    let format = if args.json {
        Format::Json {
            progress: args.progress,
        }
    } else {
        Format::Text(style_of_stdout())
    };
    if !args.json && rows_of_stdout().is_some() {
        Box::new(Live::new(io::stdout()))
    } else {
        Box::new(Lines::new(io::stdout(), io::stderr(), format))
    }
}

async fn watch_until(
    options: PipelineOptions,
    facts: Option<Receiver<ApiUpdate>>,
    view: Box<dyn View>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    open_files::provide()?;
    let mut pipeline = Pipeline::start(options)?;
    if let Some(facts) = facts {
        pipeline.listen_to(facts);
    }
    let _quiet = NoEcho::new();
    let state = RefCell::new(State::new(view));
    let mut sink = WatchSink { state: &state };
    tokio::select! {
        ended = pipeline.run(&mut sink, stopped) => {
            ended?;
            state.borrow_mut().show_last_view(clock::now());
        }
        error = redraw(&state, clock::now) => state.borrow_mut().record_failure(error),
    }
    check_shown(state)
}

/// Whether everything could be shown.
fn check_shown(state: RefCell<State>) -> anyhow::Result<()> {
    match state.into_inner().into_failure() {
        // The reader has seen enough.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(error).context("cannot write to standard output"),
        None => Ok(()),
    }
}

/// Draws the open terminations again and again; ends when standard output fails.
async fn redraw(state: &RefCell<State>, now: impl Fn() -> Timestamp) -> io::Error {
    let mut ticks = interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let mut state = state.borrow_mut();
        state.refresh(rows_of_stdout(), style_of_stdout(), now());
        if let Some(error) = state.take_failure() {
            return error;
        }
    }
}
