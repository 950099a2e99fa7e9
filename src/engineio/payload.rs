//! Payloads: several packets in one HTTP body, which is what long-polling carries.
//!
//! Out: [`encode`] makes the answer to a poll from frames. In: [`decode`] reads the packets of a POST, one after the
//! other. How much may stand in a body is the caller's affair; how long it takes to read is linear in its length,
//! whatever it says.
//!
//! There are three forms (protocol, "Payload encoding", of version 4 and of version 3):
//!
//! | | a packet | binary |
//! |---|---|---|
//! | version 4 | ends at `\x1e` or with the body | `b` and base64 |
//! | version 3, text | `<length>:<packet>`, the length in UTF-16 code units | `b4` and base64 |
//! | version 3, binary | 0x00 or 0x01 (binary), the digits of the length in bytes as bytes from 0 to 9, 0xFF, the packet | 0x04 and the data |
//!
//! Single packets differ between the versions where they are binary, on WebSocket as well: see
//! [`Revision::decode_text`], [`Revision::decode_binary`] and [`Revision::encode_frame`].

use super::{Frame, Message, Packet, PacketError};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use std::{borrow::Cow, fmt, mem, num::IntErrorKind, str};

/// What stands between the packets of a version 4 payload.
const SEPARATOR: char = '\x1e';

/// What stands before the base64 of a binary message, in version 3 with its type.
const BASE64_V3: &str = "b4";

/// The type of a message in front of its data, in a binary packet of version 3.
const BINARY_MESSAGE: u8 = 4;

/// What ends the length in a binary payload of version 3.
const LENGTH_END: u8 = 0xff;

/// How many digits a length has at most in a binary payload of version 3: those of JavaScript's largest number.
const MAX_DIGITS: usize = 310;

/// The version of the protocol that a session speaks, for all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revision {
    /// `EIO=3`: socket.io-client 1 and 2.
    V3,
    /// `EIO=4`: socket.io-client 3 and later.
    V4,
}

impl Revision {
    /// The number that clients know it by.
    pub fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The body.
    pub bytes: Bytes,
    /// Whether it is a binary payload of version 3. All others are UTF-8.
    pub is_binary: bool,
}

/// The packets of a payload, in order. The first error is the last item.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    rest: Rest<'a>,
    /// How many packets may still come.
    left: usize,
}

/// What is still to be read, in the form of the payload that it belongs to.
#[derive(Debug, Clone, Copy)]
enum Rest<'a> {
    /// At least one more packet, perhaps an empty one.
    Separated(&'a str),
    /// Lengths and packets, or nothing.
    Counted(&'a str),
    /// Kinds, lengths and packets, or nothing.
    Binary(&'a [u8]),
    /// The payload as a whole is no good.
    Refused(PayloadError),
    /// All is read, or what could be.
    Done,
}

/// What is wrong with a payload, or with a packet in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadError {
    /// Nothing at all.
    Empty,
    /// A text that is not UTF-8.
    Utf8,
    /// A binary payload in version 4.
    BinaryInV4,
    /// Something else than a length where a packet begins, or a length of too many digits.
    Length,
    /// More than the payload holds, by a length in it.
    Short,
    /// The length ends between the two UTF-16 code units of one character.
    HalfCharacter,
    /// A packet in a binary payload that is neither text (0x00) nor binary (0x01).
    Kind(u8),
    /// A binary packet that is no message.
    NoMessage,
    /// More packets than a payload may have.
    TooManyPackets,
    /// A packet that is none.
    Packet(PacketError),
}

// ---------------------------------------------------------------------------------------------------------
// Out.

/// The answer to a poll: all `frames`, in order.
///
/// `base64_only` says that the client asked for `b64`, and matters in version 3 alone: in version 4 a payload is
/// always text. A frame's text must not contain `\x1e` there; the protocol has no way to write it. JSON never does.
pub fn encode(revision: Revision, base64_only: bool, frames: &[Frame]) -> Payload {
    let has_binary = || frames.iter().any(|frame| matches!(frame, Frame::Binary(_)));
    match revision {
        Revision::V4 => Payload::text(separated(frames)),
        // Version 3, "Payload": without binary packets the text form, even for clients that take the other.
        Revision::V3 if base64_only || !has_binary() => Payload::text(counted(frames)),
        Revision::V3 => Payload {
            bytes: binary(frames).into(),
            is_binary: true,
        },
    }
}

impl Payload {
    fn text(text: String) -> Self {
        Self {
            bytes: text.into(),
            is_binary: false,
        }
    }

    /// What the `Content-Type` header says.
    pub fn content_type(&self) -> &'static str {
        if self.is_binary {
            "application/octet-stream"
        } else {
            "text/plain; charset=UTF-8"
        }
    }
}

