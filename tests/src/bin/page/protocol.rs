//! The browser's DevTools protocol: commands and their answers, and the events between them, as JSON over a WebSocket.
//!
//! <https://chromedevtools.github.io/devtools-protocol/>. The commands that are needed are few, and the browser is whatever Debian
//! has: types generated from one version's protocol would refuse the next one's words.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long the browser may be silent when an answer is due.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the browser.
pub(crate) struct Protocol {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    session: Option<String>,
    events: VecDeque<Event>,
}

/// What the browser tells unasked.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) method: String,
    pub(crate) params: Value,
}

impl Protocol {
    pub(crate) fn connect(address: SocketAddr, url: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).context("the browser does not listen")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let (socket, _response) = tungstenite::client(url, stream)
            .map_err(|error| anyhow::anyhow!("the browser speaks no WebSocket: {error}"))?;
        Ok(Self {
            socket,
            last_id: 0,
            session: None,
            events: VecDeque::new(),
        })
    }

    /// What is called from now on is for the target of this session.
    pub(crate) fn set_session(&mut self, session: String) {
        self.session = Some(session);
    }

    /// Calls a command and waits for its answer; events that come before are kept.
    pub(crate) fn call_command(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.socket
            .send(Message::text(command.to_string()))
            .with_context(|| format!("the browser took no {method}"))?;
        loop {
            let mut message = self
                .read()
                .with_context(|| format!("the browser did not answer {method}"))?;
            if message["id"] != json!(id) {
                self.keep_event(message);
            } else if message["error"].is_null() {
                return Ok(message["result"].take());
            } else {
                bail!("the browser refuses {method}: {}", message["error"]);
            }
        }
    }

    /// The next event: one that is kept, else one that is waited for.
    pub(crate) fn wait_event(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let message = self.read().context("the browser tells nothing")?;
            self.keep_event(message);
        }
    }

    /// An event that is kept.
    pub(crate) fn kept_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn keep_event(&mut self, mut message: Value) {
        if let Some(method) = message["method"].as_str().map(str::to_owned) {
            let params = message["params"].take();
            self.events.push_back(Event { method, params });
        }
    }

    fn read(&mut self) -> Result<Value> {
        loop {
            if let Message::Text(text) = self.socket.read()? {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    }
}
