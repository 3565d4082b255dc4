//! Connections that still come when a server has stopped, because those who send them learn too late that its pod is being
//! terminated; what the report advises against it; and that the advice helps.

use std::net::SocketAddr;
use std::time::Duration;

use agent_core::connection::Phase;
use agent_core::report::{FindingKind, HookKind, HookMethod, Outcome, Report, Trigger};
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::harness::OrWrong as _;

use super::programs::{container, pod_spec, program};
use super::servers::{Servers, WEB, address, as_metric, connections, number, service};
use crate::check::{Check, How};
use crate::scenario::{Needs, Scenario};
use crate::stage::client::{Attempt, BEGIN, Until, count_fate, now, sleep_until};
use crate::stage::{Pod, Stage};

/// They reach pods and tell times by the node's clock.
pub(crate) const ALL: [Scenario; 2] = [
    Scenario {
        needs: Needs::OwnCluster,
        ..Scenario::anywhere("endpoint_race", endpoint_race)
    },
    Scenario {
        needs: Needs::OwnCluster,
        ..Scenario::anywhere("refused_in_pod", refused_in_pod)
    },
];

/// For how long after the first refusal somebody with an old list goes on, where the server is not to outlast that. Less
/// than the second for which the agent counts after the exit, so that it sees all that the clients do.
const STALE: Duration = Duration::from_millis(700);
/// For how long after the deletion is asked for the client of the Service goes on: longer than anybody with an old list.
const AFTERWARDS: Duration = Duration::from_secs(8);
/// By how much the preStop sleep is longer than somebody's list is old, where that has to suffice.
const ENOUGH: Duration = Duration::from_millis(200);
/// How exact times of clients are: an attempt is made between two readings of the clock.
const CLOSE: Duration = Duration::from_millis(20);
/// Within this time after the deletion was seen the kernel side is told; until then it counts for a running container.
const TELLING: Duration = Duration::from_millis(400);
/// Within this time after somebody wanted it `kubectl` has asked for the deletion; it is the time of a busy machine.
const ASKED: Duration = Duration::from_secs(4);
/// A port on which nobody listens, ever.
const NOWHERE: u16 = 9;

/// What clients saw of the end of one pod.
#[derive(Debug)]
struct Seen {
    pod: Pod,
    /// Of the one that goes through the Service, and of the one with an old list, which goes to this pod.
    by_service: Vec<Attempt>,
    stale: Vec<Attempt>,
    /// When somebody else saw that the pod was not ready any more.
    unready_at: Timestamp,
}

/// A server that exits at once upon SIGTERM, while connections come: refused. Then the same with the preStop sleep that the
/// report advises: nobody is refused.
fn endpoint_race(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let mut servers = Servers {
        replicas: 2,
        options: "",
        sleep: None,
    };
    let refused = |delete_at: Timestamp| Until::Refused {
        after: STALE,
        end: delete_at.after(AFTERWARDS),
    };
    let seen = delete_one(stage, servers, refused)?;
    let advised = check_raced(stage, check, &seen)?;
    servers.sleep = Some(advised);
    let stale_for = Duration::from_secs(advised).saturating_sub(ENOUGH);
    let seen = delete_one(stage, servers, |delete_at| {
        Until::Moment(delete_at.after(stale_for))
    })?;
    check_slept(stage, check, &seen, advised)
}

/// Deletes one of the pods while clients connect: through the Service, and by the pod's address for as long as `stale` says,
/// which is told when the deletion will be asked for.
fn delete_one(
    stage: &Stage<'_>,
    servers: Servers,
    stale: impl FnOnce(Timestamp) -> Until,
) -> Result<Seen> {
    let pods = servers.deploy(stage)?;
    let pod = pods.into_iter().next().context("there are no pods")?;
    let onlooker = stage.look_at(WEB)?;
    let delete_at = now().after(BEGIN);
    let stale_name = format!("stale-{}", pod.name);
    let stale = stage.connecting(&stale_name, address(stage, &pod)?, stale(delete_at))?;
    let name = format!("client-{}", pod.name);
    let end = Until::Moment(delete_at.after(AFTERWARDS));
    let client = stage.connecting(&name, service(stage)?, end)?;
    ensure!(now() < delete_at, "the clients took too long to begin");
    sleep_until(delete_at);
    stage.kubectl(&["delete", "pod", &pod.name, "--wait=false"])?;
    let seen = Seen {
        by_service: stage.attempts(&client)?,
        stale: stage.attempts(&stale)?,
        unready_at: onlooker.unready_at(&pod)?,
        pod,
    };
    let began = seen.stale.iter().chain(&seen.by_service);
    let before = began.filter(|attempt| attempt.ended_at < delete_at && attempt.fate == "ok");
    ensure!(before.count() > 20, "there was no load before the deletion");
    Ok(seen)
}

