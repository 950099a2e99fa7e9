//! What a program does with its sockets.

use super::{ArgumentError, Event, Socket};
use crate::engineio::{CloseReason, Sid};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

/// A program's side of a namespace: it lets clients in, and is told what its sockets do.
///
/// The calls for one socket come one after another from its session's task, first `on_connect`, last
/// `on_disconnect`, each exactly once. They must not block: a handler that has to wait clones the socket and spawns.
/// One that panics ends its own session, with [`CloseReason::HandlerPanicked`].
///
/// ```
/// use rollcall::server::Handshake;
/// use rollcall::socketio::{Auth, Event, Namespace, Refused, Socket};
/// use std::sync::Arc;
///
/// /// Sends every event back as it came.
/// struct Echo;
///
/// impl Namespace for Echo {
///     type Handshake = Handshake;
///     type Data = ();
///
///     async fn admit(&self, _: &Arc<Handshake>, _: Auth) -> Result<(), Refused> {
///         Ok(())
///     }
///
///     fn on_event(&self, socket: &Socket<()>, event: Event<'_>) {
///         if let Err(error) = socket.emit(event.name(), event.arguments()) {
///             eprintln!("not sent: {error}");
///         }
///     }
/// }
/// ```
pub trait Namespace: Send + Sync + 'static {
    /// What is known of a session from the request that opened it: the identity that the engine's admission found.
    type Handshake: Send + Sync + 'static;
    /// What the program keeps for each of its sockets.
    type Data: Send + Sync + 'static;

    /// A client asks to join; in Socket.IO's words, the middleware. Until it is answered the socket does not exist:
    /// nobody can send to it, and a client that sends an event already has broken the protocol ("Connection to a
    /// namespace"): its session ends.
    ///
    /// # Errors
    /// The client is told that it may not, and why: a CONNECT_ERROR. Its session goes on.
    ///
    /// # Cancel safety
    /// Dropped when the client goes away: it must leave nothing half done.
    fn admit(
        &self,
        handshake: &Arc<Self::Handshake>,
        auth: Auth,
    ) -> impl Future<Output = Result<Self::Data, Refused>> + Send;

    /// A client has joined; its CONNECT is answered already.
    fn on_connect(&self, socket: &Socket<Self::Data>) {
        let _ = socket;
    }

    /// A client sent an event. Its name is any but the reserved ones, whether the program knows it or not.
    fn on_event(&self, socket: &Socket<Self::Data>, event: Event<'_>);

    /// The client is gone from the namespace. Nothing can be sent to it any more; it is still in its rooms, for those
    /// who want to tell the others there.
    fn on_disconnect(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }
}

/// A namespace that someone else holds on to, too.
impl<N: Namespace> Namespace for Arc<N> {
    type Handshake = N::Handshake;
    type Data = N::Data;

    async fn admit(&self, handshake: &Arc<N::Handshake>, auth: Auth) -> Result<N::Data, Refused> {
        (**self).admit(handshake, auth).await
    }

    fn on_connect(&self, socket: &Socket<N::Data>) {
        (**self).on_connect(socket);
    }

    fn on_event(&self, socket: &Socket<N::Data>, event: Event<'_>) {
        (**self).on_event(socket, event);
    }

    fn on_disconnect(&self, socket: &Socket<N::Data>, reason: DisconnectReason) {
        (**self).on_disconnect(socket, reason);
    }
}

/// What a client sends along when it asks to join: its `auth` option; from a client of version 2, the query of the
/// namespace. An object, `{}` if there is none.
#[derive(Debug, Clone, Default)]
pub struct Auth(pub(super) Option<Box<RawValue>>);

impl Auth {
    /// Takes out what the client says about the socket that it was: its pid and, unless it never heard an event, its
    /// last offset. That is no part of what its program says, and a pid that is left in is one that may get about.
    pub(super) fn take_claim(&mut self) -> Result<Option<(Sid, Option<String>)>, AuthError> {
        let mut members: BTreeMap<String, Box<RawValue>> = self.get()?;
        let (pid, offset) = (members.remove("pid"), members.remove("offset"));
        if pid.is_some() || offset.is_some() {
            self.0 = Some(serde_json::value::to_raw_value(&members).map_err(AuthError)?);
        }
        let text = |json: Box<RawValue>| serde_json::from_str::<String>(json.get()).ok();
        let pid = pid.and_then(text).and_then(|pid| Sid::parse(&pid));
        Ok(pid.map(|pid| (pid, offset.and_then(text))))
    }

    /// As the JSON that arrived.
    pub fn raw(&self) -> &str {
        self.0.as_deref().map_or("{}", RawValue::get)
    }

    /// As a type of the program's.
    ///
    /// # Errors
    /// The client sent something else.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, AuthError> {
        serde_json::from_str(self.raw()).map_err(AuthError)
    }
}

/// The auth payload is not of the type that the program asked for.
#[derive(Debug)]
pub struct AuthError(serde_json::Error);

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "auth: {}", self.0)
    }
}

impl std::error::Error for AuthError {}

/// A no to a client that asks to join, as its `connect_error` handler gets it. Official clients do not try again by
/// themselves.
///
/// With `?`, what a client sent in the wrong shape becomes one that says so.
///
/// ```
/// use rollcall::socketio::Refused;
///
/// # fn main() -> Result<(), serde_json::Error> {
/// let refused = Refused::new("not authorized").with_data(&["ask an admin"])?;
/// let told = serde_json::to_string(&refused)?;
/// assert_eq!(told, r#"{"message":"not authorized","data":["ask an admin"]}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Box<RawValue>>,
}

impl Refused {
    /// For this reason: `error.message` on the other side.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// With details: `error.data` on the other side.
    ///
    /// # Errors
    /// They have no form in JSON.
    pub fn with_data(self, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            data: Some(serde_json::value::to_raw_value(data)?),
            ..self
        })
    }
}

/// What the client sent is not what the program asks for.
impl From<ArgumentError> for Refused {
    fn from(error: ArgumentError) -> Self {
        Self::new(error.to_string())
    }
}

/// The details of a refusal have no form in JSON.
impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// The auth payload is not what the program asks for.
impl From<AuthError> for Refused {
    fn from(error: AuthError) -> Self {
        Self::new(error.to_string())
    }
}

/// Why a socket is gone. Displays as the official server's reason, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client left the namespace by a DISCONNECT packet.
    ClientLeft,
    /// The program ended it by [`Socket::disconnect`].
    ServerLeft,
    /// Its session ended.
    SessionClosed(CloseReason),
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientLeft => f.write_str("client namespace disconnect"),
            Self::ServerLeft => f.write_str("server namespace disconnect"),
            Self::SessionClosed(reason) => reason.fmt(f),
        }
    }
}
