//! Typed characters are not shown while something is drawn over and over.

use std::io::{self, IsTerminal as _};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The terminal does not show what is typed as long as this lives.
#[derive(Debug)]
pub(crate) struct NoEcho {
    before: Option<Termios>,
}

impl NoEcho {
    /// Turns the echo of standard input off, if that is a terminal and ours to set: a process in the background would be
    /// stopped for trying.
    pub(crate) fn new() -> Self {
        let stdin = io::stdin();
        let ours = stdin.is_terminal() && tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp());
        let before = ours.then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes -= LocalModes::ECHO;
            set_modes(&quiet);
        }
        Self { before }
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set_modes(before);
        }
    }
}

/// A terminal that is gone needs no care.
fn set_modes(modes: &Termios) {
    if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, modes) {
        tracing::debug!(%error, "the terminal's modes stay as they are");
    }
}
