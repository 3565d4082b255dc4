//! docs/overhead.md, written from one run.

use std::fs;
use std::thread::available_parallelism;

use crate::aims;
use crate::cost::Cost;
use crate::flood::Flood;
use crate::footprint::{self, Footprint};
use crate::remembered::Remembered;
use crate::resets::Resets;
use crate::slowdown::Slowdown;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) cost: Cost,
    pub(crate) slowdown: Slowdown,
    pub(crate) footprint: Vec<Footprint>,
    pub(crate) flood: Flood,
    pub(crate) resets: Resets,
    pub(crate) remembered: Remembered,
    /// Rounds that began although others used the machine.
    pub(crate) disturbed: u32,
}

impl Page {
    /// The page.
    pub(crate) fn document(&self) -> String {
        format!(
            "# Overhead\n\n\
             What the agent costs. Written by `cargo xtask bench --write-docs` from one run on {}.\n\
             Times depend on the machine; the ratios are what to compare. After a median, in parentheses, stand the ends of the\n\
             middle half of all rounds.{}\n\n{}",
            machine(),
            self.disturbance(),
            self.results()
        )
    }

    /// Whether somebody else used the machine.
    fn disturbance(&self) -> String {
        match self.disturbed {
            0 => " Every round began on a machine that was idle otherwise.".to_owned(),
            disturbed => format!(" {disturbed} rounds began while others used the machine."),
        }
    }

    /// The tables, with how to read them.
    pub(crate) fn results(&self) -> String {
        [
            format!("## Aims\n\n{}", aims::aims_table(self)),
            self.per_event(),
            self.storms(),
            format!(
                "## The agent's process\n\n\
                 Each container is a cgroup with one process. All get SIGTERM at once and are removed; each is a report. 2000 are more than\n\
                 a node has.\n\
                 The start takes most memory for a moment, to read the kernel's type information.\n\n{}",
                footprint::footprint_table(&self.footprint)
            ),
            self.losses(),
            self.resets(),
            self.remembered.section(),
        ]
        .join("\n")
    }

    fn per_event(&self) -> String {
        let lost = match self.cost.lost {
            0 => String::new(),
            lost => format!(
                "\n{lost} records found no room while this was measured, so what is recorded costs more than is said here.\n"
            ),
        };
        format!(
            "## Per event\n\n\
             Run time by the kernel's own accounting (`bpf_stats`) against an empty program on the same hook, the same work done\n\
             with either in turn; {} rounds. The accounting itself is most of the empty program's time, in both.\n\n\
             * *passed over*: nothing of it is looked up. This is what the rest of the machine pays.\n\
             * *looked up*, *counted*: in a tracked container, but nothing to tell one by one. A refused connection has no socket to\n  \
               tell whose it is, so its port is looked up wherever it is.\n\
             * *recorded*: a record for the agent, with the facts of the processes. Every new cgroup is recorded: only the\n  \
               agent can tell which is a container. Cgroups are made and removed a few times a second at the most.\n\n\
             {}{lost}\n\
             In an untracked storm of fork, exec and exit, {:.2} % of the time is spent in the programs, the accounting included.\n",
            self.cost.rounds,
            self.cost.to_table(),
            self.cost.share.median * 100.0
        )
    }

    fn storms(&self) -> String {
        let Slowdown {
            rounds,
            processes,
            signals,
            ..
        } = self.slowdown;
        format!(
            "## Storms\n\n\
             The same work as a ratio to nothing loaded, in the same round: {processes} processes one after another, each the\n\
             smallest program there is, or {signals} signals, on one CPU, in short runs of which a fast one counts, because others\n\
             only make them slower; {rounds} rounds in a changing order, {} processes in all with each load. *Nothing* once more\n\
             shows how far a ratio can be trusted. A signal that is ignored is the shortest way through a hook that there is, so\n\
             that its row is the worst case: most of it is the price of any program on the hook, see *empty programs*. CPU time\n\
             is that of the storm's own processes.\n\n{}",
            u64::from(processes) * rounds as u64,
            self.slowdown.to_table()
        )
    }

    fn losses(&self) -> String {
        let flood = &self.flood;
        format!(
            "## Losses\n\n\
             {} processes forked and exited in {:.1} s, which is {:.0} exits a second, one half of them in a tracked container.\n\
             Meanwhile {} containers were terminated: {} reports, {} records, of which {} were lost.\n",
            flood.exits,
            flood.took.as_secs_f64(),
            flood.per_second(),
            flood.terminated,
            flood.reported,
            flood.records,
            flood.lost
        )
    }

    fn resets(&self) -> String {
        let resets = &self.resets;
        format!(
            "## A flood of resets\n\n\
             {} connections of a tracked container over the loopback interface were reset in {:.1} s, both ends its own: {:.0} resets\n\
             a second, sent and received. Counted were {} sent and {} received; {} records were lost. The agent took {:.0} ms of CPU\n\
             time for it, which is {:.2} % of one CPU.\n",
            resets.connections,
            resets.took.as_secs_f64(),
            resets.per_second(),
            resets.sent,
            resets.received,
            resets.lost,
            resets.cpu.as_secs_f64() * 1e3,
            resets.cpu_share() * 100.0
        )
    }
}

/// The machine in words.
fn machine() -> String {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let is_virtual = fs::read_to_string("/proc/cpuinfo")
        .unwrap_or_default()
        .lines()
        .any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    let kind = if is_virtual {
        "a virtual machine"
    } else {
        "a machine"
    };
    let cpus = available_parallelism().map_or(1, usize::from);
    format!(
        "{kind} with {cpus} CPUs ({}), Linux {release}",
        std::env::consts::ARCH
    )
}
