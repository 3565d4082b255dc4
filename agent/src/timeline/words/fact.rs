//! The facts below a timeline, each with a label: the processes, who sent what, findings, advice, doubts.

use agent_core::event::{Delivery, Handler};
use agent_core::pod::Role;
use agent_core::report::{KillCause, MainProcess, Report, Sender, StopSignal};

use super::trigger::trigger;
use super::{doubt, hook, traffic};
use crate::terminal::{Style, text};

/// Columns of a command line; the report has all of it.
const COMMAND: usize = 120;

/// A fact with its label.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) kind: FactKind,
    pub(crate) label: String,
    pub(crate) text: String,
}

/// What a fact is to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FactKind {
    Fact,
    Finding,
    Advice,
    Doubt,
}

pub(super) fn new_fact(kind: FactKind, label: impl Into<String>, text: String) -> Fact {
    Fact {
        kind,
        label: label.into(),
        text,
    }
}

/// All facts of a report, the findings first: they are what the reader came for.
pub(crate) fn report_facts(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    for finding in &report.findings {
        facts.push(new_fact(
            FactKind::Finding,
            "finding",
            finding.evidence.clone(),
        ));
        facts.push(new_fact(FactKind::Advice, "advice", finding.advice.clone()));
    }
    for doubt in &report.doubts {
        facts.push(new_fact(
            FactKind::Doubt,
            "doubt",
            doubt::sentence(*doubt).to_owned(),
        ));
    }
    facts.extend(pod_fact(report));
    facts
        .extend(trigger(report.trigger).map(|why| new_fact(FactKind::Fact, "why", why.to_owned())));
    facts.extend(
        report
            .main
            .as_ref()
            .map(|main| new_fact(FactKind::Fact, "main", main_process(main))),
    );
    facts.extend(
        report
            .hook
            .as_ref()
            .map(|hook| new_fact(FactKind::Fact, "hook", hook::described(hook))),
    );
    facts.extend(stop_signal(report));
    facts.extend(kill_fact(report));
    facts.extend(traffic::traffic_facts(report));
    facts.push(new_fact(
        FactKind::Fact,
        "cgroup",
        report.subject.path.clone(),
    ));
    facts
}

/// Whose the report is: label and text of each.
pub(crate) fn identity(report: &Report) -> Vec<(String, String)> {
    let subject = &report.subject;
    let container = subject.container_id.as_ref();
    [
        pod_fact(report),
        Some(new_fact(
            FactKind::Fact,
            "kind",
            super::subject_kind(subject.kind).to_owned(),
        )),
        container.map(|id| new_fact(FactKind::Fact, "id", id.clone())),
        Some(new_fact(FactKind::Fact, "cgroup", subject.path.clone())),
    ]
    .into_iter()
    .flatten()
    .map(|fact| (fact.label, fact.text))
    .collect()
}

/// What was measured of its connections: label and text of each.
pub(crate) fn network(report: &Report) -> Vec<(String, String)> {
    let facts = traffic::traffic_facts(report).into_iter();
    facts.map(|fact| (fact.label, fact.text)).collect()
}

/// All of the names that the heading may have cut.
fn pod_fact(report: &Report) -> Option<Fact> {
    let text = match (&report.pod, &report.subject.pod_uid) {
        (Some(pod), _) => {
            let container = match (&pod.container, pod.role) {
                (Some(name), None | Some(Role::Main)) => format!("container {name}"),
                (Some(name), Some(Role::Init)) => format!("init container {name}"),
                (Some(name), Some(Role::Sidecar)) => format!("sidecar {name}"),
                (Some(name), Some(Role::Ephemeral)) => format!("ephemeral container {name}"),
                (None, _) => "a container whose name is not known".to_owned(),
            };
            let owner = if pod.workload.kind == "Pod" {
                String::new()
            } else {
                format!(" · {} {}", pod.workload.kind, pod.workload.name)
            };
            format!("{}/{} · {container}{owner}", pod.namespace, pod.name)
        }
        (None, Some(uid)) => format!("not known, with the UID {uid}"),
        (None, None) => return None,
    };
    Some(new_fact(FactKind::Fact, "pod", text))
}

pub(crate) fn main_process(main: &MainProcess) -> String {
    let place = match (main.ns_level, main.ns_tgid) {
        (0, _) => String::new(),
        (_, 1) => ", PID 1 of its namespace".to_owned(),
        (_, pid) => format!(", pid {pid} in its namespace"),
    };
    format!(
        "{} · pid {}{place}",
        command(&main.argv, &main.comm),
        main.tgid.0
    )
}

/// A command line as a shell would take it, its begin if it is long, or the name where there is none.
pub(in crate::timeline) fn command(argv: &[String], name: &str) -> String {
    if argv.is_empty() {
        return name.to_owned();
    }
    let words: Vec<_> = argv.iter().map(|argument| quoted(argument)).collect();
    text::truncate(&words.join(" "), COMMAND, &Style::PLAIN)
}

fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./:=,+@%".contains(character);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

fn stop_signal(report: &Report) -> Option<Fact> {
    let stop = report.stop_signal.as_ref()?;
    let became = handled(stop);
    let again = match report.stop_signals_repeated {
        0 => String::new(),
        1 => ", sent once more".to_owned(),
        times => format!(", sent {times} times more"),
    };
    Some(new_fact(
        FactKind::Fact,
        stop.signal.to_string(),
        format!("{} · {became}{again}", sender(&stop.sender)),
    ))
}

/// What the kernel and the process did with the stop signal.
pub(in crate::timeline) const fn handled(stop: &StopSignal) -> &'static str {
    match (stop.result, stop.handler, stop.blocked) {
        (Delivery::Ignored, _, _) => "thrown away by the kernel",
        (_, _, true) => "blocked, for sigwait or signalfd",
        (_, Handler::Custom, false) => "it has a handler",
        (_, Handler::Default, false) => "it has no handler",
        (_, Handler::Ignore, false) => "it is set to be ignored",
    }
}

fn kill_fact(report: &Report) -> Option<Fact> {
    let kill = report.kill.as_ref()?;
    let cause = match kill.cause {
        KillCause::GraceExpired => "the grace period was over",
        KillCause::NoStopSignal => "no stop signal came before",
        KillCause::Oom => "out of memory",
        KillCause::Inside => "from inside the container",
        KillCause::Other => "not when a grace period could have ended",
        KillCause::Kernel => "by the kernel, for a reason that was not seen",
    };
    let again = match report.kills_repeated {
        0 => String::new(),
        1 => ", sent once more".to_owned(),
        times => format!(", sent {times} times more"),
    };
    Some(new_fact(
        FactKind::Fact,
        "SIGKILL",
        format!("{} · {cause}{again}", sender(&kill.sender)),
    ))
}

pub(crate) fn sender(sender: &Sender) -> String {
    if sender.kernel {
        return "from the kernel".to_owned();
    }
    let place = if sender.outside {
        ""
    } else {
        ", inside the container"
    };
    format!(
        "from {} (pid {}, child of {}{place})",
        sender.comm, sender.tgid.0, sender.parent_comm
    )
}
