//! What a report says without its times: what is expected is written down in the same words, and compared whole.

use std::fmt;

use agent_core::event::ExitStatus;
use agent_core::report::{
    Doubt, FindingKind, Hook, HookFailure, KillCause, Outcome, Report, Trigger,
};
use agent_core::signal::Signal;

/// What a report says of a termination, without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    outcome: Outcome,
    trigger: Trigger,
    hook: Option<HookVerdict>,
    stop_signal: Option<Signal>,
    repeated: u32,
    kill: Option<KillCause>,
    exit: Option<ExitStatus>,
    findings: Vec<FindingKind>,
    doubts: Vec<Doubt>,
}

/// What it says of the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HookVerdict {
    status: Option<ExitStatus>,
    failure: Option<HookFailure>,
    running_at_stop_signal: bool,
    ended_by_container: bool,
}

impl HookVerdict {
    /// It ended by itself with this status.
    pub(crate) const fn exited(status: u8) -> Self {
        Self {
            status: Some(ExitStatus::Code(status)),
            failure: if status == 0 {
                None
            } else {
                Some(HookFailure::Status)
            },
            running_at_stop_signal: false,
            ended_by_container: false,
        }
    }

    /// Its program was missing. With which status the runtime's process went is its own matter.
    pub(crate) const fn missing() -> Self {
        Self {
            status: None,
            failure: Some(HookFailure::Missing),
            running_at_stop_signal: false,
            ended_by_container: false,
        }
    }

    /// It ran until the container took it along.
    pub(crate) fn taken_along() -> Self {
        Self {
            status: Some(signalled(KILL)),
            failure: None,
            running_at_stop_signal: true,
            ended_by_container: true,
        }
    }

    fn from_hook(hook: &Hook) -> Self {
        let missing = hook.failure == Some(HookFailure::Missing);
        Self {
            status: hook.status.filter(|_| !missing),
            failure: hook.failure,
            running_at_stop_signal: hook.running_at_stop_signal,
            ended_by_container: hook.ended_by_container,
        }
    }
}

const KILL: u32 = 9;

impl Verdict {
    /// Somebody stopped it, and it ended so.
    pub(crate) fn stopped(outcome: Outcome) -> Self {
        Self {
            outcome,
            trigger: Trigger::Stopped,
            hook: None,
            stop_signal: None,
            repeated: 0,
            kill: None,
            exit: None,
            findings: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Nobody stopped it, and nothing tells why it ended but the outcome.
    pub(crate) fn unasked(outcome: Outcome) -> Self {
        Self {
            trigger: Trigger::Unknown,
            ..Self::stopped(outcome)
        }
    }

    /// Nobody stopped it, and it ended with this status.
    pub(crate) fn by_itself(outcome: Outcome, trigger: Trigger, status: u8) -> Self {
        Self {
            trigger,
            exit: Some(ExitStatus::Code(status)),
            ..Self::stopped(outcome)
        }
    }

    pub(crate) fn signal(mut self, signal: u32) -> Self {
        self.stop_signal = Signal::try_from(signal).ok();
        self
    }

    /// The stop signal came again, so often.
    pub(crate) fn with_repeats(mut self, times: u32) -> Self {
        self.repeated = times;
        self
    }

    pub(crate) fn with_exit(mut self, status: u8) -> Self {
        self.exit = Some(ExitStatus::Code(status));
        self
    }

    pub(crate) fn ended_by(mut self, signal: u32) -> Self {
        self.exit = Some(signalled(signal));
        self
    }

    pub(crate) fn killed(mut self, cause: KillCause) -> Self {
        self.kill = Some(cause);
        self.ended_by(KILL)
    }

    pub(crate) fn with_hook(mut self, hook: HookVerdict) -> Self {
        self.hook = Some(hook);
        self
    }

    pub(crate) fn finding(mut self, finding: FindingKind) -> Self {
        self.findings.push(finding);
        self
    }

    pub(crate) fn with_doubt(mut self, doubt: Doubt) -> Self {
        self.doubts.push(doubt);
        self
    }

    /// What this report says.
    pub(crate) fn from_report(report: &Report) -> Self {
        Self {
            outcome: report.outcome,
            trigger: report.trigger,
            hook: report.hook.as_ref().map(HookVerdict::from_hook),
            stop_signal: report.stop_signal.as_ref().map(|stop| stop.signal),
            repeated: report.stop_signals_repeated,
            kill: report.kill.as_ref().map(|kill| kill.cause),
            exit: report.exit.as_ref().map(|exit| exit.status),
            findings: report.findings.iter().map(|finding| finding.kind).collect(),
            doubts: report.doubts.clone(),
        }
    }

    /// Whether it is not sure because of this.
    pub(crate) fn doubts(&self, doubt: Doubt) -> bool {
        self.doubts.contains(&doubt)
    }

    /// The exit code that a container runtime shows for such an end.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        Some(match self.exit? {
            ExitStatus::Code(code) => i32::from(code),
            ExitStatus::Signal { signal, .. } => {
                128 + i32::try_from(u32::from(signal)).unwrap_or_default()
            }
        })
    }
}

fn signalled(signal: u32) -> ExitStatus {
    Signal::try_from(signal).map_or(ExitStatus::Code(0), |signal| ExitStatus::Signal {
        signal,
        core_dumped: false,
    })
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.outcome)?;
        if self.trigger != Trigger::Stopped {
            write!(f, "/{:?}", self.trigger)?;
        }
        if let Some(hook) = &self.hook {
            write!(f, ", {hook}")?;
        }
        if let Some(signal) = self.stop_signal {
            write!(f, ", {signal}")?;
        }
        if self.repeated > 0 {
            write!(f, " +{}", self.repeated)?;
        }
        if let Some(cause) = self.kill {
            write!(f, ", SIGKILL ({cause:?})")?;
        }
        match self.exit_code() {
            Some(code) => write!(f, ", exit {code}")?,
            None => f.write_str(", no exit")?,
        }
        for finding in &self.findings {
            write!(f, ", !{finding:?}")?;
        }
        for doubt in &self.doubts {
            write!(f, ", ?{doubt:?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for HookVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hook")?;
        match self.status {
            Some(ExitStatus::Code(code)) => write!(f, " exit {code}")?,
            Some(ExitStatus::Signal { signal, .. }) => write!(f, " {signal}")?,
            None => {}
        }
        if let Some(failure) = self.failure {
            write!(f, " {failure:?}")?;
        }
        if self.running_at_stop_signal {
            f.write_str(" running at Ts")?;
        }
        if self.ended_by_container {
            f.write_str(" ended by container")?;
        }
        Ok(())
    }
}
