//! Second tries of stages that failed.

use std::fmt::Write as _;

use super::ending::{Ending, Tried};

/// So many stages of one run may fail. More are no bad luck, and the run has failed.
pub const FAILED_STAGES_MAX: usize = 3;
/// How the line of a stage that failed begins; `cargo xtask test` counts these lines of all steps.
pub const STAGE_FAILED: &str = "STAGE FAILED ";
/// Lines of a log that the summary holds at most, from its end.
const LOG_LINES_MAX: usize = 60;

/// A stage that failed, and its second try.
#[derive(Debug)]
pub struct FailedStage {
    /// The case.
    pub name: String,
    /// Why it failed, and its log.
    pub first: (String, String),
    /// How the second try ended, and its log. None if there was none, since too many had failed.
    pub second: Option<(Ending, String)>,
}

/// The last try of each case, and the stages that failed before.
#[derive(Debug)]
pub struct Played<F> {
    /// In the order of the first tries.
    pub tried: Vec<Tried<F>>,
    /// In the same order.
    pub failed_stages: Vec<FailedStage>,
}

/// Sets every stage that failed up once more, one after the other: `again` is given the first try. If too many failed, the
/// run has failed in any case, and none is.
pub fn set_up_once_more<F>(
    first: Vec<Tried<F>>,
    mut again: impl FnMut(&Tried<F>) -> Tried<F>,
) -> Played<F> {
    let failed = |tried: &Tried<F>| matches!(tried.ending, Ending::StageFailed(_));
    let too_many = first.iter().filter(|tried| failed(tried)).count() > FAILED_STAGES_MAX;
    let mut played = Played {
        tried: Vec::with_capacity(first.len()),
        failed_stages: Vec::new(),
    };
    for one in first {
        let Ending::StageFailed(why) = &one.ending else {
            played.tried.push(one);
            continue;
        };
        let mut stage = FailedStage {
            name: one.name.clone(),
            first: (why.clone(), one.log.clone()),
            second: None,
        };
        if too_many {
            played.tried.push(one);
        } else {
            let second = again(&one);
            stage.second = Some((second.ending.clone(), second.log.clone()));
            played.tried.push(second);
        }
        played.failed_stages.push(stage);
    }
    played
}

impl<F> Default for Played<F> {
    fn default() -> Self {
        Self {
            tried: Vec::new(),
            failed_stages: Vec::new(),
        }
    }
}

impl<F> Played<F> {
    /// Adds what was played after it, in the same run.
    pub fn append(&mut self, other: Self) {
        self.tried.extend(other.tried);
        self.failed_stages.extend(other.failed_stages);
    }

    /// Whether every case passed, and no more stages failed than may.
    pub fn passed(&self) -> bool {
        self.failed() == 0 && !self.has_too_many()
    }

    /// How many cases did not pass.
    pub fn failed(&self) -> usize {
        let failed = self.tried.iter().filter(|tried| !tried.ending.passed());
        failed.count()
    }

    fn has_too_many(&self) -> bool {
        self.failed_stages.len() > FAILED_STAGES_MAX
    }

    /// Lists the stages that failed, with the logs of both tries. Empty if none did.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        if self.failed_stages.is_empty() {
            return text;
        }
        // Writing to memory cannot fail.
        text.push_str("\nstages that failed, and were set up once more, alone:\n");
        for stage in &self.failed_stages {
            stage.describe_to(&mut text);
        }
        if self.has_too_many() {
            writeln!(
                text,
                "\nFAILED: {} stages failed, and {FAILED_STAGES_MAX} may",
                self.failed_stages.len()
            )
            .ok();
        }
        text
    }
}

impl FailedStage {
    fn describe_to(&self, text: &mut String) {
        let (why, log) = &self.first;
        let second = match &self.second {
            None => "not tried again".to_owned(),
            Some((Ending::Passed, _)) => "ok at the second try".to_owned(),
            Some((ending, _)) => format!("and again: {}", ending.details().join("; ")),
        };
        let name = &self.name;
        let line = format!("{why}; {second}").replace('\n', " ");
        writeln!(text, "\n{STAGE_FAILED}{name}: {line}").ok();
        quote_log(text, "first", log);
        if let Some((_, log)) = &self.second {
            quote_log(text, "second", log);
        }
    }
}

/// The end of a log, so that no line of it is taken for one of ours.
fn quote_log(text: &mut String, which: &str, log: &str) {
    let lines: Vec<_> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_MAX);
    if lines.is_empty() {
        return;
    }
    writeln!(text, "  log of the {which} try:").ok();
    for line in lines.get(from..).unwrap_or_default() {
        writeln!(text, "  | {line}").ok();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn new_tried(name: &str, ending: Ending) -> Tried<()> {
        Tried {
            name: name.to_owned(),
            found: (),
            ending,
            took: Duration::ZERO,
            log: format!("{name} said"),
        }
    }

    fn failed_stage() -> Ending {
        Ending::StageFailed("a client\nwas late".to_owned())
    }

    #[test]
    fn a_failed_stage_has_a_second_try_and_a_wrong_verdict_has_none() {
        let first = vec![
            new_tried("a", Ending::Passed),
            new_tried("b", failed_stage()),
            new_tried("c", Ending::Wrong(vec!["outcome".to_owned()])),
        ];
        let mut asked = Vec::new();
        let played = set_up_once_more(first, |one| {
            asked.push(one.name.clone());
            new_tried(&one.name, Ending::Passed)
        });
        assert_eq!(asked, ["b"]);
        assert_eq!((played.failed(), played.failed_stages.len()), (1, 1));
        assert!(!played.passed());
        let summary = played.summary();
        let line = "STAGE FAILED b: a client was late; ok at the second try\n";
        assert!(summary.contains(line), "{summary}");
        assert!(summary.contains("log of the second try:\n  | b said"));
    }

    #[test]
    fn what_fails_twice_has_failed() {
        let played = set_up_once_more(vec![new_tried("a", failed_stage())], |one| {
            new_tried(&one.name, failed_stage())
        });
        assert!(!played.passed());
        assert!(played.summary().contains("; and again: a client was late"));
    }

    #[test]
    fn too_many_fail_the_run() {
        let names = ["a", "b", "c", "d"];
        let stages = |count| -> Vec<_> {
            names
                .iter()
                .take(count)
                .map(|name| new_tried(name, failed_stage()))
                .collect()
        };
        let good = |one: &Tried<()>| new_tried(&one.name, Ending::Passed);
        assert!(set_up_once_more(stages(3), good).passed());
        let played = set_up_once_more(stages(4), |_| panic!("nobody asked for a second try"));
        assert!(!played.passed());
        assert!(played.summary().contains("FAILED: 4 stages failed"));
    }

    #[test]
    fn a_run_without_failed_stages_says_nothing_of_them() {
        let played = set_up_once_more(vec![new_tried("a", Ending::Passed)], |_| panic!());
        assert!(played.passed() && played.summary().is_empty());
    }
}
