//! An Engine.IO session, on either transport: packets to and fro, and the heartbeat.

use super::{Answer, Fault, Object, Opened, Request, Server, WebSocket, exchange};
use crate::engineio::{Message, Packet, Revision, payload};
use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

/// How long any answer may take that is not waited for on purpose.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most packets in an answer.
const MAX_PACKETS: usize = 10_000;

/// The longest heartbeat that is believed.
const MAX_HEARTBEAT: Duration = Duration::from_secs(86_400);

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Frames of a WebSocket.
    WebSocket,
    /// Requests and their answers.
    Polling,
}

/// What the server says of a new session (protocol, "Handshake"), as far as it matters here.
pub struct Opening {
    /// The session's id: a bearer secret.
    pub sid: String,
    ping_interval: u64,
    ping_timeout: u64,
}

/// A session. It ends when it is dropped, for the server after a while; by [`Session::close`] at once.
pub struct Session {
    server: Server,
    transport: Transport,
    /// How long there may be silence.
    patience: Duration,
    /// Messages that came with others.
    waiting: VecDeque<String>,
}

enum Transport {
    WebSocket(Box<WebSocket>),
    /// By this id.
    Polling(String),
}

/// Why there is no session.
pub enum NoSession {
    /// There is no answer.
    Fault(Fault),
    /// It is another one.
    Answer(Answer),
}

impl From<Fault> for NoSession {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Opening {
    /// Reads the first packet of a session, or of the answer that opens one.
    pub fn read(text: &str) -> Option<Self> {
        let first = payload::decode(Revision::V4, false, text.as_bytes(), MAX_PACKETS).next()?;
        let Ok(Packet::Open(json)) = first else {
            return None;
        };
        let json = Object::read(json)?;
        let sid = json.text("sid")?;
        // It goes into the next request's target.
        let is_fit = sid.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then_some(Self {
            sid,
            ping_interval: json.number("pingInterval")?,
            ping_timeout: json.number("pingTimeout")?,
        })
    }

    /// How long the server may be silent.
    pub fn patience(&self) -> Duration {
        let sum = self.ping_interval.saturating_add(self.ping_timeout);
        Duration::from_millis(sum).min(MAX_HEARTBEAT)
    }

    /// How often the server asks whether one is there.
    pub fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval).min(MAX_HEARTBEAT)
    }
}

impl Session {
    /// Opens one.
    ///
    /// # Errors
    /// The server does not, or answers something else.
    pub fn open(server: &Server, via: Via) -> Result<Self, NoSession> {
        let (transport, opening) = match via {
            Via::WebSocket => {
                let target = server.endpoint("transport=websocket");
                let mut websocket = match WebSocket::open(server, &target, PATIENCE)? {
                    Opened::WebSocket(websocket) => websocket,
                    Opened::Answer(answer) => return Err(NoSession::Answer(answer)),
                };
                let text = websocket.receive(Instant::now() + PATIENCE)?;
                let opening = Opening::read(&text).ok_or_else(no_opening)?;
                (Transport::WebSocket(websocket), opening)
            }
            Via::Polling => {
                let target = server.endpoint("transport=polling");
                let answer = exchange(server, Request::get(&target), PATIENCE)?;
                match Opening::read(&answer.text()) {
                    Some(opening) if answer.status == 200 => {
                        (Transport::Polling(opening.sid.clone()), opening)
                    }
                    _ => return Err(NoSession::Answer(answer)),
                }
            }
        };
        Ok(Self {
            server: server.clone(),
            transport,
            patience: opening.patience(),
            waiting: VecDeque::new(),
        })
    }

    /// What it is on.
    pub fn via(&self) -> Via {
        match self.transport {
            Transport::WebSocket(_) => Via::WebSocket,
            Transport::Polling(_) => Via::Polling,
        }
    }

    /// Sends a packet, as the text that it is.
    ///
    /// # Errors
    /// It cannot be sent, or the session is over.
    pub fn send(&mut self, packet: &str) -> Result<(), Fault> {
        match &mut self.transport {
            Transport::WebSocket(websocket) => websocket.send(packet, PATIENCE),
            Transport::Polling(sid) => {
                let target = self
                    .server
                    .endpoint(&format!("transport=polling&sid={sid}"));
                let request = Request {
                    method: "POST",
                    body: Some(("text/plain;charset=UTF-8", packet)),
                    ..Request::get(&target)
                };
                ok(exchange(&self.server, request, PATIENCE)?).map(drop)
            }
        }
    }

    /// The next message. Meanwhile the heartbeat is answered.
    ///
    /// # Errors
    /// The session is over.
    pub fn receive(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            let text = self.fetch()?;
            let packets = payload::decode(Revision::V4, false, text.as_bytes(), MAX_PACKETS);
            for packet in packets {
                match packet.map_err(|error| Fault::Protocol(error.to_string()))? {
                    Packet::Ping(payload) => self.send(&format!("3{payload}"))?,
                    Packet::Close => return Err(Fault::Closed),
                    Packet::Message(Message::Text(text)) => self.waiting.push_back(text.to_owned()),
                    _ => {}
                }
            }
        }
    }

    /// Says goodbye, so that nobody has to miss it first.
    pub fn close(mut self) {
        // Who is not heard is gone as well.
        let _unheard = self.send("1");
    }

    /// What the server sends next: packets.
    fn fetch(&mut self) -> Result<String, Fault> {
        match &mut self.transport {
            Transport::WebSocket(websocket) => websocket.receive(Instant::now() + self.patience),
            Transport::Polling(sid) => {
                let target = self
                    .server
                    .endpoint(&format!("transport=polling&sid={sid}"));
                let request = Request::get(&target);
                ok(exchange(&self.server, request, self.patience)?).map(|answer| answer.text())
            }
        }
    }
}

fn ok(answer: Answer) -> Result<Answer, Fault> {
    match answer.status {
        200 => Ok(answer),
        status => Err(Fault::Protocol(match answer.said() {
            Some(said) => format!("the server answers {status}: {said}"),
            None => format!("the server answers {status}"),
        })),
    }
}

fn no_opening() -> Fault {
    Fault::Protocol("the WebSocket does not begin with an open packet".to_owned())
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "WebSocket",
            Self::Polling => "long-polling",
        })
    }
}
