//! The inbox: what is meant for one session alone.

use super::{Budget, Stamp, Subscription, wait};
use crate::engineio::{CloseReason, Frame};
use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// What a session is told to do.
pub enum Order {
    /// Send this frame.
    Send(Frame),
    /// Send these, with nothing between them.
    SendAll(Arc<[Frame]>),
    /// Send what this subscription brings, from now on.
    Follow(Box<Subscription>),
    /// Follow nothing any more that belongs to this owner. What it brought before is sent first.
    Unfollow(Owner),
    /// End the session. What was ordered before is sent first, as far as the client takes it.
    Close(CloseReason),
}

/// Who follows: one session may follow for several who know nothing of each other. The numbers are theirs to choose.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Owner(pub u32);

/// Where anyone leaves orders for one session. It uses no heap while it is empty.
///
/// Bounded: a client that makes more work than it takes is closed with [`CloseReason::Overflow`], or with
/// [`CloseReason::SharedOverflow`] if it is all together who do.
pub struct Inbox {
    state: Mutex<State>,
    /// Behind how many bytes something more may wait. So one order may go beyond, and whoever takes what it gets can be
    /// sent something of any size.
    capacity: usize,
    /// What may wait in this and others together.
    budget: Option<Arc<Budget>>,
    /// The session's handler has to look after something. Set before the order is pushed that wakes the session.
    alert: AtomicBool,
    /// Nothing is held any more that was. Set before the session is woken for it.
    released: AtomicBool,
}

/// What is next in an inbox.
pub(super) enum Front {
    /// The order with this stamp, which [`Inbox::pop`] takes.
    Order(Stamp),
    /// Nothing, and no order can turn up any more that is older than this.
    Nothing(Stamp),
}

#[derive(Default)]
struct State {
    orders: VecDeque<(Stamp, Order)>,
    /// Bytes of the frames in `orders`.
    bytes: usize,
    /// How many [`Held`](super::Held) there are of what has left.
    held: usize,
    /// The session's task, while it waits. Written when it finds nothing to do, taken by whoever gives an order.
    waker: Option<Waker>,
    /// No order is taken any more: the session was told to close, or is gone.
    closed: bool,
    /// The client takes nothing just now, as far as the session's task knows.
    blocked: bool,
}

/// What may wait for a client of whom nobody says that it does not take what it gets, in bytes.
pub const LITTLE: usize = 16 << 10;

/// What an order costs beside its bytes, so that a flood of tiny ones is bounded too.
const ORDER_BYTES: usize = mem::size_of::<(Stamp, Order)>();

