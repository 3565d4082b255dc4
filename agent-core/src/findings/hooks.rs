//! The diagnoses of preStop hooks.

use std::time::Duration;

use super::{finding, finding_of, format_duration};
use crate::event::ExitStatus;
use crate::report::{Finding, FindingKind, Hook, HookFailure, HookKind};
use crate::termination::Termination;

/// The hook in words: `preStop hook `flush``, `preStop httpGet hook (:8080/stop)`.
fn hook_title(hook: &Hook) -> String {
    let words = |skipped| hook.argv.get(skipped..).unwrap_or_default().join(" ");
    match hook.kind {
        HookKind::Exec => format!("preStop hook `{}`", words(0)),
        HookKind::HttpGet => format!("preStop httpGet hook ({})", words(1)),
        HookKind::Sleep => format!("preStop sleep hook ({})", words(1)),
        HookKind::TcpSocket => "preStop tcpSocket hook".to_owned(),
    }
}

pub(super) fn overran(termination: &Termination<'_>) -> Option<Finding> {
    let hook = termination.hook.as_ref()?;
    let stop = termination.stop?;
    let grace = termination.grace();
    let began = hook.started_at?;
    let floor_used = grace
        .as_ref()
        .is_some_and(|grace| grace.floor_used && stop.at.since(began) >= Duration::from_secs(1));
    if !hook.running_at_stop_signal && !floor_used {
        return None;
    }
    let left = grace.map_or_else(String::new, |grace| {
        format!(
            "; of the grace period of {}, {} were left for the exit",
            format_duration(grace.configured),
            format_duration(grace.after_hook)
        )
    });
    let what = match hook.kind {
        HookKind::Exec => "preStop hook".to_owned(),
        HookKind::HttpGet | HookKind::Sleep | HookKind::TcpSocket => hook_title(hook),
    };
    let evidence = match hook.duration() {
        Some(took) if !hook.running_at_stop_signal => {
            format!("The {what} took {}{left}.", format_duration(took))
        }
        Some(_) | None if hook.running_at_stop_signal => format!(
            "The {what} was still running when {} came, {} after its start{left}.",
            stop.signal,
            format_duration(stop.at.since(began))
        ),
        Some(_) | None => format!(
            "The {what} and the wait for other containers took {}{left}.",
            format_duration(stop.at.since(began))
        ),
    };
    let advice = match hook.kind {
        HookKind::Exec => {
            "Limit the hook's time (`timeout 5s …`) or raise the grace period: it covers the hook and the exit together."
        }
        HookKind::HttpGet | HookKind::TcpSocket => {
            "Have the endpoint answer sooner (the kubelet sets no time limit) or raise the grace period: it covers the hook and the exit together."
        }
        HookKind::Sleep => {
            "Sleep for less or raise the grace period: it covers the sleep and the exit together."
        }
    };
    Some(finding(FindingKind::HookOverran, evidence, advice))
}

pub(super) fn failed(termination: &Termination<'_>) -> Option<Finding> {
    let hook = termination.hook.as_ref()?;
    let of = |how: &str, advice: &str| (how.to_owned(), advice.to_owned());
    let (how, advice) = match (hook.failure?, hook.kind) {
        (HookFailure::Missing, _) => return None,
        (HookFailure::NotStarted, _) => not_started(termination, hook),
        (HookFailure::Status, _) => match limit_met(termination, hook) {
            Some(limit) => (format!("{}{limit}", status(hook)?), LIMIT_ADVICE.to_owned()),
            None => of(
                &status(hook)?,
                "Run the command in the running container (`kubectl exec`) and mend it; its failure does not stop the termination, so what it should do was not done.",
            ),
        },
        (HookFailure::Unsupported, _) => of(
            "was not run: the API accepts this kind and the kubelet refuses it",
            "Use `exec`, `httpGet` or `sleep` instead; a preStop hook with tcpSocket has never worked.",
        ),
        (HookFailure::Reported, HookKind::HttpGet) => of(
            "failed: the kubelet got no answer to its request (`FailedPreStopHook`)",
            "Check that the port answers until the hook is over; any answer is a success to the kubelet, only a connection that fails is not.",
        ),
        (HookFailure::Reported, HookKind::Exec | HookKind::Sleep | HookKind::TcpSocket) => of(
            "failed, says the kubelet (`FailedPreStopHook`)",
            "Look into the logs of the kubelet and the runtime on this node for the reason, which the Event leaves out.",
        ),
    };
    Some(finding_of(
        FindingKind::HookFailed,
        format!("The {} {how}.", hook_title(hook)),
        advice,
    ))
}

