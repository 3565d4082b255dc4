//! Plays one case in a real container, and writes down what was really done and when.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, bail};
use gracewatch_tests::rig::cgroup::{Cgroup, Folder};
use gracewatch_tests::rig::clock::{self, Span};
use gracewatch_tests::rig::kubelet::Sender;
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::limit::{Limit, V1Cgroup};
use gracewatch_tests::rig::stage::Via;
use gracewatch_tests::rig::toolbox::{RUNTIME, Toolbox};

use crate::agent::Agents;
use crate::attack::Attacker;
use crate::case::{Behaviour, Case, From, What};
use crate::program;
use crate::stalls::Stalls;

/// Bytes that a container with an eater may have.
const MEMORY: u64 = 48 << 20;
/// How long a program may take to be ready, or to end after SIGKILL.
const SOON: Duration = Duration::from_secs(30);
/// How long a case may last in all.
const CASE_MAX: Duration = Duration::from_mins(1);
/// How long before a signal is due its sender is started, here and on an emulated processor.
pub(crate) const AHEAD: Duration = Duration::from_millis(60);
pub(crate) const AHEAD_SLOW: Duration = Duration::from_millis(600);

/// What all cases share.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) toolbox: Toolbox,
    pub(crate) folder: Folder,
    pub(crate) agents: Agents,
    pub(crate) stalls: Stalls,
    /// How long before a signal is due its sender is started.
    pub(crate) ahead: Duration,
}

/// A signal that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) signal: u32,
    pub(crate) from: From,
    pub(crate) span: Span,
    /// Whether it is the runtime's stop, or the SIGKILL that ends that.
    pub(crate) is_of_stop: bool,
}

/// What was really done.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// The container's cgroup.
    pub(crate) path: String,
    /// Its main process.
    pub(crate) pid: u32,
    /// Just before it was started.
    pub(crate) started_after: Timestamp,
    /// From the log of the program: what, when.
    pub(crate) log: Vec<(Timestamp, String)>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) frozen: Vec<Span>,
    /// What its parent was told.
    pub(crate) status: ExitStatus,
    pub(crate) told_at: Timestamp,
    /// Clients that came: when, and whether they got in and said something, and stayed.
    pub(crate) clients: Vec<(Timestamp, bool)>,
    /// Since when everything of it was gone.
    pub(crate) released_at: Timestamp,
}

impl Played {
    /// When it wrote this to its log, the first time.
    pub(crate) fn first_time(&self, what: &str) -> Option<Timestamp> {
        let mut log = self.log.iter();
        log.find(|(_, line)| line == what).map(|(at, _)| *at)
    }

    /// The times of all such lines.
    pub(crate) fn times_of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = Timestamp> + 'a {
        let such = self.log.iter().filter(move |(_, line)| line == what);
        such.map(|(at, _)| *at)
    }
}

/// Something that is due.
#[derive(Debug)]
struct Due {
    at: Duration,
    deed: Deed,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Send {
        signal: u32,
        from: From,
        is_of_stop: bool,
    },
    Visit {
        for_ms: u64,
    },
    Freeze,
    Thaw,
    Starve,
    Feed,
    Connect {
        says: bool,
    },
}

/// Plays the case as the one with this name.
pub(crate) fn run_case(rig: &Rig, case: &Case, name: &str) -> Result<Played> {
    let suffix = case.known_spec().suffix();
    let attack = |attack| Attacker::start(rig, attack, &format!("{name}-attacker-{suffix}"));
    let attacker = case.attack.map(attack).transpose()?;
    let cgroup = rig.folder.create_cgroup(&format!("{name}-{suffix}"))?;
    let played = Stage::set_up(rig, case, name, &cgroup)?.run_stage();
    drop(attacker);
    // Whatever is left, a failed stage included.
    cgroup.write("cgroup.freeze", "0").ok();
    cgroup.kill_all();
    let removed = cgroup.remove();
    let mut played = played?;
    removed?;
    played.released_at = clock::now();
    Ok(played)
}

