//! Socket.IO v5 on Engine.IO: namespaces, events, acks, rooms; and v4, which Engine.IO 3 carries.
//!
//! Pure like [`crate::engineio`]: messages in, frames out, no IO and no clock.
//!
//! A program implements [`Namespace`], which lets clients in and is told what its [`Socket`]s do, and hands it to a
//! [`SocketIo`], which is an [`Application`](crate::engineio::Application) of Engine.IO.
//!
//! * [`Packet`]: what a message says. Attachments follow it, and stand in its JSON as placeholders.
//! * [`Client`]: the rules of one connection.
//! * [`Event`] and its [`Arguments`], [`Ack`]: what clients say, and how to answer. [`Reply`], [`Replies`], [`Answer`]:
//!   what they answer themselves.
//! * [`Sockets`], [`Broadcast`]: who is in a namespace or a room, and how to tell all of them.
//! * [`Recovery`]: how a client that lost its connection gets its socket back.
//! * [`encode`]: from values to an [`Encoded`] packet, once for all receivers.

mod ack;
mod arguments;
mod assembly;
mod broadcast;
mod client;
pub mod encode;
mod event;
#[cfg(feature = "daemon")]
mod fields;
mod membership;
mod namespace;
mod packet;
mod place;
mod placeholder;
mod recovery;
mod socket;
mod socket_io;
mod sockets;

pub use ack::{Ack, Disconnected, Replies, Reply};
pub use arguments::{Answer, ArgumentError, Arguments};
pub use broadcast::Broadcast;
pub use client::{Client, Violation};
pub use encode::{Args, EncodeError, Encoded};
pub use event::Event;
#[cfg(feature = "daemon")]
pub(crate) use fields::{Name, fields, whole};
pub use namespace::{Auth, AuthError, DisconnectReason, Namespace, Refused};
pub use packet::{AckId, Body, Call, MAX_ATTACHMENTS, Packet, PacketError};
pub use recovery::Recovery;
pub use socket::{Socket, SocketId};
pub use socket_io::{Builder, Settings, SocketIo};
pub use sockets::Sockets;
