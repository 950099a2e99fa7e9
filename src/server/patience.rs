//! Patience: how long a peer may take nothing of an answer.
//!
//! hyper waits for ever, and who asks for much and reads nothing would hold it, and a stream's place, as long. A
//! connection that has left HTTP is taken out of this: its session has a clock of its own.
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

/// A TCP connection that fails when its peer takes nothing for too long.
pub(super) struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Goes off when patience is at its end; there while the peer takes nothing.
    end: Option<Pin<Box<Sleep>>>,
    /// What is written now is followed by more at once.
    followed: Arc<AtomicBool>,
}

impl Patient {
    /// While `followed`, the kernel may wait with what is written until there is more.
    pub(super) fn new(stream: TcpStream, patience: Duration, followed: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            patience,
            end: None,
            followed,
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
        if outcome.is_ready() {
            self.end = None;
            return outcome;
        }
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(patience)));
        end.as_mut().poll(context).map(|()| {
            stream::reset_on_drop(&self.stream);
            Err(io::ErrorKind::TimedOut.into())
        })
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
        let written = match self.followed.load(Ordering::Relaxed) {
            true => stream::poll_write_more(&self.stream, context, slices),
            false => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
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
