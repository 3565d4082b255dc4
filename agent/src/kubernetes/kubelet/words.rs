//! The words of the kubelet, from 1.2x to 1.37. What is not known is not guessed at.

use agent_core::pod::{Disruption, KubeletEventKind};
use k8s_openapi::api::core::v1 as api;

/// What an Event of the kubelet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Of one container.
    OfContainer(KubeletEventKind),
    /// Of the whole pod: why it is stopped. The kubelet says so before it stops it, and in the status only after.
    OfPod(Disruption),
}

/// What it says, if that is of use.
pub(super) fn parse_event(event: &api::Event) -> Option<Said> {
    let of_container = |kind| Some(Said::OfContainer(kind));
    match event.reason.as_deref()? {
        "Killing" => killing(event.message.as_deref()?).and_then(of_container),
        "FailedPreStopHook" => of_container(KubeletEventKind::PreStopFailed),
        "FailedPostStartHook" => of_container(KubeletEventKind::PostStartHookFailed),
        "Evicted" => Some(Said::OfPod(Disruption::Evicted)),
        "Preempting" => Some(Said::OfPod(Disruption::Preempted)),
        _ => None,
    }
}

/// The messages of `Killing`:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go#L1443-L1468>,
/// `#L805` (a resize), `#L1642` (all containers), and
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_container.go#L885>, `#L331`, and for
/// sidecars `#L1146`, `#L1189`.
fn killing(message: &str) -> Option<KubeletEventKind> {
    if message == "FailedPostStartHook" {
        return Some(KubeletEventKind::PostStartFailed);
    }
    if message == "killing" {
        return Some(KubeletEventKind::Restarted);
    }
    if message.starts_with("Stopping container ") {
        return Some(KubeletEventKind::Stopping);
    }
    // A container's name holds no blank.
    let of_sidecar = || message.strip_prefix("Init container ");
    let container = message.strip_prefix("Container ").or_else(of_sidecar)?;
    let (_name, why) = container.split_once(' ')?;
    let why = why.strip_suffix(", will be restarted").unwrap_or(why);
    match why {
        "failed liveness probe" => Some(KubeletEventKind::LivenessFailed),
        "failed startup probe" => Some(KubeletEventKind::StartupFailed),
        "definition changed" | "resize requires restart" => Some(KubeletEventKind::Restarted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_killing() {
        use KubeletEventKind as Kind;
        for (message, kind) in [
            ("Stopping container web", Some(Kind::Stopping)),
            (
                "Container web failed liveness probe, will be restarted",
                Some(Kind::LivenessFailed),
            ),
            (
                "Container web failed liveness probe",
                Some(Kind::LivenessFailed),
            ),
            (
                "Container web failed startup probe, will be restarted",
                Some(Kind::StartupFailed),
            ),
            (
                "Init container proxy failed liveness probe",
                Some(Kind::LivenessFailed),
            ),
            (
                "Init container proxy failed startup probe",
                Some(Kind::StartupFailed),
            ),
            (
                "Container web definition changed, will be restarted",
                Some(Kind::Restarted),
            ),
            (
                "Container web resize requires restart",
                Some(Kind::Restarted),
            ),
            ("FailedPostStartHook", Some(Kind::PostStartFailed)),
            ("killing", Some(Kind::Restarted)),
            (
                "Container is in \"Unknown\" state, try killing it before restart",
                None,
            ),
            (
                "Container is in unknown state, try killing it before removal",
                None,
            ),
            ("Need to kill Pod", None),
        ] {
            assert_eq!(killing(message), kind, "{message}");
        }
    }
}
