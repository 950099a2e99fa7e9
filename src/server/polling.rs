//! Long-polling: the transport of a session whose client has no WebSocket, or not yet.

use super::{Answer, answer, door::Reply, unsent::Unsent};
use crate::engineio::{Dialect, Frame, Revision, outbound::Outbound};
use hyper::{
    StatusCode,
    body::{Body, Incoming},
    header::{CACHE_CONTROL, HeaderValue},
};
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The requests of a client on long-polling: the one that waits for what is sent, and the one that brings
/// something.
pub(super) struct Polling {
    dialect: Dialect,
    /// The GET that waits.
    poll: Option<Reply>,
    /// The POST whose body is being read.
    post: Option<(Post, Vec<u8>)>,
}

/// A POST: its body, which is still to come, and the way to answer it.
pub(super) struct Post {
    pub(super) body: Incoming,
    /// The content type says that the body is not text.
    pub(super) is_binary: bool,
    pub(super) reply: Reply,
}

/// A POST that has come as a whole.
pub(super) struct Posted {
    pub(super) bytes: Vec<u8>,
    pub(super) is_binary: bool,
}

/// Why the body of a POST cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It claims to be bytes, and the client's version knows only text.
    ContentType,
    /// The client went away in the middle of it.
    Aborted,
}

/// The client of a GET that waited has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Polling {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            poll: None,
            post: None,
        }
    }

    /// Keeps a GET until there is something to send.
    pub(super) fn hold(&mut self, reply: Reply) {
        self.poll = Some(reply);
    }

    /// Answers the GET that waits, if one does, with frames from `outbound`, which knows of them until the client has them.
    ///
    /// # Errors
    /// Its client has gone in this very moment, and the frames are lost, as they would be on the way.
    pub(super) fn answer(&mut self, frames: &[Frame], outbound: &Outbound) -> Result<(), Gone> {
        let Some(reply) = self.poll.take() else {
            return Ok(());
        };
        let mut answer = payload(self.dialect, frames);
        Unsent::count(&mut answer, outbound);
        reply.send(answer).map_err(|_| Gone)
    }

    /// Answers the GET that waits, if one does, with something small that is the last it is told here.
    pub(super) fn answer_last(&mut self, frame: Frame) {
        if let Some(reply) = self.poll.take() {
            let _gone = reply.send(payload(self.dialect, &[frame]));
        }
    }

    /// The GET that waits, for someone else to answer.
    pub(super) fn release(&mut self) -> Option<Reply> {
        self.poll.take()
    }

    /// Ready when the client of the GET that waits has gone.
    pub(super) fn poll_abandoned(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.poll {
            Some(reply) => reply.poll_closed(context),
            None => Poll::Pending,
        }
    }

    /// Whether a GET waits.
    pub(super) fn is_held(&self) -> bool {
        self.poll.is_some()
    }

    /// Begins to read a POST.
    pub(super) fn read(&mut self, post: Post) {
        self.post = Some((post, Vec::new()));
    }

    /// Whether a POST is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.post.is_some()
    }

    /// The whole POST, of at most `limit` bytes.
    ///
    /// # Cancel safety
    /// What was read stays.
    pub(super) fn poll_body(
        &mut self,
        limit: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<Posted, BodyError>> {
        let Some((
            Post {
                body, is_binary, ..
            },
            read,
        )) = &mut self.post
        else {
            return Poll::Pending;
        };
        if *is_binary && self.dialect.revision == Revision::V4 {
            return Poll::Ready(Err(BodyError::ContentType));
        }
        // What the client announces is refused before it is read.
        if body.size_hint().lower() > limit as u64 {
            return Poll::Ready(Err(BodyError::TooLarge));
        }
        loop {
            match ready!(Pin::new(&mut *body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if read.len() + data.len() > limit {
                        return Poll::Ready(Err(BodyError::TooLarge));
                    }
                    read.extend_from_slice(&data);
                }
                Some(Err(_)) => return Poll::Ready(Err(BodyError::Aborted)),
                None => {
                    let bytes = mem::take(read);
                    return Poll::Ready(Ok(Posted {
                        bytes,
                        is_binary: *is_binary,
                    }));
                }
            }
        }
    }

    /// Answers the POST: `ok`, or nothing but the status.
    pub(super) fn finish_post(&mut self, status: StatusCode) {
        if let Some((post, _)) = self.post.take() {
            let _gone = post.reply.send(match status {
                StatusCode::OK => uncached(answer::with_body(status, "text/html", "ok")),
                _ => answer::empty(status),
            });
        }
    }
}

/// An answer that carries packets.
pub(super) fn payload(dialect: Dialect, frames: &[Frame]) -> Answer {
    let payload = dialect.encode_payload(frames);
    uncached(answer::with_body(
        StatusCode::OK,
        payload.content_type(),
        payload.bytes,
    ))
}

fn uncached(mut answer: Answer) -> Answer {
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Gone, Polling, Revision};
    use crate::engineio::{
        Packet,
        outbound::{Inbox, Outbound},
    };
    use std::sync::Arc;
    use tokio::sync::oneshot;

    #[test]
    fn an_answer_that_nobody_waits_for_is_not_taken_for_sent() {
        let mut polling = Polling::new(Dialect {
            revision: Revision::V4,
            base64_only: false,
        });
        let outbound = Outbound::new(Arc::new(Inbox::new(1_000)));
        let (reply, answer) = oneshot::channel();
        polling.hold(reply);
        drop(answer);
        let noop = Packet::Noop.encode();
        assert_eq!(polling.answer(&[noop], &outbound), Err(Gone));
        assert!(!outbound.has_held());
    }
}
