//! A ring buffer that is too small: what is lost is counted to the last record, and the reports concerned say so.

use std::time::{Duration, Instant};

use agent_common::record::Kind;
use agent_core::report::{Doubt, Outcome};
use agent_core::signal::Signal;
use anyhow::Result;
use gracewatch::probes::{Options, Probes, Signals};
use gracewatch_tests::rig::kubelet::send_times;
use gracewatch_tests::rig::stage::Via;
use gracewatch_tests::whole::Whole;

use crate::agent::whole::Own;
use crate::check::Check;
use crate::scenario::{Scenario, Stage, within};

/// The smallest ring buffer there is: one page.
const TINY: u32 = 4096;
/// Signals sent at once.
const SIGNALS: u32 = 5_000;
/// How long metrics may take to follow the kernel's counters.
const SETTLED_LIMIT: Duration = Duration::from_secs(20);

pub(crate) const ALL: &[Scenario] = &[
    Scenario::without_spec("lost_records_are_counted", counted),
    Scenario::without_spec("lost_records_make_incomplete", incomplete),
];

/// The probes alone, with nobody reading: every signal is either in the ring buffer or in the counter of lost ones.
fn counted(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _entered = runtime.enter();
    let mut probes = Probes::load(&Options {
        ring_bytes: TINY,
        signals: u64::MAX,
        log: false,
    })?;
    let container = stage.start_app("--on-stop never")?;
    let id = container.cgroup.id()?.0;
    let mask = Signal::TERM.mask_bit() | Signal::KILL.mask_bit();
    probes
        .tracker
        .track_container((id, id), &[], Signals::that_all_begin(mask))?;
    probes.tracker.watch_process(container.main.pid(), id)?;
    let before = probes.counters.read()?;
    send_times(
        stage.toolbox(),
        container.main.pid(),
        Signal::TERM,
        Via::Kill,
        SIGNALS,
    )?;
    let after = probes.counters.read()?;
    let of = |counts: &std::collections::BTreeMap<Kind, u64>| {
        counts.get(&Kind::Signal).copied().unwrap_or_default()
    };
    let recorded = of(&after.recorded) - of(&before.recorded);
    let lost = of(&after.lost) - of(&before.lost);
    check.require_equal(
        "recorded and lost signals",
        recorded + lost,
        u64::from(SIGNALS),
    );
    check.require(
        format!("both happened: {recorded} recorded, {lost} lost"),
        recorded > 0 && lost > 0,
    );
    let mut found = 0;
    while probes
        .ring
        .drain(|record| found += u64::from(is_signal(record)))
        > 0
    {}
    check.require_equal("signals in the ring buffer", found, recorded);
    Ok(())
}

fn is_signal(record: &[u8]) -> bool {
    record
        .first_chunk()
        .is_some_and(|kind| u32::from_ne_bytes(*kind) == Kind::Signal as u32)
}

/// The whole agent with the smallest ring buffer under the same storm: its report says that facts may be missing.
fn incomplete(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let folder = stage.toolbox().folder();
    let glob = format!("{}/{}*", stage.rig.folder.path(), stage.name);
    let agent = Own::new(Whole::start(
        &glob,
        &["--ring-bytes", &TINY.to_string()],
        &folder.join("tiny.agent"),
    )?);
    let watched = Stage {
        agent: &agent,
        ..*stage
    };
    let mut container = watched.start_app("--on-stop never")?;
    let storm = send_times(
        stage.toolbox(),
        container.main.pid(),
        Signal::TERM,
        Via::Kill,
        SIGNALS,
    )?;
    let stopped = watched.stop(&mut container, &within(2))?;
    let report = watched.report(&container)?;
    check.require(
        format!("it says what was lost, found {:?}", report.doubts),
        report.doubts.contains(&Doubt::RecordsLost),
    );
    check.check_time(
        "the first stop signal",
        report.stop_signal.as_ref().map(|stop| stop.at),
        storm,
    );
    // On a slow machine the storm itself takes longer than a grace period may be off.
    if !stage.rig.slow {
        check.require_equal("outcome", report.outcome, Outcome::GraceExceeded);
    }
    check.check_exit(&report, &stopped);
    let sent = f64::from(SIGNALS) + 2.0;
    let total = settled(|| {
        let recorded = agent
            .whole
            .metric("gracewatch_records_total", "kind=\"signal\"")?;
        let lost = agent
            .whole
            .metric("gracewatch_records_lost_total", "kind=\"signal\"")?;
        Ok((recorded + lost, recorded + lost >= sent))
    })?;
    check.require_equal("signals by the metrics: recorded and lost", total, sent);
    check.require(
        "some were lost",
        agent
            .whole
            .metric("gracewatch_records_lost_total", "kind=\"signal\"")?
            > 0.0,
    );
    Ok(())
}

/// Metrics follow the kernel's counters at intervals: asks until it is enough, or for as long as a busy machine may need.
fn settled(mut ask: impl FnMut() -> Result<(f64, bool)>) -> Result<f64> {
    let started = Instant::now();
    loop {
        let (value, enough) = ask()?;
        if enough || started.elapsed() > SETTLED_LIMIT {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
