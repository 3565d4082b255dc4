//! Loads the embedded probes for the running kernel and attaches them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use agent_common::global::{Hook, Program, SIGNALS};
use agent_common::map::EVENTS;
use aya::programs::{BtfTracePoint, FEntry, ProgramError};
use aya::{Btf as AyaBtf, Ebpf, EbpfLoader, Endianness};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::failure::{self, LoadError};
use super::layout::Layout;
use super::log::{self, ProbeLog};
use super::maps::{Counters, Tracker};
use super::memory;
use super::object;
use super::ring::Ring;
use super::sockets::Sockets;
use super::tcp_features::{TcpFeature, TcpVisibility};

/// How to load the probes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of the ring buffer in bytes: a power of two and of whole pages.
    pub ring_bytes: u32,
    /// Signals that may matter to any container, bit n-1 for signal n. All others are passed over
    /// before anything else is looked at.
    pub signals: u64,
    /// Whether the probes log what they do (at level debug, by aya-log).
    pub log: bool,
}

/// The probes, attached. The parts go to whoever needs them; the programs stay attached as long as
/// [`Programs`] lives.
#[derive(Debug)]
pub struct Probes {
    /// The programs, which keep the rest alive.
    pub programs: Programs,
    /// Whom the kernel side looks at.
    pub tracker: Tracker,
    /// The connections that the kernel side counts.
    pub sockets: Sockets,
    /// What the kernel side counted of itself.
    pub counters: Counters,
    /// The records.
    pub ring: Ring,
    /// What the probes log, if they do.
    pub log: Option<ProbeLog>,
}

/// A program and what became of it.
#[derive(Clone, Debug)]
pub struct ProgramState {
    /// The program, as the contract describes it.
    pub program: Program,
    /// Why it is not attached; `None` if it is.
    pub refused: Option<String>,
}

/// What the kernel accounts for a program while `kernel.bpf_stats_enabled` is 1; else all zero.
#[derive(Clone, Copy, Debug)]
pub struct RunStats {
    /// The program's name.
    pub name: &'static str,
    /// Time spent in it, on all CPUs.
    pub run_time: Duration,
    /// How often it ran.
    pub runs: u64,
}

/// The programs. Dropping this detaches them.
pub struct Programs {
    ebpf: Ebpf,
    states: Vec<ProgramState>,
    tcp_features: TcpVisibility,
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Programs")
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

impl Programs {
    /// Every program of the object that this kernel has a hook for, attached or not.
    pub fn states(&self) -> &[ProgramState] {
        &self.states
    }

    /// What can be seen of connections on this kernel, and what cannot.
    pub fn tcp_features(&self) -> Vec<(TcpFeature, bool)> {
        self.tcp_features.feature_visibility(&self.states)
    }

    /// The kernel's reasons for a reset by number, for [`agent_core::config::Config::reset_reasons`]: empty if it has none, and
    /// `None` if connections and resets are not counted.
    pub fn reset_reasons(&self) -> Option<BTreeMap<u32, String>> {
        self.tcp_features.reasons(&self.states)
    }

