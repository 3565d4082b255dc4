//! The numbers of one case, by everybody who knows them, and where they differ.

use std::fmt::Debug;
use std::time::Duration;

use agent_core::connection::{Direction, Mode, Phase, ResetClass, Scope};
use agent_core::report::Report;
use anyhow::Result;

use crate::capture::{Flows, Observed, Range};
use crate::case::Stage;
use crate::clients::Met;
use crate::pod::{Container, Pod};
use crate::told::{Numbers, Told};

/// How far the time of the last arrival may be from the capture's: a busy machine makes a segment wait on its way from
/// one end of the pair to the other.
const ARRIVAL_TOLERANCE: Duration = Duration::from_millis(20);

/// A class of resets, and how many.
pub(crate) type Counted = (ResetClass<&'static str>, u64);

/// What a case was made to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) resets: Vec<Counted>,
    pub(crate) refused: u64,
    /// Of these, those that are the pod's.
    pub(crate) refused_in_pod: u64,
    pub(crate) accepted_after: u64,
    pub(crate) at_stop_signal: u64,
    pub(crate) at_exit: u64,
    pub(crate) finished: u64,
}

/// Resets that the container's side sent.
pub(crate) const fn sent(phase: Phase, mode: Mode, reason: &'static str, count: u64) -> Counted {
    let class = ResetClass {
        phase,
        direction: Direction::Sent,
        mode,
        scope: Scope::Container,
        reason: Some(reason),
    };
    (class, count)
}

/// Resets of attempts at a port at which nobody in the pod had listened.
pub(crate) const fn refused_in_pod(phase: Phase, count: u64) -> Counted {
    let (class, count) = refused(phase, count);
    let class = ResetClass {
        scope: Scope::Pod,
        ..class
    };
    (class, count)
}

/// Resets of attempts at a port that the container had listened on.
pub(crate) const fn refused(phase: Phase, count: u64) -> Counted {
    sent(phase, Mode::Passive, "no_socket", count)
}

/// Resets that came from the peer.
pub(crate) const fn received(phase: Phase, count: u64) -> Counted {
    let class = ResetClass {
        phase,
        direction: Direction::Received,
        mode: Mode::Unknown,
        scope: Scope::Container,
        reason: None,
    };
    (class, count)
}

/// One number by everybody who knows it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) expected: Option<u64>,
    pub(crate) report: u64,
    pub(crate) metrics: Option<f64>,
    pub(crate) capture: Option<Range>,
    pub(crate) clients: Option<u64>,
}

impl Row {
    /// Whether all who know it say the same.
    pub(crate) fn agrees(&self) -> bool {
        let same = |other: Option<u64>| other.is_none_or(|other| other == self.report);
        #[expect(clippy::cast_precision_loss, reason = "a count of a test, below 2^52")]
        let exported = self
            .metrics
            .is_none_or(|metrics| (metrics - self.report as f64).abs() < 0.5);
        same(self.expected)
            && same(self.clients)
            && exported
            && self
                .capture
                .is_none_or(|capture| capture.contains(self.report))
    }
}

/// What one case found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Facts that are not as they should be.
    pub(crate) wrong: Vec<String>,
    /// Everything that was compared.
    pub(crate) rows: Vec<Row>,
    /// The resets by class, as the report has them.
    pub(crate) classes: Vec<(ResetClass<String>, u64)>,
    /// How far the last arrival was from the capture's.
    pub(crate) arrival_error: Option<Duration>,
    /// What a reader of the results should know.
    pub(crate) notes: Vec<String>,
}