/// Version 4.
fn separated(frames: &[Frame]) -> String {
    let size = frames.iter().map(|frame| match frame {
        Frame::Text(text) => 1 + text.len(),
        Frame::Binary(data) => 2 + base64_len(data),
    });
    let mut payload = String::with_capacity(size.sum());
    for (place, frame) in frames.iter().enumerate() {
        if place > 0 {
            payload.push(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => payload.push_str(&utf8(text)),
            Frame::Binary(data) => {
                payload.push('b');
                BASE64_STANDARD.encode_string(data, &mut payload);
            }
        }
    }
    payload
}

/// Version 3, text.
fn counted(frames: &[Frame]) -> String {
    // A text has no more code units than bytes, so this may be too much by a digit, and is never too little.
    let size = frames.iter().map(|frame| {
        let length = match frame {
            Frame::Text(text) => text.len(),
            Frame::Binary(data) => BASE64_V3.len() + base64_len(data),
        };
        digits(length).count() + 1 + length
    });
    let mut payload = String::with_capacity(size.sum::<usize>().max(2));
    let start = |payload: &mut String, length: usize| {
        payload.extend(digits(length).map(|digit| char::from(b'0' + digit)));
        payload.push(':');
    };
    for frame in frames {
        match frame {
            Frame::Text(text) => {
                let text = utf8(text);
                start(&mut payload, utf16_len(&text));
                payload.push_str(&text);
            }
            Frame::Binary(data) => {
                start(&mut payload, BASE64_V3.len() + base64_len(data));
                payload.push_str(BASE64_V3);
                BASE64_STANDARD.encode_string(data, &mut payload);
            }
        }
    }
    if frames.is_empty() {
        // An empty payload would be refused.
        start(&mut payload, 0);
    }
    payload
}

/// Version 3, binary. Here a text is counted in bytes.
fn binary(frames: &[Frame]) -> Vec<u8> {
    let length = |frame: &Frame| match frame {
        Frame::Text(text) => text.len(),
        Frame::Binary(data) => 1 + data.len(),
    };
    let size = frames.iter().map(|frame| {
        let length = length(frame);
        digits(length).count() + 2 + length
    });
    let mut payload = Vec::with_capacity(size.sum());
    for frame in frames {
        payload.push(u8::from(matches!(frame, Frame::Binary(_))));
        payload.extend(digits(length(frame)));
        payload.push(LENGTH_END);
        if matches!(frame, Frame::Binary(_)) {
            payload.push(BINARY_MESSAGE);
        }
        payload.extend_from_slice(frame.bytes());
    }
    payload
}

/// A frame's text. It is UTF-8, so this borrows it; whatever a text payload is made of, it stays one.
fn utf8(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// How long `data` is as padded base64.
fn base64_len(data: &[u8]) -> usize {
    data.len().div_ceil(3) * 4
}

/// The length of a text as JavaScript counts: one for each character, two for those beyond U+FFFF, whose UTF-8
/// begins with 0xF0 or more.
fn utf16_len(text: &str) -> usize {
    let units = |byte: u8| usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0);
    text.bytes().map(units).sum()
}

/// The decimal digits of a number, from the left.
fn digits(number: usize) -> impl Iterator<Item = u8> {
    let last = number.checked_ilog10().unwrap_or(0);
    (0..=last).rev().map(move |place| {
        let [digit, ..] = (number / 10_usize.pow(place) % 10).to_le_bytes();
        digit
    })
}

// ---------------------------------------------------------------------------------------------------------
// In.

/// Reads a POST's body, one packet at a time, and no further than to the first error: those before it count.
///
/// `is_binary` says that its content type is `application/octet-stream`. More than `max_packets` packets are an
/// error.
pub fn decode(revision: Revision, is_binary: bool, body: &[u8], max_packets: usize) -> Packets<'_> {
    let text = || str::from_utf8(body).map_err(|_| PayloadError::Utf8);
    let rest = match (revision, is_binary) {
        (Revision::V4, false) => text().map(Rest::Separated),
        (Revision::V4, true) => Err(PayloadError::BinaryInV4),
        // The reference's parser: nothing is no payload in the text form, and no packets in the other.
        (Revision::V3, false) if body.is_empty() => Err(PayloadError::Empty),
        (Revision::V3, false) => text().map(Rest::Counted),
        (Revision::V3, true) => Ok(Rest::Binary(body)),
    };
    Packets {
        rest: rest.unwrap_or_else(Rest::Refused),
        left: max_packets,
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // What is taken out here and not put back was the last.
        let read = mem::replace(&mut self.rest, Rest::Done)
            .next()
            .transpose()?;
        Some(read.and_then(|(packet, rest)| {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or(PayloadError::TooManyPackets)?;
            self.rest = rest;
            Ok(packet)
        }))
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// A packet, and what comes after it; or that there is none.
type Step<'a> = Result<Option<(Packet<'a>, Rest<'a>)>, PayloadError>;

impl<'a> Rest<'a> {
    fn next(self) -> Step<'a> {
        match self {
            Self::Separated(text) => next_separated(text),
            Self::Counted(text) => next_counted(text),
            Self::Binary(bytes) => next_binary(bytes),
            Self::Refused(error) => Err(error),
            Self::Done => Ok(None),
        }
    }
}

/// Version 4, "Payload encoding": packets are joined by `\x1e`, so one at an end of the body, or next to another,
/// leaves an empty packet there, which is none.
fn next_separated(text: &str) -> Step<'_> {
    let (packet, rest) = match text.split_once(SEPARATOR) {
        Some((packet, rest)) => (packet, Rest::Separated(rest)),
        None => (text, Rest::Done),
    };
    let packet = Revision::V4.decode_text(packet)?;
    Ok(Some((packet, rest)))
}

