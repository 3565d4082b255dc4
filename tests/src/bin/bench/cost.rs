//! What each program costs per event, against an empty program on the same hook, by the kernel's own accounting.
//!
//! A round does the same work twice, once with the empty programs and once with the agent's, in an order that changes
//! from round to round. So what disturbs one disturbs the other, and what is left falls to the median.

mod cases;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use aya::Btf;
use aya::sys::{Stats, enable_stats};

pub(crate) use self::cases::Treatment;
use self::cases::{CASES, Storm};

use crate::print_progress;
use crate::probes::{Account, Accounts, Empty, Ours};
use crate::quiet::Quiet;
use crate::ratio::Middle;
use crate::stage::Stage;
use crate::table::{render_table, yes_or_no};

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) program: &'static str,
    pub(crate) event: &'static str,
    pub(crate) tracked: bool,
    pub(crate) treatment: Treatment,
    /// Against the empty program.
    pub(crate) ratio: Middle,
    /// Nanoseconds more than the empty program.
    pub(crate) more: Middle,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) rows: Vec<Row>,
    pub(crate) rounds: u32,
    /// How much of an untracked storm of fork, exec and exit is time in our programs and their accounting.
    pub(crate) share: Middle,
    /// Records that found no room while this was measured.
    pub(crate) lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Empty,
    Ours,
}

/// Nanoseconds per run by place in [`CASES`] and program.
type Costs = BTreeMap<(usize, &'static str), f64>;

/// What a side of a round gave.
#[derive(Debug, Default)]
struct Half {
    costs: Costs,
    /// See [`Cost::share`].
    share: f64,
    lost: u64,
}

pub(crate) fn measure(
    stage: &mut Stage,
    quiet: &mut Quiet,
    empty: &[u8],
    quick: bool,
) -> Result<Cost> {
    let rounds = if quick { 3 } else { 15 };
    let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
    let _accounting = enable_stats(Stats::RunTime)
        .context("cannot have the kernel account the run time of programs (needs 5.8)")?;
    let mut ratios: BTreeMap<(usize, &str), Vec<(f64, f64)>> = BTreeMap::new();
    let (mut shares, mut lost) = (Vec::new(), 0);
    for round in 0..rounds {
        print_progress(&format!("cost per event: round {} of {rounds}", round + 1));
        quiet.wait_until_quiet()?;
        let mut run = |side| run_half(stage, empty, &btf, side, quick);
        let (base, ours) = if round % 2 == 0 {
            let base = run(Side::Empty)?;
            (base, run(Side::Ours)?)
        } else {
            let ours = run(Side::Ours)?;
            (run(Side::Empty)?, ours)
        };
        for (key, ours) in ours.costs {
            if let Some(base) = base.costs.get(&key) {
                ratios
                    .entry(key)
                    .or_default()
                    .push((ours / base, ours - base));
            }
        }
        shares.push(ours.share);
        lost += ours.lost;
    }
    Ok(Cost {
        rows: cost_rows(&ratios)?,
        rounds,
        share: Middle::from_values(shares).context("no rounds")?,
        lost,
    })
}

fn cost_rows(ratios: &BTreeMap<(usize, &'static str), Vec<(f64, f64)>>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        for (program, event, treatment) in case.programs {
            let pairs = ratios
                .get(&(index, *program))
                .with_context(|| format!("{program} never ran"))?;
            let middle = |values: Vec<f64>| Middle::from_values(values).context("no rounds");
            rows.push(Row {
                program,
                event,
                tracked: case.tracked,
                treatment: *treatment,
                ratio: middle(pairs.iter().map(|(ratio, _)| *ratio).collect())?,
                more: middle(pairs.iter().map(|(_, more)| *more).collect())?,
            });
        }
    }
    Ok(rows)
}

/// All storms with the programs of one side.
fn run_half(stage: &mut Stage, empty: &[u8], btf: &Btf, side: Side, quick: bool) -> Result<Half> {
    match side {
        Side::Empty => {
            let empty = Empty::attach(empty, btf)?;
            storms(stage, quick, || empty.accounts())
        }
        Side::Ours => {
            let mut ours = Ours::attach()?;
            let held = stage.held.cgroup.id()?.0;
            ours.track_container(held, stage.held.target())?;
            let mut half = storms(stage, quick, || Ok(ours.accounts()))?;
            half.lost = ours.lost_records()?;
            let works = CASES.iter().filter(|case| case.tracked);
            let resets: u64 = works.map(|case| case.work_for(stage, quick).resets()).sum();
            let counted = ours.resets(held)?;
            ensure!(
                counted == resets,
                "{counted} resets of the tracked storms were counted, and there were {resets}"
            );
            Ok(half)
        }
    }
}

fn storms(stage: &mut Stage, quick: bool, accounts: impl Fn() -> Result<Accounts>) -> Result<Half> {
    let mut half = Half::default();
    for (index, case) in CASES.iter().enumerate() {
        let work = case.work_for(stage, quick);
        let sender = case.tracked && case.storm != Storm::TermFromOutside;
        let worker = &mut stage.place_mut(sender).worker;
        let before = accounts()?;
        let took = worker.do_work(work)?;
        let after = accounts()?;
        let spent =
            |program| -> Option<Account> { Some(after.get(program)?.since(*before.get(program)?)) };
        for (program, _, _) in case.programs {
            let account = spent(program).with_context(|| format!("{program} is not attached"))?;
            ensure!(
                account.runs >= u64::from(work.amount()),
                "{program} ran {} times for `{work}`",
                account.runs
            );
            if let Some(cost) = account.per_run() {
                half.costs.insert((index, program), cost);
            }
        }
        if case.storm == Storm::Spawn && !case.tracked {
            let inside: f64 = case
                .programs
                .iter()
                .filter_map(|(program, _, _)| Some(spent(program)?.run_time.as_secs_f64()))
                .sum();
            half.share = inside / took.wall.as_secs_f64();
        }
    }
    Ok(half)
}

impl Cost {
    /// The table, in Markdown.
    pub(crate) fn to_table(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::to_cells).collect();
        render_table(
            &[
                "program",
                "event",
                "tracked",
                "what it does",
                ">× empty",
                ">ns more",
            ],
            &rows,
        )
    }
}

impl Row {
    fn to_cells(&self) -> Vec<String> {
        vec![
            format!("`{}`", self.program),
            self.event.to_owned(),
            yes_or_no(self.tracked).to_owned(),
            self.treatment.as_str().to_owned(),
            self.ratio.to_string(),
            format!("{:.0}", self.more.median),
        ]
    }
}
