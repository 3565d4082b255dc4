//! The preStop hook, by what it is configured to be.

use std::time::Duration;

use super::grace::GraceCandidates;
use super::observed::Observed;
use super::request::StopRequest;
use super::{exec_hook, inferred_hook};
use crate::pod::PreStop;
use crate::report::{Hook, Trigger};

/// How long after the hook's end the stop signal may come. The kubelet sends it at once (recorded: tens of
/// milliseconds); a hook without a stop signal by then was a probe that is written like it.
pub(crate) const HOOK_TO_STOP_SIGNAL_MAX: Duration = Duration::from_secs(5);

/// Returns the hook, and whether another process could as well have been it.
pub(super) fn find_hook(
    observed: &Observed<'_>,
    request: Option<&StopRequest>,
    reason: Option<Trigger>,
    grace_candidates: &GraceCandidates,
) -> (Option<Hook>, bool) {
    match observed.container.spec.hook.as_ref() {
        None => (None, false),
        Some(PreStop::Exec { command }) => exec_hook::find_hook(observed, request, command),
        Some(other) => {
            let hook = request.and_then(|request| {
                inferred_hook::infer_hook(
                    observed,
                    request,
                    reason,
                    grace_candidates.likely(),
                    other,
                )
            });
            (hook, false)
        }
    }
}
