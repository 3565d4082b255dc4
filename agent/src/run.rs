//! `gracewatch run`: the agent. Event loop on the main thread, HTTP on another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_core::output::Output;
use agent_core::report::Report;
use agent_core::time::Timestamp;
use anyhow::Context as _;

use crate::agent_event::{AgentEvent, EventFate};
use crate::http::{AppState, Server};
use crate::journal;
use crate::kubernetes::{EventRecorder, Kubernetes, KubernetesArgs};
use crate::metrics::{Retention, json_name};
use crate::open_files;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::sink::Sink;
use crate::stop;
use crate::subjects::SubjectArgs;

/// The agent: measures every termination on this machine and serves the metrics over HTTP.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subjects: SubjectArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
    /// Do not write Kubernetes Events on pods for what went wrong
    #[arg(
        long,
        env = "GRACEWATCH_NO_KUBERNETES_EVENTS",
        help_heading = "Kubernetes"
    )]
    no_kubernetes_events: bool,
    /// Where to serve the page /, /metrics, /api/v1/terminations, /livez and /readyz; port 0 takes any free port
    ///
    /// The default port lies outside of 9100 to 9999, which Prometheus' exporters share.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8637",
        env = "GRACEWATCH_LISTEN",
        help_heading = "HTTP"
    )]
    listen: SocketAddr,
    /// How many seconds the pod_termination_* series of a finished termination stay: several scrapes at the least
    #[arg(long, value_name = "SECONDS", default_value_t = Retention::default().time.as_secs(), env = "GRACEWATCH_RETENTION", help_heading = "HTTP")]
    retention: u64,
    /// Record everything that the kernel tells into this file, for `gracewatch replay`
    ///
    /// It holds names, command lines and cgroup paths, no environment; only its owner can read it.
    #[arg(
        long,
        value_name = "FILE",
        env = "GRACEWATCH_JOURNAL",
        help_heading = "Journal"
    )]
    journal: Option<PathBuf>,
    /// The size at which recording stops; measuring goes on
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, env = "GRACEWATCH_JOURNAL_MAX_BYTES", help_heading = "Journal")]
    journal_max_bytes: u64,
    /// Write what the kernel programs log into the log, at level debug; slows them down
    #[arg(long, env = "GRACEWATCH_PROBE_LOG", help_heading = "Log")]
    probe_log: bool,
}

/// Runs the agent until SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
/// One sentence, if it cannot start or not go on.
pub fn run(args: Args) -> anyhow::Result<()> {
    let stopped = stop::caught()?;
    let access = args.kubernetes.access()?;
    let options = PipelineOptions {
        config: args.subjects.config(access.is_some())?,
        cgroup_root: args.subjects.cgroup_root,
        ring_bytes: args.subjects.ring_bytes,
        journal: args.journal.map(|path| journal::Options {
            path,
            bytes_max: args.journal_max_bytes,
        }),
        probe_log: args.probe_log,
    };
    let retention = Retention {
        time: Duration::from_secs(args.retention),
        ..Retention::default()
    };
    // The server asks once how many there are.
    open_files::provide()?;
    let shown = Arc::new(AppState::of_agent(retention));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make the event loop's runtime")?;
    let server = Server::start(args.listen, Arc::clone(&shown))?;
    let (kubernetes, facts, poster) = match access {
        Some(access) => {
            let (kubernetes, ends) = Kubernetes::start(access, !args.no_kubernetes_events)?;
            (Some(kubernetes), Some(ends.facts), ends.poster)
        }
        None => (None, None, None),
    };
    let mut sink = AgentSink { shown, poster };
    let ended = runtime.block_on(async {
        let mut pipeline = Pipeline::start(options)?;
        if let Some(facts) = facts {
            pipeline.listen_to(facts);
        }
        tracing::info!(url = %format_args!("http://{}/", server.address()), "measuring");
        pipeline.run(&mut sink, stopped).await?;
        tracing::info!("stopped");
        Ok(())
    });
    // What waits for the API is written once nobody adds to it.
    drop(sink);
    if let Some(kubernetes) = kubernetes {
        kubernetes.stop();
    }
    server.stop();
    ended
}

/// Metrics, recent reports, readiness, and a line of the log for each finished termination.
#[derive(Debug)]
pub struct AgentSink {
    /// What HTTP shows.
    pub shown: Arc<AppState>,
    /// Writes Kubernetes Events, if that is wanted.
    pub poster: Option<EventRecorder>,
}

impl AgentSink {
    fn post_events(&self, report: &Report) {
        let without_room = self
            .poster
            .as_ref()
            .map_or(0, |poster| poster.queue_events(report));
        for _event in 0..without_room {
            self.shown
                .metrics
                .record_agent_event(&AgentEvent::EventWritten(EventFate::Dropped));
        }
    }
}

impl Sink for AgentSink {
    fn output(&mut self, output: &Output, now: Timestamp) {
        self.shown.metrics.record(output, now);
        self.shown.recent.record(output);
        if let Output::Finished(report) = output {
            tracing::info!(
                id = report.id,
                subject = report.subject.name,
                namespace = report.pod.as_ref().map(|pod| pod.namespace.as_str()),
                pod = report.pod.as_ref().map(|pod| pod.name.as_str()),
                container = report.pod.as_ref().and_then(|pod| pod.container.as_deref()),
                workload = report.pod.as_ref().map(|pod| pod.workload.name.as_str()),
                outcome = json_name(report.outcome),
                trigger = json_name(report.trigger),
                signal_to_exit_seconds =
                    report.stop_signal_to_exit().map(|time| time.as_secs_f64()),
                hook_seconds = report.hook_duration().map(|time| time.as_secs_f64()),
                total_seconds = report.total_duration().map(|time| time.as_secs_f64()),
                killed = report.kill.is_some(),
                certain = report.doubts.is_empty(),
                "terminated"
            );
            self.post_events(report);
        }
    }

    fn record_agent_event(&mut self, event: &AgentEvent<'_>) {
        self.shown.metrics.record_agent_event(event);
        self.shown.readiness.record(event);
        self.shown.agent_health.record(event);
    }

    fn tick(&mut self, now: Timestamp) {
        self.shown.metrics.refresh(now);
        self.shown.readiness.record_turn(now);
    }
}
