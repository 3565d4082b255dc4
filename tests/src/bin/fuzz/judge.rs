//! Compares a report with what a perfect one says.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::clock::Span;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::Case;
use crate::oracle::{Expected, expect};
use crate::stage::Played;

/// How far a time may lie outside of the two readings of the clock around it.
const SKEW: Duration = Duration::from_millis(2);

/// A report, as far as it is judged: read from its JSON, which is what everybody reads.
#[derive(Debug, Deserialize)]
struct Told {
    main: Option<Main>,
    outcome: String,
    trigger: String,
    stop_signal: Option<Stop>,
    kill: Option<Kill>,
    exit: Option<Exit>,
    findings: Vec<Finding>,
    doubts: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Main {
    tgid: u32,
}

#[derive(Debug, Deserialize)]
struct Stop {
    at: Timestamp,
    signal: u32,
}

#[derive(Debug, Deserialize)]
struct Kill {
    at: Timestamp,
    cause: String,
}

#[derive(Debug, Deserialize)]
struct Exit {
    at: Timestamp,
    status: Value,
}

#[derive(Debug, Deserialize)]
struct Finding {
    kind: String,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wrong {
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) reported: String,
}

/// What a report is worth.
#[derive(Clone, Debug)]
pub(crate) enum Judgement {
    /// It says what was, for certain; and whether it could have known all of it.
    Right { knowable: bool },
    /// It says that it is not sure, of these; and whether it is allowed to.
    Unsure { doubts: Vec<String>, allowed: bool },
    /// It is certain, and wrong.
    Wrong(Vec<Wrong>),
    /// There is none, and the agent had no time while all of it happened.
    Unseen,
}

impl Judgement {
    /// Whether there is no report.
    pub(crate) fn is_missing(&self) -> bool {
        let Self::Wrong(wrong) = self else {
            return false;
        };
        wrong
            .iter()
            .any(|wrong| wrong.what == "reports" && wrong.reported == "0")
    }

    /// What kind of fault it is, without the numbers that differ from run to run.
    pub(crate) fn fault_class(&self) -> Option<String> {
        let Self::Wrong(wrong) = self else {
            return None;
        };
        let words =
            |wrong: &Wrong| format!("{}: {} → {}", wrong.what, wrong.expected, wrong.reported);
        // The verdict makes the class; what follows from it does not.
        let first = wrong.iter().min()?;
        let verdict = wrong.iter().find(|wrong| wrong.what == "outcome");
        Some(words(verdict.unwrap_or(first)))
    }
}

/// Judges the reports of a container.
pub(crate) fn judge_reports(
    case: &Case,
    played: &Played,
    reports: &[Value],
    starved: &[Span],
) -> Result<Judgement> {
    let reports: Vec<&Value> = reports
        .iter()
        .filter(|report| !is_of_visitor(report, case, reports))
        .collect();
    let [report] = reports.as_slice() else {
        let unseen =
            |span: &Span| span.before <= played.started_after && played.released_at <= span.after;
        if reports.is_empty() && starved.iter().any(unseen) {
            return Ok(Judgement::Unseen);
        }
        return Ok(Judgement::Wrong(vec![Wrong {
            what: "reports",
            expected: "1".to_owned(),
            reported: reports.len().to_string(),
        }]));
    };
    let told: Told =
        serde_json::from_value(Value::clone(report)).context("a report is not as expected")?;
    let expected = expect(case, played);
    let wrong = compare(&expected, played, &told);
    Ok(if !told.doubts.is_empty() {
        Judgement::Unsure {
            allowed: !expected.doubtful.is_empty(),
            doubts: told.doubts,
        }
    } else if wrong.is_empty() {
        Judgement::Right {
            knowable: expected.doubtful.is_empty(),
        }
    } else {
        Judgement::Wrong(wrong)
    })
}

/// Whether it is about a process of the rig that entered when the main process was gone: without a pid namespace that is the next
/// main process.
fn is_of_visitor(report: &Value, case: &Case, reports: &[Value]) -> bool {
    let time = |report: &Value, of: &str| report.pointer(of).and_then(Value::as_u64);
    let first_end = reports.iter().filter_map(|one| time(one, "/exit/at")).min();
    let start = time(report, "/main/start");
    case.shares_pids && first_end.zip(start).is_some_and(|(end, start)| start > end)
}

fn compare(expected: &Expected, played: &Played, told: &Told) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut among = |what, allowed: &BTreeSet<&'static str>, reported: &str| {
        if !allowed.contains(reported) {
            wrong.push(Wrong {
                what,
                expected: join_words(allowed.iter().copied()),
                reported: reported.to_owned(),
            });
        }
    };
    among("outcome", &expected.outcomes, &told.outcome);
    if !expected.triggers.is_empty() {
        among("trigger", &expected.triggers, &told.trigger);
    }
    match &told.kill {
        Some(kill) => among("cause of SIGKILL", &expected.causes, &kill.cause),
        None if !expected.causes.is_empty() => {
            among("cause of SIGKILL", &expected.causes, "none");
        }
        None => {}
    }
    compare_findings(expected, told, &mut wrong);
    compare_stop(expected, played, told, &mut wrong);
    compare_facts(expected, played, told, &mut wrong);
    wrong
}

