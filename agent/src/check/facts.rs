//! The facts that a pre-flight check rests on, read from the running machine. Nothing is judged here.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::{LimitValue, Process};

use crate::cgroups::Tree;
use crate::open_files;
use crate::probes::{self, LoadError, Options, ProgramState, Survey, TcpFeature};
use crate::processes;

/// The facts.
#[derive(Debug)]
pub(super) struct HostFacts {
    /// The kernel's release, as uname says.
    pub(super) release: String,
    /// Why the probes in this binary cannot be used, if so.
    pub(super) built: Result<(), String>,
    /// What the kernel's BTF says.
    pub(super) survey: Result<Survey, String>,
    pub(super) lockdown: Lockdown,
    /// The effective capabilities, bit n for capability n.
    pub(super) capabilities: u64,
    /// The soft limit of locked memory in bytes; `None` for no limit.
    pub(super) memory_limit: Option<u64>,
    /// Where the cgroup v2 tree is, or why there is none.
    pub(super) tree: Result<CgroupTree, String>,
    /// Why /proc shows other pids than the kernel reports, if so.
    pub(super) pid_namespace: Result<(), String>,
    /// Whether /proc hides processes of others (`hidepid`).
    pub(super) proc_hides: bool,
    /// Where tracefs is mounted, if it is.
    pub(super) tracefs: Option<PathBuf>,
    /// Whether eBPF programs are compiled; `None` if the kernel does not say.
    pub(super) jit: Option<bool>,
    /// Whether the kernel accounts the programs' run time; `None` if it cannot.
    pub(super) run_stats: Option<bool>,
    pub(super) load: Load,
}

/// The mode of kernel lockdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lockdown {
    /// The kernel shows no mode: it was built without lockdown, or securityfs is not mounted.
    NotShown,
    /// No restriction.
    Off,
    /// The kernel must not be changed.
    Integrity,
    /// Nor read.
    Confidentiality,
}

/// A cgroup v2 tree.
#[derive(Debug)]
pub(super) struct CgroupTree {
    /// How many cgroups it holds.
    pub(super) cgroups: usize,
    /// Whether there are v1 hierarchies beside it.
    pub(super) hybrid: bool,
}

/// Whether the kernel took the probes.
#[derive(Debug)]
pub(super) enum Load {
    /// It was not asked, because the user did not want to.
    NotWanted,
    /// It was not asked, because the capabilities are missing.
    NotAllowed,
    /// It refused, and why.
    Refused(String),
    /// It attached those that have no reason to be refused.
    Attached {
        states: Vec<ProgramState>,
        /// What can be seen of connections with them.
        tcp_features: Vec<(TcpFeature, bool)>,
    },
}

pub(super) const CAP_SYS_PTRACE: u32 = 19;
pub(super) const CAP_SYS_ADMIN: u32 = 21;
pub(super) const CAP_SYS_RESOURCE: u32 = 24;
pub(super) const CAP_PERFMON: u32 = 38;
pub(super) const CAP_BPF: u32 = 39;

impl HostFacts {
    /// Reads the facts; loads and attaches the probes for a moment if that is wanted.
    pub(super) fn gather(cgroup_root: Option<&Path>, load: bool) -> Self {
        let mut facts = Self {
            release: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            built: probes::check_built().map_err(|error| sentence(&error)),
            survey: probes::survey().map_err(|error| sentence(&error)),
            lockdown: lockdown(),
            capabilities: effective_capabilities(),
            memory_limit: memory_limit(),
            tree: Tree::find(cgroup_root)
                .map(|tree| look_at(&tree))
                .map_err(|error| format!("{error:#}")),
            pid_namespace: processes::check_namespace().map_err(|error| format!("{error:#}")),
            proc_hides: proc_hides(),
            tracefs: mounted("tracefs"),
            jit: read_flag("/proc/sys/net/core/bpf_jit_enable"),
            run_stats: read_flag("/proc/sys/kernel/bpf_stats_enabled"),
            load: Load::NotWanted,
        };
        if load {
            facts.load = if facts.may_load() {
                try_to_load()
            } else {
                Load::NotAllowed
            };
        }
        facts
    }

    pub(super) const fn has_capability(&self, capability: u32) -> bool {
        self.capabilities & 1 << capability != 0
    }

    /// Whether the capabilities suffice to load tracing programs.
    pub(super) const fn may_load(&self) -> bool {
        self.has_capability(CAP_SYS_ADMIN)
            || self.has_capability(CAP_BPF) && self.has_capability(CAP_PERFMON)
    }
}

/// An error with its causes in one line.
fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The mode in force stands in brackets: <https://docs.kernel.org/admin-guide/LSM/index.html>.
fn lockdown() -> Lockdown {
    let modes = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if modes.contains("[confidentiality]") {
        Lockdown::Confidentiality
    } else if modes.contains("[integrity]") {
        Lockdown::Integrity
    } else if modes.contains("[none]") {
        Lockdown::Off
    } else {
        Lockdown::NotShown
    }
}

fn effective_capabilities() -> u64 {
    Process::myself()
        .and_then(|process| process.status())
        .map_or(0, |status| status.capeff)
}

fn memory_limit() -> Option<u64> {
    let limits = Process::myself()
        .and_then(|process| process.limits())
        .ok()?;
    match limits.max_locked_memory.soft_limit {
        LimitValue::Unlimited => None,
        LimitValue::Value(bytes) => Some(bytes),
    }
}

fn look_at(tree: &Tree) -> CgroupTree {
    CgroupTree {
        cgroups: tree.scan().cgroups.len(),
        hybrid: mounted("cgroup").is_some(),
    }
}

/// The first mount of a file system of this type.
fn mounted(file_system: &str) -> Option<PathBuf> {
    let mounts = Process::myself()
        .and_then(|process| process.mountinfo())
        .ok()?;
    mounts
        .into_iter()
        .find(|mount| mount.fs_type == file_system)
        .map(|mount| mount.mount_point)
}

fn proc_hides() -> bool {
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    mounts.is_ok_and(|mounts| {
        mounts
            .into_iter()
            .filter(|mount| mount.mount_point == Path::new("/proc"))
            .any(|mount| {
                let mode = mount.super_options.get("hidepid").cloned().flatten();
                mode.is_some_and(|mode| mode != "0" && mode != "off")
            })
    })
}

fn read_flag(path: &str) -> Option<bool> {
    Some(fs::read_to_string(path).ok()?.trim() != "0")
}

/// Loads and attaches the probes as the agent does, and lets them go.
fn try_to_load() -> Load {
    if let Err(error) = open_files::provide() {
        return Load::Refused(error.to_string());
    }
    let options = Options {
        ring_bytes: agent_common::map::EVENTS_BYTES,
        signals: agent_core::signal::Signal::KILL.mask_bit(),
        log: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let loaded = match &runtime {
        Ok(runtime) => {
            let _entered = runtime.enter();
            probes::Probes::load(&options).map(|probes| Load::Attached {
                states: probes.programs.states().to_vec(),
                tcp_features: probes.programs.tcp_features(),
            })
        }
        Err(error) => return Load::Refused(sentence(error)),
    };
    match loaded {
        Ok(attached) => attached,
        Err(error @ LoadError::Program { .. }) => Load::Refused(first_line(&sentence(&error))),
        Err(error) => Load::Refused(sentence(&error)),
    }
}

/// The verifier's log has thousands of lines, of which the first says the least wrong.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
