//! The preStop hook that is a command: which process it was, or that it could not be run.

use std::time::Duration;

use super::observed::{Observed, STOP_MAX_DEFAULT};
use super::request::{StopRequest, kubelet_events};
use super::{HOOK_TO_STOP_SIGNAL_MAX, grace};
use crate::event::ExitStatus;
use crate::pod::{KubeletEventKind, Role};
use crate::process::Process;
use crate::report::{Hook, HookFailure, HookKind, HookMethod, Start};
use crate::signal::Signal;
use crate::time::Timestamp;

/// How long after a hook that could not be run the stop signal may come.
const FAILURE_TO_STOP_SIGNAL_MAX: Duration = Duration::from_secs(1);

/// How long after the end of the hook's process the stop signal comes at the least if the kubelet waited for something else
/// (recorded without: up to 60 ms, 0.5 s on a busy node).
const OUTLIVED_MIN: Duration = Duration::from_secs(2);

/// How soon after the hook's end the stop signal comes at the earliest from a kubelet that has something else to do, too
/// (recorded: from 16 ms on). What ended longer before it can be the hook only if nothing else can.
const AT_ONCE: Duration = Duration::from_millis(50);

/// The hook, and whether another process could as well have been it.
pub(super) fn find_hook(
    observed: &Observed<'_>,
    request: Option<&StopRequest>,
    command: &[String],
) -> (Option<Hook>, bool) {
    let (process, uncertain) = find_process(observed, request, command);
    if let Some((process, started_at)) = process {
        // Without a wish to stop, a probe that begins like the hook cannot be told from it.
        let is_cut = request.is_none() && process.is_hook_cut(command);
        return (
            Some(observed_hook(observed, process, started_at)),
            uncertain || is_cut,
        );
    }
    if let Some((entry, uncertain)) = failed_entry(observed, request) {
        return (Some(not_begun(observed, entry, command)), uncertain);
    }
    let failure = was_reported(observed).then(|| reported(command));
    let uncertain = failure.is_none() && request.is_none() && ran_before(observed, command);
    (failure, uncertain)
}

/// Whether a process like the hook ended within the grace period before the stop signal, but too long before to be taken for
/// the hook. It was a probe, or what it left behind kept its output open and the kubelet waiting.
fn ran_before(observed: &Observed<'_>, command: &[String]) -> bool {
    let Some(last) = observed.latest_start() else {
        return false;
    };
    let reach = observed.container.spec.grace.unwrap_or(STOP_MAX_DEFAULT);
    others(observed)
        .filter_map(|process| process.hook_at(command))
        .any(|at| at <= last && last.since(at) <= reach)
}

