//! How text is drawn: width, characters, and the few colours with what they mean.

use anstyle::{AnsiColor, Effects};

/// How text is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of a line.
    pub width: usize,
    /// Whether colours are used.
    pub colors: bool,
    /// Whether other characters than ASCII are used.
    pub unicode: bool,
}

impl Style {
    /// 80 columns, no colours, Unicode: for files and pipes.
    pub const PLAIN: Self = Self {
        width: 80,
        colors: false,
        unicode: true,
    };
}

pub(crate) const NORMAL: anstyle::Style = anstyle::Style::new();
pub(crate) const STRONG: anstyle::Style = NORMAL.bold();
pub(crate) const DIM: anstyle::Style = NORMAL.effects(Effects::DIMMED);
/// As it should be.
pub(crate) const GOOD: anstyle::Style = AnsiColor::Green.on_default();
/// A defect.
pub(crate) const BAD: anstyle::Style = AnsiColor::Red.on_default();
/// Worth a look.
pub(crate) const ODD: anstyle::Style = AnsiColor::Yellow.on_default();
/// Neither good nor bad, but to be told from the rest.
pub(crate) const CALM: anstyle::Style = AnsiColor::Cyan.on_default();
