//! What a case is: what the agent is told of its pod, and what happens to it.

use std::time::Duration;

use agent_core::config::Selector;
use agent_core::signal::Signal;
use anyhow::Result;

use crate::check::Check;
use crate::stage::Stage;

/// What a pod's specification would tell the agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) grace: Duration,
    pub(crate) stop_signal: Option<u32>,
    pub(crate) pre_stop: Option<&'static [&'static str]>,
}

impl Known {
    /// The grace period and nothing else.
    pub(crate) const fn with_grace(seconds: u64) -> Self {
        Self {
            grace: Duration::from_secs(seconds),
            stop_signal: None,
            pre_stop: None,
        }
    }

    /// The grace period and the hook's command line.
    pub(crate) const fn with_hook(seconds: u64, command: &'static [&'static str]) -> Self {
        Self {
            pre_stop: Some(command),
            ..Self::with_grace(seconds)
        }
    }

    /// The grace period and a stop signal.
    pub(crate) const fn signal(seconds: u64, signal: u32) -> Self {
        Self {
            stop_signal: Some(signal),
            ..Self::with_grace(seconds)
        }
    }

    /// As an entry of the agent's subjects, for the containers that `glob` names.
    pub(crate) fn selector(&self, glob: String) -> Selector {
        Selector {
            cgroup: glob,
            grace: Some(self.grace),
            stop_signal: self
                .stop_signal
                .and_then(|number| Signal::try_from(number).ok()),
            pre_stop: self
                .pre_stop
                .map(|words| words.iter().map(|&word| word.to_owned()).collect()),
        }
    }
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) known: Known,
    pub(crate) run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    /// Whether it disturbs others, so that nothing may run beside it.
    pub(crate) alone: bool,
    /// Whether it needs the controller of memory, which a jail with cgroup v2 alone does not have on a machine with v1.
    pub(crate) limits_memory: bool,
}

impl Case {
    pub(crate) const fn new(
        name: &'static str,
        known: Known,
        run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    ) -> Self {
        Self {
            name,
            known,
            run,
            alone: false,
            limits_memory: false,
        }
    }

    pub(crate) const fn alone(self) -> Self {
        Self {
            alone: true,
            ..self
        }
    }

    pub(crate) const fn limits_memory(self) -> Self {
        Self {
            limits_memory: true,
            ..self
        }
    }
}
