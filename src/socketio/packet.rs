//! Packets: what one Socket.IO message says.
//!
//! Grammar (Socket.IO protocol v5, "Packet encoding"):
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, the whole of it one Engine.IO message.
//! Strict where the official parser is strict, and in a few places where it merely happens not to look;
//! `fixtures/socketio-packets.json` shows each.

use super::{Arguments, event::is_event_name};
use crate::engineio::{Frame, MESSAGE};
use serde_json::value::RawValue;
use std::fmt;

/// One packet, borrowed from the message that it was read from. JSON stays raw until someone asks for a type.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// The namespace, `/` when the packet names none. Compared byte by byte.
    pub namespace: &'a str,
    /// What it is about.
    pub body: Body<'a>,
}

/// The seven types.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// `0`: the client asks to join, with an object as its auth payload; the server says yes, with its socket id.
    Connect(Option<&'a RawValue>),
    /// `1`: the sender leaves.
    Disconnect,
    /// `2`, or `5` with attachments: an event.
    Event(Call<'a>),
    /// `3`, or `6` with attachments: the answer to an event that asked for one.
    Ack(Call<'a>),
    /// `4`: the server refuses the client.
    ConnectError(&'a RawValue),
}

/// The inside of an event or an ack.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Which answer belongs to which question. An ack without one answers nothing.
    pub id: Option<AckId>,
    /// How many binary messages follow and belong to this packet.
    pub attachments: u8,
    /// An event's begin with its name.
    pub arguments: Arguments<'a>,
}

/// The number that ties an ack to its event, at most 2^53 - 1 so that every client counts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId(pub(super) u64);

impl AckId {
    /// The largest whole number that JavaScript tells from its neighbours.
    const MAX: u64 = (1 << 53) - 1;
}

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many attachments a packet may announce unless told otherwise; official clients take no more either.
pub const MAX_ATTACHMENTS: u8 = 10;

/// Why a message is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketError {
    /// Nothing at all.
    Empty,
    /// The first character is none of `0` to `6`.
    UnknownType(char),
    /// A binary packet without a count of attachments between 1 and the limit, and a `-` behind it.
    Attachments,
    /// An ack id above 2^53 - 1.
    AckIdTooLarge,
    /// A packet that is neither event nor ack carries an id.
    AckIdUnexpected,
    /// What should be JSON is not, or there is more behind it.
    Json,
    /// The JSON is missing, or not of the kind that the type wants.
    Payload(&'static str),
    /// An event without a name, or with one that belongs to the library.
    EventName,
}

impl<'a> Packet<'a> {
    /// Reads the packet that an Engine.IO message carries, with at most [`MAX_ATTACHMENTS`].
    ///
    /// # Errors
    /// Says why `message` is no packet.
    pub fn decode(message: &'a str) -> Result<Self, PacketError> {
        Self::decode_within(message, MAX_ATTACHMENTS)
    }

    /// The same, with another limit.
    ///
    /// # Errors
    /// As there.
    pub fn decode_within(message: &'a str, max_attachments: u8) -> Result<Self, PacketError> {
        let mut rest = Scanner(message);
        let kind = rest.character().ok_or(PacketError::Empty)?;
        let attachments = match kind {
            '5' | '6' => rest.attachments(max_attachments)?,
            _ => 0,
        };
        let namespace = rest.namespace();
        let id = rest.ack_id()?;
        let json = rest.json()?;
        let body = match kind {
            '0' | '1' | '4' if id.is_some() => return Err(PacketError::AckIdUnexpected),
            '0' => Body::Connect(
                json.map(|json| of_kind(json, "{", "an object"))
                    .transpose()?,
            ),
            '1' if json.is_some() => return Err(PacketError::Payload("nothing")),
            '1' => Body::Disconnect,
            '2' | '5' => {
                let arguments = Arguments::parse(json)?;
                if !is_event_name(arguments.raw(0)) {
                    return Err(PacketError::EventName);
                }
                Body::Event(Call {
                    id,
                    attachments,
                    arguments,
                })
            }
            '3' | '6' => {
                let arguments = Arguments::parse(json)?;
                Body::Ack(Call {
                    id,
                    attachments,
                    arguments,
                })
            }
            '4' => {
                let json = json.ok_or(PacketError::Payload("a string or an object"))?;
                Body::ConnectError(of_kind(json, "{\"", "a string or an object")?)
            }
            other => return Err(PacketError::UnknownType(other)),
        };
        Ok(Self { namespace, body })
    }

    /// How many binary messages follow and belong to it.
    pub fn attachments(&self) -> u8 {
        match &self.body {
            Body::Event(call) | Body::Ack(call) => call.attachments,
            Body::Connect(_) | Body::Disconnect | Body::ConnectError(_) => 0,
        }
    }

    /// Writes the packet as one Engine.IO message.
    pub fn encode(&self) -> Frame {
        let (kind, call) = match &self.body {
            Body::Connect(_) => ('0', None),
            Body::Disconnect => ('1', None),
            Body::Event(call) => (if call.attachments == 0 { '2' } else { '5' }, Some(call)),
            Body::Ack(call) => (if call.attachments == 0 { '3' } else { '6' }, Some(call)),
            Body::ConnectError(_) => ('4', None),
        };
        let (attachments, id) = call.map_or((0, None), |call| (call.attachments, call.id));
        let mut text = head(kind, attachments, self.namespace, id);
        match &self.body {
            Body::Event(call) | Body::Ack(call) => call.arguments.push_json(&mut text),
            Body::Connect(json) => text.push_str(json.map_or("", RawValue::get)),
            Body::ConnectError(json) => text.push_str(json.get()),
            Body::Disconnect => {}
        }
        Frame::text(text)
    }
}

/// All of a packet but its JSON, in the Engine.IO message that carries it.
pub(super) fn head(kind: char, attachments: u8, namespace: &str, id: Option<AckId>) -> String {
    let mut head = String::from_iter([MESSAGE, kind]);
    if attachments > 0 {
        head.push_str(&format!("{attachments}-"));
    }
    if namespace != "/" {
        head.push_str(namespace);
        head.push(',');
    }
    if let Some(id) = id {
        head.push_str(&id.to_string());
    }
    head
}

/// Lets `json` pass if it begins with one of `openings`.
fn of_kind<'a>(
    json: &'a RawValue,
    openings: &str,
    kind: &'static str,
) -> Result<&'a RawValue, PacketError> {
    if json.get().starts_with(|first| openings.contains(first)) {
        Ok(json)
    } else {
        Err(PacketError::Payload(kind))
    }
}

