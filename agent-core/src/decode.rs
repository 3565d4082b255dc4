//! Bytes of a record to an [`Event`]: total, without a cast. It concludes nothing and knows no state.
//!
//! Every field is read at its `offset_of!` in the layouts of `agent_common::record`, in the machine's
//! own byte order, since kernel side and user side run on the same machine.

use core::mem::{offset_of, size_of};

use agent_common::record::{
    AttachRecord, COMM_SIZE, CgroupRecord, CgroupStateRecord, ConnectRecord, DeliveryRecord,
    ExecRecord, ExitRecord, Header, Kind, OomRecord, Process as ProcessRecord, ResetRecord,
    SignalRecord,
};

use crate::event::{
    CgroupId, Connect, Delivered, Delivery, Disposition, Event, EventKind, Exec, Exit, ExitStatus,
    Handler, Process, SignalSent, Tgid,
};
use crate::signal::{Signal, SignalSet};
use crate::time::Timestamp;

mod socket;

pub use socket::counts;

/// `SIGNAL_GROUP_EXIT`: <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h#L253>.
const SIGNAL_GROUP_EXIT: u32 = 0x4;
/// `SIGNAL_UNKILLABLE`: <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h#L264>.
const SIGNAL_UNKILLABLE: u32 = 0x40;

/// Why bytes are not a record of this ABI version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the kind of record has.
    #[error(
        "a record has {len} bytes and should have {expected}; restart with the object that this agent was built with"
    )]
    Short {
        /// Bytes there are.
        len: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// More bytes than the kind of record has.
    #[error(
        "a record has {len} bytes and should have only {expected}; restart with the object that this agent was built with"
    )]
    Long {
        /// Bytes there are.
        len: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// The header names another size than the record has.
    #[error(
        "a record of {len} bytes says that it has {stated}; restart with the object that this agent was built with"
    )]
    SizeMismatch {
        /// Bytes there are.
        len: usize,
        /// Bytes the header names.
        stated: u32,
    },
    /// No such kind of record.
    #[error(
        "a record has the unknown kind {0}; restart with the object that this agent was built with"
    )]
    UnknownKind(u32),
    /// No such signal.
    #[error(
        "a record has the signal number {0}, which does not exist; the offsets may not fit this kernel, see `gracewatch check`"
    )]
    InvalidSignal(u32),
    /// No such result of a signal.
    #[error(
        "a record has the signal result {0}, which is unknown; the offsets may not fit this kernel, see `gracewatch check`"
    )]
    InvalidResult(u32),
    /// No such port.
    #[error(
        "a record has the port {0}, which does not exist; restart with the object that this agent was built with"
    )]
    InvalidPort(u32),
    /// No such phase, kind of reset or scope.
    #[error(
        "a reset has the phase, kind or scope {0}, which does not exist; restart with the object that this agent was built with"
    )]
    InvalidReset(u32),
    /// A text field is said to be longer than its room.
    #[error(
        "a record has a text of {stated} bytes in a field of {room}; restart with the object that this agent was built with"
    )]
    InvalidLength {
        /// Bytes said to be in use.
        stated: u32,
        /// Bytes the field has.
        room: usize,
    },
}

impl DecodeError {
    /// Every label that [`Self::reason`] can return.
    pub const REASONS: [&'static str; 9] = [
        "short",
        "long",
        "size_mismatch",
        "unknown_kind",
        "invalid_signal",
        "invalid_result",
        "invalid_port",
        "invalid_reset",
        "invalid_length",
    ];

    /// A label of a bounded set, for a metric.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Short { .. } => "short",
            Self::Long { .. } => "long",
            Self::SizeMismatch { .. } => "size_mismatch",
            Self::UnknownKind(_) => "unknown_kind",
            Self::InvalidSignal(_) => "invalid_signal",
            Self::InvalidResult(_) => "invalid_result",
            Self::InvalidPort(_) => "invalid_port",
            Self::InvalidReset(_) => "invalid_reset",
            Self::InvalidLength { .. } => "invalid_length",
        }
    }
}

