//! A kubelet's stop of one container, as `killContainer` does it: the preStop hook, the stop signal
//! with what is left of the grace period, SIGKILL; the clock is read around every act.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/kuberuntime/kuberuntime_container.go#L867-L932>

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};

use crate::rig::clock::{self, Span};
use crate::rig::launch::{Ended, Launch, Launched};
use crate::rig::stage::Via;
use crate::rig::toolbox::{RUNTIME, Toolbox};

/// The least that a stop signal is given (`minimumGracePeriodInSeconds`).
pub const FLOOR: Duration = Duration::from_secs(2);
/// How long anything may take that should be immediate.
const SOON: Duration = Duration::from_secs(10);

/// How a container is stopped.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The grace period.
    pub grace: Duration,
    /// The stop signal.
    pub signal: Signal,
    /// The system call for signals.
    pub via: Via,
    /// The preStop hook.
    pub hook: Option<Launch>,
}

/// An act of the stop, told as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The hook was started.
    HookStarted,
    /// The hook ended by itself.
    HookEnded(ExitStatus),
    /// The hook did not end within the grace period and runs on.
    HookOverran,
    /// The stop signal was sent; SIGKILL follows after this time.
    SignalSent(Duration),
    /// SIGKILL was sent.
    KillSent,
    /// The main process ended.
    Ended(ExitStatus),
}

/// What was done and when: the truth that a report is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// When the stop began.
    pub asked_at: Timestamp,
    /// The hook, if there was one.
    pub hook: Option<HookRun>,
    /// The stop signal.
    pub signal: Span,
    /// What the stop signal was given before SIGKILL.
    pub timeout: Duration,
    /// SIGKILL, if it came to that.
    pub kill: Option<Span>,
    /// The main process's end.
    pub ended: Ended,
}

/// What the kubelet saw of a hook.
#[derive(Clone, Copy, Debug)]
pub struct HookRun {
    /// Its pid on the machine.
    pub pid: u32,
    /// Just before its process was made.
    pub started_after: Timestamp,
    /// Its end; that of one which overran is its end with the container.
    pub ended: Ended,
}

impl Stop {
    /// SIGTERM by kill(2), no hook.
    pub fn within(grace: Duration) -> Self {
        Self {
            grace,
            signal: Signal::TERM,
            via: Via::Kill,
            hook: None,
        }
    }

    /// Stops the container with this main process. `tell` hears of every act.
    pub fn run(
        &self,
        toolbox: &Toolbox,
        main: &mut Launched,
        tell: &dyn Fn(Act),
    ) -> Result<Stopped> {
        let asked_at = clock::now();
        let mut hook = self
            .hook
            .as_ref()
            .map(|hook| hook.clone().joining(main.pid()).start(toolbox))
            .transpose()?;
        let mut timeout = self.grace.max(FLOOR);
        if let Some(hook) = &mut hook {
            tell(Act::HookStarted);
            let ended = hook.wait_at_most(self.grace)?;
            tell(ended.map_or(Act::HookOverran, |ended| Act::HookEnded(ended.status)));
            let whole_seconds = Duration::from_secs(clock::now().since(asked_at).as_secs());
            timeout = self.grace.saturating_sub(whole_seconds).max(FLOOR);
        }
        let signal = send_signal(toolbox, main.pid(), self.signal, self.via)?;
        tell(Act::SignalSent(timeout));
        // SIGKILL comes when the time is over, not when its sender has started.
        let program = toolbox.program("send");
        let killer = Sender::start(&program, main.pid(), Signal::KILL, (self.via, 1))?;
        let left = timeout.saturating_sub(clock::now().since(signal.before));
        let kill = if main.wait_at_most(left)?.is_some() {
            None
        } else {
            let kill = killer.send_now()?;
            tell(Act::KillSent);
            Some(kill)
        };
        let ended = main.wait_end(SOON)?;
        tell(Act::Ended(ended.status));
        let hook = hook.map(|mut hook| {
            let ended = hook.wait_end(SOON)?;
            Ok::<_, anyhow::Error>(HookRun {
                pid: hook.pid(),
                started_after: hook.started_after(),
                ended,
            })
        });
        Ok(Stopped {
            asked_at,
            hook: hook.transpose()?,
            signal,
            timeout,
            kill,
            ended,
        })
    }
}

/// Sends a signal from a short-lived process, as runtimes do.
pub fn send_signal(toolbox: &Toolbox, pid: u32, signal: Signal, via: Via) -> Result<Span> {
    send_times(toolbox, pid, signal, via, 1)
}

/// Sends a signal so many times, one right after the other.
pub fn send_times(
    toolbox: &Toolbox,
    pid: u32,
    signal: Signal,
    via: Via,
    times: u32,
) -> Result<Span> {
    let program = toolbox.program("send");
    Sender::start(&program, pid, signal, (via, times))?.send_now()
}

/// Sends a signal from a short-lived process that has the name of a runtime.
pub fn send_as_runtime(toolbox: &Toolbox, pid: u32, signal: Signal) -> Result<Span> {
    let program = toolbox.program(RUNTIME);
    Sender::start(&program, pid, signal, (Via::Pidfd, 1))?.send_now()
}

/// A process that is ready to send a signal. Dropping it without [`Self::send_now`] sends nothing.
#[derive(Debug)]
pub struct Sender(Child);

impl Sender {
    /// Starts the one that has this name in the toolbox. It sends the signal so many times.
    pub fn with_name(
        toolbox: &Toolbox,
        name: &str,
        pid: u32,
        signal: Signal,
        times: u32,
    ) -> Result<Self> {
        Self::start(&toolbox.program(name), pid, signal, (Via::Pidfd, times))
    }

    /// Starts `program`, which is `send` or [`RUNTIME`] of a toolbox: it will send this signal to this process, so many times.
    pub fn start(
        program: &Path,
        pid: u32,
        signal: Signal,
        (via, times): (Via, u32),
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args([
            "--pid",
            &pid.to_string(),
            "--signal",
            &signal.number().to_string(),
        ]);
        command.args(["--times", &times.to_string(), "--via"]);
        command.arg(match via {
            Via::Kill => "kill",
            Via::Pidfd => "pidfd",
        });
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(Self(command.spawn().context("cannot start the sender")?))
    }

    /// Has it send the signal. Returns the times just before and just after.
    pub fn send_now(mut self) -> Result<Span> {
        // A sender that is gone already says why on its standard error.
        self.0
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(b"\n").ok());
        let (mut said, mut words) = (String::new(), String::new());
        self.0
            .stdout
            .take()
            .context("no output")?
            .read_to_string(&mut said)?;
        self.0
            .stderr
            .take()
            .context("no output")?
            .read_to_string(&mut words)?;
        let status = self.0.wait().context("cannot wait for the sender")?;
        ensure!(
            status.success(),
            "a signal was not sent: {}",
            words.trim_end()
        );
        let mut times = said
            .split_whitespace()
            .skip(1)
            .map_while(|word| word.parse().ok().map(Timestamp));
        let (before, after) = times
            .next()
            .zip(times.next())
            .context("the sender said nothing")?;
        Ok(Span { before, after })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}
