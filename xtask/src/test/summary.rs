//! What `cargo xtask test` says between the steps and in the end.
#![expect(
    clippy::print_stdout,
    reason = "the results are what this command is for"
)]

use std::time::Duration;

use crate::test::steps::Step;

/// How a step went.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed(Duration),
    Failed(Duration, String),
    /// The command line left it out.
    NotRun,
}

/// A step and how it went.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) step: Step,
    pub(crate) outcome: Outcome,
}

pub(crate) fn begin(step: Step) {
    println!("\n━━━ {}", step.name());
}

pub(crate) fn end(done: &Done) {
    if let Outcome::Failed(_, why) = &done.outcome {
        let first = why.lines().next().unwrap_or_default();
        println!("{} failed: {first}", done.step.name());
    }
}

/// Prints the table and the closing line; how many failed.
pub(crate) fn print(done: &[Done]) -> usize {
    println!("\n━━━ summary\n");
    let (mut passed, mut failed) = (0, 0);
    for one in done {
        let name = one.step.name();
        match &one.outcome {
            Outcome::Passed(took) => {
                passed += 1;
                println!("  {name:<11} passed   {:>7.1} s", took.as_secs_f32());
            }
            Outcome::Failed(took, why) => {
                failed += 1;
                println!("  {name:<11} FAILED   {:>7.1} s", took.as_secs_f32());
                for line in why.lines() {
                    println!("                {line}");
                }
            }
            Outcome::NotRun => println!("  {name:<11} not run, as the command line asked"),
        }
    }
    println!("\n{passed} passed, {failed} failed");
    failed
}
