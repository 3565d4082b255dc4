//! The sums of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::Judgement;
use crate::runner::{Ending, Tried};

/// Stages that may fail in a run, and one more of every so many stops.
const FAILED_STAGES_MAX: usize = 3;
const STOPS_PER_FAILED_STAGE: usize = 500;

/// Prints the sums; whether nothing failed.
pub(crate) fn summary(tried: &[Tried], took: Duration) -> bool {
    let (mut right, mut wrong, mut stages, mut unseen) = (0, 0, 0, 0);
    for one in tried {
        match &one.ending {
            Ending::StageFailed(_) => stages += 1,
            Ending::Judged { judgement, .. } => match judgement {
                Judgement::Right { .. } => right += 1,
                Judgement::Wrong(_) => wrong += 1,
                Judgement::Unsure { .. } => {}
                Judgement::Unseen => unseen += 1,
            },
        }
    }
    println!(
        "\n{} stops in {:.0} s: {right} right, {wrong} wrong, {stages} without a stage, {unseen} unseen",
        tried.len(),
        took.as_secs_f64()
    );
    unsure(tried, false);
    unsure(tried, true);
    let stages_max = FAILED_STAGES_MAX + tried.len() / STOPS_PER_FAILED_STAGE;
    wrong == 0 && stages <= stages_max
}

/// The share of unsure reports, with the agent starved or not: of all, and of those in which nothing is hidden from it.
fn unsure(tried: &[Tried], starved: bool) {
    let such = tried.iter().filter(|one| one.case.starved == starved);
    let (mut all, mut unsure) = (0_usize, 0_usize);
    let (mut knowable, mut needlessly) = (0_usize, 0_usize);
    let mut doubts: BTreeMap<String, usize> = BTreeMap::new();
    for one in such {
        all += 1;
        let Ending::Judged { judgement, .. } = &one.ending else {
            continue;
        };
        match judgement {
            Judgement::Right { knowable: true } => knowable += 1,
            Judgement::Right { knowable: false } | Judgement::Wrong(_) | Judgement::Unseen => {}
            Judgement::Unsure {
                doubts: why,
                allowed,
            } => {
                unsure += 1;
                knowable += usize::from(!allowed);
                needlessly += usize::from(!allowed);
                *doubts.entry(why.join("+")).or_default() += 1;
            }
        }
    }
    let agent = if starved { "starved" } else { "not starved" };
    println!(
        "agent {agent}: {unsure} of {all} unsure ({:.1} %)",
        percent(unsure, all)
    );
    for (doubt, count) in doubts {
        println!("    {count} {doubt}");
    }
    println!(
        "    of the {knowable} in which nothing is hidden from it, {needlessly} unsure ({:.2} %)",
        percent(needlessly, knowable)
    );
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn percent(part: usize, of: usize) -> f64 {
    part as f64 * 100.0 / of.max(1) as f64
}
