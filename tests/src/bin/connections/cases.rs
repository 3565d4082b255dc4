//! Every case, in the order of the output.

mod ends;

use crate::case::Case;

/// Cases that run beside each other.
pub(crate) fn small() -> Vec<Case> {
    [ends::ALL].concat()
}

/// Cases with a load, which have the machine for themselves.
pub(crate) fn alone() -> Vec<Case> {
    Vec::new()
}