/// What is left of the message.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn character(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let first = characters.next();
        self.0 = characters.as_str();
        first
    }

    /// Digits, possibly none.
    fn digits(&mut self) -> &'a str {
        let rest = self
            .0
            .trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = self.0.strip_suffix(rest).unwrap_or_default();
        self.0 = rest;
        digits
    }

    fn attachments(&mut self, max: u8) -> Result<u8, PacketError> {
        let count = self
            .digits()
            .parse()
            .map_err(|_| PacketError::Attachments)?;
        match self.character() {
            Some('-') if (1..=max).contains(&count) => Ok(count),
            _ => Err(PacketError::Attachments),
        }
    }

    /// Protocol: a namespace begins with `/` and ends with `,` or with the packet. Its query string, if it
    /// has one, is part of the name in this version.
    fn namespace(&mut self) -> &'a str {
        if !self.0.starts_with('/') {
            return "/";
        }
        let (namespace, rest) = self.0.split_once(',').unwrap_or((self.0, ""));
        self.0 = rest;
        namespace
    }

    fn ack_id(&mut self) -> Result<Option<AckId>, PacketError> {
        match self.digits() {
            "" => Ok(None),
            digits => match digits.parse() {
                Ok(id) if id <= AckId::MAX => Ok(Some(AckId(id))),
                _ => Err(PacketError::AckIdTooLarge),
            },
        }
    }

    /// The rest, which is one JSON value or nothing.
    fn json(&mut self) -> Result<Option<&'a RawValue>, PacketError> {
        match self.0 {
            "" => Ok(None),
            // A space would be taken for part of the JSON; the grammar has none there.
            json if json.starts_with(|first: char| first.is_ascii_whitespace()) => {
                Err(PacketError::Json)
            }
            json => serde_json::from_str(json)
                .map(Some)
                .map_err(|_| PacketError::Json),
        }
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty message"),
            Self::UnknownType(kind) => write!(f, "packet type {kind:?}, which is none of 0 to 6"),
            Self::Attachments => {
                f.write_str("a binary packet without a count of attachments from 1 to the limit")
            }
            Self::AckIdTooLarge => f.write_str("an ack id above 2^53 - 1"),
            Self::AckIdUnexpected => f.write_str("an ack id where none belongs"),
            Self::Json => f.write_str("a payload that is not JSON"),
            Self::Payload(wanted) => write!(f, "a payload where {wanted} belongs"),
            Self::EventName => f.write_str("an event without a name, or with a reserved one"),
        }
    }
}

impl std::error::Error for PacketError {}
