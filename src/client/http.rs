//! One request over HTTP/1.1, on a connection of its own, and its answer.

use super::{
    Fault, Object, Server,
    dial::{Connection, dial},
};
use httparse::{EMPTY_HEADER, Response, Status, parse_chunk_size};
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

const PRODUCT: &str = concat!("rollcall/", env!("CARGO_PKG_VERSION"));

/// The most bytes before the body.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// The most headers.
const MAX_HEADERS: usize = 64;

/// The largest body: what everyone does, in a large community, is some megabytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How much is read at once.
const READ_BYTES: usize = 4096;

/// The longest message of a server that is passed on, in characters.
const SAID_CHARS: usize = 200;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, …
    pub method: &'a str,
    /// The path, with what stands before it, and the query.
    pub target: &'a str,
    /// What is said besides the host, the key, and what the body needs.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, if there is one, and its type.
    pub body: Option<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    /// A `GET`.
    pub fn get(target: &'a str) -> Self {
        Self {
            method: "GET",
            target,
            headers: &[],
            body: None,
        }
    }
}

/// A request that was sent, while its answer comes.
pub struct Exchange {
    connection: Connection,
    /// What was read and not looked at.
    buffer: Vec<u8>,
    has_body: bool,
}

/// An answer. Its body is empty until it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether it is of HTTP/1.0.
    pub is_http_10: bool,
    /// Names, in lower case, and values.
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Asks, and waits for all of the answer.
///
/// # Errors
/// There is none, or not within `patience`.
pub fn exchange(
    server: &Server,
    request: Request<'_>,
    patience: Duration,
) -> Result<Answer, Fault> {
    let mut exchange = Exchange::begin(server, request, patience)?;
    let answer = exchange.head()?;
    exchange.finish(answer)
}

impl Exchange {
    /// Asks. The answer has to be there within `patience`.
    ///
    /// # Errors
    /// Nobody could be asked.
    pub fn begin(server: &Server, request: Request<'_>, patience: Duration) -> Result<Self, Fault> {
        let mut connection = dial(server, Instant::now() + patience)?;
        connection.write_all(&written(server, &request))?;
        connection.flush()?;
        Ok(Self {
            connection,
            buffer: Vec::new(),
            has_body: request.method != "HEAD",
        })
    }

