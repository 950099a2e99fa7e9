//! A client: Socket.IO over a WebSocket or over long-polling, as far as a measurement needs it.

use crate::swarm::Tally;
use memchr::memmem;
use mio::net::TcpStream;
use std::{
    io::{self, Write},
    time::Instant,
};

/// From which size on a frame is compared as it comes, where all are the same.
const LARGE_BYTES: usize = 16 << 10;

/// How a client speaks with its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    WebSocket,
    /// Always a GET that waits.
    Polling,
    /// Nothing after the first snapshot: the time between two polls.
    PollingOnce,
    /// A WebSocket on which nothing is read any more once it has joined, its snapshot neither.
    Deaf,
}

pub struct Client {
    /// None: it has hung up.
    pub stream: Option<TcpStream>,
    means: Means,
    turn: Turn,
    key: String,
    sid: String,
    /// The beginning of a frame or an answer whose end is still to come.
    partial: Vec<u8>,
    /// A large frame on its way: how much of it is still to come, and whether it has been as expected so far.
    large: Option<(usize, bool)>,
    is_ready: bool,
    /// Whether it matters what it knows: it was there when the round began.
    pub is_counted: bool,
    /// Which changes of the round it knows, a bit each.
    pub known: Vec<u64>,
}

/// Where an HTTP client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The answer to its first request is awaited.
    Opening,
    /// The answer to its CONNECT.
    Joining,
    /// The answer to its GET.
    Polling,
    /// The answer to its pong.
    Ponging,
    /// On a WebSocket.
    Upgraded,
}

impl Client {
    pub fn open(stream: TcpStream, key: &str, means: Means) -> io::Result<Self> {
        let mut client = Self {
            stream: Some(stream),
            means,
            turn: Turn::Opening,
            key: key.to_owned(),
            sid: String::new(),
            partial: Vec::new(),
            large: None,
            is_ready: false,
            is_counted: true,
            known: Vec::new(),
        };
        let request = match means {
            Means::WebSocket | Means::Deaf => format!(
                "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Api-Key: {key}\r\n\r\n"
            ),
            Means::Polling | Means::PollingOnce => format!(
                "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n"
            ),
        };
        client.write(request.as_bytes())?;
        Ok(client)
    }

    pub fn set_activity(&mut self, game: u64) -> io::Result<()> {
        self.send(&format!(
            r#"42["set-activity",{{"state":"PLAYING","game_id":{game}}}]"#
        ))
    }

    /// Whether it reads no more.
    pub fn is_deaf(&self) -> bool {
        self.means == Means::Deaf && self.is_ready
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // One that its server has closed says nothing any more.
        let Some(stream) = self.stream.as_mut() else {
            return Ok(());
        };
        stream.write_all(bytes)
    }

    /// A text frame, masked with zeros.
    fn send(&mut self, packet: &str) -> io::Result<()> {
        let length = u8::try_from(packet.len())
            .ok()
            .filter(|length| *length < 126);
        let length = length.ok_or_else(|| io::Error::other("a packet that is not small"))?;
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(packet.as_bytes());
        self.write(&frame)
    }

    fn get(&mut self) -> io::Result<()> {
        self.turn = Turn::Polling;
        let (sid, key) = (&self.sid, &self.key);
        let request = format!(
            "GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n"
        );
        self.write(request.as_bytes())
    }