fn compare_findings(expected: &Expected, told: &Told, wrong: &mut Vec<Wrong>) {
    let found: BTreeSet<&str> = told.findings.iter().map(|one| one.kind.as_str()).collect();
    for missing in expected.must.iter().filter(|must| !found.contains(*must)) {
        wrong.push(Wrong {
            what: "finding",
            expected: (*missing).to_owned(),
            reported: "not there".to_owned(),
        });
    }
    for one in found {
        if !expected.must.contains(one) && !expected.may.contains(one) {
            wrong.push(Wrong {
                what: "finding",
                expected: "not there".to_owned(),
                reported: one.to_owned(),
            });
        }
    }
}

fn compare_stop(expected: &Expected, played: &Played, told: &Told, wrong: &mut Vec<Wrong>) {
    if expected.stops.is_empty() {
        return;
    }
    let is_it = |stop: &Stop, index: usize| {
        let sent = played.sent.get(index);
        sent.is_some_and(|sent| sent.signal == stop.signal && lies_in(stop.at, sent.span))
    };
    let right = match &told.stop_signal {
        None => expected.stops.contains(&None),
        Some(stop) => expected
            .stops
            .iter()
            .flatten()
            .any(|index| is_it(stop, *index)),
    };
    if right {
        return;
    }
    let name = |index: &Option<usize>| match index.and_then(|index| played.sent.get(index)) {
        Some(sent) => format!("{} by {:?}", sent.signal, sent.from),
        None => "none".to_owned(),
    };
    let reported = told.stop_signal.as_ref().map(|stop| {
        let mut sent = played.sent.iter();
        let sent = sent.find(|sent| sent.signal == stop.signal && lies_in(stop.at, sent.span));
        sent.map_or_else(
            || format!("{} at another time", stop.signal),
            |sent| format!("{} by {:?}", sent.signal, sent.from),
        )
    });
    wrong.push(Wrong {
        what: "stop signal",
        expected: join_words(expected.stops.iter().map(name)),
        reported: reported.unwrap_or_else(|| "none".to_owned()),
    });
}

/// Facts about which there are no two opinions.
fn compare_facts(expected: &Expected, played: &Played, told: &Told, wrong: &mut Vec<Wrong>) {
    let mut that = |what, holds: bool, expected: String, reported: String| {
        if !holds {
            wrong.push(Wrong {
                what,
                expected,
                reported,
            });
        }
    };
    let main = told.main.as_ref().map(|main| main.tgid);
    that(
        "main process",
        main == Some(played.pid),
        "the main process".to_owned(),
        "another one".to_owned(),
    );
    let Some(exit) = &told.exit else {
        that("exit", false, "seen".to_owned(), "none".to_owned());
        return;
    };
    let status = status(played.status);
    that(
        "exit status",
        exit.status == status,
        status.to_string(),
        exit.status.to_string(),
    );
    let last = played.log.iter().map(|(at, _)| *at).max();
    let span = Span {
        before: last.unwrap_or_default(),
        after: played.told_at,
    };
    that(
        "time of the exit",
        lies_in(exit.at, span),
        "between the last word and its parent's".to_owned(),
        "outside".to_owned(),
    );
    let killer = expected.kill.and_then(|kill| played.sent.get(kill));
    if let (Some(killer), Some(kill)) = (killer, &told.kill) {
        that(
            "time of SIGKILL",
            lies_in(kill.at, killer.span),
            "when it was sent".to_owned(),
            "another time".to_owned(),
        );
    }
}

fn lies_in(at: Timestamp, span: Span) -> bool {
    span.before.before(SKEW) <= at && at <= span.after.after(SKEW)
}

/// The parent's words for how it ended, as the report has them.
fn status(status: ExitStatus) -> Value {
    match status.signal() {
        Some(signal) => json!({"signal": {"signal": signal, "core_dumped": status.core_dumped()}}),
        None => json!({"code": status.code().unwrap_or_default()}),
    }
}

fn join_words<T: AsRef<str>>(of: impl Iterator<Item = T>) -> String {
    let of: Vec<String> = of.map(|word| word.as_ref().to_owned()).collect();
    of.join(" or ")
}
