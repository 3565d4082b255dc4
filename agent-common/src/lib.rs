//! What the kernel side and the user side agree on: the records in the ring buffer, the maps, the
//! globals that the loader fills in, and the limits. Nothing else may live here.
#![no_std]
#![warn(missing_docs)]

pub mod global;
pub mod map;
pub mod record;
pub mod socket;
