//! Terminations of a running agent, asked again and again. What the agent answers is told as the engine's own outputs would be.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use agent_core::output::Output;
use agent_core::report::Report;
use agent_core::time::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::sink::{State, View};
use super::{check_shown, redraw};
use crate::client::{Address, Answer, Client};
use crate::clock;
use crate::terminal::NoEcho;

/// How often the agent is asked.
const POLL: Duration = Duration::from_secs(1);

/// Shows what the agent measures until SIGINT, SIGTERM or SIGHUP, or until nobody reads standard output any more.
///
/// # Errors
/// If the agent cannot be asked at the start, or what answers later is none.
pub(super) async fn watch_remote(
    client: Client,
    view: Box<dyn View>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stopped = pin!(stopped);
    let first = tokio::select! {
        () = &mut stopped => return Ok(()),
        first = client.terminations(u64::MAX) => first?,
    };
    let _quiet = NoEcho::new();
    let state = RefCell::new(State::new(view));
    let skew = Cell::new(0);
    let now = || at_the_agent(clock::now(), skew.get());
    tokio::select! {
        () = stopped => state.borrow_mut().show_last_view(now()),
        error = redraw(&state, now) => state.borrow_mut().record_failure(error),
        Err(error) = follow(&client, first, &state, &skew) => return Err(error),
    }
    check_shown(state)
}

/// What the agent's clock says now; it and this machine's began at different times.
fn at_the_agent(now: Timestamp, skew: i128) -> Timestamp {
    let there = i128::from(now.0) + skew;
    Timestamp(u64::try_from(there.max(0)).unwrap_or(u64::MAX))
}

