//! The preStop hooks that the kubelet carries out by itself: a request, a pause, and one that it refuses. Their times are
//! concluded from T0 and the stop signal.

use std::time::Duration;

use super::exec_hook::was_reported;
use super::observed::Observed;
use super::request::{StopRequest, begun_again_before_stop, killing};
use crate::pod::{PreStop, Role};
use crate::report::{Hook, HookFailure, HookKind, HookMethod, Trigger};
use crate::time::Timestamp;

/// How long before T0 was seen the kubelet may have acted.
pub(super) const AHEAD: Duration = Duration::from_secs(1);

/// How soon after the last of the others a sidecar that waited for it gets its stop signal.
const TURN: Duration = Duration::from_secs(1);

/// How much earlier than the whole grace the stop signal may come by our T0, if the hook took it all.
const EARLY: Duration = Duration::from_millis(250);

/// The hook as it must have gone, with this grace.
pub(super) fn infer_hook(
    observed: &Observed<'_>,
    request: &StopRequest,
    reason: Option<Trigger>,
    grace: Option<Duration>,
    hook: &PreStop,
) -> Option<Hook> {
    let (kind, argv, configured) = match hook {
        PreStop::Exec { .. } => return None,
        PreStop::TcpSocket => return Some(refused()),
        PreStop::HttpGet { host, port, path } => {
            let host = host.as_deref().unwrap_or_default();
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            let words = vec!["httpGet".to_owned(), format!("{host}{port}{path}")];
            (HookKind::HttpGet, words, None)
        }
        PreStop::Sleep { duration } => {
            let words = vec!["sleep".to_owned(), format!("{}s", duration.as_secs())];
            (HookKind::Sleep, words, Some(*duration))
        }
    };
    let connect = (kind == HookKind::HttpGet)
        .then(|| connected(observed, request))
        .flatten();
    let stop = observed.stop.map(|stop| stop.at);
    let started_at = connect.unwrap_or_else(|| kubelet_start(observed, request, configured));
    // All containers of a pod are restarted without their hooks; the word for it is that for a changed definition.
    let too_soon = |stop: Timestamp| {
        configured.is_some_and(|configured| stop.since(started_at) + AHEAD < configured)
    };
    if reason == Some(Trigger::Restarted) && stop.is_some_and(too_soon) {
        return None;
    }
    let running = stop.is_some_and(|stop| {
        let used_up = grace.is_some_and(|grace| stop.since(started_at) + EARLY >= grace);
        let longer = configured.is_none_or(|configured| Some(configured) > grace);
        used_up && longer && sidecar_order(observed, reason, stop) == SidecarOrder::AtOnce
    });
    let ended_at = stop.filter(|_| !running).and_then(|stop| {
        hook_end(
            sidecar_order(observed, reason, stop),
            started_at,
            configured,
            stop,
        )
    });
    let failed = !running && was_reported(observed);
    Some(Hook {
        kind,
        method: HookMethod::Inferred,
        tgid: None,
        argv,
        started_at: Some(started_at),
        ended_at,
        process_ended_at: None,
        status: None,
        failure: failed.then_some(HookFailure::Reported),
        running_at_stop_signal: running,
        ended_by_container: false,
    })
}

fn refused() -> Hook {
    Hook {
        kind: HookKind::TcpSocket,
        method: HookMethod::Inferred,
        tgid: None,
        argv: vec!["tcpSocket".to_owned()],
        started_at: None,
        ended_at: None,
        process_ended_at: None,
        status: None,
        failure: Some(HookFailure::Unsupported),
        running_at_stop_signal: false,
        ended_by_container: false,
    }
}

/// When the kubelet began with the pod. After the deletion it waits for what the runtime says of the pod next, which it asks
/// once a second: <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/pod_workers.go#L1288>. Its `Killing`
/// comes right before the hook, and is seen soon after it; a pause was not shorter than configured.
fn kubelet_start(
    observed: &Observed<'_>,
    request: &StopRequest,
    configured: Option<Duration>,
) -> Timestamp {
    let killing = observed
        .container
        .pod
        .as_ref()
        .and_then(|pod| killing(observed, pod));
    // A kubelet that was started again runs the hook from its start.
    let again = begun_again_before_stop(observed);
    let killing = killing.map(|killing| killing.at);
    let Some(killing) = again.or(killing.filter(|killing| *killing >= request.at)) else {
        return request.at;
    };
    let stop = observed.stop.map(|stop| stop.at);
    let latest = stop
        .zip(configured)
        .map(|(stop, configured)| stop.before(configured))
        // Else the end of the grace period cut it off.
        .filter(|latest| *latest >= request.at);
    latest.map_or(killing, |latest| killing.min(latest))
}

/// The kubelet's connection: the first from outside that it can have been.
fn connected(observed: &Observed<'_>, request: &StopRequest) -> Option<Timestamp> {
    let from = if let Some(again) = begun_again_before_stop(observed) {
        again.before(AHEAD)
    } else if request.exact {
        request.at.before(AHEAD)
    } else {
        request.earliest
    };
    let all = observed.container.connects.iter().copied();
    all.filter(|at| *at >= from && observed.latest_start().is_none_or(|last| *at <= last))
        .min()
}

/// What the stop signal came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SidecarOrder {
    /// The end of the hook.
    AtOnce,
    /// The exits of the containers that go first.
    AfterOthers,
    /// It cannot be told.
    Unknown,
}

fn sidecar_order(
    observed: &Observed<'_>,
    reason: Option<Trigger>,
    stop: Timestamp,
) -> SidecarOrder {
    let spec = &observed.container.spec;
    let (Some(pod), Some(name), Some(Role::Sidecar)) =
        (&observed.container.pod, &spec.name, spec.role)
    else {
        return SidecarOrder::AtOnce;
    };
    // A container that is stopped alone waits for nobody.
    let alone = matches!(
        reason,
        Some(Trigger::Liveness | Trigger::StartupProbe | Trigger::PostStart | Trigger::Restarted)
    );
    let exits = pod.exits_before(name, stop);
    if alone || exits.is_empty() {
        return SidecarOrder::AtOnce;
    }
    let last = exits.iter().flatten().max();
    if last.is_some_and(|last| stop.since(*last) <= TURN) {
        SidecarOrder::AfterOthers
    } else if exits.iter().all(Option::is_some) {
        SidecarOrder::AtOnce
    } else {
        SidecarOrder::Unknown
    }
}

fn hook_end(
    turn: SidecarOrder,
    started_at: Timestamp,
    configured: Option<Duration>,
    stop: Timestamp,
) -> Option<Timestamp> {
    if turn == SidecarOrder::AtOnce {
        return Some(stop);
    }
    let over = started_at.after(configured?);
    Some(over.min(stop))
}
