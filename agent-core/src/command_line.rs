//! A command line as it is remembered: one string, since a string for each word takes twenty times the memory of short words.

use std::sync::Arc;

use crate::purse::{Charge, Purse};

/// Bytes of one that are remembered. The kernel side tells fewer; those that are read from `/proc` have no bound of their own.
const BYTES_MAX: usize = 4096;

/// A command line. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandLine(Option<Arc<Stored>>);

#[derive(Debug)]
struct Stored {
    /// The words, each with a NUL byte after it, as the kernel has them.
    text: Box<str>,
    _charge: Charge,
}

impl CommandLine {
    /// Remembers these words. None if there is no room for them.
    pub(crate) fn new(words: &[String], purse: &Arc<Purse>) -> Option<Self> {
        if words.is_empty() {
            return Some(Self::default());
        }
        let mut text = String::new();
        for word in words {
            text.push_str(word);
            text.push('\0');
            if text.len() > BYTES_MAX {
                text.truncate(text.floor_char_boundary(BYTES_MAX - 1));
                text.push('\0');
                break;
            }
        }
        let charge = purse.reserve(text.len() + size_of::<Stored>())?;
        Some(Self(Some(Arc::new(Stored {
            text: text.into_boxed_str(),
            _charge: charge,
        }))))
    }

    /// The words, each with a NUL byte after it.
    pub(crate) fn text(&self) -> &str {
        self.0.as_ref().map_or("", |stored| &stored.text)
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &str> {
        split_arguments(self.text())
    }

    pub(crate) fn to_vec(&self) -> Vec<String> {
        self.arguments().map(str::to_owned).collect()
    }

    /// The last part of the first word.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.arguments().next().and_then(file_name)
    }

    /// Whether these are its words.
    pub(crate) fn has_words<'a>(&self, other: impl Iterator<Item = &'a str>) -> bool {
        self.arguments().eq(other)
    }
}

/// The words of a text in which each has a NUL byte after it.
pub(crate) fn split_arguments(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\0')
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> Option<&str> {
    path.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::CommandLine;
    use crate::purse::Purses;

    #[test]
    fn words_come_back_as_they_were() {
        let purse = Purses::default().get_or_create_purse("/");
        for words in [&[][..], &[""], &["a"], &["a", "", "b c"], &["", ""]] {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let line = CommandLine::new(&words, &purse).unwrap();
            assert_eq!(line.to_vec(), words);
            assert!(line.has_words(words.iter().map(String::as_str)));
        }
    }

    #[test]
    fn a_long_one_is_cut_at_a_character() {
        let purse = Purses::default().get_or_create_purse("/");
        let line = CommandLine::new(&["ä".repeat(5000), "b".to_owned()], &purse).unwrap();
        assert!(line.text().len() <= super::BYTES_MAX);
        assert_eq!(line.arguments().count(), 1);
        assert!(
            line.arguments()
                .all(|word| word.chars().all(|one| one == 'ä'))
        );
    }
}