/// A container that runs.
struct Stage<'a> {
    rig: &'a Rig,
    case: &'a Case,
    name: &'a str,
    cgroup: &'a Cgroup,
    main: Launched,
    began: Instant,
    plan: Vec<Due>,
    sent: Vec<Sent>,
    frozen: Vec<Span>,
    frozen_since: Option<Timestamp>,
    starving: bool,
    visitors: Vec<Launched>,
    clients: Vec<(Option<TcpStream>, Timestamp, bool)>,
    /// Removed when the stage is dropped.
    _memory: Option<V1Cgroup>,
}

impl<'a> Stage<'a> {
    fn set_up(rig: &'a Rig, case: &'a Case, name: &'a str, cgroup: &'a Cgroup) -> Result<Self> {
        let log = rig.toolbox.log(name);
        let mut launch = Launch::new(
            cgroup,
            command_line(&rig.toolbox, log.path(), &case.program)?,
        );
        if case.shares_pids {
            launch = launch.sharing_pids();
        }
        let memory = if has_eater(&case.program) {
            Limit::memory(MEMORY).apply_to(&rig.folder, cgroup, &format!("fuzz-{name}"))?
        } else {
            None
        };
        let main = launch.and_v1(&memory).start(&rig.toolbox)?;
        log.wait_for(program::READY, SOON)?;
        Ok(Self {
            rig,
            case,
            name,
            cgroup,
            main,
            began: Instant::now(),
            plan: plan_case(case),
            sent: Vec::new(),
            frozen: Vec::new(),
            frozen_since: None,
            starving: false,
            visitors: Vec::new(),
            clients: Vec::new(),
            _memory: memory,
        })
    }

    fn run_stage(mut self) -> Result<Played> {
        let ended = self.act_until_the_end();
        if self.starving {
            self.rig.agents.end_starvation();
        }
        let ended = ended?;
        let log = self.rig.toolbox.log(self.name);
        let text = std::fs::read_to_string(log.path()).context("the log is gone")?;
        let line = |line: &str| {
            let (at, what) = line.split_once(' ')?;
            Some((Timestamp(at.parse().ok()?), what.to_owned()))
        };
        if let Some(since) = self.frozen_since {
            self.frozen.push(Span {
                before: since,
                after: clock::now(),
            });
        }
        Ok(Played {
            path: self.cgroup.path().to_owned(),
            pid: self.main.pid(),
            started_after: self.main.started_after(),
            log: text.lines().filter_map(line).collect(),
            sent: self.sent,
            frozen: self.frozen,
            status: ended.status,
            told_at: ended.told_at,
            clients: self
                .clients
                .iter()
                .map(|(_, at, says)| (*at, *says))
                .collect(),
            released_at: clock::now(),
        })
    }

    fn act_until_the_end(&mut self) -> Result<gracewatch_tests::rig::launch::Ended> {
        self.plan.sort_by_key(|due| std::cmp::Reverse(due.at));
        while let Some(due) = self.plan.pop() {
            let sender = match due.deed {
                Deed::Send {
                    signal,
                    from: from @ (From::Runtime | From::Person),
                    ..
                } => {
                    let early = due.at.saturating_sub(self.rig.ahead);
                    if let Some(ended) = self.wait_until(early)? {
                        return Ok(ended);
                    }
                    Some(self.sender(signal, from)?)
                }
                Deed::Send { .. }
                | Deed::Visit { .. }
                | Deed::Freeze
                | Deed::Thaw
                | Deed::Starve
                | Deed::Feed
                | Deed::Connect { .. } => None,
            };
            if let Some(ended) = self.wait_until(due.at)? {
                return Ok(ended);
            }
            self.carry_out(due.deed, sender)?;
        }
        match self
            .main
            .wait_at_most(CASE_MAX.saturating_sub(self.began.elapsed()))?
        {
            Some(ended) => Ok(ended),
            None => bail!("it does not end; its case must end it"),
        }
    }

