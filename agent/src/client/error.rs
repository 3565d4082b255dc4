//! Why an agent could not be asked, in one sentence that names its address and the way out.

use super::Address;
use crate::http::API_VERSION;

const OWN: &str = env!("CARGO_PKG_VERSION");

/// Why an agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "nobody listens at {0}; start the agent by `gracewatch run`, or name the address of one that runs by --agent"
    )]
    Refused(Address),
    /// There is no way to that host, or no such host.
    #[error("{0} cannot be reached: {1}; name another address by --agent")]
    Unreachable(Address, std::io::Error),
    /// It took too long.
    #[error(
        "{0} did not answer within {1} s; is that the agent's address, and is the way to it open?"
    )]
    Slow(Address, u64),
    /// The connection ended before the answer did.
    #[error("{0} closed the connection without an answer; if it runs still, its log says why")]
    Closed(Address),
    /// What came was no HTTP.
    #[error(
        "what listens at {0} does not speak plain HTTP, so it is no agent; if it wants TLS, ask the agent behind it, by `kubectl port-forward` if need be"
    )]
    NoHttp(Address),
    /// An HTTP server, and no agent.
    #[error(
        "what listens at {0} is no Gracewatch agent: it answers {1} for /api/v1/terminations; name the agent's address by --agent, its port is 8637 unless it was told another"
    )]
    Status(Address, http::StatusCode),
    /// It answered something else than terminations.
    #[error(
        "what listens at {0} is no Gracewatch agent: it answers with {1}; name the agent's address by --agent"
    )]
    NoAgent(Address, &'static str),
    /// An agent from before the answer had a version.
    #[error(
        "the agent at {0} is older than this gracewatch ({OWN}): its answer tells no version; update it, or use the gracewatch that it was installed with"
    )]
    Older(Address),
    /// An agent whose answer has another form.
    #[error(
        "the agent at {address} (gracewatch {agent}) answers in form {form}, and this gracewatch ({OWN}) reads form {API_VERSION}; use the gracewatch of the agent's version"
    )]
    OtherForm {
        /// Where.
        address: Address,
        /// The agent's version.
        agent: String,
        /// The form of its answer.
        form: u64,
    },
}

impl ClientError {
    /// Whether it may pass by itself: the agent is being restarted, or the way to it is closed for a while.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unreachable(..) | Self::Slow(..) | Self::Closed(_) => true,
            Self::Status(_, status) => status.as_u16() >= 500,
            Self::NoHttp(_) | Self::NoAgent(..) | Self::Older(_) | Self::OtherForm { .. } => false,
        }
    }
}
