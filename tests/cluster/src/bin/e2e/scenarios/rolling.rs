//! Rolling updates under connections: of servers that leave requests unread, and of servers that drain.

use std::net::SocketAddr;
use std::time::Duration;

use agent_core::connection::Direction;
use agent_core::report::{FindingKind, Outcome, Trigger};
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};

use super::servers::{Servers, WEB, address, as_metric, connections, number, restart, service};
use crate::check::Check;
use crate::metrics::Page;
use crate::scenario::{Needs, Scenario};
use crate::stage::client::{Until, now};
use crate::stage::{Pod, Stage};

/// They reach pods and tell times by the node's clock.
pub(crate) const ALL: [Scenario; 2] = [
    Scenario {
        needs: Needs::OwnCluster,
        ..Scenario::anywhere("rolling_update_bad", unread_requests)
    },
    Scenario {
        needs: Needs::OwnCluster,
        ..Scenario::anywhere("rolling_update_drained", drained)
    },
];

const REPLICAS: usize = 5;
/// Connections that a client holds to each.
const EACH: usize = 4;
/// How long a client goes on: longer than the rolling update.
const LOAD: Duration = Duration::from_secs(50);
const RESETS: &str = "workload_connections_reset_total";

/// Servers that exit upon SIGTERM with requests unread: each held connection is reset, once.
fn unread_requests(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let servers = Servers {
        replicas: REPLICAS,
        options: "--deaf",
        sleep: None,
    };
    let pods = with_addresses(stage, servers.deploy(stage)?)?;
    let client = stage.holding("holder", &addresses(&pods), EACH, true)?;
    restart(stage)?;
    let ends = stage.connection_ends(&client)?;
    let of_client = ends.iter().filter(|end| end.fate == "reset").count();
    check.staged("resets by the client", of_client, REPLICAS * EACH);
    for (pod, to) in &pods {
        let ended = stage.wait_for_report(pod, "app")?;
        let report = &ended.report;
        let findings = [FindingKind::ConnectionsReset];
        check.verdict(report, Outcome::Graceful, Trigger::Deleted, &findings);
        let own = ends
            .iter()
            .filter(|end| end.to == *to && end.fate == "reset");
        let connections = connections(report)?;
        let sent = connections.connections_reset(Direction::Sent);
        check.require_equal("resets of the pod", sent, number(own.count()));
        let open = (connections.at_stop_signal, connections.at_exit);
        check.require_equal(
            "open at signal and exit",
            open,
            (number(EACH), number(EACH)),
        );
        stage.compare(check, &ended)?;
    }
    let page = metrics_page(stage, &pods)?;
    let sum = |labels: &[(&str, &str)]| resets(&page, stage, labels);
    let sent = [("workload", WEB), ("direction", "sent")];
    check.require_equal(
        "resets in the metrics",
        sum(&sent),
        Some(as_metric(of_client)),
    );
    let unread = ("reason", "tcp_abort_on_close");
    let why = [&sent[..], &[("mode", "active"), unread]].concat();
    check.require_equal(
        "for requests that were unread",
        sum(&why),
        Some(as_metric(of_client)),
    );
    let received = [("workload", "holder"), ("direction", "received")];
    check.require_equal(
        "received by the client's pod",
        sum(&received),
        Some(as_metric(of_client)),
    );
    Ok(())
}

/// Servers that are given time, and end their connections: nobody is reset, and nobody refused.
fn drained(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let servers = Servers {
        replicas: REPLICAS,
        options: "--on-stop drain",
        sleep: Some(4),
    };
    let pods = with_addresses(stage, servers.deploy(stage)?)?;
    let holder = stage.holding("holder", &addresses(&pods), EACH, false)?;
    let client = stage.connecting("client", service(stage)?, Until::Moment(now().after(LOAD)))?;
    restart(stage)?;
    let mut last_exit_at = Timestamp::default();
    for (pod, _address) in &pods {
        let ended = stage.wait_for_report(pod, "app")?;
        let report = &ended.report;
        check.verdict(report, Outcome::Graceful, Trigger::Deleted, &[]);
        let connections = connections(report)?;
        check.require_equal("resets", connections.resets.as_slice(), &[]);
        check.require_equal("refused", connections.refused, 0);
        let held = (
            connections.at_stop_signal,
            connections.finished,
            connections.at_exit,
        );
        check.require_equal(
            "open at the signal, ended, left",
            held,
            (number(EACH), number(EACH), 0),
        );
        last_exit_at =
            last_exit_at.max(report.exit.as_ref().map(|exit| exit.at).unwrap_or_default());
        stage.compare(check, &ended)?;
    }
    let ends = stage.connection_ends(&holder)?;
    let ended = ends.iter().filter(|end| end.fate == "ended");
    check.require_equal(
        "held connections that ended well",
        ended.count(),
        REPLICAS * EACH,
    );
    let attempts = stage.attempts(&client)?;
    let failed = attempts.iter().filter(|attempt| attempt.fate != "ok");
    check.staged("attempts that failed", failed.count(), 0);
    let last = attempts.last().context("no attempt was made")?;
    let until_the_end = last.began_at > last_exit_at;
    check.staged("there was load until the end", until_the_end, true);
    let page = metrics_page(stage, &pods)?;
    check.require_equal("resets in the metrics", resets(&page, stage, &[]), None);
    let refused = "workload_termination_connections_refused_total";
    let refused = page.sum(refused, &[("namespace", stage.namespace())]);
    check.require_equal("refused in the metrics", refused.unwrap_or_default(), 0.0);
    Ok(())
}

fn with_addresses(stage: &Stage<'_>, pods: Vec<Pod>) -> Result<Vec<(Pod, SocketAddr)>> {
    let with_address = |pod: Pod| Ok((pod.clone(), address(stage, &pod)?));
    pods.into_iter().map(with_address).collect()
}

fn addresses(pods: &[(Pod, SocketAddr)]) -> Vec<SocketAddr> {
    pods.iter().map(|(_pod, address)| *address).collect()
}

/// Resets of the scenario's namespace; none if there is no series of them.
fn resets(page: &Page, stage: &Stage<'_>, labels: &[(&str, &str)]) -> Option<f64> {
    let namespace = [("namespace", stage.namespace())];
    page.sum(RESETS, &[&namespace[..], labels].concat())
}

fn metrics_page(stage: &Stage<'_>, pods: &[(Pod, SocketAddr)]) -> Result<Page> {
    let pods: Vec<Pod> = pods.iter().map(|(pod, _address)| pod.clone()).collect();
    stage.metrics_page(&pods)
}
