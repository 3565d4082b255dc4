//! A row's container, and its steps carried out one after the other.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gracewatch_tests::rig::cgroup::{Cgroup, Folder};
use gracewatch_tests::rig::kubelet::Sender;
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::limit::{Limit, V1Cgroup};
use gracewatch_tests::rig::root::Root;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::ready::{self, Ready};
use crate::row::{Pids, Place, Row};
use crate::step::{Act, Effort, Send, Step};
use crate::watcher::Watcher;

/// How long a program may take to be ready.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How long the agent may take to watch a container.
const WATCHED_LIMIT: Duration = Duration::from_secs(15);
/// A signal to a younger program may have come before its handlers: a finding of its own, which only some rows are about.
const START_UP: Duration = Duration::from_millis(1300);
/// How long anything may take that should be immediate.
const SOON: Duration = Duration::from_secs(20);

/// Forks; the child enters the cgroups, forks or takes memory, and calls exec.
const ENTER_IN_VAIN: &str = r#"
my ($files, $forks, $mebibytes, @hook) = @ARGV;
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    for (split / /, $files) { open my $file, ">", $_ or die "$_: $!"; print $file "0"; close $file or die "$_: $!" }
    if ($forks) { my $child = fork // exit 1; exit 0 if $child == 0; waitpid $child, 0 }
    if ($mebibytes) { open my $score, ">", "/proc/self/oom_score_adj" or die "$!"; print $score "1000"; close $score }
    my $held = "x" x ($mebibytes << 20);
    exec { $hook[0] } @hook or exit 127;
}
waitpid $pid, 0;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
"#;

/// What all containers are made with.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) folder: Folder,
    pub(crate) toolbox: Toolbox,
    /// The tree that is their root.
    pub(crate) programs: PathBuf,
}

/// A container on which steps are carried out.
pub(crate) struct Container<'a> {
    rig: &'a Rig,
    row: &'a Row,
    watcher: &'a Watcher<'a>,
    pub(crate) cgroup: Cgroup,
    main: Launched,
    hook: Option<Launched>,
    others: Vec<Launched>,
    clients: Vec<Child>,
    limits: Vec<V1Cgroup>,
    /// When the step before was done.
    before: Instant,
}

/// Where runtimes and systemd put theirs; it is there before the agent starts, as on a machine.
pub(crate) const SLICE: &str = "_nested/system.slice";

/// The path of a row's cgroup below the folder.
pub(crate) fn cgroup_path(row: &Row) -> String {
    let name = &row.name;
    match row.place {
        Place::Glob => name.clone(),
        Place::Docker => {
            // An id of 64 digits, a different one for each name.
            let sum = name.bytes().fold(7_u64, |sum, byte| {
                sum.wrapping_mul(1_099_511_628_211)
                    .wrapping_add(byte.into())
            });
            format!("{SLICE}/docker-{}.scope", format!("{sum:016x}").repeat(4))
        }
        Place::Service => format!("{SLICE}/{name}.service"),
    }
}

impl<'a> Container<'a> {
    /// Makes it and starts its program.
    pub(crate) fn start(rig: &'a Rig, row: &'a Row, watcher: &'a Watcher<'a>) -> Result<Self> {
        let cgroup = rig.folder.create_cgroup(&cgroup_path(row))?;
        let limits = apply_limits(rig, row, &cgroup)?;
        let mut launch = Launch::new(&cgroup, row.runs.clone())
            .with_root(container_root(rig, row)?)
            .printing_to(rig.toolbox.log(&row.name).path().to_owned());
        if row.pids == Pids::Machine {
            launch = launch.sharing_pids();
        }
        let main = launch.and_v1(&limits).start(&rig.toolbox)?;
        Ok(Self {
            rig,
            row,
            watcher,
            cgroup,
            main,
            hook: None,
            others: Vec::new(),
            clients: Vec::new(),
            limits,
            before: Instant::now(),
        })
    }

    /// Carries a step out.
    pub(crate) fn run_step(&mut self, step: &Step) -> Result<()> {
        match &step.act {
            // Whoever sends is there before its time comes.
            Act::Send(send) => {
                let sender = self.sender(send)?;
                self.wait_turn(step);
                // A runtime starts its timer when the signal is sent.
                let sent = send_signal(sender, send);
                self.before = Instant::now();
                sent
            }
            Act::Ready
            | Act::Watched
            | Act::WaitExit(_)
            | Act::WaitHook(_)
            | Act::WaitFor(_)
            | Act::Pause
            | Act::Stop(..)
            | Act::Exec(_)
            | Act::Start(_)
            | Act::Execs(..)
            | Act::Hook
            | Act::HookFails(_)
            | Act::Client(_)
            | Act::Enter(_)
            | Act::Freeze(_)
            | Act::KillCgroup
            | Act::AgentStops(_)
            | Act::ParentsStop(_) => {
                self.wait_turn(step);
                self.before = Instant::now();
                self.act_now(&step.act)
            }
        }
    }

