//! Presence: who is online, busy or playing, told to everyone at once.
//!
//! * [`Activity`]: what is told of a user. [`Report`]: what a client says of itself. [`Interest`]: of whom it wants to
//!   be told.
//! * [`Roster`]: what follows from all reports together, from sockets, lost ones and leases (`device`), and how fast it
//!   is told ([`Rate`]). Pure.
//! * [`Hub`]: the roster under a mutex, and the topic on which its changes go out. `clock` tells it the time.
//!   An [`Observer`] hears of them within the program.
//! * [`Lease`]: what is said without a socket. `feed`, [`Reader`], [`Mark`]: what is read without one.
//! * [`ClientEvent`], [`ServerEvent`]: the events. `answer`: what some of them are answered.
//! * [`Keeper`]: what outlives the server, in files beside that of the users, by a [`Claim`] that one server has at a time.
//! * [`Gateway`]: GameVault's events, answered; the [`Namespace`](crate::socketio::Namespace) of the daemon, whose
//!   sockets are [`Player`]s, and whose sessions are a [`Visitor`]'s each; of those who have shown no key before it asks the
//!   [`Keys`]. [`Tally`]: what it and the hub have counted, with a [`Histogram`] of how long news takes.

mod activity;
mod answer;
mod claim;
mod clock;
mod device;
mod events;
mod feed;
mod gateway;
mod histogram;
mod hub;
mod interest;
mod keeper;
mod keys;
mod lease;
mod observer;
mod player;
mod rate;
mod report;
mod roster;
mod snapshot;
mod tally;
mod visitor;

pub use activity::{Activity, Doing, Published, State};
pub use answer::{Accepted, Done, Exception, MAX_ECHO_BYTES, Place, Rejected};
pub use claim::{Claim, ClaimError};
pub use events::{ClientEvent, ServerEvent};
pub use feed::{Mark, NoMark, Reader};
pub use gateway::Gateway;
pub use histogram::{Distribution, Histogram};
pub use hub::Hub;
pub use interest::{BadInterest, Interest, MAX_WATCHED};
pub use keeper::{Intervals, Keeper};
pub use keys::{Entering, Keys};
pub use lease::{BadLease, Lease, MAX_TTL_SECONDS};
pub use observer::Observer;
pub use player::Player;
pub use rate::Rate;
pub use report::{BadReport, MAX_DETAILS, MAX_GAME_ID, MAX_NESTING, Report};
pub use roster::{Change, Now, Roster, Rules};
pub use tally::Tally;
pub use visitor::Visitor;
