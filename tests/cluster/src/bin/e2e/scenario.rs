//! What a scenario is.

use anyhow::Result;

use crate::check::Check;
use crate::stage::Stage;

/// Where a scenario can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any cluster.
    Cluster,
    /// A cluster of our own, whose parts it stops and starts or whose files it writes.
    OwnCluster,
}

/// One scenario: it makes pods in a namespace of its own, ends them, and checks what was said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    /// Whether the others have to wait, since it stops what they need too.
    pub(crate) alone: bool,
    pub(crate) run: fn(&Stage<'_>, &mut Check) -> Result<()>,
}

impl Scenario {
    /// A scenario that runs anywhere, beside others.
    pub(crate) const fn anywhere(
        name: &'static str,
        run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    ) -> Self {
        Self {
            name,
            needs: Needs::Cluster,
            alone: false,
            run,
        }
    }
}
