//! A topic: a channel of encoded frames that any number of sessions follow.
//!
//! One ring holds the last frames for all of them, and each has a place in it. Beside the ring stand those who have
//! read all that there is and wait for more. [`Topic::publish`] wakes them all, unless there is a [`Herald`], which
//! wakes some at a time.

use super::{Owner, Stamp, wait};
use crate::engineio::Frame;
use slab::Slab;
use smallvec::SmallVec;
use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
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
    ring: Arc<Ring>,
}

/// Brings a receiver that lagged behind the ring back to the truth.
pub trait Repair: Send + Sync {
    /// A new subscription that starts with what makes the receiver's view right again.
    ///
    /// It may begin at a [`Moment`] that is [recent](Topic::is_recent): then many who lag behind, on a server that has
    /// more to tell than it can, share one opening in place of one each.
    fn repair(self: Arc<Self>) -> Subscription;
}

/// A place between two frames of a topic, and in the order of all frames.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    stamp: Stamp,
    /// The number of the frame behind it.
    next: u64,
}

/// What a topic shares with those who follow it.
struct Ring {
    state: Mutex<State>,
    /// How many frames it holds at most.
    capacity: usize,
}

#[derive(Default)]
struct State {
    /// The last frames, without a gap, the oldest first.
    frames: VecDeque<Published>,
    /// How many there were ever, so the number of the next.
    published: u64,
    receivers: Slab<Waiting>,
    /// The topic is gone: nothing will be published any more.
    ended: bool,
    /// A herald wakes the receivers.
    heralded: bool,
    /// The herald's task, while it waits for something to be published.
    herald: Option<Waker>,
}

/// A receiver that waits, or does not just now.
#[derive(Default)]
struct Waiting {
    waker: Option<Waker>,
    /// The number of the frame that it waits for.
    next: u64,
}

/// How many receivers are woken at a time: as many as a scheduler runs between two looks at what has arrived.
const SOME: usize = 64;

impl Topic {
    /// A topic whose ring holds `ring` frames.
    pub fn new(ring: usize) -> Self {
        Self {
            ring: Arc::new(Ring {
                state: Mutex::default(),
                capacity: ring,
            }),
        }
    }

    /// Hands a frame to every subscription.
    pub fn publish(&self, frame: Frame) {
        self.publish_about(Key::default(), frame);
    }

    /// The same, with what it is about.
    pub fn publish_about(&self, key: Key, frame: Frame) {
        let mut state = self.ring.lock();
        if state.frames.len() >= self.ring.capacity {
            state.frames.pop_front();
        }
        // Under the lock: the order of stamps is the order of the ring.
        state.frames.push_back(Published {
            stamp: Stamp::next(),
            key,
            frame,
        });
        state.published += 1;
        if state.heralded {
            let herald = state.herald.take();
            drop(state);
            herald.into_iter().for_each(Waker::wake);
        } else {
            drop(state);
            self.ring.wake_all();
        }
    }

    /// Behind all that was published, and before all that will be.
    pub fn moment(&self) -> Moment {
        let state = self.ring.lock();
        Moment {
            stamp: Stamp::next(),
            next: state.published,
        }
    }

    /// Whether so little was published since `moment`, half a ring at most, that one who follows the topic from there
    /// on will not soon have lagged behind.
    pub fn is_recent(&self, moment: Moment) -> bool {
        let since = self.ring.lock().published - moment.next;
        usize::try_from(since).is_ok_and(|since| since <= self.ring.capacity / 2)
    }

    /// Follows the topic from here on: first `opening`, if there is one, then all that is published after this call.
    ///
    /// Call it under the lock under which the topic's frames are made, and the opening is exactly
    /// what the frames that follow build upon.
    pub fn subscribe(&self, opening: Option<Frame>, repair: Arc<dyn Repair>) -> Subscription {
        self.subscribe_since(self.moment(), opening, repair)
    }

    /// The same from `moment` on.
    pub fn subscribe_since(
        &self,
        moment: Moment,
        opening: Option<Frame>,
        repair: Arc<dyn Repair>,
    ) -> Subscription {
        let receiver = Receiver {
            next: moment.next,
            place: self.ring.lock().receivers.insert(Waiting::default()),
            ring: Arc::clone(&self.ring),
        };
        Subscription {
            head: opening.map(|frame| (moment.stamp, frame)),
            receiver,
            repair,
            owner: Owner::default(),
            only: None,
        }
    }

