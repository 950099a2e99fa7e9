//! The merge: what a session's task pulls its work from.

use super::{Held, Inbox, Order, Owner, Stamp, Subscription, inbox::Front};
use crate::engineio::{CloseReason, Frame};
use smallvec::SmallVec;
use std::{
    sync::Arc,
    task::{Context, Poll},
};

/// All that waits for one session, private and public, in one order. Owned by the session's task.
pub struct Outbound {
    inbox: Arc<Inbox>,
    /// When the inbox was last seen empty: no private order can turn up any more that is older than this,
    /// so public frames that are may go.
    horizon: Stamp,
    /// Nearly every session has exactly one, and finds it here when it wakes up.
    subscriptions: SmallVec<[Subscription; 1]>,
    /// Frames that go out in one piece, and how many of them are gone. Boxed, because hardly ever are there any.
    amid: Option<Box<(Arc<[Frame]>, usize)>>,
    /// What the inbox has been told of the client.
    blocked: bool,
}

/// What the session has to do next.
#[derive(Debug)]
pub enum Delivery {
    /// Send this frame.
    Frame(Frame),
    /// End the session. Nothing follows.
    Close(CloseReason),
}

impl Outbound {
    /// The session's end of `inbox`.
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self {
            inbox,
            horizon: Stamp::next(),
            subscriptions: SmallVec::new(),
            amid: None,
            blocked: false,
        }
    }

    /// The next thing to do, oldest first. `Pending`: nothing waits, and the task is woken when something does.
    ///
    /// # Cancel safety
    /// Nothing is lost when the result is not awaited to the end: what was looked at stays.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if let Some(frame) = self.next_amid() {
                return Poll::Ready(Delivery::Frame(frame));
            }
            // As long as there are any, nobody has to ask the inbox, which others hold locks on.
            if let Some(frame) = self.public_before(self.horizon, context) {
                return Poll::Ready(Delivery::Frame(frame));
            }
            match self.inbox.front(context) {
                Front::Order(stamp) => {
                    if let Some(frame) = self.public_before(stamp, context) {
                        return Poll::Ready(Delivery::Frame(frame));
                    }
                    match self.inbox.pop() {
                        Some(Order::Send(frame)) => return Poll::Ready(Delivery::Frame(frame)),
                        Some(Order::SendAll(frames)) => self.amid = Some(Box::new((frames, 0))),
                        Some(Order::Follow(subscription)) => self.subscriptions.push(*subscription),
                        Some(Order::Unfollow(owner)) => self.unfollow(owner),
                        Some(Order::Close(reason)) => return Poll::Ready(Delivery::Close(reason)),
                        None => {}
                    }
                }
                Front::Nothing(horizon) => {
                    self.horizon = horizon;
                    // What the topics have shown so far was too new for the old horizon.
                    if !self.subscriptions.iter().any(Subscription::has_seen) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// For a session whose client takes nothing: waits for an order to close, which must not wait behind
    /// what the client does not take.
    ///
    /// # Cancel safety
    /// As [`Outbound::poll_next`].
    pub fn poll_close(&self, context: &mut Context<'_>) -> Poll<CloseReason> {
        self.inbox.poll_close(context)
    }

    /// So many bytes of what was taken from here wait elsewhere, for as long as what is returned is kept.
    pub fn hold(&self, bytes: usize) -> Held {
        Held::new(Arc::clone(&self.inbox), bytes)
    }

    /// Whether something is kept in that way.
    pub fn has_held(&self) -> bool {
        self.inbox.has_held()
    }

    /// Whether something was kept, and is not any more, since this was asked last. The task is woken for it.
    pub fn take_released(&self) -> bool {
        self.inbox.take_released()
    }

    /// Whether the session was told to close, be it behind what still waits.
    pub fn is_closing(&self) -> bool {
        self.inbox.is_closing()
    }

    /// Whether so much waits for this client alone that it should not be allowed to ask for more.
    pub fn is_half_full(&self) -> bool {
        self.inbox.is_half_full()
    }

    /// Whether the next frame belongs to the last, so that nothing may get between them.
    pub fn is_amid(&self) -> bool {
        self.amid.is_some()
    }

    /// Notes whether the client takes nothing just now, for those who would rather drop than wait.
    pub fn note_blocked(&mut self, blocked: bool) {
        if blocked != self.blocked {
            self.blocked = blocked;
            self.inbox.set_blocked(blocked);
        }
    }

    fn next_amid(&mut self) -> Option<Frame> {
        let (frames, gone) = &mut **self.amid.as_mut()?;
        let frame = frames.get(*gone).cloned();
        *gone += 1;
        if *gone >= frames.len() {
            self.amid = None;
        }
        frame
    }

    fn unfollow(&mut self, owner: Owner) {
        self.subscriptions
            .retain(|subscription| subscription.owner() != owner);
    }

    /// The oldest public frame that is older than `limit`.
    fn public_before(&mut self, limit: Stamp, context: &mut Context<'_>) -> Option<Frame> {
        let mut oldest: Option<(Stamp, &mut Subscription)> = None;
        let mut ended = false;
        for subscription in &mut self.subscriptions {
            match subscription.poll_stamp(context) {
                Poll::Ready(Some(stamp)) => {
                    if stamp < oldest.as_ref().map_or(limit, |(stamp, _)| *stamp) {
                        oldest = Some((stamp, subscription));
                    }
                }
                Poll::Ready(None) => ended = true,
                Poll::Pending => {}
            }
        }
        let frame = oldest.and_then(|(_, subscription)| subscription.take());
        if ended {
            self.subscriptions
                .retain(|subscription| !subscription.has_ended());
        }
        frame
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        // Handles to the session may live on: what they push now must not pile up.
        self.inbox.close();
    }
}
