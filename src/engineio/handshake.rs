//! The handshake: what a request to the Engine.IO endpoint asks for, and whether it may.

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
}

impl<'a> Query<'a> {
    /// Reads the part of the URL after the `?`.
    pub fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "EIO" => parsed.version = Some(value),
                "transport" => parsed.transport = Some(value),
                "sid" => parsed.sid = Some(value).filter(|sid| !sid.is_empty()),
                _ => {}
            }
        }
        parsed
    }
}

/// A request to the endpoint, as far as the verdict depends on it.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its query.
    pub query: Query<'a>,
    /// Whether its method is GET.
    pub is_get: bool,
    /// Whether it asks for another protocol by `Connection: Upgrade`.
    pub is_upgrade: bool,
}

/// What a request that is in order asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new session. It still needs an admission, and then [`Request::verify_version`].
    Open,
    /// A WebSocket for a session that already has one.
    Duplicate,
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
    /// `is_session` tells whether an id names a session that is alive.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn verify(&self, is_session: impl FnOnce(&str) -> bool) -> Result<Asked, Refusal> {
        if self.query.transport.as_deref() != Some("websocket") {
            return Err(Refusal::TransportUnknown);
        }
        match self.query.sid.as_deref() {
            Some(sid) if !is_session(sid) => Err(Refusal::SessionUnknown),
            // A session that lives on a WebSocket has no use for other requests, whatever version they claim.
            Some(_) if self.is_upgrade && self.verify_version().is_ok() => Ok(Asked::Duplicate),
            Some(_) => Err(Refusal::BadRequest),
            None if !self.is_get => Err(Refusal::BadHandshakeMethod),
            None if !self.is_upgrade => Err(Refusal::BadRequest),
            None => Ok(Asked::Open),
        }
    }

    /// The last rule, which comes after the admission.
    ///
    /// # Errors
    /// The client speaks a version that is not spoken here.
    pub fn verify_version(&self) -> Result<(), Refusal> {
        match self.query.version.as_deref() {
            Some("4") => Ok(()),
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
