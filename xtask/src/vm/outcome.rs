//! What one kernel's run means: everything that makes it a failure, in words.

use crate::vm::kernels::Kernel;
use crate::vm::protocol::Report;
use crate::vm::qemu::Ended;

/// One kernel, how its VM ended and what its guest said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) kernel: Kernel,
    pub(crate) ended: Ended,
    pub(crate) report: Report,
    /// What was wrong at a first try, if this is the second.
    pub(crate) failed_once: Vec<String>,
}

impl Outcome {
    /// Whether the kernel went down, or stood still, before init had said anything.
    pub(crate) fn died_in_boot(&self) -> bool {
        self.report == Report::default()
    }

    /// Whether the guest never came to its end, or the kernel wrote into what it said, and what it did say is right: that is
    /// the emulation's fault, and nobody's verdict.
    pub(crate) fn may_be_tried_again(&self) -> bool {
        let report = &self.report;
        let unheard = report.exit_code.is_none() || !report.garbled.is_empty();
        let is_wrong = report.scenarios.iter().any(|scenario| !scenario.ok)
            || report
                .programs
                .iter()
                .any(|program| program.required && !program.attached);
        unheard && !is_wrong
    }

    /// The stages that failed once, in the guest or as a whole.
    pub(crate) fn failed_stages(&self) -> Vec<String> {
        let series = self.kernel.series;
        let in_guest = self.report.failed_stages.iter();
        let in_guest = in_guest.map(|(name, why)| format!("{series}, {name}: {why}"));
        let as_a_whole = self.failed_once.join("; ");
        let as_a_whole = (!as_a_whole.is_empty()).then(|| format!("{series}: {as_a_whole}"));
        in_guest.chain(as_a_whole).collect()
    }

    /// Why this run counts as failed; empty when all is well.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.ended.timed_out {
            problems.push(format!(
                "the VM was over its time after {} s",
                self.ended.took.as_secs()
            ));
        }
        match self.report.exit_code {
            None => problems.push("the guest never said TEST_RC".to_owned()),
            Some(0) => {}
            Some(code) => problems.push(format!("the guest ended with TEST_RC={code}")),
        }
        for line in &self.report.garbled {
            problems.push(format!("a line of the guest cannot be read: {line}"));
        }
        for program in self
            .report
            .programs
            .iter()
            .filter(|program| program.required && !program.attached)
        {
            let how_far = if program.loaded {
                "loaded but not attached"
            } else {
                "not loaded"
            };
            problems.push(format!(
                "required program {} is {how_far}: {}",
                program.name, program.reason
            ));
        }
        for (name, why) in &self.report.failed_stages {
            if self.report.scenario(name).is_none() {
                problems.push(format!("the stage of {name} failed: {why}"));
            }
        }
        for scenario in self.report.scenarios.iter().filter(|scenario| !scenario.ok) {
            problems.push(format!(
                "scenario {} failed: {}",
                scenario.name, scenario.detail
            ));
        }
        problems
    }
}

/// Faults that only show in a whole run of the test program: a kernel on which something was silently left out, or a
/// run that tested nothing. Kernels that failed anyway are not asked.
pub(crate) fn omissions(outcomes: &[Outcome]) -> Vec<String> {
    let (programs, scenarios) = (programs(outcomes), scenarios(outcomes));
    let mut omissions = Vec::new();
    for (kind, names) in [("program", &programs), ("scenario", &scenarios)] {
        if names.is_empty() {
            omissions.push(format!("no {kind} was tried on any kernel"));
        }
    }
    for outcome in outcomes
        .iter()
        .filter(|outcome| outcome.problems().is_empty())
    {
        let series = outcome.kernel.series;
        let absent = programs
            .iter()
            .filter(|name| outcome.report.program(name).is_none());
        omissions.extend(absent.map(|name| format!("{series}: program {name} was not tried")));
        let absent = scenarios
            .iter()
            .filter(|name| outcome.report.scenario(name).is_none());
        omissions.extend(absent.map(|name| format!("{series}: scenario {name} was not tried")));
    }
    omissions
}

/// Names of all programs, in the order the guests told them.
pub(crate) fn programs(outcomes: &[Outcome]) -> Vec<&str> {
    distinct(
        outcomes
            .iter()
            .flat_map(|outcome| &outcome.report.programs)
            .map(|program| program.name.as_str()),
    )
}

/// Names of all scenarios, in the order the guests told them.
pub(crate) fn scenarios(outcomes: &[Outcome]) -> Vec<&str> {
    distinct(
        outcomes
            .iter()
            .flat_map(|outcome| &outcome.report.scenarios)
            .map(|scenario| scenario.name.as_str()),
    )
}

