//! Each container by containerd, and its report.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use agent_core::event::ExitStatus;
use agent_core::report::{Outcome, Report};
use agent_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::log::{Exit, Logged};

/// How far an exit may be from when containerd says it was: it hears of it by SIGCHLD, through its shim.
const EXIT_TOLERANCE: Duration = Duration::from_millis(500);
/// How far two readings of two clocks may be apart.
const CLOCKS_TOLERANCE: Duration = Duration::from_millis(20);
/// How long a runtime may take on a busy machine from its word that it will send a signal to the signal.
const SIGNAL_LIMIT: Duration = Duration::from_secs(2);
/// The signals of stops, as Go calls them.
const SIGNALS: [(&str, u32); 10] = [
    ("hangup", 1),
    ("interrupt", 2),
    ("quit", 3),
    ("killed", 9),
    ("user defined signal 1", 10),
    ("user defined signal 2", 12),
    ("terminated", 15),
    ("window changed", 28),
    ("signal 34", 34),
    ("signal 37", 37),
];
const TERM: u32 = 15;

/// What the comparison of all containers comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Containers that were started and ended.
    pub ended: usize,
    /// Those of them that containerd was told to stop.
    pub stopped: usize,
    /// Their reports that have a doubt.
    pub unsure: usize,
    /// Everything in which reports differ from the log.
    pub wrong: Vec<String>,
}

/// Compares all of them. `also` tells in what else a container's report is wrong.
pub fn compare_all(
    logged: &BTreeMap<String, Logged>,
    reports: &[Report],
    also: impl Fn(&str, &Report) -> Vec<String>,
) -> Compared {
    let boot = boot_at_ns();
    let mut compared = Compared::default();
    for (id, container) in logged {
        let Some(exit) = container.exit.filter(|_| container.started) else {
            continue;
        };
        compared.ended += 1;
        compared.stopped += usize::from(!container.timeouts.is_empty());
        let is_it = |report: &&Report| report.subject.container_id.as_deref() == Some(id);
        let mine: Vec<_> = reports.iter().filter(is_it).collect();
        let wrong = match mine.as_slice() {
            [report] => {
                compared.unsure += usize::from(!report.doubts.is_empty());
                let mut wrong = differences(container, exit, report, boot);
                wrong.extend(also(id, report));
                wrong
            }
            _ => vec![format!("{} reports", mine.len())],
        };
        let told = wrong
            .into_iter()
            .map(|wrong| format!("{id}: {wrong}; {container:?}"));
        compared.wrong.extend(told);
    }
    compared
}

impl Compared {
    /// How many there were.
    pub fn summary(&self) -> String {
        let Self {
            ended,
            stopped,
            unsure,
            ..
        } = self;
        format!(
            "{ended} containers ended, {stopped} of them were stopped; {unsure} reports are unsure"
        )
    }
}

/// Everything in which a report differs from the log.
fn differences(logged: &Logged, exit: Exit, report: &Report, boot_ns: u64) -> Vec<String> {
    let mut wrong = exit_differences(exit, report, boot_ns);
    let said = report.stop_signal.as_ref().map(|stop| stop.at);
    wrong.extend(announced("stop signal", said, logged.signal_at_ns, boot_ns));
    let said = report.kill.as_ref().map(|kill| kill.at);
    wrong.extend(announced("SIGKILL", said, logged.kill_at_ns, boot_ns));
    // A doubt says that it may be otherwise.
    if report.doubts.is_empty() {
        wrong.extend(verdict_differences(logged, exit, report));
    }
    wrong
}

