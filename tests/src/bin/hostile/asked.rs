//! The agent's program, asked for something that it is to refuse or to do in time.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use gracewatch_tests::process_status;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole;

use crate::told::Told;

/// How long the agent may take to refuse something.
pub(crate) const REFUSAL_LIMIT: Duration = Duration::from_millis(1500);
/// The agent's memory, with some room: whatever it reads, it takes no more.
pub(crate) const MEMORY_MAX: u64 = 512 << 20;
/// The exit code of a program of Rust that panicked.
const PANICKED: i32 = 101;

/// `gracewatch` with these arguments, and nothing from the environment.
pub(crate) fn gracewatch(args: &[&str]) -> Result<Command> {
    program(&[], args)
}

/// The same, started by another program that becomes it.
pub(crate) fn program(by: &[&str], args: &[&str]) -> Result<Command> {
    let binary = whole::binary()?;
    let words = by.iter().map(OsStr::new).chain([binary.as_os_str()]);
    let mut words = words.chain(args.iter().map(OsStr::new));
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .env("GRACEWATCH_CONFIG", "")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null());
    Ok(command)
}

/// How it ended, and what it said until then.
#[derive(Debug)]
pub(crate) struct Said {
    /// None if it had to be killed.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) words: String,
    pub(crate) took: Duration,
    /// The most memory that it was seen to have, in bytes.
    pub(crate) peak: u64,
}

/// Runs it to its end, but no longer than that.
pub(crate) fn run_limited(
    toolbox: &Toolbox,
    mut command: Command,
    limit: Duration,
) -> Result<Said> {
    let path: PathBuf = toolbox.folder().join("asked.words");
    let started = Instant::now();
    let mut process = command
        .stdout(Stdio::null())
        .stderr(File::create(&path)?)
        .spawn()?;
    let pid = process.id().to_string();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break Some(status);
        }
        // A process that has just ended has no memory.
        peak = process_status::read_bytes(&pid, "VmHWM")
            .unwrap_or(peak)
            .max(peak);
        if started.elapsed() > limit {
            process.kill()?;
            process.wait()?;
            break None;
        }
        sleep(Duration::from_millis(2));
    };
    let took = started.elapsed();
    let words = String::from_utf8_lossy(&fs::read(&path)?).trim().to_owned();
    Ok(Said {
        status,
        words,
        took,
        peak,
    })
}

impl Said {
    /// Its exit code.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    /// It ended by itself, in order, in time and within its memory.
    pub(crate) fn judge_end(&self, what: &str, told: &mut Told) {
        let Self {
            status,
            words,
            took,
            peak,
        } = self;
        told.expect(status.is_some(), || {
            format!("{what}: it goes on after {took:?}")
        });
        let signal = status.and_then(|status| status.signal());
        told.expect(signal.is_none(), || {
            format!("{what}: signal {signal:?} ended it")
        });
        told.expect(
            self.exit_code() != Some(PANICKED) && !words.contains("panicked"),
            || format!("{what}: it panicked: {words}"),
        );
        told.expect(*peak < MEMORY_MAX, || {
            format!("{what}: it took {} MiB", peak >> 20)
        });
    }

    /// It refused, at once, in one sentence that names all of these.
    pub(crate) fn judge_refusal(&self, what: &str, names: &[&str], told: &mut Told) {
        self.judge_end(what, told);
        let words = &self.words;
        told.expect(matches!(self.exit_code(), None | Some(1 | 2)), || {
            format!("{what}: exit code {:?}: {words}", self.exit_code())
        });
        told.expect(self.took < REFUSAL_LIMIT, || {
            format!("{what}: it took {:?}", self.took)
        });
        let lines: Vec<_> = words
            .lines()
            .filter(|line| line.starts_with("gracewatch: "))
            .collect();
        let [sentence] = lines.as_slice() else {
            told.expect(self.status.is_none(), || {
                format!("{what}: no sentence: {words}")
            });
            return;
        };
        for name in names {
            told.expect(sentence.contains(name), || {
                format!("{what}: `{name}` is not in: {sentence}")
            });
        }
    }
}
