//! The bytes on a WebSocket, in whatever pieces they come: the messages are those that a second reader finds in the whole,
//! and it ends as that says. `Framing`, which follows the headers for the sake of time, agrees on whether something is owed.
//!
//! An input is a byte that says how many pieces there are, so many bytes for their lengths, and the rest.

use super::{
    Target,
    connection::{Connection, frames, masked, runtime},
    fixtures::{self, Message},
};
use rollcall::{
    engineio::Frame,
    server::{Bounds, Limits, RawWebSocket},
};
use std::{
    future::ready,
    sync::{Arc, Mutex},
};

#[path = "../../../src/server/framing.rs"]
mod framing;

pub const TARGET: Target = Target {
    name: "websocket",
    run,
    seeds,
    words: &["\u{1}\u{0}", "\u{8}", "\u{9}", "\u{3}\u{e8}"],
};

/// A message may have so many bytes: few, so that small inputs are too large.
const MAX_BYTES: usize = 300;

const PIECES: usize = 16;

/// Pongs of so many bytes are all sent, however little the client reads meanwhile.
const FEW_BYTES: usize = 1024;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (number, messages) in fixtures::vectors().iter().enumerate() {
        let mut seed = vec![3, 1, number as u8, 7];
        for message in messages {
            match message {
                Message::Text(text) => seed.extend(masked(0x81, text.as_bytes())),
                Message::Binary(bytes) => seed.extend(masked(0x82, bytes)),
                Message::Raw(bytes) => seed.extend(bytes),
            }
        }
        seeds.push(seed);
    }
    let fragments = [
        masked(0x01, b"a \xe2\x82"),
        masked(0x89, b"between"),
        masked(0x00, b"\xac"),
        masked(0x80, &[b'b'; 130]),
        masked(0x88, b"\x03\xe8bye"),
    ];
    seeds.push([&[2, 5, 9][..], &fragments.concat()].concat());
    seeds.push([&[0][..], &masked(0x82, &[0; 301])].concat());
    fixtures::small(seeds.into_iter())
}

fn run(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else {
        return;
    };
    let count = usize::from(*count) % PIECES;
    let Some((lengths, bytes)) = rest.split_at_checked(count) else {
        return;
    };
    let mut pieces = Vec::new();
    let mut left = bytes;
    for length in lengths {
        let (piece, behind) = left.split_at(left.len().min(usize::from(*length)));
        pieces.push(piece);
        left = behind;
    }
    pieces.push(left);

    let expected = by_hand(bytes);
    let is_early = count % 2 == 1;
    is_followed(&pieces, bytes, &expected);
    is_read(&[bytes], is_early, &expected);
    if count > 0 {
        is_read(&pieces, is_early, &expected);
    }
}

// ---------------------------------------------------------------------------------------------------------
// The second reader (RFC 6455, 5).

/// What a client has said.
#[derive(Debug)]
struct Said {
    messages: Vec<Frame>,
    pings: Vec<Vec<u8>>,
    /// How many frames are no message's last.
    others: usize,
    end: End,
}

/// How it ends.
#[derive(Debug)]
enum End {
    /// The bytes end, in the middle of something or not.
    Silence { is_unfinished: bool },
    /// The client says goodbye, and is answered this.
    Goodbye(Vec<u8>),
    /// The client breaks a rule, and is told which kind.
    Failed(u16),
}

const PROTOCOL: End = End::Failed(1002);
const NOT_UTF8: End = End::Failed(1007);
const TOO_LARGE: End = End::Failed(1009);

/// The head of a frame.
struct Head {
    first: u8,
    length: u64,
    key: Option<[u8; 4]>,
}

impl Head {
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let ([first, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let (key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let (key, rest) = rest.split_first_chunk()?;
                (Some(*key), rest)
            }
        };
        let head = Self {
            first: *first,
            length,
            key,
        };
        Some((head, rest))
    }
}

fn by_hand(bytes: &[u8]) -> Said {
    let mut said = Said {
        messages: Vec::new(),
        pings: Vec::new(),
        others: 0,
        end: PROTOCOL,
    };
    said.end = read(bytes, &mut said);
    said
}