/// Decodes one record.
///
/// # Errors
/// A [`DecodeError`] for anything that is not exactly one record of a known kind with values that exist.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let record = Record(bytes);
    let kind_id = record.read_u32(offset_of!(Header, kind))?;
    let kind = Kind::from_id(kind_id).ok_or(DecodeError::UnknownKind(kind_id))?;
    record.check_size(size_of_kind(kind))?;
    Ok(Event {
        at: Timestamp(record.read_u64(offset_of!(Header, at))?),
        container: tracked(record.read_u64(offset_of!(Header, container))?),
        cgroup: CgroupId(record.read_u64(offset_of!(Header, cgroup))?),
        kind: record.decode_kind(kind)?,
    })
}

/// Size in bytes of a record of this kind.
const fn size_of_kind(kind: Kind) -> usize {
    match kind {
        Kind::Signal => size_of::<SignalRecord>(),
        Kind::Exec => size_of::<ExecRecord>(),
        Kind::Exit => size_of::<ExitRecord>(),
        Kind::Attach => size_of::<AttachRecord>(),
        Kind::CgroupMade => size_of::<CgroupRecord>(),
        Kind::CgroupRemoved | Kind::CgroupPopulated => size_of::<CgroupStateRecord>(),
        Kind::OomVictim => size_of::<OomRecord>(),
        Kind::Connect => size_of::<ConnectRecord>(),
        Kind::Reset => size_of::<ResetRecord>(),
        Kind::Delivered => size_of::<DeliveryRecord>(),
    }
}

/// A container id, of which 0 means none.
fn tracked(id: u64) -> Option<CgroupId> {
    (id != 0).then_some(CgroupId(id))
}

