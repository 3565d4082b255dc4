//! What is taken out of a recorded journal before it is committed: where the programs and the state of this run were.

use std::path::PathBuf;

use crate::jail::STATE;

/// The journal, with `/rig` in the place of the rig's state and of these folders of the machine.
pub fn without_places(journal: &str, folders: &[PathBuf]) -> String {
    folders
        .iter()
        .filter_map(|folder| folder.to_str())
        .chain([STATE])
        .filter(|folder| folder.len() > 1)
        .fold(journal.to_owned(), |text, folder| {
            text.replace(folder, "/rig")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_says_neither_where_programs_nor_where_state_was() {
        let journal = format!("[\"/home/x/tools/runc\",\"init\",\"{STATE}/log.json\",\"/x\"]");
        assert_eq!(
            without_places(&journal, &["/home/x/tools".into(), "/".into()]),
            "[\"/rig/runc\",\"init\",\"/rig/log.json\",\"/x\"]"
        );
    }
}
