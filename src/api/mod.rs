//! The HTTP side of the daemon, in GameVault's shapes.
//!
//! * `route`: every path. [`Api`]: who answers it; the [`Handler`](crate::server::Handler) of the daemon.
//! * `authenticate`: who asks, by key, by password or by one of GameVault's [`Tokens`]; also the [`Admission`](crate::server::Admission) of
//!   Socket.IO sessions.
//! * `users`, `status`, [`Activities`], [`Streams`], [`Connected`]: the answers; `body`: what some requests bring.
//! * [`Monitoring`]: what watches over the server; [`Metrics`], among them those of the `process`, written down by `exposition`.
//! * `documents`: what all this is, and the events, for people and for programs.
//! * `page`: what people see at `/`.
//! * `error`: what a person sees when there is none.

mod activities;
mod authenticate;
mod body;
mod documents;
mod error;
mod exposition;
mod hmac;
mod metrics;
mod monitoring;
mod page;
mod process;
mod route;
mod router;
mod sessions;
mod status;
mod streams;
mod tokens;
mod users;

pub use activities::Activities;
pub use authenticate::Authenticator;
pub use metrics::{Metrics, Online};
pub use monitoring::Monitoring;
pub use router::{Api, SocketIoEngine};
pub use sessions::Connected;
pub use streams::Streams;
pub use tokens::{BadToken, Tokens};
