//! A program that runs until it is stopped: started with a log of its own, waited for until it is ready, ended by its pid.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(20);
/// How long a daemon may take to end after SIGTERM before it gets SIGKILL.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Lines of its log that an error quotes.
const QUOTED: usize = 15;

/// A running program; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with standard output and error appended to `<logs>/<name>.log`.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let words = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(words.try_clone()?)
            .stderr(words);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let from = lines.len().saturating_sub(QUOTED);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    /// Waits until `ready` says so; errors of `ready` mean "not yet".
    ///
    /// # Errors
    /// If it ends first or takes longer than `limit`; says its last words.
    pub fn wait_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            let answer = ready();
            if matches!(answer, Ok(true)) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended ({status}) and said:\n{}",
                    self.name,
                    self.last_words()
                );
            }
            if started.elapsed() > limit {
                let why = answer.err().map(|error| format!(" ({error:#})"));
                bail!(
                    "{} is not ready after {limit:?}{} and said:\n{}",
                    self.name,
                    why.unwrap_or_default(),
                    self.last_words()
                );
            }
            sleep(POLL);
        }
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send a signal to {}", self.name))
    }

    /// Sends SIGTERM and waits; SIGKILL if that takes too long.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > END_LIMIT {
                self.child.kill()?;
                return Ok(self.child.wait()?);
            }
            sleep(POLL);
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
