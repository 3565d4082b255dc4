//! What a perfect report says of a case: from what was done from outside, what the program wrote down, and what its parent was
//! told. It knows nothing of the agent's rules, and shares no code with them.
//!
//! What a stop *is* goes by intent, which only this side knows: the runtime's [`What::Stop`](crate::case::What::Stop) is one,
//! whatever its number, and everything else is not, whatever its number. Where two words are right for the same facts, both
//! are allowed; where nobody but the one who sent a signal can know what it was meant for, a report may be unsure.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use agent_core::time::Timestamp;

use crate::case::{Case, From};
use crate::disposition::{Fate, Life};
use crate::stage::{Played, Sent};

/// How far from the end of a grace period SIGKILL must be, not to be taken for the runtime's.
const NEAR_GRACE: Duration = Duration::from_millis(150);
/// How late a runtime's SIGKILL may be.
const LATE: Duration = Duration::from_millis(1200);
/// After so long a process that got SIGKILL and is there may be called stuck.
const STUCK: Duration = Duration::from_secs(5);
/// How late a runtime's SIGKILL may be without anybody taking it for another one.
const RUNTIME_LATE: Duration = Duration::from_millis(800);
/// How much later than after two grace periods a runtime that was started again may begin its stop again.
const AGAIN_LATE: Duration = Duration::from_secs(2);
/// Up to this age of a program a signal may have come before its handlers: the finding says so.
const YOUNG: Duration = Duration::from_secs(1);
/// How far two clocks and two hooks may be apart.
const SLACK: Duration = Duration::from_millis(30);

/// A set of words.
pub(crate) type Words = BTreeSet<&'static str>;

/// What a perfect report says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Any of these.
    pub(crate) outcomes: Words,
    /// Any of these; empty: whatever.
    pub(crate) triggers: Words,
    /// Any of these is the stop signal, by its number in [`Played::sent`]; empty: whatever.
    pub(crate) stops: BTreeSet<Option<usize>>,
    /// Any of these is why SIGKILL was sent; empty: there was none that counted.
    pub(crate) causes: Words,
    /// The SIGKILL that ended it, if that is one of ours and known.
    pub(crate) kill: Option<usize>,
    /// These findings.
    pub(crate) must: Words,
    /// These as well, or not.
    pub(crate) may: Words,
    /// What nobody but we can know, so that the report may be unsure.
    pub(crate) doubtful: Vec<&'static str>,
}

/// Works it out.
pub(crate) fn expect(case: &Case, played: &Played) -> Expected {
    let truth = Truth::derive(case, played);
    let mut expected = match played.status.signal() {
        Some(9) => truth.after_kill(),
        Some(signal) => truth.after_signal(signal.cast_unsigned()),
        None => truth.after_exit(),
    };
    truth.findings_of_stop(&mut expected);
    truth.findings_of_children(&mut expected);
    truth.findings_of_clients(&mut expected);
    if case.grace_is_secret && !expected.causes.is_empty() {
        expected.doubtful.push("the grace period is a secret");
    }
    if truth.noise_signals().next().is_some() {
        expected.doubtful.push("other signals came");
    }
    if truth.stop_is_unusual() {
        expected.doubtful.push("nobody told of this stop signal");
    }
    if case.starved {
        expected.doubtful.push("the agent was starved");
    }
    expected
}

/// The facts of one case, put together.
struct Truth<'a> {
    case: &'a Case,
    played: &'a Played,
    life: Life<'a>,
    /// The runtime's stop signal, if it came before the end.
    stop: Option<usize>,
    /// Whether it may have come after the end.
    stop_is_late: bool,
}

impl<'a> Truth<'a> {
    fn derive(case: &'a Case, played: &'a Played) -> Self {
        let life = Life::from_played(case, played);
        let is_stop = |sent: &Sent| sent.is_of_stop && sent.signal != 9;
        let stop = played.sent.iter().position(is_stop);
        let began_to_end = life.began_to_end();
        let stop_is_late = stop
            .and_then(|stop| played.sent.get(stop))
            .is_some_and(|stop| began_to_end.is_some_and(|end| stop.span.after.after(SLACK) > end));
        Self {
            case,
            played,
            life,
            stop,
            stop_is_late,
        }
    }

    fn sent_signals(&self) -> impl Iterator<Item = (usize, &'a Sent)> {
        self.played.sent.iter().enumerate()
    }

