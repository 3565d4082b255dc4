//! Exits that do not come to their end, and processes that outlive a stop.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use agent_core::report::{Finding, FindingKind, Outcome, Report};
use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::kubelet::send_as_runtime;
use gracewatch_tests::rig::launch::{Launch, Launched};

use crate::check::Check;
use crate::scenario::{Container, Scenario, Stage};

const SOON: Duration = Duration::from_secs(20);
/// Long enough for the finding, which must come within ten seconds.
const HANGS: Duration = Duration::from_secs(11);

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("exec_not_waited_for", exec_not_waited_for),
    Scenario::without_spec("main_not_waited_for", main_not_waited_for),
    Scenario::without_spec("frozen_in_namespace", frozen_in_namespace),
    Scenario::without_spec("thread_hangs", thread_hangs),
    Scenario::without_spec("processes_left", processes_left),
];

/// A program that entered from outside is dead, and its parent does not wait for it: PID 1 cannot end.
fn exec_not_waited_for(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit")?;
    let visitor = start_visitor(stage, &container)?;
    visitor.stop_parent()?;
    let report = stop_and_report(stage, &container)?;
    visitor.continue_parent()?;
    check_stuck(
        check,
        &report,
        &["`sleep` (pid", "waits for its parent `shim`"],
    );
    container.main.wait_end(SOON)?;
    check_one_report(stage, check, &container)
}

/// The parent of the main process does not wait for it.
fn main_not_waited_for(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.start_app("--on-stop exit")?;
    container.main.stop_parent()?;
    let report = stop_and_report(stage, &container)?;
    container.main.continue_parent()?;
    check_stuck(
        check,
        &report,
        &["its parent `shim` (pid", "has not waited for it"],
    );
    container.main.wait_end(SOON)?;
    check_one_report(stage, check, &container)
}

/// A process of the pid namespace is frozen by cgroup v1, whose freezer no SIGKILL passes. That of cgroup v2 lets it pass.
fn frozen_in_namespace(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let Some(freezer) = Freezer::new(stage, check)? else {
        return Ok(());
    };
    let mut container = stage.start_app("--on-stop exit")?;
    let visitor = start_visitor(stage, &container)?;
    freezer.hold_process(visitor.pid())?;
    let report = stop_and_report(stage, &container)?;
    drop(freezer);
    check_stuck(check, &report, &["`sleep` (pid", "is frozen by its cgroup"]);
    container.main.wait_end(SOON)?;
    check_one_report(stage, check, &container)
}

/// A thread of the main process does not end when the process does. It is frozen alone, which cgroup v1 can do.
fn thread_hangs(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let Some(freezer) = Freezer::new(stage, check)? else {
        return Ok(());
    };
    // The thread that would end it by itself only waits.
    let mut container = stage.start_app("--on-stop exit --lifetime 600000")?;
    let pid = container.main.pid();
    let thread = other_thread(pid)?;
    freezer.hold_thread(thread)?;
    send_as_runtime(stage.toolbox(), pid, Signal::TERM)?;
    // The kernel does not call the process gone before its last thread is, so that the report comes after that.
    std::thread::sleep(HANGS);
    drop(freezer);
    // The kernel's trace has the first thread's exit, 11 s before that of the process.
    let path = container.cgroup.path();
    let report = stage.agent.report(path, SOON)?;
    let named = format!("(tid {thread}), which is frozen by its cgroup");
    check_stuck(check, &report, &["it waits for its thread `", &named]);
    container.main.wait_end(SOON)?;
    check_one_report(stage, check, &container)
}

/// A thread that is not the first one.
fn other_thread(pid: u32) -> Result<u32> {
    let tasks = format!("/proc/{pid}/task");
    let tasks = fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))?;
    let mut tids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    tids.find(|tid| *tid != pid).context("it has one thread")
}

/// SIGKILL reaches the first process alone; another one of the machine's pid namespace lives on.
fn processes_left(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut container = stage.app_sharing_pids("--on-stop never")?;
    let launch = Launch::new(&container.cgroup, stage.rig.command("sleep", "600")).sharing_pids();
    let other = launch.start(stage.toolbox())?;
    other.wait_exec()?;
    let pid = container.main.pid();
    send_as_runtime(stage.toolbox(), pid, Signal::TERM)?;
    send_as_runtime(stage.toolbox(), pid, Signal::KILL)?;
    container.main.wait_end(SOON)?;
    let report = stage.report_of(&container.cgroup)?;
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.kind == FindingKind::ProcessesLeft);
    let named = format!("`sleep` (pid {})", other.pid());
    check.require(
        "the process that is left is named",
        finding.is_some_and(|finding| finding.evidence.contains(&named)),
    );
    drop(other);
    check_one_report(stage, check, &container)
}

/// Runs a program in the container, as `kubectl exec` does.
fn start_visitor(stage: &Stage<'_>, container: &Container) -> Result<Launched> {
    let argv = stage.rig.command("sleep", "600");
    let launch = Launch::new(&container.cgroup, argv).joining(container.main.pid());
    let visitor = launch.start(stage.toolbox())?;
    visitor.wait_exec()?;
    Ok(visitor)
}

/// Sends SIGTERM, and takes the report while the cgroup is still there.
fn stop_and_report(stage: &Stage<'_>, container: &Container) -> Result<Report> {
    send_as_runtime(stage.toolbox(), container.main.pid(), Signal::TERM)?;
    stage.report_of(&container.cgroup)
}

fn check_stuck(check: &mut Check, report: &Report, says: &[&str]) {
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    check.require_equal("doubts", report.doubts.clone(), Vec::new());
    let is_stuck = |finding: &&Finding| finding.kind == FindingKind::StuckInExit;
    let evidence = report
        .findings
        .iter()
        .find(is_stuck)
        .map_or("no such finding", |finding| finding.evidence.as_str());
    for part in says {
        check.require(
            format!("the finding says `{part}`: {evidence}"),
            evidence.contains(part),
        );
    }
}

/// Nothing more is reported when the cgroup is gone.
fn check_one_report(stage: &Stage<'_>, check: &mut Check, container: &Container) -> Result<()> {
    container.cgroup.remove()?;
    std::thread::sleep(Duration::from_secs(2));
    check.require_equal(
        "reports",
        stage.agent.reports(container.cgroup.path()).len(),
        1,
    );
    Ok(())
}

/// A cgroup of the freezer of cgroup v1, which thaws and goes at the end.
struct Freezer(PathBuf);

impl Freezer {
    /// None, and a note, where the machine has none.
    fn new(stage: &Stage<'_>, check: &mut Check) -> Result<Option<Self>> {
        let hierarchy = PathBuf::from("/sys/fs/cgroup/freezer");
        if !hierarchy.join("cgroup.procs").exists() {
            let note = "this machine has no freezer of cgroup v1; not run";
            check.notes.push(note.to_owned());
            return Ok(None);
        }
        let name = format!("gracewatch-{}-{}", std::process::id(), stage.name);
        let directory = hierarchy.join(name);
        fs::create_dir(&directory).context("cannot make a cgroup of the freezer")?;
        Ok(Some(Self(directory)))
    }

    fn hold_process(&self, pid: u32) -> Result<()> {
        self.write_id("cgroup.procs", pid)
    }

    fn hold_thread(&self, tid: u32) -> Result<()> {
        self.write_id("tasks", tid)
    }

    fn write_id(&self, list: &str, id: u32) -> Result<()> {
        self.write(list, &id.to_string())?;
        self.write("freezer.state", "FROZEN")
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.0.join(file);
        fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        drop(self.write("freezer.state", "THAWED"));
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
