//! The phases that a row of a timeline can show.

/// What lasts from one event of a termination to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Start of the main process to its exit, for a container that ended by itself.
    Running,
    /// The preStop hook, from its exec to its exit.
    Hook,
    /// The hook's exit to the stop signal.
    Waiting,
    /// The stop signal to the exit, or to SIGKILL if that came before.
    Stopping,
    /// SIGKILL to the exit.
    Dying,
    /// The exit to the release.
    Closing,
    /// None: the event was the last that was seen.
    Over,
}

impl Phase {
    /// Its name in a timeline.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Hook => "hook",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Dying => "dying",
            Self::Closing => "closing",
            Self::Over => "",
        }
    }
}
