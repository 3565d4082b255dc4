//! Another agent, or the one of this machine, as it shows itself over HTTP.

mod address;
mod answer;
mod error;
mod request;
#[cfg(test)]
mod tests;

pub use self::address::Address;
pub use self::answer::Answer;
pub use self::error::ClientError;

/// Which agent to ask.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
}

impl Client {
    /// Asks nothing yet.
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// Where it asks.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// What the agent remembers: the open terminations, and of the finished ones those that came after the first `since`.
    ///
    /// # Errors
    /// A sentence that names the address and the way out.
    pub async fn terminations(&self, since: u64) -> Result<Answer, ClientError> {
        // More than an agent keeps.
        const LIMIT: usize = 5000;
        let query = format!("/api/v1/terminations?limit={LIMIT}&since={since}");
        let body = request::get(&self.address, &query).await?;
        answer::read(&self.address, &body)
    }
}
