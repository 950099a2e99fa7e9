//! A client: Socket.IO's part of one session.

use super::{
    DisconnectReason, Event, Namespace, PacketError, Socket, SocketId, encode,
    packet::{Body, Call, Packet},
};
use crate::engineio::{
    Application, CloseReason, Frame, Message, Revision, SessionHandler,
    outbound::{Inbox, Order},
};
use serde::Serialize;
use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

/// Socket.IO on Engine.IO, with the one namespace `/`.
pub struct SocketIo<N> {
    namespace: Arc<N>,
    connect_timeout: Duration,
}

impl<N: Namespace> SocketIo<N> {
    /// Serves `namespace` as `/`. A client that has joined nothing for `connect_timeout` is closed.
    pub fn new(namespace: Arc<N>, connect_timeout: Duration) -> Self {
        Self {
            namespace,
            connect_timeout,
        }
    }
}

impl<N: Namespace> Application for SocketIo<N> {
    type Identity = N::Identity;
    type Handler = Client<N>;

    fn open(
        &self,
        now: Instant,
        revision: Revision,
        identity: Arc<N::Identity>,
        inbox: Arc<Inbox>,
    ) -> Client<N> {
        let state = State::Outside {
            deadline: now + self.connect_timeout,
        };
        let namespace = Arc::clone(&self.namespace);
        Client {
            namespace,
            identity,
            inbox,
            connect_timeout: self.connect_timeout,
            revision,
            state,
        }
    }
}

/// One session's client.
pub struct Client<N: Namespace> {
    namespace: Arc<N>,
    identity: Arc<N::Identity>,
    inbox: Arc<Inbox>,
    connect_timeout: Duration,
    /// Engine.IO 3 carries version 4 of Socket.IO, Engine.IO 4 carries version 5.
    revision: Revision,
    state: State<N::Identity>,
}

enum State<I> {
    /// In no namespace, which may last until the deadline.
    Outside { deadline: Instant },
    /// In the main namespace.
    Inside(Socket<I>),
}

/// How a client broke the rules of Socket.IO. It costs the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// That is no packet.
    Packet(PacketError),
    /// A binary message that belongs to no packet.
    StrayBinary,
    /// A packet with attachments.
    Binary,
    /// A packet for a namespace that the client has not joined.
    NotConnected,
    /// A CONNECT to a namespace that the client is in.
    AlreadyConnected,
    /// A CONNECT_ERROR, which only the server sends.
    ConnectError,
    /// The system had no random number for a socket id.
    NoRandom,
}

impl<N: Namespace> SessionHandler for Client<N> {
    type Violation = Violation;

    /// In version 4 of Socket.IO a client is in the main namespace from the beginning.
    fn handle_open(&mut self) -> Result<(), Violation> {
        match self.revision {
            Revision::V3 => self.connect(),
            Revision::V4 => Ok(()),
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message<'_>) -> Result<(), Violation> {
        let Message::Text(text) = message else {
            return Err(Violation::StrayBinary);
        };
        let mut packet = Packet::decode(text).map_err(Violation::Packet)?;
        if self.revision == Revision::V3 {
            // Version 4 of Socket.IO has no auth payload: what a client has to say is in the query.
            let (name, _query) = packet
                .namespace
                .split_once('?')
                .unwrap_or((packet.namespace, ""));
            packet.namespace = name;
        }
        match (packet.body, &self.state) {
            (Body::Connect(_), _) if packet.namespace != "/" => {
                let answer = Refused {
                    message: "Invalid namespace",
                };
                self.send(encode::connect_error(packet.namespace, &answer));
                Ok(())
            }
            (Body::Connect(_), State::Outside { .. }) => self.connect(),
            (Body::Connect(_), State::Inside(_)) => Err(Violation::AlreadyConnected),
            (Body::ConnectError(_), _) => Err(Violation::ConnectError),
            (_, _) if packet.namespace != "/" => Err(Violation::NotConnected),
            (_, State::Outside { .. }) => Err(Violation::NotConnected),
            (Body::Disconnect, State::Inside(_)) => {
                let deadline = now + self.connect_timeout;
                self.leave(State::Outside { deadline }, DisconnectReason::ClientLeft);
                Ok(())
            }
            (
                Body::Event(Call {
                    attachments: 1.., ..
                })
                | Body::Ack(Call {
                    attachments: 1.., ..
                }),
                _,
            ) => Err(Violation::Binary),
            (Body::Event(Call { id, arguments, .. }), State::Inside(socket)) => {
                let ack = id.map(|id| socket.ack(id));
                self.namespace.on_event(socket, Event::new(arguments, ack));
                Ok(())
            }
            // The server asks for no acks, so this answers nothing, like any ack with an unknown id.
            (Body::Ack(_), State::Inside(_)) => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Outside { deadline } => Some(deadline),
            State::Inside(_) => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<CloseReason> {
        match self.state {
            State::Outside { deadline } if deadline <= now => Some(CloseReason::ConnectTimeout),
            _ => None,
        }
    }

    fn handle_close(&mut self, reason: CloseReason) -> Option<Frame> {
        let was_inside = matches!(self.state, State::Inside(_));
        if let State::Inside(socket) = &self.state {
            self.namespace
                .on_disconnect(socket, DisconnectReason::SessionClosed(reason));
        }
        let tell = was_inside && reason == CloseReason::ServerDisconnected;
        tell.then(|| {
            Packet {
                namespace: "/",
                body: Body::Disconnect,
            }
            .encode()
        })
    }
}

impl<N: Namespace> Client<N> {
    /// Answers first, so that whatever the program sends on connect comes behind it.
    fn connect(&mut self) -> Result<(), Violation> {
        let id = SocketId::random().map_err(|_| Violation::NoRandom)?;
        match self.revision {
            Revision::V3 => self.inbox.push(Order::Send(
                Packet {
                    namespace: "/",
                    body: Body::Connect(None),
                }
                .encode(),
            )),
            Revision::V4 => self.send(encode::connected(&Connected { sid: id })),
        }
        let socket = Socket::new(id, Arc::clone(&self.identity), Arc::clone(&self.inbox));
        self.namespace.on_connect(&socket);
        self.state = State::Inside(socket);
        Ok(())
    }

    fn leave(&mut self, next: State<N::Identity>, reason: DisconnectReason) {
        if let State::Inside(socket) = mem::replace(&mut self.state, next) {
            socket.end();
            self.namespace.on_disconnect(&socket, reason);
        }
    }

    fn send(&self, frame: Result<Frame, encode::EncodeError>) {
        match frame {
            Ok(frame) => self.inbox.push(Order::Send(frame)),
            Err(error) => log::error!("an answer of our own cannot be encoded: {error}"),
        }
    }
}

/// What the server says to a client that has joined.
#[derive(Serialize)]
struct Connected {
    sid: SocketId,
}

/// What the server says to a client that may not join.
#[derive(Serialize)]
struct Refused {
    message: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(error) => error.fmt(f),
            Self::StrayBinary => f.write_str("a binary message that no packet announced"),
            Self::Binary => f.write_str("a packet with attachments"),
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
