//! What ends a run, and the exit code it ends with: 2 where the command line or a file it names is
//! wrong, 1 where this machine cannot do it.

/// The user asked for something that cannot be meant: the sentence names it and the way out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// A usage error in one sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// The exit code for an error: 2 if it is, or was caused by, a [`UsageError`], as clap's own; else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn std::error::Error>::is::<UsageError>) {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_usage_error_keeps_its_exit_code_under_context() {
        let usage = Err::<(), _>(UsageError::new("no such glob")).context("reading the subjects");
        assert_eq!(exit_code(&usage.unwrap_err()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("port in use")), 1);
    }
}
