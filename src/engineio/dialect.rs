//! The dialect: how one client wants its packets.

use super::{
    Frame, Packet, Revision,
    payload::{self, Packets, Payload, PayloadError},
};
use bytes::Bytes;
use std::borrow::Cow;

/// How packets are written to one client, and read from it: by protocol version, and by what the client's
/// transport can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The protocol version.
    pub revision: Revision,
    /// The client cannot take bytes, only text (`b64` in its query).
    pub base64_only: bool,
}

impl Dialect {
    /// The packet that a WebSocket text message is.
    ///
    /// # Errors
    /// It is none.
    pub fn decode_text(self, text: &str) -> Result<Packet<'_>, PayloadError> {
        self.revision.decode_text(text)
    }

    /// The packet that a WebSocket binary message is.
    ///
    /// # Errors
    /// It is none.
    pub fn decode_binary(self, bytes: Bytes) -> Result<Packet<'static>, PayloadError> {
        self.revision.decode_binary(bytes)
    }

    /// A frame as this client's WebSocket carries it.
    pub fn encode_frame(self, frame: &Frame) -> Cow<'_, Frame> {
        self.revision.encode_frame(self.base64_only, frame)
    }

    /// The packets of a POST's body, up to the first that is none; at most `max_packets`.
    pub fn decode_payload(self, is_binary: bool, body: &[u8], max_packets: usize) -> Packets<'_> {
        payload::decode(self.revision, is_binary, body, max_packets)
    }

    /// The answer to a GET that carries these frames, of which there has to be at least one.
    pub fn encode_payload(self, frames: &[Frame]) -> Payload {
        payload::encode(self.revision, self.base64_only, frames)
    }
}
