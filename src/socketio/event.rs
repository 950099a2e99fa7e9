//! Events: a name, arguments, and perhaps a wish for an answer.

use super::{Ack, ArgumentError, Arguments};
use serde::de::DeserializeOwned;
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
    /// `arguments` begin with the name.
    pub(super) fn new(arguments: Arguments<'a>, ack: Option<Ack>) -> Self {
        let (first, arguments) = arguments.split_first();
        Self {
            name: first.map_or(Cow::Borrowed(""), |first| name(first.get())),
            arguments,
            ack,
        }
    }

    /// Its name. One that is a number goes by its digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What came with it.
    pub fn arguments(&self) -> &Arguments<'a> {
        &self.arguments
    }

    /// The argument at `place`, from 0: see [`Arguments::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get<T: DeserializeOwned>(&self, place: usize) -> Result<T, ArgumentError> {
        self.arguments.get(place)
    }

    /// The argument at `place`, from 0, as the JSON that arrived.
    pub fn raw(&self, place: usize) -> Option<&'a RawValue> {
        self.arguments.raw(place)
    }

    /// The way to answer, if the client asked for one. There is one answer, so the second call gives `None`.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }
}
