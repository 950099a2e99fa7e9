//! A client: Socket.IO's part of one session.

use super::{
    Ack, Arguments, Auth, DisconnectReason, Event, PacketError, Refused, SocketId,
    assembly::{Assembly, TooLarge},
    encode,
    membership::{Membership, Standing},
    packet::{Body, Call, Packet},
    place::{Place, Request, State},
    placeholder::{self, TooDeep},
    socket_io::Shared,
};
use crate::engineio::{
    CloseReason, Frame, Message, Revision, SessionHandler, Sid,
    outbound::{Inbox, Order, Owner},
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

/// One session's client.
pub struct Client<H> {
    shared: Arc<Shared<H>>,
    handshake: Arc<H>,
    inbox: Arc<Inbox>,
    /// Engine.IO 3 carries version 4 of Socket.IO, Engine.IO 4 carries version 5.
    revision: Revision,
    /// Each namespace at most once.
    places: Vec<Place>,
    /// When a client that is in no namespace has been so for too long.
    outside_until: Option<Instant>,
    assembly: Option<Box<Assembly>>,
    /// The number of the next membership.
    next_owner: u32,
    /// Nothing is on its way: no admission is waited for, and the client has said nothing since the last look.
    is_settled: bool,
}

/// How a client broke the rules of Socket.IO. It costs the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// That is no packet.
    Packet(PacketError),
    /// A binary message that belongs to no packet.
    StrayBinary,
    /// A packet where attachments of the last one should come.
    AttachmentsMissing,
    /// The attachments of a packet are larger than the limit.
    AttachmentsTooLarge,
    /// A placeholder that stands for no attachment.
    Placeholder,
    /// More arrays and objects in each other than the limit allows.
    TooDeep,
    /// A packet for a namespace that the client has not joined.
    NotConnected,
    /// A CONNECT to a namespace that the client is in, or about to be.
    AlreadyConnected,
    /// A CONNECT_ERROR, which only the server sends.
    ConnectError,
    /// The system had no random number for a socket id.
    NoRandom,
}

