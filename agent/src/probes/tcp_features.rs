//! What can be seen of connections on the running kernel, and what cannot.

use std::collections::BTreeMap;

use super::load::ProgramState;

/// What every name of the kernel's `enum sk_rst_reason` begins with.
const PREFIX: &str = "SK_RST_REASON_";

/// A fact of TCP connections that not every kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpFeature {
    /// That they were accepted, made and ended.
    States,
    /// Resets sent.
    ResetsSent,
    /// Resets received.
    ResetsReceived,
    /// Why a reset was sent.
    ResetReasons,
    /// Resets without a socket: attempts refused at a port where nobody listens any more.
    Refusals,
}

impl TcpFeature {
    /// Every fact.
    pub const ALL: [Self; 5] = [
        Self::States,
        Self::ResetsSent,
        Self::ResetsReceived,
        Self::ResetReasons,
        Self::Refusals,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::States => "states",
            Self::ResetsSent => "resets_sent",
            Self::ResetsReceived => "resets_received",
            Self::ResetReasons => "reset_reasons",
            Self::Refusals => "refusals",
        }
    }
}

/// What the hooks of sockets tell here, if they are attached.
#[derive(Debug)]
pub(super) struct TcpVisibility {
    /// Whether the kernel has all that is read of sockets.
    pub(super) counts_sockets: bool,
    /// Whether `tcp_send_reset` passes a reason, and tells of resets without a socket.
    pub(super) passes_reason: bool,
    pub(super) has_ipv6: bool,
    /// The names and numbers of `enum sk_rst_reason`.
    pub(super) reasons: Vec<(String, u32)>,
}

impl TcpVisibility {
    /// Every fact, and whether it is seen with these programs.
    pub(super) fn feature_visibility(&self, states: &[ProgramState]) -> Vec<(TcpFeature, bool)> {
        let is_attached = |name: &str| {
            let mut of_name = states.iter().filter(|state| state.program.name == name);
            self.counts_sockets && of_name.any(|state| state.refused.is_none())
        };
        let sent = is_attached("tcp_send_reset");
        let by_functions = is_attached("tcp_v4_send_reset")
            && (is_attached("tcp_v6_send_reset") || !self.has_ipv6);
        let is_seen = |fact| match fact {
            TcpFeature::States => is_attached("inet_sock_set_state"),
            TcpFeature::ResetsSent => sent,
            TcpFeature::ResetsReceived => is_attached("tcp_receive_reset"),
            TcpFeature::ResetReasons => sent && self.passes_reason,
            TcpFeature::Refusals => sent && self.passes_reason || by_functions,
        };
        let all = TcpFeature::ALL.into_iter();
        all.map(|fact| (fact, is_seen(fact))).collect()
    }

    /// The kernel's reasons by number. `None` if connections or resets are not counted.
    pub(super) fn reasons(&self, states: &[ProgramState]) -> Option<BTreeMap<u32, String>> {
        let needed = [
            TcpFeature::States,
            TcpFeature::ResetsSent,
            TcpFeature::ResetsReceived,
        ];
        let facts = self.feature_visibility(states);
        if needed.iter().any(|fact| facts.contains(&(*fact, false))) {
            return None;
        }
        let named = self.reasons.iter().filter_map(|(name, number)| {
            // The number that ends the enumeration is no reason.
            let name = name.strip_prefix(PREFIX).filter(|name| *name != "MAX")?;
            Some((*number, name.to_ascii_lowercase()))
        });
        Some(named.collect())
    }
}

#[cfg(test)]
mod tests {
    use agent_common::global::PROGRAMS;

    use super::*;

    fn states(refused: &[&str]) -> Vec<ProgramState> {
        let state = |program: &agent_common::global::Program| ProgramState {
            program: *program,
            refused: refused.contains(&program.name).then(String::new),
        };
        PROGRAMS.iter().map(state).collect()
    }

    fn unseen(tcp_features: &TcpVisibility, refused: &[&str]) -> Vec<&'static str> {
        let facts = tcp_features
            .feature_visibility(&states(refused))
            .into_iter();
        facts
            .filter_map(|(fact, seen)| (!seen).then_some(fact.name()))
            .collect()
    }

    fn new() -> TcpVisibility {
        TcpVisibility {
            counts_sockets: true,
            passes_reason: true,
            has_ipv6: true,
            reasons: vec![
                ("SK_RST_REASON_NO_SOCKET".to_owned(), 1),
                ("SK_RST_REASON_TCP_ABORT_ON_CLOSE".to_owned(), 11),
                ("SK_RST_REASON_MAX".to_owned(), 25),
            ],
        }
    }

    #[test]
    fn a_new_kernel_tells_all() {
        let functions = ["tcp_v4_send_reset", "tcp_v6_send_reset"];
        assert_eq!(unseen(&new(), &functions), Vec::<&str>::new());
        let reasons = new().reasons(&states(&functions)).unwrap();
        assert_eq!(
            reasons,
            BTreeMap::from([
                (1, "no_socket".to_owned()),
                (11, "tcp_abort_on_close".to_owned())
            ])
        );
    }

    #[test]
    fn an_old_kernel_tells_refusals_by_its_functions() {
        let old = || TcpVisibility {
            passes_reason: false,
            reasons: Vec::new(),
            ..new()
        };
        assert_eq!(unseen(&old(), &[]), ["reset_reasons"]);
        assert_eq!(
            unseen(&old(), &["tcp_v6_send_reset"]),
            ["reset_reasons", "refusals"]
        );
        let without_ipv6 = TcpVisibility {
            has_ipv6: false,
            ..old()
        };
        assert_eq!(
            unseen(&without_ipv6, &["tcp_v6_send_reset"]),
            ["reset_reasons"]
        );
        assert_eq!(old().reasons(&states(&[])), Some(BTreeMap::new()));
    }

    #[test]
    fn without_a_program_connections_are_not_counted() {
        assert_eq!(new().reasons(&states(&["tcp_receive_reset"])), None);
        let none = TcpVisibility {
            counts_sockets: false,
            ..new()
        };
        assert_eq!(unseen(&none, &[]).len(), TcpFeature::ALL.len());
        assert_eq!(none.reasons(&states(&[])), None);
    }
}
