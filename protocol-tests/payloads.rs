//! The table of payloads, each row used four ways: decoded, encoded back, cut off everywhere, and with every byte
//! flipped. Nothing panics, and what still is a packet survives encoding and decoding in every form there is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "payloads/reading.rs"]
mod reading;
#[path = "support/tables.rs"]
mod tables;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use reading::{frame, read, start, survives_as};
use rollcall::engineio::{
    Frame, Message, Packet, PacketError, Revision,
    payload::{self, PayloadError},
};
use serde_json::{Map, Value};
use tables::{bytes, text};

const TABLE: &str = include_str!("../fixtures/engineio-payloads.json");

/// One bit at the top, which breaks UTF-8; one in the middle, which changes a letter's case; the lowest, which
/// makes a neighbour; and all of them.
const MASKS: [u8; 4] = [0x80, 0x20, 0x01, 0xff];

/// A body longer than this is cut off and flipped at its ends and at every [`STRIDE`]th place between.
const LONG: usize = 1024;
const STRIDE: usize = 251;

/// Every way to read a body: version, and whether the content type says that it is binary.
const READINGS: [(Revision, bool); 4] = [
    (Revision::V4, false),
    (Revision::V4, true),
    (Revision::V3, false),
    (Revision::V3, true),
];

// ---------------------------------------------------------------------------------------------------------
// What is tested: packets as values that outlive the body, and how it ended.

/// A packet as the table describes it.
fn described(packet: &Packet<'_>) -> Value {
    let (kind, data) = match packet {
        Packet::Open(data) => ("open", *data),
        Packet::Close => ("close", ""),
        Packet::Ping(data) => ("ping", *data),
        Packet::Pong(data) => ("pong", *data),
        Packet::Message(Message::Text(data)) => ("message", *data),
        Packet::Message(Message::Binary(_)) => ("message", ""),
        Packet::Upgrade => ("upgrade", ""),
        Packet::Noop => ("noop", ""),
    };
    let mut said = Map::new();
    said.insert("type".into(), kind.into());
    if !data.is_empty() {
        said.insert("data".into(), data.into());
    }
    if let Packet::Message(Message::Binary(bytes)) = packet {
        said.insert("binary".into(), BASE64_STANDARD.encode(bytes).into());
    }
    said.into()
}

/// Reads a body every way: see [`survives_as`].
fn survives(body: &[u8]) {
    for (revision, is_binary) in READINGS {
        survives_as(revision, is_binary, body);
    }
}

// ---------------------------------------------------------------------------------------------------------
// The table.

struct Row {
    revision: Revision,
    is_binary: bool,
    body: Vec<u8>,
    packets: Vec<Value>,
    is_refused: bool,
    /// What our encoder writes for the packets, and whether that is a binary payload.
    encodes: (Vec<u8>, bool),
    /// For a message of our own when a test fails.
    name: String,
}

fn rows() -> Vec<Row> {
    let table: Vec<Value> = serde_json::from_str(TABLE).expect("the table is JSON");
    assert!(table.len() > 200, "the table is not all there");
    table.iter().map(row).collect()
}

fn row(row: &Value) -> Row {
    let revision = match row["revision"].as_u64() {
        Some(3) => Revision::V3,
        Some(4) => Revision::V4,
        other => panic!("{other:?} is no version"),
    };
    let packets = row["packets"].as_array().expect("a list of packets");
    let packets = packets.iter().map(|packet| {
        let mut packet = packet.as_object().expect("a packet is an object").clone();
        if let Some(data) = packet.get_mut("data") {
            *data = text(data).into();
        }
        Value::from(packet)
    });
    let (body, is_binary) = bytes(&row["body"]);
    Row {
        revision,
        is_binary,
        packets: packets.collect(),
        is_refused: row.get("error").is_some(),
        encodes: row
            .get("encodes")
            .map_or_else(|| (body.clone(), is_binary), bytes),
        name: start(&row.to_string()),
        body,
    }
}

/// The places at which a body of `length` bytes is cut off or changed.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |place| {
        length <= LONG || *place < 64 || length - *place < 64 || place % STRIDE == 0
    })
}

// ---------------------------------------------------------------------------------------------------------

