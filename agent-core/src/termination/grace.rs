//! The grace period: which it was, what was left of it for the stop signal, and whether SIGKILL came when it was over.

use std::time::Duration;

use super::inferred_hook::AHEAD;
use super::observed::Observed;
use super::request::StopRequest;
use super::stop_signal;
use crate::pod::Role;
use crate::process::SignalFact;
use crate::report::{Grace, Hook, HookMethod, KillCause, Start, Trigger};
use crate::spec::{GRACE_MAX, Spec};
use crate::time::Timestamp;

/// The least that the kubelet leaves between stop signal and SIGKILL (`minimumGracePeriodInSeconds`):
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go#L84>.
const STOP_GRACE_MIN: Duration = Duration::from_secs(2);

/// The least grace of a pod that is deleted (`calculateEffectiveGracePeriod`):
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/pod_workers.go#L999>.
const DELETION_GRACE_MIN: Duration = Duration::from_secs(1);

/// How much earlier than the grace says SIGKILL may come. The runtimes start the timer after the signal is sent, so
/// it is never early but by the clocks' own differences.
const EARLY_TOLERANCE: Duration = Duration::from_millis(50);

/// How much later it may come. Recorded with containerd and runc: 7 to 23 ms, most of it the start of runc; a loaded
/// node takes some hundred ms for that, and CRI-O polls every 100 ms.
const LATE_TOLERANCE: Duration = Duration::from_secs(1);

/// The same where only the time speaks for its end: the grace is not known, or neither a runtime nor the sender of the stop
/// signal sent SIGKILL. As narrow as systemd, whose timers are up to 250 ms late, allows.
const LATE_TOLERANCE_UNKNOWN: Duration = Duration::from_millis(300);

/// What the kubelet's measure of a hook may exceed ours by: it includes the runtime's work before the exec and after the
/// exit (recorded: 80 ms before).
const HOOK_OVERHEAD: Duration = Duration::from_millis(250);

/// By how much a time that is cut to a second may be wrong.
const CUT_TO_SECOND: Duration = Duration::from_secs(1);

/// The grace periods that may be in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GraceCandidates {
    /// The one that is, if that is known.
    pub(crate) known: Option<Duration>,
    /// Others that may be.
    possible: Vec<Duration>,
    /// Whether there may be still another, which nobody tells: an eviction or a shutdown brings its own.
    open: bool,
}

impl GraceCandidates {
    /// By the kubelet's rule: that of the deletion, else the probe's, else the pod's.
    /// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/kuberuntime/kuberuntime_container.go#L1440>
    pub(crate) fn derive(
        observed: &Observed<'_>,
        request: Option<&StopRequest>,
        reason: Option<Trigger>,
    ) -> Self {
        let spec = &observed.container.spec;
        let Some(pod) = observed.container.pod.as_ref() else {
            return Self {
                known: spec.grace,
                ..Self::default()
            };
        };
        let deleted = request.is_some_and(|request| request.by == Start::Deletion);
        let deletions: Vec<Duration> = pod
            .deletions
            .iter()
            .map(|seen| seen.deletion.grace.clamp(DELETION_GRACE_MIN, GRACE_MAX))
            .collect();
        match (reason, deletions.as_slice()) {
            (Some(Trigger::Liveness), _) => Self::of_probe(spec, spec.liveness_grace),
            (Some(Trigger::StartupProbe), _) => Self::of_probe(spec, spec.startup_grace),
            // A pod that is deleted at once is gone before the kubelet learns with which grace.
            (_, [] | [DELETION_GRACE_MIN, ..]) if deleted => {
                Self::one_of(vec![DELETION_GRACE_MIN], spec.grace)
            }
            (_, [first, later @ ..]) if deleted => Self {
                known: Some(*first),
                possible: later.to_vec(),
                open: false,
            },
            // Its definition changed, or all containers are restarted, which gives them none.
            (Some(Trigger::Restarted), _) => Self::one_of(vec![Duration::ZERO], spec.grace),
            (Some(Trigger::Evicted | Trigger::Preempted | Trigger::NodeShutdown), _) => Self {
                open: true,
                ..Self::default()
            },
            (Some(_), _) => Self {
                known: spec.grace,
                ..Self::default()
            },
            (None, _) => {
                let probes = [spec.liveness_grace, spec.startup_grace];
                Self {
                    open: true,
                    ..Self::one_of(probes.into_iter().flatten().collect(), spec.grace)
                }
            }
        }
    }

