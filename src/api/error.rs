//! Errors, as GameVault's clients know them.

use crate::server::{Answer, Denied, Shown, json};
use hyper::{
    StatusCode,
    header::{HeaderValue, RETRY_AFTER},
};
use serde::Serialize;
use std::net::SocketAddr;

/// What it says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    message: &'a str,
    error: &'a str,
    status_code: u16,
}

impl<'a> Body<'a> {
    pub(super) fn new(status: StatusCode, message: &'a str) -> Self {
        Self {
            message,
            error: status.canonical_reason().unwrap_or_default(),
            status_code: status.as_u16(),
        }
    }
}

/// An error with this status. The message says what happened, and what to do about it.
pub(super) fn error(status: StatusCode, message: &str) -> Answer {
    json(status, &Body::new(status, message))
}

/// The error for someone who may not ask.
pub(super) fn denied(denied: Denied) -> Answer {
    let mut answer = error(denied.status, denied.message);
    let again = match denied.status {
        StatusCode::SERVICE_UNAVAILABLE => Some("5"),
        StatusCode::TOO_MANY_REQUESTS => Some("10"),
        _ => None,
    };
    if let Some(again) = again {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(again));
    }
    answer
}

/// Says in the log that someone may not come in, as the engine does, and as docs/deploy/fail2ban.conf looks for it.
pub(super) fn log_denied(client: SocketAddr, denied: &Denied) {
    let (client, status) = (Shown(client), denied.status.as_u16());
    log::info!(address:% = client, status, reason = denied.message;
        "{client} is turned away: {status} {}", denied.message);
}