    fn post(&mut self, turn: Turn, packet: &str) -> io::Result<()> {
        self.turn = turn;
        let (sid, key, length) = (&self.sid, &self.key, packet.len());
        let request = format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {length}\r\n\r\n{packet}"
        );
        self.write(request.as_bytes())
    }

    /// Takes in what has come.
    pub fn receive(&mut self, mut bytes: &[u8], tally: &mut Tally) -> io::Result<()> {
        if self.partial.is_empty() {
            while let Some(used) = self.take(bytes, tally)? {
                bytes = &bytes[used..];
            }
            self.partial.extend_from_slice(bytes);
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let mut bytes = partial.as_slice();
            while let Some(used) = self.take(bytes, tally)? {
                bytes = &bytes[used..];
            }
            let used = partial.len() - bytes.len();
            partial.drain(..used);
            self.partial = partial;
        }
        Ok(())
    }

    /// Takes one frame or answer off the front, and says how long it was; none: it is not all there.
    fn take(&mut self, bytes: &[u8], tally: &mut Tally) -> io::Result<Option<usize>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        match (self.turn, self.means) {
            (Turn::Upgraded, _) => self.take_frame(bytes, tally),
            (_, Means::WebSocket | Means::Deaf) => self.take_switch(bytes),
            _ => self.take_answer(bytes, tally),
        }
    }

    fn take_switch(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        if !bytes.starts_with(b"HTTP/1.1 101") {
            return Err(refused(bytes));
        }
        self.turn = Turn::Upgraded;
        Ok(Some(end + 4))
    }

    fn take_frame(&mut self, bytes: &[u8], tally: &mut Tally) -> io::Result<Option<usize>> {
        if let Some((missing, as_expected)) = self.large {
            return self.go_on(bytes, missing, as_expected, tally).map(Some);
        }
        let (header, length) = match bytes {
            [_, length @ 0..126, ..] => (2, usize::from(*length)),
            [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            [_, 127, a, b, c, d, e, f, g, h, ..] => (
                10,
                u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize,
            ),
            _ => return Ok(None),
        };
        if length > LARGE_BYTES && tally.expected.is_some() {
            self.large = Some((length, true));
            return Ok(Some(header));
        }
        let Some(payload) = bytes.get(header..header + length) else {
            return Ok(None);
        };
        match bytes[0] {
            0x81 => self.packet(payload, tally)?,
            // Some servers close who does not keep up.
            0x88 => {
                self.stream = None;
                tally.closed += 1;
            }
            other => return Err(io::Error::other(format!("a frame {other:#x}"))),
        }
        Ok(Some(header + length))
    }

    /// A part of a large frame.
    fn go_on(
        &mut self,
        bytes: &[u8],
        missing: usize,
        as_expected: bool,
        tally: &mut Tally,
    ) -> io::Result<usize> {
        let here = bytes.len().min(missing);
        let expected = tally.expected.as_deref().unwrap_or_default();
        let expected = expected
            .len()
            .checked_sub(missing)
            .and_then(|at| expected.get(at..at + here));
        let as_expected = as_expected && expected == Some(&bytes[..here]);
        self.large = (here < missing).then_some((missing - here, as_expected));
        if self.large.is_none() {
            tally.as_expected += usize::from(as_expected);
            self.become_ready(tally);
        }
        Ok(here)
    }

    /// An HTTP answer, which has a length.
    fn take_answer(&mut self, bytes: &[u8], tally: &mut Tally) -> io::Result<Option<usize>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = bytes[..end].to_ascii_lowercase();
        let length =
            memmem::find(&head, b"content-length: ").map(|at| number(&head[at + 16..]) as usize);
        let length = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
        let Some(body) = bytes.get(end + 4..end + 4 + length) else {
            return Ok(None);
        };
        if !head.starts_with(b"http/1.1 200") {
            return Err(refused(bytes));
        }
        match self.turn {
            Turn::Opening => {
                let open: serde_json::Value =
                    serde_json::from_slice(body.get(1..).unwrap_or_default())?;
                self.sid = open["sid"].as_str().unwrap_or_default().to_owned();
                self.post(Turn::Joining, "40")?;
            }
            Turn::Joining | Turn::Ponging => self.get()?,
            Turn::Polling => {
                let mut is_pinged = false;
                for packet in body.split(|byte| *byte == 0x1e) {
                    match packet {
                        b"2" => is_pinged = true,
                        packet => self.packet(packet, tally)?,
                    }
                }
                if is_pinged {
                    self.post(Turn::Ponging, "3")?;
                } else if self.means == Means::PollingOnce && self.is_ready {
                    self.stream = None;
                } else {
                    self.get()?;
                }
            }
            Turn::Upgraded => {}
        }
        Ok(Some(end + 4 + length))
    }

    fn packet(&mut self, packet: &[u8], tally: &mut Tally) -> io::Result<()> {
        let is_snapshot = packet.starts_with(br#"42["activities""#);
        if self.is_counted && (is_snapshot || packet.starts_with(br#"42["activity""#)) {
            let now = Instant::now();
            for at in memmem::find_iter(packet, br#""game_id":"#) {
                tally.note(&mut self.known, number(&packet[at + 10..]), now);
            }
        }
        if is_snapshot {
            if tally.record {
                tally.recorded = packet.to_vec();
            }
            tally.as_expected += usize::from(tally.expected.as_deref() == Some(packet));
            self.become_ready(tally);
        } else if packet == b"2" {
            self.send("3")?;
        } else if packet.starts_with(b"0") {
            self.send("40")?;
            if self.means == Means::Deaf {
                self.become_ready(tally);
            }
        } else if packet.starts_with(b"44") || packet.starts_with(b"41") || packet == b"1" {
            return Err(refused(packet));
        }
        Ok(())
    }

    fn become_ready(&mut self, tally: &mut Tally) {
        if !self.is_ready {
            self.is_ready = true;
            tally.ready += 1;
        }
    }
}

fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

fn refused(said: &[u8]) -> io::Error {
    let said = String::from_utf8_lossy(&said[..said.len().min(300)]).into_owned();
    io::Error::other(format!("a client was refused: {said}"))
}
