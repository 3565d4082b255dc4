//! What the engine is set up with: which cgroups are subjects, what is known of them, and the bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::stop_signals;

/// Everything the engine is set up with. The journal's first line holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct Config {
    /// Whether systemd services and scopes are subjects.
    pub systemd: bool,
    /// Whether containers of Docker, podman, containerd and CRI-O are subjects.
    pub containers: bool,
    /// Cgroups that are subjects because a glob names them, with what is known of them. The first that matches counts;
    /// it also gives grace, stop signal and hook to a systemd unit or container whose path it matches.
    pub selectors: Vec<Selector>,
    /// Whether pods are told, so that their containers wait for them.
    #[serde(default)]
    pub pods: bool,
    /// The kernel's reasons for a reset by number, as reports name them; none where connections are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_reasons: Option<BTreeMap<u32, String>>,
    /// Whether [`crate::output::Effect::FindRemaining`] is answered. Journals of agents that did not know it say nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remaining: bool,
    /// The bounds.
    pub limits: Limits,
}

/// A glob over cgroup paths, and what is known of the subjects it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Over the path below the root of the v2 hierarchy, starting with `/`: `*` stays inside one part, `**` does not.
    pub cgroup: String,
    /// The grace period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
    /// The stop signal, if it is not SIGTERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// The command line of the preStop exec hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_stop: Option<Vec<String>>,
}

/// Globs that there can be: every new cgroup is compared with each.
const GLOBS_MAX: usize = 1000;

/// The longest path that the kernel takes.
const GLOB_BYTES_MAX: usize = 4096;

/// The bounds of everything that could grow, and the engine's waiting times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Containers tracked at once.
    pub containers_max: usize,
    /// Processes from outside remembered per container.
    pub processes_max: usize,
    /// How long a termination stays open for late facts after the container is released, or, if its cgroup lives on,
    /// after the main process's exit.
    pub tail: Duration,
    /// How long after SIGKILL a process that does not exit is called stuck.
    pub stuck_after: Duration,
    /// Pods remembered at once.
    #[serde(default = "pods_max")]
    pub pods_max: usize,
    /// How long the report of a pod's container waits for the pod, after the termination is over.
    #[serde(default = "pod_wait")]
    pub pod_wait: Duration,
    /// How long it waits for the kubelet's word on why it was stopped, where nothing else tells.
    #[serde(default = "reason_wait")]
    pub reason_wait: Duration,
}

const fn pods_max() -> usize {
    2048
}

const fn pod_wait() -> Duration {
    Duration::from_secs(15)
}

const fn reason_wait() -> Duration {
    Duration::from_secs(3)
}

impl Default for Limits {
    /// 4096 containers (a node runs some hundreds), 256 processes, 1 s, 10 s; 2048 pods, 15 s, 3 s.
    fn default() -> Self {
        Self {
            containers_max: 4096,
            processes_max: 256,
            tail: Duration::from_secs(1),
            stuck_after: Duration::from_secs(10),
            pods_max: pods_max(),
            pod_wait: pod_wait(),
            reason_wait: reason_wait(),
        }
    }
}

/// The longest time that a journal can have something wait for. This version waits for seconds.
const WAIT_MAX: Duration = Duration::from_hours(1);

impl Limits {
    /// The same, but for what goes beyond the limits of this version: a journal is somebody else's file.
    pub(crate) fn clamped(self) -> Self {
        let most = Self::default();
        Self {
            containers_max: self.containers_max.min(most.containers_max),
            processes_max: self.processes_max.min(most.processes_max),
            tail: self.tail.min(WAIT_MAX),
            stuck_after: self.stuck_after.min(WAIT_MAX),
            pods_max: self.pods_max.min(most.pods_max),
            pod_wait: self.pod_wait.min(WAIT_MAX),
            reason_wait: self.reason_wait.min(WAIT_MAX),
        }
    }

    /// # Errors
    /// [`ConfigError::ZeroLimit`] names the bound that is 0.
    pub(crate) const fn validate(&self) -> Result<(), ConfigError> {
        if self.containers_max == 0 {
            return Err(ConfigError::ZeroLimit("containers_max"));
        }
        if self.processes_max == 0 {
            return Err(ConfigError::ZeroLimit("processes_max"));
        }
        if self.pods_max == 0 {
            return Err(ConfigError::ZeroLimit("pods_max"));
        }
        Ok(())
    }
}

impl Config {
    /// # Errors
    /// If there are too many globs, or one is too long.
    pub(crate) fn check_globs(&self) -> Result<(), ConfigError> {
        const SHOWN: usize = 40;
        if self.selectors.len() > GLOBS_MAX {
            return Err(ConfigError::TooManyGlobs(self.selectors.len()));
        }
        let mut numbered = self.selectors.iter().zip(1..);
        match numbered.find(|(one, _number)| one.cgroup.len() > GLOB_BYTES_MAX) {
            Some((long, number)) => Err(ConfigError::LongGlob {
                number,
                begin: long.cgroup.chars().take(SHOWN).collect(),
            }),
            None => Ok(()),
        }
    }

    /// Every signal that may be worth a record to some subject: what [`crate::output::Effect::Track`] can name.
    ///
    /// Any signal may stop a container; two that the kernel and Go's runtime send all the time are left out unless one of
    /// them is configured.
    pub fn signals(&self) -> Vec<Signal> {
        let mut signals = stop_signals::recorded(None);
        signals.extend(self.selectors.iter().filter_map(|one| one.stop_signal));
        signals.sort_unstable();
        signals.dedup();
        signals
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A glob that is none.
    #[error(
        "glob {number}, `{glob}`, is wrong at character {position}: {problem}; `*` stays inside one part of the path, `**` stands for whole parts"
    )]
    Glob {
        /// Which, counted from 1.
        number: usize,
        /// The glob.
        glob: String,
        /// Where in it, counted from 1.
        position: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A glob that can match no path, since it does not start with `/`.
    #[error(
        "glob {number}, `{glob}`, does not start with `/`; give the path below the root of the cgroup tree, such as /system.slice/*.service"
    )]
    RelativeGlob {
        /// Which, counted from 1.
        number: usize,
        /// The glob.
        glob: String,
    },
    /// More globs than can be compared with every new cgroup.
    #[error(
        "there are {0} globs, and {GLOBS_MAX} are the most; let one stand for several, as `/demo/*` does"
    )]
    TooManyGlobs(usize),
    /// A glob that is longer than the paths that it is for.
    #[error(
        "glob {number}, which begins with `{begin}`, is longer than any path of a cgroup, {GLOB_BYTES_MAX} bytes; shorten it"
    )]
    LongGlob {
        /// Which, counted from 1.
        number: usize,
        /// Its first characters.
        begin: String,
    },
    /// A hook without a command.
    #[error(
        "the preStop command of glob {number}, `{glob}`, is empty; give its words or leave it out"
    )]
    EmptyHook {
        /// Which, counted from 1.
        number: usize,
        /// The glob.
        glob: String,
    },
    /// A bound of 0.
    #[error("the limit {0} is 0, with which nothing could be measured; give at least 1")]
    ZeroLimit(&'static str),
}
