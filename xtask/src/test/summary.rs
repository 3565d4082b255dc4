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
    /// With the stages that failed but once, a line each.
    Passed(Duration, Vec<String>),
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

pub(crate) fn print_start(step: Step) {
    println!("\n━━━ {}", step.name());
}

pub(crate) fn print_end(done: &Done) {
    if let Outcome::Failed(_, why) = &done.outcome {
        let first = why.lines().next().unwrap_or_default();
        println!("{} failed: {first}", done.step.name());
    }
}

/// So many stages may fail once, in all steps together: `FAILED_STAGES_MAX` of `tests/src/harness/once_more.rs`.
const FAILED_STAGES_MAX: usize = 3;

/// Prints the table and the closing line; how many failed.
pub(crate) fn print(done: &[Done]) -> usize {
    println!("\n━━━ summary\n");
    let (mut passed, mut failed, mut failed_stages) = (0, 0, 0);
    for one in done {
        let name = one.step.name();
        match &one.outcome {
            Outcome::Passed(took, stages) => {
                passed += 1;
                failed_stages += stages.len();
                println!("  {name:<11} passed   {:>7.1} s", took.as_secs_f32());
                for stage in stages {
                    println!("                a stage failed: {stage}");
                }
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
    if failed_stages > FAILED_STAGES_MAX {
        failed += 1;
        println!(
            "\n{failed_stages} stages failed, and {FAILED_STAGES_MAX} may: the run has failed"
        );
    }
    println!("\n{passed} passed, {failed} failed");
    failed
}
