//! Journals that are whole, cut off, of another version, or none at all.

use std::io::Cursor;

use agent_core::config::{Config, Limits};
use agent_core::input::Input;
use agent_core::journal::{header_line, input_line};

use super::*;

/// A configuration for tests of this crate.
pub(crate) fn config() -> Config {
    Config {
        systemd: true,
        containers: true,
        selectors: Vec::new(),
        pods: false,
        reset_reasons: None,
        remaining: false,
        limits: Limits::default(),
    }
}

fn journal_lines() -> Vec<String> {
    vec![
        header_line(&config()).unwrap(),
        input_line(&Input::ScanFinished, Timestamp(1_000_000_000)).unwrap(),
        input_line(&Input::Shutdown, Timestamp(2_000_000_000)).unwrap(),
    ]
}

fn refusal(journal: &str) -> String {
    let sentence = replay(Cursor::new(journal), |_, _| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(!sentence.contains('\n'), "one sentence: {sentence}");
    sentence
}

#[test]
fn a_whole_journal_is_read_to_its_end() {
    replay(Cursor::new(journal_lines().concat()), |_, _| Ok(())).unwrap();
}

#[test]
fn what_is_wrong_with_a_journal_is_said() {
    assert!(refusal("").contains("empty"));
    assert!(refusal("{}\n").contains("header"));
    let other = journal_lines()
        .concat()
        .replacen("\"format\":1", "\"format\":99", 1);
    assert!(refusal(&other).contains("99"));
    let broken = format!("{}{{\"at\":5}}\n", journal_lines().concat());
    assert!(refusal(&broken).contains("line 4"));
    let cut = journal_lines().concat();
    assert!(refusal(&cut[..cut.len() - 9]).contains("cut off"));
    let path = "x".repeat(LINE_MAX);
    let long = format!("{cut}{{\"at\":5,\"input\":\"{path}\"}}\n");
    assert!(refusal(&long).contains("line 4 is longer"));
    assert!(refusal(&path.repeat(2)).contains("line 1 is longer"));
}

#[test]
fn a_file_of_bytes_is_refused() {
    let sentence = replay(Cursor::new([0xff_u8, 0xfe, 0x00]), |_, _| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(sentence.contains("gracewatch run --journal"), "{sentence}");
}
