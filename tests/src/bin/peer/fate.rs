//! What became of a connection, in one word.

use std::io::{self, ErrorKind};

/// Nobody listened there.
pub(crate) const REFUSED: &str = "refused";

const WORDS: [(ErrorKind, &str); 8] = [
    (ErrorKind::ConnectionRefused, REFUSED),
    (ErrorKind::ConnectionReset, "reset"),
    (ErrorKind::BrokenPipe, "reset"),
    (ErrorKind::UnexpectedEof, "ended"),
    (ErrorKind::TimedOut, "silent"),
    (ErrorKind::WouldBlock, "silent"),
    (ErrorKind::HostUnreachable, "unreachable"),
    (ErrorKind::NetworkUnreachable, "unreachable"),
];

/// The word for an error of a socket.
pub(crate) fn error_name(error: &io::Error) -> &'static str {
    let known = WORDS.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or("failed", |(_, word)| word)
}
