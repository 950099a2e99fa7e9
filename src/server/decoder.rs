//! The decoder: tungstenite, for as long as there is something to decode.
//!
//! It works on bytes that were read already, so it needs no stream and no waker, and nothing of it has to be kept
//! between two messages: an idle client costs no buffer, and whatever a large message took is given back behind it.
//! What it wants to send, pongs and close frames, goes to the [`Wire`], each as a whole.

use super::{framing::Framing, wire::Wire};
use bytes::{Buf, Bytes};
use std::{
    io::{self, Read, Write},
    time::Instant,
};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext},
};

/// What tungstenite takes over at once of what was read.
const STEP_BYTES: usize = 512;

/// How much of tungstenite's own may wait to be written: a few pongs, which is all that it writes. More only comes
/// when a peer asks and does not read.
const CONTROL_BYTES: usize = 1024;

/// What a WebSocket's client has begun to say.
pub(super) struct Decoder {
    context: WebSocketContext,
    /// What was read and is not taken over yet.
    unread: Bytes,
    /// How far what was read goes.
    framing: Framing,
    /// The message whose rest we wait for, by its number, and since when.
    awaited: Option<(u32, Instant)>,
    /// Pongs have found no room.
    is_blocked: bool,
}

impl Decoder {
    pub(super) fn new(max_payload_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(STEP_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES)
            .max_message_size(Some(max_payload_bytes))
            .max_frame_size(Some(max_payload_bytes));
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            unread: Bytes::new(),
            framing: Framing::default(),
            awaited: None,
            is_blocked: false,
        }
    }

    /// Takes in what was read, when all that was read before is decoded. How many frames end in it that are no message's
    /// last.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        self.framing.advance(bytes);
        self.unread = Bytes::copy_from_slice(bytes);
        self.framing.take_others()
    }

    /// Until `now` nothing was read, so that the rest of a message could not come.
    pub(super) fn handle_pause(&mut self, now: Instant) {
        if let Some((_, since)) = &mut self.awaited {
            *since = now;
        }
    }

    /// The next message; none: it is not all there.
    ///
    /// # Errors
    /// What the peer sent breaks the rules, or has come to its end.
    pub(super) fn decode(&mut self, wire: &mut Wire) -> Result<Option<Message>, Error> {
        let mut peer = Peer {
            unread: &mut self.unread,
            wire,
        };
        let decoded = unless_blocked(self.context.read(&mut peer))?;
        match decoded {
            None => {
                self.is_blocked = unless_blocked(self.context.flush(&mut peer))?.is_none();
                self.await_rest();
            }
            // The next is not late as long as it is not asked for.
            Some(Message::Text(_) | Message::Binary(_)) => self.awaited = None,
            Some(_) => {}
        }
        Ok(decoded)
    }

    /// Notes since when the peer has owed the rest of a message. What comes between its fragments pays
    /// nothing off.
    fn await_rest(&mut self) {
        self.awaited = self.framing.unfinished().map(|number| match self.awaited {
            Some((before, since)) if before == number => (number, since),
            _ => (number, Instant::now()),
        });
    }

    /// Since when the peer has owed the rest of a message.
    pub(super) fn awaiting_since(&self) -> Option<Instant> {
        self.awaited.map(|(_, since)| since)
    }

    /// Whether nothing is left of it: what was read has been decoded, and what that asked for answered.
    pub(super) fn is_done(&self) -> bool {
        self.unread.is_empty() && self.framing.unfinished().is_none() && !self.is_blocked
    }

    /// Whether answers have found no room.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Queues the answers that had no room before.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub(super) fn flush(&mut self, wire: &mut Wire) -> Result<(), Error> {
        let mut peer = Peer {
            unread: &mut self.unread,
            wire,
        };
        // The second time, the answer that had no room in tungstenite's own buffer either. It would come behind a close
        // frame otherwise.
        for _ in 0..2 {
            match unless_blocked(self.context.flush(&mut peer)) {
                Ok(flushed) => self.is_blocked = flushed.is_none(),
                // The answer to a close frame is queued: nothing is wrong.
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Queues a close frame.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub(super) fn close(
        &mut self,
        wire: &mut Wire,
        frame: Option<CloseFrame>,
    ) -> Result<(), Error> {
        let mut peer = Peer {
            unread: &mut self.unread,
            wire,
        };
        unless_blocked(self.context.close(&mut peer, frame)).map(|_| ())
    }
}

fn unless_blocked<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// The other side, as tungstenite sees it.
struct Peer<'a> {
    unread: &'a mut Bytes,
    wire: &'a mut Wire,
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.unread.len().min(buffer.len());
        self.unread
            .copy_to_slice(buffer.get_mut(..taken).unwrap_or_default());
        Ok(taken)
    }
}

impl Write for Peer<'_> {
    /// Takes all of the bytes or none, so that no frame of ours gets between them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.wire.queued() > CONTROL_BYTES {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.wire.push_encoded(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