/// What is wrong with whose exit it was, how, and when.
fn exit_differences(exit: Exit, report: &Report, boot_ns: u64) -> Vec<String> {
    let pid = report.main.as_ref().map(|main| main.tgid.0);
    let status = report.exit.as_ref().map(|exit| exit_code(exit.status));
    let at = report.exit.as_ref().map(|exit| exit.at.0 + boot_ns);
    // On a busy machine containerd hears of it later still, but never before.
    let is_close = at.is_some_and(|at| {
        let error = Duration::from_nanos(at.abs_diff(exit.at_ns));
        error <= EXIT_TOLERANCE || at < exit.at_ns
    });
    [
        unlike("main process", pid, Some(exit.pid)),
        unlike("exit code", status, Some(exit.status)),
        unlike("exit is not after", is_close, true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is wrong with a report that is certain.
fn verdict_differences(logged: &Logged, exit: Exit, report: &Report) -> Vec<String> {
    let signal = report.stop_signal.as_ref().map(|stop| stop.signal.number());
    let killed = logged.killed && exit.status == 137;
    // Who else may have sent one, containerd does not say: the kernel that was out of memory, or another process.
    let tells = killed || exit.status != 137;
    let kill = tells.then(|| unlike("SIGKILL", report.kill.is_some(), killed));
    let expected = outcomes(logged, exit, killed);
    let outcome = (!expected.contains(&report.outcome)).then(|| {
        format!(
            "outcome: {:?}, but one of {expected:?} is right",
            report.outcome
        )
    });
    [
        unlike("stop signal", signal, stop_signal(logged)),
        kill.flatten(),
        outcome,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// In what a fact differs from what containerd says.
fn unlike<T: PartialEq + Debug>(what: &str, said: T, right: T) -> Option<String> {
    (said != right).then(|| format!("{what}: {said:?}, but containerd says {right:?}"))
}

/// The first signal by which it was asked to stop. SIGKILL is none.
fn stop_signal(logged: &Logged) -> Option<u32> {
    let name = logged.signals.first()?;
    let known = SIGNALS.iter().find(|(known, _)| known == name);
    known
        .map(|(_, number)| *number)
        .or(Some(TERM))
        .filter(|number| *number != 9)
}

/// What may be said of how it ended.
fn outcomes(logged: &Logged, exit: Exit, killed: bool) -> Vec<Outcome> {
    match (stop_signal(logged).is_some(), killed) {
        (true, false) => vec![Outcome::Graceful],
        (true, true) => vec![Outcome::SignalIgnored, Outcome::GraceExceeded],
        (false, true) => vec![Outcome::ForceKilled],
        // Also while its hook ran, of which containerd knows nothing.
        (false, false) if exit.status == 0 => vec![Outcome::Completed, Outcome::ExitedEarly],
        // containerd does not say who killed what it did not kill.
        (false, false) if exit.status == 137 => vec![
            Outcome::OomKilled,
            Outcome::KilledByOther,
            Outcome::ForceKilled,
            Outcome::Crashed,
        ],
        (false, false) => vec![
            Outcome::Crashed,
            Outcome::KilledByOther,
            Outcome::ExitedEarly,
        ],
    }
}

/// What is wrong with the time of a signal that containerd announced: it may take its time on a busy machine, but cannot come
/// before.
fn announced(
    what: &str,
    said: Option<Timestamp>,
    by_containerd_ns: Option<u64>,
    boot_ns: u64,
) -> Option<String> {
    let (at_ns, announced_ns) = (said?.0 + boot_ns, by_containerd_ns?);
    let later = Duration::from_nanos(at_ns.saturating_sub(announced_ns));
    let before = Duration::from_nanos(announced_ns.saturating_sub(at_ns));
    (before > CLOCKS_TOLERANCE || later > SIGNAL_LIMIT).then(|| {
        format!("time of {what}: {later:?} after, {before:?} before containerd announced it")
    })
}

/// As runtimes say it.
pub fn exit_code(status: ExitStatus) -> i64 {
    match status {
        ExitStatus::Code(code) => i64::from(code),
        ExitStatus::Signal { signal, .. } => 128 + i64::from(signal.number()),
    }
}

/// When the boot clock was 0, in nanoseconds since 1970.
fn boot_at_ns() -> u64 {
    let wall = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(wall.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(wall.tv_nsec).unwrap_or_default();
    let Timestamp(now) = gracewatch_tests::rig::clock::now();
    (seconds * 1_000_000_000 + nanos).saturating_sub(now)
}
