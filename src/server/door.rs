//! The door: where the HTTP requests of a session find its task.

use super::{Answer, polling::Post};
use crate::engineio::Dialect;
use hyper::upgrade::OnUpgrade;
use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};
use tokio::sync::oneshot;

/// A request that the session's task has to answer. Dropped unanswered, its client is told that there is no
/// such session.
pub(super) enum Knock {
    /// A GET: answer it when there is something to send.
    Poll(Reply),
    /// A POST: read it, then answer.
    Post(Post),
    /// A WebSocket, about to open, and how its client wants its packets there.
    WebSocket(OnUpgrade, Dialect),
}

/// The way to answer a request. It is closed when the client does not wait any more.
pub(super) type Reply = oneshot::Sender<Answer>;

/// Where requests wait for the session's task. It uses no heap while nobody waits.
#[derive(Default)]
pub(super) struct Door {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Each with the time at which it came.
    knocks: VecDeque<(Instant, Knock)>,
    /// The session's task, while it waits.
    waker: Option<Waker>,
    /// The session is gone.
    shut: bool,
}

/// How many requests may wait. One GET, one POST and one WebSocket are what a client needs; the task takes
/// them at once, so that more are there only while it is busy.
const MAX_KNOCKS: usize = 16;

impl Door {
    /// Hands a request to the session's task, or drops it, if the session is gone or too many wait.
    pub(super) fn knock(&self, knock: Knock) {
        let waker = {
            let mut state = self.lock();
            if state.shut || state.knocks.len() >= MAX_KNOCKS {
                return;
            }
            state.knocks.push_back((Instant::now(), knock));
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next request, and when it came, which is earlier than now where the task is busy.
    pub(super) fn poll_knock(&self, context: &mut Context<'_>) -> Poll<(Instant, Knock)> {
        let mut state = self.lock();
        match state.knocks.pop_front() {
            Some(knock) => {
                if state.knocks.is_empty() {
                    state.knocks = VecDeque::new();
                }
                Poll::Ready(knock)
            }
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn shut(&self) {
        let mut state = self.lock();
        state.shut = true;
        state.knocks = VecDeque::new();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and a half-made knock is impossible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's end of the door. When it is dropped nobody is let in any more, and whoever waits is sent away.
pub(super) struct Doorkeeper(pub(super) Arc<Door>);

impl Deref for Doorkeeper {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.0
    }
}

impl Drop for Doorkeeper {
    fn drop(&mut self) {
        self.0.shut();
    }
}
