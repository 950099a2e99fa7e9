//! Acks: the answers to events, in both directions.

use super::{
    Answer, Args, EncodeError, encode,
    membership::{Gone, Membership},
    packet::AckId,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The answer that a client waits for. Dropped unsent, the client gets none.
pub struct Ack {
    id: AckId,
    membership: Arc<Membership>,
}

impl Ack {
    pub(super) fn new(id: AckId, membership: Arc<Membership>) -> Self {
        Self { id, membership }
    }

    /// Answers.
    ///
    /// # Errors
    /// Nothing was sent: an argument has no form in JSON, or there are too many attachments.
    pub fn send(self, args: impl Args) -> Result<(), EncodeError> {
        let encoded = encode::ack(self.membership.namespace(), self.id, args)?;
        self.membership.push(encoded.into_order());
        Ok(())
    }
}

/// A client's answer to [`Socket::emit_with_ack`](super::Socket::emit_with_ack), on its way.
///
/// A client that never answers is waited for until it goes. How long to wait is the caller's to say, with
/// `tokio::time::timeout` for instance.
///
/// # Cancel safety
/// Dropped, the answer is not waited for, and ignored when it comes.
#[must_use = "it does nothing by itself; emit is for events without an answer"]
pub struct Reply {
    id: AckId,
    membership: Arc<Membership>,
}

impl Reply {
    pub(super) fn new(id: AckId, membership: Arc<Membership>) -> Self {
        Self { id, membership }
    }
}

impl Future for Reply {
    type Output = Result<Answer, Disconnected>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.membership.poll_answer(self.id, context);
        answer.map_err(|Gone| Disconnected)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.membership.forget(self.id);
    }
}

/// The client went away before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected;

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has disconnected, and did not answer before")
    }
}

impl std::error::Error for Disconnected {}
