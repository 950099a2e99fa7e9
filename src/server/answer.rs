//! HTTP answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Serialize;

/// An answer whose body is there as a whole.
pub type Answer = Response<Full<Bytes>>;

/// An answer with a body of the given type.
pub(super) fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer that says nothing but its status.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// A JSON answer. A value that has no form in JSON is our own mistake, and a 500.
pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => with_body(status, "application/json", body),
        Err(error) => {
            log::error!("an answer of our own cannot be encoded: {error}");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}
