//! `/api/activities` and `/api/users/{id}/activity`: what everyone does, for those without a socket.

use super::{Streams, body, error};
use crate::{
    presence::{Activity, Hub, Lease, Mark, State},
    server::{Answer, empty, is_known, json, with_body},
    socketio::SocketId,
    users::{User, UserId},
};
use bytes::Bytes;
use hyper::{
    StatusCode,
    body::Incoming,
    header::{CACHE_CONTROL, ETAG, HeaderValue},
    http::request::Parts,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{error::Error, fmt, sync::Arc, time::Duration};

/// What everyone does, and who may ask.
pub struct Activities {
    /// Who knows.
    pub hub: Arc<Hub>,
    /// Those who read along.
    pub streams: Arc<Streams>,
    /// Whether anyone may read, without a key.
    pub public_read: bool,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
}

/// The activity of one of whom nothing is known.
#[derive(Serialize)]
pub(super) struct Unknown {
    state: &'static str,
}

/// What everyone does, which all who ask share until it changes, however slowly they take it.
struct Shared(Arc<RawValue>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.get().as_bytes()
    }
}

impl Unknown {
    pub(super) fn new() -> Self {
        Self {
            state: State::name(None),
        }
    }
}

impl Activities {
    /// All who are not offline.
    pub(super) fn all(&self, request: &Parts) -> Answer {
        tagged(request, self.hub.mark(), || match self.hub.array() {
            Ok(array) => {
                let text = Bytes::from_owner(Shared(array));
                with_body(StatusCode::OK, "application/json", text)
            }
            Err(error) => failed(&error),
        })
    }

    /// Whether everyone is told of this user.
    pub(super) fn is_told_of(&self, user_id: UserId) -> bool {
        self.hub.activity(user_id).is_some()
    }

    /// One user, who exists.
    pub(super) fn one(&self, request: &Parts, user_id: UserId) -> Answer {
        tagged(request, self.hub.mark(), || {
            match self.hub.activity(user_id) {
                Some(activity) => json(StatusCode::OK, &activity),
                None => json(StatusCode::OK, &Unknown::new()),
            }
        })
    }

    /// Reads a report that is to hold for a while.
    pub(super) async fn read(&self, body: Incoming) -> Result<Lease, Answer> {
        let body = body::read(body, self.body_timeout).await?;
        Lease::parse(&body)
            .map_err(|bad| error::error(StatusCode::BAD_REQUEST, &sentence(&bad.to_string())))
    }

    /// Takes it.
    pub(super) fn put(&self, user: &User, lease: Lease) -> Answer {
        match self.lease(user, lease) {
            Ok(activity) => json(StatusCode::OK, &activity),
            Err(error) => failed(&error),
        }
    }

    /// Takes it back.
    pub(super) fn delete(&self, user: &User) -> Answer {
        let (doing, ttl) = (None, Duration::ZERO);
        match self.lease(user, Lease { doing, ttl }) {
            Ok(_) => empty(StatusCode::NO_CONTENT),
            Err(error) => failed(&error),
        }
    }

    fn lease(&self, user: &User, lease: Lease) -> Result<Activity, Box<dyn Error>> {
        let id = SocketId::random()?;
        Ok(self.hub.lease(user, id, lease.doing, lease.ttl)?)
    }
}

/// The answer as it is since `mark`, which was there before it, or that nothing has changed.
fn tagged(request: &Parts, mark: Mark, answer: impl FnOnce() -> Answer) -> Answer {
    let Ok(tag) = HeaderValue::from_str(&format!("\"{mark}\"")) else {
        return answer();
    };
    let mut answer = if is_known(&request.headers, &tag) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        answer()
    };
    let headers = answer.headers_mut();
    headers.insert(ETAG, tag);
    let asks_each_time = HeaderValue::from_static("private, no-cache");
    headers.insert(CACHE_CONTROL, asks_each_time);
    answer
}

/// What is wrong with a body, as a sentence.
fn sentence(text: &str) -> String {
    format!("The request was refused: {text}.")
}

/// A mistake of ours, or the system's.
fn failed(reason: &dyn fmt::Display) -> Answer {
    log::error!("an activity cannot be answered: {reason}");
    error::error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server cannot answer this.",
    )
}
