//! What an agent answers, of any version: what is only added is passed over, what cannot be read is said.

use agent_core::report::Report;
use agent_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Address, ClientError};
use crate::http::API_VERSION;
use crate::terminal::text::visible;

/// What an agent remembers at one moment; terminations newest first.
#[derive(Debug)]
pub struct Answer {
    /// The agent's version.
    pub version: String,
    /// When the agent began to count; another time is another run of it.
    pub started_at: Timestamp,
    /// The agent's clock, that of the reports.
    pub now: Timestamp,
    /// Nanoseconds since 1970 at that clock's zero.
    pub wall_at_boot: u64,
    /// How many have finished since it began.
    pub finished_total: u64,
    /// Terminations that are not finished.
    pub open: Vec<Report>,
    /// Finished ones.
    pub finished: Vec<Report>,
    /// How many finished ones hold what this version does not know.
    pub unread: u64,
    /// What that is in one of them.
    pub why_unread: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    agent: Agent,
    clock: Clock,
    finished_total: u64,
    open: Vec<Value>,
    finished: Vec<Value>,
}

#[derive(Deserialize)]
struct Agent {
    version: String,
    started_at: Timestamp,
}

#[derive(Deserialize)]
struct Clock {
    now: Timestamp,
    wall_at_boot: u64,
}

pub(super) fn read(address: &Address, body: &[u8]) -> Result<Answer, ClientError> {
    let no_agent = |what| ClientError::NoAgent(address.clone(), what);
    let value: Value = serde_json::from_slice(body).map_err(|_error| no_agent("no JSON"))?;
    let is_list = |name: &str| value.get(name).is_some_and(Value::is_array);
    if !(is_list("open") && is_list("finished")) {
        return Err(no_agent("JSON that holds no terminations"));
    }
    let Some(form) = value.get("version").and_then(Value::as_u64) else {
        return Err(ClientError::Older(address.clone()));
    };
    if form != u64::from(API_VERSION) {
        let agent = value.pointer("/agent/version").and_then(Value::as_str);
        return Err(ClientError::OtherForm {
            address: address.clone(),
            agent: visible(agent.unwrap_or("of a version that it does not tell")),
            form,
        });
    }
    let raw: Raw = serde_json::from_value(value)
        .map_err(|_error| no_agent("terminations without its clock or its count"))?;
    Ok(Answer::from(raw))
}

impl From<Raw> for Answer {
    fn from(raw: Raw) -> Self {
        let mut why_unread = None;
        let mut reports = |values: Vec<Value>| -> Vec<Report> {
            let read = |value| match serde_json::from_value(value) {
                Ok(report) => Some(report),
                Err(error) => {
                    why_unread = Some(error.to_string());
                    None
                }
            };
            values.into_iter().filter_map(read).collect()
        };
        let told = raw.finished.len();
        let open = reports(raw.open);
        let finished = reports(raw.finished);
        Self {
            version: raw.agent.version,
            started_at: raw.agent.started_at,
            now: raw.clock.now,
            wall_at_boot: raw.clock.wall_at_boot,
            finished_total: raw.finished_total,
            unread: u64::try_from(told - finished.len()).unwrap_or(u64::MAX),
            why_unread,
            open,
            finished,
        }
    }
}

impl Answer {
    /// That some of it could not be read, in one sentence.
    pub fn unread_sentence(&self, address: &Address) -> Option<String> {
        let why = self.why_unread.as_ref()?;
        Some(format!(
            "The agent at {address} (gracewatch {}) tells of terminations what this gracewatch ({}) does not know ({why}); these are not shown, use the gracewatch of the agent's version.",
            self.version,
            env!("CARGO_PKG_VERSION")
        ))
    }
}