/// The bytes of one record.
#[derive(Clone, Copy)]
struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    fn check_size(self, expected: usize) -> Result<(), DecodeError> {
        let len = self.0.len();
        if len < expected {
            return Err(DecodeError::Short { len, expected });
        }
        if len > expected {
            return Err(DecodeError::Long { len, expected });
        }
        let stated = self.read_u32(offset_of!(Header, size))?;
        if usize::try_from(stated) != Ok(len) {
            return Err(DecodeError::SizeMismatch { len, stated });
        }
        Ok(())
    }

    fn decode_kind(self, kind: Kind) -> Result<EventKind, DecodeError> {
        Ok(match kind {
            Kind::Signal => EventKind::Signal(self.signal()?),
            Kind::Exec => EventKind::Exec(self.decode_exec()?),
            Kind::Exit => EventKind::Exit(Exit {
                process: self.process(offset_of!(ExitRecord, process))?,
                status: exit_status(self.read_u32(offset_of!(ExitRecord, exit_code))?)?,
                executed: self.read_u32(offset_of!(ExitRecord, executed))? != 0,
                pending: Some(SignalSet(self.read_u64(offset_of!(ExitRecord, pending))?)),
                ns_reboot: match self.read_u32(offset_of!(ExitRecord, ns_reboot))? {
                    0 => None,
                    number => Some(valid_signal(number)?),
                },
            }),
            Kind::Attach => EventKind::Attach(self.process(offset_of!(AttachRecord, process))?),
            Kind::CgroupMade => EventKind::CgroupMade {
                parent: CgroupId(self.read_u64(offset_of!(CgroupRecord, parent))?),
                path: decode_lossy(self.used_bytes(
                    offset_of!(CgroupRecord, path),
                    agent_common::record::PATH_SIZE,
                    self.read_u32(offset_of!(CgroupRecord, path_size))?,
                )?),
            },
            Kind::CgroupRemoved => EventKind::CgroupRemoved,
            Kind::CgroupPopulated => EventKind::CgroupPopulated {
                populated: self.read_u32(offset_of!(CgroupStateRecord, populated))? != 0,
            },
            Kind::OomVictim => EventKind::OomVictim {
                pid: self.read_u32(offset_of!(OomRecord, pid))?,
                comm: Some(self.read_comm(offset_of!(OomRecord, comm))?)
                    .filter(|comm| !comm.is_empty()),
            },
            Kind::Connect => EventKind::Connect(self.connect()?),
            Kind::Reset => EventKind::Reset(self.decode_reset()?),
            Kind::Delivered => EventKind::Delivered(self.delivered()?),
        })
    }

    fn signal(self) -> Result<SignalSent, DecodeError> {
        let number = self.read_u32(offset_of!(SignalRecord, signal))?;
        let signal = valid_signal(number)?;
        let flags = self.read_u32(offset_of!(SignalRecord, signal_flags))?;
        Ok(SignalSent {
            signal,
            target: self.process(offset_of!(SignalRecord, target))?,
            sender: self.process(offset_of!(SignalRecord, sender))?,
            code: i32::from_ne_bytes(self.read_array(offset_of!(SignalRecord, code))?),
            result: delivery(self.read_u32(offset_of!(SignalRecord, result))?)?,
            handler: handler(self.read_u64(offset_of!(SignalRecord, handler))?),
            blocked: self.read_u64(offset_of!(SignalRecord, blocked))? & signal.mask_bit() != 0,
            traced: self.read_u32(offset_of!(SignalRecord, ptrace))? != 0,
            exiting: flags & SIGNAL_GROUP_EXIT != 0,
            unkillable: flags & SIGNAL_UNKILLABLE != 0,
            pending: Some(SignalSet(self.read_u64(offset_of!(SignalRecord, pending))?)),
            watched: self.read_u32(offset_of!(SignalRecord, watched))? != 0,
            last_outside: match self.read_u32(offset_of!(SignalRecord, last_outside))? {
                0 => None,
                number => Some(Disposition {
                    signal: valid_signal(number)?,
                    handler: handler(
                        self.read_u64(offset_of!(SignalRecord, last_outside_handler))?,
                    ),
                }),
            },
        })
    }

    fn delivered(self) -> Result<Delivered, DecodeError> {
        let flags = self.read_u32(offset_of!(DeliveryRecord, signal_flags))?;
        Ok(Delivered {
            process: self.process(offset_of!(DeliveryRecord, process))?,
            signal: valid_signal(self.read_u32(offset_of!(DeliveryRecord, signal))?)?,
            handler: handler(self.read_u64(offset_of!(DeliveryRecord, handler))?),
            unkillable: flags & SIGNAL_UNKILLABLE != 0,
            traced: self.read_u32(offset_of!(DeliveryRecord, ptrace))? != 0,
        })
    }

    fn decode_exec(self) -> Result<Exec, DecodeError> {
        let size = self.read_u32(offset_of!(ExecRecord, argv_size))?;
        let room = agent_common::record::ARGV_SIZE;
        Ok(Exec {
            process: self.process(offset_of!(ExecRecord, process))?,
            argv: command_line(self.used_bytes(offset_of!(ExecRecord, argv), room, size)?),
            argv_cut: self.read_u32(offset_of!(ExecRecord, argv_size_full))? > size,
        })
    }

    fn connect(self) -> Result<Connect, DecodeError> {
        let (address, port) = self.endpoint(offset_of!(ConnectRecord, endpoint))?;
        Ok(Connect {
            process: self.process(offset_of!(ConnectRecord, process))?,
            address,
            port,
        })
    }

    fn process(self, base: usize) -> Result<Process, DecodeError> {
        let number = |field: usize| self.read_u32(base + field);
        Ok(Process {
            tgid: Tgid(number(offset_of!(ProcessRecord, tgid))?),
            ns_tgid: number(offset_of!(ProcessRecord, ns_tgid))?,
            ns_level: number(offset_of!(ProcessRecord, ns_level))?,
            ns_inum: number(offset_of!(ProcessRecord, ns_inum))?,
            start: Timestamp(self.read_u64(base + offset_of!(ProcessRecord, start))?),
            container: tracked(self.read_u64(base + offset_of!(ProcessRecord, container))?),
            parent_tgid: Tgid(number(offset_of!(ProcessRecord, parent_tgid))?),
            parent_outside: number(offset_of!(ProcessRecord, parent_outside))? != 0,
            parent_comm: self.read_comm(base + offset_of!(ProcessRecord, parent_comm))?,
            comm: self.read_comm(base + offset_of!(ProcessRecord, comm))?,
        })
    }

    fn read_comm(self, offset: usize) -> Result<String, DecodeError> {
        let field = self.read_slice(offset, COMM_SIZE)?;
        Ok(decode_lossy(
            field.split(|byte| *byte == 0).next().unwrap_or_default(),
        ))
    }

    fn used_bytes(self, offset: usize, room: usize, stated: u32) -> Result<&'a [u8], DecodeError> {
        match usize::try_from(stated) {
            Ok(size) if size <= room => self.read_slice(offset, size),
            Ok(_) | Err(_) => Err(DecodeError::InvalidLength { stated, room }),
        }
    }

    fn read_u32(self, offset: usize) -> Result<u32, DecodeError> {
        self.read_array(offset).map(u32::from_ne_bytes)
    }

    fn read_u64(self, offset: usize) -> Result<u64, DecodeError> {
        self.read_array(offset).map(u64::from_ne_bytes)
    }

    fn read_array<const N: usize>(self, offset: usize) -> Result<[u8; N], DecodeError> {
        let short = self.too_short(offset + N);
        self.read_slice(offset, N)?
            .try_into()
            .map_err(|_slice| short)
    }

    fn read_slice(self, offset: usize, size: usize) -> Result<&'a [u8], DecodeError> {
        self.0
            .get(offset..offset + size)
            .ok_or(self.too_short(offset + size))
    }

    const fn too_short(self, expected: usize) -> DecodeError {
        DecodeError::Short {
            len: self.0.len(),
            expected,
        }
    }
}

