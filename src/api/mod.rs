//! The HTTP side of the daemon, in GameVault's shapes.
//!
//! * [`Api`]: every path, and who answers it; the [`Handler`](crate::server::Handler) of the daemon.
//! * `authenticate`: who asks, by key or by password; also the [`Admission`](crate::server::Admission) of
//!   Socket.IO sessions.
//! * `users`, `status`: the answers.
//! * `error`: what a person sees when there is none.

mod authenticate;
mod error;
mod router;
mod status;
mod users;

pub use authenticate::Authenticator;
pub use router::{Api, SocketIoEngine};
