//! The probes that are part of this binary, and whether they are the ones it was made for.

use agent_common::global::ABI;
use agent_common::record::ABI_VERSION;
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _};

use super::failure::LoadError;

/// The object of `cargo xtask build-ebpf`; empty if this binary was built without it.
static PROBES: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/gracewatch.bpf.o"));

/// The embedded probes, if they are there and fit.
pub(super) fn embedded() -> Result<&'static [u8], LoadError> {
    check_abi(PROBES)?;
    Ok(PROBES)
}

fn check_abi(object: &[u8]) -> Result<(), LoadError> {
    if object.is_empty() {
        return Err(LoadError::NotBuilt);
    }
    match abi_version(object) {
        Some(ABI_VERSION) => Ok(()),
        found => Err(LoadError::Stale { found }),
    }
}

/// The version that the object says it was compiled with.
fn abi_version(object: &[u8]) -> Option<u32> {
    let file = ElfFile64::<Endianness>::parse(object).ok()?;
    let symbol = file.symbol_by_name(ABI)?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let at = usize::try_from(symbol.address()).ok()?;
    let bytes = section.data().ok()?.get(at..)?.first_chunk()?;
    // Built for this machine, so in its byte order.
    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_told_from_a_foreign_one() {
        let text = check_abi(&[]).unwrap_err().to_string();
        assert!(text.contains("cargo xtask build-ebpf"), "{text}");
        assert!(matches!(
            check_abi(b"\x7fELF"),
            Err(LoadError::Stale { found: None })
        ));
    }
}
