//! What the agent's process takes: CPU time and memory, with no container and with many, idle and when they end at once.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use gracewatch_tests::process_status::{self, processor_time};
use gracewatch_tests::whole::Whole;

use crate::crowd::{Crowd, agent_for, reported, tracked, wait_for};
use crate::print_progress;
use crate::quiet::Quiet;
use crate::stage::Stage;
use crate::table;

/// How long the agent has after all have ended: its timers are shorter.
const SETTLED: Duration = Duration::from_secs(5);

/// Memory of the agent in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Resident at the most, since its start.
    pub(crate) peak: u64,
    /// Of its maps and programs in the kernel.
    pub(crate) kernel: u64,
}

/// What was found with so many containers.
#[derive(Debug)]
pub(crate) struct Footprint {
    pub(crate) containers: usize,
    pub(crate) started: Memory,
    /// CPU time of the start, until it was ready.
    pub(crate) start: Duration,
    /// CPU time per second while nothing happens.
    pub(crate) idle: f64,
    pub(crate) ended: Ended,
}

/// After they ended at once.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) memory: Memory,
    /// CPU time of all of that.
    pub(crate) cpu: Duration,
    pub(crate) records: f64,
    pub(crate) terminations: f64,
    pub(crate) lost: f64,
}

pub(crate) fn measure(stage: &Stage, quiet: &mut Quiet, quick: bool) -> Result<Vec<Footprint>> {
    let (sizes, idle) = if quick {
        (vec![0, 50], Duration::from_secs(3))
    } else {
        (vec![0, 500, 2000], Duration::from_secs(20))
    };
    let mut found = Vec::new();
    for size in sizes {
        quiet.wait_until_quiet()?;
        print_progress(&format!("footprint with {size} containers"));
        let mut crowd = Crowd::gather(stage, "crowd", size)?;
        found.push(measure_one(stage, quiet, &mut crowd, idle)?);
    }
    Ok(found)
}

fn measure_one(
    stage: &Stage,
    quiet: &Quiet,
    crowd: &mut Crowd,
    idle: Duration,
) -> Result<Footprint> {
    let containers = crowd.len();
    let agent = agent_for(stage, "crowd")?;
    let pid = agent.pid();
    wait_for(&agent, as_number(containers), tracked)?;
    let (start, started) = (processor_time(pid)?, Memory::of_process(pid)?);
    quiet.sleep_for(idle)?;
    let idle = processor_time(pid)?.saturating_sub(start).as_secs_f64() / idle.as_secs_f64();
    let ended = measure_end(&agent, quiet, crowd)?;
    agent.stop()?;
    Ok(Footprint {
        containers,
        started,
        start,
        idle,
        ended,
    })
}

fn measure_end(agent: &Whole, quiet: &Quiet, crowd: &mut Crowd) -> Result<Ended> {
    let records = || agent.metric("gracewatch_records_total", "");
    let (wanted, told, cpu) = (
        as_number(crowd.len()),
        records()?,
        processor_time(agent.pid())?,
    );
    crowd.terminate()?;
    // Without asking for its metrics all the time, which costs it, too.
    quiet.sleep_for(SETTLED)?;
    let cpu = processor_time(agent.pid())?.saturating_sub(cpu);
    wait_for(agent, wanted, reported)?;
    Ok(Ended {
        cpu,
        records: records()? - told,
        terminations: reported(agent)?,
        lost: agent.metric("gracewatch_records_lost_total", "")?,
        memory: Memory::of_process(agent.pid())?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn as_number(containers: usize) -> f64 {
    containers as f64
}

impl Memory {
    fn of_process(pid: u32) -> Result<Self> {
        let process = pid.to_string();
        Ok(Self {
            resident: process_status::read_bytes(&process, "VmRSS")?,
            peak: process_status::read_bytes(&process, "VmHWM")?,
            kernel: kernel_memory(pid)?,
        })
    }
}

/// What the kernel charges for the maps and programs that the process holds, each once.
fn kernel_memory(pid: u32) -> Result<u64> {
    let mut charged = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A connection that is closed in this instant is none of them.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim().to_owned())
        };
        let name = field("map_id:")
            .map(|id| format!("map {id}"))
            .or_else(|| field("prog_id:").map(|id| format!("program {id}")));
        if let (Some(name), Some(bytes)) = (name, field("memlock:")) {
            charged.insert(name, bytes.parse::<u64>()?);
        }
    }
    Ok(charged.values().sum())
}

/// The table, in Markdown.
pub(crate) fn footprint_table(footprints: &[Footprint]) -> String {
    let sizes: Vec<String> = footprints
        .iter()
        .map(|of| format!(">{} containers", of.containers))
        .collect();
    let headings: Vec<&str> = std::iter::once("")
        .chain(sizes.iter().map(String::as_str))
        .collect();
    let rows = LINES.map(|(name, value)| {
        let values = footprints.iter().map(value);
        std::iter::once(name.to_owned()).chain(values).collect()
    });
    table::render_table(&headings, &rows)
}

type Line = (&'static str, fn(&Footprint) -> String);

const LINES: [Line; 10] = [
    ("resident memory after the start", |of| {
        mebibytes(of.started.resident)
    }),
    ("resident memory after all have ended", |of| {
        mebibytes(of.ended.memory.resident)
    }),
    ("peak of resident memory, the start included", |of| {
        mebibytes(of.ended.memory.peak)
    }),
    ("memory of maps and programs in the kernel", |of| {
        mebibytes(of.ended.memory.kernel)
    }),
    ("CPU time of the start", |of| milliseconds(of.start)),
    ("CPU time while nothing happens", |of| {
        format!("{:.2} ms a second", of.idle * 1e3)
    }),
    ("CPU time of all ending at once", |of| {
        milliseconds(of.ended.cpu)
    }),
    ("… per 1000 terminations", |of| {
        per_thousand(of.ended.cpu, of.ended.terminations)
    }),
    ("… per 1000 records", |of| {
        per_thousand(of.ended.cpu, of.ended.records)
    }),
    ("terminations reported, records lost", |of| {
        format!("{}, {}", of.ended.terminations, of.ended.lost)
    }),
];

/// Bytes, as people read them.
pub(crate) fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{mebibytes:.1} MiB")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn per_thousand(time: Duration, count: f64) -> String {
    if count > 0.0 {
        format!("{:.0} ms", time.as_secs_f64() * 1e6 / count)
    } else {
        "-".to_owned()
    }
}
