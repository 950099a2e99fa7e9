//! The API key a client presents, and the digest by which its user is found.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Random bytes in a key; it is written as twice as many hex digits.
const KEY_BYTES: usize = 32;

/// The digits of a key, by value.
const HEX_DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// An API key: 32 random bytes, written as 64 lower-case hex digits. A bearer secret, hence no
/// `Display`, and a `Debug` that hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey([u8; KEY_BYTES]);

impl ApiKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    ///
    /// When the system has none to give.
    pub fn generate() -> Result<ApiKey, NoRandomness> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(NoRandomness)?;
        Ok(ApiKey(bytes))
    }

    /// Reads 64 hex digits. Upper-case digits are not accepted: GameVault compares keys exactly,
    /// and so does [`KeyDigest::of`], so such a key could never be used as it was written.
    pub fn parse(text: &str) -> Option<ApiKey> {
        let mut bytes = [0; KEY_BYTES];
        let mut digits = text.bytes();
        for byte in &mut bytes {
            *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
        }
        digits.next().is_none().then_some(ApiKey(bytes))
    }

    /// The 64 hex digits, for the one place that shows a key to its owner.
    pub fn reveal(&self) -> String {
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|nibble| HEX_DIGITS.get(usize::from(nibble)))
            .collect()
    }

    /// The digest by which the key is looked up.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.reveal())
    }
}

/// The value of a lower-case hex digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

impl Serialize for ApiKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

/// The SHA-256 of a key's text. Keys are compared by it, so that the time which that takes tells
/// nothing about the keys there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// What stands for the digest of a user who has no key. No text is known that has it.
    pub const NONE: KeyDigest = KeyDigest([0; 32]);

    /// The digest of any text a client presents; a text that is no key belongs to nobody.
    pub fn of(presented: &str) -> KeyDigest {
        KeyDigest(Sha256::digest(presented.as_bytes()).into())
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(hidden)")
    }
}

/// The system gave no random bytes, so no key could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness(getrandom::Error);

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot make a key: the system gives no random bytes ({})",
            self.0
        )
    }
}

impl std::error::Error for NoRandomness {}