async fn follow(
    client: &Client,
    first: Answer,
    state: &RefCell<State>,
    skew: &Cell<i128>,
) -> anyhow::Result<Infallible> {
    let mut followed = Followed::new(client, &first);
    let take = |followed: &mut Followed, answer: &Answer| {
        skew.set(i128::from(answer.now.0) - i128::from(clock::now().0));
        let news = followed.apply_answer(answer);
        let mut state = state.borrow_mut();
        news.remarks.iter().for_each(|remark| state.remark(remark));
        news.outputs.iter().for_each(|output| state.output(output));
    };
    state.borrow_mut().remark(&greeting(client, &first));
    take(&mut followed, &first);
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_away = false;
    loop {
        ticks.tick().await;
        match client.terminations(followed.since).await {
            Ok(answer) => {
                if std::mem::take(&mut is_away) {
                    let back = format!("The agent at {} answers again.", client.address());
                    state.borrow_mut().remark(&back);
                }
                take(&mut followed, &answer);
            }
            Err(error) if error.may_pass() => {
                if !std::mem::replace(&mut is_away, true) {
                    let away = format!("No answer: {error}. Trying again every second.");
                    state.borrow_mut().remark(&away);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn greeting(client: &Client, first: &Answer) -> String {
    let before = match first.finished_total {
        0 => String::new(),
        many => format!(
            " {many} finished before; `gracewatch explain --agent {}` lists those that it remembers.",
            client.address()
        ),
    };
    format!(
        "Watching what the agent at {} (gracewatch {}) measures. A termination appears here when one stops; until then it is normal that nothing happens.{before} Ctrl-C ends.",
        client.address(),
        first.version
    )
}

/// What is known of the agent's terminations.
#[derive(Debug)]
struct Followed {
    address: Address,
    /// Which run of the agent.
    started_at: Timestamp,
    /// How many finished ones were told of.
    since: u64,
    open: BTreeMap<u64, Report>,
    /// The last sentence about what cannot be read, which is said once.
    unread: Option<String>,
}

/// What an answer holds that was not known.
#[derive(Debug, Default)]
struct Severity {
    remarks: Vec<String>,
    outputs: Vec<Output>,
}

impl Followed {
    fn new(client: &Client, first: &Answer) -> Self {
        Self {
            address: client.address().clone(),
            started_at: first.started_at,
            since: first.finished_total,
            open: BTreeMap::new(),
            unread: None,
        }
    }

    fn apply_answer(&mut self, answer: &Answer) -> Severity {
        let mut news = Severity::default();
        if answer.started_at != self.started_at {
            self.begin_anew(answer, &mut news);
            return news;
        }
        let unread = answer.unread_sentence(&self.address);
        if unread.is_some() && unread != self.unread {
            news.remarks.extend(unread.clone());
            self.unread = unread;
        }
        let told = u64::try_from(answer.finished.len()).unwrap_or(u64::MAX);
        let came = answer.finished_total.saturating_sub(self.since);
        let missed = came.saturating_sub(told).saturating_sub(answer.unread);
        if missed > 0 {
            news.remarks.push(format!(
                "{missed} more finished in between, which the agent at {} does not remember any more; they are not shown.",
                self.address
            ));
        }
        self.since = answer.finished_total;
        for report in answer.finished.iter().rev() {
            self.open.remove(&report.id);
            news.outputs
                .push(Output::Finished(Box::new(report.clone())));
        }
        self.take_open(answer, &mut news);
        news
    }

    /// What is open still or newly, as far as something of it is new; what is neither open nor finished was none.
    fn take_open(&mut self, answer: &Answer, news: &mut Severity) {
        let now_open: BTreeMap<_, _> = answer
            .open
            .iter()
            .map(|one| (one.id, one.clone()))
            .collect();
        let gone = self
            .open
            .values()
            .filter(|one| !now_open.contains_key(&one.id));
        news.outputs.extend(gone.map(withdrawn));
        let new = now_open
            .values()
            .filter(|one| self.open.get(&one.id) != Some(*one));
        news.outputs
            .extend(new.map(|one| Output::Progress(Box::new(one.clone()))));
        self.open = now_open;
    }

    /// Another run of the agent: its numbers begin at 1 again, and all that it tells is new. The next answer has it.
    fn begin_anew(&mut self, answer: &Answer, news: &mut Severity) {
        news.remarks.push(format!(
            "The agent at {} was restarted; what ended before it was back is not shown, and numbers begin anew.",
            self.address
        ));
        news.outputs.extend(self.open.values().map(withdrawn));
        self.open.clear();
        self.started_at = answer.started_at;
        self.since = 0;
    }
}

fn withdrawn(report: &Report) -> Output {
    Output::Withdrawn {
        id: report.id,
        container: report.subject.cgroup,
    }
}

#[cfg(test)]
mod tests {
    use agent_core::report::Outcome;

    use super::*;
    use crate::timeline::sample;

    fn report(id: u64, outcome: Outcome) -> Report {
        Report {
            id,
            ..sample::report(outcome)
        }
    }

    fn answer(started_at: u64, in_all: u64, open: &[u64], finished: &[u64]) -> Answer {
        let reports = |ids: &[u64], outcome| ids.iter().map(|id| report(*id, outcome)).collect();
        Answer {
            version: "0.1.0".to_owned(),
            started_at: Timestamp(started_at),
            now: Timestamp(0),
            wall_at_boot: 0,
            finished_total: in_all,
            open: reports(open, Outcome::InProgress),
            finished: reports(finished, Outcome::Graceful),
            unread: 0,
            why_unread: None,
        }
    }

    fn followed() -> Followed {
        let client = Client::new("127.0.0.1:1".parse().unwrap());
        Followed::new(&client, &answer(7, 5, &[], &[]))
    }

    fn severity_words(news: &Severity) -> Vec<String> {
        let word = |output: &Output| match output {
            Output::Progress(report) => format!("open {}", report.id),
            Output::Finished(report) => format!("finished {}", report.id),
            Output::Withdrawn { id, .. } => format!("withdrawn {id}"),
            Output::Effect(_)
            | Output::Dropped { .. }
            | Output::Unreported { .. }
            | Output::Resets { .. }
            | Output::Tracked { .. } => panic!("{output:?}"),
        };
        news.outputs.iter().map(word).collect()
    }

    #[test]
    fn only_what_is_new_is_told_and_the_oldest_first() {
        let mut followed = followed();
        assert_eq!(
            severity_words(&followed.apply_answer(&answer(7, 5, &[6, 8], &[]))),
            ["open 6", "open 8"]
        );
        assert!(severity_words(&followed.apply_answer(&answer(7, 5, &[6, 8], &[]))).is_empty());
        let news = followed.apply_answer(&answer(7, 7, &[8], &[7, 6]));
        assert_eq!(severity_words(&news), ["finished 6", "finished 7"]);
        assert_eq!(
            severity_words(&followed.apply_answer(&answer(7, 7, &[], &[]))),
            ["withdrawn 8"]
        );
        assert_eq!(followed.since, 7);
    }

    #[test]
    fn what_the_agent_has_forgotten_is_counted() {
        let mut followed = followed();
        let news = followed.apply_answer(&answer(7, 305, &[], &[301, 302]));
        assert!(news.remarks[0].starts_with("298 more finished"), "{news:?}");
    }

    #[test]
    fn another_run_of_the_agent_begins_anew() {
        let mut followed = followed();
        followed.apply_answer(&answer(7, 5, &[6], &[]));
        let news = followed.apply_answer(&answer(9, 1, &[2], &[]));
        assert_eq!(severity_words(&news), ["withdrawn 6"]);
        assert!(news.remarks[0].contains("restarted"), "{news:?}");
        let news = followed.apply_answer(&answer(9, 1, &[2], &[1]));
        assert_eq!(severity_words(&news), ["finished 1", "open 2"]);
        assert!(news.remarks.is_empty(), "{news:?}");
    }

    #[test]
    fn what_cannot_be_read_is_said_once() {
        let mut followed = followed();
        let mut strange = answer(7, 6, &[], &[]);
        strange.unread = 1;
        strange.why_unread = Some("unknown variant `abducted`".to_owned());
        let news = followed.apply_answer(&strange);
        assert!(
            news.remarks[0].contains("abducted") && news.remarks.len() == 1,
            "{news:?}"
        );
        strange.finished_total = 7;
        assert!(followed.apply_answer(&strange).remarks.is_empty());
    }

    #[test]
    fn the_agents_clock_is_its_own() {
        assert_eq!(at_the_agent(Timestamp(100), -40), Timestamp(60));
        assert_eq!(at_the_agent(Timestamp(100), 40), Timestamp(140));
        assert_eq!(at_the_agent(Timestamp(100), -200), Timestamp(0));
    }
}
