//! The whole binary, asked over HTTP.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::report::Report;
use anyhow::{Result, ensure};
use gracewatch_tests::whole::Whole;

use crate::agent::Agent;

const POLL: Duration = Duration::from_millis(20);

/// An agent that one scenario has for itself.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) whole: Whole,
    waited: AtomicU32,
}

impl Own {
    pub(crate) const fn new(whole: Whole) -> Self {
        Self {
            whole,
            waited: AtomicU32::new(0),
        }
    }
}

impl Agent for Own {
    /// Its metrics do not name containers, but each call is for one more, and nobody else has any.
    fn wait_watched(&self, path: &str, _pid: u32, limit: Duration) -> Result<()> {
        let started = Instant::now();
        let containers = f64::from(self.waited.fetch_add(1, Ordering::Relaxed) + 1);
        while self.whole.metric("gracewatch_containers_tracked", "")? < containers {
            ensure!(
                started.elapsed() < limit,
                "{path} is not tracked after {limit:?}"
            );
            sleep(POLL);
        }
        Ok(())
    }

    fn report(&self, path: &str, limit: Duration) -> Result<Report> {
        self.whole.wait_report(path, limit)
    }

    fn reports(&self, path: &str) -> Vec<Report> {
        let mut reports = self.whole.reports(path).unwrap_or_default();
        reports.reverse();
        reports
    }
}
