//! A frame: one packet, encoded once and shared by all who receive it.

use super::MESSAGE;
use bytes::Bytes;
use serde::Serialize;
use std::fmt;

/// One encoded Engine.IO packet. A clone shares the bytes, so a broadcast to N receivers costs one encoding
/// and one allocation.
///
/// It is the same for every transport and protocol version; how bytes travel where only text can go is the
/// transport's affair.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// A packet as text, such as `42["activity",{…}]`. Always UTF-8: see [`Frame::text`] and [`Frame::json`].
    Text(Bytes),
    /// The bytes of a binary message.
    Binary(Bytes),
}

impl Frame {
    /// Takes an encoded packet as it is.
    pub fn text(packet: String) -> Self {
        Self::Text(packet.into())
    }

    /// A message that carries text.
    pub fn message(text: &str) -> Self {
        let mut packet = String::with_capacity(1 + text.len());
        packet.push(MESSAGE);
        packet.push_str(text);
        Self::text(packet)
    }

    /// Writes `head`, then `payload` as JSON.
    ///
    /// # Errors
    /// The payload has no form in JSON.
    pub fn json(head: &str, payload: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut text = Vec::with_capacity(128);
        text.extend_from_slice(head.as_bytes());
        serde_json::to_writer(&mut text, payload)?;
        Ok(Self::Text(text.into()))
    }

    /// The packet's bytes.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "Text({:?})", String::from_utf8_lossy(bytes)),
            Self::Binary(bytes) => write!(f, "Binary({bytes:?})"),
        }
    }
}
