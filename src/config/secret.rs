//! A secret that two share.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;

/// What stands before a key in Base64, in the form that Standard Webhooks gives it.
const BASE64: &str = "whsec_";

/// The shortest key: one that is shorter could be found by trying.
pub(super) const MIN_KEY_BYTES: usize = 16;

/// A key to sign with. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

impl Secret {
    /// `whsec_` and a key in Base64, or any other text, whose bytes are the key. None: it is neither, or too short.
    pub fn parse(text: &str) -> Option<Self> {
        let key = match text.strip_prefix(BASE64) {
            Some(encoded) => STANDARD.decode(encoded).ok()?,
            None => text.as_bytes().to_vec(),
        };
        (key.len() >= MIN_KEY_BYTES).then(|| Self {
            text: text.to_owned(),
            key,
        })
    }

    /// The bytes to sign with.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