    /// Waits until the status and the headers are there.
    ///
    /// # Errors
    /// They do not come, or something else does.
    pub fn head(&mut self) -> Result<Answer, Fault> {
        loop {
            let mut headers = [EMPTY_HEADER; MAX_HEADERS];
            let mut response = Response::new(&mut headers);
            let parsed = response.parse(&self.buffer);
            let parsed = parsed.map_err(|_| Fault::NotHttp(beginning(&self.buffer)))?;
            if let Status::Complete(length) = parsed {
                let answer = Answer::from(&response);
                self.buffer.drain(..length);
                // RFC 9110, 15.2: others may follow; behind a 101 comes another protocol.
                if answer.status >= 200 || answer.status == 101 {
                    return Ok(answer);
                }
            } else if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(Fault::TooLarge);
            } else {
                self.read()?;
            }
        }
    }

    /// Waits for the body.
    ///
    /// # Errors
    /// It does not come, or too much of it.
    pub fn finish(mut self, mut answer: Answer) -> Result<Answer, Fault> {
        // RFC 9112, 6.3.
        let is_chunked = answer
            .header("transfer-encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"));
        if !self.has_body || matches!(answer.status, 100..200 | 204 | 304) {
            return Ok(answer);
        }
        answer.body = if is_chunked {
            self.chunks()?
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| bad_length())?;
            self.exactly(length)?
        } else {
            self.all()?
        };
        Ok(answer)
    }

    /// Waits until something of the body is there that contains `wanted`.
    ///
    /// # Errors
    /// It does not come.
    pub fn wait_for(&mut self, wanted: &[u8]) -> Result<(), Fault> {
        let is_there = |buffer: &[u8]| buffer.windows(wanted.len()).any(|window| window == wanted);
        while !is_there(&self.buffer) {
            self.check_size(self.buffer.len())?;
            self.read()?;
        }
        Ok(())
    }

    /// What is left of it when something else is spoken: the connection, and what was read of that.
    pub(super) fn into_parts(self) -> (Connection, Vec<u8>) {
        (self.connection, self.buffer)
    }

    /// Reads more.
    fn read(&mut self) -> Result<(), Fault> {
        let mut piece = [0; READ_BYTES];
        match self.connection.read(&mut piece)? {
            0 => Err(Fault::Closed),
            read => {
                self.buffer.extend(piece.iter().take(read));
                Ok(())
            }
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), Fault> {
        match bytes > MAX_BODY_BYTES {
            true => Err(Fault::TooLarge),
            false => Ok(()),
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        self.check_size(length)?;
        while self.buffer.len() < length {
            self.read()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// To the end of the connection.
    fn all(&mut self) -> Result<Vec<u8>, Fault> {
        loop {
            self.check_size(self.buffer.len())?;
            match self.read() {
                Ok(()) => {}
                Err(Fault::Closed) => return Ok(std::mem::take(&mut self.buffer)),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            match parse_chunk_size(&self.buffer).map_err(|_| bad_length())? {
                Status::Partial => {
                    self.check_size(self.buffer.len())?;
                    self.read()?;
                }
                // What may follow are trailers, and nobody wants them.
                Status::Complete((_, 0)) => return Ok(body),
                Status::Complete((start, size)) => {
                    let size = usize::try_from(size).map_err(|_| Fault::TooLarge)?;
                    self.check_size(body.len().saturating_add(size))?;
                    self.buffer.drain(..start);
                    let chunk = self.exactly(size.saturating_add(2))?;
                    body.extend(chunk.iter().take(size));
                }
            }
        }
    }
}

fn bad_length() -> Fault {
    Fault::Protocol("the answer does not say how long it is".to_owned())
}

/// Enough to see what it is.
fn beginning(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().take(64).copied().collect()
}

/// The request as it goes out.
fn written(server: &Server, request: &Request<'_>) -> Vec<u8> {
    let Request { method, target, .. } = request;
    let mut text = format!(
        "{method} {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {PRODUCT}\r\nAccept: */*\r\n",
        server.url.place()
    );
    let mut header = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            text.push_str(part);
        }
    };
    if let Some(key) = &server.key {
        header("X-Api-Key", key);
    }
    let mut is_upgrade = false;
    for (name, value) in request.headers {
        header(name, value);
        is_upgrade |= *name == "Upgrade";
    }
    header("Connection", if is_upgrade { "Upgrade" } else { "close" });
    if let Some((kind, body)) = request.body {
        header("Content-Type", kind);
        header("Content-Length", &body.len().to_string());
    }
    text.push_str("\r\n");
    text.push_str(request.body.map_or("", |(_, body)| body));
    text.into_bytes()
}

impl Answer {
    fn from(response: &Response<'_, '_>) -> Self {
        let headers = response.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value);
            (header.name.to_ascii_lowercase(), value.into_owned())
        });
        Self {
            // Both are there when all is.
            status: response.code.unwrap_or_default(),
            is_http_10: response.version == Some(0),
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All headers of this name, which is in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the server says is wrong: the message of its JSON, or a text without markup, cut if it is long, and without control characters.
    pub fn said(&self) -> Option<String> {
        let text = self.text();
        let message = Object::read(&text).map(|json| json.text("message"));
        let text = match message {
            Some(message) => message?,
            None => text,
        };
        let text = text.trim();
        let is_markup = text.contains('<');
        (!text.is_empty() && !is_markup).then(|| {
            let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
            text.chars().take(SAID_CHARS).map(plain).collect()
        })
    }
}
