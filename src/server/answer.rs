//! HTTP answers.

use super::Body;
use bytes::Bytes;
use futures_util::Stream;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, IF_NONE_MATCH},
};
use serde::Serialize;

/// An HTTP answer.
pub type Answer = Response<Body>;

/// Marks, among its extensions, an answer behind which more is sent at once, so that both may leave in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed;

/// An answer with a body of the given type.
pub fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer with a body of the given type that comes piece by piece.
pub fn with_pieces(
    content_type: &'static str,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Answer {
    let mut answer = Response::new(Body::Pieces(Box::pin(pieces)));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Whether who asks with these headers has what is tagged so already (RFC 9110, "If-None-Match": compared weakly).
pub fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    asked
        .get_all(IF_NONE_MATCH)
        .iter()
        .flat_map(|tags| tags.as_bytes().split(|byte| *byte == b','))
        .map(|known| known.trim_ascii())
        .any(|known| known == b"*" || tag == known.strip_prefix(b"W/").unwrap_or(known))
}

/// An answer that says nothing but its status.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::default());
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
