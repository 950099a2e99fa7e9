//! Socket.IO v5 on Engine.IO: namespaces, events, acks.
//!
//! Pure like [`crate::engineio`]: messages in, frames out, no IO and no clock.
//!
//! * [`Packet`]: what a message says.
//! * [`SocketIo`] and its [`Client`]: the rules of one connection; an [`Application`](crate::engineio::Application)
//!   of Engine.IO.
//! * [`Namespace`]: what a program implements to be told what its [`Socket`]s do.
//! * [`Event`], [`Ack`]: what clients say, and how to answer.
//! * [`encode`]: from a value to a [`Frame`](crate::engineio::Frame), once for all receivers.

mod client;
pub mod encode;
mod event;
mod namespace;
mod packet;
mod socket;

pub use client::{Client, SocketIo, Violation};
pub use encode::EncodeError;
pub use event::{Arguments, Event};
pub use namespace::{DisconnectReason, Namespace};
pub use packet::{AckId, Body, Call, MAX_ATTACHMENTS, Packet, PacketError};
pub use socket::{Ack, Socket, SocketId};
