//! A topic: a broadcast channel of encoded frames that any number of sessions follow.

use super::{Owner, Stamp};
use crate::engineio::Frame;
use futures_util::stream::{self, FusedStream};
use std::{
    collections::HashSet,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::unconstrained,
};

/// A frame on its way through a topic.
#[derive(Clone)]
struct Published {
    stamp: Stamp,
    key: Key,
    frame: Frame,
}

/// What a frame is about, for subscriptions that are [`only`](Subscription::only) about some things. The numbers are
/// the topic's to choose.
pub type Key = u64;

/// A public channel: what is published on it reaches every [`Subscription`].
///
/// The ring holds the last so many frames for all receivers together. One that falls further behind is
/// not dropped, it is repaired: see [`Repair`].
pub struct Topic {
    /// The lock makes the order of stamps the order of the ring.
    sender: Mutex<broadcast::Sender<Published>>,
}

/// Brings a receiver that lagged behind the ring back to the truth.
pub trait Repair: Send + Sync {
    /// A new subscription that starts with what makes the receiver's view right again.
    ///
    /// The implementation holds the lock under which the topic's frames are made, so nothing falls between
    /// the snapshot and the frames that follow it.
    fn repair(self: Arc<Self>) -> Subscription;
}

impl Topic {
    /// A topic whose ring holds at least `ring` frames.
    ///
    /// # Panics
    /// If `ring` is zero or above `usize::MAX / 2`.
    pub fn new(ring: usize) -> Self {
        Self {
            sender: Mutex::new(broadcast::Sender::new(ring)),
        }
    }

    /// Hands a frame to every subscription. Without any, it is dropped.
    pub fn publish(&self, frame: Frame) {
        self.publish_about(Key::default(), frame);
    }

    /// The same, with what it is about.
    pub fn publish_about(&self, key: Key, frame: Frame) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // An error says that nobody listens, which is no error here.
        let _nobody = sender.send(Published {
            stamp: Stamp::next(),
            key,
            frame,
        });
    }

    /// Follows the topic from here on: first `opening`, if there is one, then all that is published after this call.
    ///
    /// Call it under the lock under which the topic's frames are made, and the opening is exactly
    /// what the frames that follow build upon.
    pub fn subscribe(&self, opening: Option<Frame>, repair: Arc<dyn Repair>) -> Subscription {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription {
            head: opening.map(|frame| (Stamp::next(), frame)),
            ring: Box::pin(receive(sender.subscribe())),
            repair,
            owner: Owner::default(),
            only: None,
        }
    }
}

/// The receiver as a stream. It ends with the topic.
fn receive(
    receiver: broadcast::Receiver<Published>,
) -> impl FusedStream<Item = Result<Published, Lagged>> {
    stream::unfold(receiver, |mut receiver| async {
        // Not subject to the runtime's budget: a frame that is there but not shown would be overtaken by
        // private ones. The session's task has bounds of its own.
        match unconstrained(receiver.recv()).await {
            Ok(published) => Some((Ok(published), receiver)),
            Err(RecvError::Lagged(_)) => Some((Err(Lagged), receiver)),
            Err(RecvError::Closed) => None,
        }
    })
}

/// The ring has overwritten frames that this receiver had not read yet.
struct Lagged;

/// One session's place in a topic.
pub struct Subscription {
    /// The oldest frame that is not handed on yet; looking at its stamp must not lose it.
    head: Option<(Stamp, Frame)>,
    /// Boxed, because the future that waits in it must not move.
    ring: Pin<Box<dyn FusedStream<Item = Result<Published, Lagged>> + Send>>,
    repair: Arc<dyn Repair>,
    owner: Owner,
    /// What it is about; none: everything.
    only: Option<Arc<HashSet<Key>>>,
}

impl Subscription {
    /// The same for frames about these alone. The opening is its maker's affair, and so is a [`Repair`].
    pub fn only(self, keys: Arc<HashSet<Key>>) -> Self {
        Self {
            only: Some(keys),
            ..self
        }
    }

    /// The same for an owner, who can end it by [`Order::Unfollow`](super::Order::Unfollow).
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// How many bytes it holds while it waits to be followed. Of an opening that others share it may soon be the last
    /// holder, so that counts as well; what is in the ring is never its own.
    pub(super) fn cost(&self) -> usize {
        let opening = self
            .head
            .as_ref()
            .map_or(0, |(_, frame)| frame.bytes().len());
        // A hash table keeps an eighth of its places free, and a byte beside each.
        let only = self.only.as_ref().map_or(0, |keys| {
            (keys.capacity() + keys.capacity() / 7) * (mem::size_of::<Key>() + 1)
        });
        mem::size_of::<Self>() + mem::size_of_val(&*self.ring) + opening + only
    }

    /// The stamp of the next frame. `Ready(None)`: the topic is gone.
    ///
    /// # Cancel safety
    /// A frame that was seen stays until [`Subscription::take`].
    pub(super) fn poll_stamp(&mut self, context: &mut Context<'_>) -> Poll<Option<Stamp>> {
        loop {
            if let Some((stamp, _)) = &self.head {
                return Poll::Ready(Some(*stamp));
            }
            match self.ring.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(published))) => {
                    if self.is_about(published.key) {
                        self.head = Some((published.stamp, published.frame));
                    }
                }
                Poll::Ready(Some(Err(Lagged))) => {
                    *self = Arc::clone(&self.repair).repair().owned_by(self.owner);
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the topic is gone, and all that it brought is taken.
    pub(super) fn has_ended(&self) -> bool {
        self.head.is_none() && self.ring.is_terminated()
    }

    /// Whether a frame was seen that nobody took.
    pub(super) fn has_seen(&self) -> bool {
        self.head.is_some()
    }

    /// The frame whose stamp was shown last.
    pub(super) fn take(&mut self) -> Option<Frame> {
        self.head.take().map(|(_, frame)| frame)
    }

    fn is_about(&self, key: Key) -> bool {
        self.only.as_ref().is_none_or(|keys| keys.contains(&key))
    }
}
