//! Presence: who is online, busy or playing, told to everyone at once.
//!
//! * [`Activity`]: what is told of a user. [`Report`]: what a client says of itself.
//! * [`Roster`]: what follows from all reports together. Pure.
//! * [`Hub`]: the roster under a mutex, and the broadcast channel on which its changes go out.
//! * [`Gateway`]: GameVault's events, answered; the [`Namespace`](crate::socketio::Namespace) of the daemon.

mod activity;
mod gateway;
mod hub;
mod report;
mod roster;

pub use activity::{Activity, State};
pub use gateway::Gateway;
pub use hub::Hub;
pub use report::{BadReport, Report};
pub use roster::{Change, Roster};
