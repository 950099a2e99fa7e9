//! The handshake: what a request to the Engine.IO endpoint asks for, and whether it may.

use super::Revision;
use std::{borrow::Cow, fmt};

/// The query parameters that Engine.IO looks at (protocol, "Handshake").
///
/// Read as a browser writes them: percent-decoded, `+` is a space, the last of several wins, and an empty
/// `sid` is none. All others are ignored.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `EIO`: the protocol version.
    pub version: Option<Cow<'a, str>>,
    /// `transport`: the transport of this request.
    pub transport: Option<Cow<'a, str>>,
    /// `sid`: the session it belongs to; none opens a new one.
    pub sid: Option<Cow<'a, str>>,
    /// `b64`: the client cannot take bytes, only text.
    pub base64_only: bool,
}

impl<'a> Query<'a> {
    /// Reads the part of the URL after the `?`.
    pub fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "EIO" => parsed.version = Some(value),
                "transport" => parsed.transport = Some(value),
                "b64" => parsed.base64_only = !value.is_empty(),
                "sid" => parsed.sid = Some(value).filter(|sid| !sid.is_empty()),
                _ => {}
            }
        }
        parsed
    }

    /// The version that the client speaks, if it is one that exists.
    fn revision(&self) -> Option<Revision> {
        match self.version.as_deref() {
            Some("4") => Some(Revision::V4),
            Some("3") => Some(Revision::V3),
            _ => None,
        }
    }
}

/// A request to the endpoint, as far as the verdict depends on it.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its query.
    pub query: Query<'a>,
    /// Its method.
    pub method: Method,
    /// Whether it asks for another protocol by `Connection: Upgrade`.
    pub is_upgrade: bool,
    /// Whether version 3 of Engine.IO is spoken here besides version 4.
    pub allow_eio3: bool,
}

/// The methods that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Opens a session, or fetches what is sent to one.
    Get,
    /// Brings what the client sends.
    Post,
    /// Any other.
    Other,
}

/// What a request that is in order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A new session on a WebSocket. It still needs an admission, and then [`Request::verify_version`].
    OpenWebSocket,
    /// The same on long-polling.
    OpenPolling,
    /// What is sent to a session.
    Poll,
    /// To bring something to a session.
    Post,
    /// A WebSocket for a session.
    WebSocket,
}

/// Why a request is turned away, by the protocol's own table of codes ("Error codes").
///
/// Code 4, `Forbidden`, is the admission's to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Code 0.
    TransportUnknown,
    /// Code 1.
    SessionUnknown,
    /// Code 2.
    BadHandshakeMethod,
    /// Code 3.
    BadRequest,
    /// Code 5.
    UnsupportedVersion,
}

impl Request<'_> {
    /// Judges the request in the reference's order, up to the place where the admission is asked.
    /// `revision_of` tells which version the session with an id speaks, if there is one alive.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn verify(
        &self,
        revision_of: impl FnOnce(&str) -> Option<Revision>,
    ) -> Result<Asked, Refusal> {
        let on_websocket = match self.query.transport.as_deref() {
            Some("polling") => false,
            Some("websocket") => true,
            _ => return Err(Refusal::TransportUnknown),
        };
        // A WebSocket by plain HTTP, or polling by a WebSocket; said later, but nothing else can be meant.
        let is_mismatch = on_websocket != self.is_upgrade;
        if let Some(sid) = self.query.sid.as_deref() {
            let spoken = revision_of(sid).ok_or(Refusal::SessionUnknown)?;
            if is_mismatch || self.query.revision() != Some(spoken) {
                return Err(Refusal::BadRequest);
            }
            return match self.method {
                _ if on_websocket => Ok(Asked::WebSocket),
                Method::Get => Ok(Asked::Poll),
                Method::Post => Ok(Asked::Post),
                Method::Other => Err(Refusal::BadRequest),
            };
        }
        match self.method {
            Method::Post | Method::Other => Err(Refusal::BadHandshakeMethod),
            Method::Get if is_mismatch => Err(Refusal::BadRequest),
            Method::Get if on_websocket => Ok(Asked::OpenWebSocket),
            Method::Get => Ok(Asked::OpenPolling),
        }
    }

    /// The last rule, which comes after the admission: the version that a new session is to speak.
    ///
    /// # Errors
    /// It is not spoken here.
    pub fn verify_version(&self) -> Result<Revision, Refusal> {
        match self.query.revision() {
            Some(Revision::V4) => Ok(Revision::V4),
            Some(Revision::V3) if self.allow_eio3 => Ok(Revision::V3),
            _ => Err(Refusal::UnsupportedVersion),
        }
    }
}

impl Refusal {
    /// The code that the client is told.
    pub fn code(self) -> u8 {
        match self {
            Self::TransportUnknown => 0,
            Self::SessionUnknown => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::UnsupportedVersion => 5,
        }
    }

    /// The message that the client is told.
    pub fn message(self) -> &'static str {
        match self {
            Self::TransportUnknown => "Transport unknown",
            Self::SessionUnknown => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}
