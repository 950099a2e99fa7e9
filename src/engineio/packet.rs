//! Packets: what one Engine.IO message on the wire says.
//!
//! Grammar (Engine.IO protocol v4, "Packet encoding"): one digit for the type, then the payload as text;
//! binary is `b` and base64 where only text can go, and a bare binary frame on WebSocket.

use super::Frame;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use std::fmt;

/// The first character of a message packet. Whoever encodes a message begins with it.
pub const MESSAGE: char = '4';

/// The first character of a message packet whose bytes are written as base64.
pub const BASE64: char = 'b';

/// One packet, borrowed from the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the server's description of a new session.
    Open(&'a str),
    /// `1`: the session ends.
    Close,
    /// `2`: are you there? The server asks; `2probe` also tries a new transport.
    Ping(&'a str),
    /// `3`: I am.
    Pong(&'a str),
    /// `4` or `b`: what the session is for.
    Message(Message<'a>),
    /// `5`: the client moves to the transport on which it says so.
    Upgrade,
    /// `6`: nothing; releases a poll.
    Noop,
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Binary(Bytes),
}

/// Why a text is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketError {
    /// Nothing at all.
    Empty,
    /// The first character is none of `0` to `6` and `b`.
    UnknownType(char),
    /// What follows `b` is not base64.
    Base64,
}

impl<'a> Packet<'a> {
    /// Reads one packet from a text frame.
    ///
    /// # Errors
    /// Says why `text` is no packet.
    pub fn decode(text: &'a str) -> Result<Self, PacketError> {
        let mut characters = text.chars();
        let kind = characters.next().ok_or(PacketError::Empty)?;
        let payload = characters.as_str();
        Ok(match kind {
            '0' => Self::Open(payload),
            '1' => Self::Close,
            '2' => Self::Ping(payload),
            '3' => Self::Pong(payload),
            MESSAGE => Self::Message(Message::Text(payload)),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            BASE64 => {
                let bytes = BASE64_STANDARD
                    .decode(payload)
                    .map_err(|_| PacketError::Base64)?;
                Self::Message(Message::Binary(bytes.into()))
            }
            other => return Err(PacketError::UnknownType(other)),
        })
    }

    /// Writes the packet as the text of one frame.
    pub fn encode(&self) -> Frame {
        let with = |kind: char, payload: &str| {
            let mut text = String::with_capacity(1 + payload.len());
            text.push(kind);
            text.push_str(payload);
            Frame::text(text)
        };
        match self {
            Self::Open(payload) => with('0', payload),
            Self::Close => with('1', ""),
            Self::Ping(payload) => with('2', payload),
            Self::Pong(payload) => with('3', payload),
            Self::Message(Message::Text(payload)) => with(MESSAGE, payload),
            Self::Message(Message::Binary(bytes)) => with(BASE64, &BASE64_STANDARD.encode(bytes)),
            Self::Upgrade => with('5', ""),
            Self::Noop => with('6', ""),
        }
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty packet"),
            Self::UnknownType(kind) => {
                write!(f, "packet type {kind:?}, which is none of 0 to 6 and b")
            }
            Self::Base64 => f.write_str("a binary packet that is not base64"),
        }
    }
}

impl std::error::Error for PacketError {}