/// Version 3, "Payload", text.
fn next_counted(mut text: &str) -> Step<'_> {
    while !text.is_empty() {
        let (length, behind) = counted_length(text)?;
        let (packet, rest) = split_utf16(behind, length)?;
        // The reference's parser: `0:` is passed over.
        if length > 0 {
            let packet = Revision::V3.decode_text(packet)?;
            return Ok(Some((packet, Rest::Counted(rest))));
        }
        text = rest;
    }
    Ok(None)
}

/// The length at the beginning of `text`, and what stands behind its colon.
///
/// The reference takes what JavaScript's `Number` takes: `1e0`, `0x1`, `+1`, `1.0`, and nothing but a space for 0.
/// Here it is digits; zeros and white space (that of ASCII) before them do no harm.
fn counted_length(text: &str) -> Result<(usize, &str), PayloadError> {
    let text = text.trim_ascii_start();
    let behind = text.trim_start_matches(|next: char| next.is_ascii_digit());
    let digits = text.get(..text.len() - behind.len());
    let behind = behind.strip_prefix(':').ok_or(PayloadError::Length)?;
    match digits.unwrap_or_default().parse() {
        Ok(length) => Ok((length, behind)),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err(PayloadError::Short),
        Err(_) => Err(PayloadError::Length),
    }
}

/// Splits `text` after so many UTF-16 code units.
fn split_utf16(text: &str, units: usize) -> Result<(&str, &str), PayloadError> {
    // No character has more units than bytes.
    if units > text.len() {
        return Err(PayloadError::Short);
    }
    let mut left = units;
    let mut end = 0;
    let mut characters = text.chars();
    while left > 0 {
        let next = characters.next().ok_or(PayloadError::Short)?;
        left = left
            .checked_sub(next.len_utf16())
            .ok_or(PayloadError::HalfCharacter)?;
        end += next.len_utf8();
    }
    text.split_at_checked(end).ok_or(PayloadError::Short)
}

/// Version 3, "Payload", binary.
fn next_binary(bytes: &[u8]) -> Step<'_> {
    let Some((kind, bytes)) = bytes.split_first() else {
        return Ok(None);
    };
    // The reference takes everything but 0 for binary.
    if *kind > 1 {
        return Err(PayloadError::Kind(*kind));
    }
    let (length, bytes) = binary_length(bytes)?;
    // The reference hands on as much as there is.
    let (packet, rest) = bytes.split_at_checked(length).ok_or(PayloadError::Short)?;
    let packet = if *kind == 0 {
        let text = str::from_utf8(packet).map_err(|_| PayloadError::Utf8)?;
        Revision::V3.decode_text(text)?
    } else {
        // A copy, so that a small message does not keep a large body in memory.
        message(Bytes::copy_from_slice(binary_message(packet)?))
    };
    Ok(Some((packet, Rest::Binary(rest))))
}

