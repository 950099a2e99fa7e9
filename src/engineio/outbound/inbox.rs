//! The inbox: what is meant for one session alone.

use super::{Stamp, Subscription};
use crate::engineio::{CloseReason, Frame};
use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

/// What a session is told to do.
pub enum Order {
    /// Send this frame.
    Send(Frame),
    /// Send what this subscription brings, from now on.
    Follow(Subscription),
    /// Follow nothing any more. What the subscriptions brought before is sent first.
    Unfollow,
    /// End the session. What was ordered before is sent first, as far as the client takes it.
    Close(CloseReason),
}

/// Where anyone leaves orders for one session. It uses no heap while it is empty.
///
/// Bounded: a client that makes more work than it takes is closed with [`CloseReason::Overflow`].
pub struct Inbox {
    state: Mutex<State>,
    /// How many bytes of frames may wait.
    capacity: usize,
}

#[derive(Default)]
struct State {
    orders: VecDeque<(Stamp, Order)>,
    /// Bytes of the frames in `orders`.
    bytes: usize,
    /// The session's task, while it waits. Written by [`Inbox::take`], taken by whoever gives an order.
    waker: Option<Waker>,
    /// No order is taken any more: the session was told to close, or is gone.
    closed: bool,
}

/// What an order costs beside its bytes, so that a flood of tiny ones is bounded too.
const ORDER_BYTES: usize = mem::size_of::<(Stamp, Order)>();

impl Inbox {
    /// An empty inbox in which at most `capacity` bytes may wait.
    pub fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            capacity,
        }
    }

    /// Leaves an order and wakes the session. After [`Order::Close`], or when the session is gone, further
    /// orders are dropped: there is nobody left to send to.
    pub fn push(&self, order: Order) {
        let waker = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            state.bytes += ORDER_BYTES + order.bytes();
            if matches!(order, Order::Close(_)) {
                state.closed = true;
            }
            if state.bytes > self.capacity {
                // What waits is given up at once: the client did not take it, and others need the memory.
                state.orders = VecDeque::new();
                state.closed = true;
                state
                    .orders
                    .push_back((Stamp::next(), Order::Close(CloseReason::Overflow)));
            } else {
                state.orders.push_back((Stamp::next(), order));
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all orders, and the moment at which they were taken: whatever has an earlier stamp and is not
    /// among them went through a topic. If there are none, the next one wakes the task.
    pub(super) fn take(&self, context: &mut Context<'_>) -> (VecDeque<(Stamp, Order)>, Stamp) {
        let mut state = self.lock();
        if state.orders.is_empty() {
            state.waker = Some(context.waker().clone());
        }
        state.bytes = 0;
        (mem::take(&mut state.orders), Stamp::next())
    }

    /// Takes no order from now on, and forgets those that wait.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.orders = VecDeque::new();
        state.waker = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and a half-pushed order is impossible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    fn bytes(&self) -> usize {
        match self {
            Order::Send(frame) => frame.bytes().len(),
            Order::Follow(_) | Order::Unfollow | Order::Close(_) => 0,
        }
    }
}