    fn of_probe(spec: &Spec, own: Option<Duration>) -> Self {
        Self {
            known: own.or(spec.grace),
            ..Self::default()
        }
    }

    /// One of several, which is not known if they differ.
    fn one_of(mut others: Vec<Duration>, usual: Option<Duration>) -> Self {
        others.retain(|other| Some(*other) != usual);
        if others.is_empty() {
            return Self {
                known: usual,
                ..Self::default()
            };
        }
        others.extend(usual);
        Self {
            known: None,
            possible: others,
            open: false,
        }
    }

    /// Whether no grace period is known, or perhaps another one than those that are.
    pub(super) const fn may_be_another(&self) -> bool {
        self.open || self.is_unknown()
    }

    /// The likeliest.
    pub(crate) fn likely(&self) -> Option<Duration> {
        self.known.or_else(|| self.possible.last().copied())
    }

    fn durations(&self) -> impl Iterator<Item = Duration> {
        self.known.into_iter().chain(self.possible.iter().copied())
    }

    const fn is_unknown(&self) -> bool {
        self.known.is_none() && self.possible.is_empty()
    }
}

/// What of the grace was used up before the stop signal came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GraceUsed<'a> {
    pub(crate) hook: Option<&'a Hook>,
    pub(crate) request: Option<StopRequest>,
    pub(crate) stop: Option<Timestamp>,
    /// What it is in its pod: only sidecars wait for others.
    pub(crate) role: Option<Role>,
    /// How long its hook pauses, if it is a pause.
    pub(crate) pause: Option<Duration>,
}

/// SIGKILL, as far as it tells whether the grace was over.
#[derive(Clone, Debug)]
pub(crate) struct SigkillTiming {
    /// How long after the stop signal it came; then, after each time that the stop was begun again.
    waits: Vec<Duration>,
    /// Whether it came from whoever had sent the stop signal, and that is a runtime.
    by_the_same: bool,
    /// Whether it came from neither a runtime nor whoever had sent the stop signal.
    by_another: bool,
    /// Whether a runtime made the container, which sends SIGKILL only when its wait is over.
    of_runtime: bool,
}

impl SigkillTiming {
    pub(super) fn derive(
        observed: &Observed<'_>,
        stop: &SignalFact,
        begun_again_at: Option<Timestamp>,
        kill: &SignalFact,
    ) -> Self {
        let again = observed.choice.again.iter().map(|fact| fact.at);
        let begun = std::iter::once(stop.at).chain(again).chain(begun_again_at);
        let same = stop_signal::is_same(&stop.sender, &kill.sender);
        let by_runtime = stop_signal::is_of_runtime(&kill.sender);
        Self {
            waits: begun
                .filter(|at| *at <= kill.at)
                .map(|at| kill.at.since(at))
                .collect(),
            by_the_same: same && by_runtime,
            by_another: !same && !by_runtime,
            of_runtime: observed.container.is_of_runtime(),
        }
    }
}

impl<'a> GraceUsed<'a> {
    pub(super) fn derive(
        observed: &Observed<'_>,
        request: Option<StopRequest>,
        hook: Option<&'a Hook>,
    ) -> Self {
        Self {
            hook,
            request,
            stop: observed.stop.map(|stop| stop.at),
            role: observed.container.spec.role,
            pause: observed.container.spec.hook_pause(),
        }
    }
}

