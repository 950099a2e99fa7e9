//! Events: a name, arguments, and perhaps a wish for an answer.

use super::{PacketError, socket::Ack};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Names that the libraries on both ends use themselves; nobody may send them (protocol, "EVENT").
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// The arguments of an event or ack, each as the JSON that arrived.
///
/// Raw, so that an echo is exact, and nothing recurses into what a stranger has nested.
#[derive(Debug, Clone)]
pub struct Arguments<'a>(Vec<&'a RawValue>);

impl<'a> Arguments<'a> {
    pub(super) fn parse(json: Option<&'a RawValue>) -> Result<Self, PacketError> {
        let json = json.ok_or(PacketError::Payload("an array"))?;
        serde_json::from_str(json.get())
            .map(Self)
            .map_err(|_| PacketError::Payload("an array"))
    }

    pub(super) fn first(&self) -> Option<&'a RawValue> {
        self.0.first().copied()
    }

    pub(super) fn push_json(&self, text: &mut String) {
        text.push('[');
        for (place, argument) in self.0.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(argument.get());
        }
        text.push(']');
    }
}

/// Whether an event may begin with this: a number, or a string that is not reserved.
pub(super) fn is_event_name(first: Option<&RawValue>) -> bool {
    match first.map(RawValue::get) {
        Some(json) if json.starts_with('"') => !is_reserved(&name(json)),
        Some(json) => json.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
        None => false,
    }
}

/// Whether a name belongs to the library.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name that a JSON string or number stands for.
fn name(json: &str) -> Cow<'_, str> {
    #[derive(serde::Deserialize)]
    #[serde(transparent)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    // What is no string of Unicode, a number or a lone surrogate, goes by its JSON.
    serde_json::from_str(json).map_or(Cow::Borrowed(json), |Name(name)| name)
}

/// An event from a client.
pub struct Event<'a> {
    name: Cow<'a, str>,
    arguments: Arguments<'a>,
    ack: Option<Ack>,
}

impl<'a> Event<'a> {
    pub(super) fn new(arguments: Arguments<'a>, ack: Option<Ack>) -> Self {
        let name = arguments
            .first()
            .map_or(Cow::Borrowed(""), |first| name(first.get()));
        Self {
            name,
            arguments,
            ack,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The argument at `place`, the first behind the name being 0, as the JSON that arrived.
    pub fn raw(&self, place: usize) -> Option<&'a RawValue> {
        self.arguments.0.get(place.saturating_add(1)).copied()
    }

    /// The way to answer, if the client asked for one. There is one answer, so the second call gives `None`.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }
}
