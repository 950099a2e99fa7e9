//! A membership: from one CONNECT to the DISCONNECT.

use super::{
    Answer, Arguments, Encoded,
    packet::AckId,
    recovery::{Log, Offset},
};
use crate::engineio::outbound::{Inbox, Order, Owner};
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What a socket, its clones and its acks share. A client may join again in the same session, and must not hear then
/// what was meant for the socket that it was before.
pub(super) struct Membership {
    namespace: Arc<str>,
    inbox: Arc<Inbox>,
    /// Whose the subscriptions are.
    owner: Owner,
    /// Held while an order is given, so that none slips in behind the end.
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    /// The acks that the program waits for. None of them, no heap.
    asked: Option<Box<Asked>>,
    /// What was sent, for a client that may come back.
    log: Option<Box<Log>>,
}

/// How it stands between the client and the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Inside,
    /// The program has ended it, and the client is told so; the session's task does not know yet.
    Expelled,
    Over,
}

#[derive(Default)]
struct Asked {
    next: u64,
    waiting: HashMap<AckId, Slot>,
}

enum Slot {
    Waiting(Option<Waker>),
    Answered(Answer),
}

/// The socket is gone, and its client will not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Membership {
    pub(super) fn new(namespace: Arc<str>, inbox: Arc<Inbox>, owner: Owner) -> Self {
        Self {
            namespace,
            inbox,
            owner,
            state: Mutex::new(State {
                standing: Standing::Inside,
                asked: None,
                log: None,
            }),
        }
    }

    pub(super) fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn standing(&self) -> Standing {
        self.lock().standing
    }

    /// Gives an order for this client, if it is still here.
    pub(super) fn push(&self, order: Order) {
        let state = self.lock();
        if state.standing == Standing::Inside {
            self.inbox.push(order);
        }
    }

    /// Sends an event that the client may ask for again when it comes back.
    pub(super) fn push_event(&self, event: Encoded, offset: Option<Offset>) {
        let mut state = self.lock();
        if let (Some(log), Some(offset)) = (&mut state.log, offset) {
            log.push(offset, event.clone());
        }
        if state.standing == Standing::Inside {
            self.inbox.push(event.into_order());
        }
    }

    /// From now on keeps what is sent, or keeps nothing.
    pub(super) fn keep(&self, log: Option<Log>) {
        self.lock().log = log.map(Box::new);
    }

    /// What was kept, which goes on elsewhere.
    pub(super) fn take_log(&self) -> Option<Log> {
        self.lock().log.take().map(|log| *log)
    }

    /// The same, unless the client is busy with what it was sent before.
    pub(super) fn push_if_idle(&self, order: Order) {
        let state = self.lock();
        if state.standing == Standing::Inside {
            self.inbox.push_if_idle(order);
        }
    }

    /// The program ends it. The client is told by `goodbye`; the session's task, which the order wakes, tells the
    /// program.
    pub(super) fn expel(&self, goodbye: Encoded) {
        let mut state = self.lock();
        if state.standing == Standing::Inside {
            self.inbox.push(Order::Unfollow(self.owner));
            state.standing = Standing::Expelled;
            self.inbox.push_with_alert(goodbye.into_order());
        }
    }

    /// It is over: this socket, its clones and its acks say nothing from now on, and who waits for an answer waits no
    /// more.
    pub(super) fn end(&self) {
        let asked = {
            let mut state = self.lock();
            if state.standing == Standing::Inside {
                self.inbox.push(Order::Unfollow(self.owner));
            }
            state.standing = Standing::Over;
            mem::take(&mut state.asked)
        };
        for slot in asked
            .into_iter()
            .flat_map(|asked| asked.waiting.into_values())
        {
            if let Slot::Waiting(Some(waker)) = slot {
                waker.wake();
            }
        }
    }

    // -----------------------------------------------------------------------------------------------------
    // The acks that the program waits for

    /// A number for an event whose answer is waited for.
    pub(super) fn ask(&self) -> AckId {
        let mut state = self.lock();
        let asked = state.asked.get_or_insert_default();
        let id = AckId(asked.next);
        asked.next += 1;
        asked.waiting.insert(id, Slot::Waiting(None));
        id
    }

    /// The client has answered. An answer that nobody waits for is none.
    pub(super) fn answer(&self, id: AckId, arguments: Arguments<'_>) {
        let waker = {
            let mut state = self.lock();
            let asked = state.asked.as_mut();
            match asked.and_then(|asked| asked.waiting.get_mut(&id)) {
                Some(slot @ Slot::Waiting(_)) => {
                    match mem::replace(slot, Slot::Answered(arguments.into())) {
                        Slot::Waiting(waker) => waker,
                        Slot::Answered(_) => None,
                    }
                }
                Some(Slot::Answered(_)) | None => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for an answer.
    pub(super) fn poll_answer(
        &self,
        id: AckId,
        context: &mut Context<'_>,
    ) -> Poll<Result<Answer, Gone>> {
        let mut state = self.lock();
        let is_over = state.standing != Standing::Inside;
        let Some(asked) = &mut state.asked else {
            return Poll::Ready(Err(Gone));
        };
        match asked.waiting.get_mut(&id) {
            Some(Slot::Waiting(waker)) if !is_over => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(match asked.waiting.remove(&id) {
                Some(Slot::Answered(answer)) => Ok(answer),
                Some(Slot::Waiting(_)) | None => Err(Gone),
            }),
        }
    }

    /// Nobody waits for that answer any more.
    pub(super) fn forget(&self, id: AckId) {
        if let Some(asked) = &mut self.lock().asked {
            asked.waiting.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and no state is ever half set.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