    fn wait_turn(&self, step: &Step) {
        if let Some(after) = step.after {
            sleep(after.saturating_sub(self.before.elapsed()));
        }
    }

    fn act_now(&mut self, act: &Act) -> Result<()> {
        match act {
            Act::Ready => self.wait_ready()?,
            Act::Watched => self.wait_watched()?,
            Act::WaitExit(limit) => drop(self.main.wait_end(*limit)?),
            Act::WaitHook(limit) => {
                let hook = self.hook.as_mut().context("there is no hook")?;
                hook.wait_end(*limit)?;
            }
            Act::WaitFor(condition) => {
                let condition: Ready = condition.parse()?;
                condition.wait_until_ready(self.main.pid(), &self.cgroup, SOON)?;
            }
            Act::Pause => return Ok(()),
            Act::Send(send) => send_signal(self.sender(send)?, send)?,
            Act::Stop(grace, signal) => return self.stop(*grace, *signal),
            Act::Exec(words) => drop(self.exec_inside(words, "exec")?.wait_end(SOON)?),
            Act::Start(words) => {
                let started = self.exec_inside(words, "exec")?;
                self.others.push(started);
            }
            Act::Execs(count, words) => {
                for _ in 0..*count {
                    let started = self.exec_inside(words, "exec")?;
                    self.others.push(started);
                }
            }
            Act::Hook => self.hook = Some(self.exec_inside(&self.row.hook, "hook")?),
            Act::HookFails(effort) => self.fail_to_enter(*effort)?,
            Act::Client(words) => self.client(words)?,
            Act::Enter(words) => self.begin_again(words)?,
            Act::Freeze(freeze) => self
                .cgroup
                .write("cgroup.freeze", if *freeze { "1" } else { "0" })?,
            Act::KillCgroup => self.cgroup.write("cgroup.kill", "1")?,
            Act::AgentStops(stop) => self.watcher.pause_agent(*stop)?,
            Act::ParentsStop(stop) => {
                for entered in self.others.iter().chain(&self.hook) {
                    if *stop {
                        entered.stop_parent()?;
                    } else {
                        entered.continue_parent()?;
                    }
                }
            }
        }
        if !matches!(
            act,
            Act::Hook | Act::Start(_) | Act::Execs(..) | Act::Freeze(_)
        ) {
            self.before = Instant::now();
        }
        Ok(())
    }

    fn wait_watched(&self) -> Result<()> {
        self.main.wait_exec()?;
        self.watcher.wait_watched(self.main.pid(), WATCHED_LIMIT)
    }

    fn wait_ready(&self) -> Result<()> {
        self.wait_watched()?;
        for condition in self.row.ready.as_slice() {
            let condition: Ready = condition.parse()?;
            condition.wait_until_ready(self.main.pid(), &self.cgroup, READY_LIMIT)?;
        }
        sleep(START_UP);
        Ok(())
    }

    fn sender(&self, send: &Send) -> Result<Sender> {
        let pid = match &send.to {
            None => self.main.pid(),
            Some(comm) => ready::members(&self.cgroup)
                .find(|(_, name)| name == comm)
                .map(|(pid, _)| pid)
                .with_context(|| format!("no process of the container is called {comm}"))?,
        };
        Sender::with_name(&self.rig.toolbox, &send.by, pid, send.signal, send.times)
    }

    /// The stop signal, and SIGKILL when the time is over.
    fn stop(&mut self, grace: Duration, signal: agent_core::signal::Signal) -> Result<()> {
        let pid = self.main.pid();
        let runtime = |signal| Sender::with_name(&self.rig.toolbox, "runc", pid, signal, 1);
        let stop = runtime(signal)?;
        stop.send_now()?;
        let begun = Instant::now();
        let kill = runtime(agent_core::signal::Signal::KILL)?;
        if self
            .main
            .wait_at_most(grace.saturating_sub(begun.elapsed()))?
            .is_none()
        {
            kill.send_now()?;
        }
        self.before = Instant::now();
        Ok(())
    }

    /// Starts a command in the container, as a runtime does it.
    fn exec_inside(&self, words: &[String], what: &str) -> Result<Launched> {
        let main = self.main.pid();
        let log = self.rig.toolbox.log(&format!("{}-{what}", self.row.name));
        let mut launch = Launch::new(&self.cgroup, words.to_vec())
            .with_root_of(main)
            .printing_to(log.path().to_owned());
        launch = match self.row.pids {
            Pids::Own => launch.joining(main),
            Pids::Machine => launch.sharing_pids(),
        };
        launch.and_v1(&self.limits).start(&self.rig.toolbox)
    }

