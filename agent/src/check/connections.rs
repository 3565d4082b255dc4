//! What this kernel lets the agent see of TCP connections, a line for each kind of fact.

use super::verdict::{Check, Verdict, passed, with_remedy};
use crate::probes::TcpFeature;

/// The lines; none if the probes were not loaded, so that it is not known.
pub(super) fn check_connections(tcp_features: &[(TcpFeature, bool)]) -> Vec<Check> {
    if tcp_features.is_empty() {
        return Vec::new();
    }
    let seen = |fact| tcp_features.contains(&(fact, true));
    let (sent, received) = (
        seen(TcpFeature::ResetsSent),
        seen(TcpFeature::ResetsReceived),
    );
    if !(seen(TcpFeature::States) && sent && received) {
        let unseen = match (sent, received) {
            (true, true) => "not counted, since connections are not seen",
            (true, false) => "not counted, since resets are seen only as they are sent",
            (false, true) => "not counted, since resets are seen only as they are received",
            (false, false) => "not counted, since resets are not seen",
        };
        return vec![with_remedy(
            "connections",
            Verdict::Warn,
            unseen,
            "reports say nothing of connections and resets here; see the probes refused above",
        )];
    }
    vec![
        passed(
            "connections",
            "seen as they are accepted, made and ended".to_owned(),
        ),
        passed("resets", "seen as they are sent and received".to_owned()),
        connection_check(
            "reset reasons",
            seen(TcpFeature::ResetReasons),
            "told by the kernel for each reset that is sent",
            "not told by this kernel, as by none before 6.10",
            "nothing has to be done; resets are counted without a reason",
        ),
        connection_check(
            "refusals",
            seen(TcpFeature::Refusals),
            "seen: attempts refused where nobody listens any more, and packets for connections in TIME_WAIT",
            "not seen: attempts refused where nobody listens any more, and packets for connections in TIME_WAIT",
            "reports do not say what came after the listener was closed; kernels from 6.10 on tell it",
        ),
    ]
}

fn connection_check(name: &'static str, fine: bool, seen: &str, unseen: &str, so: &str) -> Check {
    if fine {
        passed(name, seen.to_owned())
    } else {
        with_remedy(name, Verdict::Warn, unseen, so)
    }
}
