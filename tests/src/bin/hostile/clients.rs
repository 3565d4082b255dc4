//! Clients that hold what they can of the agent, which answers health checks all the while and takes no more memory.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use gracewatch_tests::rig::attacker::connect_from;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::asked::{program, run_limited};
use crate::cases::Case;
use crate::told::Told;

pub(crate) const ALL: [Case; 7] = [
    Case {
        name: "SilentConnections",
        play: |toolbox| {
            run_crowd(
                toolbox,
                &[],
                &[Crowd {
                    clients: 64,
                    ..SILENT
                }],
            )
        },
    },
    Case {
        name: "ReturningClients",
        play: |toolbox| run_crowd(toolbox, &[], &[RETURNING]),
    },
    Case {
        name: "ThousandConnections",
        play: |toolbox| run_crowd(toolbox, &[], &[SILENT]),
    },
    Case {
        name: "DeafClients",
        play: |toolbox| run_crowd(toolbox, &[], &[DEAF]),
    },
    Case {
        name: "AllClientsWithLowLimit",
        play: |toolbox| {
            run_crowd(
                toolbox,
                &["prlimit", "--nofile=64:1024"],
                &[SILENT, RETURNING, DEAF],
            )
        },
    },
    Case {
        name: "AllClientsWithFewFiles",
        play: |toolbox| {
            let by = [&WITHOUT_RIGHT[..], &["prlimit", "--nofile=128:128"]].concat();
            run_crowd(toolbox, &by, &[SILENT, RETURNING, DEAF])
        },
    },
    Case {
        name: "TooFewFiles",
        play: too_few_files,
    },
];

/// Takes the right to raise a limit away from what it starts.
const WITHOUT_RIGHT: [&str; 2] = ["setpriv", "--bounding-set=-sys_resource"];

/// Clients of one kind.
#[derive(Clone, Copy)]
struct Crowd {
    clients: usize,
    /// What each asks for, if anything.
    asks: &'static [&'static str],
    /// How often, every half second.
    rounds: usize,
}

const SILENT: Crowd = Crowd {
    clients: 1000,
    asks: &[],
    rounds: 1,
};
const RETURNING: Crowd = Crowd {
    clients: 64,
    asks: &["/livez"],
    rounds: 5,
};
const DEAF: Crowd = Crowd {
    clients: 200,
    asks: &["/metrics", "/", "/api/v1/terminations"],
    rounds: 1,
};

/// Between two rounds, and after the last.
const PAUSE: Duration = Duration::from_millis(500);
/// What a health check may take, but for one of twenty, which has to wait for its turn on a busy machine.
const PROMPT: Duration = Duration::from_millis(100);
/// What the kubelet's probes wait for, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much more memory the agent may take: the answers that are being taken, and two that are being made.
const MEMORY_MORE: u64 = 48 << 20;
/// Files that this program may have open beside the clients.
const OWN_FILES: u64 = 256;

/// The agent, started by those words, and all these clients at once.
fn run_crowd(toolbox: &Toolbox, by: &[&str], crowds: &[Crowd]) -> Result<Told> {
    let clients: usize = crowds.iter().map(|one| one.clients).sum();
    allow_files(u64::try_from(clients)? + OWN_FILES)?;
    let command = program(by, &["run", "--no-systemd"])?;
    let log = toolbox.folder().join("clients.agent");
    let agent = Whole::start_command(command, whole::free_port(0)?, &log)?;
    let address: SocketAddrV4 = agent.address().parse()?;
    let before = agent.resident()?;
    let is_over = AtomicBool::new(false);
    let (checks, peak) = scope(|scope| -> Result<_> {
        let asking = scope.spawn(|| check_health(address, &is_over));
        let peak = hold_clients(address, crowds, &agent);
        is_over.store(true, Ordering::Relaxed);
        let Ok(checks) = asking.join() else {
            bail!("who asks for the health panicked");
        };
        Ok((checks, peak?))
    })?;
    let mut told = judge_checks(checks);
    told.expect(peak < before + MEMORY_MORE, || {
        "the agent's memory grew".to_owned()
    });
    let memory = format!(", {} to {} MiB", before >> 20, peak >> 20);
    told.facts.push_str(&memory);
    Ok(told)
}

