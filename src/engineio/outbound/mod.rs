//! The outbound seam: the one way in which anything reaches a client.
//!
//! In come encoded [`Frame`](super::Frame)s, privately through a session's [`Inbox`] or publicly through a
//! [`Topic`]; out of the session's [`Outbound`] they come one by one, in one order. The session's task
//! ([`crate::server`]) pulls only when its transport can take more, so a slow client costs a topic's ring
//! and never a queue of its own.
//!
//! # The order
//!
//! Everything handed in gets a [`Stamp`], and `Outbound` merges by stamp: what happened first is sent
//! first, whichever way it went. The broadcast that a handler caused comes before the ack that it sent
//! afterwards, and a snapshot comes after all that it covers and before all that it does not.
//!
//! # Why tokio is here
//!
//! `tokio::sync::broadcast` is a data structure: it needs no runtime, does no IO and reads no clock, so the
//! core stays as pure as it claims to be. Nothing else of tokio is used, but for exempting the channel from
//! the scheduler's budget.

mod inbox;
mod merge;
mod stamp;
mod topic;

pub use inbox::{Inbox, Order, Owner};
pub use merge::{Delivery, Outbound};
pub use stamp::Stamp;
pub use topic::{Key, Repair, Subscription, Topic};
