//! `attacker`: attacks the agent from inside of a container until it is killed. Once it is under way it says so, so that an
//! attack that does nothing is noticed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::rig::toolbox::{Log, Toolbox};

/// The name under which this program is the attacker.
pub const NAME: &str = "attacker";
/// What the attacker writes once it is under way.
pub const UNDER_WAY: &str = "under way";
/// After how many steps an attack is under way.
const STEPS: u64 = 200;
/// How long after a shorter attack its end is waited for.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a child may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// What the attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// It does nothing: the check of the checks.
    Nothing,
    /// Its processes send SIGKILL to their own PID 1, which the kernel throws away.
    VoidKills,
    /// The same with SIGTERM, which has no handler.
    VoidTerms,
    /// It makes and removes a cgroup in its own.
    CgroupChurn,
    /// The same in a cgroup that is no container's.
    OutsideChurn,
    /// It makes and removes a cgroup with the name of a container in its own.
    ContainerChurn,
    /// It makes and removes a cgroup with the name of a container in a cgroup that is no container's.
    OutsideContainerChurn,
    /// It moves a process from one cgroup that looks like a container's to another and back.
    Moves,
    /// It sends signals to a process in a cgroup that looks like a container's.
    InnerSignals,
    /// It sends signals to a process in a cgroup that looks like a container's, from a cgroup that is no container's.
    OutsideSignals,
    /// It starts processes in a cgroup that looks like a container's.
    InnerExecs,
    /// It makes as many cgroups as it can.
    ManyCgroups,
    /// The same with names of containers.
    ManyContainers,
    /// The same in a cgroup that is no container's.
    OutsideManyContainers,
    /// It makes and removes a cgroup with the name of a container inside of one for which there was no room any more.
    ChurnBeyondShare,
    /// It makes as many cgroups as it can in one that looks like a container's, and of which no record found room.
    LateContainer,
    /// It keeps processes in a cgroup that looks like a container's, as many as it can.
    ManyProcesses,
    /// It starts processes with a network namespace of their own in a cgroup that looks like a container's.
    Networks,
    /// It forks, executes and exits.
    Execs,
    /// It connects to itself and resets the connections.
    Resets,
    /// It listens on one port after the other.
    Listeners,
    /// It connects to the agent and says nothing, as often as it can.
    SilentClients,
    /// It asks the agent for pages, as often as it can, and never reads them.
    NeverReads,
}

/// Connections to the agent that the attacks hold, and the addresses that they come from: fewer than there are places, since
/// more addresses than places take the places of everybody who has several.
const CLIENTS: usize = 1000;
const ADDRESSES: u64 = 8;

/// Cgroups that are made by the attacks that make many, and those with the name of a container.
const CGROUPS: u64 = 18_000;
const CONTAINERS: u64 = 4500;

/// What the attacker is told.
#[derive(Debug, Parser)]
struct Args {
    #[arg(value_enum)]
    attack: Attack,
    /// The directory of its own cgroup.
    cgroup: PathBuf,
    log: PathBuf,
    /// Where the agent answers.
    agent: String,
    /// Milliseconds of rest after each 100 steps.
    rest: u64,
}

impl Attack {
    /// Whether it is made from a cgroup that is no container's.
    #[must_use]
    pub const fn is_from_outside(self) -> bool {
        matches!(
            self,
            Self::OutsideChurn
                | Self::OutsideContainerChurn
                | Self::OutsideSignals
                | Self::OutsideManyContainers
        )
    }

    /// Those that can run beside many other containers: they need no time to be set up, and leave little behind.
    pub const LIGHT: [Self; 8] = [
        Self::VoidKills,
        Self::VoidTerms,
        Self::CgroupChurn,
        Self::ContainerChurn,
        Self::Moves,
        Self::InnerSignals,
        Self::InnerExecs,
        Self::Execs,
    ];
}

/// How an attack is made.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// What it does.
    pub attack: Attack,
    /// Where the agent answers.
    pub agent: &'a str,
    /// After each 100 steps it rests so long.
    pub rest: Duration,
}

/// The attacker's command line. `cgroup`: its own cgroup's directory.
pub fn command_line(toolbox: &Toolbox, plan: Plan<'_>, cgroup: &Path, log: &Log) -> Vec<OsString> {
    let attack = plan.attack.to_possible_value();
    let name = attack.map_or_else(OsString::new, |name| name.get_name().into());
    let rest = plan.rest.as_millis().to_string();
    vec![
        toolbox.program(NAME).into(),
        name,
        cgroup.into(),
        log.path().into(),
        plan.agent.into(),
        rest.into(),
    ]
}

/// Counts the steps of an attack.
struct Steps {
    log: Log,
    count: u64,
    rest: Duration,
}