impl Inbox {
    /// An empty inbox in which `capacity` bytes may wait, and one order more.
    pub fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            capacity,
            budget: None,
            alert: AtomicBool::new(false),
            released: AtomicBool::new(false),
        }
    }

    /// The same with a share in `budget`. When more waits than that has room for, a client for whom more than
    /// [`LITTLE`] waits is closed as if it were too much for this inbox: it is of those who do not take what they get.
    pub fn with_budget(self, budget: Arc<Budget>) -> Self {
        Self {
            budget: Some(budget),
            ..self
        }
    }

    /// As [`Inbox::push`], for an order that the session's handler has to hear of as well, at once, whether or not the
    /// client takes anything.
    pub(crate) fn push_with_alert(&self, order: Order) {
        self.alert.store(true, Ordering::Release);
        self.push(order);
    }

    /// Whether there was an alert since this was asked last.
    pub(crate) fn take_alert(&self) -> bool {
        // Nearly always there is none, and looking is cheaper than taking.
        self.alert.load(Ordering::Relaxed) && self.alert.swap(false, Ordering::Acquire)
    }

    /// Leaves an order and wakes the session. After [`Order::Close`], or when the session is gone, further
    /// orders are dropped: there is nobody left to send to.
    pub fn push(&self, order: Order) {
        let waker = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            let is_last = matches!(order, Order::Close(_));
            let too_much = self.too_much(state.bytes).filter(|_| !is_last);
            if let Some(reason) = too_much {
                // What waits is given up at once: the client did not take it, and others need the memory.
                state.orders = VecDeque::new();
                self.subtract(&mut state, usize::MAX);
                state.closed = true;
                state
                    .orders
                    .push_back((Stamp::next(), Order::Close(reason)));
            } else {
                let cost = order.cost();
                state.bytes += cost;
                self.budget.iter().for_each(|budget| budget.add(cost));
                state.closed = is_last;
                state.orders.push_back((Stamp::next(), order));
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// So many bytes have left that wait elsewhere, until [`Inbox::release`].
    pub(super) fn hold(&self, bytes: usize) {
        self.budget.iter().for_each(|budget| budget.add(bytes));
        self.lock().held += 1;
    }

    /// The client has taken them, or never will.
    pub(super) fn release(&self, bytes: usize) {
        self.budget.iter().for_each(|budget| budget.subtract(bytes));
        let waker = {
            let mut state = self.lock();
            state.held -= 1;
            match state.held {
                0 => {
                    self.released.store(true, Ordering::Release);
                    state.waker.take()
                }
                _ => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether something was held, and is not any more, since this was asked last.
    pub(super) fn take_released(&self) -> bool {
        self.released.load(Ordering::Relaxed) && self.released.swap(false, Ordering::Acquire)
    }

    /// Whether something that has left waits elsewhere.
    pub(super) fn has_held(&self) -> bool {
        self.lock().held > 0
    }

    /// As [`Inbox::push`], but only if the client takes things at once: it is not blocked, and nothing waits for it.
    /// Whether it was pushed.
    pub fn push_if_idle(&self, order: Order) -> bool {
        let is_idle = {
            let state = self.lock();
            !state.blocked && state.orders.is_empty()
        };
        if is_idle {
            self.push(order);
        }
        is_idle
    }

    /// Notes whether the client takes nothing just now.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.lock().blocked = blocked;
    }

    /// What is next. If it is nothing, the task is woken when something comes.
    pub(super) fn front(&self, context: &mut Context<'_>) -> Front {
        let mut state = self.lock();
        match state.orders.front() {
            Some((stamp, _)) => Front::Order(*stamp),
            None => {
                wait(&mut state.waker, context);
                Front::Nothing(Stamp::next())
            }
        }
    }

    /// Takes the oldest order.
    pub(super) fn pop(&self) -> Option<Order> {
        let mut state = self.lock();
        let (_, order) = state.orders.pop_front()?;
        self.subtract(&mut state, order.cost());
        if state.orders.is_empty() {
            // Give the memory back: most sessions have nothing waiting most of the time.
            state.orders = VecDeque::new();
        }
        Some(order)
    }

    /// Waits for an order to close alone, whatever else waits.
    pub(super) fn poll_close(&self, context: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.lock();
        match state.orders.back() {
            Some((_, Order::Close(reason))) => Poll::Ready(*reason),
            _ => {
                wait(&mut state.waker, context);
                Poll::Pending
            }
        }
    }

    /// Whether it was told to close.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().closed
    }

    /// Whether more than half of what may wait does.
    pub(super) fn is_half_full(&self) -> bool {
        self.lock().bytes > self.capacity / 2
    }

    /// Takes no order from now on, and forgets those that wait.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.orders = VecDeque::new();
        self.subtract(&mut state, usize::MAX);
        state.waker = None;
    }

    /// Why the client is to go, if so much waits for it that it is.
    fn too_much(&self, bytes: usize) -> Option<CloseReason> {
        if bytes > self.capacity {
            return Some(CloseReason::Overflow);
        }
        let is_exceeded = |budget: &Arc<Budget>| bytes > LITTLE && budget.is_exceeded();
        let shared = self.budget.as_ref().is_some_and(is_exceeded);
        shared.then_some(CloseReason::SharedOverflow)
    }

    /// So many bytes wait no more, or all of them.
    fn subtract(&self, state: &mut State, bytes: usize) {
        let bytes = bytes.min(state.bytes);
        state.bytes -= bytes;
        self.budget.iter().for_each(|budget| budget.subtract(bytes));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and a half-pushed order is impossible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// What it counts against the capacity.
    fn cost(&self) -> usize {
        match self {
            Order::Send(frame) => ORDER_BYTES + frame.bytes().len(),
            Order::SendAll(frames) => {
                let bytes = frames.iter().map(|frame| frame.bytes().len());
                ORDER_BYTES + mem::size_of_val(&**frames) + bytes.sum::<usize>()
            }
            Order::Follow(subscription) => ORDER_BYTES + subscription.cost(),
            Order::Unfollow(_) => ORDER_BYTES,
            Order::Close(_) => 0,
        }
    }
}
