//! The body of a POST in version 4, against another reader; and whatever is read is written again, and the same.

use super::{
    Target,
    by_hand::{self, Said},
    fixtures,
    reading::{read, survives_as},
};
use rollcall::engineio::{
    Message, Packet, Revision,
    payload::{self, PayloadError},
};

pub const TARGET: Target = Target {
    name: "payload_v4",
    run,
    seeds,
    words: &["\x1e", "\x1e4", "\x1eb", "bAQID", "2probe", "=="],
};

fn seeds() -> Vec<Vec<u8>> {
    let payloads = fixtures::payloads(4).into_iter();
    fixtures::small(payloads.map(|(body, _)| body))
}

fn run(body: &[u8]) {
    survives_as(Revision::V4, false, body);
    let (packets, error) = read(Revision::V4, false, body);
    let (expected, is_refused) = by_hand::payload_v4(body);
    let said: Vec<Said> = packets.iter().map(said).collect();
    assert_eq!((said, error.is_some()), (expected, is_refused), "{error:?}");
    assert_eq!(
        error == Some(PayloadError::Utf8),
        str::from_utf8(body).is_err()
    );
    is_limited(Revision::V4, false, body);
}

/// Of more packets than may be, the first are read, and nothing behind them.
pub fn is_limited(revision: Revision, is_binary: bool, body: &[u8]) {
    let (packets, error) = read(revision, is_binary, body);
    let limit = packets.len() / 2;
    let items: Vec<_> = payload::decode(revision, is_binary, body, limit).collect();
    let read: Vec<_> = items.iter().flatten().collect();
    assert_eq!(read, packets[..limit].iter().collect::<Vec<_>>());
    let last = items.last().and_then(|last| last.as_ref().err());
    let expected = if limit < packets.len() {
        Some(PayloadError::TooManyPackets)
    } else {
        error
    };
    assert_eq!(last, expected.as_ref());
}

/// A packet as the other reader says it.
pub fn said(packet: &Packet<'_>) -> Said {
    let (kind, data) = match packet {
        Packet::Open(data) => (b'0', data.as_bytes()),
        Packet::Close => (b'1', &b""[..]),
        Packet::Ping(data) => (b'2', data.as_bytes()),
        Packet::Pong(data) => (b'3', data.as_bytes()),
        Packet::Message(Message::Text(data)) => (b'4', data.as_bytes()),
        Packet::Message(Message::Binary(data)) => (b'b', &data[..]),
        Packet::Upgrade => (b'5', &b""[..]),
        Packet::Noop => (b'6', &b""[..]),
    };
    (kind, data.to_vec())
}
