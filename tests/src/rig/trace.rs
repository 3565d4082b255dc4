//! The kernel's own trace as a clock: tracefs, in an instance of its own, on the boot clock. It stamps the very hooks
//! that the agent's probes sit on, by other code.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Where it is mounted, where it is.
const USUAL: &str = "/sys/kernel/tracing";
const EVENTS: [&str; 3] = [
    "signal/signal_generate",
    "sched/sched_process_exec",
    "sched/sched_process_exit",
];
const POLL: Duration = Duration::from_millis(20);

/// What the trace can be asked for. Its times are whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// A signal was generated for the process.
    Signal(u32),
    /// The process called exec.
    Exec,
    /// The process's first thread ended.
    Exit,
}

#[derive(Debug)]
struct Line {
    at: Timestamp,
    pid: u32,
    what: Traced,
}

/// A running trace; dropping it ends it.
#[derive(Debug)]
pub struct Trace {
    place: Place,
    lines: Arc<Mutex<Vec<Line>>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Trace {
    /// Begins to trace signals that end processes, execs and exits.
    pub fn start() -> Result<Self> {
        let place = Place::new()?;
        place.write_setting("trace_clock", "boot")?;
        place.write_setting("buffer_size_kb", "4096")?;
        place.write_setting(
            "events/signal/signal_generate/filter",
            "sig == 3 || sig == 9 || sig == 10 || sig == 13 || sig == 15",
        )?;
        for event in EVENTS {
            place.write_setting(&format!("events/{event}/enable"), "1")?;
        }
        let pipe = place.instance.join("trace_pipe");
        let pipe = open(
            &pipe,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .with_context(|| format!("cannot read {}", pipe.display()))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let reader = {
            let (lines, stop) = (Arc::clone(&lines), Arc::clone(&stop));
            std::thread::spawn(move || read(fs::File::from(pipe), &lines, &stop))
        };
        Ok(Self {
            place,
            lines,
            stop,
            reader: Some(reader),
        })
    }

    /// When the last such thing happened to the process from `since` to `until`, as far as it was traced by now.
    pub fn last_time(
        &self,
        pid: u32,
        what: Traced,
        since: Timestamp,
        until: Timestamp,
    ) -> Option<Timestamp> {
        let times = self.times_of(pid, what);
        times.into_iter().rfind(|at| (since..=until).contains(at))
    }

    /// When the first such thing happened to the process from `since` on.
    pub fn first_time(&self, pid: u32, what: Traced, since: Timestamp) -> Option<Timestamp> {
        self.times_of(pid, what).into_iter().find(|at| *at >= since)
    }

    fn times_of(&self, pid: u32, what: Traced) -> Vec<Timestamp> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<_> = lines
            .iter()
            .filter(|line| line.pid == pid && line.what == what)
            .map(|line| line.at)
            .collect();
        times.sort();
        times
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
        self.place.remove();
    }
}

/// The instance, and the mount that was made for it.
#[derive(Debug)]
struct Place {
    instance: PathBuf,
    mounted: Option<PathBuf>,
}

impl Place {
    fn new() -> Result<Self> {
        let usual = Path::new(USUAL);
        let (root, mounted) = if usual.join("instances").exists() {
            (usual.to_owned(), None)
        } else {
            let place =
                std::env::temp_dir().join(format!("gracewatch-tracefs-{}", std::process::id()));
            fs::create_dir_all(&place)
                .with_context(|| format!("cannot make {}", place.display()))?;
            mount("tracefs", &place, "tracefs", MountFlags::empty(), None).map_err(|error| {
                anyhow!("cannot mount tracefs ({error}); be root, on a kernel with tracing")
            })?;
            (place.clone(), Some(place))
        };
        let place = Self {
            instance: root.join(format!("instances/gracewatch-{}", std::process::id())),
            mounted,
        };
        if let Err(error) = fs::create_dir(&place.instance) {
            place.remove();
            return Err(error).with_context(|| format!("cannot make {}", place.instance.display()));
        }
        Ok(place)
    }

    fn write_setting(&self, file: &str, value: &str) -> Result<()> {
        let path = self.instance.join(file);
        fs::write(&path, value)
            .with_context(|| format!("cannot write `{value}` to {}", path.display()))
    }

    #[expect(
        clippy::print_stderr,
        reason = "drop cannot return an error, and what is left behind must be told"
    )]
    fn remove(&self) {
        if self.instance.exists()
            && let Err(error) = fs::remove_dir(&self.instance)
        {
            eprintln!("{} is left behind: {error}", self.instance.display());
        }
        if let Some(place) = &self.mounted {
            let gone = unmount(place, UnmountFlags::empty()).map_err(anyhow::Error::from);
            if let Err(error) = gone.and_then(|()| Ok(fs::remove_dir(place)?)) {
                eprintln!("{} is left behind: {error}", place.display());
            }
        }
    }
}

/// Reads until it is told to stop.
fn read(mut pipe: fs::File, lines: &Mutex<Vec<Line>>, stop: &AtomicBool) {
    let mut rest = String::new();
    let mut chunk = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match pipe.read(&mut chunk) {
            Ok(size) if size > 0 => {
                rest.push_str(&String::from_utf8_lossy(
                    chunk.get(..size).unwrap_or_default(),
                ));
                let whole = rest.rfind('\n').map_or(0, |end| end + 1);
                let new = rest
                    .get(..whole)
                    .unwrap_or_default()
                    .lines()
                    .filter_map(parse);
                lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(new);
                rest.drain(..whole);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => sleep(POLL),
        }
    }
}

/// `app-17 [001] d..1.  1202.584516: signal_generate: sig=15 errno=0 code=0 comm=app pid=17 grp=1 res=0`
fn parse(line: &str) -> Option<Line> {
    let (what, event) = [
        (Traced::Signal(0), ": signal_generate: "),
        (Traced::Exec, ": sched_process_exec: "),
        (Traced::Exit, ": sched_process_exit: "),
    ]
    .into_iter()
    .find(|(_, event)| line.contains(event))?;
    let (before, after) = line.split_once(event)?;
    let (seconds, micros) = before.rsplit(' ').next()?.split_once('.')?;
    let at = seconds.parse::<u64>().ok()? * 1_000_000_000 + micros.parse::<u64>().ok()? * 1_000;
    let field = |name: &str| {
        after
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.parse().ok())
    };
    let what = if what == Traced::Signal(0) {
        Traced::Signal(field("sig=")?)
    } else {
        what
    };
    Some(Line {
        at: Timestamp(at),
        pid: field("pid=")?,
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_trace_are_understood() {
        let line = "   send me-17      [001] d..1.  1202.584516: signal_generate: sig=15 errno=0 code=0 comm=app pid=23 grp=1 res=0";
        let found = parse(line).unwrap();
        assert_eq!(
            (found.at.0, found.pid, found.what),
            (1_202_584_516_000, 23, Traced::Signal(15))
        );
        let line = "   app-23  [000] .....  2.000001: sched_process_exit: comm=app pid=23 prio=120 group_dead=true";
        let found = parse(line).unwrap();
        assert_eq!(
            (found.at.0, found.pid, found.what),
            (2_000_001_000, 23, Traced::Exit)
        );
        assert!(parse("CPU:1 [LOST 17 EVENTS]").is_none());
    }
}
