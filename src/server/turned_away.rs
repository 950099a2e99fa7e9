//! Why a request gets no session, and the answer to that.

use super::{
    Answer, Denied, Limit, Outcome, answer,
    websocket::{self, HandshakeError},
};
use crate::engineio::handshake::Refusal;
use hyper::{
    StatusCode,
    header::{CONNECTION, HeaderValue, RETRY_AFTER},
};
use serde::Serialize;
use std::fmt;

/// Why a request gets no session.
pub(super) enum TurnedAway {
    Refused(Refusal),
    Denied(Denied),
    Limited(Limit),
    NoWebSocket(HandshakeError),
}

impl TurnedAway {
    /// The answer. The reference says less to a WebSocket client, a plain message; a refused key is
    /// explained to everyone.
    pub(super) fn answer(&self, is_upgrade: bool) -> Answer {
        match self {
            Self::Refused(refusal) if is_upgrade => {
                websocket::refuse(StatusCode::BAD_REQUEST, refusal.message())
            }
            Self::Refused(refused) => refusal(*refused),
            Self::Denied(denied) => denial(denied, is_upgrade),
            Self::Limited(limit) => denial(&no_room(*limit), is_upgrade),
            Self::NoWebSocket(error) => error.answer(),
        }
    }

    /// What it is counted as.
    pub(super) fn outcome(&self) -> Outcome {
        let status = match self {
            Self::Refused(Refusal::SessionUnknown) => return Outcome::UnknownSession,
            Self::Refused(_) | Self::NoWebSocket(_) => return Outcome::BadRequest,
            Self::Denied(denied) => denied.status,
            Self::Limited(limit) => no_room(*limit).status,
        };
        match status {
            StatusCode::UNAUTHORIZED => Outcome::Unauthorized,
            StatusCode::TOO_MANY_REQUESTS => Outcome::TooMany,
            StatusCode::SERVICE_UNAVAILABLE => Outcome::Unavailable,
            _ => Outcome::Forbidden,
        }
    }

    /// The limit that is in the way.
    pub(super) fn limit(&self) -> Option<Limit> {
        match self {
            Self::Limited(limit) => Some(*limit),
            Self::Refused(_) | Self::Denied(_) | Self::NoWebSocket(_) => None,
        }
    }
}

impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Denied(denied) => f.write_str(denied.message),
            Self::Limited(limit) => f.write_str(no_room(*limit).message),
            Self::NoWebSocket(error) => f.write_str(error.message()),
        }
    }
}

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Denied> for TurnedAway {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Limit> for TurnedAway {
    fn from(limit: Limit) -> Self {
        Self::Limited(limit)
    }
}

impl From<HandshakeError> for TurnedAway {
    fn from(error: HandshakeError) -> Self {
        Self::NoWebSocket(error)
    }
}

/// The answer to whoever finds this limit in the way.
fn no_room(limit: Limit) -> Denied {
    let (status, message) = match limit {
        Limit::SessionsPerNetwork => (
            StatusCode::TOO_MANY_REQUESTS,
            "Your address has as many sessions as one may. Try again later.",
        ),
        Limit::SessionsPerOwner => (
            StatusCode::TOO_MANY_REQUESTS,
            "You have as many sessions as one may. Close one, or try again later.",
        ),
        Limit::OpeningsPerMinute => (
            StatusCode::TOO_MANY_REQUESTS,
            "Your address opens too many sessions in too short a time. Try again later.",
        ),
        Limit::HalfOpenSessions => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many sessions are being opened. Try again later.",
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server has as many sessions as it may. Try again later.",
        ),
    };
    Denied { status, message }
}

/// When to try again, in seconds, after a no that will not last: later than official clients do by
/// themselves, and soon enough for a place that gets free any moment.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

/// The answer to whoever is not let in.
fn denial(denied: &Denied, is_upgrade: bool) -> Answer {
    /// The protocol's code for a no from the program itself.
    const FORBIDDEN: u8 = 4;
    let body = RefusalBody {
        code: FORBIDDEN,
        message: denied.message,
    };
    let mut answer = answer::json(denied.status, &body);
    let headers = answer.headers_mut();
    if matches!(
        denied.status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    if is_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// The answer that refuses a request of long-polling.
pub(super) fn refusal(refusal: Refusal) -> Answer {
    let body = RefusalBody {
        code: refusal.code(),
        message: refusal.message(),
    };
    answer::json(StatusCode::BAD_REQUEST, &body)
}

/// The body of a refusal (protocol, "Error codes"). The code is a number.
#[derive(Serialize)]
struct RefusalBody {
    code: u8,
    message: &'static str,
}
