//! Failures of requests to the API: a word of a fixed set for metrics, and a sentence with the way out.

use kube::core::Status;
use kube::runtime::watcher;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The word.
    pub(super) reason: Reason,
    /// What the API server or the library said.
    pub(super) said: String,
}

/// Reasons, as the metrics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The credentials are not valid, or cannot be read.
    Unauthorized,
    /// RBAC does not allow it.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The API server does not remember what happened since: a new list is needed.
    Gone,
    /// The API server asks for fewer requests.
    TooManyRequests,
    /// The API server failed.
    Server,
    /// The API server said no for another reason.
    Refused,
    /// No connection, or it broke.
    Unreachable,
    /// The answer could not be understood.
    Malformed,
}

impl Reason {
    /// Its name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::TooManyRequests => "too_many_requests",
            Self::Server => "server",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Malformed => "malformed",
        }
    }

    /// Whether trying again may help.
    pub(super) const fn is_transient(self) -> bool {
        match self {
            Self::Unauthorized | Self::TooManyRequests | Self::Server | Self::Unreachable => true,
            Self::Forbidden | Self::NotFound | Self::Gone | Self::Refused | Self::Malformed => {
                false
            }
        }
    }

    /// What to do about it, if something is to be done.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "check the token or certificate; `gracewatch check` shows who the agent is"
            }
            Self::Forbidden => "give the agent's service account this right, as deploy/ does",
            Self::Unreachable => "check the address and the network; the agent tries again",
            Self::NotFound
            | Self::Gone
            | Self::TooManyRequests
            | Self::Server
            | Self::Refused
            | Self::Malformed => "the agent tries again",
        }
    }

    const fn of_code(code: u16) -> Self {
        match code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            410 => Self::Gone,
            429 => Self::TooManyRequests,
            500..=599 => Self::Server,
            _ => Self::Refused,
        }
    }
}

impl Failure {
    /// The credentials cannot be read.
    pub(super) fn credentials(error: anyhow::Error) -> Self {
        Self {
            reason: Reason::Unauthorized,
            said: format!("{error:#}"),
        }
    }

    /// Nothing came in time.
    pub(super) fn no_answer() -> Self {
        Self {
            reason: Reason::Unreachable,
            said: "no answer in time".to_owned(),
        }
    }
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        Self {
            reason: Reason::of_code(status.code),
            said: status.message.clone(),
        }
    }
}

impl From<&kube::Error> for Failure {
    fn from(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return Self::from(status.as_ref());
        }
        let malformed = matches!(
            error,
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) | kube::Error::HttpError(_)
        );
        let reason = if malformed {
            Reason::Malformed
        } else if is_about_credentials(error) {
            Reason::Unauthorized
        } else {
            Reason::Unreachable
        };
        Self {
            reason,
            said: sentence(error),
        }
    }
}

impl From<&watcher::Error> for Failure {
    fn from(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::from(error),
            watcher::Error::WatchError(status) => Self::from(status.as_ref()),
            watcher::Error::NoResourceVersion => Self {
                reason: Reason::Malformed,
                said: error.to_string(),
            },
        }
    }
}

fn is_about_credentials(error: &kube::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<kube::client::AuthError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error with its causes in one line, none said twice.
fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