impl GraceUsed<'_> {
    /// The most likely time for the hook.
    fn on_hook(&self, configured: Duration) -> Duration {
        let Some(hook) = self.hook else {
            return Duration::ZERO;
        };
        match (hook.duration(), hook.method, hook.started_at) {
            (Some(took), _, _) if !hook.running_at_stop_signal => self.with_its_beginning(took),
            (_, _, None) => Duration::ZERO,
            (None, HookMethod::Inferred, Some(began)) if !hook.running_at_stop_signal => {
                self.stop.map_or(configured, |stop| stop.since(began))
            }
            (_, _, Some(_)) => configured,
        }
    }

    /// A pause is the kubelet's own and never shorter than configured: what is missing of it, was before anybody else knew of the
    /// stop. It counts, since whole seconds are taken off, and a pause is of whole seconds.
    fn with_its_beginning(&self, took: Duration) -> Duration {
        let pause = self.pause.filter(|pause| took + AHEAD >= *pause);
        pause.map_or(took, |pause| took.max(pause))
    }

    /// The time for others to go first, after a hook that took so long.
    fn on_order(&self, hook: Duration) -> Duration {
        let began = match (self.hook.and_then(|hook| hook.ended_at), self.request) {
            (Some(ended), _) => ended,
            (None, Some(request)) => request.at.after(hook),
            (None, None) => return Duration::ZERO,
        };
        self.stop.map_or(Duration::ZERO, |stop| stop.since(began))
    }

    /// What the kubelet may have measured for the hook.
    fn hook_durations(&self, configured: Duration) -> Vec<Duration> {
        let likely = self.on_hook(configured);
        let inferred = self
            .hook
            .is_some_and(|hook| hook.method == HookMethod::Inferred);
        let mut all = vec![likely, likely + HOOK_OVERHEAD];
        if inferred && likely < configured {
            all.push(likely.saturating_sub(self.uncertainty()));
        }
        all
    }

    /// What it may have measured for the others; by the times of other containers, nothing of it is certain.
    fn orders(&self, hook: Duration) -> Vec<Duration> {
        if self.role != Some(Role::Sidecar) {
            return vec![Duration::ZERO];
        }
        let likely = self.on_order(hook);
        vec![
            likely,
            likely + HOOK_OVERHEAD,
            likely.saturating_sub(self.uncertainty()),
            Duration::ZERO,
        ]
    }

    fn uncertainty(&self) -> Duration {
        let exact = self.request.is_some_and(|request| request.exact);
        HOOK_OVERHEAD + if exact { Duration::ZERO } else { CUT_TO_SECOND }
    }

    /// The times after which this grace can have ended: by the kubelet's rule, with hook and order as the kubelet may have
    /// measured them; without both also by the rule of systemd and Docker, which know no floor.
    fn wait_durations(&self, configured: Duration) -> Vec<Duration> {
        if self.hook.is_none() && self.role != Some(Role::Sidecar) {
            return vec![configured, configured.max(STOP_GRACE_MIN)];
        }
        let mut waits = Vec::new();
        for hook in self.hook_durations(configured) {
            let orders = self.orders(hook);
            waits.extend(
                orders
                    .into_iter()
                    .map(|order| remaining_grace(configured, hook, order)),
            );
        }
        waits
    }

    /// Whether this grace can have ended after that wait, or shortly before: no longer before than `late`.
    fn is_over(&self, configured: Duration, waited: Duration, late: Duration) -> bool {
        self.wait_durations(configured)
            .into_iter()
            .any(|expected| is_within(expected, waited, late))
    }
}