impl Steps {
    fn count_step(&mut self) -> Result<()> {
        self.count += 1;
        if self.count == STEPS {
            self.log.write(UNDER_WAY)?;
        }
        if self.count.is_multiple_of(100) {
            sleep(self.rest);
        }
        Ok(())
    }

    fn forever(&mut self, mut act: impl FnMut(u64) -> Result<()>) -> Result<()> {
        loop {
            act(self.count)?;
            self.count_step()?;
        }
    }
}

/// The attacker: goes on until it is killed.
pub(crate) fn attacker(args: Vec<OsString>) -> Result<ExitCode> {
    let Args {
        attack,
        cgroup,
        log,
        agent,
        rest,
    } = Args::parse_from(args);
    let mut steps = Steps {
        log: Log::from_path(log),
        count: 0,
        rest: Duration::from_millis(rest),
    };
    run_attack(attack, &mut steps, &cgroup, &agent)?;
    Ok(ExitCode::SUCCESS)
}

fn run_attack(attack: Attack, steps: &mut Steps, cgroup: &Path, agent: &str) -> Result<()> {
    match attack {
        Attack::Nothing => steps.forever(|_| {
            sleep(PAUSE / 10);
            Ok(())
        }),
        Attack::VoidKills => signals_itself(steps, Signal::KILL),
        Attack::VoidTerms => signals_itself(steps, Signal::TERM),
        Attack::CgroupChurn | Attack::OutsideChurn => {
            churn_cgroups(steps, cgroup, |step| format!("worker-{step}"))
        }
        Attack::ContainerChurn | Attack::OutsideContainerChurn => {
            churn_cgroups(steps, cgroup, container)
        }
        Attack::Moves => move_back_and_forth(steps, cgroup),
        Attack::InnerSignals | Attack::OutsideSignals => inner_signals(steps, cgroup),
        Attack::InnerExecs => inner_execs(steps, cgroup),
        Attack::ManyCgroups => make_many(steps, cgroup, CGROUPS, |step| format!("worker-{step}")),
        Attack::ManyContainers | Attack::OutsideManyContainers => {
            make_many(steps, cgroup, CONTAINERS, container)
        }
        Attack::ChurnBeyondShare => churn_beyond_share(steps, cgroup),
        Attack::LateContainer => late_container(steps, cgroup),
        Attack::ManyProcesses => many_processes(steps, cgroup),
        Attack::Networks => networks(steps, cgroup),
        Attack::Execs => steps.forever(|_| run("true", &[])),
        Attack::Resets => resets(steps),
        Attack::Listeners => listens(steps),
        Attack::SilentClients => clients(steps, agent, b""),
        Attack::NeverReads => clients(
            steps,
            agent,
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
    }
}

/// A name as a runtime gives to the cgroup of a container.
fn container(number: u64) -> String {
    format!("docker-{number:064x}.scope")
}

/// A child of PID 1 sends it signals that the kernel throws away. PID 1 has to have children that do, so this process starts
/// itself again.
fn signals_itself(steps: &mut Steps, signal: Signal) -> Result<()> {
    const AGAIN: &str = "GRACEWATCH_ATTACKS_ITS_PARENT";
    if std::env::var_os(AGAIN).is_none() {
        let mut child = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(AGAIN, "1")
            .arg0(NAME)
            .spawn()?;
        let status = child.wait()?;
        bail!("the child ended: {status}");
    }
    let init = Pid::INIT;
    steps.forever(|_| kill_process(init, signal).context("cannot signal PID 1"))
}

fn churn_cgroups(steps: &mut Steps, cgroup: &Path, name: impl Fn(u64) -> String) -> Result<()> {
    steps.forever(|step| {
        let inner = cgroup.join(name(step));
        fs::create_dir(&inner)?;
        fs::remove_dir(&inner)?;
        Ok(())
    })
}

fn move_back_and_forth(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    let cgroups = [cgroup.join(container(1)), cgroup.join(container(2))];
    for inner in &cgroups {
        fs::create_dir(inner)?;
    }
    let child = sleeper()?;
    steps.forever(|step| {
        let [one, other] = &cgroups;
        let inner = if step % 2 == 0 { one } else { other };
        fs::write(inner.join("cgroup.procs"), child.to_string())?;
        Ok(())
    })
}

fn inner_signals(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    let inner = cgroup.join(container(1));
    fs::create_dir(&inner)?;
    let own = std::env::args_os().next().context("no name")?;
    let app = PathBuf::from(own).with_file_name("app");
    let log = steps.log.path().with_extension("target");
    let child = Command::new(app)
        .arg("--log")
        .arg(&log)
        .args(["--on-stop", "never"])
        .spawn()?;
    Log::from_path(log).wait_for("ready", READY_LIMIT)?;
    fs::write(inner.join("cgroup.procs"), child.id().to_string())?;
    let child = Pid::from_child(&child);
    steps.forever(|_| kill_process(child, Signal::TERM).context("cannot signal the child"))
}

fn inner_execs(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    let inner = cgroup.join(container(1));
    fs::create_dir(&inner)?;
    let procs = inner.join("cgroup.procs");
    let script = format!("echo 0 >{} && exec true", procs.display());
    steps.forever(|_| run("sh", &["-c", &script]))
}

/// More than an outermost container's share of the processes that are watched.
const PROCESSES: u64 = 4300;

fn many_processes(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    let inner = cgroup.join(container(1));
    fs::create_dir(&inner)?;
    let procs = inner.join("cgroup.procs");
    // A shell forks faster than a program that executes another one for each.
    let script = format!(
        "i=0; while [ $i -lt {PROCESSES} ]; do (echo 0 >{}; exec sleep 3600) & i=$((i+1)); done; wait",
        procs.display()
    );
    let _shell = Command::new("sh").args(["-c", &script]).spawn()?;
    loop {
        let inside = fs::read_to_string(&procs)?.lines().count();
        if u64::try_from(inside)? + STEPS >= PROCESSES {
            break;
        }
        sleep(PAUSE * 10);
    }
    steps.forever(|_| {
        sleep(PAUSE / 10);
        Ok(())
    })
}

fn networks(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    let inner = cgroup.join(container(1));
    fs::create_dir(&inner)?;
    let procs = inner.join("cgroup.procs");
    let script = format!("echo 0 >{} && exec true", procs.display());
    steps.forever(|_| run("unshare", &["--net", "sh", "-c", &script]))
}

/// Makes them, and keeps them.
fn make_many(
    steps: &mut Steps,
    cgroup: &Path,
    count: u64,
    name: impl Fn(u64) -> String,
) -> Result<()> {
    for number in 0..count {
        fs::create_dir(cgroup.join(name(number)))?;
        if number + STEPS + 1 >= count {
            steps.count_step()?;
        }
    }
    steps.forever(|_| {
        sleep(PAUSE);
        Ok(())
    })
}

/// More cgroups than an outermost container's share of those that are tracked, and of records.
const BEYOND_SHARE: u64 = 2200;

fn churn_beyond_share(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    for number in 0..BEYOND_SHARE {
        fs::create_dir(cgroup.join(format!("worker-{number}")))?;
    }
    let last = cgroup.join(format!("worker-{}", BEYOND_SHARE - 1));
    // Where containers are expected, so that it may be told of these as well.
    let inner = last.join("k8s.io");
    fs::create_dir(&inner)?;
    let folders = [last, inner];
    steps.forever(|step| {
        for folder in &folders {
            let made = folder.join(container(step));
            fs::create_dir(&made)?;
            fs::remove_dir(&made)?;
        }
        Ok(())
    })
}

fn late_container(steps: &mut Steps, cgroup: &Path) -> Result<()> {
    for number in 0..BEYOND_SHARE {
        fs::create_dir(cgroup.join(format!("worker-{number}")))?;
    }
    let late = cgroup.join(container(1));
    fs::create_dir(&late)?;
    make_many(steps, &late, CGROUPS, |step| format!("worker-{step}"))
}

fn resets(steps: &mut Steps) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    steps.forever(|_| {
        let client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        rustix::net::sockopt::set_socket_linger(&server, Some(Duration::ZERO))?;
        drop(server);
        drop(client);
        Ok(())
    })
}

fn listens(steps: &mut Steps) -> Result<()> {
    steps.forever(|_| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        drop(listener);
        Ok(())
    })
}

/// Connects from many addresses, says this, and holds the newest connections.
fn clients(steps: &mut Steps, agent: &str, says: &[u8]) -> Result<()> {
    let agent: SocketAddrV4 = agent.parse().context("not an address")?;
    let mut held = VecDeque::new();
    steps.forever(|step| {
        let own = Ipv4Addr::new(127, 0, 1, u8::try_from(step % ADDRESSES)? + 1);
        // A connection that is refused or closed is what the agent may do about it.
        if let Ok(mut client) = connect_from(own, agent) {
            client.write_all(says).ok();
            held.push_back(client);
        }
        if held.len() > CLIENTS {
            held.pop_front();
        }
        Ok(())
    })
}

/// A connection to the agent from this address of the loopback device.
pub fn connect_from(own: Ipv4Addr, agent: SocketAddrV4) -> Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(own, 0))?;
    rustix::net::connect(&socket, &agent)?;
    Ok(TcpStream::from(socket))
}

/// A child that does nothing.
fn sleeper() -> Result<u32> {
    let child = Command::new("sleep").arg("3600").spawn()?;
    Ok(child.id())
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(())
}
