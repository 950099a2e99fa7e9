//! The clock: a session's view of time.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};
use tokio::{
    task::coop::unconstrained,
    time::{Sleep, sleep_until},
};

/// One timer, and since when the client takes nothing.
pub(super) struct Clock {
    timer: Pin<Box<Sleep>>,
    /// When the timer goes off by itself, and wakes the session; none: it has to be looked at.
    armed: Option<Instant>,
    /// Since when the client has taken nothing, and how many bytes it had taken by then.
    stalled: Option<(Instant, u64)>,
}

impl Clock {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            timer: Box::pin(sleep_until(deadline.into())),
            armed: None,
            stalled: None,
        }
    }

    /// Notes whether the client takes nothing, given how many bytes it has taken in all. Any progress
    /// starts the waiting anew.
    pub(super) fn note_progress(&mut self, blocked: bool, written: u64) {
        self.stalled = match self.stalled {
            _ if !blocked => None,
            Some((since, before)) if before == written => Some((since, before)),
            _ => Some((Instant::now(), written)),
        };
    }

    /// Since when the client has taken nothing of what it is sent.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.stalled.map(|(since, _)| since)
    }

    /// Waits for `deadline`, as of `now`, always in the same task. A timer that goes off too early is cheaper than one
    /// that is set anew each time that the deadline moves away, so it is only ever brought forward; the driver looks
    /// again. And while it is set early enough it is not even looked at.
    ///
    /// What is due is due however busy the task is: with its budget used up tokio would neither say so nor set the timer.
    pub(super) fn poll_deadline(
        &mut self,
        now: Instant,
        deadline: Instant,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if deadline <= now {
            return Poll::Ready(());
        }
        if self
            .armed
            .is_some_and(|armed| now < armed && armed <= deadline)
        {
            return Poll::Pending;
        }
        let wanted = deadline.into();
        if self.timer.is_elapsed() || wanted < self.timer.deadline() {
            self.timer.as_mut().reset(wanted);
        }
        let rung = Pin::new(&mut unconstrained(self.timer.as_mut())).poll(context);
        self.armed = rung.is_pending().then(|| self.timer.deadline().into());
        rung
    }
}
