//! Times in the logs of the kubelet and of containerd, which know nothing of the agent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

const DAY: Duration = Duration::from_hours(24);

/// What the node's own logs say of one container's stop. A hook is the last one, since probes of the container before are told
/// in the same words; a signal is the first, since a runtime that was restarted sends it again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logged {
    /// The kubelet, from calling the runtime for the hook to its answer.
    pub(crate) hook: Option<Duration>,
    /// The runtime, from its signal to its shim's word that the container ended.
    pub(crate) signal_to_exit: Option<Duration>,
    /// The runtime, from its signal to its SIGKILL.
    pub(crate) signal_to_kill: Option<Duration>,
}

impl Logged {
    /// Reads the logs in this folder for a container of the pod with this UID.
    pub(crate) fn read(
        logs: &Path,
        pod_uid: &str,
        container: &str,
        container_id: &str,
    ) -> Result<Self> {
        let kubelet = read(&logs.join("kubelet.log"))?;
        let runtime = read(&logs.join("containerd.log"))?;
        let of_pod = format!("podUID=\"{pod_uid}\"");
        let of_container = format!("containerName=\"{container}\"");
        let kubelet_said = |what: &str| last_time(&kubelet, &[what, &of_pod, &of_container]);
        let signal = first_time(
            &runtime,
            &["msg=\"Stop container", container_id, "with signal"],
        );
        let exit = last_time(
            &runtime,
            &["msg=\"received container exit event", container_id],
        );
        let kill = last_time(&runtime, &["msg=\"Kill container", container_id]);
        Ok(Self {
            hook: between(
                kubelet_said("\"Running preStop hook\""),
                kubelet_said("\"PreStop hook completed\""),
            ),
            signal_to_exit: between(signal, exit),
            signal_to_kill: between(signal, kill),
        })
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The time of the first line with all these words.
fn first_time(log: &str, words: &[&str]) -> Option<Duration> {
    let line = log
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)))?;
    time_of_day(line)
}

/// The time of the last line with all these words.
fn last_time(log: &str, words: &[&str]) -> Option<Duration> {
    let line = log
        .lines()
        .rfind(|line| words.iter().all(|word| line.contains(word)))?;
    time_of_day(line)
}

/// How long it took from one time of day to the other.
pub(crate) fn between(from: Option<Duration>, to: Option<Duration>) -> Option<Duration> {
    let (from, to) = (from?, to?);
    // Over midnight it is a day later.
    to.checked_sub(from)
        .or_else(|| (to + DAY).checked_sub(from))
}

/// The first `HH:MM:SS.fraction` in a line: `I1122 20:57:46.100526 …`, `time="2026-11-22T20:57:48.161839696Z" …`.
pub(crate) fn time_of_day(line: &str) -> Option<Duration> {
    let colon = line.find(':')?;
    let text = line.get(colon.checked_sub(2)?..)?;
    let mut parts = text.splitn(3, ':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let rest = parts.next()?;
    let end = rest
        .find(|mark: char| !mark.is_ascii_digit() && mark != '.')
        .unwrap_or(rest.len());
    let seconds: f64 = rest.get(..end)?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_time_are_read() {
        let kubelet =
            "I1122 20:57:46.100526   13488 kuberuntime_container.go:891] \"Killing\" x=\"a:b\"";
        let runtime = "time=\"2026-11-22T20:57:48.161839696Z\" level=info msg=\"x\"";
        let apart = between(time_of_day(kubelet), time_of_day(runtime)).unwrap();
        assert!(apart.abs_diff(Duration::from_micros(2_061_314)) < Duration::from_micros(2));
    }

    #[test]
    fn a_stop_over_midnight_is_short() {
        let (from, to) = (
            time_of_day("I1 23:59:59.5 1"),
            time_of_day("I1 00:00:01.0 1"),
        );
        assert_eq!(between(from, to), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!(time_of_day("a: b"), None);
        assert_eq!(time_of_day(""), None);
    }
}
