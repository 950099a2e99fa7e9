//! Patience: how long a peer may take nothing of an answer.
//!
//! hyper waits for ever, and who asks for much and reads nothing would hold it, and a stream's place, as long. A
//! connection that has left HTTP is taken out of this, or, under TLS, stays and is let be: its session has a clock of its own.
//!
//! Here, too, because hyper writes here: an answer behind which more is sent at once need not leave alone.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::stream;

/// Where a connection is on its way, told by whoever speaks HTTP on it.
#[derive(Default)]
pub(super) struct Course {
    /// What is written next is followed by more at once.
    pub(super) is_followed: AtomicBool,
    /// It is no HTTP any more.
    pub(super) has_left: AtomicBool,
}

/// A TCP connection that fails when its peer takes nothing for too long.
pub(super) struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Goes off when patience is at its end; there while the peer takes nothing.
    end: Option<Pin<Box<Sleep>>>,
    /// The kernel was told to reset the connection if it is dropped now.
    is_reset_on_drop: bool,
    course: Arc<Course>,
}

impl Patient {
    /// With what is followed the kernel may wait until there is more.
    pub(super) fn new(stream: TcpStream, patience: Duration, course: Arc<Course>) -> Self {
        Self {
            stream,
            patience,
            end: None,
            is_reset_on_drop: false,
            course,
        }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Lets the outcome of a write pass, but does not wait for ever.
    fn bounded<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if self.course.has_left.load(Ordering::Relaxed) {
            self.end = None;
            self.reset_on_drop(outcome.is_pending());
            return outcome;
        }
        if outcome.is_ready() {
            self.end = None;
            return outcome;
        }
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(patience)));
        end.as_mut().poll(context).map(|()| {
            self.reset_on_drop(true);
            Err(io::ErrorKind::TimedOut.into())
        })
    }

    /// Lets the kernel forget what the peer does not take, if the connection is dropped as long as it takes nothing.
    fn reset_on_drop(&mut self, is_stalled: bool) {
        if self.is_reset_on_drop != is_stalled {
            self.is_reset_on_drop = is_stalled;
            stream::reset_on_drop(&self.stream, is_stalled);
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let is_followed = &self.course.is_followed;
        let written = if is_followed.load(Ordering::Relaxed) {
            let written = stream::poll_write_more(&self.stream, context, slices);
            // What follows is not followed itself.
            is_followed.store(written.is_pending(), Ordering::Relaxed);
            written
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(context, slices)
        };
        self.bounded(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
