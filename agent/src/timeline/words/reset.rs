//! Resets in words: how many of each kind, by whom, why, and in which phases.

use agent_core::connection::{
    Connections, Direction, Mode, Phase, ResetClass, ResetCount, Scope, Side,
};

use super::reason::describe_reason;
use super::traffic::counted;
use crate::timeline::moments::Marker;

/// Kinds of resets that are told one by one; the report has all of them.
const KINDS_MAX: usize = 6;
/// The phases of a termination.
const SHUTDOWN: [Phase; 3] = [Phase::Hook, Phase::Stopping, Phase::Closing];

/// Resets of one kind, in all phases.
pub(crate) struct Kind<'a> {
    class: &'a ResetClass<String>,
    phases: Vec<(Phase, u64)>,
}

impl Kind<'_> {
    fn includes(&self, other: &ResetClass<String>) -> bool {
        distinguishing_traits(self.class) == distinguishing_traits(other)
    }

    /// How many in all phases that were asked for.
    pub(crate) fn count(&self) -> u64 {
        self.phases.iter().map(|(_phase, count)| count).sum()
    }

    /// How many in one phase.
    pub(crate) fn count_in(&self, wanted: Phase) -> u64 {
        let of_phase = self
            .phases
            .iter()
            .filter(|(phase, _count)| *phase == wanted);
        of_phase.map(|(_phase, count)| count).sum()
    }

    /// How they are drawn.
    pub(crate) const fn marker(&self) -> Marker {
        match self.class.direction {
            Direction::Received => Marker::Received,
            Direction::Sent => Marker::Sent,
        }
    }

    /// Who sent them and why: `sent by the program or its death: closed while data was unread (tcp_abort_on_close)`.
    pub(crate) fn description(&self) -> String {
        describe_reset(self.class)
    }

    /// `↑ 5 sent by its end: closed while data was unread (tcp_abort_on_close) · 2 stopping, 3 closing`
    fn summary(&self) -> String {
        format!(
            "{} {} {} · {}",
            self.marker().symbol(),
            self.count(),
            self.description(),
            self.by_phase()
        )
    }

    fn by_phase(&self) -> String {
        match self.phases.as_slice() {
            [(phase, _count)] => phase_name(*phase).to_owned(),
            several => {
                let parts = several
                    .iter()
                    .map(|(phase, count)| format!("{count} {}", phase_name(*phase)));
                parts.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// What of a class is told in words.
fn distinguishing_traits(
    class: &ResetClass<String>,
) -> (Direction, Mode, Scope, bool, bool, Option<&String>) {
    (
        class.direction,
        class.mode,
        class.scope,
        class.side == Side::Initiated,
        class.idle_closed,
        class.reason.as_ref(),
    )
}

/// Who sent a reset and why.
pub(in crate::timeline) fn describe_reset(class: &ResetClass<String>) -> String {
    let what = match (class.direction, class.mode) {
        (Direction::Received, _) => "received",
        (Direction::Sent, Mode::Active) => "sent by the program or its death",
        (Direction::Sent, Mode::Passive) => "sent in answer to a packet",
        (Direction::Sent, Mode::Unknown) => "sent",
    };
    let reason = class
        .reason
        .as_ref()
        .map(|name| format!(": {}", describe_reason(name)));
    let of_pod = match class.scope {
        Scope::Container => "",
        Scope::Pod => " · by its pod, of which container is not known",
    };
    let own = match class.side {
        Side::Initiated => " · of its own connections to others",
        Side::Accepted | Side::Unknown => "",
    };
    let idle = if class.idle_closed {
        " · data for an idle connection that it had closed"
    } else {
        ""
    };
    format!("{what}{}{of_pod}{own}{idle}", reason.unwrap_or_default())
}

/// Where in its life a container was.
pub(crate) const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "running",
        Phase::Hook => "hook",
        Phase::Stopping => "stopping",
        Phase::Closing => "closing",
    }
}

/// The resets of these phases by kind, the most frequent kinds first.
pub(crate) fn group_resets<'a>(resets: &'a [ResetCount], phases: &[Phase]) -> Vec<Kind<'a>> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for reset in resets {
        if !phases.contains(&reset.class.phase) || reset.count == 0 {
            continue;
        }
        let phase = (reset.class.phase, reset.count);
        match kinds.iter_mut().find(|kind| kind.includes(&reset.class)) {
            Some(kind) => kind.phases.push(phase),
            None => kinds.push(Kind {
                class: &reset.class,
                phases: vec![phase],
            }),
        }
    }
    for kind in &mut kinds {
        kind.phases.sort_unstable();
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count()));
    kinds
}

/// What was reset in its shutdown, by whom and why; that nothing was, if so.
pub(super) fn describe_resets(connections: &Connections) -> Vec<String> {
    let while_running: u64 = connections
        .resets
        .iter()
        .filter(|one| one.class.phase == Phase::Running)
        .map(|one| one.count)
        .sum();
    let before = counted(while_running, |count| {
        format!(" · {count} before, while it was running")
    })
    .unwrap_or_default();
    let kinds = group_resets(&connections.resets, &SHUTDOWN);
    if kinds.is_empty() {
        return vec![format!("no connection was reset{before}")];
    }
    let total: u64 = kinds.iter().map(Kind::count).sum();
    let (shown, rest) = kinds.split_at(kinds.len().min(KINDS_MAX));
    let mut texts: Vec<_> = shown.iter().map(Kind::summary).collect();
    if !rest.is_empty() {
        let count = rest.iter().map(Kind::count).sum::<u64>();
        texts.push(format!("{count} of {} other kinds", rest.len()));
    }
    let drawn = u64::try_from(connections.marks.len()).unwrap_or(u64::MAX);
    if (1..total).contains(&drawn) {
        texts.push(format!(
            "{total} in all, of which the first {drawn} are in the picture"
        ));
    }
    if let Some(last) = texts.last_mut() {
        last.push_str(&before);
    }
    texts
}
