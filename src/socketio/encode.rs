//! Encoding: from what a program says to the frame that clients get.

use super::{
    event::is_reserved,
    packet::{AckId, head},
};
use crate::engineio::Frame;
use serde::Serialize;
use std::fmt;

/// An event of the main namespace with one argument: `42["name",argument]`.
///
/// # Errors
/// The name is reserved, or the argument has no form in JSON.
pub fn event(name: &str, argument: &impl Serialize) -> Result<Frame, EncodeError> {
    if is_reserved(name) {
        return Err(EncodeError::ReservedName);
    }
    Ok(Frame::json(&head('2', 0, "/", None), &(name, argument))?)
}

/// The answer to an event: `43<id>[argument]`.
///
/// # Errors
/// The argument has no form in JSON.
pub(super) fn ack(id: AckId, argument: &impl Serialize) -> Result<Frame, EncodeError> {
    Ok(Frame::json(&head('3', 0, "/", Some(id)), &(argument,))?)
}

/// The server's yes to a CONNECT: `40{"sid":"…"}`.
pub(super) fn connected(answer: &impl Serialize) -> Result<Frame, EncodeError> {
    Ok(Frame::json(&head('0', 0, "/", None), answer)?)
}

/// The server's no to a CONNECT: `44/namespace,{"message":"…"}`.
pub(super) fn connect_error(
    namespace: &str,
    answer: &impl Serialize,
) -> Result<Frame, EncodeError> {
    Ok(Frame::json(&head('4', 0, namespace, None), answer)?)
}

/// Why something cannot be sent.
#[derive(Debug)]
pub enum EncodeError {
    /// The event's name belongs to the library.
    ReservedName,
    /// The argument has no form in JSON.
    Json(serde_json::Error),
}

impl From<serde_json::Error> for EncodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedName => f.write_str("the event name is reserved; choose another"),
            Self::Json(error) => write!(f, "the argument cannot be written as JSON: {error}"),
        }
    }
}

impl std::error::Error for EncodeError {}