/// Reads all, up to the end that it comes to.
fn read(mut rest: &[u8], said: &mut Said) -> End {
    // The type of the message that has begun, and what there is of it.
    let mut begun: Option<(u8, Vec<u8>)> = None;
    loop {
        let silence = End::Silence {
            is_unfinished: !rest.is_empty() || begun.is_some(),
        };
        let Some((head, behind)) = Head::split(rest) else {
            return silence;
        };
        let (is_last, opcode) = (head.first & 0x80 != 0, head.first & 0x0f);
        if !matches!(opcode, 0..=2 | 8..=10) {
            return PROTOCOL;
        }
        if head.length > MAX_BYTES as u64 {
            return TOO_LARGE;
        }
        let Some((payload, behind)) = behind.split_at_checked(head.length as usize) else {
            return silence;
        };
        rest = behind;
        let Some(key) = head.key.filter(|_| head.first & 0x70 == 0) else {
            return PROTOCOL;
        };
        let payload = payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key);
        let payload: Vec<u8> = payload.collect();
        if opcode >= 8 && (!is_last || payload.len() > 125) {
            return PROTOCOL;
        }
        begun = match (opcode, begun) {
            (8, _) => return goodbye(&payload),
            (9, begun) => {
                said.pings.push(payload);
                begun
            }
            (10, begun) => begun,
            (0, Some((opcode, before))) => Some((opcode, [before, payload].concat())),
            (1 | 2, None) => Some((opcode, payload)),
            _ => return PROTOCOL,
        };
        said.others += usize::from(opcode >= 8 || !is_last);
        if opcode >= 8 {
            continue;
        }
        let Some((opcode, so_far)) = begun.take() else {
            continue;
        };
        if so_far.len() > MAX_BYTES {
            return TOO_LARGE;
        }
        // A character may be divided among fragments, but not what is none.
        if opcode == 1
            && let Err(error) = str::from_utf8(&so_far)
            && (is_last || error.error_len().is_some())
        {
            return NOT_UTF8;
        }
        match (is_last, opcode) {
            (false, _) => begun = Some((opcode, so_far)),
            (true, 1) => said.messages.push(Frame::Text(so_far.into())),
            (true, _) => said.messages.push(Frame::Binary(so_far.into())),
        }
    }
}

/// The answer to a close frame: the same status and words, if they may stand there.
fn goodbye(payload: &[u8]) -> End {
    let [high, low, words @ ..] = payload else {
        return match payload {
            [] => End::Goodbye(Vec::new()),
            _ => PROTOCOL,
        };
    };
    if str::from_utf8(words).is_err() {
        return NOT_UTF8;
    }
    match u16::from_be_bytes([*high, *low]) {
        1000..=1003 | 1007..=1013 | 3000..=4999 => End::Goodbye(payload.to_vec()),
        _ => End::Goodbye([&1002_u16.to_be_bytes()[..], b"Protocol violation"].concat()),
    }
}

// ---------------------------------------------------------------------------------------------------------

/// Follows the headers, piece by piece and in one go.
fn is_followed(pieces: &[&[u8]], bytes: &[u8], expected: &Said) {
    let (mut whole, mut divided) = (framing::Framing::default(), framing::Framing::default());
    whole.advance(bytes);
    pieces.iter().for_each(|piece| divided.advance(piece));
    assert_eq!(divided.unfinished(), whole.unfinished());
    let others = whole.take_others();
    assert_eq!(divided.take_others(), others);
    if let End::Silence { is_unfinished } = expected.end {
        assert_eq!(whole.unfinished().is_some(), is_unfinished);
        assert_eq!(others, expected.others);
    }
}

/// Speaks on a WebSocket, and compares what is made of it. The first piece may come right behind the request.
fn is_read(pieces: &[&[u8]], is_early: bool, expected: &Said) {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&messages);
    let bounds = Arc::new(Bounds::new(Limits {
        max_payload_bytes: MAX_BYTES,
        ..Limits::default()
    }));
    let answer = move |request| {
        let heard = Arc::clone(&heard);
        let speak = |mut websocket: RawWebSocket| async move {
            while let Some(message) = websocket.receive().await {
                heard.lock().expect("no panic").push(message);
            }
            websocket.close().await;
        };
        ready(RawWebSocket::accept(request, Arc::clone(&bounds), speak))
    };
    let (at_once, later) = runtime().block_on(async {
        let mut connection = Connection::open(answer);
        let (early, pieces) = pieces.split_at(usize::from(is_early));
        connection.say(&[&[REQUEST], early].concat().concat()).await;
        for piece in pieces {
            connection.say(piece).await;
        }
        (connection.hear(), connection.end().await)
    });
    assert_eq!(*messages.lock().expect("no panic"), expected.messages);
    if let End::Silence { .. } = expected.end {
        assert!(later.is_empty(), "an answer that waited for something");
    }
    is_answered(&[at_once, later].concat(), expected);
}

/// Pings are answered, all unless there are very many, and the end is.
fn is_answered(written: &[u8], expected: &Said) {
    let head = b"\r\n\r\n";
    let end = written
        .windows(head.len())
        .position(|window| window == head);
    let (head, rest) = written.split_at(end.expect("an answer") + head.len());
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    let mut frames = frames(rest);
    let close = match &expected.end {
        End::Silence { .. } => None,
        End::Goodbye(payload) => Some(payload.clone()),
        End::Failed(status) => Some(status.to_be_bytes().to_vec()),
    };
    if let Some(close) = close {
        assert_eq!(frames.pop(), Some((0x88, close)));
    }
    let mut pings = expected.pings.iter();
    for (first, payload) in &frames {
        let is_pong = *first == 0x8a && pings.any(|ping| ping == payload);
        assert!(is_pong, "no ping asked for that");
    }
    // Of very many some may be passed over, but not the last.
    let bytes: usize = expected.pings.iter().map(|ping| 2 + ping.len()).sum();
    let last = frames.last().map(|(_, payload)| payload);
    let is_goodbye = matches!(expected.end, End::Goodbye(_));
    assert!(
        frames.len() == expected.pings.len()
            || bytes > FEW_BYTES && (is_goodbye || last == expected.pings.last()),
        "a ping without an answer"
    );
}
