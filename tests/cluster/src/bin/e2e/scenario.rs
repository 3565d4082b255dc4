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
    /// Feature gates that have to be on and are off by default. Scenarios without any run first, on what upstream's defaults
    /// give.
    pub(crate) gates: Gates,
    pub(crate) run: fn(&Stage<'_>, &mut Check) -> Result<()>,
}

/// Names of feature gates of Kubernetes.
pub(crate) type Gates = &'static [&'static str];

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
            gates: &[],
            run,
        }
    }

    /// A scenario that needs feature gates which are off by default, and a cluster of our own, which turns them on.
    pub(crate) const fn with_gates(
        name: &'static str,
        gates: Gates,
        run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    ) -> Self {
        Self {
            needs: Needs::OwnCluster,
            gates,
            ..Self::anywhere(name, run)
        }
    }

    /// A scenario that stops and starts parts of a cluster of our own, so that the others have to wait.
    pub(crate) const fn upsetting(
        name: &'static str,
        run: fn(&Stage<'_>, &mut Check) -> Result<()>,
    ) -> Self {
        Self {
            needs: Needs::OwnCluster,
            alone: true,
            ..Self::anywhere(name, run)
        }
    }
}
