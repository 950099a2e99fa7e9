//! Arguments: what a client sends along with an event, or answers one with.

use super::{PacketError, placeholder};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt;

/// The arguments of an event or ack, each as the JSON that arrived, with the attachments of all of them.
///
/// Raw, so that an echo is exact, and nothing recurses into what a stranger has nested before someone asks for a type.
#[derive(Debug, Clone)]
pub struct Arguments<'a> {
    json: Vec<&'a RawValue>,
    attachments: &'a [Bytes],
}

impl<'a> Arguments<'a> {
    pub(super) fn parse(json: Option<&'a RawValue>) -> Result<Self, PacketError> {
        let json = json.ok_or(PacketError::Payload("an array"))?;
        let json =
            serde_json::from_str(json.get()).map_err(|_| PacketError::Payload("an array"))?;
        Ok(Self {
            json,
            attachments: &[],
        })
    }

    pub(super) fn with(self, attachments: &'a [Bytes]) -> Self {
        Self {
            attachments,
            ..self
        }
    }

    /// Takes the first off.
    pub(super) fn split_first(mut self) -> (Option<&'a RawValue>, Self) {
        let first = (!self.json.is_empty()).then(|| self.json.remove(0));
        (first, self)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.json.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// The argument at `place`, from 0, as the JSON that arrived: attachments are placeholders in it. Sent on alone, it
    /// goes without them; the `Arguments` as a whole are [`Args`](super::Args) that keep them.
    pub fn raw(&self, place: usize) -> Option<&'a RawValue> {
        self.json.get(place).copied()
    }

    /// All arguments, as [`Arguments::raw`] gives them.
    pub fn iter(&self) -> impl Iterator<Item = &'a RawValue> + '_ {
        self.json.iter().copied()
    }

    /// The attachments, in the order in which they came.
    pub fn attachments(&self) -> &'a [Bytes] {
        self.attachments
    }

    /// The argument at `place`, from 0, as a type of the program's. One that is not there is `null`, which an
    /// `Option` takes. An attachment becomes [`Bytes`], `Vec<u8>`, or any type that serde reads from a sequence of
    /// numbers.
    ///
    /// ```
    /// use rollcall::socketio::{Body, Packet};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // What comes with a client's answer, here.
    /// let packet = Packet::decode(r#"31["tea",{"hot":true}]"#)?;
    /// let Body::Ack(answer) = packet.body else { unreachable!() };
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Wish { hot: bool }
    /// assert_eq!(answer.arguments.get::<String>(0)?, "tea");
    /// assert!(answer.arguments.get::<Wish>(1)?.hot);
    /// assert_eq!(answer.arguments.get::<Option<u32>>(2)?, None);
    ///
    /// let error = answer.arguments.get::<u32>(0).unwrap_err();
    /// assert!(error.to_string().starts_with("argument 0: invalid type"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The client sent something else, or nested it deeper than `serde_json` follows.
    pub fn get<T: DeserializeOwned>(&self, place: usize) -> Result<T, ArgumentError> {
        let json = self.raw(place).map_or("null", RawValue::get);
        let problem = match placeholder::fill(json, self.attachments) {
            Some(json) => match serde_json::from_str(&json) {
                Ok(value) => return Ok(value),
                Err(error) => Problem::Json(error),
            },
            None => Problem::Copies,
        };
        Err(ArgumentError { place, problem })
    }

    pub(super) fn push_json(&self, text: &mut String) {
        text.push('[');
        for (place, argument) in self.json.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(argument.get());
        }
        text.push(']');
    }
}

/// An argument is not of the type that the program asked for.
#[derive(Debug)]
pub struct ArgumentError {
    place: usize,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Json(serde_json::Error),
    Copies,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument {}: ", self.place)?;
        match &self.problem {
            Problem::Json(error) => error.fmt(f),
            Problem::Copies => f.write_str("an attachment is in it more than twice"),
        }
    }
}

impl std::error::Error for ArgumentError {}

/// Arguments that outlive the packet that brought them: a client's answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// All of them, as an array: each on its own would cost many times what the client has sent.
    json: String,
    attachments: Vec<Bytes>,
}

impl Answer {
    /// What the client answered.
    pub fn arguments(&self) -> Arguments<'_> {
        Arguments {
            // It was an array when it came.
            json: serde_json::from_str(&self.json).unwrap_or_default(),
            attachments: &self.attachments,
        }
    }

    /// As [`Arguments::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get<T: DeserializeOwned>(&self, place: usize) -> Result<T, ArgumentError> {
        self.arguments().get(place)
    }
}

impl From<Arguments<'_>> for Answer {
    fn from(arguments: Arguments<'_>) -> Self {
        let mut json = String::new();
        arguments.push_json(&mut json);
        Self {
            json,
            attachments: arguments.attachments.to_vec(),
        }
    }
}
