//! How one try of a case ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::wrong_verdict::{WrongVerdict, is_wrong_verdict};

/// How one try of a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Everything was judged, and is right.
    Passed,
    /// The agent was not judged; why.
    StageFailed(String),
    /// The agent was judged, and is wrong.
    Wrong(Vec<String>),
}

/// Where somebody disagrees with somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreements {
    /// The agent with those who saw what happened: it is wrong, whatever else went wrong.
    pub wrong: Vec<String>,
    /// The agent with what the case planned: it is wrong if the plan was kept.
    pub unlike_plan: Vec<String>,
    /// Others than the agent with the plan: it was not kept.
    pub off_plan: Vec<String>,
}

/// What a case finds.
pub trait Judged {
    /// Returns everything that is not as it should be.
    fn disagreements(&self) -> Disagreements;
}

/// What a case finds that says everything by its errors.
impl Judged for () {
    fn disagreements(&self) -> Disagreements {
        Disagreements::default()
    }
}

impl Ending {
    /// What the end of a try and all disagreements in it come to.
    fn from_run(ran: Result<()>, mut found: Disagreements) -> Self {
        if let Err(error) = ran {
            let words = format!("{error:#}");
            if is_wrong_verdict(&error) {
                found.wrong.push(words);
            } else if found.wrong.is_empty() && found.unlike_plan.is_empty() {
                found.off_plan.push(words);
            } else {
                // It is told, too; but what was judged before it counts.
                found.unlike_plan.push(words);
            }
        }
        if found.wrong.is_empty() && !found.off_plan.is_empty() {
            if !found.unlike_plan.is_empty() {
                let unlike = found.unlike_plan.join("; ");
                found
                    .off_plan
                    .push(format!("not judged therefore: {unlike}"));
            }
            return Self::StageFailed(found.off_plan.join("; "));
        }
        let mut wrong = found.wrong;
        wrong.extend(found.unlike_plan);
        if wrong.is_empty() {
            Self::Passed
        } else {
            wrong.extend(found.off_plan);
            Self::Wrong(wrong)
        }
    }

    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        *self == Self::Passed
    }

    /// One word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::StageFailed(_) => "no stage",
            Self::Wrong(_) => "FAILED",
        }
    }

    /// Each thing that went wrong.
    pub fn details(&self) -> &[String] {
        match self {
            Self::Passed => &[],
            Self::StageFailed(why) => std::slice::from_ref(why),
            Self::Wrong(wrong) => wrong,
        }
    }
}

/// One try of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried<F> {
    /// The case.
    pub name: String,
    /// What it found.
    pub found: F,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub took: Duration,
    /// What those on the stage said, for whoever has to understand why it failed.
    pub log: String,
}

impl<F> Tried<F> {
    /// A try whose stage was not even begun.
    pub fn without_stage(name: &str, found: F, why: &anyhow::Error) -> Self {
        Self {
            name: name.to_owned(),
            found,
            ending: Ending::StageFailed(format!("{why:#}")),
            took: Duration::ZERO,
            log: String::new(),
        }
    }

    /// With what `tell` tells, if it did not pass.
    #[must_use]
    pub fn with_log(mut self, tell: impl FnOnce() -> String) -> Self {
        if !self.ending.passed() {
            self.log = tell();
        }
        self
    }
}

/// Tries a case: `run` adds to `found` what it finds. A panic is a fault of the case itself and no stage's.
pub fn attempt<F: Judged>(
    name: &str,
    mut found: F,
    run: impl FnOnce(&mut F) -> Result<()>,
) -> Tried<F> {
    let started = Instant::now();
    let ran = catch_unwind(AssertUnwindSafe(|| run(&mut found))).unwrap_or_else(|_panic| {
        Err(WrongVerdict("it panicked; the message is above".to_owned()).into())
    });
    let ending = Ending::from_run(ran, found.disagreements());
    Tried {
        name: name.to_owned(),
        found,
        ending,
        took: started.elapsed(),
        log: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn new_disagreements(wrong: &[&str], unlike_plan: &[&str], off_plan: &[&str]) -> Disagreements {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Disagreements {
            wrong: owned(wrong),
            unlike_plan: owned(unlike_plan),
            off_plan: owned(off_plan),
        }
    }

    fn failed_stage() -> Result<()> {
        Err(anyhow!("kubectl is slow"))
    }

    fn verdict() -> Result<()> {
        Err(WrongVerdict("no report".to_owned()).into())
    }

    #[test]
    fn a_stage_that_failed_is_no_verdict() {
        let ending = Ending::from_run(failed_stage(), new_disagreements(&[], &[], &[]));
        assert_eq!(ending, Ending::StageFailed("kubectl is slow".to_owned()));
        let ending = Ending::from_run(
            Ok(()),
            new_disagreements(&[], &["outcome"], &["exit code 1"]),
        );
        let why = "exit code 1; not judged therefore: outcome";
        assert_eq!(ending, Ending::StageFailed(why.to_owned()));
    }

    #[test]
    fn a_wrong_verdict_is_not_excused_by_a_stage() {
        for (ran, found) in [
            (verdict(), new_disagreements(&[], &[], &["exit code 1"])),
            (
                failed_stage(),
                new_disagreements(&["pod"], &[], &["exit code 1"]),
            ),
            (failed_stage(), new_disagreements(&[], &["outcome"], &[])),
            (Ok(()), new_disagreements(&[], &["outcome"], &[])),
        ] {
            let ending = Ending::from_run(ran, found);
            assert!(matches!(ending, Ending::Wrong(_)), "{ending:?}");
        }
    }

    #[test]
    fn nothing_wrong_is_passed() {
        assert!(Ending::from_run(Ok(()), Disagreements::default()).passed());
    }

    #[test]
    fn a_panic_is_the_cases_own() {
        let tried = attempt("case", (), |()| panic!("on purpose"));
        assert!(matches!(tried.ending, Ending::Wrong(_)));
    }
}
