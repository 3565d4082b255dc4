//! What answers, or does not, at an address: real sockets, a sentence for each.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use super::*;

/// A server for one connection, which reads a request and answers these bytes.
fn server(answer: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (mut stream, _peer) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /api/v1/terminations?"));
        stream.write_all(answer).unwrap();
    });
    (address, thread)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn client(address: &str) -> Client {
    Client::new(address.parse().unwrap())
}

fn get_answer(address: &str) -> Result<Answer, ClientError> {
    runtime().block_on(client(address).terminations(0))
}

/// The sentence, which names the address.
fn refusal(answer: &'static [u8]) -> (String, bool) {
    let (address, thread) = server(answer);
    let error = get_answer(&address.to_string()).unwrap_err();
    thread.join().unwrap();
    let sentence = error.to_string();
    assert!(
        sentence.contains(&format!("http://{address}")),
        "{sentence}"
    );
    assert!(!sentence.contains('\n'), "{sentence}");
    (sentence, error.may_pass())
}

macro_rules! http {
    ($status:literal, $body:literal) => {
        concat!("HTTP/1.1 ", $status, "\r\nConnection: close\r\n\r\n", $body).as_bytes()
    };
}

#[test]
fn an_agent_is_understood_also_where_it_tells_more() {
    let (address, thread) = server(http!(
        "200 OK",
        r#"{"version":1,"agent":{"version":"9.9.9","started_at":5,"mood":"good"},"clock":{"now":7,"wall_at_boot":8},
        "finished_total":3,"open":[],"finished":[{"id":1}],"more":{}}"#
    ));
    let answer = get_answer(&address.to_string()).unwrap();
    thread.join().unwrap();
    assert_eq!(
        (answer.version.as_str(), answer.finished_total),
        ("9.9.9", 3)
    );
    assert_eq!((answer.finished.len(), answer.unread), (0, 1));
    let sentence = answer.unread_sentence(&"node:1".parse().unwrap()).unwrap();
    assert!(
        sentence.contains("http://node:1") && sentence.contains("missing field"),
        "{sentence}"
    );
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get_answer(&address.to_string()).unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains(&format!("nobody listens at http://{address}")),
        "{sentence}"
    );
    assert!(sentence.contains("gracewatch run") && error.may_pass());
}

#[test]
fn there_is_no_such_host() {
    let error = get_answer("no-such-host.invalid:1").unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("http://no-such-host.invalid:1 cannot be reached"),
        "{sentence}"
    );
}

#[test]
fn another_server_is_no_agent() {
    let (sentence, may_pass) = refusal(http!("404 Not Found", "nothing here"));
    assert!(sentence.contains("no Gracewatch agent") && sentence.contains("404") && !may_pass);
    let (sentence, may_pass) = refusal(http!("200 OK", "<html>hello</html>"));
    assert!(sentence.contains("no JSON") && !may_pass, "{sentence}");
    let (sentence, _) = refusal(http!("200 OK", r#"{"items":[]}"#));
    assert!(sentence.contains("no terminations"), "{sentence}");
    let (sentence, may_pass) = refusal(http!("503 Service Unavailable", ""));
    assert!(sentence.contains("503") && may_pass, "{sentence}");
}

#[test]
fn tls_at_a_plain_address() {
    // A fatal alert, as a TLS server answers what is no handshake.
    let (sentence, may_pass) = refusal(b"\x15\x03\x03\x00\x02\x02\x16");
    assert!(
        sentence.contains("does not speak plain HTTP") && sentence.contains("TLS"),
        "{sentence}"
    );
    assert!(!may_pass);
}

#[test]
fn an_answer_that_is_cut_off() {
    let (sentence, may_pass) = refusal(b"");
    assert!(
        sentence.contains("closed the connection") && may_pass,
        "{sentence}"
    );
    let (sentence, _) = refusal(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    assert!(sentence.contains("closed the connection"), "{sentence}");
}

#[test]
fn agents_of_other_versions() {
    let (sentence, may_pass) = refusal(http!(
        "200 OK",
        r#"{"clock":{"now":7,"wall_at_boot":8},"open":[],"finished":[]}"#
    ));
    assert!(
        sentence.contains("is older than this gracewatch") && !may_pass,
        "{sentence}"
    );
    let (sentence, may_pass) = refusal(http!(
        "200 OK",
        r#"{"version":2,"agent":{"version":"7.0.0"},"open":[],"finished":[]}"#
    ));
    assert!(
        sentence.contains("7.0.0") && sentence.contains("form 2") && !may_pass,
        "{sentence}"
    );
}
