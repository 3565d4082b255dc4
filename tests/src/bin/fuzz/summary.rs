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
                Judgement::Right => right += 1,
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

/// The share of unsure reports, with the agent starved or not.
fn unsure(tried: &[Tried], starved: bool) {
    let such: Vec<_> = tried
        .iter()
        .filter(|one| one.case.starved == starved)
        .collect();
    let mut doubts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut count, mut allowed_count) = (0_usize, 0_usize);
    for one in &such {
        if let Ending::Judged {
            judgement:
                Judgement::Unsure {
                    doubts: why,
                    allowed,
                },
            ..
        } = &one.ending
        {
            count += 1;
            allowed_count += usize::from(*allowed);
            *doubts.entry(why.join("+")).or_default() += 1;
        }
    }
    let by_doubt: Vec<_> = doubts
        .into_iter()
        .map(|(doubt, count)| format!("{doubt} {count}"))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let share = count as f64 * 100.0 / such.len().max(1) as f64;
    let agent = if starved { "starved" } else { "not starved" };
    println!(
        "agent {agent}: {count} of {} unsure ({share:.1} %), of which {allowed_count} that nobody else can know: {}",
        such.len(),
        by_doubt.join(", ")
    );
}
