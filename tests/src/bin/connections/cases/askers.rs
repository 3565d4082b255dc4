//! Those who ask whoever is there, at a regular interval: scrapers and health checks.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use agent_core::connection::Phase;
use agent_core::report::FindingKind;
use anyhow::{Result, anyhow};
use gracewatch_tests::rig::puppet::Order;

use crate::capture::Flows;
use crate::case::{Case, Stage};
use crate::clients::{self, Met};
use crate::expected::{Expected, refused};
use crate::pod::{BACKLOG, Pod, Server};
use crate::row::Others;
use crate::told::Told;
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "scraped_while_draining",
        what: "a worker closes its port at the stop signal and drains, while a scraper goes on asking",
        run: scraped_while_draining,
    },
    Case {
        name: "checked_too_seldom",
        what: "the same, with a health check that comes twice: nobody can tell",
        run: checked_too_seldom,
    },
    Case {
        name: "scraper_and_clients",
        what: "the same, with clients that connect to another port of it",
        run: scraper_and_clients,
    },
];

/// Short for a scraper, and long enough for a busy machine, on which a timer is late by tenths of a second.
const EVERY: Duration = Duration::from_secs(3);
const BEFORE: u32 = 3;
const AFTER: u32 = 4;
/// The other port.
const SERVICE: u16 = 8081;

/// A clock that ticks whatever is done in between.
struct Ticks {
    since: Instant,
    ticks: u32,
}

impl Ticks {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            ticks: 0,
        }
    }

    fn wait_for_tick(&mut self) {
        let due = EVERY * self.ticks;
        self.ticks += 1;
        sleep(due.saturating_sub(self.since.elapsed()));
    }
}

/// Asks so often, and is served.
fn ask_server(pod: &Pod<'_>, server: &mut Server<'_>, ticks: &mut Ticks, count: u32) -> Result<()> {
    for _ in 0..count {
        ticks.wait_for_tick();
        let asked = clients::connect_accepted(pod, server, 1)?;
        server.send_order(Order::Close)?;
        clients::hear_end(&asked)?;
    }
    Ok(())
}

/// Asks so often, and is refused.
fn asks_in_vain(pod: &Pod<'_>, ticks: &mut Ticks, count: u32) -> Result<u64> {
    let mut refused = 0;
    for _ in 0..count {
        ticks.wait_for_tick();
        refused += clients::refused(pod, pod.address(), 1)?;
    }
    Ok(refused)
}

fn scraped_while_draining(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let mut ticks = Ticks::new();
    ask_server(&pod, &mut server, &mut ticks, BEFORE)?;
    server.terminate()?;
    server.send_order(Order::StopListening)?;
    let met = Met {
        refused: asks_in_vain(&pod, &mut ticks, AFTER)?,
        ..Met::default()
    };
    server.order_exit()?;
    let expected = Expected {
        resets: vec![refused(Phase::Stopping, u64::from(AFTER))],
        refused: u64::from(AFTER),
        ..Expected::default()
    };
    let told = Told::end_and_wait(stage, &server.container)?;
    let ours = pod.is_server_side();
    let mut observed = Flows::from_packets(&pod.packets()?, ours).observed(told.phase_edges()?);
    // It is nobody's that a sleep is for, so that it is no arrival.
    observed.last_arrival_at = None;
    let others = Others {
        observed: &observed,
        expected: Some(&expected),
        met: Some(&met),
    };
    verdict.compare(&told, others);
    verdict.require_findings(&told, &[]);
    let pollers = told.connections.map(|all| all.pollers).unwrap_or_default();
    verdict.require_equal("pollers", pollers.len(), 1);
    for poller in pollers {
        verdict.require_equal("refused", poller.refused, u64::from(AFTER));
        let off = poller.every.abs_diff(EVERY);
        verdict.require(
            format!("every {:?}, and it was {EVERY:?}", poller.every),
            off < EVERY / 10,
        );
    }
    Ok(())
}

fn checked_too_seldom(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    server.terminate()?;
    server.send_order(Order::StopListening)?;
    let met = Met {
        refused: asks_in_vain(&pod, &mut Ticks::new(), 2)?,
        ..Met::default()
    };
    server.order_exit()?;
    let expected = Expected {
        resets: vec![refused(Phase::Stopping, 2)],
        refused: 2,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    verdict.require_findings(&told, &[FindingKind::EndpointRace]);
    for finding in &told.report.findings {
        verdict.require(
            format!("it says that it is not sure, but: {}", finding.evidence),
            finding.evidence.contains("may be health checks"),
        );
        verdict.require(
            format!("it advises for clients only, but: {}", finding.advice),
            finding.advice.contains("If these were clients"),
        );
    }
    Ok(())
}

fn scraper_and_clients(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    server.listen(SERVICE, BACKLOG)?;
    let mut ticks = Ticks::new();
    ask_server(&pod, &mut server, &mut ticks, BEFORE)?;
    server.terminate()?;
    server.send_order(Order::StopListening)?;
    let mut service = pod.address();
    service.set_port(SERVICE);
    let (scrapes, requests) = scope(|scope| {
        let scrapes = scope.spawn(|| asks_in_vain(&pod, &mut ticks, AFTER));
        let requests = clients::refused(&pod, service, 6);
        let scrapes = scrapes.join().map_err(|_panic| anyhow!("it panicked"));
        Ok::<_, anyhow::Error>((scrapes??, requests?))
    })?;
    server.order_exit()?;
    let all = scrapes + requests;
    let told = Told::end_and_wait(stage, &server.container)?;
    drop(pod);
    verdict.require_equal("refused", told.report_numbers.refused, all);
    verdict.complete(&told.report);
    verdict.require_findings(&told, &[FindingKind::EndpointRace]);
    for finding in &told.report.findings {
        let evidence = &finding.evidence;
        verdict.require(
            format!("6 of clients, but: {evidence}"),
            evidence.starts_with("6 connections were refused"),
        );
        verdict.require(
            format!("the scraper is told apart, but: {evidence}"),
            evidence.contains(&format!("not counted are {AFTER} from ")),
        );
    }
    Ok(())
}
