//! A frame: one packet, encoded once and shared by all who receive it.

use bytes::Bytes;
use serde::Serialize;

/// One encoded Engine.IO text packet, such as `42["activity",{…}]`.
///
/// A clone shares the bytes, so a broadcast to N receivers costs one encoding and one allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// UTF-8, because it is only ever made of strings and of what serde_json writes.
    text: Bytes,
}

impl Frame {
    /// Takes an encoded packet as it is.
    pub fn text(packet: String) -> Self {
        Self {
            text: packet.into(),
        }
    }

    /// Writes `head`, then `payload` as JSON.
    ///
    /// # Errors
    /// The payload has no form in JSON.
    pub fn json(head: &str, payload: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut text = Vec::with_capacity(128);
        text.extend_from_slice(head.as_bytes());
        serde_json::to_writer(&mut text, payload)?;
        Ok(Self { text: text.into() })
    }

    /// The packet's bytes, as UTF-8 text.
    pub fn bytes(&self) -> &Bytes {
        &self.text
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?})", String::from_utf8_lossy(&self.text))
    }
}
