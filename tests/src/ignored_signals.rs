//! Signals that are ignored from the start: `nohup` ignores SIGHUP, and a shell SIGINT and SIGQUIT of what it runs in the
//! background. A program inherits that over exec, and what a container does with such a signal would depend on how the
//! tests were started.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};

/// Makes the programs that are started from here on begin with the default action for every signal. A signal that this process
/// ignores is handled from now on, by nothing: exec sets what is handled back to its default
/// (<https://man7.org/linux/man-pages/man7/signal.7.html>).
pub(crate) fn reset_for_children() -> Result<()> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    for number in ignored(&status) {
        signal_hook::flag::register(number, Arc::new(AtomicBool::new(false)))
            .with_context(|| format!("cannot handle signal {number}"))?;
    }
    Ok(())
}

/// The ignored signals. SIGPIPE is not among them: the standard library ignores it, and sets it back for its children.
fn ignored(status: &str) -> Vec<i32> {
    const SIGPIPE: i32 = 13;
    let mask = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok())
        .unwrap_or(0);
    (1..32)
        .filter(|number| mask & (1 << (number - 1)) != 0 && *number != SIGPIPE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tsh\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001007\nSigCgt:\t0000000000010000\n";
        assert_eq!(ignored(status), [1, 2, 3]);
        assert_eq!(ignored(""), [0; 0]);
    }
}