    fn wait_until(&mut self, at: Duration) -> Result<Option<gracewatch_tests::rig::launch::Ended>> {
        self.main
            .wait_at_most(at.saturating_sub(self.began.elapsed()))
    }

    fn sender(&self, signal: u32, from: From) -> Result<Sender> {
        let name = if from == From::Runtime {
            RUNTIME
        } else {
            "send"
        };
        let program = self.rig.toolbox.program(name);
        let signal = Signal::try_from(signal)?;
        Sender::start(&program, self.main.pid(), signal, (Via::Pidfd, 1))
    }

    fn carry_out(&mut self, deed: Deed, sender: Option<Sender>) -> Result<()> {
        match (deed, sender) {
            (
                Deed::Send {
                    signal,
                    from,
                    is_of_stop,
                },
                Some(sender),
            ) => {
                // One that comes too late finds nobody.
                if let Ok(span) = sender.send_now() {
                    self.record_sent(signal, from, span, is_of_stop);
                }
                if is_of_stop && signal != 9 {
                    self.begin_grace();
                }
            }
            (Deed::Send { signal, from, .. }, None) => self.send_from_inside(signal, from)?,
            (Deed::Visit { for_ms }, _) => {
                let seconds = Duration::from_millis(for_ms).as_secs_f64().to_string();
                let sleep = self.rig.toolbox.program("sleep");
                self.start_visitor(vec![sleep.display().to_string(), seconds])?;
            }
            (Deed::Freeze, _) => {
                self.frozen_since = Some(clock::now());
                self.cgroup.write("cgroup.freeze", "1")?;
            }
            (Deed::Thaw, _) => {
                self.cgroup.write("cgroup.freeze", "0")?;
                if let Some(before) = self.frozen_since.take() {
                    let after = clock::now();
                    self.frozen.push(Span { before, after });
                }
            }
            (Deed::Starve, _) => {
                self.rig.agents.starve();
                self.starving = true;
            }
            (Deed::Feed, _) => {
                self.rig.agents.end_starvation();
                self.starving = false;
            }
            (Deed::Connect { says }, _) => self.connect(says)?,
        }
        Ok(())
    }

    /// The grace period counts from when the stop signal was really sent.
    fn begin_grace(&mut self) {
        let ends_at = self.began.elapsed() + Duration::from_secs(self.case.grace);
        for due in &mut self.plan {
            if let Deed::Send {
                signal: 9,
                is_of_stop: true,
                ..
            } = due.deed
            {
                due.at = ends_at;
            }
        }
        self.plan.sort_by_key(|due| std::cmp::Reverse(due.at));
    }

    fn record_sent(&mut self, signal: u32, from: From, span: Span, is_of_stop: bool) {
        self.sent.push(Sent {
            signal,
            from,
            span,
            is_of_stop,
        });
    }

    fn start_visitor(&mut self, argv: Vec<String>) -> Result<()> {
        let launch = Launch::new(self.cgroup, argv);
        let launch = if self.case.shares_pids {
            launch.sharing_pids()
        } else {
            launch.joining(self.main.pid())
        };
        // Who enters a container that is just ending fails.
        match launch.start(&self.rig.toolbox) {
            Ok(visitor) => self.visitors.push(visitor),
            Err(error)
                if self
                    .main
                    .wait_at_most(Duration::from_millis(500))?
                    .is_none() =>
            {
                return Err(error);
            }
            Err(_ended) => {}
        }
        Ok(())
    }

