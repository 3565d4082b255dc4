//! The agent's programs and the empty ones, loaded into the kernel one after the other, and what the kernel accounts
//! for each of their runs.

use std::collections::BTreeMap;
use std::fmt;
use std::thread::JoinHandle;
use std::time::Duration;

use agent_common::global::PROGRAMS;
use agent_core::signal::Signal;
use anyhow::{Context as _, Result, anyhow};
use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf};
use gracewatch::probes::{Counters, Options, Probes, Programs, Ring, Signals, Sockets, Tracker};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Large enough that nothing is lost even if nobody reads during a storm: what is lost costs less.
const RING_BYTES: u32 = 16 << 20;

/// Signals that are asked for: what `gracewatch run` asks for, all but SIGCHLD and SIGURG.
fn signals() -> u64 {
    let passed_over = [17, 23]
        .into_iter()
        .filter_map(|number| Signal::try_from(number).ok());
    !passed_over.fold(0, |mask, signal| mask | signal.mask_bit())
}

/// What the kernel accounted, by program.
pub(crate) type Accounts = BTreeMap<&'static str, Account>;

/// Of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) run_time: Duration,
    pub(crate) runs: u64,
}

impl Account {
    /// What was added since.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            run_time: self.run_time.saturating_sub(earlier.run_time),
            runs: self.runs.saturating_sub(earlier.runs),
        }
    }

    /// Nanoseconds of a run; `None` if there was none.
    pub(crate) fn per_run(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let (time, runs) = (self.run_time.as_nanos() as f64, self.runs as f64);
        (self.runs > 0).then(|| time / runs)
    }
}

/// Programs that do nothing, attached; dropping it detaches them.
pub(crate) struct Empty(Ebpf);

impl fmt::Debug for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Empty").finish_non_exhaustive()
    }
}

impl Empty {
    /// `object`: the bytes of the object of empty programs.
    pub(crate) fn attach(object: &[u8], btf: &Btf) -> Result<Self> {
        let mut ebpf = Ebpf::load(object).context("the object of empty programs is broken")?;
        let names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let program = ebpf.program_mut(&name).context("a program vanished")?;
            let program: &mut BtfTracePoint = program.try_into()?;
            program
                .load(&name, btf)
                .and_then(|()| program.attach().map(drop))
                .with_context(|| format!("the kernel refuses the empty program on {name}"))?;
        }
        Ok(Self(ebpf))
    }

    pub(crate) fn accounts(&self) -> Result<Accounts> {
        let mut accounts = Accounts::new();
        for program in PROGRAMS {
            if let Some(loaded) = self.0.program(program.name) {
                let info = loaded.info()?;
                let account = Account {
                    run_time: info.run_time(),
                    runs: info.run_count(),
                };
                accounts.insert(program.name, account);
            }
        }
        Ok(accounts)
    }
}

/// The agent's programs, attached by the agent's own loader, and somebody who reads their records.
#[derive(Debug)]
pub(crate) struct Ours {
    programs: Programs,
    pub(crate) tracker: Tracker,
    sockets: Sockets,
    counters: Counters,
    reader: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Ours {
    pub(crate) fn attach() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let entered = runtime.enter();
        let probes = Probes::load(&Options {
            ring_bytes: RING_BYTES,
            signals: signals(),
            log: false,
        })?;
        drop(entered);
        Ok(Self {
            programs: probes.programs,
            tracker: probes.tracker,
            sockets: probes.sockets,
            counters: probes.counters,
            reader: Some(read_on(runtime, probes.ring)?),
        })
    }

    /// Tracks a container with a main process.
    pub(crate) fn track_container(&mut self, container: u64, main: u32) -> Result<()> {
        let signals = Signals {
            recorded: signals(),
            beginning: Signal::TERM.mask_bit() | Signal::KILL.mask_bit(),
        };
        self.tracker
            .track_container((container, container), &[], signals)?;
        self.sockets.add(container)?;
        Ok(self.tracker.watch_process(main, container)?)
    }

    /// Resets that were counted of a container.
    pub(crate) fn resets(&mut self, container: u64) -> Result<u64> {
        let counts = self.sockets.read(container)?;
        let counts = counts.context("connections are not counted")?;
        Ok(counts.resets.iter().map(|(_, count)| count).sum())
    }

    pub(crate) fn accounts(&self) -> Accounts {
        let stats = self.programs.run_stats().into_iter();
        stats
            .map(|stats| {
                let account = Account {
                    run_time: stats.run_time,
                    runs: stats.runs,
                };
                (stats.name, account)
            })
            .collect()
    }

    /// Records that found no room, of all kinds.
    pub(crate) fn lost_records(&self) -> Result<u64> {
        Ok(self.counters.read()?.lost.values().sum())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.reader.take() {
            drop(stop);
            thread.join().ok();
        }
    }
}

/// Reads all records on a thread of its own and throws them away.
fn read_on(runtime: Runtime, mut ring: Ring) -> Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    let (stop, mut stopped) = oneshot::channel();
    let read = async move {
        loop {
            tokio::select! {
                // The sender is dropped to stop it.
                _ = &mut stopped => break,
                batch = ring.next_batch(|_record| ()) => {
                    if batch.is_err() {
                        break;
                    }
                }
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || runtime.block_on(read))
        .map_err(|error| anyhow!("cannot start a thread: {error}"))?;
    Ok((stop, thread))
}
