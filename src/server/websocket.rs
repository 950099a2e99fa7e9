//! The WebSocket handshake (RFC 6455, section 4.2).

use super::answer::{self, Answer};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap, Method, StatusCode, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
        UPGRADE,
    },
    http::request::Parts,
};
use sha1::{Digest, Sha1};

/// RFC 6455, 1.3: what a server adds to the key, to show that it knows what it is talking about.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is wrong with a WebSocket handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandshakeError {
    /// It is no GET.
    Method,
    /// `Upgrade` asks for another protocol.
    Upgrade,
    /// There is a body, or there may be one: nobody could say where the frames begin.
    Body,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    Key,
    /// `Sec-WebSocket-Version` is not 13, nor 8, which is the same on the wire.
    Version,
}

/// Whether the request wants to leave HTTP, which only HTTP/1.1 can.
pub(super) fn is_upgrade(request: &Parts) -> bool {
    let headers = &request.headers;
    request.version == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// The 101 that accepts the handshake.
///
/// # Errors
/// The first of the rules that the request breaks.
pub(super) fn accept(request: &Parts) -> Result<Answer, HandshakeError> {
    let headers = &request.headers;
    if request.method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if !tokens(headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket")) {
        return Err(HandshakeError::Upgrade);
    }
    let is_empty = headers
        .get(CONTENT_LENGTH)
        .is_none_or(|length| length == "0");
    if !is_empty || headers.contains_key(TRANSFER_ENCODING) {
        return Err(HandshakeError::Body);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key))
        .ok_or(HandshakeError::Key)?;
    only(headers, &SEC_WEBSOCKET_VERSION)
        .filter(|version| *version == "13" || *version == "8")
        .ok_or(HandshakeError::Version)?;
    let mut answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let answered = answer.headers_mut();
    answered.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answered.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept_key(key.as_bytes())) {
        answered.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    // A browser that has offered subprotocols gives up if none is chosen; they mean nothing here.
    if let Some(protocol) = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).next()
        && let Ok(protocol) = HeaderValue::from_str(protocol)
    {
        answered.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(answer)
}

fn is_key(key: &HeaderValue) -> bool {
    BASE64_STANDARD
        .decode(key.as_bytes())
        .is_ok_and(|bytes| bytes.len() == 16)
}

/// The answer to a `Sec-WebSocket-Key`.
pub(crate) fn accept_key(key: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The value of a header that may be there once (RFC 6455, 11.3): whoever sends two may mean either.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The comma-separated tokens of a header, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

impl HandshakeError {
    /// What is wrong, in the words of the reference's WebSocket library.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Method => "Invalid HTTP method",
            Self::Upgrade => "Invalid Upgrade header",
            Self::Body => "An upgrade request must not have a body",
            Self::Key => "Missing or invalid Sec-WebSocket-Key header",
            Self::Version => "Missing or invalid Sec-WebSocket-Version header",
        }
    }

    /// The answer that refuses the handshake.
    pub(super) fn answer(self) -> Answer {
        let status = match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut answer = refuse(status, self.message());
        if self == Self::Version {
            // RFC 6455, 4.2.2: say which versions would do.
            answer
                .headers_mut()
                .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13, 8"));
        }
        answer
    }
}

/// A no to a request that wanted a WebSocket, in the reference's form: a plain message, and the end of the
/// connection, because what the client sends next may not be HTTP any more.
pub(super) fn refuse(status: StatusCode, message: &'static str) -> Answer {
    let mut answer = answer::with_body(status, "text/html", message);
    answer
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
