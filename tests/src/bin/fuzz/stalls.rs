//! Times in which the machine stood still: what was due then was done late, by the runtime that the rig plays and by the program, so
//! that nobody can say what a right report is. Who judges looks here first, whatever the report says.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::clock::{self, Span};

/// How often a look is due.
const STEP: Duration = Duration::from_millis(50);
/// How late a look may be, here and on an emulated processor.
pub(crate) const LATE: Duration = Duration::from_millis(1500);
pub(crate) const LATE_SLOW: Duration = Duration::from_secs(3);

/// The stalls so far, by a thread that sleeps and writes to a file, as the programs of the rig do.
#[derive(Debug)]
pub(crate) struct Stalls(Arc<Mutex<Vec<Span>>>);

/// The machine stood still for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stalled(Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the machine stood still for {:.1} s",
            self.0.as_secs_f64()
        )
    }
}

impl std::error::Error for Stalled {}

impl Stalls {
    /// Looks from now on; a look that is later than `late` is a stall. The file lies in this folder.
    pub(crate) fn start_watching(folder: &Path, late: Duration) -> Result<Self> {
        let mut file = File::create(folder.join("stalls.log")).context("cannot write a log")?;
        let spans = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&spans);
        thread::spawn(move || {
            loop {
                let before = clock::now();
                thread::sleep(STEP);
                file.write_all(b".").ok();
                let after = clock::now();
                if after.since(before) > STEP + late {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push(Span { before, after });
                }
            }
        });
        Ok(Self(spans))
    }

    /// The first stall in this time.
    pub(crate) fn in_time(&self, time: Span) -> Option<Stalled> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = spans.iter();
        let stall = spans.find(|stall| stall.before <= time.after && time.before <= stall.after)?;
        Some(Stalled(stall.after.since(stall.before)))
    }
}