    /// A process enters for the hook and ends without running a program. It was forked and has called no exec itself, as
    /// runc's has not: a shim of the rig's has.
    fn fail_to_enter(&self, effort: Effort) -> Result<()> {
        let (forks, mebibytes) = match effort {
            Effort::None => (0, 0),
            Effort::Fork => (1, 0),
            Effort::Mebibytes(mebibytes) => (0, mebibytes),
        };
        let own = self.limits.iter().map(|own| own.directory().to_owned());
        let folders = std::iter::once(self.cgroup.directory()).chain(own);
        let files =
            folders.map(|folder| folder.join("cgroup.procs").to_string_lossy().into_owned());
        let files: Vec<_> = files.collect();
        let log = append_to(
            self.rig
                .toolbox
                .log(&format!("{}-hook", self.row.name))
                .path(),
        )?;
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.main.pid().to_string(),
            "--pid",
            "perl",
            "-e",
            ENTER_IN_VAIN,
        ]);
        command.args([files.join(" "), format!("{forks}"), format!("{mebibytes}")]);
        command.args(&self.row.hook);
        let status = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .context("cannot start nsenter")?;
        ensure!(!status.success(), "the hook ran, and was to fail");
        Ok(())
    }

    /// Starts a command beside the container.
    fn client(&mut self, words: &[String]) -> Result<()> {
        let log = self.rig.toolbox.log(&format!("{}-client", self.row.name));
        let log = append_to(log.path())?;
        let mut command = Command::new(self.rig.toolbox.program("enter"));
        command.args(["--join-root", &self.main.pid().to_string(), "--"]);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.clients
            .push(command.spawn().context("cannot start the client")?);
        Ok(())
    }

    /// Starts another main process in the cgroup, after the first has ended.
    fn begin_again(&mut self, words: &[String]) -> Result<()> {
        let mut launch = Launch::new(&self.cgroup, words.to_vec())
            .with_root(container_root(self.rig, self.row)?)
            .printing_to(self.rig.toolbox.log(&self.row.name).path().to_owned());
        if self.row.pids == Pids::Machine {
            launch = launch.sharing_pids();
        }
        self.main = launch.start(&self.rig.toolbox)?;
        Ok(())
    }

    /// Waits for its end and removes it, as a runtime does.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if let Some(why) = self.clients_problem() {
            bail!("{why}");
        }
        self.main.wait_end(SOON)?;
        // Hooks and execs end with the namespace, but not without one.
        self.hook = None;
        self.others.clear();
        self.cgroup.kill_all();
        self.cgroup.remove()
    }

    /// A client that ended at once because it could not be started.
    fn clients_problem(&mut self) -> Option<String> {
        const NOT_STARTED: i32 = 125;
        self.clients.iter_mut().find_map(|client| {
            let status = client.try_wait().ok()??;
            (status.code() == Some(NOT_STARTED)).then(|| "a client could not be started".to_owned())
        })
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        for client in &mut self.clients {
            client.kill().ok();
            client.wait().ok();
        }
        self.cgroup.kill_all();
    }
}

fn append_to(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Has a signal sent. Where the row allows it, its target may be gone by then.
fn send_signal(sender: Sender, send: &Send) -> Result<()> {
    match sender.send_now() {
        Err(error) if send.if_there && error.to_string().contains("No such process") => Ok(()),
        fired => fired.map(drop),
    }
}

/// The root of a row's container: its files over the programs.
fn container_root(rig: &Rig, row: &Row) -> Result<Root> {
    let folder = rig.toolbox.folder().join("roots").join(&row.name);
    let files = folder.join("files");
    fs::create_dir_all(&files)?;
    for (path, text) in &row.files {
        let path = files.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let place = folder.join("place");
    fs::create_dir_all(&place)?;
    Ok(Root {
        trees: vec![files, rig.programs.clone()],
        place,
        shared: vec![std::env::current_exe()?],
    })
}

/// Puts limits on the container; returns cgroups of the v1 trees that its processes enter as well.
fn apply_limits(rig: &Rig, row: &Row, cgroup: &Cgroup) -> Result<Vec<V1Cgroup>> {
    let memory = row
        .memory
        .map(|mebibytes| Limit::memory(u64::from(mebibytes) << 20));
    let processes = row.processes.map(Limit::processes);
    let mut own = Vec::new();
    for limit in memory.into_iter().chain(processes) {
        own.extend(limit.apply_to(&rig.folder, cgroup, &row.name)?);
    }
    if row.oom_group {
        cgroup.write("memory.oom.group", "1")?;
    }
    Ok(own)
}
