//! docs/runtimes.md: the tables of the CRI tier, on this machine and in the virtual machine. Two steps write it, each its
//! own part.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cache;

const PATH: &str = "docs/runtimes.md";

const HEADER: &str = "\
# Container runtimes

Written by `cargo xtask test --only cri,guest --write-docs`; do not edit.

Containers of real runtimes are stopped by the calls that a kubelet makes, and the agent's report of each is compared with
what was done. *Expected* and *got* are the outcome, the hook, the signals, the exit, findings (`!`) and doubts (`?`). The
durations are compared with tracefs, the kernel's own trace of the same hooks in whole microseconds: Ts is the stop signal,
Tk SIGKILL and Te the exit of the main process's last thread. Exit codes and times are compared with those of the runtime
too, and every time with the call that caused it.
";

/// Who made the containers' cgroups, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The OCI runtime, on this machine.
    Machine,
    /// systemd, in a virtual machine.
    Guest,
}

impl Part {
    const ALL: [Self; 2] = [Self::Machine, Self::Guest];

    const fn heading(self) -> &'static str {
        match self {
            Self::Machine => "## The cgroupfs driver",
            Self::Guest => "## The systemd driver, and cgroup v2 alone",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Machine => "On the machine itself, several cases at once.",
            Self::Guest => {
                "In a virtual machine with systemd and without cgroup v1, on an emulated processor: durations are as far \
                 off as the emulation is slow."
            }
        }
    }
}

/// Writes the part that the table in the file `table` is of, and leaves the other.
pub(super) fn write(part: Part, table: &Path) -> Result<()> {
    let path = cache::workspace().join(PATH);
    let table = std::fs::read_to_string(table)
        .with_context(|| format!("the table is missing: {}", table.display()))?;
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, with_table(&before, part, &table))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {PATH}");
    Ok(())
}

/// The page `before`, with another table in this part.
fn with_table(before: &str, part: Part, table: &str) -> String {
    let mut page = HEADER.to_owned();
    for each in Part::ALL {
        let content = if each == part {
            format!("{}\n\n{}", each.description(), table.trim())
        } else {
            match section(before, each) {
                Some(kept) => kept.to_owned(),
                None => continue,
            }
        };
        for text in ["\n", each.heading(), "\n\n", &content, "\n"] {
            page.push_str(text);
        }
    }
    page
}

/// What stands below the heading of a part, if it is there.
fn section(page: &str, part: Part) -> Option<&str> {
    let (_, below) = page.split_once(&format!("\n{}\n", part.heading()))?;
    let end = below.find("\n## ").unwrap_or(below.len());
    below.get(..end).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_written_without_the_other() {
        let guest = with_table("", Part::Guest, "| g |\n");
        assert!(!guest.contains(Part::Machine.heading()));
        let both = with_table(&guest, Part::Machine, "| m |\n");
        assert!(section(&both, Part::Machine).unwrap().ends_with("| m |"));
        assert!(section(&both, Part::Guest).unwrap().ends_with("| g |"));
        let again = with_table(&both, Part::Machine, "| n |\n");
        assert_eq!(again, both.replace("| m |", "| n |"));
    }
}
