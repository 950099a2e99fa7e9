//! The body of a request, within bounds.

use super::error::error;
use crate::server::Answer;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    StatusCode,
    body::{Body, Incoming},
    header::{CONNECTION, HeaderValue},
};
use std::time::Duration;
use tokio::time::timeout;

/// The largest body: room for what is asked for, and for fields of others.
const MAX_BYTES: usize = 16 << 10;

/// The whole body, if it is small, and comes in time.
pub(super) async fn read(body: Incoming, patience: Duration) -> Result<Bytes, Answer> {
    // What the client announces is refused before it is read.
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    match timeout(patience, Limited::new(body, MAX_BYTES).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(failed)) if failed.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_gone)) => Err(error(
            StatusCode::BAD_REQUEST,
            "The body did not come to its end.",
        )),
        Err(_elapsed) => {
            let mut answer = error(
                StatusCode::REQUEST_TIMEOUT,
                "The body did not come in time.",
            );
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
            Err(answer)
        }
    }
}

fn too_large() -> Answer {
    error(
        StatusCode::PAYLOAD_TOO_LARGE,
        &format!("The body is larger than {MAX_BYTES} bytes."),
    )
}
