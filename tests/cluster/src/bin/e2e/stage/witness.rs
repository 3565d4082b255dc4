//! What a container says of itself: its log, followed while it runs, since the log goes with the pod.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, bail};

use super::{Pod, RUN_LIMIT, Stage};

/// A container's log. Dropping it ends the following.
#[derive(Debug)]
pub(crate) struct Witness {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Stage<'_> {
    /// Follows the container's log, and waits for its first line.
    pub(crate) fn witness(&self, pod: &Pod, container: &str) -> Result<Witness> {
        let mut child = self
            .place
            .kubectl()
            .command()
            .args(["--namespace", &self.namespace, "logs", "--follow"])
            .args([&pod.name, "--container", container])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start kubectl")?;
        let log = child.stdout.take().context("kubectl has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut witness = Witness {
            child,
            lines,
            said: Vec::new(),
        };
        witness.read_until(|said| !said.is_empty())?;
        Ok(witness)
    }
}

impl Witness {
    /// When the container first said this word; waits for it.
    ///
    /// A line is `word 1234.56`, with the time of `/proc/uptime`: of the clock that reports have (`CLOCK_BOOTTIME`), cut to
    /// hundredths, <https://github.com/torvalds/linux/blob/v6.12/fs/proc/uptime.c#L11>.
    pub(crate) fn wait_for_first(&mut self, word: &str) -> Result<Timestamp> {
        self.read_until(|said| times_of(said, word).next().is_some())?;
        times_of(&self.said, word).next().context("a word was lost")
    }

    /// When it last said this word before it ended; waits for its end.
    pub(crate) fn wait_for_last(&mut self, word: &str) -> Result<Timestamp> {
        self.wait_for_first("exit")?;
        let last = times_of(&self.said, word).next_back();
        last.with_context(|| format!("the container never said {word}, only {:?}", self.said))
    }

    /// How often it said this word until now.
    pub(crate) fn count_of(&self, word: &str) -> usize {
        times_of(&self.said, word).count()
    }

    fn read_until(&mut self, enough: impl Fn(&[String]) -> bool) -> Result<()> {
        let started = Instant::now();
        while !enough(&self.said) {
            let left = RUN_LIMIT.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the container said no more than {:?}", self.said)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "the container ended and had said no more than {:?}",
                        self.said
                    )
                }
            }
        }
        Ok(())
    }
}

fn times_of<'a>(
    said: &'a [String],
    word: &'a str,
) -> impl DoubleEndedIterator<Item = Timestamp> + 'a {
    let seconds = move |line: &'a String| {
        let time = line.strip_prefix(word)?.strip_prefix(' ')?;
        time.parse::<f64>().ok()
    };
    said.iter()
        .filter_map(seconds)
        .map(|time| Timestamp::default().after(Duration::from_secs_f64(time)))
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It has mostly ended with the container.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