/// The length at the beginning of `bytes`, and what stands behind its end.
fn binary_length(bytes: &[u8]) -> Result<(usize, &[u8]), PayloadError> {
    let mut length = 0_usize;
    let mut rest = bytes;
    for place in 0..=MAX_DIGITS {
        let (digit, behind) = rest.split_first().ok_or(PayloadError::Length)?;
        rest = behind;
        match digit {
            &LENGTH_END if place > 0 => return Ok((length, rest)),
            // A number too large for the machine is too large for the payload.
            0..=9 => length = length.saturating_mul(10).saturating_add((*digit).into()),
            _ => break,
        }
    }
    Err(PayloadError::Length)
}

// ---------------------------------------------------------------------------------------------------------
// Single packets, where the versions differ.

impl Revision {
    /// Reads a packet from a text frame of WebSocket, or from its place in a payload.
    ///
    /// # Errors
    /// Says why `text` is no packet.
    pub fn decode_text(self, text: &str) -> Result<Packet<'_>, PayloadError> {
        match self {
            // Version 3, "Packet": `b`, then the type, then the data as base64. Only messages have any.
            Self::V3 if text.starts_with('b') => {
                let data = text
                    .strip_prefix(BASE64_V3)
                    .ok_or(PayloadError::NoMessage)?;
                let data = BASE64_STANDARD
                    .decode(data)
                    .map_err(|_| PacketError::Base64)?;
                Ok(message(data.into()))
            }
            Self::V3 | Self::V4 => Ok(Packet::decode(text)?),
        }
    }

    /// Reads a binary frame of WebSocket: always a message.
    ///
    /// # Errors
    /// In version 3 there is no message in it.
    pub fn decode_binary(self, frame: Bytes) -> Result<Packet<'static>, PayloadError> {
        match self {
            // Version 4, "Packet encoding": the bytes as they are.
            Self::V4 => Ok(message(frame)),
            // Version 3, "Packet": the type as a byte, then the data.
            Self::V3 => {
                let data = frame.slice_ref(binary_message(&frame)?);
                Ok(message(data))
            }
        }
    }

    /// Writes a frame as it goes over a WebSocket: as text, or as a binary frame. `base64_only` says that the client
    /// asked for `b64`, and has nothing but text sent to it then, in both versions.
    pub fn encode_frame(self, base64_only: bool, frame: &Frame) -> Cow<'_, Frame> {
        match (self, frame) {
            (_, Frame::Text(_)) => Cow::Borrowed(frame),
            (Self::V3 | Self::V4, Frame::Binary(data)) if base64_only => {
                let mark = match self {
                    Self::V3 => BASE64_V3,
                    Self::V4 => "b",
                };
                let mut text = String::with_capacity(mark.len() + base64_len(data));
                text.push_str(mark);
                BASE64_STANDARD.encode_string(data, &mut text);
                Cow::Owned(Frame::text(text))
            }
            (Self::V4, Frame::Binary(_)) => Cow::Borrowed(frame),
            (Self::V3, Frame::Binary(data)) => {
                let mut packet = Vec::with_capacity(1 + data.len());
                packet.push(BINARY_MESSAGE);
                packet.extend_from_slice(data);
                Cow::Owned(Frame::Binary(packet.into()))
            }
        }
    }
}

/// The data of a binary packet of version 3.
fn binary_message(packet: &[u8]) -> Result<&[u8], PayloadError> {
    packet
        .strip_prefix(&[BINARY_MESSAGE])
        .ok_or(PayloadError::NoMessage)
}

fn message(data: Bytes) -> Packet<'static> {
    Packet::Message(Message::Binary(data))
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty payload"),
            Self::Utf8 => f.write_str("a text that is not UTF-8"),
            Self::BinaryInV4 => f.write_str("a binary payload, which version 4 does not have"),
            Self::Length => f.write_str("a packet without its length before it"),
            Self::Short => f.write_str("a length beyond the end of the payload"),
            Self::HalfCharacter => f.write_str("a length that ends inside a character"),
            Self::Kind(kind) => {
                write!(
                    f,
                    "a packet of kind {kind}, which is neither text nor binary"
                )
            }
            Self::NoMessage => f.write_str("a binary packet that is not a message"),
            Self::TooManyPackets => f.write_str("more packets than a payload may have"),
            Self::Packet(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PayloadError {}

impl From<PacketError> for PayloadError {
    fn from(error: PacketError) -> Self {
        Self::Packet(error)
    }
}