/// The process that was the hook, and when. A matching exec before the wish to stop was a probe or `kubectl exec`. In a pod
/// one without such a wish counts only if a stop signal followed: probes are often written like hooks there.
fn find_process<'a>(
    observed: &Observed<'a>,
    request: Option<&StopRequest>,
    command: &[String],
) -> (Option<(&'a Process, Timestamp)>, bool) {
    let last = observed.latest_start();
    if observed.container.is_pods && request.is_none() && last.is_none() {
        return (None, false);
    }
    let gap = longest_gap(observed);
    let in_time = |(process, at): &(&Process, Timestamp)| {
        if kubelet_waited_on(observed, process, *at) {
            return true;
        }
        if process.hook_expired {
            return false;
        }
        let followed =
            |last: Timestamp| end_time(process).is_none_or(|ended| last.since(ended) <= gap);
        last.is_none_or(|last| *at <= last)
            && match request {
                Some(request) => *at >= request.earliest,
                None => !observed.container.is_pods || last.is_none_or(followed),
            }
    };
    let mut likely: Vec<(&Process, Timestamp)> = others(observed)
        .filter_map(|process| Some((process, process.hook_at(command)?)))
        .filter(in_time)
        .collect();
    likely.sort_by_key(|(process, at)| (*at, process.tgid));
    let one_after_the_other = |earlier: &(&Process, Timestamp), later: &(&Process, Timestamp)| {
        end_time(earlier.0).is_some_and(|ended| ended <= later.1)
    };
    let stop = observed.stop.map(|stop| stop.at);
    // The stop signal follows the hook at once, but for a sidecar's. Without a wish to stop it is not sure that one ran.
    let waits = observed.container.spec.role == Some(Role::Sidecar);
    let stop = stop.filter(|_| request.is_some() && !waits);
    let hook = likely.iter().copied().reduce(|earlier, later| {
        let ends = [end_time(earlier.0), end_time(later.0)];
        let both_before = ends
            .iter()
            .all(|end| end.is_some_and(|end| Some(end) <= stop));
        // What starts while the hook runs is a probe, and so is what ended before.
        if one_after_the_other(&earlier, &later) || (both_before && ends.is_sorted()) {
            later
        } else {
            earlier
        }
    });
    let may_be_it = |other: &Process| match (stop, end_time(other)) {
        (Some(stop), Some(ended)) => stop.since(ended) <= AT_ONCE,
        (_, _) => true,
    };
    let uncertain = hook.is_some_and(|(hook, _)| {
        let is_other = |other: &Process| (other.tgid, other.start) != (hook.tgid, hook.start);
        let mut others = likely.iter().filter(|(other, _)| is_other(other));
        others.any(|(other, _)| may_be_it(other))
    });
    (hook, uncertain)
}

/// Whether the times of stop signal and SIGKILL show that the kubelet waited on after the end of this process, because what
/// it left behind kept its output open: the whole seconds from its start to the stop signal were taken off the grace period.
fn kubelet_waited_on(observed: &Observed<'_>, process: &Process, started_at: Timestamp) -> bool {
    let (Some(stop), Some(kill), Some(grace), Some(ended)) = (
        observed.stop,
        observed.kill,
        observed.container.spec.grace,
        end_time(process),
    ) else {
        return false;
    };
    let took = stop.at.since(started_at);
    let waited = kill.at.since(stop.at);
    ended <= stop.at
        && stop.at.since(ended) >= OUTLIVED_MIN
        && took < grace + HOOK_TO_STOP_SIGNAL_MAX
        && grace::fits_after_hook(grace, took, waited)
}

fn end_time(process: &Process) -> Option<Timestamp> {
    process.exit.as_ref().map(|exit| exit.at)
}

/// How long after the hook's end the stop signal may come. A sidecar waits for the others in between.
fn longest_gap(observed: &Observed<'_>) -> Duration {
    let spec = &observed.container.spec;
    match (spec.role, spec.grace) {
        (Some(Role::Sidecar), Some(grace)) => HOOK_TO_STOP_SIGNAL_MAX.max(grace),
        (_, _) => HOOK_TO_STOP_SIGNAL_MAX,
    }
}

fn others<'a>(observed: &Observed<'a>) -> impl Iterator<Item = &'a Process> {
    let main = observed.main.tgid;
    let container = observed.container;
    let known = container.processes.values();
    known
        .filter(move |process| process.tgid != main && !process.spent)
        .chain(&container.replaced)
}

