//! How much slower the storms are with the agent: the same work in rounds, with nothing loaded, with the empty programs,
//! with the whole agent, and with nothing again, which shows how far the measurement can be trusted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::Btf;
use gracewatch_tests::whole::Whole;

use crate::print_progress;
use crate::probes::Empty;
use crate::quiet::Quiet;
use crate::ratio::Middle;
use crate::stage::Stage;
use crate::table::{render_table, yes_or_no};
use crate::work::Work;
use crate::worker::{Took, Worker};

const TERM: i32 = 15;
/// How often a storm rages in each round with each load.
const RUNS: u32 = 25;

/// What is loaded while a storm rages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    Nothing,
    Empty,
    Agent,
    /// Once more: the noise.
    NothingAgain,
}

const LOADS: [Load; 4] = [Load::Nothing, Load::Empty, Load::Agent, Load::NothingAgain];

/// A storm: whether it is signals (else fork, exec, exit), and whether it is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Storm {
    pub(crate) signals: bool,
    pub(crate) tracked: bool,
}

const STORMS: [Storm; 4] = [
    new_storm(false, false),
    new_storm(false, true),
    new_storm(true, false),
    new_storm(true, true),
];

const fn new_storm(signals: bool, tracked: bool) -> Storm {
    Storm { signals, tracked }
}

impl Storm {
    const fn description(self) -> &'static str {
        if self.signals {
            "SIGTERM to a process that ignores it"
        } else {
            "fork, exec, exit"
        }
    }
}

/// What was found for one storm and one load: times as a ratio to nothing loaded.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) storm: Storm,
    pub(crate) load: Load,
    pub(crate) wall: Middle,
    pub(crate) cpu: Middle,
}

#[derive(Debug)]
pub(crate) struct Slowdown {
    pub(crate) rows: Vec<Row>,
    pub(crate) rounds: usize,
    pub(crate) processes: u32,
    pub(crate) signals: u32,
}

type Times = BTreeMap<(Storm, Load), Took>;

pub(crate) fn measure(
    stage: &mut Stage,
    quiet: &mut Quiet,
    empty: &[u8],
    quick: bool,
) -> Result<Slowdown> {
    let (rounds, processes, signals) = if quick {
        (5, 25, 2_500)
    } else {
        (60, 50, 5_000)
    };
    let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
    let mut times = Vec::new();
    for round in 0..rounds {
        print_progress(&format!("slowdown: round {} of {rounds}", round + 1));
        quiet.wait_until_quiet()?;
        let mut of_round = Times::new();
        for load in LOADS.iter().cycle().skip(round).take(LOADS.len()) {
            let _loaded = Loaded::new(*load, stage, empty, &btf)?;
            for storm in STORMS {
                let place = stage.place_mut(storm.tracked);
                let work = if storm.signals {
                    Work::Signal {
                        number: TERM,
                        target: place.target().cast_signed(),
                        times: signals,
                    }
                } else {
                    Work::Spawn(processes)
                };
                of_round.insert((storm, *load), undisturbed(&mut place.worker, work)?);
            }
        }
        times.push(of_round);
    }
    let mut rows = Vec::new();
    for storm in STORMS {
        for load in [Load::NothingAgain, Load::Empty, Load::Agent] {
            rows.push(new_row(&times, storm, load).context("no rounds")?);
        }
    }
    Ok(Slowdown {
        rows,
        rounds,
        processes: processes * RUNS,
        signals: signals * RUNS,
    })
}

/// What the work takes if nothing strikes: of many short runs the fifth part that is fastest is left out, and the next
/// counts. What others do to a run makes it slower, never faster, so that this differs least from round to round.
fn undisturbed(worker: &mut Worker, work: Work) -> Result<Took> {
    let took = (0..RUNS)
        .map(|_run| worker.do_work(work))
        .collect::<Result<Vec<_>>>()?;
    let fast = |of: fn(&Took) -> Duration| {
        let mut times: Vec<Duration> = took.iter().map(of).collect();
        times.sort();
        times.get(times.len() / 5).copied().unwrap_or_default()
    };
    Ok(Took {
        wall: fast(|took| took.wall),
        cpu: fast(|took| took.cpu),
    })
}

/// Kept for as long as it is to be loaded.
enum Loaded {
    Nothing,
    Empty { _programs: Empty },
    Agent { _agent: Whole },
}

impl Loaded {
    fn new(load: Load, stage: &Stage, empty: &[u8], btf: &Btf) -> Result<Self> {
        Ok(match load {
            Load::Nothing | Load::NothingAgain => Self::Nothing,
            Load::Empty => Self::Empty {
                _programs: Empty::attach(empty, btf)?,
            },
            Load::Agent => Self::Agent {
                _agent: Whole::start(stage.held.cgroup.path(), &[], &stage.log_path())?,
            },
        })
    }
}

fn new_row(times: &[Times], storm: Storm, load: Load) -> Option<Row> {
    let ratios = |of: fn(&Took) -> f64| {
        let ratio = |round: &Times| {
            let base = round.get(&(storm, Load::Nothing))?;
            Some(of(round.get(&(storm, load))?) / of(base))
        };
        Middle::from_values(times.iter().filter_map(ratio).collect())
    };
    Some(Row {
        storm,
        load,
        wall: ratios(|took| took.wall.as_secs_f64())?,
        cpu: ratios(|took| took.cpu.as_secs_f64())?,
    })
}

impl Slowdown {
    /// The storm that the aim is about, with this load.
    pub(crate) fn of_aim(&self, load: Load) -> Option<&Row> {
        let wanted = new_storm(false, false);
        self.rows
            .iter()
            .find(|row| row.storm == wanted && row.load == load)
    }

    /// The table, in Markdown.
    pub(crate) fn to_table(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::to_cells).collect();
        render_table(&["storm", "tracked", "loaded", ">time", ">CPU time"], &rows)
    }
}

impl Row {
    fn to_cells(&self) -> Vec<String> {
        let loaded = match self.load {
            Load::Nothing | Load::NothingAgain => "nothing (the noise)",
            Load::Empty => "empty programs",
            Load::Agent => "**the agent**",
        };
        vec![
            self.storm.description().to_owned(),
            yes_or_no(self.storm.tracked).to_owned(),
            loaded.to_owned(),
            format!("{:.3}", self.wall),
            format!("{:.3}", self.cpu),
        ]
    }
}
