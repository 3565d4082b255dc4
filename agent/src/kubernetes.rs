//! The Kubernetes API: which pods there are on this node, what its kubelet says of them, and whether they are given
//! traffic comes in, Events on pods go out. On a thread and a runtime of its own, so that a slow API server never keeps the event loop from the ring buffer.

mod access;
mod args;
mod endpoints;
mod facts;
mod failure;
mod follow;
mod known;
mod kubelet;
mod outage;
mod owner;
mod owners;
mod pods;
mod post;
mod reduce;
mod slices;
mod survey;

use std::cell::RefCell;
use std::pin::pin;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};

use self::facts::ApiUpdates;
use self::known::Known;
use self::post::PodEvent;

pub use self::access::{Access, Origin};
pub use self::args::KubernetesArgs;
pub use self::facts::ApiUpdate;
pub use self::post::EventRecorder;
pub use self::survey::{Answer, Survey, survey};

/// How long Events that wait may take when the agent stops.
const GRACE: Duration = Duration::from_millis(500);

/// The thread that talks to the API.
#[derive(Debug)]
pub struct Kubernetes {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What the thread takes and gives.
#[derive(Debug)]
pub struct Channels {
    /// What comes from the API.
    pub facts: mpsc::Receiver<ApiUpdate>,
    /// Takes reports, if Events are to be written.
    pub poster: Option<EventRecorder>,
}

impl Kubernetes {
    /// Starts the watches; whether the API answers is told as a fact.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(access: Access, write_events: bool) -> anyhow::Result<(Self, Channels)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot make the runtime for the Kubernetes API")?;
        tracing::info!(
            node = access.node,
            by = access.origin.name(),
            "watching the pods of this node"
        );
        let (facts, incoming) = ApiUpdates::channel();
        let (poster, notes) = write_events.then(EventRecorder::channel).unzip();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("kubernetes".to_owned())
            .spawn(move || {
                runtime.block_on(run_until_stopped(&access, &facts, notes, stopped));
                runtime.shutdown_background();
            })
            .context("cannot start the thread for the Kubernetes API")?;
        let ends = Channels {
            facts: incoming,
            poster,
        };
        Ok((Self { stop, thread }, ends))
    }

    /// Stops it, after Events that wait were written; waits half a second at the most. Drop the [`EventRecorder`] before.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread for the Kubernetes API had panicked");
        }
    }
}

/// Watches, and writes Events, until it is to stop; then writes what waits.
async fn run_until_stopped(
    access: &Access,
    facts: &ApiUpdates,
    notes: Option<mpsc::Receiver<PodEvent>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut watches = pin!(watch_all(access, facts));
    let Some(notes) = notes else {
        tokio::select! {
            // Sent or dropped: either way it is the end.
            _dropped = &mut stopped => {}
            () = &mut watches => {}
        }
        return;
    };
    let mut delivery = pin!(post::deliver(access, notes, facts));
    let mut delivered = false;
    loop {
        tokio::select! {
            _dropped = &mut stopped => break,
            () = &mut watches => break,
            // No more Events; the watches go on.
            () = &mut delivery, if !delivered => delivered = true,
        }
    }
    if !delivered && tokio::time::timeout(GRACE, delivery).await.is_err() {
        tracing::debug!("Events that waited were not written in time");
    }
}

/// All watches; they share what is known of the pods.
async fn watch_all(access: &Access, facts: &ApiUpdates) {
    let known = RefCell::new(Known::default());
    let (unsure, asked) = mpsc::channel(owners::WAITING);
    let kubelet = async {
        if access.kubelet_events {
            kubelet::watch_events(access, &known, facts).await;
        }
    };
    let slices = async {
        if access.endpoint_slices {
            slices::watch_endpoint_slices(access, facts).await;
        }
    };
    tokio::join!(
        pods::watch_pods(access, &known, unsure, facts),
        owners::look_up(access, &known, asked, facts),
        kubelet,
        slices,
    );
}
