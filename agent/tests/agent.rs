//! The assembled agent without privileges: a journal in the place of the kernel, and real HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers cannot do fails the test"
)]

use std::io::{Cursor, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_core::input::Input;
use agent_core::report::Doubt;
use agent_core::time::Timestamp;
use gracewatch::agent_event::AgentEvent;
use gracewatch::driver::Driver;
use gracewatch::http::{AppState, Server};
use gracewatch::metrics::exposition::Format;
use gracewatch::metrics::{Metrics, Retention};
use gracewatch::recent::Filter;
use gracewatch::run::AgentSink;
use gracewatch::sink::Sink as _;

/// nginx.service gets SIGTERM, and exits with status 0 after 1.5 s; its cgroup is then empty and removed.
const JOURNAL: &str = include_str!("graceful.jsonl");

fn app_state() -> Arc<AppState> {
    Arc::new(AppState::of_agent(Retention::default()))
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Tells a driver what the journal says, as the event loop would; nobody executes the effects, since the answers are in
/// the journal.
fn measure(sink: &mut AgentSink) {
    let mut lines = JOURNAL.lines();
    let mut reader = agent_core::journal::Reader::new();
    let header = reader.header(lines.next().unwrap()).unwrap();
    let mut driver = Driver::new(header.config).unwrap();
    for line in lines {
        let entry = reader.parse_entry(line).unwrap();
        driver.handle_input(entry.input, entry.at, sink);
    }
    driver.run_timeouts(Timestamp(u64::MAX), sink);
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn get(address: SocketAddr, path: &str, accept: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

#[test]
fn a_termination_reaches_the_scrape() {
    let shown = app_state();
    let server = Server::start(any_port(), Arc::clone(&shown)).unwrap();
    let address = server.address();
    let before = get(address, "/metrics", "*/*");
    assert!(!before.body.contains("pod_termination"), "{}", before.body);

    measure(&mut AgentSink {
        shown,
        poster: None,
    });

    let text = get(address, "/metrics", "text/plain");
    assert_eq!(text.status, 200);
    assert!(
        text.head
            .contains("content-type: text/plain; version=0.0.4")
    );
    for sample in [
        "pod_termination_signal_to_exit_seconds{kind=\"systemd_service\",container=\"nginx.service\",cgroup=\"/system.slice/nginx.service\"} 1.5",
        "pod_termination_sigkill_used{kind=\"systemd_service\",container=\"nginx.service\",cgroup=\"/system.slice/nginx.service\"} 0",
        "workload_termination_outcomes_total{workload_kind=\"systemd_service\",workload=\"nginx.service\",outcome=\"graceful\",trigger=\"stopped\"} 1",
        "workload_termination_signal_to_exit_seconds_bucket{workload_kind=\"systemd_service\",workload=\"nginx.service\",le=\"1\"} 0",
        "workload_termination_signal_to_exit_seconds_bucket{workload_kind=\"systemd_service\",workload=\"nginx.service\",le=\"2\"} 1",
        "gracewatch_terminations_open 0",
    ] {
        assert!(
            text.body.lines().any(|line| line == sample),
            "no {sample} in\n{}",
            text.body
        );
    }
    let open = get(
        address,
        "/metrics",
        "application/openmetrics-text;version=1.0.0",
    );
    assert!(
        open.head
            .contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    assert!(open.body.ends_with("# EOF\n"));

    let json: serde_json::Value =
        serde_json::from_str(&get(address, "/api/v1/terminations", "*/*").body).unwrap();
    assert_eq!(json["finished"][0]["subject"]["name"], "nginx.service");
    assert_eq!(json["finished"][0]["outcome"], "graceful");
    assert_eq!(json["open"].as_array().unwrap().len(), 0);
    assert_eq!(json["version"], 1);
    assert_eq!(json["finished_total"], 1);
    let rest = get(address, "/api/v1/terminations?since=1", "*/*");
    assert!(rest.body.contains("\"finished\":[]"), "{}", rest.body);
    let none = get(address, "/api/v1/terminations?limit=0", "*/*");
    assert!(none.body.contains("\"finished\":[]"), "{}", none.body);
    let found = |query: &str| {
        let answer = get(address, &format!("/api/v1/terminations?{query}"), "*/*");
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        !answer.body.contains("\"finished\":[]")
    };
    assert!(found("container=nginx.service&limit=5&namespace="));
    assert!(!found("container=other.service"));
    assert!(!found("namespace=default&pod=web&workload=web&limit=5"));
    assert!(
        get(address, "/", "text/html")
            .body
            .contains("nginx.service")
    );
    server.stop();
}

#[test]
fn ready_says_what_it_waits_for() {
    let shown = app_state();
    let server = Server::start(any_port(), Arc::clone(&shown)).unwrap();
    let address = server.address();
    let waiting = get(address, "/readyz", "*/*");
    assert_eq!(waiting.status, 503);
    assert!(waiting.body.contains("probes"), "{}", waiting.body);
    assert_eq!(get(address, "/livez", "*/*").status, 200);
    let mut sink = AgentSink {
        shown,
        poster: None,
    };
    sink.record_agent_event(&AgentEvent::Attached(&[]));
    let took = Duration::ZERO;
    sink.record_agent_event(&AgentEvent::Scanned { took, cgroups: 1 });
    assert_eq!(get(address, "/readyz", "*/*").status, 200);
    server.stop();
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind(any_port()).unwrap();
    let address = taken.local_addr().unwrap();
    let sentence = Server::start(address, app_state()).unwrap_err().to_string();
    assert!(
        sentence.contains(&address.to_string()) && sentence.contains("--listen"),
        "{sentence}"
    );
}

#[test]
fn the_server_stops_at_once_with_a_connection_open() {
    let server = Server::start(any_port(), app_state()).unwrap();
    let idle = TcpStream::connect(server.address()).unwrap();
    get(server.address(), "/livez", "*/*");
    let begin = Instant::now();
    server.stop();
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    drop(idle);
}

#[test]
fn a_loss_found_after_a_timeout_was_due_is_told_before_it() {
    let shown = app_state();
    let mut sink = AgentSink {
        shown: Arc::clone(&shown),
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
    let due = driver.timeout().unwrap();
    let late = due.after(Duration::from_secs(1));
    driver.tell_found(
        Input::Lost {
            outermost: None,
            records: 3,
            between: None,
        },
        late,
        &mut sink,
    );
    driver.run_timeouts(late, &mut sink);
    let reports = shown.recent.snapshot(&Filter::default(), 10).finished;
    assert_eq!(reports[0].doubts, [Doubt::RecordsLost]);
}

#[test]
fn replay_and_the_event_loop_say_the_same() {
    let replayed = Metrics::new(Retention::default());
    gracewatch::replay::replay(Cursor::new(JOURNAL), |output, now| {
        replayed.record(output, now);
        Ok(())
    })
    .unwrap();
    let shown = app_state();
    measure(&mut AgentSink {
        shown: Arc::clone(&shown),
        poster: None,
    });
    let page = |metrics: &Metrics| {
        let text = String::from_utf8(metrics.encode(Format::Text).unwrap()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(page(&replayed), page(&shown.metrics));
}
