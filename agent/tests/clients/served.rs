//! A process that serves a recording, clients of it, and somebody who asks for its health all the while.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// What a health check may take.
const PROMPT: Duration = Duration::from_millis(100);
/// What the kubelet's probes wait for, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(1);

/// A process that serves; it goes when the test ends.
pub(crate) struct Served {
    process: Child,
    address: SocketAddr,
    journal: PathBuf,
}

impl Served {
    /// One that shows so many terminations of services with long names, and may open so many files.
    pub(crate) fn start(services: usize, files: u32) -> Self {
        let journal = std::env::temp_dir().join(format!(
            "gracewatch-clients-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::write(&journal, journal_of(services)).unwrap();
        let mut process = Command::new("sh")
            .args([
                "-c",
                "ulimit -n $1 && exec $2 replay --serve 127.0.0.1:0 $3",
                "sh",
            ])
            .arg(files.to_string())
            .arg(env!("CARGO_BIN_EXE_gracewatch"))
            .arg(&journal)
            .env("GRACEWATCH_CONFIG", "")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        Self {
            address: address.unwrap().parse().unwrap(),
            process,
            journal,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        connect_from([127, 0, 0, 1], self.address)
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id()))
            .unwrap()
            .count()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_file(&self.journal).ok();
    }
}

/// The journal of one service as that of many, each in a path of some hundred letters.
fn journal_of(services: usize) -> String {
    let mut lines = include_str!("../graceful.jsonl").lines();
    let mut journal = format!("{}\n", lines.next().unwrap());
    let entries: Vec<_> = lines.collect();
    for service in 0..services {
        let path = format!("/system.slice/{}/nginx{service}.service", "x".repeat(240));
        for entry in &entries {
            let entry = entry
                .replace("/system.slice/nginx.service", &path)
                .replace(":500,", &format!(":{},", 1000 + service))
                .replace("\"tgid\":900", &format!("\"tgid\":{}", 100_000 + service))
                .replace("\"at\":1015", "\"at\":1000");
            writeln!(journal, "{entry}").unwrap();
        }
    }
    journal
}

/// A connection from this address of the loopback device.
pub(crate) fn connect_from(from: [u8; 4], to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(from.into(), 0))?;
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Status and body of one answer on a connection that stays open.
pub(crate) fn get(mut stream: &TcpStream, path: &str) -> (u16, String) {
    stream.write_all(request(path).as_bytes()).unwrap();
    answer(stream).unwrap()
}

fn answer(stream: &TcpStream) -> io::Result<(u16, String)> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Asks for the health again and again, over a connection of its own each time as the kubelet does.
pub(crate) struct Health {
    ended: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Result<Duration, String>>>,
}

impl Health {
    pub(crate) fn start_watch(served: &Served) -> Self {
        let address = served.address();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let asking = std::thread::spawn(move || {
            let mut checks = Vec::new();
            while !end.load(Ordering::Relaxed) {
                checks.push(check_health(address));
                std::thread::sleep(Duration::from_millis(10));
            }
            checks
        });
        Self { ended, asking }
    }

    /// Every check was answered: nineteen of twenty promptly, and none so late that a kubelet would give up.
    pub(crate) fn answered(self) {
        self.ended.store(true, Ordering::Relaxed);
        let checks = self.asking.join().unwrap();
        let mut took = Vec::new();
        for check in checks {
            took.push(check.unwrap());
        }
        took.sort();
        let late = took.iter().filter(|took| **took > PROMPT).count();
        assert!(
            late * 20 <= took.len(),
            "{late} of {} were late",
            took.len()
        );
        assert!(*took.last().unwrap() < PATIENCE, "{:?}", took.last());
    }
}

fn check_health(address: SocketAddr) -> Result<Duration, String> {
    let begin = Instant::now();
    let told = |error: io::Error| format!("no answer after {:?}: {error}", begin.elapsed());
    let stream = connect_from([127, 0, 0, 1], address).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE * 3)).map_err(told)?;
    (&stream)
        .write_all(request("/livez").as_bytes())
        .map_err(told)?;
    match answer(&stream).map_err(told)? {
        (200, _) => Ok(begin.elapsed()),
        (status, _) => Err(format!("status {status}")),
    }
}
