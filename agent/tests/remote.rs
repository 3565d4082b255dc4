//! `watch --agent` and `explain --agent` against a real server: one that tells, goes away, and comes back as another.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers cannot do fails the test"
)]

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gracewatch::driver::Driver;
use gracewatch::http::{AppState, Server};
use gracewatch::metrics::Retention;
use gracewatch::run::AgentSink;

/// nginx.service gets SIGTERM, and exits with status 0 after 1.5 s; its cgroup is then empty and removed.
const JOURNAL: &str = include_str!("graceful.jsonl");

/// An agent without a kernel: what a journal tells, on an address.
struct Agent {
    server: Server,
    shown: Arc<AppState>,
}

impl Agent {
    /// A server that was there a moment ago may leave its address late.
    fn start_at(address: SocketAddr) -> Self {
        let shown = Arc::new(AppState::of_agent(Retention::default()));
        let begin = Instant::now();
        loop {
            match Server::start(address, Arc::clone(&shown)) {
                Ok(server) => return Self { server, shown },
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(20), "{error:#}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// One termination, from its begin to its end.
    fn measure(&self) {
        let mut sink = AgentSink {
            shown: Arc::clone(&self.shown),
            poster: None,
        };
        let mut lines = JOURNAL.lines();
        let mut reader = agent_core::journal::Reader::new();
        let header = reader.header(lines.next().unwrap()).unwrap();
        let mut driver = Driver::new(header.config).unwrap();
        for line in lines {
            let entry = reader.parse_entry(line).unwrap();
            driver.handle_input(entry.input, entry.at, &mut sink);
        }
        driver.run_timeouts(agent_core::time::Timestamp(u64::MAX), &mut sink);
    }
}

fn gracewatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gracewatch"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("GRACEWATCH_CONFIG", "")
        .env_remove("GRACEWATCH_AGENT");
    command
}

struct Watch {
    process: Child,
    reports: Lines<BufReader<ChildStdout>>,
    remarks: Lines<BufReader<ChildStderr>>,
}

impl Watch {
    fn start(address: SocketAddr) -> Self {
        let mut process = gracewatch(&["watch", "--json", "--agent", &address.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let reports = BufReader::new(process.stdout.take().unwrap()).lines();
        let remarks = BufReader::new(process.stderr.take().unwrap()).lines();
        Self {
            process,
            reports,
            remarks,
        }
    }

    fn remark(&mut self) -> String {
        self.remarks.next().unwrap().unwrap()
    }

    fn report(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.reports.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn a_watch_survives_the_agents_restart_and_ends_in_order() {
    let agent = Agent::start();
    let address = agent.server.address();
    agent.measure();
    let mut watch = Watch::start(address);
    let greeting = watch.remark();
    assert!(
        greeting.contains(&format!("http://{address}")),
        "{greeting}"
    );
    assert!(greeting.contains("1 finished before"), "{greeting}");
    agent.measure();
    let report = watch.report();
    assert_eq!(report["subject"]["name"], "nginx.service");
    assert_eq!(report["outcome"], "graceful");

    agent.server.stop();
    let away = watch.remark();
    assert!(
        away.contains("nobody listens") && away.contains("Trying again"),
        "{away}"
    );
    let agent = Agent::start_at(address);
    agent.measure();
    let back = watch.remark();
    assert!(back.contains("answers again"), "{back}");
    let restarted = watch.remark();
    assert!(restarted.contains("was restarted"), "{restarted}");
    assert_eq!(watch.report()["id"], 1);

    let pid = rustix::process::Pid::from_child(&watch.process);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(watch.process.wait().unwrap().success());
    assert!(watch.reports.next().is_none() && watch.remarks.next().is_none());
}

#[test]
fn a_watch_ends_with_a_sentence_where_no_agent_answers_any_more() {
    let agent = Agent::start();
    let address = agent.server.address();
    let mut watch = Watch::start(address);
    watch.remark();
    agent.server.stop();
    let away = watch.remark();
    assert!(away.contains("Trying again"), "{away}");
    // Something else has the address now.
    let begin = Instant::now();
    let listener = loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => break listener,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let other = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _peer) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _length = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nno\n")
            .unwrap();
    });
    let end = watch.remark();
    other.join().unwrap();
    assert!(
        end.contains("no Gracewatch agent") && end.contains("404"),
        "{end}"
    );
    assert_eq!(watch.process.wait().unwrap().code(), Some(1));
}

#[test]
fn an_agents_termination_is_explained() {
    let agent = Agent::start();
    let address = agent.server.address().to_string();
    let explain = |arguments: &[&str]| {
        let output = gracewatch(arguments)
            .args(["--agent", &address])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (text, error, output.status.code())
    };
    let (_, error, code) = explain(&["explain", "last"]);
    assert!(
        error.contains("remembers no termination yet") && error.contains(&address),
        "{error}"
    );
    assert_eq!(code, Some(1));
    agent.measure();
    agent.measure();
    let (text, error, code) = explain(&["explain", "nginx.service"]);
    assert_eq!((error.as_str(), code), ("", Some(0)));
    assert!(
        text.contains("What happened") && text.contains("signal_generate"),
        "{text}"
    );
    assert!(text.contains("the node's clock"), "{text}");
    let (text, ..) = explain(&["explain"]);
    assert!(text.contains("remembers 2 terminations"), "{text}");
    let (text, ..) = explain(&["explain", "last", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["report"]["subject"]["name"], "nginx.service");
    agent.server.stop();
}
