//! A WebSocket from the client's side: the handshake, and tungstenite's core behind it.

use super::{Answer, Exchange, Fault, Request, Server, dial::Connection};
use crate::server::accept_key;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

/// The largest message: what everyone does, in a large community, is some megabytes.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// How much is read at once.
const READ_BYTES: usize = 4096;

/// An open WebSocket.
pub struct WebSocket {
    context: WebSocketContext,
    connection: Connection,
}

/// What became of a request for a WebSocket.
pub enum Opened {
    /// It is open.
    WebSocket(Box<WebSocket>),
    /// It was answered as any request is.
    Answer(Answer),
}

impl WebSocket {
    /// Asks for one at `target`, which has to be open within `patience`.
    ///
    /// # Errors
    /// There is no answer, or one that only seems to be a WebSocket's.
    pub fn open(server: &Server, target: &str, patience: Duration) -> Result<Opened, Fault> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)
            .map_err(|error| Fault::Protocol(format!("there is no randomness: {error}")))?;
        let key = BASE64_STANDARD.encode(key);
        let headers = [
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", &key),
        ];
        let request = Request {
            headers: &headers,
            ..Request::get(target)
        };
        let mut exchange = Exchange::begin(server, request, patience)?;
        let answer = exchange.head()?;
        if answer.status != 101 {
            return exchange.finish(answer).map(Opened::Answer);
        }
        // RFC 6455, 4.1: whoever answers has understood what it was asked.
        if answer.header("sec-websocket-accept") != Some(&accept_key(key.as_bytes())) {
            return Err(Fault::Protocol(
                "the answer 101 has no right Sec-WebSocket-Accept".to_owned(),
            ));
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let (connection, early) = exchange.into_parts();
        Ok(Opened::WebSocket(Box::new(Self {
            context: WebSocketContext::from_partially_read(early, Role::Client, Some(config)),
            connection,
        })))
    }

    /// Sends a text.
    ///
    /// # Errors
    /// It cannot be sent within `patience`.
    pub fn send(&mut self, text: &str, patience: Duration) -> Result<(), Fault> {
        self.connection.deadline = Instant::now() + patience;
        self.context
            .write(&mut self.connection, Message::text(text))
            .and_then(|()| self.context.flush(&mut self.connection))
            .map_err(fault)
    }

    /// The next text. Binary messages are passed over: nobody here has a use for them.
    ///
    /// # Errors
    /// None comes before the deadline, or ever.
    pub fn receive(&mut self, deadline: Instant) -> Result<String, Fault> {
        self.connection.deadline = deadline;
        loop {
            match self.context.read(&mut self.connection).map_err(fault)? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => return Err(Fault::Closed),
                _ => {}
            }
        }
    }
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Io(error) => Fault::from(error),
        Error::ConnectionClosed | Error::AlreadyClosed => Fault::Closed,
        error => Fault::Protocol(format!("on the WebSocket: {error}")),
    }
}
