//! What one case found, and where those who know the numbers differ.

use std::fmt::Debug;
use std::time::Duration;

use agent_core::connection::{Direction, Phase, ResetClass, Side};
use agent_core::report::{Doubt, FindingKind, Report};
use anyhow::Result;
use gracewatch_tests::harness::{Disagreements, Judged};

use crate::capture::{Flows, Observed};
use crate::case::Stage;
use crate::clients::Met;
use crate::expected::{Expected, describe_class};
use crate::pod::{Container, Pod};
use crate::row::{Others, Row, number_rows};
use crate::told::Told;

/// How far the time of the last arrival may be after the capture's. A busy machine makes a segment wait longer on its way
/// from one end of the pair to the other: nobody can tell then.
const ARRIVAL_TOLERANCE: Duration = Duration::from_millis(20);

/// What one case found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Facts that are not as they should be.
    pub(crate) wrong: Vec<String>,
    /// Where the agent differs from what the case was made to do.
    unlike_plan: Vec<String>,
    /// What the stage did otherwise than it should have.
    off_plan: Vec<String>,
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
    pub(crate) fn require(&mut self, what: impl Into<String>, holds: bool) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    /// A fact that must be so if the case went as it should.
    fn like_plan(&mut self, what: impl Into<String>, holds: bool) {
        if !holds {
            self.unlike_plan.push(what.into());
        }
    }

    /// A fact that must be this.
    pub(crate) fn require_equal<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        found: T,
        expected: T,
    ) {
        if found != expected {
            self.wrong
                .push(format!("{what}: {found:?}, but it was {expected:?}"));
        }
    }

    /// Compares what was told of one termination with the rest.
    pub(crate) fn compare(&mut self, told: &Told, others: Others<'_>) {
        self.rows
            .extend(number_rows(&told.report_numbers, &told.metrics, others));
        self.complete(&told.report);
        self.classes(told, others.expected);
        self.phases(told, others.observed);
        self.arrival(told, others.observed);
    }

    /// Takes down the server's container, ends the capture and compares everything.
    pub(crate) fn end_and_compare(
        &mut self,
        stage: &Stage<'_>,
        (pod, container): (Pod<'_>, &Container<'_>),
        expected: &Expected,
        met: &Met,
    ) -> Result<Told> {
        let told = Told::end_and_wait(stage, container)?;
        let ours = pod.is_server_side();
        let observed = Flows::from_packets(&pod.packets()?, ours).observed(told.phase_edges()?);
        let others = Others {
            observed: &observed,
            expected: Some(expected),
            met: Some(met),
        };
        self.compare(&told, others);
        Ok(told)
    }

    /// A report that is not sure is no proof. Nothing tells from outside when the agent follows a container: if it did so too
    /// late, that is the stage's fault.
    pub(crate) fn complete(&mut self, report: &Report) {
        if report.doubts.contains(&Doubt::SeenLate) {
            let why = "the agent did not follow the container before it was stopped";
            self.off_plan.push(why.to_owned());
        }
        self.like_plan(
            format!("it has no doubts, found {:?}", report.doubts),
            report.doubts.is_empty(),
        );
    }

    /// Every class of resets, exactly.
    pub(crate) fn classes(&mut self, told: &Told, expected: Option<&Expected>) {
        let classes = told.classes();
        if let Some(expected) = expected {
            let expected = expected.classes();
            let what = format!("resets by class: {classes:?}, but it was {expected:?}");
            self.like_plan(what, classes == expected);
        }
        for (class, _) in &classes {
            let exported = told.exported(class);
            self.require_equal(
                &format!("metric of {}", describe_class(class)),
                exported,
                Some(in_metrics(&classes, class)),
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
                self.require(
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
                let what = format!("the last arrival is {error:?} from the capture's");
                self.require(what.clone(), error <= ARRIVAL_TOLERANCE || found > captured);
                if error > ARRIVAL_TOLERANCE && found > captured {
                    self.off_plan.push(what);
                }
                self.arrival_error = self.arrival_error.max(Some(error));
            }
            (found, captured) => self.require_equal("last arrival", found, captured),
        }
    }

    /// That it has these findings and no other ones.
    pub(crate) fn require_findings(&mut self, told: &Told, expected: &[FindingKind]) {
        let found: Vec<FindingKind> = told.report.findings.iter().map(|one| one.kind).collect();
        self.require_equal("findings", found.as_slice(), expected);
    }
}

impl Judged for Verdict {
    fn disagreements(&self) -> Disagreements {
        let mut all = Disagreements {
            wrong: self.wrong.clone(),
            unlike_plan: self.unlike_plan.clone(),
            off_plan: self.off_plan.clone(),
        };
        for row in &self.rows {
            row.add_disagreements(&mut all);
        }
        all
    }
}

/// How many have the labels of this class: they do not tell whose the connection was.
fn in_metrics(classes: &[(ResetClass<String>, u64)], class: &ResetClass<String>) -> u64 {
    let labels = |class: &ResetClass<String>| ResetClass {
        side: Side::Unknown,
        idle_closed: false,
        ..class.clone()
    };
    let same = classes
        .iter()
        .filter(|(other, _)| labels(other) == labels(class));
    same.map(|(_, count)| count).sum()
}
