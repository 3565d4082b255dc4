//! `gracewatch replay --serve` as a process.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use gracewatch_tests::whole::binary;

/// A running one; dropping it ends it.
pub(crate) struct Served {
    process: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) origin: String,
}

impl Served {
    /// Serves these journals.
    pub(crate) fn start(journals: &[PathBuf]) -> Result<Self> {
        let mut process = Command::new(binary()?)
            .arg("replay")
            .args(journals)
            .args(["--serve", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the agent")?;
        let stdout = process.stdout.take();
        let mut served = Self {
            process,
            origin: String::new(),
        };
        let mut line = String::new();
        BufReader::new(stdout.context("no output")?).read_line(&mut line)?;
        let (origin, _) = line
            .split_once("/ shows ")
            .with_context(|| format!("the agent says `{}`", line.trim_end()))?;
        origin.clone_into(&mut served.origin);
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