/// Checks the report of a pod that refused connections; the seconds that it advises to sleep.
fn check_raced(stage: &Stage<'_>, check: &mut Check, seen: &Seen) -> Result<u64> {
    let ended = stage.wait_for_report(&seen.pod, "app")?;
    let report = &ended.report;
    let refused = seen.refused();
    check.staged("clients were refused", !refused.is_empty(), true);
    let finding = report
        .findings
        .iter()
        .find(|one| one.kind == FindingKind::EndpointRace);
    check.require("the finding is there", finding.is_some());
    check.require_equal("outcome", report.outcome, Outcome::Graceful);
    check.require_equal("doubts", report.doubts.as_slice(), &[]);
    let said = connections(report)?;
    check.agrees(
        "refused (by the clients)",
        said.refused,
        number(refused.len()),
    );
    let labels = [("namespace", stage.namespace()), ("workload", WEB)];
    let name = "workload_termination_connections_refused_total";
    let counted = stage
        .metrics_page(std::slice::from_ref(&seen.pod))?
        .sum(name, &labels);
    check.require_equal(
        "refused in the metrics",
        counted,
        Some(as_metric(refused.len())),
    );
    let last = refused.last().context("nobody was refused")?;
    let arrived = said.last_arrival_at;
    check.require(
        format!("the last arrival, {arrived:?}, was the clients' last, {last:?}"),
        arrived
            .is_some_and(|at| at.after(CLOSE) >= last.began_at && at <= last.ended_at.after(CLOSE)),
    );
    check_endpoint(check, report, seen);
    stage.compare(check, &ended)?;
    let advice = finding
        .map(|finding| finding.advice.as_str())
        .unwrap_or_default();
    let advised = seconds(advice).or_wrong(|| format!("no seconds in: {advice}"))?;
    let needed = last.began_at.since(report.started_at);
    check.require(
        format!(
            "{advised} s of sleep cover the last arrival after {needed:?}, and no more than need be"
        ),
        Duration::from_secs(advised) >= needed && advised <= needed.as_secs() + 2,
    );
    Ok(advised)
}

/// Checks the report of a pod that slept before it stopped.
fn check_slept(stage: &Stage<'_>, check: &mut Check, seen: &Seen, sleep: u64) -> Result<()> {
    let ended = stage.wait_for_report(&seen.pod, "app")?;
    let report = &ended.report;
    check.verdict(report, Outcome::Graceful, Trigger::Deleted, &[]);
    check.check_hook(report, HookKind::Sleep, HookMethod::Inferred, How::Ended);
    let hook = Duration::from_secs(sleep);
    check.lasted("hook", report.hook_duration(), hook, "the spec");
    let all = || seen.by_service.iter().chain(&seen.stale);
    let failed: Vec<_> = all().filter(|attempt| attempt.fate != "ok").collect();
    check.staged("attempts that failed", failed.as_slice().len(), 0);
    let said = connections(report)?;
    check.require_equal("refused", said.refused, 0);
    check.require_equal("accepted after the stop signal", said.accepted_after, 0);
    let sent = said
        .resets
        .iter()
        .filter(|one| one.class.phase != Phase::Running);
    check.require_equal("resets", sent.count(), 0);
    let stop_at = report
        .stop_signal
        .as_ref()
        .or_wrong(|| "no stop signal".to_owned())?
        .at;
    let mine = || all().filter(|attempt| attempt.by.as_deref() == Some(&seen.pod.name));
    let told_at = report.started_at.after(TELLING);
    let within = mine().filter(|one| one.began_at > told_at && one.ended_at < stop_at);
    let touching =
        mine().filter(|one| one.ended_at >= report.started_at && one.began_at <= stop_at);
    let (least, most) = (number(within.count()), number(touching.count()));
    check.require(
        format!(
            "{} accepted in the hook, by the clients {least} to {most}",
            said.accepted_in_hook
        ),
        (least..=most).contains(&said.accepted_in_hook) && least > 0,
    );
    check_endpoint(check, report, seen);
    stage.compare(check, &ended)
}

