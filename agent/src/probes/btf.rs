//! Reads the running kernel's BTF: offsets of members, sizes of structures, arguments of hooks.
//!
//! Not with a library: aya keeps its members to itself, and the one other reader maps the file,
//! which kernels before 6.17 do not offer, or holds some 50 MiB of strings. A look at the few types
//! that matter needs the file and one `u32` a type.
//! The format: <https://docs.kernel.org/bpf/btf.html>

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent_common::global::Hook;

/// Where the kernel shows its own BTF.
pub(super) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
/// Anonymous structures in one another: C knows no limit, the kernel stays far below this one.
const DEPTH_MAX: u32 = 16;

/// What the kernel's BTF does not tell.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// There is no BTF.
    #[error(
        "cannot read {}: the kernel must be built with CONFIG_DEBUG_INFO_BTF, as those of the distributions are since 2021",
        path.display()
    )]
    Unreadable {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The bytes are not BTF of version 1, or end too early.
    #[error("the kernel's BTF is damaged or of an unknown version ({0})")]
    Malformed(&'static str),
    /// The kernel has no such structure.
    #[error("this kernel has no struct {0}, which the probes read: please report its version")]
    NoStructure(String),
    /// The structure has no such member.
    #[error(
        "struct {structure} of this kernel has no member {member}, which the probes read: please report its version"
    )]
    NoMember {
        /// The structure.
        structure: String,
        /// The member.
        member: String,
    },
    /// The kernel has no such tracepoint.
    #[error("this kernel has no tracepoint {0}")]
    NoTracepoint(String),
    /// The kernel has no such function that could be traced.
    #[error("this kernel has no function {0} of its own that can be traced")]
    NoFunction(String),
}

type Result<T> = std::result::Result<T, BtfError>;

/// The kinds of types that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    Pointer = 2,
    Structure = 4,
    Union = 5,
    Enumeration = 6,
    Typedef = 8,
    Function = 12,
    Prototype = 13,
}

/// Number of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TypeId(u32);

/// What the argument of a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// A pointer to something.
    Pointer,
    /// A number.
    Scalar,
}

/// BTF in memory.
pub(super) struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    /// Where each type starts in `bytes`; type 1 is the first.
    types: Vec<u32>,
}

/// A type's first 12 bytes.
#[derive(Clone, Copy)]
struct Head {
    name: u32,
    info: u32,
    size_or_type: u32,
    /// Where what follows starts.
    rest: usize,
}

impl Head {
    fn has_kind(self, kind: Kind) -> bool {
        self.kind() == kind as u32
    }

    fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Whether members keep a bit-field's size in the upper byte of their offset.
    fn has_bit_fields(self) -> bool {
        self.info >> 31 == 1
    }

    /// Bytes after the head: <https://docs.kernel.org/bpf/btf.html#type-encoding>
    fn rest_size(self) -> Result<usize> {
        Ok(match self.kind() {
            // Forward, pointer, typedef, qualifiers, function, float, type tag.
            2 | 7..=12 | 16 | 18 => 0,
            // Integer, variable, declaration tag.
            1 | 14 | 17 => 4,
            // Array.
            3 => 12,
            // Structure, union, section, 64-bit enumeration.
            4 | 5 | 15 | 19 => 12 * self.count(),
            // Enumeration, prototype.
            6 | 13 => 8 * self.count(),
            _ => return Err(BtfError::Malformed("unknown kind of type")),
        })
    }
}

impl Btf {
    /// Reads the running kernel's.
    pub(super) fn of_kernel() -> Result<Self> {
        Self::from_file(Path::new(VMLINUX))
    }