#[test]
fn every_row_says_what_the_table_says() {
    let mut wrong = Vec::new();
    for row in rows() {
        let (packets, error) = read(row.revision, row.is_binary, &row.body);
        let said: Vec<_> = packets.iter().map(described).collect();
        let has_words = error.is_none_or(|error| error.to_string().contains(' '));
        if said != row.packets || error.is_some() != row.is_refused || !has_words {
            wrong.push(format!("{}: {} and {error:?}", row.name, start(&said)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_payload_is_written_as_the_table_says() {
    for row in rows() {
        if !row.is_refused {
            let (packets, _) = read(row.revision, row.is_binary, &row.body);
            let frames: Vec<_> = packets.iter().map(frame).collect();
            let written = payload::encode(row.revision, !row.is_binary, &frames);
            let (bytes, is_binary) = row.encodes;
            assert_eq!(written.bytes, bytes, "{}", row.name);
            assert_eq!(written.is_binary, is_binary, "{}", row.name);
            let content_type = match is_binary {
                true => "application/octet-stream",
                false => "text/plain; charset=UTF-8",
            };
            assert_eq!(written.content_type(), content_type);
        }
        survives(&row.body);
    }
}

#[test]
fn nothing_that_is_cut_off_does_harm() {
    for row in rows() {
        let (whole, error) = read(row.revision, row.is_binary, &row.body);
        // A text body that is not UTF-8 is refused as a whole, and may be better without its end.
        let is_counted =
            row.revision == Revision::V3 && (row.is_binary || error != Some(PayloadError::Utf8));
        for end in places(row.body.len()) {
            let body = &row.body[..end];
            survives(body);
            // Version 3 counts: a packet is there as it was, or not at all.
            if is_counted {
                let (packets, _) = read(row.revision, row.is_binary, body);
                assert!(whole.starts_with(&packets), "{}, up to {end}", row.name);
            }
        }
    }
}

#[test]
fn nothing_that_is_damaged_does_harm() {
    for row in rows() {
        let mut body = row.body;
        for place in places(body.len()) {
            for mask in MASKS {
                body[place] ^= mask;
                survives(&body);
                body[place] ^= mask;
            }
        }
    }
}

#[test]
fn more_packets_than_allowed_are_an_error_behind_those_that_are() {
    let many = [
        (Revision::V4, false, &b"6\x1e6\x1e6"[..]),
        (Revision::V3, false, b"1:60:1:61:6"),
        (Revision::V3, true, b"\0\x01\xff6\0\x01\xff6\0\x01\xff6"),
    ];
    for (revision, is_binary, body) in many {
        for limit in 0..5 {
            let items: Vec<_> = payload::decode(revision, is_binary, body, limit).collect();
            let mut expected = vec![Ok(Packet::Noop); limit.min(3)];
            if limit < 3 {
                expected.push(Err(PayloadError::TooManyPackets));
            }
            assert_eq!(items, expected, "{revision:?} with a limit of {limit}");
        }
    }
}

/// A reader that goes back to the beginning for each packet, or looks at all of the rest, would need 10¹¹ steps and
/// more for one of these: nobody would wait for that.
#[test]
fn a_body_of_a_megabyte_is_read_in_one_go() {
    let megabyte = |unit: &[u8]| unit.repeat(1_000_000 / unit.len());
    let of_packets = [
        (Revision::V4, false, &b"6\x1e"[..], 1),
        (Revision::V4, false, b"b\x1e", 1),
        (Revision::V3, false, b"1:6", 0),
        (Revision::V3, false, b" 01:6", 0),
        (Revision::V3, false, b"2:b4", 0),
        (Revision::V3, false, "2:4é".as_bytes(), 0),
        (Revision::V3, true, b"\0\x01\xff6", 0),
        (Revision::V3, true, b"\x01\x01\xff\x04", 0),
    ];
    for (revision, is_binary, unit, errors) in of_packets {
        let body = megabyte(unit);
        let (packets, error) = read(revision, is_binary, &body);
        assert_eq!(packets.len(), body.len() / unit.len(), "of {unit:?}");
        // The separator at the end leaves an empty packet behind it.
        assert_eq!(usize::from(error.is_some()), errors, "of {unit:?}");
        let frames: Vec<_> = packets.iter().map(frame).collect();
        let written = payload::encode(revision, false, &frames);
        let (again, error) = read(revision, written.is_binary, &written.bytes);
        assert!(again == packets && error.is_none(), "of {unit:?}");
    }

    let of_nothing = [
        (
            Revision::V4,
            false,
            &b"\x1e"[..],
            Some(PayloadError::Packet(PacketError::Empty)),
        ),
        (Revision::V3, false, b"0:", None),
        (Revision::V3, false, b" ", Some(PayloadError::Length)),
        (Revision::V3, false, b"0", Some(PayloadError::Length)),
        (Revision::V3, false, b"9", Some(PayloadError::Length)),
        (Revision::V3, false, b":", Some(PayloadError::Length)),
        (Revision::V3, true, b"\0", Some(PayloadError::Length)),
        (Revision::V3, true, b"\xff", Some(PayloadError::Kind(0xff))),
    ];
    for (revision, is_binary, unit, expected) in of_nothing {
        let body = megabyte(unit);
        let (packets, error) = read(revision, is_binary, &body);
        assert_eq!((packets.len(), error), (0, expected), "of {unit:?}");
    }

    // One packet of a megabyte, and lengths that reach just beyond it.
    let data = "€".repeat(333_333);
    for (length, expected) in [(333_334, None), (333_335, Some(PayloadError::Short))] {
        let body = format!("{length}:4{data}");
        let (packets, error) = read(Revision::V3, false, body.as_bytes());
        assert_eq!(error, expected);
        assert_eq!(packets.len(), usize::from(expected.is_none()));
    }
}

#[test]
fn version_4_has_no_binary_payloads() {
    for body in [&b""[..], b"6", b"4hello", b"\x01\x04\xff\x04\x01\x02\x03"] {
        let (packets, error) = read(Revision::V4, true, body);
        assert_eq!((packets.len(), error), (0, Some(PayloadError::BinaryInV4)));
    }
    let frames = [Frame::Binary(Bytes::from_static(b"\x01\x02\x03"))];
    for base64_only in [false, true] {
        let written = payload::encode(Revision::V4, base64_only, &frames);
        assert!(!written.is_binary);
        assert_eq!(written.bytes, "bAQID");
    }
}

#[test]
fn no_frames_are_a_payload_that_says_so_in_version_3() {
    for base64_only in [false, true] {
        assert_eq!(payload::encode(Revision::V3, base64_only, &[]).bytes, "0:");
        assert_eq!(payload::encode(Revision::V4, base64_only, &[]).bytes, "");
    }
}

#[test]
fn lengths_of_every_number_of_digits_are_read_as_they_are_written() {
    for length in (1..=1100).chain([9_998, 9_999, 10_000, 99_999, 100_000]) {
        let frames = [
            Frame::message(&"é".repeat(length)),
            Frame::Binary(vec![0xff; length].into()),
        ];
        for (revision, base64_only) in [
            (Revision::V3, false),
            (Revision::V3, true),
            (Revision::V4, true),
        ] {
            let written = payload::encode(revision, base64_only, &frames);
            let (packets, error) = read(revision, written.is_binary, &written.bytes);
            let again: Vec<_> = packets.iter().map(frame).collect();
            assert!(error.is_none() && again == frames, "{length}, {revision:?}");
        }
    }
}

#[test]
fn a_websocket_carries_binary_messages_as_its_version_says() {
    let data = Bytes::from_static(b"\x01\x02\x03");
    let binary = Frame::Binary(data.clone());
    let text = |text: &str| Frame::text(text.to_owned());
    let wire = |bytes: &'static [u8]| Frame::Binary(Bytes::from_static(bytes));
    let sent =
        |revision: Revision, base64_only| revision.encode_frame(base64_only, &binary).into_owned();
    assert_eq!(sent(Revision::V4, false), wire(b"\x01\x02\x03"));
    assert_eq!(sent(Revision::V4, true), text("bAQID"));
    assert_eq!(sent(Revision::V3, false), wire(b"\x04\x01\x02\x03"));
    assert_eq!(sent(Revision::V3, true), text("b4AQID"));

    let message = Packet::Message(Message::Binary(data.clone()));
    for revision in [Revision::V3, Revision::V4] {
        for base64_only in [false, true] {
            let hello = Frame::message("hello");
            assert_eq!(*revision.encode_frame(base64_only, &hello), hello);

            let packet = match sent(revision, base64_only) {
                Frame::Text(bytes) => {
                    let text = String::from_utf8(bytes.into()).unwrap();
                    assert_eq!(revision.decode_text(&text), Ok(message.clone()));
                    continue;
                }
                Frame::Binary(bytes) => revision.decode_binary(bytes),
            };
            assert_eq!(packet, Ok(message.clone()));
        }
    }

    let empty = Packet::Message(Message::Binary(Bytes::new()));
    let arrives = |revision: Revision, bytes| revision.decode_binary(Bytes::from_static(bytes));
    assert_eq!(arrives(Revision::V4, b""), Ok(empty.clone()));
    assert_eq!(arrives(Revision::V3, b"\x04"), Ok(empty));
    for bad in [
        &b""[..],
        b"\0",
        b"\x02",
        b"\x03\x04",
        b"4hello",
        b"\xff\x04",
    ] {
        assert_eq!(arrives(Revision::V3, bad), Err(PayloadError::NoMessage));
    }

    for bad in ["b", "bAQID", "b0AQID", "b5AQID", "bb4AQID"] {
        let packet = Revision::V3.decode_text(bad);
        assert_eq!(packet, Err(PayloadError::NoMessage), "{bad}");
    }
    let not_base64 = Err(PayloadError::Packet(PacketError::Base64));
    assert_eq!(Revision::V3.decode_text("b4AQI"), not_base64);
    assert_eq!(Revision::V4.decode_text("b4AQID"), not_base64);
}
