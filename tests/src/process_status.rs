//! What the kernel says of a process's memory and time.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// A size that the status of a process tells, in bytes. `process`: its pid, or `self`. `field`: as it stands there, without the colon.
///
/// # Errors
/// If there is no such process, or no such field.
pub fn read_bytes(process: &str, field: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let number = number.with_context(|| format!("no {field} in {path}"))?;
    Ok(number.trim().parse::<u64>()? * 1024)
}

/// The processor time that all threads of a process have used, to the nanosecond.
///
/// # Errors
/// If there is no such process, or the kernel does not count it.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).context("no such process")? {
        let path = thread?.path().join("schedstat");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let on_cpu = text.split(' ').next().unwrap_or_default();
        sum += Duration::from_nanos(on_cpu.parse()?);
    }
    Ok(sum)
}
