//! A flood: more resets than anybody could record one by one. A capture would be too slow, so the clients count, and the
//! pod's own kernel does, in `/proc/net/snmp`.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use agent_common::socket::MARKS_MAX;
use agent_core::connection::Phase;
use anyhow::{Context as _, Result, anyhow};
use gracewatch_tests::process_status::processor_time;
use gracewatch_tests::rig::network::Namespace;
use gracewatch_tests::rig::puppet::Order;

use crate::capture::{Observed, Range};
use crate::case::{Case, Stage};
use crate::clients::Met;
use crate::expected::{Expected, refused};
use crate::pod::Pod;
use crate::row::{Others, number_rows};
use crate::told::Told;
use crate::verdict::Verdict;

pub(crate) const ALL: &[Case] = &[Case {
    name: "flood",
    what: "100 000 attempts are refused as fast as two clients can; captured is what the pod's kernel counts (OutRsts)",
    run: connection_flood,
}];

const THREADS: u64 = 2;
const EACH: u64 = 50_000;

fn connection_flood(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::without_capture(stage)?;
    let mut server = pod.server()?;
    let agent = &stage.rig.agent;
    let lost = || agent.metric("gracewatch_records_lost_total", "");
    let lost_before = lost()?;
    server.terminate()?;
    server.send_order(Order::StopListening)?;
    let outside = pod.outside();
    let (resets, processor, started) = (
        resets_sent(pod.inside())?,
        processor_time(agent.pid())?,
        Instant::now(),
    );
    let met = connect_all(outside, pod.address())?;
    let took = started.elapsed();
    // What the agent still has to do because of it counts, too: it looks every few seconds.
    thread::sleep(Duration::from_secs(6).saturating_sub(took));
    let used = processor_time(agent.pid())?.saturating_sub(processor);
    let share = used.as_secs_f64() / started.elapsed().as_secs_f64();
    let resets = resets_sent(pod.inside())? - resets;
    let per_second = u128::from(resets) * 1_000_000 / took.as_micros().max(1);
    server.order_exit()?;
    let told = Told::end_and_wait(stage, &server.container)?;
    let expected = Expected {
        resets: vec![refused(Phase::Stopping, THREADS * EACH)],
        refused: THREADS * EACH,
        ..Expected::default()
    };
    let observed = Observed {
        sent: resets,
        refused: resets,
        by_phase: Phase::ALL.map(|phase| {
            let sent = if phase == Phase::Stopping { resets } else { 0 };
            [Range::exactly(sent), Range::default()]
        }),
        ..Observed::default()
    };
    let others = Others {
        observed: &observed,
        expected: Some(&expected),
        met: Some(&met),
    };
    verdict
        .rows
        .extend(number_rows(&told.report_numbers, &told.metrics, others));
    verdict.classes(&told, Some(&expected));
    verdict.complete(&told.report);
    let marks = told.connections.map_or(0, |all| all.marks.len() as u64);
    verdict.require_equal("marks", marks, MARKS_MAX);
    verdict.require_equal("records lost", lost()? - lost_before, 0.0);
    verdict.notes.push(format!(
        "{:.1} s, {per_second} resets a second; the agent used {:.2} % of one processor meanwhile and until 6 s after the start; \
         {marks} resets are marks, no record was lost",
        took.as_secs_f64(),
        share * 100.0
    ));
    Ok(())
}

/// Connects as often as is wanted, from all threads; what was met.
fn connect_all(outside: &Namespace, to: SocketAddr) -> Result<Met> {
    let one = || {
        let mut refused = 0;
        for _ in 0..EACH {
            match TcpStream::connect(to) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
                other => return Err(anyhow!("an attempt was not refused: {other:?}")),
            }
        }
        Ok(refused)
    };
    let refused = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| outside.run(one)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_panic| anyhow!("a client panicked"))??
            })
            .sum::<Result<u64>>()
    })?;
    Ok(Met {
        refused,
        ..Met::default()
    })
}

/// How many resets the kernel counts as sent in a namespace: a counter of its own, below every probe.
fn resets_sent(namespace: &Namespace) -> Result<u64> {
    let text = namespace.run(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = lines.next().zip(lines.next()).context("no Tcp in snmp")?;
    let mut both = names.split(' ').zip(values.split(' '));
    let value = both
        .find(|(name, _)| *name == "OutRsts")
        .context("no OutRsts")?
        .1;
    Ok(value.parse()?)
}