fn check_endpoint(check: &mut Check, report: &Report, seen: &Seen) {
    let unready_at = report
        .endpoint
        .as_ref()
        .and_then(|endpoint| endpoint.unready_at);
    check.when_seen(
        "endpoint not ready",
        unready_at,
        seen.unready_at,
        "an onlooker",
    );
}

impl Seen {
    /// The attempts that were refused: only the pod that stops can do that. In the order in which they began.
    fn refused(&self) -> Vec<&Attempt> {
        let all = self.by_service.iter().chain(&self.stale);
        let mut refused: Vec<_> = all.filter(|attempt| attempt.fate == "refused").collect();
        refused.sort_by_key(|attempt| attempt.began_at);
        refused
    }
}

/// The whole seconds in a sentence: `… 3 s …`.
fn seconds(sentence: &str) -> Option<u64> {
    let words: Vec<&str> = sentence.split([' ', ',', '.', ';', ':']).collect();
    let pairs = words.windows(2);
    let mut found = pairs.filter_map(|pair| match pair {
        [number, "s" | "seconds"] => number.parse().ok(),
        _ => None,
    });
    found.next()
}

/// Nobody ever listened there: that is the pod's, and no container's.
fn refused_in_pod(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let slow = |name| {
        program(&format!(
            "trap 'kill $!; sleep 5; exit 0' TERM; echo {name}; while :; do sleep 3600 & wait; done"
        ))
    };
    let second = container("second", &slow("second"), "");
    let spec = pod_spec(20, &slow("app"), "");
    let pod = stage.create_pod("app", &format!("{spec}{second}"))?;
    let delete_at = now().after(BEGIN);
    let to = SocketAddr::new(stage.pod_ip(&pod)?, NOWHERE);
    let client = stage.connecting("client", to, Until::Moment(delete_at.after(ASKED)))?;
    sleep_until(delete_at);
    stage.kubectl(&["delete", "pod", &pod.name, "--wait=false"])?;
    let attempts = stage.attempts(&client)?;
    let refused = count_fate(&attempts, "refused");
    check.staged(
        "attempts that were refused",
        refused,
        number(attempts.len()),
    );
    let (mut in_pod, mut starts) = (0, Vec::new());
    for name in ["app", "second"] {
        let ended = stage.wait_for_report(&pod, name)?;
        check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
        let said = connections(&ended.report)?;
        check.require_equal("refused by the container", said.refused, 0);
        in_pod += said.refused_in_pod;
        starts.push(ended.report.started_at);
        stage.compare(check, &ended)?;
    }
    let since = |at: &Timestamp| {
        let later = attempts.iter().filter(|attempt| attempt.ended_at >= *at);
        number(later.count())
    };
    let bounds = starts
        .iter()
        .map(since)
        .min()
        .zip(starts.iter().map(since).max());
    check.require(
        format!(
            "{in_pod} refused in the pod since the termination began, by the client {bounds:?}"
        ),
        bounds.is_some_and(|(least, most)| least <= in_pod + 1 && in_pod <= most && in_pod > 0),
    );
    compare_resets(stage, check, &pod, usize::try_from(refused)?)
}

/// In the metrics they are the pod's, of no container.
fn compare_resets(stage: &Stage<'_>, check: &mut Check, pod: &Pod, refused: usize) -> Result<()> {
    let page = stage.metrics_page(std::slice::from_ref(pod))?;
    let name = "workload_connections_reset_total";
    let in_namespace = ("namespace", stage.namespace());
    let of_app = ("workload", "app");
    let of_pod = page.sum(name, &[in_namespace, of_app, ("scope", "pod")]);
    check.require_equal(
        "resets of the pod in the metrics",
        of_pod,
        Some(as_metric(refused)),
    );
    for container in ["app", "second"] {
        let own = page.sum(name, &[in_namespace, of_app, ("container", container)]);
        check.require_equal(format!("those of {container}"), own, None);
    }
    let direction = page.sum(
        name,
        &[
            in_namespace,
            of_app,
            ("direction", "sent"),
            ("mode", "passive"),
        ],
    );
    check.require_equal(
        "sent in answer to a packet",
        direction,
        Some(as_metric(refused)),
    );
    Ok(())
}
