//! The independent observer: tcpdump at the client's end of the veth pair (or on the loopback device), which knows nothing
//! of the agent and sees what was on the wire.

mod flow;
mod observed;
mod packet;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gracewatch_tests::rig::network::Namespace;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) use flow::Flows;
pub(crate) use observed::{Edges, Observed, Range};
pub(crate) use packet::Packet;

/// How long tcpdump may take to begin or to end.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// Nothing more is written once nothing was for so long.
const QUIET: Duration = Duration::from_millis(200);
/// All headers of a segment, IPv6 and TCP options included.
const SNAPSHOT: &str = "128";
/// The kernel's buffer, in KiB: a storm of refused connections must fit in.
const BUFFER: &str = "65536";

/// A running capture.
#[derive(Debug)]
pub(crate) struct Capture {
    process: Child,
    file: PathBuf,
    words: PathBuf,
}

impl Capture {
    /// Starts tcpdump from the folder `tools` on a device of this namespace, and waits until it listens. `file`: where
    /// packets go.
    pub(crate) fn start(
        tools: &Path,
        namespace: &Namespace,
        (device, filter): (&str, &str),
        file: PathBuf,
    ) -> Result<Self> {
        let words = file.with_extension("words");
        let told = File::create(&words)?;
        let mut command = Command::new(tools.join("tcpdump"));
        command
            .args(["-n", "-U", "--immediate-mode", "-i", device])
            .args(["-s", SNAPSHOT, "-B", BUFFER])
            .args(["--time-stamp-precision=nano", "-Z", "root", "-w"])
            .arg(&file)
            .arg(filter)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(told);
        let process = namespace
            .run(|| command.spawn())?
            .context("cannot start tcpdump")?;
        let mut capture = Self {
            process,
            file,
            words,
        };
        capture.wait_for("listening on")?;
        Ok(capture)
    }

    fn wait_for(&mut self, part: &str) -> Result<()> {
        let started = Instant::now();
        while !self.describe().contains(part) {
            if let Some(status) = self.process.try_wait()? {
                bail!("tcpdump ended ({status}) and said: {}", self.describe());
            }
            ensure!(
                started.elapsed() < LIMIT,
                "tcpdump said no `{part}` within {LIMIT:?}, but: {}",
                self.describe()
            );
            sleep(POLL);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        fs::read_to_string(&self.words).unwrap_or_default()
    }

    /// Waits until nothing more comes, ends it, and reads what it saw: all of it, or that is an error.
    pub(crate) fn stop(mut self) -> Result<Vec<Packet>> {
        self.settle()?;
        kill_process(Pid::from_child(&self.process), Signal::INT)
            .context("tcpdump ended by itself")?;
        self.process.wait()?;
        let told = self.describe();
        let number = |what: &str| {
            told.lines().find_map(|line| {
                let (count, rest) = line.trim().split_once(' ')?;
                (rest == what).then(|| count.parse::<u64>().ok())?
            })
        };
        let captured = number("packets captured").or(number("packet captured"));
        let dropped = number("packets dropped by kernel").or(number("packet dropped by kernel"));
        ensure!(
            dropped == Some(0) && captured.is_some(),
            "the capture is not whole: {told}"
        );
        let packets = packet::read(&self.file)?;
        ensure!(
            captured.is_some_and(|captured| captured >= packets.len() as u64),
            "more packets than were captured: {told}"
        );
        Ok(packets)
    }

    /// Waits until its file does not grow any more.
    fn settle(&self) -> Result<()> {
        let started = Instant::now();
        let mut last = (0, Instant::now());
        while last.1.elapsed() < QUIET {
            let size = fs::metadata(&self.file)?.len();
            if size != last.0 {
                last = (size, Instant::now());
            }
            ensure!(
                started.elapsed() < LIMIT,
                "packets come for longer than {LIMIT:?}"
            );
            sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
