//! All attacks on one agent, over and over: its memory must not grow from one turn to the next.

use std::time::{Duration, Instant};

use anyhow::Result;
use gracewatch_tests::rig::attacker::Attack;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::runner::Stage;
use crate::told::run_and_print;

/// How much the highest of the second half of the turns may be above that of the first half, in which all tables and caches fill.
const GROWTH_MAX: f64 = 0.1;

/// Attacks for so long, and at least two turns; whether nothing was wrong and the memory was flat.
pub(crate) fn run(toolbox: &Toolbox, attacks: &[Attack], limit: Duration) -> Result<bool> {
    let mut stage = Stage::set_up(toolbox)?;
    let mut passed = true;
    let mut memory = Vec::new();
    let started = Instant::now();
    while memory.len() < 2 || started.elapsed() < limit {
        for attack in attacks {
            passed &= run_and_print(&format!("attack {attack:?}"), || {
                stage.run_attack(*attack, 1)
            });
        }
        let now = stage.memory()?;
        memory.push(now);
        println!(
            "turn {} after {:.0} s: {:.1} MiB",
            memory.len(),
            started.elapsed().as_secs_f64(),
            in_mib(now)
        );
    }
    let (before, after) = memory.split_at(memory.len() / 2);
    let most = |half: &[u64]| in_mib(half.iter().copied().max().unwrap_or_default());
    let is_flat = most(after) <= most(before) * (1.0 + GROWTH_MAX);
    println!(
        "{} turns of {} attacks: {:.1} MiB at the most after a turn of the first half, {:.1} MiB of the second: {}",
        memory.len(),
        attacks.len(),
        most(before),
        most(after),
        if is_flat { "flat" } else { "it GREW" }
    );
    Ok(passed && is_flat)
}

#[expect(clippy::cast_precision_loss, reason = "a size to be printed")]
fn in_mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
