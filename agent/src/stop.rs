//! The signals that end a process: SIGTERM, SIGINT and SIGHUP. A thread of their own waits for them, so that they end it
//! whatever the event loop is at: a start that is not over, or a write that does not come to its end.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use procfs::process::Process;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How long it may take to stop in order; after it the process ends as it stands.
const PATIENCE: Duration = Duration::from_millis(900);

/// The bit of SIGHUP in the masks of /proc.
const HANGUP: u64 = 1;

/// Catches the signals from now on. What is returned ends when one has come. Until it is waited for, a signal ends the process at
/// once: nothing is begun that would have to be brought to its end.
///
/// SIGHUP is left ignored where it is, as by nohup.
///
/// # Errors
/// If they cannot be caught.
pub(crate) fn caught() -> anyhow::Result<impl Future<Output = ()>> {
    let context = "cannot catch SIGTERM, SIGINT and SIGHUP";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .context(context)?;
    let signals = signals(&runtime).context(context)?;
    let waited_for = Arc::new(AtomicBool::new(false));
    let is_waited_for = Arc::clone(&waited_for);
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(wait_for_any(signals));
            if !is_waited_for.load(Ordering::SeqCst) {
                exit(0);
            }
            tell.send(()).ok();
            // Nothing is said: the log may be what does not come to its end.
            thread::sleep(PATIENCE);
            exit(1);
        })
        .context(context)?;
    Ok(async move {
        waited_for.store(true, Ordering::SeqCst);
        told.await.ok();
    })
}

fn signals(runtime: &Runtime) -> std::io::Result<Vec<Signal>> {
    let _inside = runtime.enter();
    let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
    if !hangup_is_ignored() {
        kinds.push(SignalKind::hangup());
    }
    kinds.into_iter().map(signal).collect()
}

/// Waits for any of them.
async fn wait_for_any(mut signals: Vec<Signal>) {
    let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures_util::future::select_all(waits).await;
}

fn hangup_is_ignored() -> bool {
    let status = Process::myself().and_then(|myself| myself.status());
    status.is_ok_and(|status| status.sigign & HANGUP != 0)
}
