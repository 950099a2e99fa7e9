//! Encoding: from what a program says to the frames that clients get, once for all receivers.

use super::{
    Arguments, MAX_ATTACHMENTS, Refused,
    event::is_reserved,
    packet::{AckId, head},
    recovery::Offset,
};
use crate::engineio::{Frame, Revision, outbound::Order};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};
use std::{fmt, io, sync::Arc};

/// What an event or ack carries: a tuple of up to eight values, `()` for nothing, or the [`Arguments`] that a client
/// sent.
///
/// Bytes that serialize as such ([`Bytes`] does, `Vec<u8>` does not) travel as attachments, wherever in the values they
/// are.
///
/// ```
/// use rollcall::{engineio::Frame, socketio::encode};
///
/// # fn main() -> Result<(), encode::EncodeError> {
/// let wire = |packet: encode::Encoded| packet.into_frame();
/// assert_eq!(wire(encode::event("/", "m", ())?)?, Frame::message(r#"2["m"]"#));
/// assert_eq!(wire(encode::event("/chat", "m", ("a", [1, 2], None::<u8>))?)?, Frame::message(r#"2/chat,["m","a",[1,2],null]"#));
/// # Ok(())
/// # }
/// ```
pub trait Args {
    /// Adds them.
    ///
    /// # Errors
    /// One has no form in JSON.
    fn add_to(&self, list: &mut List) -> Result<(), serde_json::Error>;
}

/// The arguments so far, as the inside of a JSON array.
pub struct List {
    /// With what stands before the array, for the usual packet without attachments.
    text: Vec<u8>,
    /// Where the array begins.
    start: usize,
    attachments: Vec<Bytes>,
}

impl List {
    fn new(head: String) -> Self {
        let start = head.len();
        let mut text = head.into_bytes();
        text.reserve(128);
        text.push(b'[');
        Self {
            text,
            start,
            attachments: Vec::new(),
        }
    }

    /// Adds one argument.
    ///
    /// # Errors
    /// It has no form in JSON.
    pub fn push(&mut self, argument: &(impl Serialize + ?Sized)) -> Result<(), serde_json::Error> {
        if self.text.len() > self.start + 1 {
            self.text.push(b',');
        }
        let attaching = Attaching(&mut self.attachments);
        argument.serialize(&mut Serializer::with_formatter(&mut self.text, attaching))
    }

    /// The packet, given what stands before the array when there are attachments.
    fn finish(mut self, head: impl FnOnce(u8) -> String) -> Result<Encoded, EncodeError> {
        self.text.push(b']');
        if self.attachments.is_empty() {
            return Ok(Encoded::Frame(Frame::Text(self.text.into())));
        }
        let count = u8::try_from(self.attachments.len())
            .ok()
            .filter(|count| *count <= MAX_ATTACHMENTS)
            .ok_or(EncodeError::TooManyAttachments)?;
        let mut text = head(count).into_bytes();
        text.extend_from_slice(self.text.get(self.start..).unwrap_or_default());
        let frames = [Frame::Text(text.into())]
            .into_iter()
            .chain(self.attachments.into_iter().map(Frame::Binary));
        Ok(Encoded::Frames(frames.collect()))
    }
}

/// JSON without spaces, in which bytes leave a placeholder.
struct Attaching<'a>(&'a mut Vec<Bytes>);

impl Formatter for Attaching<'_> {
    fn write_byte_array<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        let num = self.0.len();
        self.0.push(Bytes::copy_from_slice(bytes));
        write!(writer, "{{\"_placeholder\":true,\"num\":{num}}}")
    }
}

macro_rules! tuple_of_args {
    ($($name:ident)*) => {
        impl<$($name: Serialize),*> Args for ($($name,)*) {
            #[allow(non_snake_case, unused_variables, reason = "a macro for all sizes, zero as well")]
            fn add_to(&self, list: &mut List) -> Result<(), serde_json::Error> {
                let ($($name,)*) = self;
                $(list.push($name)?;)*
                Ok(())
            }
        }
    };
}

tuple_of_args!();
tuple_of_args!(A);
tuple_of_args!(A B);
tuple_of_args!(A B C);
tuple_of_args!(A B C D);
tuple_of_args!(A B C D E);
tuple_of_args!(A B C D E F);
tuple_of_args!(A B C D E F G);
tuple_of_args!(A B C D E F G H);

/// Exactly as they came, attachments included.
impl Args for Arguments<'_> {
    fn add_to(&self, list: &mut List) -> Result<(), serde_json::Error> {
        self.iter().try_for_each(|argument| list.push(argument))?;
        list.attachments.extend_from_slice(self.attachments());
        Ok(())
    }
}

