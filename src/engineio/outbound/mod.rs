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

mod budget;
mod held;
mod inbox;
mod merge;
mod stamp;
mod topic;

use std::task::{Context, Waker};

pub use budget::Budget;
pub use held::Held;
pub use inbox::{Inbox, LITTLE, Order, Owner};
pub use merge::{Delivery, Outbound};
pub use stamp::Stamp;
pub use topic::{Herald, Key, Moment, Repair, Subscription, Topic};

/// Has the task woken that waits.
fn wait(waker: &mut Option<Waker>, context: &Context<'_>) {
    // Nearly always it is there already, because something else woke the task.
    match waker {
        Some(waker) => waker.clone_from(context.waker()),
        waker => *waker = Some(context.waker().clone()),
    }
}
