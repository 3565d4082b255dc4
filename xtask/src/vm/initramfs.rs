//! Writes an initramfs: a cpio archive in the "newc" format, uncompressed (QEMU hands it over in memory, so packing
//! would only cost time). Layout: <https://www.kernel.org/doc/html/v6.12/driver-api/early-userspace/buffer-format.html>

use std::io::{Result, Write};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive being written to `W`.
#[derive(Debug)]
pub(crate) struct Initramfs<W: Write> {
    to: W,
    entries: u32,
}

impl<W: Write> Initramfs<W> {
    /// Starts with what PID 1 finds at hand: `/dev/console`, from which the kernel makes its standard streams, and
    /// empty folders to mount on.
    pub(crate) fn new(to: W) -> Result<Self> {
        let mut archive = Self { to, entries: 0 };
        for name in ["dev", "proc", "sys", "tmp", "run"] {
            archive.entry(name, DIRECTORY, (0, 0), &[])?;
        }
        archive.entry("dev/console", CHARACTER_DEVICE, (5, 1), &[])?;
        Ok(archive)
    }

    /// Adds an executable file; `name` has no leading slash, and its folder exists already.
    pub(crate) fn program(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, PROGRAM, (0, 0), content)
    }

    /// Ends the archive and gives the writer back.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.to.flush()?;
        Ok(self.to)
    }

    /// One member: a header of 8-digit hexadecimal fields, the name, the content, each padded to 4 bytes. Owner and
    /// time stay 0, so equal input gives equal bytes.
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let too_big = |_| std::io::Error::other(format!("{name} is too big for a cpio archive"));
        let size = u32::try_from(content.len()).map_err(too_big)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_big)?;
        let inode = self.entries;
        self.entries += 1;
        let fields = [
            inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0,
        ];
        let header = format!(
            "070701{}",
            fields.map(|field| format!("{field:08X}")).concat()
        );
        let head = header.len() + name.len() + 1;
        write!(self.to, "{header}{name}\0")?;
        self.pad(head)?;
        self.to.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, written: usize) -> Result<()> {
        let missing = written.next_multiple_of(4) - written;
        self.to.write_all([0; 3].get(..missing).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut initramfs = Initramfs::new(Vec::new()).unwrap();
        initramfs.program("init", b"hello").unwrap();
        initramfs.finish().unwrap()
    }

    struct Member {
        name: String,
        mode: u32,
        device: (u32, u32),
        content: Vec<u8>,
    }

    /// Reads members back by the format's rules.
    fn members(mut bytes: &[u8]) -> Vec<Member> {
        let mut members = Vec::new();
        while bytes.starts_with(b"070701") {
            let field = |n: usize| {
                let digits = std::str::from_utf8(&bytes[6 + 8 * n..14 + 8 * n]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let start = (110 + name_size).next_multiple_of(4);
            members.push(Member {
                name: String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap(),
                mode: field(1),
                device: (field(9), field(10)),
                content: bytes[start..start + size].to_vec(),
            });
            bytes = &bytes[(start + size).next_multiple_of(4)..];
        }
        assert!(
            bytes.is_empty(),
            "{} bytes after the last member",
            bytes.len()
        );
        members
    }

    #[test]
    fn members_come_back_as_they_were_written() {
        let members = members(&archive());
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "dev",
                "proc",
                "sys",
                "tmp",
                "run",
                "dev/console",
                "init",
                "TRAILER!!!"
            ]
        );
        assert_eq!(
            (members[5].mode, members[5].device),
            (CHARACTER_DEVICE, (5, 1))
        );
        assert_eq!(
            (members[6].mode, members[6].content.as_slice()),
            (PROGRAM, b"hello".as_slice())
        );
    }

    #[test]
    fn equal_input_gives_equal_bytes() {
        assert_eq!(archive(), archive());
        assert_eq!(archive().len() % 4, 0);
    }
}
