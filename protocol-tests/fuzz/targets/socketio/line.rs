//! One session: its parts, what its client believes, and what is to follow from what it says.

use bytes::Bytes;
use rollcall::{
    engineio::{Dialect, Message, Revision, Session, outbound::Outbound},
    socketio::{Body, Client, MAX_ATTACHMENTS, Packet},
};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// What attachments may have together: little, so that small inputs have too much.
pub const MAX_BYTES: usize = 64;

/// A session.
pub struct Line {
    pub session: Session,
    pub client: Client<()>,
    pub outbound: Outbound,
    /// A packet whose attachments are still to come.
    begun: Option<Begun>,
    /// The namespaces that the client is in, as far as it knows.
    pub inside: BTreeSet<String>,
    /// Those that it was sent away from.
    pub expelled: BTreeSet<String>,
    /// Attachments that the client waits for.
    pub owed: u8,
}

struct Begun {
    text: String,
    missing: u8,
    bytes: usize,
    so_far: Vec<Bytes>,
}

/// An event that is complete, as the wire has it.
pub struct Call {
    pub namespace: String,
    pub id: Option<String>,
    pub arguments: Vec<String>,
    pub attachments: Vec<Bytes>,
}

impl Line {
    pub fn new(session: Session, client: Client<()>, outbound: Outbound) -> Self {
        Self {
            session,
            client,
            outbound,
            begun: None,
            inside: BTreeSet::new(),
            expelled: BTreeSet::new(),
            owed: 0,
        }
    }

    /// The event that is complete with this message, if one is.
    pub fn expect(&mut self, dialect: Dialect, message: &Message<'_>) -> Option<Call> {
        match (message, self.begun.take()) {
            (Message::Text(text), None) => {
                let packet = Packet::decode(text).ok()?;
                let missing = packet.attachments();
                assert!(missing <= MAX_ATTACHMENTS);
                let name = name_of(dialect, packet.namespace);
                match packet.body {
                    Body::Disconnect => drop(self.inside.remove(name)),
                    // One that was sent away begins anew.
                    Body::Connect(_) => drop(self.expelled.remove(name)),
                    _ => {}
                }
                if missing == 0 {
                    return call(dialect, text, Vec::new());
                }
                self.begun = Some(Begun {
                    text: (*text).to_owned(),
                    missing,
                    bytes: 0,
                    so_far: Vec::new(),
                });
                None
            }
            (Message::Binary(bytes), Some(mut begun)) => {
                begun.missing -= 1;
                begun.bytes += bytes.len();
                begun.so_far.push(bytes.clone());
                if begun.bytes > MAX_BYTES {
                    return None;
                }
                if begun.missing == 0 {
                    return call(dialect, &begun.text, begun.so_far);
                }
                self.begun = Some(begun);
                None
            }
            (Message::Text(_), Some(_)) | (Message::Binary(_), None) => None,
        }
    }
}

/// The name of a namespace; in version 4 of Socket.IO a query may stand behind it.
fn name_of(dialect: Dialect, namespace: &str) -> &str {
    match dialect.revision {
        Revision::V3 => namespace.split('?').next().unwrap_or_default(),
        Revision::V4 => namespace,
    }
}

/// The event that a text is.
fn call(dialect: Dialect, text: &str, attachments: Vec<Bytes>) -> Option<Call> {
    let packet = Packet::decode(text).ok()?;
    let Body::Event(event) = packet.body else {
        return None;
    };
    let raw = event.arguments.iter().map(RawValue::get);
    Some(Call {
        namespace: name_of(dialect, packet.namespace).to_owned(),
        id: event.id.map(|id| id.to_string()),
        arguments: raw.map(str::to_owned).collect(),
        attachments,
    })
}

/// A packet in its message.
pub fn written(kind: char, call: &Call, id: &str, arguments: &[String]) -> String {
    let count = match call.attachments.len() {
        0 => String::new(),
        count => format!("{count}-"),
    };
    let namespace = match call.namespace.as_str() {
        "/" => String::new(),
        name => format!("{name},"),
    };
    format!("4{kind}{count}{namespace}{id}[{}]", arguments.join(","))
}

/// An event without its last argument, which is its offset: a text of digits.
pub fn without_last(text: &str) -> String {
    let (before, offset) = text.rsplit_once(",\"").expect("an offset");
    let digits = offset.strip_suffix("\"]").expect("an offset");
    assert!(digits.bytes().all(|digit| digit.is_ascii_digit()));
    format!("{before}]")
}
