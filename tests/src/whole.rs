//! The whole agent as a process of its own: `gracewatch run`, asked over HTTP.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::config::Selector;
use agent_core::report::Report;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use ureq::Agent as Http;

use crate::claim;
use crate::harness::OrWrong as _;
use crate::process_status;

/// How long it may take to be ready, or to stop.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// The agent's binary, which is built beside this program's.
pub fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("gracewatch");
    ensure!(
        path.exists(),
        "{} is missing; build it with `cargo build --package gracewatch`",
        path.display()
    );
    Ok(path)
}

/// This port, if it is free on the loopback address, else another.
pub fn free_port(wanted: u16) -> Result<u16> {
    let listener = match wanted {
        0 => Err(ErrorKind::AddrInUse.into()),
        wanted => TcpListener::bind(("127.0.0.1", wanted)),
    };
    // Free on every address: a connection that another test closed a moment ago keeps its port on its own address.
    let listener = listener
        .or_else(|_taken| TcpListener::bind("[::]:0"))
        .or_else(|_no_ipv6| TcpListener::bind("0.0.0.0:0"));
    Ok(listener.context("no free port")?.local_addr()?.port())
}

/// The text of a file for `--subjects`, as JSON.
pub fn subjects_file(known: &[Selector]) -> Result<String> {
    #[derive(Serialize)]
    struct Entry<'a> {
        cgroup: &'a str,
        grace_seconds: Option<f64>,
        stop_signal: Option<String>,
        pre_stop: Option<&'a [String]>,
    }
    let entries: Vec<_> = known
        .iter()
        .map(|selector| Entry {
            cgroup: &selector.cgroup,
            grace_seconds: selector.grace.map(|grace| grace.as_secs_f64()),
            stop_signal: selector.stop_signal.map(|signal| signal.to_string()),
            pre_stop: selector.pre_stop.as_deref(),
        })
        .collect();
    Ok(serde_json::to_string(&entries)?)
}

/// A running `gracewatch run`; dropping it kills it.
#[derive(Debug)]
pub struct Whole {
    process: Child,
    http: Http,
    address: String,
    log: PathBuf,
}

/// What `/api/v1/terminations` answers, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Terminations {
    finished: Vec<Report>,
}

impl Whole {
    /// Starts it for the cgroups of this glob on any free port. `args`: further options; `log`: where its words go.
    pub fn start(glob: &str, args: &[&str], log: &Path) -> Result<Self> {
        Self::start_at(free_port(0)?, &[&["--cgroup", glob], args].concat(), log)
    }

    /// Starts it on this port of the loopback address and waits until it is ready.
    pub fn start_at(port: u16, args: &[&str], log: &Path) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command
            .args(["run", "--no-systemd", "--no-containers"])
            .args(args);
        Self::start_command(command, port, log)
    }

    /// Starts this command, which is `gracewatch run` with its options but without `--listen`, on this port of the
    /// loopback address and waits until it is ready.
    pub fn start_command(mut command: Command, port: u16, log: &Path) -> Result<Self> {
        let address = format!("127.0.0.1:{port}");
        let words =
            fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command
            .args(["--listen", &address])
            .stdin(Stdio::null())
            .stdout(words.try_clone()?)
            .stderr(words);
        let process = command.spawn().context("cannot start the agent")?;
        let http = Http::config_builder()
            // Long, since what is waited for is a busy machine's turn.
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut whole = Self {
            process,
            http,
            address,
            log: log.to_owned(),
        };
        whole.wait_ready()?;
        Ok(whole)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            if self
                .get_path("/readyz")
                .is_ok_and(|(status, _)| status == 200)
            {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the agent ended ({status}) and said: {}", self.log_text());
            }
            ensure!(
                started.elapsed() < LIMIT,
                "the agent is not ready after {LIMIT:?} and said: {}",
                self.log_text()
            );
            sleep(POLL);
        }
    }

    /// Where it answers: address and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        process_status::read_bytes(&self.pid().to_string(), "VmRSS")
    }

    /// What it wrote to its log.
    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log)
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    }

    /// Status and body of a page. An agent that does not answer is wrong.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        self.get_path(path)
            .or_wrong(|| format!("the agent does not answer {path}"))
    }

    fn get_path(&self, path: &str) -> Result<(u16, String)> {
        let mut response = self
            .http
            .get(format!("http://{}{path}", self.address))
            .call()?;
        Ok((
            response.status().as_u16(),
            response.body_mut().read_to_string()?,
        ))
    }

    /// The sum of all series of a metric that carry this label, or of all of them.
    pub fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let (status, text) = self.get("/metrics")?;
        claim!(status == 200, "/metrics answers {status}");
        let series = text
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// The finished reports of the cgroup with this path, newest first.
    pub fn reports(&self, path: &str) -> Result<Vec<Report>> {
        let all = self.all_reports()?.into_iter();
        Ok(all.filter(|report| report.subject.path == path).collect())
    }

    /// All finished reports that it remembers, newest first.
    pub fn all_reports(&self) -> Result<Vec<Report>> {
        let (status, text) = self.get("/api/v1/terminations")?;
        claim!(status == 200, "/api/v1/terminations answers {status}");
        let all: Terminations = serde_json::from_str(&text)
            .or_wrong(|| "/api/v1/terminations is not as expected".to_owned())?;
        Ok(all.finished)
    }

    /// Waits for a finished report of the cgroup with this path.
    pub fn wait_report(&self, path: &str, limit: Duration) -> Result<Report> {
        let started = Instant::now();
        loop {
            if let Some(report) = self.reports(path)?.into_iter().next() {
                return Ok(report);
            }
            claim!(
                started.elapsed() < limit,
                "no report of {path} after {limit:?}; the agent said: {}",
                self.log_text()
            );
            sleep(POLL);
        }
    }

    /// Sends SIGTERM and waits; says how it ended and how long that took.
    pub fn stop(self) -> Result<(ExitStatus, Duration)> {
        self.stop_by(Signal::TERM)
    }

    /// The same by another signal.
    pub fn stop_by(mut self, signal: Signal) -> Result<(ExitStatus, Duration)> {
        let started = Instant::now();
        kill_process(Pid::from_child(&self.process), signal).context("cannot stop the agent")?;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok((status, started.elapsed()));
            }
            claim!(
                started.elapsed() < LIMIT,
                "the agent runs on {LIMIT:?} after {signal:?}"
            );
            sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
