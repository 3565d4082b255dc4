//! Each container by containerd, and its report.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_core::event::ExitStatus;
use agent_core::report::{Outcome, Report};
use agent_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::log::{Exit, Logged};
use crate::check::{Check, Row};

/// How far an exit may be from when containerd says it was: it hears of it by SIGCHLD, through its shim.
const EXIT_TOLERANCE: Duration = Duration::from_millis(500);
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

/// Compares all of them, and tells how many there were.
pub(super) fn all(logged: &BTreeMap<String, Logged>, reports: &[Report], check: &mut Check) {
    let boot = boot_at_ns();
    let (mut ended, mut stopped, mut unsure) = (0, 0, 0);
    for (id, container) in logged {
        let Some(exit) = container.exit.filter(|_| container.started) else {
            continue;
        };
        ended += 1;
        stopped += u32::from(!container.timeouts.is_empty());
        let is_it = |report: &&Report| report.subject.container_id.as_deref() == Some(id);
        let mine: Vec<_> = reports.iter().filter(is_it).collect();
        let [report] = mine.as_slice() else {
            check.that(
                format!("{id}: {} reports; {container:?}", mine.len()),
                false,
            );
            continue;
        };
        unsure += u32::from(!report.doubts.is_empty());
        for wrong in differences(container, exit, report, boot) {
            check.that(format!("{id}: {wrong}; {container:?}"), false);
        }
    }
    println!(
        "  {ended} containers ended, {stopped} of them were stopped; {unsure} reports are unsure"
    );
    check.staged("no container ended", ended > 0);
    check.rows.push(Row {
        container: "app".to_owned(),
        expected: format!("{ended} containers as containerd's log says"),
        got: format!("{ended} containers as containerd's log says"),
        errors: Vec::new(),
    });
}

/// Everything in which a report differs from the log.
fn differences(logged: &Logged, exit: Exit, report: &Report, boot_ns: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, said: String, right: String| {
        if said != right {
            wrong.push(format!("{what}: {said}, but containerd says {right}"));
        }
    };
    let pid = report.main.as_ref().map(|main| main.tgid.0);
    same(
        "main process",
        format!("{pid:?}"),
        format!("{:?}", Some(exit.pid)),
    );
    let status = report.exit.as_ref().map(|exit| code(exit.status));
    same(
        "exit code",
        format!("{status:?}"),
        format!("{:?}", Some(exit.status)),
    );
    let at = report.exit.as_ref().map(|exit| exit.at.0 + boot_ns);
    // On a busy machine containerd hears of it later still, but never before.
    let is_close = at.is_some_and(|at| {
        let error = Duration::from_nanos(at.abs_diff(exit.at_ns));
        error <= EXIT_TOLERANCE || at < exit.at_ns
    });
    same(
        "exit is not after",
        format!("{is_close}"),
        "true".to_owned(),
    );
    // A doubt says that it may be otherwise.
    if report.doubts.is_empty() {
        let signal = report.stop_signal.as_ref().map(|stop| stop.signal.number());
        same(
            "stop signal",
            format!("{signal:?}"),
            format!("{:?}", stop_signal(logged)),
        );
        let killed = logged.killed && exit.status == 137;
        // Who else may have sent one, containerd does not say: the kernel that was out of memory, or another process.
        if killed || exit.status != 137 {
            let said = report.kill.is_some().to_string();
            same("SIGKILL", said, killed.to_string());
        }
        let expected = outcomes(logged, exit, killed);
        if !expected.contains(&report.outcome) {
            wrong.push(format!(
                "outcome: {:?}, but one of {expected:?} is right",
                report.outcome
            ));
        }
    }
    wrong
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
        (false, false) if exit.status == 0 => vec![Outcome::Completed],
        // containerd does not say who killed what it did not kill.
        (false, false) if exit.status == 137 => vec![
            Outcome::OomKilled,
            Outcome::KilledByOther,
            Outcome::ForceKilled,
            Outcome::Crashed,
        ],
        (false, false) => vec![Outcome::Crashed, Outcome::KilledByOther],
    }
}

/// As runtimes say it.
fn code(status: ExitStatus) -> i64 {
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
