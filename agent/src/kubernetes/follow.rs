//! Follows a resource for as long as the agent runs: lists, watches, resumes, lists again, with credentials read anew
//! when they are refused.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures_util::{FutureExt as _, StreamExt as _};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::access::Access;
use super::facts::ApiUpdates;
use super::failure::{Failure, Reason};
use super::outage::Outage;

/// Objects of a page of a list, where they are not large.
pub(super) const PAGE: u32 = 500;

/// Seconds that a watch lasts before the API server ends it and it is resumed. The library's own limit of silence is
/// built on it: a connection that died without a word is noticed that late.
const WATCH_SECONDS: u32 = 120;
/// The first pause after a failure.
const RETRY_MIN: Duration = Duration::from_millis(500);
/// The longest pause: an API server that is back should be known before the first pods that it deletes have ended and
/// their reports have waited for the reason (`Limits::reason_wait`), …
const RETRY_MAX: Duration = Duration::from_secs(2);
/// … but what RBAC forbids is not allowed from one moment to the next.
const FORBIDDEN_MAX: Duration = Duration::from_mins(1);
/// After an answer that held this long, the next failure is a first one again.
const SETTLED: Duration = Duration::from_secs(5);

/// What to follow.
#[derive(Debug)]
pub(super) struct Followed {
    /// The resource's plural, for people and metrics.
    pub(super) resource: &'static str,
    /// Which objects, by their fields; all if none.
    pub(super) fields: Option<String>,
    /// How many of them come at once in a list.
    pub(super) page: u32,
}

/// Follows; never ends. `each` is called for one event after the other.
pub(super) async fn follow<K>(
    access: &Access,
    followed: &Followed,
    facts: &ApiUpdates,
    mut each: impl AsyncFnMut(Event<K>),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut pauses = Backoff::new();
    let mut outage = Outage::new(followed.resource);
    loop {
        let answered = Arc::new(Notify::new());
        match access.telling_client(Arc::clone(&answered)).await {
            Ok(client) => {
                let mut run = Run {
                    followed,
                    facts,
                    answered: &answered,
                    pauses: &mut pauses,
                    outage: &mut outage,
                };
                run.until_refused(client, &mut each).await;
            }
            Err(error) => {
                outage.failed(&Failure::credentials(error), facts).await;
                pauses.wait_before_retry(Reason::Unauthorized).await;
            }
        }
    }
}

/// Following with one set of credentials.
struct Run<'a> {
    followed: &'a Followed,
    facts: &'a ApiUpdates,
    answered: &'a Notify,
    pauses: &'a mut Backoff,
    outage: &'a mut Outage,
}

impl Run<'_> {
    async fn answered(&mut self) {
        self.pauses.answered();
        self.outage.record_recovery(self.facts).await;
    }

    /// Follows until the credentials are refused.
    async fn until_refused<K>(&mut self, client: Client, each: &mut impl AsyncFnMut(Event<K>))
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let config = watcher::Config {
            field_selector: self.followed.fields.clone(),
            ..watcher::Config::default()
                .page_size(self.followed.page)
                .timeout(WATCH_SECONDS)
        };
        let mut stream = pin!(watcher(Api::<K>::all(client), config));
        loop {
            tokio::select! {
                biased;
                () = self.answered.notified() => self.answered().await,
                next = stream.next() => match next {
                    Some(Ok(event)) => each(event).await,
                    Some(Err(error)) => {
                        // It may have answered before it failed.
                        if self.answered.notified().now_or_never().is_some() {
                            self.answered().await;
                        }
                        let failure = Failure::from(&error);
                        self.outage.failed(&failure, self.facts).await;
                        self.pauses.wait_before_retry(failure.reason).await;
                        if failure.reason == Reason::Unauthorized {
                            return;
                        }
                    }
                    None => return,
                },
            }
        }
    }
}

/// Pauses that grow while no answer holds.
pub(super) struct Backoff {
    growing: ExponentialBackoff,
    /// When something was first answered well since the last pause.
    answered_at: Option<Instant>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            growing: growing(),
            answered_at: None,
        }
    }

    /// Something was answered well.
    pub(super) fn answered(&mut self) {
        self.answered_at.get_or_insert_with(Instant::now);
    }

    /// Waits before the next attempt.
    pub(super) async fn wait_before_retry(&mut self, reason: Reason) {
        if self
            .answered_at
            .take()
            .is_some_and(|at| at.elapsed() > SETTLED)
        {
            self.growing = growing();
        }
        let max = match reason {
            Reason::Forbidden => FORBIDDEN_MAX,
            Reason::Unauthorized
            | Reason::NotFound
            | Reason::Gone
            | Reason::TooManyRequests
            | Reason::Server
            | Reason::Refused
            | Reason::Unreachable
            | Reason::Malformed => RETRY_MAX,
        };
        let pause = self.growing.next().map_or(max, |pause| pause.min(max));
        tokio::time::sleep(pause).await;
    }
}

/// With jitter, so that the agents of a thousand nodes do not come back at once.
fn growing() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(RETRY_MIN)
        .with_max_delay(FORBIDDEN_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}