impl<T: Args + ?Sized> Args for &T {
    fn add_to(&self, list: &mut List) -> Result<(), serde_json::Error> {
        (**self).add_to(list)
    }
}

/// A packet, ready for any number of clients. A clone shares the bytes.
#[derive(Debug, Clone)]
pub enum Encoded {
    /// All of it.
    Frame(Frame),
    /// With its attachments.
    Frames(Arc<[Frame]>),
}

impl Encoded {
    /// The packet for a [`Topic`](crate::engineio::outbound::Topic).
    ///
    /// # Errors
    /// It has attachments, which a topic does not carry.
    pub fn into_frame(self) -> Result<Frame, EncodeError> {
        match self {
            Self::Frame(frame) => Ok(frame),
            Self::Frames(_) => Err(EncodeError::TooManyAttachments),
        }
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.bytes().len(),
            Self::Frames(frames) => frames.iter().map(|frame| frame.bytes().len()).sum(),
        }
    }

    pub(super) fn into_order(self) -> Order {
        match self {
            Self::Frame(frame) => Order::Send(frame),
            Self::Frames(frames) => Order::SendAll(frames),
        }
    }
}

impl From<Frame> for Encoded {
    fn from(frame: Frame) -> Self {
        Self::Frame(frame)
    }
}

/// An event: `42["name",…]`.
///
/// # Errors
/// The name is reserved, an argument has no form in JSON, or there are more attachments than clients take.
pub fn event(namespace: &str, name: &str, args: impl Args) -> Result<Encoded, EncodeError> {
    event_with(namespace, None, name, args, None)
}

/// The same, to be answered with an id, or to be told from others by an offset, which the client takes for the last
/// argument.
pub(super) fn event_with(
    namespace: &str,
    id: Option<AckId>,
    name: &str,
    args: impl Args,
    offset: Option<Offset>,
) -> Result<Encoded, EncodeError> {
    if is_reserved(name) {
        return Err(EncodeError::ReservedName);
    }
    let mut list = List::new(head('2', 0, namespace, id));
    list.push(name)?;
    args.add_to(&mut list)?;
    if let Some(Offset(offset)) = offset {
        list.push(&offset.to_string())?;
    }
    list.finish(|attachments| head('5', attachments, namespace, id))
}

/// The answer to an event: `43<id>[…]`.
pub(super) fn ack(namespace: &str, id: AckId, args: impl Args) -> Result<Encoded, EncodeError> {
    let mut list = List::new(head('3', 0, namespace, Some(id)));
    args.add_to(&mut list)?;
    list.finish(|attachments| head('6', attachments, namespace, Some(id)))
}

/// The server's yes to a CONNECT: `40{"sid":"…"}`. Socket.IO 4, on Engine.IO 3, has no payload there.
pub(super) fn connected(
    revision: Revision,
    namespace: &str,
    answer: &impl Serialize,
) -> Result<Frame, EncodeError> {
    let head = head('0', 0, namespace, None);
    match revision {
        Revision::V3 => Ok(Frame::text(head)),
        Revision::V4 => Ok(Frame::json(&head, answer)?),
    }
}

/// The server's no to a CONNECT: `44/namespace,{"message":"…"}`. Socket.IO 4 has the message or the data alone.
pub(super) fn refused(
    revision: Revision,
    namespace: &str,
    refused: &Refused,
) -> Result<Frame, EncodeError> {
    let head = head('4', 0, namespace, None);
    Ok(match (revision, &refused.data) {
        (Revision::V3, Some(data)) => Frame::json(&head, data)?,
        (Revision::V3, None) => Frame::json(&head, &refused.message)?,
        (Revision::V4, _) => Frame::json(&head, refused)?,
    })
}

/// That a client is not in a namespace any more: `41/namespace,`.
pub(super) fn disconnect(namespace: &str) -> Frame {
    Frame::text(head('1', 0, namespace, None))
}

/// Why something cannot be sent.
#[derive(Debug)]
pub enum EncodeError {
    /// The event's name belongs to the library.
    ReservedName,
    /// There are more attachments than [`MAX_ATTACHMENTS`], or any where none can be.
    TooManyAttachments,
    /// An argument has no form in JSON.
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
            Self::TooManyAttachments => write!(
                f,
                "clients take no more than {MAX_ATTACHMENTS} attachments, and a topic carries none"
            ),
            Self::Json(error) => write!(f, "an argument cannot be written as JSON: {error}"),
        }
    }
}

impl std::error::Error for EncodeError {}
