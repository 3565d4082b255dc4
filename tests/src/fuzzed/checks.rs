//! What holds for any bytes and any journal. The fuzz targets include this file, and the tests call it with the corpus.

use std::collections::BTreeSet;

use agent_core::decode::decode as decode_record;
use agent_core::engine::Engine;
use agent_core::input::Input;
use agent_core::journal::{Entry, Header, Reader};
use agent_core::output::Output;
use agent_core::report::{Report, Start};
use agent_core::time::Timestamp;

/// Lines of a journal that are read; more make a run slow and find nothing else.
const LINES_MAX: usize = 400;
/// Timeouts that may be due between two inputs.
const ROUNDS_MAX: usize = 10_000;
/// The bounds that journals are replayed with, so that they are reached.
const CONTAINERS_MAX: usize = 6;
const PROCESSES_MAX: usize = 8;
const PODS_MAX: usize = 4;
/// Outputs that may follow from one input.
const OUTPUTS_MAX: usize = 64 * (CONTAINERS_MAX + 1);

/// Any bytes are a record or none, and what is one can be written to a journal and read back.
///
/// # Errors
/// What does not hold, in one sentence.
pub(crate) fn decode(bytes: &[u8]) -> Result<(), String> {
    let Ok(event) = decode_record(bytes) else {
        return Ok(());
    };
    let input = Input::Event(event);
    let text = serde_json::to_string(&input)
        .map_err(|error| format!("a record cannot be written to a journal: {error}"))?;
    let again: Input = serde_json::from_str(&text)
        .map_err(|error| format!("a record cannot be read from a journal: {error}: {text}"))?;
    if again == input {
        Ok(())
    } else {
        Err(format!("a record is another one after a journal: {text}"))
    }
}

/// Any lines are taken within bounds; each termination is told at most once and has an end, its times are in order, and a
/// second replay says the same. Lines that are none of a journal are left out.
///
/// # Errors
/// What does not hold, in one sentence.
pub(crate) fn engine_journal(bytes: &[u8]) -> Result<(), String> {
    let Some((header, entries)) = read(bytes) else {
        return Ok(());
    };
    let Some(said) = replay(&header, &entries)? else {
        return Ok(());
    };
    told_once(&said)?;
    if replay(&header, &entries)?.as_ref() == Some(&said) {
        Ok(())
    } else {
        Err("a second replay says something else".to_owned())
    }
}

fn read(bytes: &[u8]) -> Option<(Header, Vec<Entry>)> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split_inclusive('\n').take(LINES_MAX);
    let mut reader = Reader::new();
    let mut header = reader.header(lines.next()?).ok()?;
    let limits = &mut header.config.limits;
    limits.containers_max = limits.containers_max.min(CONTAINERS_MAX);
    limits.processes_max = limits.processes_max.min(PROCESSES_MAX);
    limits.pods_max = limits.pods_max.min(PODS_MAX);
    let mut now = Timestamp::default();
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        let Ok(Entry { at, input }) = reader.parse_entry(line) else {
            continue;
        };
        // Time does not go back.
        now = now.max(at);
        entries.push(Entry { at: now, input });
    }
    entries.push(Entry {
        at: now,
        input: Input::Shutdown,
    });
    Some((header, entries))
}

/// What an engine says; none if its configuration is refused.
fn replay(header: &Header, entries: &[Entry]) -> Result<Option<Vec<Output>>, String> {
    let Ok(mut engine) = Engine::new(header.config.clone()) else {
        return Ok(None);
    };
    let mut said = Vec::new();
    let mut tracked = 0_i64;
    for Entry { at, input } in entries {
        run_timeouts(&mut engine, *at, &mut said)?;
        let before = said.len();
        engine.handle(input.clone(), *at);
        said.extend(std::iter::from_fn(|| engine.poll_output()));
        let new = said.get(before..).unwrap_or_default();
        if new.len() > OUTPUTS_MAX {
            return Err(format!("{} outputs follow from one input", new.len()));
        }
        for output in new {
            if let Output::Tracked { added, .. } = output {
                tracked += if *added { 1 } else { -1 };
            }
        }
    }
    // Those that a timeout ended are not subtracted yet.
    let ended = said.iter().filter(|output| is_end(output)).count();
    if tracked > i64::try_from(CONTAINERS_MAX + ended).unwrap_or(i64::MAX) {
        return Err(format!("{tracked} containers are tracked"));
    }
    run_timeouts(&mut engine, Timestamp(u64::MAX), &mut said)?;
    Ok(Some(said))
}

const fn is_end(output: &Output) -> bool {
    matches!(output, Output::Tracked { added: false, .. })
}

fn run_timeouts(
    engine: &mut Engine,
    until: Timestamp,
    said: &mut Vec<Output>,
) -> Result<(), String> {
    for _round in 0..ROUNDS_MAX {
        let Some(due) = engine.poll_timeout().filter(|due| *due <= until) else {
            return Ok(());
        };
        engine.handle_timeout(due);
        said.extend(std::iter::from_fn(|| engine.poll_output()));
    }
    Err("the timeouts never run out".to_owned())
}

fn told_once(said: &[Output]) -> Result<(), String> {
    let mut begun = BTreeSet::new();
    let mut over = BTreeSet::new();
    for output in said {
        match output {
            Output::Progress(report) => {
                begun.insert(report.id);
                if over.contains(&report.id) {
                    return Err(format!("report {} goes on after its end", report.id));
                }
            }
            Output::Finished(report) => {
                if !over.insert(report.id) {
                    return Err(format!("report {} ends twice", report.id));
                }
                in_order(report)?;
            }
            Output::Withdrawn { id, .. } => {
                if !over.insert(*id) {
                    return Err(format!("report {id} is withdrawn after its end"));
                }
            }
            Output::Effect(_)
            | Output::Resets { .. }
            | Output::Dropped { .. }
            | Output::Unreported { .. }
            | Output::Tracked { .. } => {}
        }
    }
    match begun.difference(&over).next() {
        None => Ok(()),
        Some(id) => Err(format!("report {id} has no end")),
    }
}

/// A hook may have begun after the stop signal where its process is said to have begun after its own end: no kernel says that.
fn in_order(report: &Report) -> Result<(), String> {
    let times = [
        Some(report.started_at).filter(|_at| report.start_source != Start::Hook),
        report.stop_signal.as_ref().map(|stop| stop.at),
        report.kill.as_ref().map(|kill| kill.at),
        report.exit.as_ref().map(|exit| exit.at),
    ];
    if times.into_iter().flatten().is_sorted() {
        return Ok(());
    }
    Err(format!(
        "the times of report {} are not in order: {times:?}, by {:?}",
        report.id, report.start_source
    ))
}

/// How many reports a journal gives.
#[cfg(test)]
pub(crate) fn reports(bytes: &[u8]) -> usize {
    let said = read(bytes).and_then(|(header, entries)| replay(&header, &entries).ok().flatten());
    let finished = |output: &&Output| matches!(output, Output::Finished(_));
    said.iter().flatten().filter(finished).count()
}
