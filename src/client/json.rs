//! JSON that a server sent, as far as it is asked for.

use crate::socketio::{Name, fields, whole};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An object.
pub struct Object<'a>(BTreeMap<Name, &'a RawValue>);

impl<'a> Object<'a> {
    /// Reads one; none: it is none.
    pub fn read(json: &'a str) -> Option<Self> {
        fields(json.trim()).map(Self)
    }

    /// A field, as it stands there.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name.as_bytes()).map(|json| json.get())
    }

    /// A field that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        text(self.raw(name)?)
    }

    /// A field that is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        whole(self.raw(name)?)
    }
}

/// A text.
pub fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// What is in an array, as it stands there; nothing, if it is none.
pub fn elements(json: &str) -> Vec<&str> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    elements.into_iter().map(RawValue::get).collect()
}
