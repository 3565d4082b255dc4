//! `gracewatch watch`: terminations as they happen, in this terminal.

mod lines;
mod live;
mod sink;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use self::lines::{Format, Lines};
use self::live::Live;
use self::sink::{State, View, WatchSink};
use crate::clock;
use crate::kubernetes::{Fact, Kubernetes, KubernetesArgs};
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::run::shutdown;
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
    /// Print each report as one line of JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Print a line each time something is learned of an open termination, too
    #[arg(long, requires = "json", help_heading = "Output")]
    progress: bool,
}

/// Shows terminations until SIGINT or SIGTERM, or until nobody reads standard output any more.
///
/// # Errors
/// One sentence, if it cannot start or not go on.
pub fn run(args: Args) -> anyhow::Result<()> {
    let view = view(&args);
    let access = args.kubernetes.access()?;
    let options = PipelineOptions {
        config: args.subjects.config(access.is_some())?,
        cgroup_root: args.subjects.cgroup_root,
        ring_bytes: args.subjects.ring_bytes,
        journal: None,
        probe_log: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make the event loop's runtime")?;
    let (kubernetes, facts) = match access {
        Some(access) => {
            // Who only looks on writes nothing into the cluster.
            let (kubernetes, ends) = Kubernetes::start(access, false)?;
            (Some(kubernetes), Some(ends.facts))
        }
        None => (None, None),
    };
    let ended = runtime.block_on(watch(options, facts, view));
    if let Some(kubernetes) = kubernetes {
        kubernetes.stop();
    }
    ended
}

fn view(args: &Args) -> Box<dyn View> {
    let format = if args.json {
        Format::Json {
            progress: args.progress,
        }
    } else {
        Format::Text
    };
    if !args.json && rows_of_stdout().is_some() {
        Box::new(Live::new(io::stdout()))
    } else {
        Box::new(Lines::new(io::stdout(), io::stderr(), format))
    }
}

async fn watch(
    options: PipelineOptions,
    facts: Option<Receiver<Fact>>,
    view: Box<dyn View>,
) -> anyhow::Result<()> {
    let shutdown = shutdown()?;
    let mut pipeline = Pipeline::start(options)?;
    if let Some(facts) = facts {
        pipeline.listen_to(facts);
    }
    let _quiet = NoEcho::new();
    let state = RefCell::new(State::new(view));
    let mut sink = WatchSink { state: &state };
    tokio::select! {
        ended = pipeline.run(&mut sink, shutdown) => {
            ended?;
            state.borrow_mut().end(clock::now());
        }
        error = redraw(&state) => state.borrow_mut().fail(error),
    }
    match state.into_inner().into_failure() {
        // The reader has seen enough.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(error).context("cannot write to standard output"),
        None => Ok(()),
    }
}

/// Draws the open terminations again and again; ends when standard output fails.
async fn redraw(state: &RefCell<State>) -> io::Error {
    let mut ticks = interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let mut state = state.borrow_mut();
        state.refresh(rows_of_stdout(), style_of_stdout(), clock::now());
        if let Some(error) = state.take_failure() {
            return error;
        }
    }
}
