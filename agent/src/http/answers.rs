//! Answers that take work. They are made on other threads than the connections', one of a kind at a time and with rests, so
//! that nobody who asks a lot keeps others from the health checks, or the node from its work. The metrics are encoded once for
//! all who wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::AppState;
use crate::metrics::exposition::Format;

/// Kinds of answers, each of which is made on a thread of its own.
pub(super) const LANES: usize = 2;

/// How much longer a lane rests than it worked: it takes a quarter of a processor at the most.
const REST: u32 = 3;

/// What the pages are made of, and who makes them.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) shown: Arc<AppState>,
    scrapes: Lane,
    pages: Lane,
    /// The encodings that have not begun.
    next: Mutex<HashMap<Format, Shared<oneshot::Receiver<Page>>>>,
}

impl Site {
    pub(super) fn new(shown: Arc<AppState>) -> Self {
        Self {
            shown,
            scrapes: Lane::default(),
            pages: Lane::default(),
            next: Mutex::default(),
        }
    }

    /// The answer that `work` makes.
    pub(super) async fn respond_with(
        self: &Arc<Self>,
        work: impl FnOnce(&AppState) -> Response<Vec<u8>> + Send + 'static,
    ) -> Response {
        let turn = self.pages.wait_for_turn().await;
        let site = Arc::clone(self);
        match turn.run_work(move || work(&site.shown)).await {
            Some(made) => {
                let (head, text) = made.into_parts();
                let mut response = Page::new(text).into_response();
                response.headers_mut().extend(head.headers);
                *response.status_mut() = head.status;
                response
            }
            None => failed(),
        }
    }

    /// The metrics as they are after the request, the same bytes for all who ask until they begin to be encoded.
    pub(super) async fn metrics(self: &Arc<Self>, format: Format) -> Response {
        let scrape = self.next_scrape(format);
        match scrape.await {
            Ok(page) => {
                let kind = [(header::CONTENT_TYPE, format.content_type())];
                (kind, page.into_response()).into_response()
            }
            Err(_not_made) => failed(),
        }
    }

    fn next_scrape(self: &Arc<Self>, format: Format) -> Shared<oneshot::Receiver<Page>> {
        let begin = || {
            let (done, made) = oneshot::channel();
            // Goes on when whoever asked first is gone.
            tokio::spawn(Arc::clone(self).encode(format, done));
            made.shared()
        };
        self.next().entry(format).or_insert_with(begin).clone()
    }

    async fn encode(self: Arc<Self>, format: Format, done: oneshot::Sender<Page>) {
        let turn = self.scrapes.wait_for_turn().await;
        self.next().remove(&format);
        let site = Arc::clone(&self);
        let made = turn
            .run_work(move || site.shown.metrics.encode(format))
            .await;
        match made {
            Some(Ok(text)) => {
                done.send(Page::new(text)).ok();
            }
            Some(Err(error)) => tracing::error!(%error, "the metrics cannot be encoded"),
            None => {}
        }
    }

    fn next(&self) -> MutexGuard<'_, HashMap<Format, Shared<oneshot::Receiver<Page>>>> {
        // A panic elsewhere leaves whole entries.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed() -> Response {
    let sentence = "The agent could not make this answer; its log says why.\n";
    (StatusCode::INTERNAL_SERVER_ERROR, sentence).into_response()
}

/// Answers of one kind, which are made one after the other.
#[derive(Debug)]
struct Lane(Arc<Semaphore>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Lane {
    /// Waits until nobody before is served any more.
    async fn wait_for_turn(&self) -> Turn {
        // It is never closed.
        Turn {
            _permit: Arc::clone(&self.0).acquire_owned().await.ok(),
        }
    }
}

/// The right to work.
struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// What `work` makes on another thread; none if it panicked. Others' turn is after a rest.
    async fn run_work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, made) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let begin = Instant::now();
            done.send(work()).ok();
            thread::sleep(begin.elapsed() * REST);
            drop(self);
        });
        made.await.ok()
    }
}

/// The bytes of an answer. Those who send the same page hold the same bytes.
#[derive(Clone, Debug)]
struct Page {
    bytes: Bytes,
    held: Held,
}

impl Page {
    fn new(mut text: Vec<u8>) -> Self {
        text.shrink_to_fit();
        let text = Arc::new(text);
        let held = Held(Arc::downgrade(&text));
        Self {
            bytes: Bytes::from_owner(Text(text)),
            held,
        }
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.bytes));
        response.extensions_mut().insert(self.held);
        response
    }
}

struct Text(Arc<Vec<u8>>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Tells whether the bytes of an answer are still held, be it by this connection or by another one.
#[derive(Clone, Debug)]
pub(super) struct Held(Weak<Vec<u8>>);

impl Held {
    #[cfg(test)]
    pub(super) fn from_text(text: &Arc<Vec<u8>>) -> Self {
        Self(Arc::downgrade(text))
    }

    /// What tells these bytes from others that are held, and how many they are.
    pub(super) fn address_and_size(&self) -> Option<(usize, usize)> {
        let text = self.0.upgrade()?;
        Some((Weak::as_ptr(&self.0).addr(), text.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Retention;

    fn test_site() -> Arc<Site> {
        Arc::new(Site::new(Arc::new(
            AppState::of_agent(Retention::default()),
        )))
    }

    fn held_bytes(response: &Response) -> Option<(usize, usize)> {
        response
            .extensions()
            .get::<Held>()
            .and_then(Held::address_and_size)
    }

    #[tokio::test]
    async fn who_waits_for_the_metrics_gets_the_same_bytes() {
        let site = test_site();
        let busy = site.scrapes.wait_for_turn().await;
        let (one, other, open) = (
            site.metrics(Format::Text),
            site.metrics(Format::Text),
            site.metrics(Format::OpenMetrics),
        );
        let release = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(busy);
        };
        let (one, other, open, ()) = tokio::join!(one, other, open, release);
        assert_eq!(held_bytes(&one), held_bytes(&other));
        assert_ne!(held_bytes(&one), held_bytes(&open));
        let later = site.metrics(Format::Text).await;
        assert_ne!(held_bytes(&one), held_bytes(&later));
        let still = one.extensions().get::<Held>().unwrap().clone();
        drop((one, other));
        assert_eq!(still.address_and_size(), None);
    }

    #[tokio::test]
    async fn who_goes_away_keeps_nobody_waiting() {
        let site = test_site();
        let busy = site.scrapes.wait_for_turn().await;
        let gone = tokio::time::timeout(Duration::from_millis(20), site.metrics(Format::Protobuf));
        gone.await.unwrap_err();
        drop(busy);
        assert_eq!(site.metrics(Format::Text).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_made_is_an_error_and_the_next_is_made() {
        let site = test_site();
        let broken = site.respond_with(|_shown| panic!("as if")).await;
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let made = site
            .respond_with(|_shown| Response::new(b"well".to_vec()))
            .await;
        assert_eq!(made.status(), StatusCode::OK);
    }
}
