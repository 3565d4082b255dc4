//! The ring buffer: bytes as the kernel side wrote them, record by record.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use agent_common::map::EVENTS;
use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::failure::LoadError;
use super::maps;

/// Records handed out at once, so that whoever reads can look at other things in between.
const BATCH_MAX: usize = 256;

/// The records of the kernel side.
pub struct Ring(AsyncFd<RingBuf<MapData>>);

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let ring: RingBuf<MapData> = maps::take_map(ebpf, EVENTS)?;
        polled(ring).map(Self)
    }

    /// Waits for records and hands out at most 256 of them; says how many. It may be none.
    ///
    /// Nothing is lost if the future is dropped: a record is taken only to be handed out.
    pub async fn next_batch(&mut self, each: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut guard = self.0.readable_mut().await?;
        let count = hand_out(guard.get_inner_mut(), each);
        if count < BATCH_MAX {
            // It was found empty, and the kernel tells when it is not any more.
            guard.clear_ready();
        }
        Ok(count)
    }

    /// Hands out what is there now, at most 256 records; says how many.
    pub fn drain(&mut self, each: impl FnMut(&[u8])) -> usize {
        hand_out(self.0.get_mut(), each)
    }
}

/// Has the runtime poll a map of the kernel side for records.
#[expect(
    deprecated,
    reason = "its successor is unsafe to call, for types that might close or change their descriptor; aya's keep theirs for life"
)]
pub(super) fn polled<T: AsRawFd>(map: T) -> Result<AsyncFd<T>, LoadError> {
    AsyncFd::with_interest(map, Interest::READABLE).map_err(LoadError::Poll)
}

fn hand_out(ring: &mut RingBuf<MapData>, mut each: impl FnMut(&[u8])) -> usize {
    let mut count = 0;
    while count < BATCH_MAX
        && let Some(record) = ring.next()
    {
        each(&record);
        count += 1;
    }
    count
}
