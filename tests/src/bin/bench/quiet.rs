//! Waiting: until nobody else uses the machine, because what others do is the largest part of the noise; and for no
//! longer than nobody asks us to stop.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::print_progress;

/// How long one look takes.
const LOOK: Duration = Duration::from_millis(250);
/// How soon somebody who asks us to stop is heard.
const STEP: Duration = Duration::from_millis(100);
/// The share of all CPU time that others may use.
const QUIET: f64 = 0.05;

/// How much more waiting is worth it, and how often it was in vain.
#[derive(Debug)]
pub(crate) struct Quiet {
    patience: Duration,
    /// Set by Ctrl-C and its kin: what was made is removed on the way out of `main`, so that has to be the way.
    stop: Arc<AtomicBool>,
    /// Rounds that began on a busy machine.
    pub(crate) disturbed: u32,
}

impl Quiet {
    pub(crate) fn new(patience: Duration) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))
                .context("cannot catch signals")?;
        }
        Ok(Self {
            patience,
            stop,
            disturbed: 0,
        })
    }

    /// Sleeps; an error if somebody asks us to stop.
    pub(crate) fn sleep_for(&self, time: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            ensure!(!self.stop.load(Ordering::Relaxed), "stopped");
            let left = time.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(STEP));
        }
    }

    /// Waits until the machine is quiet, or until patience is at its end; an error if somebody asks us to stop.
    pub(crate) fn wait_until_quiet(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut is_told = false;
        while self.busy_share()? > QUIET {
            if started.elapsed() >= self.patience {
                self.disturbed += 1;
                break;
            }
            if !is_told {
                print_progress("waiting for others to leave the machine alone");
                is_told = true;
            }
        }
        self.patience = self.patience.saturating_sub(started.elapsed());
        Ok(())
    }

    /// The share of all CPU time that is used while we do nothing.
    fn busy_share(&self) -> Result<f64> {
        let before = read_ticks()?;
        self.sleep_for(LOOK)?;
        let after = read_ticks()?;
        let all = after.all.saturating_sub(before.all);
        let idle = after.idle.saturating_sub(before.idle);
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let share = 1.0 - idle as f64 / all.max(1) as f64;
        Ok(share)
    }
}

/// CPU time of the machine since it booted.
struct Ticks {
    all: u64,
    /// The fourth and fifth number: idle, and waiting for a disk.
    idle: u64,
}

fn read_ticks() -> Result<Ticks> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let numbers: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map_while(|number| number.parse().ok())
        .collect();
    Ok(Ticks {
        // What guests take is counted in the first two already.
        all: numbers.iter().take(8).sum(),
        idle: numbers.iter().skip(3).take(2).sum(),
    })
}
