//! Clients that want harm, each against a real process that serves: health checks are answered all the while, and memory
//! stays where it was. The process is `replay --serve`, whose server is the agent's.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers cannot do fails the test"
)]

#[path = "clients/served.rs"]
mod served;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use served::{Health, Served, connect_from, get, request};

/// What memory may grow by beside the answers that are held: allocations of 1000 connections, and two pages that are being made.
const GROWTH_MAX: u64 = 80 << 20;

fn rest() {
    std::thread::sleep(Duration::from_secs(2));
}

#[test]
fn silent_clients_keep_nobody_from_the_health_checks() {
    let served = Served::start(2, 1024);
    let health = Health::start_watch(&served);
    let silent: Vec<_> = (0..200).filter_map(|_| served.connect().ok()).collect();
    rest();
    health.answered();
    drop(silent);
}

#[test]
fn clients_that_come_back_keep_nobody_from_the_health_checks() {
    let served = Served::start(2, 1024);
    let health = Health::start_watch(&served);
    let mut clients: Vec<_> = (0..64).filter_map(|_| served.connect().ok()).collect();
    for _round in 0..4 {
        for client in &mut clients {
            client.write_all(request("/livez").as_bytes()).ok();
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    health.answered();
}

#[test]
fn clients_that_never_read_hold_no_memory() {
    let served = Served::start(1000, 1024);
    let page = get(&served.connect().unwrap(), "/metrics").1.len();
    assert!(page > 5 << 20, "a large page is meant: {page}");
    let before = served.resident_bytes();
    let health = Health::start_watch(&served);
    let mut peak = 0;
    let mut deaf = Vec::new();
    for number in 0..200_u8 {
        // From some forty addresses.
        let client = connect_from([127, 0, 1, number / 5], served.address());
        if let Ok(mut client) = client {
            let path =
                ["/metrics", "/", "/api/v1/terminations?limit=5000"][usize::from(number) % 3];
            client.write_all(request(path).as_bytes()).ok();
            deaf.push(client);
        }
        std::thread::sleep(Duration::from_millis(20));
        peak = peak.max(served.resident_bytes());
    }
    rest();
    peak = peak.max(served.resident_bytes());
    println!("page {page}, resident {before} -> {peak}");
    assert!(peak < before + GROWTH_MAX, "{before} -> {peak}");
    health.answered();
    let (status, text) = get(&served.connect().unwrap(), "/metrics");
    assert_eq!((status, text.len()), (200, page));
}

#[test]
fn a_thousand_clients_and_few_files_keep_nobody_from_the_health_checks() {
    let served = Served::start(2, 64);
    let health = Health::start_watch(&served);
    let clients: Vec<_> = (0..1000_u16)
        .filter_map(|number| {
            let [_, last] = (number / 10).to_be_bytes();
            let mut client = connect_from([127, 0, 2, last], served.address()).ok()?;
            if number.is_multiple_of(2) {
                client.write_all(request("/").as_bytes()).ok();
            }
            Some(client)
        })
        .collect();
    rest();
    assert!(served.open_files() <= 60, "{}", served.open_files());
    health.answered();
    drop(clients);
}

#[test]
fn one_address_takes_no_place_of_another() {
    let served = Served::start(2, 1024);
    let friend = connect_from([127, 0, 3, 1], served.address()).unwrap();
    assert_eq!(get(&friend, "/livez").0, 200);
    let many: Vec<_> = (0..100).filter_map(|_| served.connect().ok()).collect();
    rest();
    // The very same connection still serves.
    assert_eq!(get(&friend, "/livez").0, 200);
    drop(many);
}

#[test]
fn slow_and_huge_heads_are_no_burden() {
    let served = Served::start(2, 1024);
    let before = served.resident_bytes();
    let health = Health::start_watch(&served);
    let mut dripping: Vec<_> = (0..100).filter_map(|_| served.connect().ok()).collect();
    let mut huge: Vec<_> = (0..30_u8)
        .filter_map(|number| connect_from([127, 0, 4, number], served.address()).ok())
        .collect();
    let line = format!("X-Filler: {}\r\n", "x".repeat(8000));
    for round in 0..40_u8 {
        for client in &mut dripping {
            let byte = request("/metrics").as_bytes()[usize::from(round)];
            client.write_all(&[byte]).ok();
        }
        for client in &mut huge {
            client
                .set_write_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            let first = if round == 0 { "GET / HTTP/1.1\r\n" } else { "" };
            client.write_all(format!("{first}{line}").as_bytes()).ok();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = served.resident_bytes();
    assert!(after < before + (16 << 20), "{before} -> {after}");
    health.answered();
}

#[test]
fn by_the_loopback_address_only_names_of_it_are_answered() {
    let served = Served::start(2, 1024);
    let ask = |head: &str| {
        let mut client = served.connect().unwrap();
        client
            .write_all(format!("{head}\r\n\r\n").as_bytes())
            .unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    for path in [
        "/",
        "/metrics",
        "/api/v1/terminations",
        "/page.js",
        "/nowhere",
    ] {
        let answer = ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: attacker.example:8637"
        ));
        assert!(answer.starts_with("HTTP/1.1 421 "), "{path}: {answer}");
        assert!(
            answer.contains("Host: localhost") && !answer.contains("nginx"),
            "{answer}"
        );
    }
    for head in [
        "GET / HTTP/1.1\r\nHost: [::1]:8637",
        "GET / HTTP/1.1\r\nHost: LocalHost:1",
        "GET / HTTP/1.0",
        "GET /livez HTTP/1.1\r\nHost: node-7",
    ] {
        assert!(ask(head).contains(" 200 OK"), "{head}");
    }
}

#[test]
fn no_page_of_another_origin_may_read_anything() {
    let served = Served::start(2, 1024);
    for method in ["GET", "OPTIONS"] {
        for path in ["/", "/metrics", "/api/v1/terminations", "/livez"] {
            let mut client = served.connect().unwrap();
            let head = "Host: localhost\r\nOrigin: http://attacker.example\r\nAccess-Control-Request-Method: GET\r\nConnection: close";
            write!(client, "{method} {path} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(
                !answer.to_lowercase().contains("access-control"),
                "{answer}"
            );
        }
    }
}

#[test]
fn a_head_that_is_too_large_answered() {
    let served = Served::start(2, 1024);
    let mut client = served.connect().unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(60_000)
    );
    client.write_all(head.as_bytes()).ok();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[test]
fn who_closes_one_half_gets_an_answer() {
    let served = Served::start(300, 1024);
    for path in ["/metrics", "/api/v1/terminations", "/", "/livez"] {
        let mut client = served.connect().unwrap();
        client.write_all(request(path).as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert_eq!(body.len(), length, "{path}");
    }
}

#[test]
fn requests_in_a_row_are_answered_in_a_row_and_held_one_at_a_time() {
    let served = Served::start(1000, 1024);
    let mut client = served.connect().unwrap();
    client
        .write_all(request("/livez").repeat(50).as_bytes())
        .unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 50);
    get(&served.connect().unwrap(), "/metrics");
    let before = served.resident_bytes();
    let health = Health::start_watch(&served);
    let mut rows: Vec<_> = (0..40_u8)
        .filter_map(|number| connect_from([127, 0, 5, number], served.address()).ok())
        .collect();
    for client in &mut rows {
        client
            .write_all(request("/metrics").repeat(20).as_bytes())
            .ok();
    }
    // Each reads some of it and stops in the middle.
    for client in &mut rows {
        client
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut some = vec![0; 100_000];
        client.read_exact(&mut some).ok();
    }
    rest();
    let after = served.resident_bytes();
    println!("resident {before} -> {after}");
    assert!(after < before + GROWTH_MAX, "{before} -> {after}");
    health.answered();
}

#[test]
fn a_scrape_is_whole_while_others_never_read() {
    let served = Served::start(300, 1024);
    let deaf: Vec<_> = (0..60_u8)
        .filter_map(|number| {
            let mut client = connect_from([127, 0, 6, number / 8], served.address()).ok()?;
            client.write_all(request("/metrics").as_bytes()).ok()?;
            Some(client)
        })
        .collect();
    let begin = Instant::now();
    let scraper = connect_from([127, 0, 7, 1], served.address()).unwrap();
    let (status, text) = get(&scraper, "/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("gracewatch_start_time_seconds") || text.ends_with('\n'));
    // Prometheus gives up after ten seconds unless told otherwise.
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    drop(deaf);
}
