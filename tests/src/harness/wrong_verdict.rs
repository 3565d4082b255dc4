//! The errors that no second try excuses.

use std::error::Error;
use std::fmt::Display;

/// An error about the agent: what it said is not what was done, or it did not say what it must. Every other error of a case
/// is the stage's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongVerdict(pub String);

impl Display for WrongVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WrongVerdict {}

/// Whether this error, or one that caused it, is a [`WrongVerdict`].
pub fn is_wrong_verdict(error: &anyhow::Error) -> bool {
    // The first also finds what was added as a context, the second what is inside of other errors.
    error.is::<WrongVerdict>() || error.chain().any(<dyn Error>::is::<WrongVerdict>)
}

/// Makes what is missing a [`WrongVerdict`].
pub trait OrWrong<T> {
    /// Returns the value, or a [`WrongVerdict`] of these words.
    fn or_wrong(self, what: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T> OrWrong<T> for Option<T> {
    fn or_wrong(self, what: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.ok_or_else(|| WrongVerdict(what()).into())
    }
}

impl<T, E: Into<anyhow::Error>> OrWrong<T> for Result<T, E> {
    fn or_wrong(self, what: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|error| error.into().context(WrongVerdict(what())))
    }
}

/// Returns a [`WrongVerdict`] unless this holds: `ensure!` for what the agent says.
#[macro_export]
macro_rules! claim {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err($crate::harness::WrongVerdict(format!($($words)+)).into());
        }
    };
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn it_is_found_below_and_above_other_words() {
        let plain: anyhow::Error = WrongVerdict("no report".to_owned()).into();
        assert!(is_wrong_verdict(&plain));
        assert!(is_wrong_verdict(&plain.context("while it ran")));
        let caused = Err::<(), _>(anyhow!("timed out")).or_wrong(|| "no answer".to_owned());
        let caused = caused.context("the agent").unwrap_err();
        assert!(is_wrong_verdict(&caused));
        assert_eq!(format!("{caused:#}"), "the agent: no answer: timed out");
    }

    #[test]
    fn another_error_is_the_stages() {
        assert!(!is_wrong_verdict(
            &anyhow!("kubectl failed").context("no pod")
        ));
    }

    #[test]
    fn a_claim_is_one() {
        let claim = |number: u8| -> anyhow::Result<()> {
            claim!(number == 1, "it says {number}");
            Ok(())
        };
        assert!(claim(1).is_ok());
        let error = claim(2).unwrap_err();
        assert!(is_wrong_verdict(&error) && error.to_string() == "it says 2");
    }
}
