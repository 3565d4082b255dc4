//! Records what the engine is told into a file, up to a size. A journal that cannot be written any more never stops the
//! measuring: it says so once and is closed.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use agent_core::config::Config;
use agent_core::input::Input;
use agent_core::journal::{header_line, input_line};
use agent_core::time::Timestamp;
use anyhow::Context as _;

use crate::named_file::create_private;

/// Where to record, and how much.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file; what was in it is overwritten.
    pub path: PathBuf,
    /// The size in bytes at which recording stops.
    pub bytes_max: u64,
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    bytes: u64,
    bytes_max: u64,
}

impl Journal {
    /// Opens the file and writes the header.
    ///
    /// # Errors
    /// If it cannot be written; the sentence names the file.
    pub fn create(options: &Options, config: &Config) -> anyhow::Result<Self> {
        let name = options.path.display();
        let context = || format!("cannot write the journal {name}; name another file by --journal");
        // Command lines can hold secrets.
        let mut file = BufWriter::new(create_private(&options.path).with_context(context)?);
        let header = header_line(config)?;
        file.write_all(header.as_bytes())
            .and_then(|()| file.flush())
            .with_context(context)?;
        Ok(Self {
            path: options.path.clone(),
            file: Some(file),
            bytes: length(&header),
            bytes_max: options.bytes_max,
        })
    }

    /// Records what the engine is told, unless recording has stopped.
    pub fn record(&mut self, input: &Input, at: Timestamp) {
        let Some(file) = &mut self.file else {
            return;
        };
        let written = input_line(input, at)
            .map_err(std::io::Error::from)
            .and_then(|line| {
                if self.bytes + length(&line) > self.bytes_max {
                    return Ok(None);
                }
                file.write_all(line.as_bytes())?;
                Ok(Some(length(&line)))
            });
        match written {
            Ok(Some(bytes)) => self.bytes += bytes,
            Ok(None) => self.stop("it has the size that --journal-max-bytes allows"),
            Err(error) => self.stop(&error.to_string()),
        }
    }

    /// Hands what was recorded to the kernel, so that it survives the agent's death.
    pub fn flush(&mut self) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.flush()
        {
            self.stop(&error.to_string());
        }
    }

    /// Its size in bytes.
    pub const fn size_in_bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether recording has stopped.
    pub const fn is_stopped(&self) -> bool {
        self.file.is_none()
    }

    fn stop(&mut self, why: &str) {
        let name = self.path.display();
        tracing::warn!(journal = %name, bytes = self.bytes, why, "recording into the journal stopped; measuring goes on");
        if let Some(mut file) = self.file.take()
            && let Err(error) = file.flush()
        {
            tracing::warn!(journal = %name, %error, "the end of the journal could not be written");
        }
    }
}

fn length(line: &str) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::tests::config;

    #[test]
    fn recording_stops_at_its_size_with_whole_lines() {
        let path = std::env::temp_dir().join(format!("gracewatch-journal-{}", std::process::id()));
        let options = Options {
            path: path.clone(),
            bytes_max: 600,
        };
        let mut journal = Journal::create(&options, &config()).unwrap();
        for second in 0..100 {
            journal.record(&Input::ScanFinished, Timestamp(second * 1_000_000_000));
        }
        assert!(journal.is_stopped());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(length(&text), journal.size_in_bytes());
        assert!(text.len() <= 600 && text.ends_with('\n') && text.lines().count() > 2);
    }

    #[test]
    fn a_journal_that_cannot_be_made_is_refused_by_name() {
        let options = Options {
            path: PathBuf::from("/nowhere/j.jsonl"),
            bytes_max: 1,
        };
        let sentence = Journal::create(&options, &config())
            .unwrap_err()
            .to_string();
        assert!(sentence.contains("/nowhere/j.jsonl") && sentence.contains("--journal"));
    }
}