/// Keys of all facts, in the order the guests told them.
pub(crate) fn fact_keys(outcomes: &[Outcome]) -> Vec<&str> {
    distinct(
        outcomes
            .iter()
            .flat_map(|outcome| &outcome.report.facts)
            .map(|(key, _)| key.as_str()),
    )
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vm::archive::Package;

    /// A run of `series` whose console said `console`.
    pub(crate) fn outcome(series: &'static str, console: &str) -> Outcome {
        let package = Package {
            name: format!("linux-image-{series}.0-1-cloud-amd64"),
            version: format!("{series}.7-1"),
            suite: "bookworm-security".to_owned(),
        };
        let release = format!("{series}.0-1-cloud-amd64");
        Outcome {
            kernel: Kernel {
                series,
                release,
                package,
                image: "vmlinuz".into(),
            },
            ended: Ended {
                took: Duration::from_millis(4321),
                timed_out: false,
            },
            report: Report::parse(console),
            failed_once: Vec::new(),
        }
    }

    const GOOD: &str = "VM-PROGRAM name=exit required=yes loaded=yes attached=yes\n\
        VM-PROGRAM name=reset required=no loaded=yes attached=no reason=no such tracepoint\n\
        VM-SCENARIO name=stop result=ok\nTEST_RC=0\n";

    #[test]
    fn only_a_kernel_that_never_came_to_init_died_in_boot() {
        let panic = "[    2.5] Kernel panic - not syncing\n";
        assert!(outcome("7.3", panic).died_in_boot());
        assert!(!outcome("7.3", &format!("VM-FACT release=7.3\n{panic}")).died_in_boot());
        let mut hung = outcome("7.3", "");
        hung.ended.timed_out = true;
        assert!(hung.died_in_boot());
        let mut slow = outcome("7.3", "VM-FACT release=7.3\n");
        slow.ended.timed_out = true;
        assert!(!slow.died_in_boot());
    }

    #[test]
    fn what_was_judged_wrong_is_not_tried_again() {
        for (console, again) in [
            ("VM-SCENARIO name=stop result=ok\nKernel panic\n", true),
            ("VM-SCENARIO name=st[ 1.0] oops\nTEST_RC=0", true),
            (
                "VM-SCENARIO name=stop result=failed detail=late\nTEST_RC=1",
                false,
            ),
            (
                "VM-SCENARIO name=stop result=failed detail=late\nKernel panic\n",
                false,
            ),
            (
                "VM-PROGRAM name=exit required=yes loaded=no attached=no reason=verifier\n",
                false,
            ),
            ("VM-STAGE name=stop detail=late\nTEST_RC=1", false),
        ] {
            assert_eq!(
                outcome("6.1", console).may_be_tried_again(),
                again,
                "{console}"
            );
        }
    }

    #[test]
    fn a_stage_that_failed_once_is_told_and_no_problem() {
        let once = outcome(
            "6.1",
            "VM-STAGE name=stop detail=late\nVM-SCENARIO name=stop result=ok\nTEST_RC=0\n",
        );
        assert!(once.problems().is_empty());
        assert_eq!(once.failed_stages(), ["6.1, stop: late"]);
        let twice = "VM-STAGE name=stop detail=late\n".repeat(2) + "TEST_RC=1\n";
        assert_eq!(outcome("6.1", &twice).problems().len(), 3);
    }

    #[test]
    fn a_missing_optional_program_is_no_problem() {
        let outcome = outcome("6.1", GOOD);
        assert!(outcome.problems().is_empty());
        assert!(omissions(&[outcome]).is_empty());
    }

    #[test]
    fn each_fault_is_a_problem_of_its_own() {
        for (console, words) in [
            ("", "never said TEST_RC"),
            ("TEST_RC=3", "TEST_RC=3"),
            (
                "VM-PROGRAM name=exit required=yes loaded=yes attached=no reason=busy\nTEST_RC=0",
                "loaded but not attached: busy",
            ),
            (
                "VM-PROGRAM name=exit required=yes loaded=no attached=no reason=verifier\nTEST_RC=0",
                "not loaded: verifier",
            ),
            (
                "VM-SCENARIO name=stop result=failed detail=late\nTEST_RC=0",
                "stop failed: late",
            ),
            (
                "VM-SCENARIO name=st[ 1.0] oops\nTEST_RC=0",
                "cannot be read",
            ),
        ] {
            let problems = outcome("6.1", console).problems();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(words), "{problems:?}");
        }
    }

    #[test]
    fn what_one_kernel_leaves_out_is_seen_against_the_others() {
        let silent = outcome(
            "5.10",
            "VM-PROGRAM name=exit required=yes loaded=yes attached=yes\nTEST_RC=0\n",
        );
        assert_eq!(
            omissions(&[silent, outcome("6.1", GOOD)]),
            [
                "5.10: program reset was not tried",
                "5.10: scenario stop was not tried"
            ]
        );
    }

    #[test]
    fn a_run_that_tests_nothing_is_not_a_success() {
        assert_eq!(omissions(&[outcome("6.1", "TEST_RC=0")]).len(), 2);
    }
}
