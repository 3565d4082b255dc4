//! Ctrl-C: everything in the rig's cgroups is killed, so that whoever waits for it fails, unwinds and cleans up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use signal_hook::iterator::Signals;

use super::Jail;

/// Whether somebody wants the program to end.
#[derive(Clone, Debug)]
pub struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Whether Ctrl-C or SIGTERM came.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// From now on Ctrl-C, SIGTERM and SIGHUP kill what runs in the rig's cgroups instead of ending this process.
///
/// # Errors
/// If they cannot be caught.
pub fn catch_signals(jail: &Jail) -> Result<Interrupted> {
    let mut signals = Signals::new([1, 2, 15]).context("cannot catch Ctrl-C")?;
    let interrupted = Interrupted(Arc::new(AtomicBool::new(false)));
    let (flag, killer) = (Arc::clone(&interrupted.0), jail.cgroups().killer());
    std::thread::spawn(move || {
        for _signal in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            killer.kill_all();
        }
    });
    Ok(interrupted)
}
