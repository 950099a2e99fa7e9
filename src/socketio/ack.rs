//! Acks: the answers to events, in both directions.

use super::{
    Answer, Args, EncodeError, Socket, encode,
    membership::{Gone, Membership},
    packet::AckId,
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
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

/// The answers to [`Broadcast::emit_with_ack`](super::Broadcast::emit_with_ack), on their way.
///
/// Dropped, those that are missing are not waited for, and ignored when they come.
#[must_use = "it does nothing by itself; emit is for events without an answer"]
pub struct Replies<D>(FuturesUnordered<Asked<D>>);

impl<D> Replies<D> {
    pub(super) fn new(asked: impl IntoIterator<Item = (Socket<D>, Reply)>) -> Self {
        let asked = asked.into_iter();
        Self(asked.map(|(socket, reply)| Asked(socket, reply)).collect())
    }

    /// The next answer, as they come, and whose it is; `None` when all have answered or are gone.
    ///
    /// Clients that never answer are waited for until they go, as by [`Reply`].
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost: the next call goes on.
    pub async fn next(&mut self) -> Option<(Socket<D>, Result<Answer, Disconnected>)> {
        self.0.next().await
    }

    /// How many are missing.
    pub fn missing(&self) -> usize {
        self.0.len()
    }
}

/// A [`Reply`], and whose it is.
struct Asked<D>(Socket<D>, Reply);

impl<D> Future for Asked<D> {
    type Output = (Socket<D>, Result<Answer, Disconnected>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.1).poll(context));
        Poll::Ready((self.0.clone(), answer))
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
