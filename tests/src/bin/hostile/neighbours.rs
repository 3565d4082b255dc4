//! Three ordinary containers, stopped in the three usual ways, and what their reports must say.

use std::time::Duration;

use agent_core::report::{Outcome, Report};
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::cgroup::{Cgroup, Folder};
use gracewatch_tests::rig::kubelet::{Stop, Stopped};
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::Whole;

/// The grace period of all of them, in seconds.
pub(crate) const GRACE: u64 = 3;
/// How long a container may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// How long the agent may take to report.
const REPORT_LIMIT: Duration = Duration::from_secs(30);
/// How far a duration of a report may be off: the clocks are read before and after each act.
const TOLERANCE: Duration = Duration::from_millis(50);

/// How a neighbour takes its stop signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    options: &'static str,
    outcome: Outcome,
}

/// The three usual ways.
pub(crate) const WAYS: [Way; 3] = [
    Way {
        name: "graceful",
        options: "--on-stop exit --takes 300",
        outcome: Outcome::Graceful,
    },
    Way {
        name: "exceeds",
        options: "--on-stop never",
        outcome: Outcome::GraceExceeded,
    },
    Way {
        name: "ignores",
        options: "--on-stop default",
        outcome: Outcome::SignalIgnored,
    },
];

/// A neighbour that runs.
#[derive(Debug)]
pub(crate) struct Neighbour {
    way: Way,
    cgroup: Cgroup,
    main: Launched,
}

impl Neighbour {
    /// Starts one. `number`: another for each of a case.
    pub(crate) fn start(
        toolbox: &Toolbox,
        (case, folder): (&str, &Folder),
        way: Way,
        number: usize,
    ) -> Result<Self> {
        let cgroup = folder.create_cgroup(&format!("k8s.io/{:064x}", 0xbeef_0000 + number))?;
        let log = toolbox.log(&format!("{case}-{}-{number}", way.name));
        let mut argv = vec![toolbox.program("app").into_os_string(), "--log".into()];
        argv.push(log.path().into());
        argv.extend(way.options.split_whitespace().map(Into::into));
        let main = Launch::new(&cgroup, argv).start(toolbox)?;
        log.wait_for("ready", READY_LIMIT)?;
        Ok(Self { way, cgroup, main })
    }

    /// Stops it, removes it, and says what is wrong with its report.
    pub(crate) fn stop_and_judge(
        mut self,
        toolbox: &Toolbox,
        agent: &Whole,
    ) -> Result<Vec<String>> {
        let stopped = self.end_neighbour(toolbox)?;
        let report = agent
            .wait_report(self.cgroup.path(), REPORT_LIMIT)
            .with_context(|| format!("the neighbour that is to be `{}`", self.way.name))?;
        Ok(self.compare_report(&stopped, &report))
    }

    /// Stops it and removes it; gives its cgroup's path.
    pub(crate) fn stop(mut self, toolbox: &Toolbox) -> Result<String> {
        self.end_neighbour(toolbox)?;
        Ok(self.cgroup.path().to_owned())
    }

    fn end_neighbour(&mut self, toolbox: &Toolbox) -> Result<Stopped> {
        let stop = Stop::within(Duration::from_secs(GRACE));
        let stopped = stop.run(toolbox, &mut self.main, &|_act| {})?;
        self.cgroup.remove()?;
        Ok(stopped)
    }

    fn compare_report(&self, stopped: &Stopped, report: &Report) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut expect = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("{}: {what}", self.way.name));
            }
        };
        expect(
            report.outcome == self.way.outcome,
            format!(
                "outcome {:?} instead of {:?}",
                report.outcome, self.way.outcome
            ),
        );
        expect(
            report.doubts.is_empty(),
            format!("doubts {:?}", report.doubts),
        );
        let took = report
            .stop_signal
            .as_ref()
            .zip(report.exit.as_ref())
            .map(|(signal, exit)| exit.at.since(signal.at));
        let really = stopped.ended.told_at.since(stopped.signal.before);
        expect(
            took.is_some_and(|took| took <= really + TOLERANCE && took + TOLERANCE * 4 >= really),
            format!("{took:?} from signal to exit, and its parent saw {really:?}"),
        );
        expect(
            report.kill.is_some() == stopped.kill.is_some(),
            format!("SIGKILL {:?} instead of {:?}", report.kill, stopped.kill),
        );
        wrong
    }
}