    fn stop(&self) -> Option<&'a Sent> {
        self.played.sent.get(self.stop?)
    }

    /// Signals that may mean something and are not the runtime's stop. Job control, and those that stand for a fault, stop
    /// nothing.
    fn noise_signals(&self) -> impl Iterator<Item = (usize, &'a Sent)> {
        let may_mean = |signal: u32| !matches!(signal, 9 | 17..=23 | 4..=8 | 11 | 31);
        let noise = self.sent_signals();
        noise.filter(move |(_, sent)| !sent.is_of_stop && may_mean(sent.signal))
    }

    /// Whether the runtime stopped it by a signal that nobody expects.
    fn stop_is_unusual(&self) -> bool {
        self.stop()
            .is_some_and(|stop| stop.signal != self.usual_signal())
    }

    /// What became of a stop signal. Where it was thrown away, and came again and was not, there are two words for it.
    fn fate_of_stop(&self, stop: &Sent) -> Fate {
        let again = self.sent_signals().filter(|(_, sent)| {
            sent.signal == stop.signal
                && sent.from != From::Inside
                && sent.span.before > stop.span.before
                && sent.span.before <= self.played.told_at
        });
        let mut again = again.map(|(_, sent)| self.life.signal_fate(sent));
        match self.life.signal_fate(stop) {
            Fate::ThrownAway if again.any(|fate| fate != Fate::ThrownAway) => Fate::Unclear,
            fate @ (Fate::ThrownAway | Fate::Taken | Fate::Unclear) => fate,
        }
    }

    fn usual_signal(&self) -> u32 {
        self.case.configured.unwrap_or(15)
    }

    /// Everything that may be called the stop signal where that is a matter of opinion.
    fn any_stop(&self) -> BTreeSet<Option<usize>> {
        let noise = self.noise_signals().map(|(index, _)| Some(index));
        noise.chain([None, self.stop]).collect()
    }

    /// SIGKILL ended it.
    fn after_kill(&self) -> Expected {
        let can_kill = |sent: &Sent| {
            let reaches = self.case.shares_pids || sent.from != From::Inside;
            sent.signal == 9 && reaches && sent.span.before <= self.played.told_at
        };
        let killer = self.sent_signals().find(|(_, sent)| can_kill(sent));
        // The OOM killer may choose the main process before its child is the larger one.
        let may_be_chosen =
            self.life.eats_itself() || (self.life.eats_by_child() && killer.is_none());
        let ate = self.played.first_time("eats").is_some() && may_be_chosen;
        let mut expected = match killer {
            Some((_, killer)) if killer.from == From::Inside => killed_from_inside(),
            Some((_, killer)) => self.killed_from_outside(killer),
            None => Expected::default(),
        };
        expected.kill = killer.map(|(index, _)| index).filter(|_index| !ate);
        if ate {
            expected.outcomes.insert("oom_killed");
            expected.causes.insert("oom");
            if killer.is_some() {
                expected.may.insert("oom_killed");
                let must = std::mem::take(&mut expected.must);
                expected.may.extend(must);
                expected.triggers.clear();
            } else {
                expected.must.insert("oom_killed");
            }
        }
        match self.stop {
            Some(_) if self.stop_is_late || ate => expected.stops = self.any_stop(),
            Some(_) if expected.stops.is_empty() => {
                expected.stops.extend(self.stops_begun());
            }
            None if ate && self.seems_to_be_stopped() => expected.stops = self.any_stop(),
            Some(_) | None => {}
        }
        expected
    }

    /// The runtime's stop signal, and the same not long before: a runtime that is started again begins its stop again.
    fn stops_begun(&self) -> impl Iterator<Item = Option<usize>> {
        let stop = self.stop().copied().filter(|_stop| !self.stop_is_late);
        let grace = Duration::from_secs(self.case.grace);
        let same = self.sent_signals().filter(move |(_, sent)| {
            stop.is_some_and(|stop| {
                sent.from == From::Runtime
                    && sent.signal == stop.signal
                    && sent.span.before <= stop.span.before
                    && stop.span.before.since(sent.span.before) <= grace * 2 + AGAIN_LATE
            })
        });
        same.map(|(index, _)| Some(index))
    }

    fn killed_from_outside(&self, killer: &Sent) -> Expected {
        let mut expected = Expected::default();
        expected.triggers.insert("stopped");
        let Some(stop) = self.stop().filter(|_stop| !self.stop_is_late) else {
            return self.killed_without_stop(killer, expected);
        };
        let begun = self.sent_signals().filter(|(_, sent)| {
            sent.signal == stop.signal && sent.span.before <= killer.span.before
        });
        let waits = begun.map(|(_, sent)| killer.span.before.since(sent.span.before));
        let grace = Duration::from_secs(self.case.grace);
        let is_near =
            |wait: Duration| wait + NEAR_GRACE >= grace && wait <= grace + LATE + NEAR_GRACE;
        let is_grace = killer.is_of_stop;
        let may_be_grace = is_grace || waits.into_iter().any(is_near);
        if may_be_grace {
            expected.causes.insert("grace_expired");
        }
        // A runtime that got no time may be later than anybody can take for the end of the grace period.
        let is_late = killer.span.before.since(stop.span.before) > grace + RUNTIME_LATE;
        let may_be_other = !is_grace || is_late;
        if is_grace && is_late {
            expected.doubtful.push("the runtime was late");
        }
        if may_be_other {
            expected.causes.insert("other");
        }
        // Who sent the usual stop signal and SIGKILL has stopped it, too.
        let own = self.noise_signals().filter(|(_, sent)| {
            sent.from == killer.from && sent.signal == self.usual_signal() && !killer.is_of_stop
        });
        let own: BTreeSet<_> = own.map(|(index, _)| Some(index)).collect();
        if !own.is_empty() {
            expected.stops = own;
            expected.stops.insert(self.stop);
        }
        let fate = self.fate_of_stop(stop);
        if fate != Fate::Taken {
            expected.outcomes.insert("signal_ignored");
        }
        if fate != Fate::ThrownAway {
            if may_be_grace {
                expected.outcomes.insert("grace_exceeded");
            }
            if may_be_other {
                expected.outcomes.insert("killed_by_other");
            }
        }
        expected
    }

    fn killed_without_stop(&self, killer: &Sent, mut expected: Expected) -> Expected {
        expected.outcomes.insert("force_killed");
        expected.causes.insert("no_stop_signal");
        // Whoever kills it may be the one who told it to stop before, by whatever signal.
        let before = self.noise_signals().filter(|(_, sent)| {
            sent.from != From::Inside
                && sent.span.before <= killer.span.after
                && (sent.from == killer.from || sent.signal == self.usual_signal())
        });
        let before: Vec<_> = before.collect();
        if before.is_empty() && !self.stop_is_late {
            expected.stops.insert(None);
            return expected;
        }
        expected.stops = self.any_stop();
        expected.causes.insert("other");
        expected
            .outcomes
            .extend(["killed_by_other", "signal_ignored"]);
        let grace = Duration::from_secs(self.case.grace);
        let is_near = |sent: &Sent| {
            let wait = killer.span.before.since(sent.span.before);
            // A floor of two seconds is a grace period, too.
            let least = grace.max(Duration::from_secs(2));
            [grace, least]
                .into_iter()
                .any(|grace| wait + NEAR_GRACE >= grace && wait <= grace + LATE + NEAR_GRACE)
        };
        if before.iter().any(|(_, sent)| is_near(sent)) || self.stop_is_late {
            expected.outcomes.insert("grace_exceeded");
            expected.causes.insert("grace_expired");
        }
        expected
    }

    /// Another signal ended it.
    fn after_signal(&self, signal: u32) -> Expected {
        let mut expected = Expected::default();
        let senders: Vec<_> = self
            .sent_signals()
            .filter(|(_, sent)| sent.signal == signal && sent.span.before <= self.played.told_at)
            .collect();
        let is_own = self.life.aborts() && matches!(signal, 6 | 11);
        let Some((_, last)) = senders.last().filter(|_sender| !is_own) else {
            expected.outcomes.insert("crashed");
            let stop = self.stop().filter(|_stop| !self.stop_is_late);
            if stop.is_some_and(|stop| self.life.signal_fate(stop) != Fate::Taken) {
                // It was asked to end, did not hear it, and ended for another reason.
                expected.stops = self.any_stop();
            } else {
                self.stops_of_own_end(&mut expected);
            }
            return expected;
        };
        let by_stop = self.stop().filter(|stop| stop.signal == signal);
        if by_stop.is_some() {
            expected.outcomes.insert("graceful");
            expected.triggers.insert("stopped");
            let same = senders.iter().map(|(index, _)| Some(*index));
            expected.stops = same.collect();
            return expected;
        }
        expected.outcomes.insert("killed_by_other");
        if last.from == From::Runtime {
            // Which of its two signals it meant, only the runtime knows.
            expected.outcomes.insert("graceful");
            expected.stops = self.any_stop();
            return expected;
        }
        let stands_for_fault = matches!(signal, 4..=8 | 11 | 31);
        match self.stop() {
            // One that came when it was dying already ended nothing.
            Some(stop) if !self.stop_is_late && last.span.before > stop.span.after => {
                expected.stops.extend(self.stops_begun());
                expected.triggers.insert("stopped");
            }
            _ if stands_for_fault => {
                expected.stops = self.any_stop();
            }
            _ => {
                expected.outcomes.insert("graceful");
                expected.stops = self.any_stop();
                if last.from == From::Inside {
                    expected.may.insert("stopped_from_inside");
                }
            }
        }
        expected
    }

    /// It exited.
    fn after_exit(&self) -> Expected {
        let mut expected = Expected::default();
        let by_itself = if self.played.status.code() == Some(0) {
            "completed"
        } else {
            "crashed"
        };
        match self.life.because() {
            Some(signal) => self.exit_because_of(signal, by_itself, &mut expected),
            None => self.exit_by_itself(by_itself, &mut expected),
        }
        expected
    }

    fn exit_because_of(&self, signal: u32, by_itself: &'static str, expected: &mut Expected) {
        expected.outcomes.insert("graceful");
        let same: Vec<_> = self
            .sent_signals()
            .filter(|(_, sent)| sent.signal == signal)
            .filter(|(_, sent)| self.life.signal_fate(sent) != Fate::ThrownAway)
            .collect();
        expected.stops = same.iter().map(|(index, _)| Some(*index)).collect();
        expected.stops.extend(self.stops_begun());
        let usual = |sent: &Sent| sent.from != From::Inside && sent.signal == self.usual_signal();
        let other_asked = signal != self.usual_signal()
            && self
                .sent_signals()
                .any(|(_, sent)| usual(sent) && self.life.signal_fate(sent) != Fate::ThrownAway);
        if other_asked || self.stop().is_some_and(|stop| stop.signal != signal) {
            // Two asked it to end; the program knows to whom it listened, and nobody else does.
            expected.stops = self.any_stop();
        }
        expected.triggers.insert("stopped");
        let only_inside = same.iter().all(|(_, sent)| sent.from == From::Inside);
        let is_message = !matches!(signal, 2 | 3 | 15);
        if only_inside && is_message && self.stop.is_none() {
            // Between processes of a container such a signal may mean anything.
            expected.outcomes.insert(by_itself);
            expected.stops = self.any_stop();
            expected.triggers.clear();
        }
    }

    fn exit_by_itself(&self, by_itself: &'static str, expected: &mut Expected) {
        match self.stop() {
            Some(stop) if !self.stop_is_late => {
                expected.outcomes.insert("graceful");
                if self.life.signal_fate(stop) != Fate::Taken {
                    // It was asked to end, did not hear it, and ended for another reason.
                    expected.outcomes.insert(by_itself);
                    expected.stops = self.any_stop();
                    return;
                }
            }
            Some(_) => {
                expected.outcomes.extend(["graceful", by_itself]);
            }
            None => {
                expected.outcomes.insert(by_itself);
                let completes = by_itself == "completed";
                if self.runtime_began() || (completes && self.heard_runtime()) {
                    // That is what a stop looks like, to everybody but the runtime and the program.
                    expected.outcomes.insert("graceful");
                    expected.stops = self.any_stop();
                    return;
                }
            }
        }
        self.stops_of_own_end(expected);
    }

    /// Whether the runtime sent it a signal that it heard.
    fn heard_runtime(&self) -> bool {
        self.noise_signals().any(|(_, sent)| {
            sent.from == From::Runtime && self.life.signal_fate(sent) != Fate::ThrownAway
        })
    }

    /// Whether the runtime sent it the usual stop signal, be it that it heard it or not.
    fn runtime_began(&self) -> bool {
        let usual = self.usual_signal();
        self.noise_signals()
            .any(|(_, sent)| sent.from == From::Runtime && sent.signal == usual)
    }

    /// Whether a signal came that everybody takes for a stop signal.
    fn seems_to_be_stopped(&self) -> bool {
        let usual = self.usual_signal();
        self.noise_signals()
            .any(|(_, sent)| sent.from == From::Runtime || sent.signal == usual)
    }

    /// The stop signal where the program ended by itself.
    fn stops_of_own_end(&self, expected: &mut Expected) {
        let heard_usual = self.noise_signals().any(|(_, sent)| {
            let is_usual = [self.usual_signal(), 15].contains(&sent.signal)
                || (sent.from == From::Inside && matches!(sent.signal, 2 | 3 | 15));
            is_usual && self.life.signal_fate(sent) != Fate::ThrownAway
        });
        match self.stop {
            Some(_) if !self.stop_is_late => {
                expected.stops.extend(self.stops_begun());
                expected.triggers.insert("stopped");
                if heard_usual {
                    expected.stops = self.any_stop();
                }
            }
            Some(_) => expected.stops = self.any_stop(),
            None if heard_usual => {
                // It heard it, and ended later. Whether because of it, only the program knows.
                if self.played.status.signal().is_none() {
                    expected.outcomes.insert("graceful");
                }
                expected.stops = self.any_stop();
            }
            // It heard nothing, and ended in the middle of what looks like a stop to everybody but the runtime.
            None if self.runtime_began() => expected.stops = self.any_stop(),
            None => {
                expected.stops.insert(None);
                expected.triggers.extend(expected.outcomes.clone());
            }
        }
    }

    /// The findings that follow from the verdict and the stop signal.
    fn findings_of_stop(&self, expected: &mut Expected) {
        let of_outcome = [
            ("grace_exceeded", "too_slow"),
            ("force_killed", "killed_without_stop_signal"),
            ("killed_by_other", "killed_by_other"),
            ("oom_killed", "oom_killed"),
        ];
        let is_certain = expected.outcomes.len() == 1;
        for (outcome, finding) in of_outcome {
            if expected.outcomes.contains(outcome) {
                let to = if is_certain {
                    &mut expected.must
                } else {
                    &mut expected.may
                };
                to.insert(finding);
            }
        }
        let mut kills = self.sent_signals().filter(|(_, sent)| sent.signal == 9);
        if kills.any(|(_, kill)| self.played.told_at.since(kill.span.before) > STUCK) {
            // A machine without a free processor takes so long to free the memory of a process.
            expected.may.extend(["stuck_after_kill", "stuck_in_exit"]);
        }
        let only = expected.stops.len() == 1;
        let stops: Vec<_> = expected.stops.iter().flatten().copied().collect();
        for stop in stops {
            let Some(sent) = self.played.sent.get(stop) else {
                continue;
            };
            for (finding, holds) in self.of_signal(sent) {
                match (holds, only) {
                    (Some(true), true) => drop(expected.must.insert(finding)),
                    (Some(true), false) | (None, _) => drop(expected.may.insert(finding)),
                    (Some(false), _) => {}
                }
            }
        }
    }

    /// The findings about a stop signal, each with whether it holds; none if that is not known.
    fn of_signal(&self, sent: &Sent) -> [(&'static str, Option<bool>); 5] {
        let died_of_it = self.played.status.signal() == Some(sent.signal.cast_signed());
        let thrown_away = match self.fate_of_stop(sent) {
            // An init without a handler was seen to die of it on 5.10 and 6.12, and not on 6.18: its first thread blocked the
            // signal then, and others did not.
            Fate::ThrownAway if died_of_it => None,
            Fate::ThrownAway => Some(true),
            Fate::Taken => Some(false),
            Fate::Unclear => None,
        };
        let and = |one: Option<bool>, other: Option<bool>| match (one, other) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        let default = self.life.has_default(sent);
        let unheard = if died_of_it { Some(true) } else { thrown_away };
        let (youngest, oldest) = self.life.program_age(sent);
        let is_young = if oldest.saturating_add(SLACK) < YOUNG {
            Some(true)
        } else if youngest > YOUNG + SLACK {
            Some(false)
        } else {
            None
        };
        let masked = self.life.may_be_masked(sent);
        // A starved agent may not have seen the exec that began the program.
        let exec_unseen = self.case.starved && self.case.program.execs.is_some();
        let before_handler = and(and(unheard, default), is_young);
        [
            ("signal_ignored", thrown_away),
            (
                "wrong_stop_signal",
                and(and(thrown_away, default), Some(sent.signal != 15)),
            ),
            (
                "signal_before_handler",
                if (masked || exec_unseen) && before_handler == Some(true) {
                    None
                } else {
                    before_handler
                },
            ),
            (
                "other_stop_signal",
                Some(self.case.configured.is_some_and(|own| own != sent.signal)),
            ),
            ("stopped_from_inside", Some(sent.from == From::Inside)),
        ]
    }

    fn findings_of_children(&self, expected: &mut Expected) {
        let died_of_kill = self.played.status.signal() == Some(9);
        if !self.case.shares_pids && !died_of_kill {
            match self.life.left_children() {
                Some(true) => drop(expected.must.insert("killed_with_main")),
                Some(false) if !self.life.spawns() => {}
                Some(false) | None => drop(expected.may.insert("killed_with_main")),
            }
        }
        self.kills_of_children(expected);
        if self.life.eats_by_child() && self.played.first_time("eats").is_some() {
            let ended = self.played.log.iter();
            let ended = ended.map(|(_, line)| line.as_str());
            let killed = ended
                .filter(|line| line.starts_with("the eater ended"))
                .any(|line| line.contains("unix_wait_status(9)"));
            // What was lost before a stop is in no doubt about the stop.
            if killed && !self.case.starved {
                expected.must.insert("child_oom_killed");
            } else {
                expected.may.insert("child_oom_killed");
            }
        }
        // A child that is just being started may be chosen before the one that eats.
        if self.life.eats_itself() && self.life.spawns() && self.played.first_time("eats").is_some()
        {
            expected.may.insert("child_oom_killed");
        }
    }

    /// What a client said and nobody read is lost at the exit: the kernel resets its connection.
    fn findings_of_clients(&self, expected: &mut Expected) {
        let says = |(_, says): &(Timestamp, bool)| *says;
        if self.played.clients.iter().any(says) {
            // On a slow machine the exit may close the connection before the client has said anything.
            expected.may.insert("idle_close_race");
            let is_shutdown = |outcome: &str| {
                // A program that heard nothing had no choice.
                matches!(outcome, "graceful" | "grace_exceeded")
            };
            let in_order = expected.outcomes.iter().all(|outcome| is_shutdown(outcome));
            let before_stop = self.stop().is_some_and(|stop| {
                let mut clients = self.played.clients.iter();
                !self.stop_is_late && clients.any(|(at, says)| *says && *at < stop.span.before)
            });
            // Several that come from one address at intervals look like a scraper, and may be one.
            let are_few = self.played.clients.len() <= 2;
            if in_order && before_stop && are_few && self.life.is_one_program() {
                expected.must.insert("connections_reset");
            } else {
                expected.may.insert("connections_reset");
            }
        }
        // Who came while it was frozen waits in the accept queue, and is reset by an exit without having said anything.
        let frozen = &self.played.frozen;
        let came_frozen = |at: &Timestamp| {
            let mut frozen = frozen.iter();
            frozen.any(|span| span.before <= *at && *at <= span.after.after(SLACK))
        };
        if self.played.clients.iter().any(|(at, _)| came_frozen(at)) {
            expected.may.insert("connections_reset");
        }
        let since = expected.stops.iter().flatten().min().copied();
        let since = since.and_then(|stop| self.played.sent.get(stop));
        let since = since.map_or(self.played.told_at, |stop| stop.span.before);
        if self.played.clients.iter().any(|(at, _)| *at >= since) {
            expected.may.extend(["endpoint_race", "connections_reset"]);
        }
    }

    /// A child was killed after the stop signal.
    fn kills_of_children(&self, expected: &mut Expected) {
        let kills: Vec<Timestamp> = self.played.times_of("kills").collect();
        if kills.is_empty() {
            return;
        }
        let only: Vec<_> = expected.stops.iter().copied().collect();
        let [Some(stop)] = only.as_slice() else {
            expected.may.insert("killed_by_parent");
            return;
        };
        let Some(stop) = self.played.sent.get(*stop) else {
            return;
        };
        // The child may have exited at that very moment.
        let after = self
            .played
            .times_of("killed")
            .any(|at| at > stop.span.after);
        let before_end = expected
            .kill
            .and_then(|kill| self.played.sent.get(kill))
            .is_none_or(|kill| kills.iter().any(|at| at.after(SLACK) < kill.span.before));
        if after && before_end {
            expected.must.insert("killed_by_parent");
        } else if kills.iter().any(|at| *at >= stop.span.before) {
            expected.may.insert("killed_by_parent");
        }
    }
}

fn killed_from_inside() -> Expected {
    let mut expected = Expected::default();
    expected.outcomes.insert("killed_by_other");
    expected.causes.insert("inside");
    expected
}
