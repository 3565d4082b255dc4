//! Every committed journal, replayed. `GRACEWATCH_UPDATE_RECORDINGS=1 cargo test -p gracewatch-tests` writes the
//! expected texts anew; read the difference before it is committed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use agent_core::report::{HookKind, Outcome, Report, Trigger};

use super::render_journal;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

fn journals() -> Vec<PathBuf> {
    let mut journals: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            // Of `x.jsonl`, `x.reports.jsonl`, `x.metrics.txt` the first.
            let name = path.file_name().unwrap().to_str().unwrap();
            name.split('.').skip(1).eq(["jsonl"])
        })
        .collect();
    journals.sort();
    assert!(!journals.is_empty(), "no journal in {}", folder().display());
    journals
}

fn replay(journal: &Path) -> [(&'static str, String); 3] {
    let text = fs::read(journal).unwrap();
    render_journal(text.as_slice())
        .unwrap_or_else(|error| panic!("{}: {error:#}", journal.display()))
}

#[test]
fn recorded_journals_give_the_committed_texts_byte_for_byte() {
    let update = std::env::var_os("GRACEWATCH_UPDATE_RECORDINGS").is_some();
    let mut different = Vec::new();
    for journal in journals() {
        for (ending, text) in replay(&journal) {
            let path = journal.with_extension(ending);
            if update {
                fs::write(&path, &text).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                different.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert!(
        different.is_empty(),
        "{different:?} differ from what the journals give now; if that is meant, write them anew with \
         `GRACEWATCH_UPDATE_RECORDINGS=1 cargo test -p gracewatch-tests`"
    );
}

#[test]
fn replaying_twice_gives_the_same() {
    for journal in journals() {
        assert!(
            replay(&journal) == replay(&journal),
            "{}",
            journal.display()
        );
    }
}

fn reports() -> Vec<Report> {
    let mut all = Vec::new();
    for journal in journals() {
        let [(_, reports), ..] = replay(&journal);
        assert!(!reports.is_empty(), "{} has no report", journal.display());
        all.extend(
            reports
                .lines()
                .map(|line| serde_json::from_str::<Report>(line).unwrap()),
        );
    }
    all
}

/// What all reports have of something, each once and in order.
fn covered<T: Ord>(of: impl Fn(&Report) -> Option<T>) -> Vec<T> {
    let all: BTreeSet<T> = reports().iter().filter_map(of).collect();
    all.into_iter().collect()
}

#[test]
fn the_recordings_cover_these_outcomes_triggers_and_hooks() {
    let outcomes = [
        Outcome::Graceful,
        Outcome::SignalIgnored,
        Outcome::GraceExceeded,
        Outcome::KilledByOther,
        Outcome::ExitedEarly,
        Outcome::Completed,
        Outcome::Unknown,
    ];
    assert_eq!(covered(|report| Some(report.outcome)), outcomes);
    let triggers = [
        Trigger::Stopped,
        Trigger::Deleted,
        Trigger::Liveness,
        Trigger::Evicted,
        Trigger::Completed,
        Trigger::Unknown,
    ];
    assert_eq!(covered(|report| Some(report.trigger)), triggers);
    let hooks = [HookKind::Exec, HookKind::HttpGet, HookKind::Sleep];
    let kind = |report: &Report| report.hook.as_ref().map(|hook| hook.kind);
    assert_eq!(covered(kind), hooks);
}

#[test]
fn recordings_name_no_machine() {
    for journal in journals() {
        let text = fs::read_to_string(&journal).unwrap();
        for word in [
            "/tmp",
            "/home",
            "/root",
            "gracewatch-kernel",
            "gracewatch-rig",
            "gracewatch-cri",
        ] {
            assert!(
                !text.contains(word),
                "{} contains {word}",
                journal.display()
            );
        }
    }
}