    /// From now on receivers are woken by a herald alone. A topic has one at most.
    pub fn herald(&self) -> Herald<'_> {
        let mut state = self.ring.lock();
        state.heralded = true;
        Herald {
            ring: &self.ring,
            told: state.published,
            place: None,
        }
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        self.ring.lock().ended = true;
        self.ring.wake_all();
    }
}

/// Wakes a topic's receivers, some at a time.
///
/// Whoever speaks while it is at it is heard before the rest are woken, if the herald's task lets others go first after
/// each [`Herald::wake_some`]. So of many changes at once nearly all reach nearly everyone in one piece. When it is
/// dropped, [`Topic::publish`] wakes everyone itself again.
pub struct Herald<'a> {
    ring: &'a Ring,
    /// How many frames were published when this round began.
    told: u64,
    /// Whom it has come to in this round; none: it is over.
    place: Option<usize>,
}

impl Herald<'_> {
    /// Ready when there is something to tell: frames were published since the last round began, or it is not over.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.ring.lock();
        if state.published != self.told {
            self.told = state.published;
            self.place = Some(0);
        } else if self.place.is_none() {
            wait(&mut state.herald, context);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Wakes some of those who wait and have not read all that there is. Whether there may be more of them in this
    /// round.
    pub fn wake_some(&mut self) -> bool {
        let Some(place) = self.place else {
            return false;
        };
        let (wakers, place) = self.ring.lock().take_wakers(place);
        self.place = (wakers.len() == SOME).then_some(place);
        wakers.into_iter().for_each(Waker::wake);
        self.place.is_some()
    }
}

impl Drop for Herald<'_> {
    fn drop(&mut self) {
        let mut state = self.ring.lock();
        state.heralded = false;
        state.herald = None;
        drop(state);
        self.ring.wake_all();
    }
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and a half-published frame is impossible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait and have something to do.
    fn wake_all(&self) {
        let mut place = 0;
        loop {
            // Woken without the lock: what a waker does is not for us to know.
            let (wakers, next) = self.lock().take_wakers(place);
            place = next;
            let may_be_more = wakers.len() == SOME;
            wakers.into_iter().for_each(Waker::wake);
            if !may_be_more {
                return;
            }
        }
    }
}

impl State {
    /// The wakers of some who wait and have something to do, from a place on, and the place to go on at.
    fn take_wakers(&mut self, mut place: usize) -> (SmallVec<[Waker; SOME]>, usize) {
        let mut wakers = SmallVec::new();
        // A place that is free now is not the end, and none lies behind the capacity.
        while wakers.len() < SOME && place < self.receivers.capacity() {
            if let Some(waiting) = self.receivers.get_mut(place)
                && (waiting.next < self.published || self.ended)
            {
                wakers.extend(waiting.waker.take());
            }
            place += 1;
        }
        (wakers, place)
    }

    /// The frame of that number; none if it is not there yet, or [`Lagged`] if it is not there any more.
    fn frame(&self, number: u64) -> Option<Result<&Published, Lagged>> {
        let behind = usize::try_from(self.published - number).unwrap_or(usize::MAX);
        if behind == 0 {
            return None;
        }
        let place = self.frames.len().checked_sub(behind);
        Some(place.and_then(|place| self.frames.get(place)).ok_or(Lagged))
    }
}

/// The ring has overwritten frames that this receiver had not read yet.
struct Lagged;

/// A place in the ring.
struct Receiver {
    ring: Arc<Ring>,
    /// The number of the frame to be read next.
    next: u64,
    /// Where it waits.
    place: usize,
}

impl Receiver {
    /// The next frame. `Ready(None)`: the topic is gone, and all is read.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Published, Lagged>>> {
        let mut state = self.ring.lock();
        if let Some(frame) = state.frame(self.next) {
            self.next += 1;
            return Poll::Ready(Some(frame.cloned()));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if let Some(waiting) = state.receivers.get_mut(self.place) {
            waiting.next = self.next;
            wait(&mut waiting.waker, context);
        }
        Poll::Pending
    }

    /// Whether the topic is gone, and all is read.
    fn has_ended(&self) -> bool {
        let state = self.ring.lock();
        state.ended && self.next == state.published
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Dropped without the lock: it may be the last that holds a task.
        let _waiting = self.ring.lock().receivers.try_remove(self.place);
    }
}

/// One session's place in a topic.
pub struct Subscription {
    /// The oldest frame that is not handed on yet; looking at its stamp must not lose it.
    head: Option<(Stamp, Frame)>,
    receiver: Receiver,
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
        mem::size_of::<Self>() + mem::size_of::<Waiting>() + opening + only
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
            match self.receiver.poll_next(context) {
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
        self.head.is_none() && self.receiver.has_ended()
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
