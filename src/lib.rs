//! Rollcall: who is online, busy or playing, told to everyone at once.
//!
//! A presence server that speaks GameVault's activity gateway over Socket.IO, and underneath it an
//! Engine.IO / Socket.IO server written from the protocol documents on raw WebSockets, which other programs
//! can use: `default-features = false` leaves the daemon out, and compression. `docs/library.md` shows how, from a chat in
//! 30 lines on; [`socketio::Namespace`] is what a program implements.
//!
//! # Layout
//!
//! From the socket up, each knowing only what stands above it in this list's protocols:
//!
//! * [`server`]: tokio, hyper, tungstenite. Accepts, shakes hands, and drives one task a session.
//! * [`engineio`]: Engine.IO v4, pure. Packets, heartbeat, and [`engineio::outbound`], the way back to a client.
//! * [`socketio`]: Socket.IO v5, pure. Packets, sockets, events, acks.
//!
//! The daemon stands on these:
//!
//! * [`presence`]: what everyone does, and who is told.
//! * [`webhooks`]: another server that is told, in builds with that feature.
//! * [`users`]: who may come in.
//! * [`api`]: the HTTP answers, and who asks.
//! * [`config`], [`cli`], [`logger`]: how an operator speaks with it; [`client`]: how the command line speaks with a server.
//! * [`https`], [`notify`]: the certificate, and the service manager.
//! * [`daemon`]: all of it put together.
//!
//! # Reading it
//!
//! To follow one `set-activity` from the TCP connection to everyone's sockets, read
//! `server/listener.rs`, `server/engine.rs`, `server/driver.rs`, `socketio/client.rs`,
//! `presence/gateway.rs`, `presence/hub.rs`, `engineio/outbound/topic.rs`, and `server/driver.rs` again.
//! `docs/architecture.md` tells the story.

pub mod engineio;
pub mod server;
pub mod socketio;

#[cfg(feature = "daemon")]
pub mod api;
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod client;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "daemon")]
pub mod https;
#[cfg(feature = "daemon")]
pub mod logger;
#[cfg(feature = "daemon")]
pub mod notify;
#[cfg(feature = "daemon")]
pub mod presence;
#[cfg(feature = "daemon")]
pub mod users;
#[cfg(feature = "daemon")]
#[cfg_attr(not(feature = "webhooks"), path = "no_webhooks.rs")]
pub mod webhooks;
