//! The agent's own log: lines of text for people or JSON for machines, on standard error.

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::terminal;

/// How the agent logs.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Log")]
#[group(skip)]
pub struct Args {
    /// How a line of the log (on standard error) looks
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, env = "GRACEWATCH_LOG_FORMAT")]
    log_format: Format,
    /// The least important lines to write: error, warn, info (one line for each termination), debug, trace
    #[arg(long, global = true, default_value_t = Level::INFO, env = "GRACEWATCH_LOG_LEVEL")]
    log_level: Level,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Sets the log up, once for the process.
///
/// # Errors
/// If it was set up before.
pub fn init(args: Args) -> anyhow::Result<()> {
    // The loader tells every relocation of the object, some hundred lines; the client of the Kubernetes API every attempt,
    // of which the agent says itself what matters.
    let filter = Targets::new()
        .with_default(args.log_level)
        .with_target("aya", Level::WARN)
        .with_target("aya_obj", Level::WARN)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("kube_runtime", LevelFilter::OFF)
        .with_target("hyper_util", Level::WARN)
        .with_target("rustls", Level::WARN)
        .with_target("tower", Level::WARN);
    let builder = tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(std::io::stderr)
        .with_target(false);
    let set = match args.log_format {
        Format::Text => builder
            .with_ansi(terminal::colors_on_stderr())
            .finish()
            .with(filter)
            .try_init(),
        Format::Json => builder
            .json()
            .flatten_event(true)
            .finish()
            .with(filter)
            .try_init(),
    };
    set.context("cannot set the log up")
}