fn observed_hook(observed: &Observed<'_>, process: &Process, started_at: Timestamp) -> Hook {
    let ended_at = end_time(process);
    let main_exit = observed.exit.map(|exit| exit.at);
    let ended_after_main = main_exit.is_some_and(|exit| ended_at.is_none_or(|ended| ended >= exit));
    let failed = process
        .exit
        .as_ref()
        .is_some_and(|exit| exit.status != ExitStatus::Code(0));
    let ended_by_container = ended_after_main && process.died_of() == Some(Signal::KILL);
    let waited_until = observed.stop.map(|stop| stop.at).filter(|stop| {
        let is_sidecar = observed.container.spec.role == Some(Role::Sidecar);
        let waited = ended_at.is_some_and(|ended| stop.since(ended) >= OUTLIVED_MIN);
        waited && !is_sidecar
    });
    Hook {
        kind: HookKind::Exec,
        method: HookMethod::Observed,
        tgid: Some(process.tgid),
        argv: process.argv().to_vec(),
        started_at: Some(started_at),
        ended_at: waited_until.or(ended_at),
        process_ended_at: waited_until.and(ended_at),
        status: process.exit.as_ref().map(|exit| exit.status),
        running_at_stop_signal: observed
            .stop
            .is_some_and(|stop| ended_at.is_none_or(|ended| ended > stop.at)),
        failure: (failed && !ended_by_container).then_some(HookFailure::Status),
        ended_by_container,
    }
}

/// The process that came for the hook and could not run it, and whether it may as well have come for a probe. After a
/// deletion the hook comes first; otherwise it is the one right before the stop signal.
fn failed_entry<'a>(
    observed: &Observed<'a>,
    request: Option<&StopRequest>,
) -> Option<(&'a Process, bool)> {
    let mut entries: Vec<(&Process, Timestamp)> = others(observed)
        .filter(|process| process.failed_to_run())
        .filter_map(|process| Some((process, process.exit.as_ref()?.at)))
        .collect();
    entries.sort_by_key(|(process, _)| (process.start, process.tgid));
    let last = observed.latest_start();
    let in_time = |ended: Timestamp| last.is_none_or(|last| ended <= last);
    if let Some(request) = request.filter(|request| request.by == Start::Deletion) {
        return entries
            .into_iter()
            .find(|(process, ended)| process.start >= request.earliest && in_time(*ended))
            .map(|(process, _)| (process, false));
    }
    let uncertain = entries.len() > 1;
    let stop = observed.stop?;
    entries
        .into_iter()
        .rfind(|(_, ended)| in_time(*ended) && stop.at.since(*ended) <= FAILURE_TO_STOP_SIGNAL_MAX)
        .map(|(process, _)| (process, uncertain))
}

/// A hook whose program was not begun: it is missing, unless something ended the runtime's process before it came to that.
fn not_begun(observed: &Observed<'_>, entry: &Process, command: &[String]) -> Hook {
    let was_killed = entry.died_of().is_some();
    let was_refused = end_time(entry).is_some_and(|at| observed.container.limit_at(at).is_some());
    let failure = if was_killed || was_refused {
        HookFailure::NotStarted
    } else {
        HookFailure::Missing
    };
    Hook {
        tgid: Some(entry.tgid),
        started_at: Some(entry.start),
        ended_at: entry.exit.as_ref().map(|exit| exit.at),
        status: entry.exit.as_ref().map(|exit| exit.status),
        failure: Some(failure),
        ..reported(command)
    }
}

/// A hook of which only the kubelet tells.
fn reported(command: &[String]) -> Hook {
    Hook {
        kind: HookKind::Exec,
        method: HookMethod::Observed,
        tgid: None,
        argv: command.to_vec(),
        started_at: None,
        ended_at: None,
        process_ended_at: None,
        status: None,
        failure: Some(HookFailure::Reported),
        running_at_stop_signal: false,
        ended_by_container: false,
    }
}

/// Whether the kubelet said that the hook failed before it sent the stop signal. What it says later, or when the container
/// ended by itself, may mean that the container took the hook with it.
pub(super) fn was_reported(observed: &Observed<'_>) -> bool {
    let Some(pod) = observed.container.pod.as_ref() else {
        return false;
    };
    kubelet_events(observed, pod)
        .filter(|(event, _)| event.kind == KubeletEventKind::PreStopFailed)
        .any(
            |(event, latest)| match (observed.stop, observed.latest_start()) {
                (Some(stop), _) => event.happened_at <= stop.at,
                (None, Some(last)) => latest <= last,
                (None, None) => true,
            },
        )
}
