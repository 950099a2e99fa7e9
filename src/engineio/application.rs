//! The seam above: what stands on Engine.IO sessions.

use super::{CloseReason, Frame, Message, Revision, outbound::Inbox};
use std::{fmt, sync::Arc, task::Context, time::Instant};

/// What stands on Engine.IO sessions: [`crate::socketio`], or anything else.
pub trait Application: Send + Sync + 'static {
    /// Whom the admission found at the other end. It stays the session's for life.
    type Identity: Send + Sync + 'static;
    /// One session's part of the application.
    type Handler: SessionHandler;

    /// A session opened at `now` that speaks `revision`. All that goes to its client goes into `inbox`.
    fn open(
        &self,
        now: Instant,
        revision: Revision,
        identity: Arc<Self::Identity>,
        inbox: Arc<Inbox>,
    ) -> Self::Handler;
}

/// One session's part of an [`Application`], owned and driven by the session's task.
pub trait SessionHandler: Send + 'static {
    /// How a client can break the application's rules. It costs the session.
    type Violation: fmt::Display;

    /// The session's task has begun. Called exactly once, and before anything else.
    ///
    /// # Errors
    /// The session will be closed.
    fn handle_open(&mut self, now: Instant) -> Result<(), Self::Violation> {
        let _ = now;
        Ok(())
    }

    /// Goes on with what the handler waits for itself. Called whenever the session's task wakes up, which an order in
    /// the inbox brings about, and `context` on request.
    fn poll(&mut self, now: Instant, context: &mut Context<'_>) {
        let _ = (now, context);
    }

    /// Takes a message that arrived at `now`.
    ///
    /// # Errors
    /// The client broke a rule; the session will be closed.
    fn handle_message(&mut self, now: Instant, message: Message<'_>)
    -> Result<(), Self::Violation>;

    /// When [`SessionHandler::handle_timeout`] has something to do.
    fn deadline(&self) -> Option<Instant>;

    /// Does what is due at `now`; a reason ends the session.
    fn handle_timeout(&mut self, now: Instant) -> Option<CloseReason>;

    /// The session is over since `now`. Called exactly once, and nothing after it. The frames are last words to the client, for
    /// the reasons that leave time for some.
    fn handle_close(&mut self, now: Instant, reason: CloseReason) -> Vec<Frame>;
}
