//! The stream: the connection under a WebSocket.
//!
//! Nearly always it is a TCP socket, taken back from hyper as it was, out of our listener's hands or a program's own. But the listener may speak TLS, and a program that mounts the engine in a hyper server of
//! its own may serve whatever it likes: TLS, a Unix socket, TCP in a wrapper that counts. Then hyper keeps it, behind a
//! pointer, and some things differ: a call goes through that pointer; a stream that takes only one slice at a time gets
//! small frames gathered in one; what it holds back itself counts as taken by the peer, until it has to be flushed; and
//! only its owner can set its options, `TCP_NODELAY` above all.

use super::patience::Patient;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::{
    io::{self, IoSlice, Write},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// How much is gathered for a stream that takes one slice at a time: many small frames, or a header and the beginning of a
/// large payload, which then goes on by itself.
const GATHERED_BYTES: usize = 4096;

/// A connection that has left HTTP.
pub(super) enum Stream {
    /// TCP, as our own listener accepts it.
    Tcp(TcpStream),
    /// Something else.
    Other(Box<TokioIo<Upgraded>>),
}

// Every session has one, and nearly every one is TCP: the others may not cost it anything.
const _: () = assert!(mem::size_of::<Stream>() == mem::size_of::<TcpStream>());

impl Stream {
    /// The connection, and what was read of it behind the request, if that does not come by reading.
    pub(super) fn new(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<Patient>>() {
            Ok(parts) => {
                let stream = parts.io.into_inner().into_inner();
                return (Self::Tcp(stream), parts.read_buf);
            }
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (Self::Tcp(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => (
                Self::Other(Box::new(TokioIo::new(upgraded))),
                Bytes::default(),
            ),
        }
    }

    /// Lets the kernel forget the connection when this is dropped, with all that the peer has not read, and tell it by a
    /// reset. Otherwise it keeps that for minutes, in case the peer still reads. Of what is not TCP, its owner decides.
    pub(super) fn reset_on_drop(&self) {
        if let Self::Tcp(stream) = self {
            reset_on_drop(stream, true);
        }
    }
}

/// The same for a connection that is not taken back, or not any more.
pub(super) fn reset_on_drop(stream: &TcpStream, is_reset: bool) {
    let linger = is_reset.then_some(Duration::ZERO);
    if let Err(error) = SockRef::from(stream).set_linger(linger) {
        log::debug!("a connection is left to the kernel: {error}");
    }
}

/// Lets the kernel wait for what is written next, and send both in one piece.
#[cfg(target_os = "linux")]
const MORE: i32 = libc::MSG_MORE;
#[cfg(not(target_os = "linux"))]
const MORE: i32 = 0;

/// Writes what is followed by more at once.
pub(super) fn poll_write_more(
    stream: &TcpStream,
    context: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        let write = || {
            let flags = MORE | libc::MSG_NOSIGNAL;
            SockRef::from(stream).send_vectored_with_flags(slices, flags)
        };
        match stream.try_io(Interest::WRITABLE, write) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

/// Writes as much of `slices` as fits into one slice.
fn poll_write_gathered(
    stream: Pin<&mut TokioIo<Upgraded>>,
    context: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let Some(large) = slices.first().filter(|first| first.len() >= GATHERED_BYTES) {
        return stream.poll_write(context, large);
    }
    let mut gathered = [0; GATHERED_BYTES];
    let mut room = gathered.as_mut_slice();
    for slice in slices {
        if room.write(slice)? < slice.len() {
            break;
        }
    }
    let length = GATHERED_BYTES - room.len();
    stream.poll_write(context, gathered.get(..length).unwrap_or_default())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Other(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Other(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Other(stream) if stream.is_write_vectored() => {
                Pin::new(stream).poll_write_vectored(context, slices)
            }
            Self::Other(stream) => poll_write_gathered(Pin::new(stream), context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// TCP has nothing to flush; TLS does.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Other(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Other(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