impl Verdict {
    /// A fact that must be so.
    pub(crate) fn that(&mut self, what: impl Into<String>, holds: bool) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    /// A fact that must be this.
    pub(crate) fn same<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.wrong
                .push(format!("{what}: {found:?}, but it was {expected:?}"));
        }
    }

    /// Compares what was told of one termination with the rest.
    pub(crate) fn compare(
        &mut self,
        told: &Told,
        observed: &Observed,
        expected: Option<&Expected>,
        met: Option<&Met>,
    ) {
        self.numbers(
            (&told.report_numbers, &told.metrics),
            observed,
            expected,
            met,
        );
        self.complete(&told.report);
        self.classes(told, expected);
        self.phases(told, observed);
        self.arrival(told, observed);
    }

    /// Takes down the server's container, ends the capture and compares everything.
    pub(crate) fn judge(
        &mut self,
        stage: &Stage<'_>,
        (pod, container): (Pod<'_>, &Container<'_>),
        expected: &Expected,
        met: &Met,
    ) -> Result<Told> {
        let told = Told::of(stage, container)?;
        let ours = pod.side();
        let observed = Flows::of(&pod.packets()?, ours).observed(told.edges()?);
        self.compare(&told, &observed, Some(expected), Some(met));
        Ok(told)
    }

    /// Compares the numbers, each a row of the table.
    pub(crate) fn numbers(
        &mut self,
        (report, metrics): (&Numbers<u64>, &Numbers<Option<f64>>),
        observed: &Observed,
        expected: Option<&Expected>,
        met: Option<&Met>,
    ) {
        let total = |direction| {
            expected.map(|expected| {
                let resets = expected.resets.iter();
                resets
                    .filter(|(class, _)| class.direction == direction)
                    .map(|(_, count)| count)
                    .sum()
            })
        };
        let row = |what, report, metrics| Row {
            what,
            expected: None,
            report,
            metrics,
            capture: None,
            clients: None,
        };
        self.rows.extend([
            Row {
                expected: total(Direction::Sent),
                capture: Some(Range::exactly(observed.sent)),
                clients: met.map(|met| met.reset + met.refused),
                ..row("resets sent", report.sent, metrics.sent)
            },
            Row {
                expected: total(Direction::Received),
                capture: Some(Range::exactly(observed.received)),
                clients: met.map(|met| met.aborted),
                ..row("resets received", report.received, metrics.received)
            },
            Row {
                expected: expected.map(|expected| expected.refused),
                capture: Some(Range::exactly(observed.refused)),
                clients: met.map(|met| met.refused),
                ..row("refused", report.refused, metrics.refused)
            },
            Row {
                expected: expected.map(|expected| expected.refused_in_pod),
                ..row("… scope pod", report.refused_in_pod, metrics.refused_in_pod)
            },
            Row {
                expected: expected.map(|expected| expected.accepted_after),
                capture: Some(observed.accepted_after),
                clients: met.map(|met| met.accepted_after),
                ..row(
                    "accepted after",
                    report.accepted_after,
                    metrics.accepted_after,
                )
            },
            Row {
                expected: expected.map(|expected| expected.at_stop_signal),
                capture: Some(observed.at_stop_signal),
                ..row(
                    "at stop signal",
                    report.at_stop_signal,
                    metrics.at_stop_signal,
                )
            },
            Row {
                expected: expected.map(|expected| expected.at_exit),
                capture: Some(observed.at_exit),
                ..row("at exit", report.at_exit, metrics.at_exit)
            },
            Row {
                expected: expected.map(|expected| expected.finished),
                capture: Some(observed.finished),
                ..row("finished between", report.finished, metrics.finished)
            },
        ]);
    }

    /// A report that is not sure is no proof.
    pub(crate) fn complete(&mut self, report: &Report) {
        self.that(
            format!("it has no doubts, found {:?}", report.doubts),
            report.doubts.is_empty(),
        );
    }

    /// Every class of resets, exactly.
    pub(crate) fn classes(&mut self, told: &Told, expected: Option<&Expected>) {
        let classes = told.classes();
        if let Some(expected) = expected {
            let mut wanted: Vec<_> = expected
                .resets
                .iter()
                .map(|(class, count)| (owned(class), *count))
                .collect();
            wanted.sort();
            self.same("resets by class", classes.clone(), wanted);
        }
        for (class, count) in &classes {
            let exported = told.exported(class);
            self.same(
                &format!("metric of {}", words(class)),
                exported,
                Some(*count),
            );
        }
        self.classes.extend(classes);
    }

    /// Resets by phase, as far as the capture can tell.
    fn phases(&mut self, told: &Told, observed: &Observed) {
        for phase in Phase::ALL {
            for direction in [Direction::Sent, Direction::Received] {
                let found: u64 = told
                    .classes()
                    .iter()
                    .filter(|(class, _)| class.phase == phase && class.direction == direction)
                    .map(|(_, count)| count)
                    .sum();
                let range = observed.resets(phase, direction);
                self.that(
                    format!("{direction:?} in {phase:?}: {found}, but {range} by the capture"),
                    range.contains(found),
                );
            }
        }
    }

    /// The time of the last arrival.
    fn arrival(&mut self, told: &Told, observed: &Observed) {
        let found = told
            .connections
            .as_ref()
            .and_then(|connections| connections.last_arrival_at);
        match (found, observed.last_arrival_at) {
            (Some(found), Some(captured)) => {
                let error = Duration::from_nanos(found.0.abs_diff(captured.0));
                self.that(
                    format!("the last arrival is {error:?} from the capture's"),
                    error <= ARRIVAL_TOLERANCE,
                );
                self.arrival_error = self.arrival_error.max(Some(error));
            }
            (found, captured) => self.same("last arrival", found, captured),
        }
    }

    /// Every number on which not all agree.
    pub(crate) fn disagreements(&mut self) {
        let wrong = self.rows.iter().filter(|row| !row.agrees());
        let wrong: Vec<_> = wrong
            .map(|row| format!("{}: not all say the same; see the table", row.what))
            .collect();
        self.wrong.extend(wrong);
    }
}

fn owned(class: &ResetClass<&str>) -> ResetClass<String> {
    ResetClass {
        phase: class.phase,
        direction: class.direction,
        mode: class.mode,
        scope: class.scope,
        reason: class.reason.map(str::to_owned),
    }
}

/// A class in words.
pub(crate) fn words(class: &ResetClass<String>) -> String {
    let mut words = format!("{:?} {:?}", class.phase, class.direction);
    if class.mode != Mode::Unknown {
        words += &format!(" {:?}", class.mode);
    }
    if class.scope == Scope::Pod {
        words += " scope=pod";
    }
    words = words.to_lowercase();
    if let Some(reason) = &class.reason {
        words = format!("{words} {reason}");
    }
    words
}
