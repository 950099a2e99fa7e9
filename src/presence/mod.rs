//! Presence: who is online, busy or playing, told to everyone at once.
//!
//! * [`Activity`]: what is told of a user. [`Report`]: what a client says of itself. [`Interest`]: of whom it wants to
//!   be told.
//! * [`Roster`]: what follows from all reports together, from sockets, lost ones and leases (`device`), and how fast it
//!   is told ([`Rate`]). Pure.
//! * [`Hub`]: the roster under a mutex, and the topic on which its changes go out. `clock` tells it the time.
//!   An [`Observer`] hears of them within the program.
//! * [`Lease`]: what is said without a socket. `feed`, [`Reader`], [`Mark`]: what is read without one.
//! * [`Keeper`]: what outlives the server, in files beside that of the users, by a [`Claim`] that one server has at a time.
//! * [`Gateway`]: GameVault's events, answered; the [`Namespace`](crate::socketio::Namespace) of the daemon, whose
//!   sockets are [`Player`]s.

mod activity;
mod claim;
mod clock;
mod device;
mod feed;
mod gateway;
mod hub;
mod interest;
mod keeper;
mod lease;
mod observer;
mod player;
mod rate;
mod report;
mod roster;

pub use activity::{Activity, Doing, Published, State};
pub use claim::{Claim, ClaimError};
pub use feed::{Mark, NoMark, Reader};
pub use gateway::Gateway;
pub use hub::Hub;
pub use interest::{BadInterest, Interest, MAX_WATCHED};
pub use keeper::{Intervals, Keeper};
pub use lease::{BadLease, Lease, MAX_TTL_SECONDS};
pub use observer::Observer;
pub use player::Player;
pub use rate::Rate;
pub use report::{BadReport, MAX_DETAILS, Report};
pub use roster::{Change, Now, Roster, Rules};
