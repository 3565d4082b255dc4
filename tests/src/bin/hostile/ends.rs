//! Signals that end the agent: in time whatever it is at, and with all that it had recorded.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};
use rustix::process::{Pid, Signal, kill_process};

use crate::asked::gracewatch;
use crate::cases::Case;
use crate::neighbours::{Neighbour, WAYS};
use crate::told::Told;

pub(crate) const ALL: [Case; 3] = [
    Case {
        name: "EndsDuringTheStart",
        play: during_the_start,
    },
    Case {
        name: "EndsWhileItsLogIsFull",
        play: while_its_log_is_full,
    },
    Case {
        name: "EndsWithItsJournal",
        play: with_its_journal,
    },
];

/// Within this the agent ends.
const LIMIT: Duration = Duration::from_secs(1);
const SIGNALS: [Signal; 3] = [Signal::TERM, Signal::HUP, Signal::INT];

/// How it ended and how long that took, if it did: else it is killed.
fn end_by(mut process: Child, signal: Signal) -> Result<(Option<ExitStatus>, Duration)> {
    let sent = Instant::now();
    kill_process(Pid::from_child(&process), signal)?;
    while sent.elapsed() < LIMIT * 2 {
        if let Some(status) = process.try_wait()? {
            return Ok((Some(status), sent.elapsed()));
        }
        sleep(Duration::from_millis(1));
    }
    process.kill()?;
    process.wait()?;
    Ok((None, sent.elapsed()))
}

/// At every moment of a start, from exec to some time after it is ready.
fn during_the_start(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let (mut count, mut worst) = (0, Duration::ZERO);
    let journal = toolbox.folder().join("start.journal");
    for (number, milliseconds) in [0, 2, 5, 10, 20, 40, 80, 120, 160, 200, 250, 300, 400, 600]
        .into_iter()
        .enumerate()
    {
        let signal = SIGNALS
            .get(number % SIGNALS.len())
            .copied()
            .unwrap_or(Signal::TERM);
        let mut command = gracewatch(&["run", "--listen", "127.0.0.1:0", "--journal"])?;
        command
            .arg(&journal)
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        let process = command.spawn()?;
        sleep(Duration::from_millis(milliseconds));
        let (status, took) = end_by(process, signal)?;
        told.expect(took < LIMIT, || {
            format!("{signal:?} after {milliseconds} ms: it took {took:?}")
        });
        let is_in_order = status.is_some_and(|status| status.success());
        // Before it can catch anything, the signal does what it does to any program.
        let is_early = status.is_some_and(|status| status.signal() == Some(signal.as_raw()));
        told.expect(is_in_order || is_early, || {
            format!("{signal:?} after {milliseconds} ms: {status:?}")
        });
        (count, worst) = (count + 1, worst.max(took));
    }
    told.facts = format!("{count} starts, worst {:.0} ms", worst.as_secs_f64() * 1e3);
    Ok(told)
}

/// Nobody reads what it logs, so that its first line waits.
fn while_its_log_is_full(_toolbox: &Toolbox) -> Result<Told> {
    /// What Linux keeps of a pipe, unless told otherwise.
    const PIPE: usize = 65_536;
    let mut told = Told::default();
    let mut worst = Duration::ZERO;
    for signal in SIGNALS {
        let (_nobody_reads, mut log) = std::io::pipe()?;
        log.write_all(&vec![b' '; PIPE])?;
        let mut command = gracewatch(&["run", "--listen", "127.0.0.1:0"])?;
        let process = command.stdout(Stdio::null()).stderr(log).spawn()?;
        sleep(LIMIT);
        let (status, took) = end_by(process, signal)?;
        let is_ended = status.is_some_and(|status| status.code().is_some());
        told.expect(is_ended && took < LIMIT, || {
            format!("{signal:?}: {status:?} after {took:?}")
        });
        worst = worst.max(took);
    }
    told.facts = format!("worst {:.0} ms", worst.as_secs_f64() * 1e3);
    Ok(told)
}

/// What ended just before the signal is in the journal.
fn with_its_journal(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let mut worst = Duration::ZERO;
    for (number, signal) in SIGNALS.into_iter().enumerate() {
        let folder = Folder::new("ends")?;
        let journal = toolbox.folder().join(format!("ends-{number}.journal"));
        let glob = format!("{}/k8s.io/*", folder.path());
        let mut command =
            gracewatch(&["run", "--no-systemd", "--no-containers", "--cgroup", &glob])?;
        command.arg("--journal").arg(&journal);
        let log = toolbox.folder().join("ends.agent");
        let agent = Whole::start_command(command, whole::free_port(0)?, &log)?;
        let neighbour = Neighbour::start(toolbox, ("ends", &folder), WAYS[0], number)?;
        let path = neighbour.stop(toolbox)?;
        let (status, took) = agent.stop_by(signal)?;
        told.expect(status.success() && took < LIMIT, || {
            format!("{signal:?}: {status} after {took:?}")
        });
        let replayed = Command::new(whole::binary()?)
            .args(["replay", "--json"])
            .arg(&journal)
            .output()?;
        let reports = String::from_utf8_lossy(&replayed.stdout).into_owned();
        let report = reports.lines().find(|line| line.contains(&path));
        told.expect(
            report.is_some_and(|report| report.contains(r#""outcome":"graceful""#)),
            || format!("{signal:?}: the replay tells {report:?} of {path}"),
        );
        told.expect(replayed.status.success(), || {
            format!("{signal:?}: the replay ends with {}", replayed.status)
        });
        worst = worst.max(took);
        fs::remove_file(&journal).context("there is no journal")?;
    }
    told.facts = format!(
        "each of {} signals, worst {:.0} ms",
        SIGNALS.len(),
        worst.as_secs_f64() * 1e3
    );
    Ok(told)
}