/// Why SIGKILL came from outside after the stop signal, and the grace that was over then, if it is known. A runtime that
/// has sent the stop signal sends SIGKILL when its wait is over; that may be another wait than the first (it was request
/// again with a shorter one, or was restarted), of which nothing tells.
pub(super) fn cause_after_stop(
    grace_candidates: &GraceCandidates,
    grace_used: &GraceUsed<'_>,
    sigkill_timing: &SigkillTiming,
) -> (KillCause, Option<Duration>) {
    let is_over = |grace: Duration, late| {
        let mut waits = sigkill_timing.waits.iter();
        waits.any(|wait| grace_used.is_over(grace, *wait, late))
    };
    let over = grace_candidates
        .durations()
        .find(|grace| is_over(*grace, LATE_TOLERANCE));
    // Somebody else has no reason to send it then but chance: which grace was over is doubtful.
    let known =
        over.filter(|grace| !sigkill_timing.by_another || is_over(*grace, LATE_TOLERANCE_UNKNOWN));
    let open = grace_candidates.open || grace_candidates.is_unknown();
    let by_seconds = open
        && sigkill_timing
            .waits
            .iter()
            .any(|wait| is_whole_seconds(*wait));
    // One that comes after the grace period is late, be it because the sender had to wait for its turn.
    let is_past = |grace: Duration| sigkill_timing.waits.iter().any(|wait| *wait >= grace);
    let is_late = sigkill_timing.by_the_same && grace_candidates.likely().is_some_and(is_past);
    let by_the_runtime = sigkill_timing.by_the_same && sigkill_timing.of_runtime;
    if over.is_some() || by_seconds || by_the_runtime || is_late {
        (KillCause::GraceExpired, known)
    } else {
        (KillCause::Other, grace_candidates.known)
    }
}

/// The longest that a stop with this grace period takes as a rule: the kubelet has a least one, and SIGKILL is never early.
pub(super) fn longest(grace: Duration) -> Duration {
    grace.max(STOP_GRACE_MIN) + LATE_TOLERANCE
}

/// Whether SIGKILL that comes so long after the stop signal comes when this wait is over.
fn is_on_time(expected: Duration, waited: Duration) -> bool {
    is_within(expected, waited, LATE_TOLERANCE)
}

/// The same, if it may be so late.
fn is_within(expected: Duration, waited: Duration, late: Duration) -> bool {
    waited + EARLY_TOLERANCE >= expected && waited <= expected + late
}

/// Whether SIGKILL that comes so long after the stop signal can have come when this grace period was over. What a hook took of
/// it is not known where this is asked.
pub(super) fn may_be_over_after(grace: Duration, has_hook: bool, waited: Duration) -> bool {
    let is_left_by_hook =
        has_hook && waited + EARLY_TOLERANCE >= STOP_GRACE_MIN && waited <= grace + LATE_TOLERANCE;
    is_on_time(grace, waited) || is_on_time(grace.max(STOP_GRACE_MIN), waited) || is_left_by_hook
}

/// Whether a timer of whole seconds, at least one, can have waited so long.
fn is_whole_seconds(waited: Duration) -> bool {
    let waited = waited + EARLY_TOLERANCE;
    let beyond = Duration::from_nanos(u64::from(waited.subsec_nanos()));
    waited >= Duration::from_secs(1) && beyond <= EARLY_TOLERANCE + LATE_TOLERANCE_UNKNOWN
}

/// The kubelet's rule: whole seconds of the hook are subtracted, then those of the wait for others; two seconds are left
/// at the least.
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/kuberuntime/kuberuntime_container.go#L895>
fn remaining_grace(configured: Duration, hook: Duration, order: Duration) -> Duration {
    remaining(configured, hook, order).max(STOP_GRACE_MIN)
}

/// Whether SIGKILL came when what a hook left of the grace period was over, and that is not when the whole one would have been.
pub(super) fn fits_after_hook(configured: Duration, hook: Duration, waited: Duration) -> bool {
    is_on_time(remaining_grace(configured, hook, Duration::ZERO), waited)
        && !is_on_time(configured, waited)
}

fn remaining(configured: Duration, hook: Duration, order: Duration) -> Duration {
    configured
        .saturating_sub(Duration::from_secs(hook.as_secs()))
        .saturating_sub(Duration::from_secs(order.as_secs()))
}

/// The grace in force, and what was left of it.
pub(crate) fn derive_grace(configured: Duration, grace_used: &GraceUsed<'_>) -> Grace {
    let hook = grace_used.on_hook(configured);
    let order = if grace_used.role == Some(Role::Sidecar) {
        grace_used.on_order(hook)
    } else {
        Duration::ZERO
    };
    let left = remaining_grace(configured, hook, order);
    Grace {
        configured,
        after_hook: left,
        floor_used: remaining(configured, hook, order) < left,
    }
}
