//! A preStop hook in words.

use agent_core::report::{Hook, HookFailure, HookKind, HookMethod};

use super::exit_short;
use super::fact;

/// Whether there was a run of it. One that could not be executed or that nobody saw begin had none.
pub(in crate::timeline) const fn has_run(hook: &Hook) -> bool {
    !matches!(
        hook.failure,
        Some(HookFailure::Missing | HookFailure::NotStarted | HookFailure::Unsupported)
    ) && hook.started_at.is_some()
}

/// The hook as an event.
pub(in crate::timeline) fn hook_event(hook: &Hook) -> String {
    let what = match (hook.failure, hook.kind) {
        (Some(HookFailure::Missing), _) => "hook missing",
        (Some(HookFailure::NotStarted), _) => "hook not begun",
        (Some(HookFailure::Unsupported), _) => "hook not run",
        (Some(HookFailure::Reported), _) => "hook failed",
        (Some(HookFailure::Status) | None, _) if hook.started_at.is_none() => "hook not seen",
        (_, HookKind::Exec) => "preStop hook",
        (_, HookKind::HttpGet) => "preStop httpGet",
        (_, HookKind::Sleep) => "preStop sleep",
        (_, HookKind::TcpSocket) => "preStop tcpSocket",
    };
    what.to_owned()
}

/// What it was, who it was, how it ended.
pub(in crate::timeline) fn described(hook: &Hook) -> String {
    let what = command(hook);
    let pid = hook.tgid.map(|tgid| format!("pid {}", tgid.0));
    let late = hook
        .running_at_stop_signal
        .then(|| "still running at the stop signal".to_owned());
    let facts: Vec<_> = [pid, Some(describe_end(hook)), late]
        .into_iter()
        .flatten()
        .collect();
    format!("{what} · {}", facts.join(", "))
}

/// What it was to do: its command line, or the request, or the pause.
pub(crate) fn command(hook: &Hook) -> String {
    match hook.kind {
        HookKind::Exec => fact::command(&hook.argv, "?"),
        // Their first word is the kind.
        HookKind::HttpGet | HookKind::Sleep | HookKind::TcpSocket => hook.argv.join(" "),
    }
}

fn describe_end(hook: &Hook) -> String {
    match (hook.failure, hook.status, hook.method) {
        (Some(HookFailure::Missing), ..) => "it could not be executed".to_owned(),
        (Some(HookFailure::NotStarted), ..) => "its program was not begun".to_owned(),
        (Some(HookFailure::Unsupported), ..) => "the kubelet runs no such hook".to_owned(),
        (Some(HookFailure::Reported), _, HookMethod::Inferred) => {
            "the kubelet says it failed, ≈ inferred".to_owned()
        }
        (Some(HookFailure::Reported), None, HookMethod::Observed) => {
            "the kubelet says it failed".to_owned()
        }
        (_, Some(_), _) if hook.ended_by_container => {
            "ended by the container's own death".to_owned()
        }
        (_, Some(status), _) => exit_short(status),
        (_, None, HookMethod::Inferred) if hook.ended_at.is_some() => "≈ inferred".to_owned(),
        (_, None, _) if hook.started_at.is_none() => "not seen to run".to_owned(),
        (_, None, _) => "end not seen".to_owned(),
    }
}
