//! What a program does with its sockets.

use super::{Event, Socket};
use crate::engineio::CloseReason;
use std::fmt;

/// A program's side of a namespace: it is told what its sockets do.
///
/// The calls for one socket come one after another from its session's task, first `on_connect`, last
/// `on_disconnect`, each exactly once. They must not block: a handler that has to wait clones the socket
/// and spawns.
pub trait Namespace: Send + Sync + 'static {
    /// Whom the admission finds at the other end of a session.
    type Identity: Send + Sync + 'static;

    /// A client has joined; its CONNECT is answered already.
    fn on_connect(&self, socket: &Socket<Self::Identity>);

    /// A client sent an event.
    fn on_event(&self, socket: &Socket<Self::Identity>, event: Event<'_>);

    /// The client is gone from the namespace.
    fn on_disconnect(&self, socket: &Socket<Self::Identity>, reason: DisconnectReason);
}

/// Why a socket is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client left the namespace by a DISCONNECT packet.
    ClientLeft,
    /// Its session ended.
    SessionClosed(CloseReason),
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientLeft => f.write_str("client namespace disconnect"),
            Self::SessionClosed(reason) => reason.fmt(f),
        }
    }
}
