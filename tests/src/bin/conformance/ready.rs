//! When a program is ready to be stopped: conditions that are seen from outside, so that nothing is in the container for it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::signal::Signal;
use anyhow::{Error, Result, bail, ensure};
use gracewatch_tests::rig::cgroup::Cgroup;

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// `port 80`: somebody listens.
    Port(u16),
    /// `file /run/x`: it is there.
    File(PathBuf),
    /// `word ready in /log`: a file has it.
    Word(String, PathBuf),
    /// `handler TERM`: the main process has one, or blocks the signal to fetch it.
    Handler(Signal),
    /// `process nginx`, `2 processes nginx`: so many of the container have this name.
    Processes(usize, String),
    /// `client`: a client has a connection.
    Connected,
}

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);

impl FromStr for Ready {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<_> = text.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["port", port] => Self::Port(port.parse()?),
            ["file", path] => Self::File(PathBuf::from(path)),
            ["word", word, "in", path] => Self::Word((*word).to_owned(), PathBuf::from(path)),
            ["handler", signal] => Self::Handler(signal.parse()?),
            ["process", comm] => Self::Processes(1, (*comm).to_owned()),
            [count, "processes", comm] => Self::Processes(count.parse()?, (*comm).to_owned()),
            ["client"] => Self::Connected,
            _ => bail!("`{text}` is no condition"),
        })
    }
}

impl Ready {
    /// Waits until it holds for the container with this main process.
    pub(crate) fn wait_until_ready(
        &self,
        main: u32,
        cgroup: &Cgroup,
        limit: Duration,
    ) -> Result<()> {
        let started = Instant::now();
        while !self.is_ready(main, cgroup) {
            let is_alive = PathBuf::from(format!("/proc/{main}/root")).exists();
            ensure!(is_alive, "{self:?} never held: the main process has ended");
            if started.elapsed() > limit {
                let mut who = String::new();
                for (pid, comm) in members(cgroup) {
                    write!(who, " {comm}({pid})").ok();
                }
                bail!("{self:?} does not hold after {limit:?}; in the container are:{who}");
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn is_ready(&self, main: u32, cgroup: &Cgroup) -> bool {
        let inside = |path: &PathBuf| {
            let path = path.strip_prefix("/").unwrap_or(path);
            PathBuf::from(format!("/proc/{main}/root")).join(path)
        };
        match self {
            Self::Port(port) => {
                sockets(main).any(|(local, state)| local == *port && state == LISTEN)
            }
            Self::File(path) => inside(path).exists(),
            Self::Word(word, path) => {
                let text = std::fs::read(inside(path)).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(word)
            }
            Self::Handler(signal) => {
                signal_mask(main, "SigCgt:") & signal.mask_bit() != 0
                    || signal_mask(main, "SigBlk:") & signal.mask_bit() != 0
            }
            Self::Processes(count, comm) => {
                members(cgroup).filter(|(_, name)| name == comm).count() >= *count
            }
            Self::Connected => sockets(main).any(|(_, state)| state == ESTABLISHED),
        }
    }
}

/// States of TCP sockets as /proc/net/tcp has them.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// Local port and state of each TCP socket in the network of this process.
fn sockets(pid: u32) -> impl Iterator<Item = (u16, String)> {
    ["tcp", "tcp6"].into_iter().flat_map(move |family| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{family}"));
        let lines = text.unwrap_or_default();
        let parse = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let (_, port) = words.next()?.split_once(':')?;
            let state = words.nth(1)?.to_owned();
            Some((u16::from_str_radix(port, 16).ok()?, state))
        };
        lines.lines().filter_map(parse).collect::<Vec<_>>()
    })
}

/// A mask of signals of this process.
fn signal_mask(pid: u32, which: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(which));
    found
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

/// The processes of a container, with their names.
pub(crate) fn members(cgroup: &Cgroup) -> impl Iterator<Item = (u32, String)> {
    let text = std::fs::read_to_string(cgroup.directory().join("cgroup.procs")).unwrap_or_default();
    let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    pids.into_iter().filter_map(|pid| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some((pid, comm.trim_end().to_owned()))
    })
}
