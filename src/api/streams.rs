//! `GET /api/activities/stream`: those who read along by server-sent events.

use super::error;
use crate::{
    presence::{Hub, Mark, Reader},
    server::{Answer, with_pieces},
    users::{Directory, User},
};
use bytes::Bytes;
use futures_util::stream;
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER},
    http::request::Parts,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};

/// What a client shows that comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The same in the query, for those who cannot set headers.
const LAST_EVENT_ID_QUERY: &str = "last_event_id";

/// Tells nginx, which many have in front, to pass events on as they come.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A comment (HTML, 9.2): nobody is told anything, but a connection that is gone is noticed.
const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// When to come again to a server that has no place now, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

/// All streams.
pub struct Streams {
    hub: Arc<Hub>,
    directory: Arc<dyn Directory>,
    places: Arc<Semaphore>,
    max: usize,
    /// How many were turned away because all places were taken.
    refused: AtomicU64,
    heartbeat: Duration,
    /// Wakes all streams to look whether they may go on; true: none may.
    ended: watch::Sender<bool>,
}

/// One stream.
struct Stream {
    reader: Reader,
    /// Who reads; none: anyone may.
    user: Option<Arc<User>>,
    directory: Arc<dyn Directory>,
    heartbeat: Duration,
    ended: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Streams {
    /// At most `max` streams of what `hub` tells. Where there is no news for `heartbeat`, they say so.
    pub fn new(
        hub: Arc<Hub>,
        directory: Arc<dyn Directory>,
        max: usize,
        heartbeat: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            hub,
            directory,
            places: Arc::new(Semaphore::new(max)),
            max,
            refused: AtomicU64::new(0),
            heartbeat,
            ended: watch::Sender::new(false),
        })
    }

    /// Ends the streams of those who may not read any more: call it when the users have changed.
    pub fn sweep(&self) {
        self.ended.send_modify(|_| {});
    }

    /// Ends all, those to come as well.
    pub fn shut_down(&self) {
        self.ended.send_replace(true);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.max.saturating_sub(self.places.available_permits())
    }

    /// How many were turned away because there were as many as may be.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A stream for `user`, or for anyone.
    pub(super) fn open(&self, request: &Parts, user: Option<Arc<User>>) -> Answer {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let mut answer = error::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "The server has as many streams as it may. Try again later.",
            );
            answer
                .headers_mut()
                .insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            return answer;
        };
        let stream = Stream {
            reader: self.hub.read_along(last_event(request)),
            user,
            directory: Arc::clone(&self.directory),
            heartbeat: self.heartbeat,
            ended: self.ended.subscribe(),
            _place: place,
        };
        let pieces = stream::unfold(stream, |mut stream| async {
            let event = stream.next().await?;
            Some((event, stream))
        });
        let mut answer = with_pieces("text/event-stream", pieces);
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        answer
    }
}

impl Stream {
    /// The next event, or a heartbeat; none: it ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let may_read = |user: &Arc<User>| self.directory.is_current(user);
            if *self.ended.borrow_and_update() || !self.user.as_ref().is_none_or(may_read) {
                return None;
            }
            select! {
                event = self.reader.next() => return Some(event),
                // An error says that the streams are gone.
                changed = self.ended.changed() => changed.ok()?,
                () = sleep(self.heartbeat) => return Some(HEARTBEAT),
            }
        }
    }
}

/// The last event that the client has got, if it says so, and it is one of ours.
fn last_event(request: &Parts) -> Option<Mark> {
    let from_header = request.headers.get(LAST_EVENT_ID);
    if let Some(id) = from_header.and_then(|id| id.to_str().ok()) {
        return id.parse().ok();
    }
    let query = request.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == LAST_EVENT_ID_QUERY)
        .and_then(|(_, id)| id.parse().ok())
}
