//! What the probes log of themselves, for those who debug them. Off, it costs nothing: the level is
//! a constant for the verifier, which removes the code.

use std::fmt;
use std::io;

use aya::Ebpf;
use aya_log::{EbpfLogger, Level};
use tokio::io::unix::AsyncFd;

use super::failure::LoadError;
use super::ring;

/// The ring buffer of aya-log.
pub(super) const MAP: &str = "AYA_LOGS";

/// The level below which the probes log: none, or all.
pub(super) fn log_level(is_on: bool) -> u8 {
    if is_on { Level::Trace as u8 } else { 0 }
}

/// Size of a ring buffer that nobody writes to: the least that the kernel takes.
pub(super) fn unused_bytes() -> u32 {
    u32::try_from(rustix::param::page_size()).unwrap_or(4096)
}

/// The log of the probes, which goes to the agent's own by the `log` crate.
pub struct ProbeLog(AsyncFd<EbpfLogger<&'static dyn ::log::Log>>);

impl fmt::Debug for ProbeLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeLog").finish_non_exhaustive()
    }
}

impl ProbeLog {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let logger = EbpfLogger::init(ebpf).map_err(|_absent| LoadError::Missing(MAP))?;
        ring::polled(logger).map(Self)
    }

    /// Passes the log on until polling fails, which it does not while the runtime lives.
    pub async fn forward(mut self) -> io::Error {
        loop {
            match self.0.readable_mut().await {
                Ok(mut guard) => {
                    guard.get_inner_mut().flush();
                    guard.clear_ready();
                }
                Err(error) => return error,
            }
        }
    }
}
