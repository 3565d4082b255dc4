//! The smallest program there is: it exits at once. So a storm of it is nearly all fork, exec and exit.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// `exit(0)` as machine code, and the number of the machine in an ELF header; empty where nobody wrote it down yet.
const PROGRAM: (&[u8], u16) = if cfg!(target_arch = "x86_64") {
    // xor edi, edi; mov eax, 60; syscall
    (&[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05], 62)
} else if cfg!(target_arch = "aarch64") {
    // mov x0, 0; mov x8, 93; svc 0
    (
        &[0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4],
        183,
    )
} else {
    (&[], 0)
};

const FILE_HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;
const CODE_AT: u64 = 64 + 56;
/// Where the kernel maps it, and the largest page of any machine.
const BASE: u64 = 0x40_0000;
const PAGE: u64 = 0x1_0000;

/// Writes it as an executable file.
pub(crate) fn write(path: &Path) -> Result<()> {
    let (code, machine) = PROGRAM;
    ensure!(
        !code.is_empty(),
        "the storms know x86_64 and aarch64 only: add the machine code of exit(0) to tests/src/bin/bench/tiny.rs"
    );
    fs::write(path, build_elf(code, machine))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A static executable with one segment: the fields in the order of elf(5).
fn build_elf(code: &[u8], machine: u16) -> Vec<u8> {
    const EXECUTABLE: u16 = 2;
    const LOAD: u32 = 1;
    const READ_AND_EXECUTE: u32 = 5;
    let size = CODE_AT + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [EXECUTABLE, machine] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    for word in [BASE + CODE_AT, u64::from(FILE_HEADER), 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [FILE_HEADER, PROGRAM_HEADER, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for half in [LOAD, READ_AND_EXECUTE] {
        file.extend(half.to_le_bytes());
    }
    for word in [0, BASE, BASE, size, size, PAGE] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}