/// Lets all of them come and stay; the most memory that the agent had.
fn hold_clients(agent: SocketAddrV4, crowds: &[Crowd], whole: &Whole) -> Result<u64> {
    let rounds = crowds.iter().map(|one| one.rounds).max().unwrap_or(0);
    let mut held: Vec<Vec<TcpStream>> = crowds.iter().map(|_crowd| Vec::new()).collect();
    let mut peak = 0;
    for round in 0..rounds.max(4) {
        for (crowd, held) in crowds.iter().zip(&mut held) {
            if round == 0 {
                // A connection that is refused or closed is what the agent may do about it.
                held.extend((0..crowd.clients).filter_map(|number| connect_client(number, agent)));
            }
            for (number, client) in held.iter_mut().enumerate().filter(|_| round < crowd.rounds) {
                if let Some(path) = crowd.asks.get(number % crowd.asks.len().max(1)) {
                    client.write_all(request(path).as_bytes()).ok();
                }
            }
        }
        sleep(PAUSE);
        peak = whole.resident()?.max(peak);
    }
    Ok(peak)
}

/// The client with this number: eight have one address.
fn connect_client(number: usize, agent: SocketAddrV4) -> Option<TcpStream> {
    let [high, low] = u16::try_from(number / 8).ok()?.to_be_bytes();
    let client = connect_from(Ipv4Addr::new(127, 1, high, low.max(1)), agent).ok()?;
    client.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(client)
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// How long each health check took, over a connection of its own each time as the kubelet makes them.
fn check_health(agent: SocketAddrV4, is_over: &AtomicBool) -> Vec<Result<Duration>> {
    let mut checks = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        checks.push(check_livez(agent));
        sleep(Duration::from_millis(10));
    }
    checks
}

fn check_livez(agent: SocketAddrV4) -> Result<Duration> {
    let begin = Instant::now();
    let late = || format!("/livez was not answered for {:?}", begin.elapsed());
    let mut client = connect_from(Ipv4Addr::LOCALHOST, agent).with_context(late)?;
    client.set_read_timeout(Some(PATIENCE * 3))?;
    client
        .write_all(request("/livez").as_bytes())
        .with_context(late)?;
    let mut status = [0; 15];
    client.read_exact(&mut status).with_context(late)?;
    if status != *b"HTTP/1.1 200 OK" {
        bail!("/livez answers {}", String::from_utf8_lossy(&status));
    }
    Ok(begin.elapsed())
}

fn judge_checks(checks: Vec<Result<Duration>>) -> Told {
    let mut told = Told::default();
    let mut took = Vec::new();
    for check in checks {
        match check {
            Ok(one) => took.push(one),
            Err(error) => told.wrong.push(format!("{error:#}")),
        }
    }
    took.sort_unstable();
    let late = took.iter().filter(|took| **took > PROMPT).count();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    let worst = took.last().copied().unwrap_or_default();
    let facts = format!(
        "{} health checks, median {:.1} ms, worst {:.1} ms",
        took.len(),
        median.as_secs_f64() * 1e3,
        worst.as_secs_f64() * 1e3
    );
    told.expect(late * 20 <= took.len() && worst < PATIENCE, || {
        format!("{late} of {facts} took more than {PROMPT:?}")
    });
    Told { facts, ..told }
}

/// Where nobody may raise the limit, the agent says what it needs and how it can be had.
fn too_few_files(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    for files in ["16", "40", "64", "100"] {
        let limit = format!("--nofile={files}:{files}");
        let by = [&WITHOUT_RIGHT[..], &["prlimit", &limit]].concat();
        let command = program(&by, &["run", "--no-systemd", "--listen", "127.0.0.1:0"])?;
        let said = run_limited(toolbox, command, Duration::from_secs(3))?;
        let names = [&format!("open {files} files"), "LimitNOFILE", "ulimit -n"];
        said.judge_refusal(&format!("{files} files"), &names, &mut told);
    }
    "refused at 16, 40, 64 and 100 files".clone_into(&mut told.facts);
    Ok(told)
}

/// Lets this process have so many open.
fn allow_files(needed: u64) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|files| files < needed) {
        limit.current = Some(needed);
        limit.maximum = limit.maximum.map(|files| files.max(needed));
        setrlimit(Resource::Nofile, limit).context("cannot open so many files")?;
    }
    Ok(())
}