    fn send_from_inside(&mut self, signal: u32, from: From) -> Result<()> {
        if self.frozen_since.is_some() {
            // Whoever enters is frozen, too.
            return Ok(());
        }
        let main = if self.case.shares_pids {
            self.main.pid()
        } else {
            1
        };
        let log = self
            .rig
            .toolbox
            .log(&format!("{}-visitor{}", self.name, self.visitors.len()));
        let before = clock::now();
        let mut argv = vec![self.rig.toolbox.program("actor").display().to_string()];
        argv.extend(["--log".to_owned(), log.path().display().to_string()]);
        argv.extend(["kills".to_owned(), main.to_string()]);
        argv.extend([signal.to_string(), "1".to_owned()]);
        self.start_visitor(argv)?;
        if let Some(visitor) = self.visitors.last_mut() {
            visitor.wait_at_most(SOON)?;
        }
        let span = Span {
            before,
            after: clock::now(),
        };
        self.record_sent(signal, from, span, false);
        Ok(())
    }

    fn connect(&mut self, says: bool) -> Result<()> {
        let text = std::fs::read_to_string(self.rig.toolbox.log(self.name).path())?;
        let port = text.lines().rev().find_map(|line| {
            let (_, port) = line.rsplit_once("port ")?;
            port.parse::<u16>().ok()
        });
        let Some(port) = port else {
            return Ok(());
        };
        // It may be ending, or have become another program.
        let mut client = TcpStream::connect(("127.0.0.1", port)).ok();
        let said = client.as_mut().filter(|_client| says);
        let said = said.is_some_and(|client| client.write_all(b"GET / HTTP/1.1\r\n\r\n").is_ok());
        self.clients.push((client, clock::now(), said));
        Ok(())
    }
}

/// Everything that is due, with what follows from it.
fn plan_case(case: &Case) -> Vec<Due> {
    let mut plan = Vec::new();
    for act in &case.acts {
        let at = Duration::from_millis(act.at_ms);
        let mut add = |at, deed| plan.push(Due { at, deed });
        let after = |ms: u64| at + Duration::from_millis(ms);
        match act.what {
            What::Stop { signal } => {
                let send = |signal| Deed::Send {
                    signal,
                    from: From::Runtime,
                    is_of_stop: true,
                };
                add(at, send(signal));
                add(at + Duration::from_secs(case.grace), send(9));
            }
            What::Signal { signal, from } => add(
                at,
                Deed::Send {
                    signal,
                    from,
                    is_of_stop: false,
                },
            ),
            What::Visit { for_ms } => add(at, Deed::Visit { for_ms }),
            What::Freeze { for_ms } => {
                add(at, Deed::Freeze);
                add(after(for_ms), Deed::Thaw);
            }
            What::Pause { for_ms } => {
                let send = |signal| Deed::Send {
                    signal,
                    from: From::Person,
                    is_of_stop: false,
                };
                add(at, send(19));
                add(after(for_ms), send(18));
            }
            What::Starve { for_ms } => {
                add(at, Deed::Starve);
                add(after(for_ms), Deed::Feed);
            }
            What::Connect { says } => add(at, Deed::Connect { says }),
        }
    }
    plan
}

/// The command line of the program. Signals are set to be ignored by a shell, since nothing else may.
fn command_line(toolbox: &Toolbox, log: &Path, behaviour: &Behaviour) -> Result<Vec<String>> {
    let mut argv = Vec::new();
    if !behaviour.ignores.is_empty() {
        let numbers: Vec<_> = behaviour.ignores.iter().map(u32::to_string).collect();
        argv.extend(["/bin/sh".to_owned(), "-c".to_owned()]);
        argv.push(format!("trap '' {}; exec \"$0\" \"$@\"", numbers.join(" ")));
    }
    argv.push(toolbox.program(program::NAME).display().to_string());
    argv.extend(["--log".to_owned(), log.display().to_string()]);
    argv.push(serde_json::to_string(behaviour)?);
    Ok(argv)
}

fn has_eater(behaviour: &Behaviour) -> bool {
    let later = behaviour.execs.as_ref();
    behaviour.eats.is_some() || later.is_some_and(|exec| has_eater(&exec.then))
}
