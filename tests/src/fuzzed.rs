//! The corpus of the fuzz targets (`fuzz/corpus`), checked as an ordinary test: what a fuzzer found once stays found.

mod checks;

use std::fs;
use std::path::Path;

/// A check of a fuzz target.
type Check = fn(&[u8]) -> Result<(), String>;

/// All files of this target's corpus; how many.
fn replay(target: &str, check: Check) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let files = fs::read_dir(folder.join(target)).unwrap();
    let mut count = 0;
    for file in files.map(|file| file.unwrap().path()) {
        let bytes = fs::read(&file).unwrap();
        if let Err(fault) = check(&bytes) {
            panic!("{}: {fault}", file.display());
        }
        count += 1;
    }
    count
}

#[test]
fn the_corpus_of_records_is_decoded() {
    assert!(replay("decode", checks::decode) > 10);
}

#[test]
fn the_corpus_of_journals_is_replayed() {
    assert!(replay("engine_journal", checks::engine_journal) > 30);
}

/// A check that takes everything proves nothing.
#[test]
fn the_corpus_reaches_reports() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/engine_journal");
    let reports = fs::read_dir(folder)
        .unwrap()
        .map(|file| checks::reports(&fs::read(file.unwrap().path()).unwrap()))
        .sum::<usize>();
    assert!(reports > 30, "{reports} reports");
}

#[test]
fn the_corpus_is_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let bytes: u64 = ["decode", "engine_journal"]
        .into_iter()
        .flat_map(|target| fs::read_dir(folder.join(target)).unwrap())
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= 400 * 1024, "{bytes} bytes");
}
