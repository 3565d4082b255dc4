//! All attacks on one agent, over and over: its memory must not grow from one turn to the next.

use std::time::{Duration, Instant};

use anyhow::Result;
use gracewatch_tests::rig::attacker::Attack;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::runner::Stage;
use crate::told::tell;

/// How much the memory after a turn may be above that after the first turn, which has filled all tables and caches.
const GROWTH_MAX: f64 = 0.1;

/// Attacks for so long, and at least two turns; whether nothing was wrong and the memory was flat.
pub(crate) fn run(toolbox: &Toolbox, attacks: &[Attack], limit: Duration) -> Result<bool> {
    let mut stage = Stage::set_up(toolbox)?;
    let mut passed = true;
    let mut memory = Vec::new();
    let started = Instant::now();
    while memory.len() < 2 || started.elapsed() < limit {
        for attack in attacks {
            passed &= tell(&format!("attack {attack:?}"), || stage.play(*attack, 1));
        }
        memory.push(stage.memory()?);
        println!(
            "turn {} after {:.0} s: {:.1} MiB",
            memory.len(),
            started.elapsed().as_secs_f64(),
            in_mib(stage.memory()?)
        );
    }
    let first = memory.first().copied().unwrap_or_default();
    let most = memory.iter().copied().max().unwrap_or_default();
    let is_flat = in_mib(most) <= in_mib(first) * (1.0 + GROWTH_MAX);
    println!(
        "{} turns of {} attacks: {:.1} MiB after the first turn, {:.1} MiB at the most after another: {}",
        memory.len(),
        attacks.len(),
        in_mib(first),
        in_mib(most),
        if is_flat { "flat" } else { "it GREW" }
    );
    Ok(passed && is_flat)
}

#[expect(clippy::cast_precision_loss, reason = "a size to be printed")]
fn in_mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
