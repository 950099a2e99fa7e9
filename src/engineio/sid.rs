//! The session id.

use base64::{Engine as _, display::Base64Display, prelude::BASE64_URL_SAFE_NO_PAD};
use std::fmt;

/// The id of an Engine.IO session: 144 random bits.
///
/// Whoever knows it can speak for the session, so it is a secret between server and client: it has no
/// `Display`, its `Debug` hides it, and the public socket id is another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; Sid::BYTES]);

impl Sid {
    /// A multiple of three, so that base64 needs no padding: 24 characters.
    const BYTES: usize = 18;

    /// A new random id.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; Self::BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads an id as a client sends it. Whatever is not exactly of our making names no session.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(Self::BYTES) => Some(Self(bytes)),
            Ok(_) | Err(_) => None,
        }
    }

    /// The id as the client is told it. For the open packet alone.
    pub fn reveal(&self) -> String {
        Base64Display::new(&self.0, &BASE64_URL_SAFE_NO_PAD).to_string()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(…)")
    }
}
