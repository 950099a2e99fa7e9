//! The client: another server is asked, over HTTP and over Socket.IO, for the commands that do that.
//!
//! From the socket up, each on the one before it:
//!
//! * [`Server`]: which one, and by which key. [`Fault`]: why nothing came of it.
//! * `dial`: a connection to it, on which nothing takes longer than it may; `tls` encrypts it, in builds that can.
//! * `http`: [`Request`], [`Exchange`], [`Answer`]: one request, on a connection of its own. [`Object`]: what is in JSON.
//! * [`WebSocket`]: the handshake from the other side, and tungstenite behind it.
//! * [`Session`]: Engine.IO, on either transport. [`Socket`]: Socket.IO, joined to the namespace `/`.
//!
//! It blocks: who uses it waits for one thing at a time. Packets are [`crate::engineio`]'s and [`crate::socketio`]'s own; a
//! peer's bytes are limited here as there.

mod dial;
mod fault;
mod http;
mod json;
mod server;
mod session;
mod socket;
#[cfg_attr(not(feature = "webhooks"), path = "no_tls.rs")]
mod tls;
mod websocket;

pub use dial::{first_bytes, touch};
pub use fault::Fault;
pub use http::{Answer, Exchange, Request, exchange};
pub use json::{Object, elements};
pub use server::{BadKey, BadUrl, Server};
pub use session::{Opening, Session, Via};
pub use socket::{Event, NoSocket, Socket};
pub use tls::IS_BUILT as HAS_TLS;
#[cfg(feature = "webhooks")]
pub use tls::{NoTrust, trust_of_the_system};
pub use websocket::{Opened, WebSocket};
