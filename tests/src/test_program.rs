//! What every program of the tests does around its work.

use std::process::ExitCode;

use anyhow::Result;

use crate::ignored_signals;

/// Runs the tests, and gives the program's exit code: failure if they say `false`, or with an error, which is printed.
/// What they start begins with the default action for every signal.
#[expect(
    clippy::print_stderr,
    reason = "a test program reports on its terminal"
)]
pub fn run(tests: impl FnOnce() -> Result<bool>) -> ExitCode {
    match ignored_signals::reset_for_children().and_then(|()| tests()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