impl<H: Send + Sync + 'static> SessionHandler for Client<H> {
    type Violation = Violation;

    /// In version 4 of Socket.IO a client is in the main namespace from the beginning.
    fn handle_open(&mut self, now: Instant) -> Result<(), Violation> {
        match self.revision {
            Revision::V3 => self.connect(now, "/", Auth::default()),
            Revision::V4 => Ok(()),
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message<'_>) -> Result<(), Violation> {
        self.is_settled = false;
        match (message, &mut self.assembly) {
            (Message::Text(text), None) => {
                let packet = self.decode(text)?;
                match packet.attachments() {
                    0 => self.handle_packet(now, packet, &[]),
                    wanted => {
                        let (name, _) = self.split_query(packet.namespace);
                        // A stranger's attachments are not collected.
                        let place = self.find(name).and_then(|at| self.places.get(at));
                        if place.is_none_or(|place| matches!(place.state, State::Admitting(_))) {
                            return Err(Violation::NotConnected);
                        }
                        let assembly = Assembly::begin(now, text, wanted, &self.shared.settings);
                        self.assembly = Some(Box::new(assembly));
                        Ok(())
                    }
                }
            }
            (Message::Text(_), Some(_)) => Err(Violation::AttachmentsMissing),
            (Message::Binary(_), None) => Err(Violation::StrayBinary),
            (Message::Binary(bytes), Some(assembly)) => {
                let limit = self.shared.settings.max_attachment_bytes;
                let is_whole = assembly
                    .push(bytes, limit)
                    .map_err(|TooLarge| Violation::AttachmentsTooLarge)?;
                match self.assembly.take_if(|_| is_whole) {
                    Some(whole) => {
                        let packet = self.decode(&whole.text)?;
                        self.handle_packet(now, packet, &whole.attachments)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn poll(&mut self, now: Instant, context: &mut Context<'_>) {
        // Nearly always the session woke up to send something, and this need not be looked at.
        if self.is_settled && !self.inbox.take_alert() {
            return;
        }
        let mut at = 0;
        while at < self.places.len() {
            if self.poll_place(now, at, context) {
                at += 1;
            } else {
                self.places.swap_remove(at);
            }
        }
        let mut places = self.places.iter();
        self.is_settled = !places.any(|place| matches!(place.state, State::Admitting(_)));
        self.note_whether_outside(now);
    }

    fn deadline(&self) -> Option<Instant> {
        let assembly = self.assembly.as_ref().map(|assembly| assembly.deadline);
        self.outside_until.into_iter().chain(assembly).min()
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<CloseReason> {
        let is_late = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_late(self.outside_until) {
            return Some(CloseReason::ConnectTimeout);
        }
        let assembly = self.assembly.as_ref().map(|assembly| assembly.deadline);
        is_late(assembly).then_some(CloseReason::AttachmentTimeout)
    }

    fn handle_close(&mut self, now: Instant, reason: CloseReason) -> Vec<Frame> {
        // Who was sent away in the last moment is told that, and not twice.
        (0..self.places.len()).for_each(|at| self.part_if_expelled(now, at));
        let mut last_words = Vec::new();
        for place in mem::take(&mut self.places) {
            if let State::Inside(socket) = place.state {
                if reason == CloseReason::ServerDisconnected {
                    last_words.push(encode::disconnect(&place.name));
                }
                socket.left(now, DisconnectReason::SessionClosed(reason));
            }
        }
        last_words
    }
}

impl<H: Send + Sync + 'static> Client<H> {
    pub(super) fn new(
        now: Instant,
        revision: Revision,
        shared: Arc<Shared<H>>,
        handshake: Arc<H>,
        inbox: Arc<Inbox>,
    ) -> Self {
        let mut client = Self {
            outside_until: None,
            shared,
            handshake,
            inbox,
            revision,
            places: Vec::new(),
            assembly: None,
            next_owner: 0,
            is_settled: false,
        };
        client.note_whether_outside(now);
        client
    }

    fn decode<'a>(&self, text: &'a str) -> Result<Packet<'a>, Violation> {
        Packet::decode_within(text, self.shared.settings.max_attachments).map_err(Violation::Packet)
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        packet: Packet<'_>,
        attachments: &[Bytes],
    ) -> Result<(), Violation> {
        let Packet { namespace, body } = packet;
        let (name, query) = self.split_query(namespace);
        let mut place = self.find(name);
        if let Some(at) = place {
            // The client may have heard of it before we did: the order goes past us.
            self.part_if_expelled(now, at);
            // One that was sent away may come back.
            let is_expelled = |place: &mut Place| matches!(place.state, State::Expelled);
            if matches!(body, Body::Connect(_)) && self.places.get_mut(at).is_some_and(is_expelled)
            {
                self.places.swap_remove(at);
                place = None;
            }
        }
        match (body, place) {
            (Body::Connect(payload), None) => {
                let auth = match (self.revision, payload) {
                    (Revision::V3, _) => auth_of_query(query),
                    (Revision::V4, None) => Auth::default(),
                    (Revision::V4, Some(payload)) => {
                        check_depth(payload, self.shared.settings.max_depth)?;
                        Auth(Some(payload.to_owned()))
                    }
                };
                self.connect(now, name, auth)
            }
            (Body::ConnectError(_), _) => Err(Violation::ConnectError),
            (_, None) => Err(Violation::NotConnected),
            (body, Some(place)) => self.handle_inside(now, place, body, attachments),
        }
    }

    /// A packet for a namespace that the client knows.
    fn handle_inside(
        &mut self,
        now: Instant,
        at: usize,
        body: Body<'_>,
        attachments: &[Bytes],
    ) -> Result<(), Violation> {
        let max_depth = self.shared.settings.max_depth;
        let Some(place) = self.places.get_mut(at) else {
            return Err(Violation::NotConnected);
        };
        match (body, &mut place.state) {
            (_, State::Expelled) => Ok(()),
            (Body::Connect(_), _) => Err(Violation::AlreadyConnected),
            (_, State::Admitting(_)) => Err(Violation::NotConnected),
            (Body::Disconnect, State::Inside(_)) => {
                let place = self.places.swap_remove(at);
                if let State::Inside(socket) = place.state {
                    socket.left(now, DisconnectReason::ClientLeft);
                }
                self.note_whether_outside(now);
                Ok(())
            }
            (Body::Event(Call { id, arguments, .. }), State::Inside(socket)) => {
                let arguments = arguments.with(attachments);
                check(&arguments, max_depth)?;
                let membership = socket.membership();
                if membership.standing() == Standing::Inside {
                    let ack = id.map(|id| Ack::new(id, Arc::clone(membership)));
                    socket.event(Event::new(arguments, ack));
                }
                Ok(())
            }
            (Body::Ack(Call { id, arguments, .. }), State::Inside(socket)) => {
                let arguments = arguments.with(attachments);
                check(&arguments, max_depth)?;
                if let Some(id) = id {
                    socket.membership().answer(id, arguments);
                }
                Ok(())
            }
            (Body::ConnectError(_), _) => Err(Violation::ConnectError),
        }
    }

    /// The client wants to join.
    fn connect(&mut self, now: Instant, name: &str, auth: Auth) -> Result<(), Violation> {
        let Some((name, namespace)) = self.shared.namespaces.get_key_value(name) else {
            let refused = Refused::new("Invalid namespace");
            // As an object in every version.
            self.send(encode::refused(Revision::V4, name, &refused));
            return Ok(());
        };
        let id = SocketId::random().map_err(|_| Violation::NoRandom)?;
        let may_come_back = self.shared.settings.recovery.is_some();
        let pid = may_come_back
            .then(Sid::random)
            .transpose()
            .map_err(|_| Violation::NoRandom)?;
        let owner = Owner(self.next_owner);
        self.next_owner = self.next_owner.wrapping_add(1);
        let membership = Membership::new(Arc::clone(name), Arc::clone(&self.inbox), owner);
        let handshake = Arc::clone(&self.handshake);
        let request = Request {
            now,
            revision: self.revision,
            auth,
            id,
            pid,
            membership,
        };
        let admission = Arc::clone(namespace).admit(handshake, request);
        let place = Place {
            name: Arc::clone(name),
            state: State::Admitting(admission),
        };
        // Nearly every client is in exactly one.
        self.places.reserve_exact(1);
        self.places.push(place);
        // Most admissions do not wait: then what comes right behind the CONNECT finds the client inside.
        let at = self.places.len() - 1;
        if !self.poll_place(now, at, &mut Context::from_waker(Waker::noop())) {
            self.places.swap_remove(at);
        }
        self.note_whether_outside(now);
        Ok(())
    }

    /// Goes on with what has been begun in one place. Whether it still is a place of the client's.
    fn poll_place(&mut self, now: Instant, at: usize, context: &mut Context<'_>) -> bool {
        let Some(Place { name, state }) = self.places.get_mut(at) else {
            return false;
        };
        if let State::Admitting(admission) = state
            && let Poll::Ready(verdict) = admission.as_mut().poll(context)
        {
            match verdict {
                Ok(socket) => {
                    *state = State::Inside(socket);
                    if let State::Inside(socket) = state {
                        socket.joined();
                    }
                }
                Err(refused) => {
                    let refused = encode::refused(self.revision, name, &refused);
                    self.send(refused);
                    return false;
                }
            }
        }
        self.part_if_expelled(now, at);
        true
    }

    /// Tells the program that a socket is gone which it has sent away itself.
    fn part_if_expelled(&mut self, now: Instant, at: usize) {
        if let Some(place) = self.places.get_mut(at)
            && let State::Inside(socket) = &place.state
            && socket.membership().standing() == Standing::Expelled
            && let State::Inside(socket) = mem::replace(&mut place.state, State::Expelled)
        {
            socket.left(now, DisconnectReason::ServerLeft);
        }
    }

    /// Starts or stops the time that a client may be in no namespace.
    fn note_whether_outside(&mut self, now: Instant) {
        let mut places = self.places.iter();
        if places.any(|place| matches!(place.state, State::Inside(_))) {
            self.outside_until = None;
        } else if self.outside_until.is_none() {
            let usual = self.shared.settings.connect_timeout;
            self.outside_until = Some(now + (self.shared.connect_timeout)(&self.handshake, usual));
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.places.iter().position(|place| *place.name == *name)
    }

    /// The name of a namespace and, in version 4 of Socket.IO, the query behind it.
    fn split_query<'a>(&self, namespace: &'a str) -> (&'a str, &'a str) {
        match self.revision {
            Revision::V3 => namespace.split_once('?').unwrap_or((namespace, "")),
            Revision::V4 => (namespace, ""),
        }
    }

    fn send(&self, frame: Result<Frame, encode::EncodeError>) {
        match frame {
            Ok(frame) => self.inbox.push(Order::Send(frame)),
            Err(error) => log::error!("an answer of our own cannot be encoded: {error}"),
        }
    }
}

/// Version 4 of Socket.IO has no auth payload: what a client has to say is in the query.
fn auth_of_query(query: &str) -> Auth {
    let pairs: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    // Texts by texts always have a form in JSON.
    Auth(serde_json::value::to_raw_value(&pairs).ok())
}

/// Nothing too deep, and every placeholder stands for an attachment.
fn check(arguments: &Arguments<'_>, max_depth: usize) -> Result<(), Violation> {
    let attachments = arguments.attachments().len();
    for json in arguments.iter().map(RawValue::get) {
        // What is short cannot be deep.
        if attachments > 0 || json.len() > max_depth {
            let found = placeholder::find(json, max_depth).map_err(|TooDeep| Violation::TooDeep)?;
            if attachments > 0 && !placeholder::all_point_into(&found, attachments) {
                return Err(Violation::Placeholder);
            }
        }
    }
    Ok(())
}

/// Nothing too deep.
fn check_depth(json: &RawValue, max_depth: usize) -> Result<(), Violation> {
    placeholder::find(json.get(), max_depth).map_err(|TooDeep| Violation::TooDeep)?;
    Ok(())
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(error) => error.fmt(f),
            Self::StrayBinary => f.write_str("a binary message that no packet announced"),
            Self::AttachmentsMissing => f.write_str("a packet where attachments were to come"),
            Self::AttachmentsTooLarge => f.write_str("attachments beyond the limit in bytes"),
            Self::Placeholder => f.write_str("a placeholder that stands for no attachment"),
            Self::TooDeep => f.write_str("more arrays and objects in each other than the limit"),
            Self::NotConnected => f.write_str("a packet for a namespace that it has not joined"),
            Self::AlreadyConnected => f.write_str("a second CONNECT to a namespace that it is in"),
            Self::ConnectError => f.write_str("a CONNECT_ERROR, which only the server sends"),
            Self::NoRandom => {
                f.write_str("nothing wrong: the system has no random numbers for a socket id")
            }
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::Client;

    /// Every session has one, and most are idle.
    #[test]
    fn a_client_is_small() {
        assert!(size_of::<Client<()>>() <= 88);
    }
}