fn parse_port(number: u32) -> Result<u16, DecodeError> {
    u16::try_from(number).map_err(|_too_large| DecodeError::InvalidPort(number))
}

fn valid_signal(number: u32) -> Result<Signal, DecodeError> {
    Signal::try_from(number).map_err(|_unknown| DecodeError::InvalidSignal(number))
}

/// `sa_handler`, as the kernel keeps it.
const fn handler(address: u64) -> Handler {
    match address {
        0 => Handler::Default,
        1 => Handler::Ignore,
        _ => Handler::Custom,
    }
}

const fn delivery(result: u32) -> Result<Delivery, DecodeError> {
    Ok(match result {
        0 => Delivery::Delivered,
        1 => Delivery::Ignored,
        2 => Delivery::AlreadyPending,
        3 => Delivery::OverflowFail,
        4 => Delivery::LoseInfo,
        other => return Err(DecodeError::InvalidResult(other)),
    })
}

/// As for `wait(2)`.
fn exit_status(code: u32) -> Result<ExitStatus, DecodeError> {
    let [low, status, ..] = code.to_le_bytes();
    match low & 0x7f {
        0 => Ok(ExitStatus::Code(status)),
        signal => Ok(ExitStatus::Signal {
            signal: valid_signal(u32::from(signal))?,
            core_dumped: low & 0x80 != 0,
        }),
    }
}

/// Arguments separated, and as a rule ended, by NUL.
fn command_line(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes
        .strip_suffix(&[0])
        .unwrap_or(bytes)
        .split(|byte| *byte == 0)
        .map(decode_lossy)
        .collect()
}

fn decode_lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