    fn from_file(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| BtfError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let mut btf = Self {
            bytes,
            strings: 0,
            types: Vec::new(),
        };
        let start = btf.read_word(0)?;
        if start.to_ne_bytes().first_chunk() != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Malformed("no BTF of this machine's byte order"));
        }
        if start.to_ne_bytes().get(2) != Some(&1) {
            return Err(BtfError::Malformed("version"));
        }
        let header = btf.read_word(4)? as usize;
        let first = header + btf.read_word(8)? as usize;
        let end = first + btf.read_word(12)? as usize;
        btf.strings = header + btf.read_word(16)? as usize;
        let mut at = first;
        while at < end {
            let head = btf.head_at(at)?;
            btf.types.push(u32::try_from(at).map_err(too_large)?);
            at = head.rest + head.rest_size()?;
        }
        Ok(btf)
    }

    /// Offset in bytes of a member, and of members inside it.
    pub(super) fn offset(&self, structure: &str, path: &[&str]) -> Result<u32> {
        let mut id = self.structure(structure)?;
        let mut bits = 0;
        for name in path {
            let found = self.member(id, name, DEPTH_MAX)?;
            let (offset, member) = found.ok_or_else(|| BtfError::NoMember {
                structure: structure.to_owned(),
                member: path.join("."),
            })?;
            bits += offset;
            id = self.unqualified(member)?;
        }
        Ok(bits / 8)
    }

    /// Size in bytes of a structure.
    pub(super) fn struct_size(&self, structure: &str) -> Result<u32> {
        Ok(self.read_head(self.structure(structure)?)?.size_or_type)
    }

    /// The arguments of a tracepoint, as its BTF-typed programs get them.
    ///
    /// `btf_trace_NAME` is a typedef of a pointer to a function, whose first argument is the
    /// tracepoint's own and not passed on.
    pub(super) fn tracepoint(&self, name: &str) -> Result<Vec<Argument>> {
        let missing = || BtfError::NoTracepoint(name.to_owned());
        let id = self
            .find_type(Kind::Typedef, &format!("btf_trace_{name}"))?
            .ok_or_else(missing)?;
        let pointer = self.read_head(self.unqualified(id)?)?;
        let prototype = self.read_head(self.unqualified(TypeId(pointer.size_or_type))?)?;
        if !pointer.has_kind(Kind::Pointer) || !prototype.has_kind(Kind::Prototype) {
            return Err(missing());
        }
        (1..prototype.count())
            .map(|n| {
                let argument = TypeId(self.read_word(prototype.rest + 8 * n + 4)?);
                let head = self.read_head(self.unqualified(argument)?)?;
                Ok(if head.has_kind(Kind::Pointer) {
                    Argument::Pointer
                } else {
                    Argument::Scalar
                })
            })
            .collect()
    }

    /// Whether the kernel itself, and not one of its modules, has a function that programs can be attached to.
    pub(super) fn function(&self, name: &str) -> Result<()> {
        self.find_type(Kind::Function, name)?
            .map(drop)
            .ok_or_else(|| BtfError::NoFunction(name.to_owned()))
    }

    /// The names and numbers of an enumeration; none if the kernel has no such enumeration.
    pub(super) fn enumeration(&self, name: &str) -> Result<Option<Vec<(String, u32)>>> {
        let Some(id) = self.find_type(Kind::Enumeration, name)? else {
            return Ok(None);
        };
        let head = self.read_head(id)?;
        (0..head.count())
            .map(|n| {
                let at = head.rest + 8 * n;
                Ok((
                    self.read_string(self.read_word(at)?)?,
                    self.read_word(at + 4)?,
                ))
            })
            .collect::<Result<_>>()
            .map(Some)
    }

    /// BTF with the same numbers of types, in which only these hooks have a name: all that is needed to attach to
    /// them. Whoever parses it needs a fraction of the memory.
    pub(super) fn only_hooks(&self, hooks: impl IntoIterator<Item = Hook>) -> Result<Vec<u8>> {
        const FORWARD: u32 = 7 << 24;
        let mut named = BTreeMap::new();
        let mut strings = vec![0];
        for hook in hooks {
            let (kind, name) = match hook {
                Hook::Tracepoint(name) => (Kind::Typedef, format!("btf_trace_{name}")),
                Hook::Function(name) => (Kind::Function, name.to_owned()),
            };
            if let Some(id) = self.find_type(kind, &name)? {
                let at = u32::try_from(strings.len()).map_err(too_large)?;
                named.insert(id.0, [at, (kind as u32) << 24, 0]);
                strings.extend(name.as_bytes());
                strings.push(0);
            }
        }
        let types_size = u32::try_from(self.types.len() * 12).map_err(too_large)?;
        let strings_size = u32::try_from(strings.len()).map_err(too_large)?;
        let mut bytes = Vec::with_capacity(24 + self.types.len() * 12 + strings.len());
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        for word in [24, 0, types_size, types_size, strings_size] {
            bytes.extend(word.to_ne_bytes());
        }
        for id in (1..).take(self.types.len()) {
            let words = named.get(&id).copied().unwrap_or([0, FORWARD, 0]);
            bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        }
        bytes.extend(strings);
        Ok(bytes)
    }

    fn structure(&self, name: &str) -> Result<TypeId> {
        self.find_type(Kind::Structure, name)?
            .ok_or_else(|| BtfError::NoStructure(name.to_owned()))
    }

    /// The first type of this kind and name.
    fn find_type(&self, kind: Kind, name: &str) -> Result<Option<TypeId>> {
        for (id, at) in (1..).zip(&self.types) {
            let head = self.head_at(*at as usize)?;
            if head.has_kind(kind) && self.has_name(head.name, name) {
                return Ok(Some(TypeId(id)));
            }
        }
        Ok(None)
    }

    /// A member by name: its offset in bits and its type. Members of anonymous structures and
    /// unions count as the outer one's own, as in C.
    fn member(&self, id: TypeId, name: &str, depth: u32) -> Result<Option<(u32, TypeId)>> {
        let head = self.read_head(id)?;
        if depth == 0 || !(head.has_kind(Kind::Structure) || head.has_kind(Kind::Union)) {
            return Ok(None);
        }
        for n in 0..head.count() {
            let at = head.rest + 12 * n;
            let inner = TypeId(self.read_word(at + 4)?);
            let mut offset = self.read_word(at + 8)?;
            if head.has_bit_fields() {
                offset &= 0x00ff_ffff;
            }
            let member_name = self.read_word(at)?;
            if self.has_name(member_name, name) {
                return Ok(Some((offset, inner)));
            }
            if self.has_name(member_name, "")
                && let Some((further, found)) =
                    self.member(self.unqualified(inner)?, name, depth - 1)?
            {
                return Ok(Some((offset + further, found)));
            }
        }
        Ok(None)
    }

    /// The type behind typedefs, `const`, `volatile`, `restrict` and tags.
    fn unqualified(&self, id: TypeId) -> Result<TypeId> {
        let mut id = id;
        for _ in 0..DEPTH_MAX {
            if id == TypeId(0) {
                // void
                return Ok(id);
            }
            let head = self.read_head(id)?;
            match head.kind() {
                8..=11 | 18 => id = TypeId(head.size_or_type),
                _ => return Ok(id),
            }
        }
        Err(BtfError::Malformed("a type that is made of itself"))
    }

    fn read_head(&self, id: TypeId) -> Result<Head> {
        const VOID: Head = Head {
            name: 0,
            info: 0,
            size_or_type: 0,
            rest: 0,
        };
        let Some(index) = id.0.checked_sub(1) else {
            return Ok(VOID);
        };
        let at = self
            .types
            .get(index as usize)
            .ok_or(BtfError::Malformed("a type that is not there"))?;
        self.head_at(*at as usize)
    }

    fn head_at(&self, at: usize) -> Result<Head> {
        Ok(Head {
            name: self.read_word(at)?,
            info: self.read_word(at + 4)?,
            size_or_type: self.read_word(at + 8)?,
            rest: at + 12,
        })
    }

    fn has_name(&self, offset: u32, name: &str) -> bool {
        let bytes = self.bytes.get(self.strings + offset as usize..);
        bytes
            .and_then(|bytes| bytes.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    fn read_string(&self, offset: u32) -> Result<String> {
        let bytes = self.bytes.get(self.strings + offset as usize..);
        bytes
            .and_then(|bytes| bytes.split(|byte| *byte == 0).next())
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .ok_or(BtfError::Malformed("a name that is not there"))
    }

    fn read_word(&self, at: usize) -> Result<u32> {
        self.bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map(|bytes| u32::from_ne_bytes(*bytes))
            .ok_or(BtfError::Malformed("it ends too early"))
    }
}

fn too_large(_: std::num::TryFromIntError) -> BtfError {
    BtfError::Malformed("larger than 4 GiB")
}

#[cfg(test)]
mod tests;
