//! A Socket.IO socket in the namespace `/`: what the server tells.

use super::{Answer, Fault, Object, Server, Session, Via, json::text, session::NoSession};
use crate::socketio::{Body, Packet};
use serde_json::value::RawValue;
use std::{fmt, time::Duration};

/// CONNECT, without an auth payload: the key was shown before.
const CONNECT: &str = "40";

/// DISCONNECT.
const DISCONNECT: &str = "41";

/// The longest that a server may ask to wait before one tries again.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// A socket that has joined.
pub struct Socket {
    session: Session,
}

/// What the server tells.
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its first argument, as JSON.
    pub argument: Option<Box<RawValue>>,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum NoSocket {
    /// The server does not answer as it should. It may some time.
    Fault(Fault),
    /// Not now, the server says.
    Later {
        /// Its status.
        status: u16,
        /// And its words.
        said: Option<String>,
        /// And when.
        after: Option<Duration>,
    },
    /// The server does not let one in.
    Refused {
        /// Its status; none: it said so over Socket.IO.
        status: Option<u16>,
        /// And its words.
        said: Option<String>,
    },
    /// There is something else.
    Other {
        /// Its status.
        status: u16,
    },
}

impl Socket {
    /// Opens a session, on a WebSocket if that can be, and joins.
    ///
    /// # Errors
    /// There is none; [`NoSocket::is_final`] says whether to try again.
    pub fn connect(server: &Server) -> Result<Self, NoSocket> {
        let session = match Session::open(server, Via::WebSocket) {
            Ok(session) => session,
            Err(no_session) if !is_about_websocket(&no_session) => return Err(no_session.into()),
            // Whoever is in between may let other requests through.
            Err(_) => Session::open(server, Via::Polling)?,
        };
        let mut socket = Self { session };
        socket.session.send(CONNECT)?;
        loop {
            let message = socket.session.receive()?;
            match decode(&message)?.body {
                Body::Connect(_) => return Ok(socket),
                Body::ConnectError(json) => {
                    return Err(NoSocket::Refused {
                        status: None,
                        said: refusal(json),
                    });
                }
                Body::Disconnect => return Err(NoSocket::Fault(Fault::Closed)),
                // Version 2 of the server's library would say something before.
                _ => {}
            }
        }
    }

    /// What it is on.
    pub fn via(&self) -> Via {
        self.session.via()
    }

    /// What the server tells next.
    ///
    /// # Errors
    /// The connection is over.
    pub fn receive(&mut self) -> Result<Event, Fault> {
        loop {
            let message = self.session.receive()?;
            let packet = decode(&message)?;
            match packet.body {
                Body::Disconnect if packet.namespace == "/" => return Err(Fault::Closed),
                // What comes with attachments is no activity.
                Body::Event(call) if call.attachments == 0 => {
                    // It has a name, or it would be none.
                    let name = call.arguments.get(0).unwrap_or_default();
                    let argument = call.arguments.raw(1).map(ToOwned::to_owned);
                    return Ok(Event { name, argument });
                }
                _ => {}
            }
        }
    }

    /// Says goodbye.
    pub fn close(mut self) {
        // Who is not heard is gone as well.
        let _unheard = self.session.send(DISCONNECT);
        self.session.close();
    }
}

fn decode(message: &str) -> Result<Packet<'_>, Fault> {
    Packet::decode(message).map_err(|error| Fault::Protocol(format!("the server sends {error}")))
}

/// Whether long-polling may do better.
fn is_about_websocket(no_session: &NoSession) -> bool {
    match no_session {
        NoSession::Fault(Fault::Name(_) | Fault::Connect(_) | Fault::NoTls | Fault::Tls(_)) => {
            false
        }
        NoSession::Fault(_) => true,
        NoSession::Answer(answer) => !matches!(answer.status, 401 | 429 | 503),
    }
}

/// What the server says in a CONNECT_ERROR.
fn refusal(json: &RawValue) -> Option<String> {
    let said = match Object::read(json.get()) {
        Some(object) => object.text("message")?,
        None => text(json.get())?,
    };
    let plain = said.chars().filter(|letter| !letter.is_control());
    Some(plain.take(200).collect())
}

impl NoSocket {
    /// Whether to try again would be in vain.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Other { .. } => true,
            Self::Fault(fault) => {
                matches!(fault, Fault::NoTls | Fault::Tls(_) | Fault::NotHttp(_))
            }
            Self::Later { .. } => false,
        }
    }

    /// When the server says to try again.
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Later { after, .. } => *after,
            _ => None,
        }
    }
}

impl From<Fault> for NoSocket {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NoSession> for NoSocket {
    fn from(no_session: NoSession) -> Self {
        match no_session {
            NoSession::Fault(fault) => Self::Fault(fault),
            NoSession::Answer(answer) => Self::from(&answer),
        }
    }
}

impl From<&Answer> for NoSocket {
    fn from(answer: &Answer) -> Self {
        let (status, said) = (answer.status, answer.said());
        match status {
            401 | 403 | 406 => Self::Refused {
                status: Some(status),
                said,
            },
            429 | 500..=504 => Self::Later {
                status,
                said,
                after: answer
                    .header("retry-after")
                    .and_then(|seconds| seconds.parse().ok())
                    .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
            },
            status => Self::Other { status },
        }
    }
}

impl fmt::Display for NoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self {
            Self::Fault(fault) => return fault.fmt(f),
            Self::Other { status } => {
                return write!(
                    f,
                    "there is no Socket.IO endpoint (it answers {status}); `rollcall doctor URL` may know why"
                );
            }
            Self::Later { status, said, .. } => {
                write!(f, "not now (it answers {status})")?;
                said
            }
            Self::Refused { status, said } => {
                f.write_str("the key is refused")?;
                if let Some(status) = status {
                    write!(f, " ({status})")?;
                }
                said
            }
        };
        match said {
            Some(said) => write!(f, ": {said}"),
            None => Ok(()),
        }
    }
}
