//! Pods that connect to others, and what they say became of each connection.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};

use super::{POLL, Pod, RUN_LIMIT, Stage};

/// A pod whose one container is a client.
#[derive(Debug)]
pub(crate) struct Client {
    pod: Pod,
}

/// One attempt of a client that connects again and again.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// `ok`, `refused`, `reset`, …
    pub(crate) fate: String,
    /// The pod that answered.
    pub(crate) by: Option<String>,
}

/// For how long a client connects again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Until this moment of the node's boot clock.
    Moment(Timestamp),
    /// For so long after its first attempt that was refused; at the latest until `end`.
    Refused { after: Duration, end: Timestamp },
}

/// The end of a connection that a client held.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// `ended` by a FIN, `reset`, …
    pub(crate) fate: String,
    pub(crate) to: SocketAddr,
}

impl Stage<'_> {
    /// Starts a client that connects again and again.
    pub(crate) fn connecting(&self, name: &str, to: SocketAddr, until: Until) -> Result<Client> {
        let (end, after_refusal) = match until {
            Until::Moment(end) => (end, None),
            Until::Refused { after, end } => (end, Some(after.as_millis().to_string())),
        };
        let (to, end) = (to.to_string(), end.0.to_string());
        let mut command = vec!["peer", "connect", "--to", &to, "--until", &end];
        if let Some(after) = &after_refusal {
            command.extend(["--after-refusal", after]);
        }
        self.client(name, &command)
    }

    /// Starts a client that holds so many connections to each of these, and waits until it does; with `more` each has sent
    /// something that was not asked for.
    pub(crate) fn holding(
        &self,
        name: &str,
        to: &[SocketAddr],
        each: usize,
        more: bool,
    ) -> Result<Client> {
        let each = each.to_string();
        let mut command = vec!["peer", "hold", "--each", &each];
        let places: Vec<String> = to.iter().map(SocketAddr::to_string).collect();
        for place in &places {
            command.extend(["--to", place]);
        }
        if more {
            command.push("--more");
        }
        let client = self.client(name, &command)?;
        let started = Instant::now();
        while !self.read_log(&client)?.lines().any(|line| line == "held") {
            self.watch.check_stopped()?;
            ensure!(
                started.elapsed() < RUN_LIMIT,
                "client {name} does not get its connections: {}",
                self.read_log(&client)?
            );
            sleep(POLL);
        }
        Ok(client)
    }

    fn client(&self, name: &str, command: &[&str]) -> Result<Client> {
        let command = serde_json::json!(command);
        let spec = format!(
            "restartPolicy: Never\ncontainers:\n- {{ name: app, image: \"localhost/gracewatch-test:1\", command: {command} }}"
        );
        let pod = self.begun_pod(name, &spec, "app")?;
        Ok(Client { pod })
    }

    /// What became of every attempt; waits until the client has ended.
    pub(crate) fn attempts(&self, client: &Client) -> Result<Vec<Attempt>> {
        let log = self.whole_log(client)?;
        let attempts = log.lines().map(|line| {
            let mut words = line.split(' ');
            let attempt = Attempt {
                began_at: parse_time(words.next())?,
                ended_at: parse_time(words.next())?,
                fate: words.next()?.to_owned(),
                by: words.next().filter(|by| *by != "-").map(str::to_owned),
            };
            Some(attempt)
        });
        let attempts: Option<Vec<_>> = attempts.collect();
        attempts.with_context(|| format!("the client said something else: {log}"))
    }

    /// How every held connection ended; waits until all have.
    pub(crate) fn connection_ends(&self, client: &Client) -> Result<Vec<End>> {
        let log = self.whole_log(client)?;
        let ends = log.lines().skip_while(|line| *line == "held").map(|line| {
            let mut words = line.split(' ').skip(1);
            Some(End {
                fate: words.next()?.to_owned(),
                to: words.next()?.parse().ok()?,
            })
        });
        let ends: Option<Vec<_>> = ends.collect();
        ends.with_context(|| format!("the client said something else: {log}"))
    }

    fn whole_log(&self, client: &Client) -> Result<String> {
        let name = &client.pod.name;
        let what = format!("the end of client {name}");
        self.watch.wait_for_pod(&what, RUN_LIMIT, |pod, _gone| {
            let status = pod.status.as_ref();
            let phase = status.and_then(|status| status.phase.as_deref());
            pod.metadata.uid.as_deref() == Some(&client.pod.uid)
                && matches!(phase, Some("Succeeded" | "Failed"))
        })?;
        self.read_log(client)
    }

    fn read_log(&self, client: &Client) -> Result<String> {
        self.kubectl(&["logs", &client.pod.name])
    }
}

fn parse_time(word: Option<&str>) -> Option<Timestamp> {
    word?.parse().ok().map(Timestamp)
}

/// How many attempts had this fate.
pub(crate) fn count_fate(attempts: &[Attempt], fate: &str) -> u64 {
    let same = attempts.iter().filter(|attempt| attempt.fate == fate);
    u64::try_from(same.count()).unwrap_or(u64::MAX)
}

/// Now, by the clock of the node and of the reports.
pub(crate) fn now() -> Timestamp {
    gracewatch_tests::rig::clock::now()
}

/// Sleeps until this moment.
pub(crate) fn sleep_until(at: Timestamp) {
    sleep(at.since(now()));
}

/// How long before its last attempt a client is started at the latest: pods take a while to begin.
pub(crate) const BEGIN: Duration = Duration::from_secs(12);
