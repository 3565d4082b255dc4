//! What a case is, and what all of them share.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::network::Namespace;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::Whole;

use crate::capture::Capture;
use crate::verdict::Verdict;

/// How long the agent may take to say what it must say.
pub(crate) const REPORT_LIMIT: Duration = Duration::from_secs(20);

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What happens, for the table.
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Stage<'_>, &mut Verdict) -> Result<()>,
}

/// What all cases share.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) agent: Whole,
    pub(crate) folder: Folder,
    pub(crate) toolbox: Toolbox,
    pub(crate) tools: PathBuf,
}

/// One case's stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) name: &'static str,
    pub(crate) rig: &'a Rig,
}

impl Stage<'_> {
    /// The case's name with a suffix: what its cgroups and files are called.
    pub(crate) fn name_with(&self, suffix: &str) -> String {
        if suffix.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}-{suffix}", self.name)
        }
    }

    /// Captures what passes a device of this namespace, and a filter.
    pub(crate) fn capture(&self, namespace: &Namespace, what: (&str, &str)) -> Result<Capture> {
        let file = self
            .rig
            .toolbox
            .folder()
            .join(format!("{}.pcap", self.name));
        Capture::start(&self.rig.tools, namespace, what, file)
    }
}
