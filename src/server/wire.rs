//! The wire: a stream with a queue of shared frames in front of it.
//!
//! Data frames go past tungstenite, whose buffer copies, and never gives back what it grew to (a snapshot of 450 KB
//! to each of 10,000 clients is 4.5 GB there; here it is one shared allocation). What tungstenite writes itself, pongs
//! and close frames, is queued whole, so it stands between frames and never inside one.

use super::stream::Stream;
use crate::engineio::Frame;
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many pieces go to the stream in one call; two a frame.
const SLICES: usize = 32;

/// The first fragment of a text message, and the last.
const FIN_TEXT: u8 = 0x81;

/// The first fragment of a binary message, and the last.
const FIN_BINARY: u8 = 0x82;

/// A stream that queues what it cannot send yet.
pub(super) struct Wire {
    stream: Stream,
    /// What is not written yet. No heap while it is empty.
    queue: VecDeque<Piece>,
    /// Bytes in `queue`.
    queued: usize,
    /// Bytes that the stream has taken, ever.
    written: u64,
}

/// Small frames that leave in one go, on the stack. What is in it comes before all that is queued later, and is only
/// there while nothing is queued.
pub(super) type Batch<'a> = ReadBuf<'a>;

/// A WebSocket frame's header and payload, each as far as it is not written yet.
struct Piece {
    header: Header,
    payload: Bytes,
}

/// The header of an unmasked WebSocket frame (RFC 6455, 5.2), without a heap.
struct Header {
    bytes: [u8; 10],
    /// The part that is not written yet.
    rest: std::ops::Range<usize>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            queued: 0,
            written: 0,
        }
    }

    /// Queues a frame as one message. If it is small and nothing waits, it goes into the batch, and no memory has to be
    /// had for it.
    pub(super) fn push(&mut self, frame: &Frame, batch: &mut Batch<'_>) {
        let (first_byte, payload) = match frame {
            Frame::Text(bytes) => (FIN_TEXT, bytes),
            Frame::Binary(bytes) => (FIN_BINARY, bytes),
        };
        let header = Header::new(first_byte, payload.len());
        if self.queued == 0 && header.remaining().len() + payload.len() <= batch.remaining() {
            batch.put_slice(header.remaining());
            batch.put_slice(payload);
        } else {
            self.keep(batch);
            self.push_piece(header, payload.clone());
        }
    }

    /// Queues what is in the batch.
    pub(super) fn keep(&mut self, batch: &mut Batch<'_>) {
        if !batch.filled().is_empty() {
            self.push_encoded(Bytes::copy_from_slice(batch.filled()));
            batch.clear();
        }
    }

    /// Sends all that is queued, or what is in the batch.
    pub(super) fn poll_send(
        &mut self,
        batch: &mut Batch<'_>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !batch.filled().is_empty()
            && let Poll::Ready(written) =
                Pin::new(&mut self.stream).poll_write(context, batch.filled())
        {
            let written = written?;
            self.written = self.written.wrapping_add(written as u64);
            let rest = batch.filled().get(written..).unwrap_or_default();
            if !rest.is_empty() {
                self.push_encoded(Bytes::copy_from_slice(rest));
            }
            batch.clear();
        }
        self.keep(batch);
        self.poll_flush(context)
    }

    /// How many bytes wait.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// How many bytes the stream has taken so far; it grows as long as the client takes anything.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// To be dropped by a reset: the peer takes nothing.
    pub(super) fn reset_on_drop(&self) {
        self.stream.reset_on_drop();
    }

    /// Queues what is a whole frame already.
    pub(super) fn push_encoded(&mut self, frame: Bytes) {
        self.push_piece(Header::none(), frame);
    }

    fn push_piece(&mut self, header: Header, payload: Bytes) {
        self.queued += header.remaining().len() + payload.len();
        self.queue.push_back(Piece { header, payload });
    }

    /// Strikes off what the stream has taken.
    fn advance(&mut self, mut written: usize) {
        self.queued = self.queued.saturating_sub(written);
        self.written = self.written.wrapping_add(written as u64);
        while let Some(piece) = self.queue.front_mut() {
            let of_header = written.min(piece.header.remaining().len());
            piece.header.rest.start += of_header;
            written -= of_header;
            let of_payload = written.min(piece.payload.len());
            piece.payload.advance(of_payload);
            written -= of_payload;
            if !piece.header.remaining().is_empty() || !piece.payload.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
        // Give the memory back: most clients are idle most of the time.
        self.queue = VecDeque::new();
    }
}

impl Header {
    fn new(first_byte: u8, length: usize) -> Self {
        let mut bytes = [first_byte, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let [_, short, extended @ ..] = &mut bytes;
        let end = match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ 0..=125), _) => {
                *short = length;
                2
            }
            (_, Ok(length)) => {
                *short = 126;
                extended
                    .iter_mut()
                    .zip(length.to_be_bytes())
                    .for_each(|(to, from)| *to = from);
                4
            }
            _ => {
                *short = 127;
                extended
                    .iter_mut()
                    .zip((length as u64).to_be_bytes())
                    .for_each(|(to, from)| *to = from);
                10
            }
        };
        Self {
            bytes,
            rest: 0..end,
        }
    }

    /// None: the payload brings its own.
    fn none() -> Self {
        Self {
            bytes: [0; 10],
            rest: 0..0,
        }
    }

    fn remaining(&self) -> &[u8] {
        self.bytes.get(self.rest.clone()).unwrap_or_default()
    }
}

impl Wire {
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }

    /// Sends all that is queued.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.queued > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let pieces = self
                .queue
                .iter()
                .flat_map(|piece| [piece.header.remaining(), &piece.payload]);
            let mut used = 0;
            for (slice, bytes) in slices
                .iter_mut()
                .zip(pieces.filter(|bytes| !bytes.is_empty()))
            {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
            let slices = slices.get(..used).unwrap_or_default();
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Sends all that is queued, and ends our side of the connection.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
