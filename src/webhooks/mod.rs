//! Webhooks: each change of an activity, POSTed to another server.
//!
//! A change's way, file by file:
//!
//! * `delivery`: [`Webhooks`], the hub's [`Observer`](crate::presence::Observer), and the one task that delivers.
//! * `queue`: what waits: of each user the newest state, and whose turn it is. Pure.
//! * `target`: the other server: a connection that is kept, and what is said on it. `tls` encrypts it.
//! * `signature`: by which the target knows that it is we who speak, as Standard Webhooks does it.
//! * `verdict`: what the target's answer means.
//! * [`Pace`]: all limits, and how long to wait before the next try.
//!
//! A build without the feature has `src/no_webhooks.rs` instead.

mod delivery;
mod pace;
mod queue;
mod signature;
mod target;
mod tls;
mod verdict;

pub use delivery::Webhooks;
pub use pace::Pace;
pub use tls::TlsError;