    /// What the kernel accounts for the attached programs.
    pub fn run_stats(&self) -> Vec<RunStats> {
        let attached = self.states.iter().filter(|state| state.refused.is_none());
        attached
            .filter_map(|state| {
                let name = state.program.name;
                let info = self.ebpf.program(name)?.info().ok()?;
                Some(RunStats {
                    name,
                    run_time: info.run_time(),
                    runs: info.run_count(),
                })
            })
            .collect()
    }
}

impl Probes {
    /// Loads and attaches. Takes about a tenth of a second, and some 20 MiB that it gives back.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has I/O enabled.
    pub fn load(options: &Options) -> Result<Self, LoadError> {
        let (mut ebpf, states, tcp_features) = load_and_attach(options)?;
        memory::give_back();
        Ok(Self {
            tracker: Tracker::from_ebpf(&mut ebpf)?,
            sockets: Sockets::from_ebpf(&mut ebpf)?,
            counters: Counters::from_ebpf(&mut ebpf)?,
            ring: Ring::from_ebpf(&mut ebpf)?,
            log: options
                .log
                .then(|| ProbeLog::from_ebpf(&mut ebpf))
                .transpose()?,
            programs: Programs {
                ebpf,
                states,
                tcp_features,
            },
        })
    }
}

fn load_and_attach(
    options: &Options,
) -> Result<(Ebpf, Vec<ProgramState>, TcpVisibility), LoadError> {
    let object = object::embedded()?;
    check_ring_size(options.ring_bytes)?;
    let log_level = log::log_level(options.log);
    // The loader parses the kernel's BTF, for relocations of which our object has none. That takes
    // most of the memory, so it comes first and what it took is free for the rest.
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    let layout = Layout::of_kernel()?;
    memory::give_back();
    raise_memory_limit();

    for (name, value) in &layout.globals {
        loader.override_global(name, value, true);
    }
    loader.override_global(SIGNALS, &options.signals, true);
    loader.override_global(aya_log::LEVEL, &log_level, true);
    loader.map_max_entries(EVENTS, options.ring_bytes);
    if !options.log {
        loader.map_max_entries(log::MAP, log::unused_bytes());
    }
    let mut ebpf = loader.load(object).map_err(LoadError::from_object)?;
    let states = attach_all(&mut ebpf, &layout)?;
    Ok((ebpf, states, layout.tcp_features))
}

fn check_ring_size(bytes: u32) -> Result<(), LoadError> {
    let whole_pages = usize::try_from(bytes)
        .is_ok_and(|bytes| bytes >= rustix::param::page_size() && bytes.is_power_of_two());
    if whole_pages {
        Ok(())
    } else {
        Err(LoadError::RingSize(bytes))
    }
}

/// Before 5.11 the kernel charges maps to `RLIMIT_MEMLOCK`, whose default is 64 KiB.
fn raise_memory_limit() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        // Newer kernels do not need it; if this one does, the refusal that follows says so.
        tracing::debug!(%error, "RLIMIT_MEMLOCK stays as it is");
    }
}

/// Has the kernel check all programs before the first is attached.
fn attach_all(ebpf: &mut Ebpf, layout: &Layout) -> Result<Vec<ProgramState>, LoadError> {
    let btf = AyaBtf::parse(&layout.hooks, Endianness::default())
        .map_err(|error| LoadError::Object(Box::new(error)))?;
    let mut states = Vec::new();
    for (program, has_hook) in &layout.programs {
        let refused = match has_hook {
            Ok(()) => try_step(ebpf, program, |loaded| {
                loaded.load_program(program.hook, &btf)
            })?,
            Err(reason) => Some(reason.clone()),
        };
        states.push(ProgramState {
            program: *program,
            refused,
        });
    }
    drop(btf);
    for state in &mut states {
        if state.refused.is_none() {
            state.refused = try_step(ebpf, &state.program, |loaded| match loaded {
                Attachable::Tracepoint(program) => program.attach().map(drop),
                Attachable::Function(program) => program.attach().map(drop),
            })?;
        }
    }
    Ok(states)
}

/// A program of one of the kinds that there are.
enum Attachable<'a> {
    Tracepoint(&'a mut BtfTracePoint),
    Function(&'a mut FEntry),
}

impl<'a> Attachable<'a> {
    fn find_program(ebpf: &'a mut Ebpf, program: &Program) -> Result<Self, LoadError> {
        let missing = || LoadError::Missing(program.name);
        let found = ebpf.program_mut(program.name).ok_or_else(missing)?;
        match program.hook {
            Hook::Tracepoint(_) => found.try_into().map(Self::Tracepoint),
            Hook::Function(_) => found.try_into().map(Self::Function),
        }
        .map_err(|_other_type| missing())
    }

    fn load_program(&mut self, hook: Hook, btf: &AyaBtf) -> Result<(), ProgramError> {
        match self {
            Self::Tracepoint(program) => program.load(hook.name(), btf),
            Self::Function(program) => program.load(hook.name(), btf),
        }
    }
}

/// One step with a program; the reason if an optional one fails.
fn try_step(
    ebpf: &mut Ebpf,
    program: &Program,
    action: impl FnOnce(&mut Attachable<'_>) -> Result<(), ProgramError>,
) -> Result<Option<String>, LoadError> {
    let mut found = Attachable::find_program(ebpf, program)?;
    let Err(error) = action(&mut found) else {
        return Ok(None);
    };
    if let Some(refused) = LoadError::refused(program.name, &error) {
        return Err(refused);
    }
    let reason = failure::in_short(&error);
    if program.required {
        return Err(LoadError::Program {
            name: program.name,
            purpose: program.purpose,
            reason,
        });
    }
    Ok(Some(reason))
}
