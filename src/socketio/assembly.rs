//! An assembly: a packet whose attachments are still to come.

use super::Settings;
use bytes::Bytes;
use std::time::Instant;

/// A packet that has announced attachments, which follow as binary messages.
pub(super) struct Assembly {
    /// The packet as it came.
    pub(super) text: String,
    pub(super) attachments: Vec<Bytes>,
    wanted: usize,
    bytes: usize,
    /// When it has taken too long.
    pub(super) deadline: Instant,
}

/// The attachments are larger than the limit.
pub(super) struct TooLarge;

impl Assembly {
    pub(super) fn begin(now: Instant, text: &str, wanted: u8, settings: &Settings) -> Self {
        Self {
            text: text.to_owned(),
            attachments: Vec::new(),
            wanted: usize::from(wanted),
            bytes: 0,
            deadline: now + settings.attachment_timeout,
        }
    }

    /// Takes the next attachment. Whether it was the last.
    pub(super) fn push(&mut self, attachment: Bytes, limit: usize) -> Result<bool, TooLarge> {
        self.bytes += attachment.len();
        if self.bytes > limit {
            return Err(TooLarge);
        }
        self.attachments.push(attachment);
        Ok(self.attachments.len() == self.wanted)
    }
}
