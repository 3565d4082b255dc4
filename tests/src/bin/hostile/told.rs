//! What came of an attack or a case, and how it is told.

use std::time::Instant;

use anyhow::Result;

/// What came of one.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What the agent did wrong.
    pub(crate) wrong: Vec<String>,
    /// What was measured.
    pub(crate) facts: String,
}

impl Told {
    /// What holds, or what is wrong.
    pub(crate) fn expect(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }
}

/// Plays one and prints what came of it; whether nothing was wrong.
pub(crate) fn run_and_print(name: &str, play: impl FnOnce() -> Result<Told>) -> bool {
    let started = Instant::now();
    let result = play();
    let took = started.elapsed().as_secs_f64();
    match result {
        Ok(told) => {
            let fine = told.wrong.is_empty();
            let word = if fine { "ok" } else { "WRONG" };
            println!("{name} ... {word} ({took:.1} s; {})", told.facts);
            for wrong in told.wrong {
                println!("    {wrong}");
            }
            fine
        }
        Err(error) => {
            println!("{name} ... FAILED: {error:#}");
            false
        }
    }
}
