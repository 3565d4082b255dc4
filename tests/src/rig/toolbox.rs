//! This program under its other names: links in a temporary folder, as busybox does it, so that a
//! container needs nothing but this one file and every process has a telling name.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, bail};

use crate::rig::{actor, app, attacker, clock, puppet, stage};

/// What a name of this program does.
type Program = fn(Vec<std::ffi::OsString>) -> Result<ExitCode>;

/// The name that a runtime's process has which sends signals.
pub const RUNTIME: &str = "runc";

/// Every other name of this program.
const PROGRAMS: [(&str, Program); 12] = [
    ("shim", stage::run_shim),
    ("enter", stage::run_enter),
    ("send", stage::run_send),
    (RUNTIME, stage::run_send),
    ("systemd", stage::run_send),
    ("app", app::run_app),
    ("sleep", app::run_sleep),
    ("hog", app::run_hog),
    ("stray", app::run_stray),
    ("puppet", puppet::puppet),
    ("actor", actor::run_actor),
    (attacker::NAME, attacker::attacker),
];

/// Plays the part that this program was started for, if it was started under one of its other names.
/// To be called first thing in `main`, while there is one thread.
#[expect(clippy::print_stderr, reason = "a program says why it failed")]
pub fn run_part() -> Option<ExitCode> {
    let args: Vec<_> = std::env::args_os().collect();
    let name = Path::new(args.first()?).file_name()?.to_str()?.to_owned();
    let (_, program) = PROGRAMS.iter().find(|(known, _)| *known == name)?;
    Some(program(args).unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        ExitCode::from(125)
    }))
}

/// A temporary folder with the names and the logs, removed when it is dropped.
#[derive(Debug)]
pub struct Toolbox {
    folder: PathBuf,
}

impl Toolbox {
    /// Makes it.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("gracewatch-rig-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let toolbox = Self { folder };
        for (name, _) in PROGRAMS {
            toolbox.add_link(name)?;
        }
        Ok(toolbox)
    }

    /// Gives this program one more name, which its `main` must know.
    pub fn add_link(&self, name: &str) -> Result<()> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        symlink(&program, self.program(name)).with_context(|| format!("cannot link {name}"))
    }

    /// The folder, for files that shall vanish with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that runs as `name`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The log with this name; [`app::run_app`] writes it.
    pub fn log(&self, name: &str) -> Log {
        Log {
            path: self.folder.join(format!("{name}.log")),
        }
    }

    /// Everything that the logs and files of text whose names begin so say, for whoever has to understand a failure.
    pub fn logs_of(&self, name: &str) -> String {
        let mut files: Vec<_> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| is_log_of(path, name))
            .collect();
        files.sort();
        let mut text = String::new();
        for path in files {
            // One that is gone, or is no text, says nothing.
            let said = fs::read_to_string(&path).unwrap_or_default();
            let file = path.file_name().unwrap_or_default().display();
            writeln!(text, "{file}:\n{said}").ok();
        }
        text
    }
}

/// Whether this is a log of the case with this name: `NAME.log`, `NAME-hook.log`, `NAME.agent`.
fn is_log_of(path: &Path, name: &str) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str());
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let rest = stem.and_then(|stem| stem.strip_prefix(name));
    matches!(kind, Some("log" | "agent"))
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

impl Drop for Toolbox {
    #[expect(
        clippy::print_stderr,
        reason = "drop cannot return an error, and what is left behind must be told"
    )]
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

/// What a program inside a container says of itself: one line for each step, with the boot clock's time.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log in this file.
    pub fn from_path(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the clock and writes the step down.
    pub fn write(&self, step: &str) -> Result<()> {
        let line = format!("{} {step}\n", clock::now().0);
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        file.write_all(line.as_bytes())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// When the first such step was, if it was.
    pub fn find_step(&self, step: &str) -> Option<Timestamp> {
        let text = fs::read_to_string(&self.path).ok()?;
        text.lines().find_map(|line| {
            let (at, what) = line.split_once(' ')?;
            (what == step).then(|| at.parse().ok().map(Timestamp))?
        })
    }

    /// When the step was; an error if it is not in the log.
    pub fn at_step(&self, step: &str) -> Result<Timestamp> {
        self.find_step(step)
            .with_context(|| format!("the process never wrote `{step}` to its log"))
    }

    /// Waits for the step.
    pub fn wait_for(&self, step: &str, limit: Duration) -> Result<Timestamp> {
        let started = Instant::now();
        loop {
            if let Some(at) = self.find_step(step) {
                return Ok(at);
            }
            if started.elapsed() > limit {
                bail!("the process did not write `{step}` to its log within {limit:?}");
            }
            sleep(Duration::from_millis(1));
        }
    }
}