/// A hook is configured, the container was stopped, and no process ran the hook.
pub(super) fn not_run(termination: &Termination<'_>) -> Option<Finding> {
    let command = termination.container.spec.hook_command()?;
    if !termination.was_stopped() {
        return None;
    }
    let first = [
        termination.stop.map(|stop| stop.at),
        termination.kill.map(|(kill, _)| kill.at),
    ];
    let first = first.into_iter().flatten().min()?;
    let may_have_run = termination.hook.is_some() || termination.hook_uncertain;
    if may_have_run || !termination.would_have_seen_hook(first) {
        return None;
    }
    Some(finding_of(
        FindingKind::HookNotRun,
        format!(
            "The preStop hook `{}` is configured, and no process ran it before the container was stopped.",
            command.join(" ")
        ),
        "Find out who stopped the container: only the kubelet runs hooks. A stop by the runtime, by systemd (a node shutdown without graceful node shutdown) or by `kill` leaves them out, and so does a restart of all containers of a pod.".to_owned(),
    ))
}

/// The hook's process ended, and the kubelet waited on: what the hook left behind keeps its output open.
pub(super) fn outlived(termination: &Termination<'_>) -> Option<Finding> {
    let hook = termination.hook.as_ref()?;
    let ended = hook.process_ended_at?;
    let stop = termination.stop?;
    Some(finding_of(
        FindingKind::HookOutlived,
        format!(
            "The {} ended {} after its start, and the stop signal came only {} later: a process that it had started kept its output open, and the kubelet waits for that.",
            hook_title(hook),
            format_duration(ended.since(hook.started_at?)),
            format_duration(stop.at.since(ended))
        ),
        "Let the hook start nothing in the background, or redirect the output of what it starts (`>/dev/null 2>&1 </dev/null &`).".to_owned(),
    ))
}

fn status(hook: &Hook) -> Option<String> {
    let after = format_duration(hook.duration()?);
    match hook.status? {
        ExitStatus::Code(code) => Some(format!("exited with status {code} after {after}")),
        ExitStatus::Signal { signal, .. } => Some(format!("was ended by {signal} after {after}")),
    }
}

/// The runtime's process came for the hook, and its program could not be executed.
pub(super) fn missing(termination: &Termination<'_>) -> Option<Finding> {
    let hook = termination.hook.as_ref()?;
    if hook.failure? != HookFailure::Missing {
        return None;
    }
    Some(finding(
        FindingKind::HookMissing,
        format!(
            "The {} could not be executed: the runtime's process entered the container for it and ended without running a program.",
            hook_title(hook)
        ),
        "Put the program into the image or correct its path; in an image without a shell use `httpGet` or `sleep`, or a hook that is a program of the image.",
    ))
}

/// How the runtime's process for the hook ended before it could execute the program, and what to do.
fn not_started(termination: &Termination<'_>, hook: &Hook) -> (String, String) {
    let victims = &termination.container.oom;
    let was_chosen = hook
        .tgid
        .is_some_and(|tgid| victims.iter().any(|victim| victim.pid == tgid.0));
    if was_chosen {
        return (
            "was not begun: the OOM killer chose the runtime's process for it, as the container was at its memory limit".to_owned(),
            "Leave memory for the hook below the container's memory limit; its program need not be wrong.".to_owned(),
        );
    }
    if let Some(limit) = limit_met(termination, hook) {
        return (
            format!("was not begun: the runtime's process for it ended{limit}"),
            LIMIT_ADVICE.to_owned(),
        );
    }
    let how = status(hook).unwrap_or_else(|| "ended".to_owned());
    (
        format!("was not begun: the runtime's process for it {how}"),
        "Leave memory and processes for the hook below the container's limits, and look for who kills processes of the container; the hook's program need not be wrong.".to_owned(),
    )
}

const LIMIT_ADVICE: &str = "Raise the limit of processes (the kubelet's `podPidsLimit`, `--pids-limit` of Docker, `TasksMax=` of systemd), or find what starts so many; the hook needs some, too.";

/// The limit of processes that was reached when the hook ended, as the end of a sentence.
fn limit_met(termination: &Termination<'_>, hook: &Hook) -> Option<String> {
    let ended_at = hook.process_ended_at.or(hook.ended_at)?;
    let limit = termination.container.limit_at(ended_at)?;
    Some(format!(
        " when the container was at its limit of processes ({} of {}, and {} were refused by then)",
        limit.current, limit.max, limit.refused
    ))
}
