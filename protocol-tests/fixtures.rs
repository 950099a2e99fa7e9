//! The tables of packets, each row used four ways: decoded, encoded back, cut off everywhere, and with every
//! byte flipped. Nothing panics, and what still is a packet survives encoding and decoding.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

#[path = "support/tables.rs"]
mod tables;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rollcall::{
    engineio::{self, Application, Frame, Message, SessionHandler, outbound::Inbox},
    socketio::{self, Auth, Event, Namespace, Refused, Socket, SocketIo},
};
use serde_json::{Map, Value, json};
use std::{
    fmt::Debug,
    sync::{Arc, mpsc},
    time::Instant,
};

const ENGINEIO: &str = include_str!("../fixtures/engineio-packets.json");
const SOCKETIO: &str = include_str!("../fixtures/socketio-packets.json");

/// One bit at the top, which breaks UTF-8; one in the middle, which changes a letter's case; the lowest, which
/// makes a neighbour; and all of them.
const MASKS: [u8; 4] = [0x80, 0x20, 0x01, 0xff];

/// A text longer than this is cut off and flipped at its ends and at every [`STRIDE`]th place between: in the
/// middle of 10,000 brackets one place is like another.
const LONG: usize = 2048;
const STRIDE: usize = 251;

// ---------------------------------------------------------------------------------------------------------
// What is tested: a decoder that describes what it read as the tables do, and says what its encoder writes.

/// What a table's rows are about.
struct Grammar {
    table: &'static str,
    /// What the text says, in the tables' form, and the text that our encoder writes for it.
    decode: fn(&str) -> Result<(Value, String), String>,
}

const GRAMMARS: [Grammar; 2] = [
    Grammar {
        table: ENGINEIO,
        decode: decode_engineio,
    },
    Grammar {
        table: SOCKETIO,
        decode: decode_socketio,
    },
];

fn text(frame: &Frame) -> &str {
    std::str::from_utf8(frame.bytes()).expect("a frame is UTF-8")
}

fn decode_engineio(wire: &str) -> Result<(Value, String), String> {
    use engineio::Packet;
    let packet = Packet::decode(wire).map_err(|error| error.to_string())?;
    let (kind, data) = match &packet {
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
    if let Packet::Message(Message::Binary(bytes)) = &packet {
        said.insert("binary".into(), BASE64_STANDARD.encode(bytes).into());
    }
    Ok((said.into(), text(&packet.encode()).to_owned()))
}

fn decode_socketio(wire: &str) -> Result<(Value, String), String> {
    use socketio::{Body, Packet};
    let packet = Packet::decode(wire).map_err(|error| error.to_string())?;
    let (kind, data) = match &packet.body {
        Body::Connect(data) => ("CONNECT", data.map(|data| data.get().to_owned())),
        Body::Disconnect => ("DISCONNECT", None),
        Body::Event(call) if call.attachments == 0 => ("EVENT", Some(arguments(call))),
        Body::Event(call) => ("BINARY_EVENT", Some(arguments(call))),
        Body::Ack(call) if call.attachments == 0 => ("ACK", Some(arguments(call))),
        Body::Ack(call) => ("BINARY_ACK", Some(arguments(call))),
        Body::ConnectError(data) => ("CONNECT_ERROR", Some(data.get().to_owned())),
    };
    let mut said = Map::new();
    said.insert("type".into(), kind.into());
    said.insert("nsp".into(), packet.namespace.into());
    if let Body::Event(call) | Body::Ack(call) = &packet.body {
        if let Some(id) = call.id {
            let id: u64 = id.to_string().parse().expect("an ack id is a number");
            said.insert("id".into(), id.into());
        }
        if call.attachments > 0 {
            said.insert("attachments".into(), call.attachments.into());
        }
    }
    if let Some(data) = data {
        said.insert("data".into(), data.into());
    }
    let message = packet.encode();
    let message = text(&message)
        .strip_prefix(engineio::MESSAGE)
        .expect("a Socket.IO packet is an Engine.IO message");
    Ok((said.into(), message.to_owned()))
}

/// The arguments as they are written: what is left of an event without a namespace and an id.
fn arguments(call: &socketio::Call<'_>) -> String {
    let plain = socketio::Packet {
        namespace: "/",
        body: socketio::Body::Event(socketio::Call {
            id: None,
            attachments: 0,
            arguments: call.arguments.clone(),
        }),
    };
    text(&plain.encode())
        .strip_prefix("42")
        .expect("an event in the main namespace begins so")
        .to_owned()
}

// ---------------------------------------------------------------------------------------------------------
// The tables.

struct Row {
    wire: String,
    /// None: it is refused.
    packet: Option<Value>,
    encodes: String,
    /// For a message of our own when a test fails.
    name: String,
}

fn rows(table: &str) -> Vec<Row> {
    let table: Vec<Value> = serde_json::from_str(table).expect("the table is JSON");
    assert!(table.len() > 50, "the table is not all there");
    table.iter().map(row).collect()
}

fn row(row: &Value) -> Row {
    let wire = tables::text(&row["wire"]);
    // The headers alone are read here: what is wrong with the attachments comes out later.
    let is_refused = row.get("error").is_some() && row.get("reassembly").is_none();
    let packet = row.get("packet").filter(|_| !is_refused).map(|packet| {
        let mut packet = packet.as_object().expect("a packet is an object").clone();
        if let Some(data) = packet.get_mut("data") {
            *data = tables::text(data).into();
        }
        Value::from(packet)
    });
    assert!(
        packet.is_some() || is_refused || row.get("reassembly").is_some(),
        "neither a packet nor an error: {row}"
    );
    Row {
        encodes: row
            .get("encodes")
            .map_or_else(|| wire.clone(), tables::text),
        name: wire.chars().take(100).collect(),
        packet,
        wire,
    }
}

/// The places at which a text of `length` bytes is cut off or changed.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |place| {
        length <= LONG || *place < 64 || length - *place < 64 || place % STRIDE == 0
    })
}

/// Decodes, and if that works encodes and decodes again: it must be the same packet, in the same text.
fn survives(grammar: &Grammar, wire: &str) {
    let Ok((said, written)) = (grammar.decode)(wire) else {
        return;
    };
    let again = (grammar.decode)(&written);
    let expected = Ok((said, written));
    assert!(
        again == expected,
        "{} became {}, from {}",
        start(&expected),
        start(&again),
        start(&wire)
    );
}

/// As much of a value as a person wants to read when a test fails.
fn start(value: &impl Debug) -> String {
    format!("{value:?}").chars().take(200).collect()
}

// ---------------------------------------------------------------------------------------------------------

#[test]
fn every_row_says_what_the_table_says() {
    for grammar in &GRAMMARS {
        let mut wrong = Vec::new();
        for row in rows(grammar.table) {
            let said = (grammar.decode)(&row.wire).map(|(said, _)| said);
            match (&row.packet, said) {
                (Some(packet), Ok(said)) if *packet == said => {}
                (None, Err(reason)) if !reason.is_empty() => {}
                (Some(_), said) => wrong.push(format!("{}: {}", row.name, start(&said))),
                (None, said) => {
                    wrong.push(format!("{}: not refused, but {}", row.name, start(&said)));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn every_packet_is_written_as_the_table_says() {
    for grammar in &GRAMMARS {
        for row in rows(grammar.table) {
            if row.packet.is_some() {
                let (_, written) = (grammar.decode)(&row.wire)
                    .unwrap_or_else(|error| panic!("{}: {error}", row.name));
                assert_eq!(written, row.encodes, "{}", row.name);
                survives(grammar, &row.wire);
            }
        }
    }
}

#[test]
fn nothing_that_is_cut_off_does_harm() {
    for grammar in &GRAMMARS {
        for row in rows(grammar.table) {
            for end in places(row.wire.len()).filter(|end| row.wire.is_char_boundary(*end)) {
                survives(grammar, &row.wire[..end]);
            }
        }
    }
}

#[test]
fn nothing_that_is_damaged_does_harm() {
    for grammar in &GRAMMARS {
        for row in rows(grammar.table) {
            let mut bytes = row.wire.into_bytes();
            for place in places(bytes.len()) {
                for mask in MASKS {
                    bytes[place] ^= mask;
                    // What is not UTF-8 never gets here; a careless transport's repair of it might.
                    survives(grammar, &String::from_utf8_lossy(&bytes));
                    bytes[place] ^= mask;
                }
            }
        }
    }
}

/// Tells of each event what came with it.
struct Listener(mpsc::Sender<(String, Vec<Bytes>)>);

impl Namespace for Listener {
    type Handshake = ();
    type Data = ();

    async fn admit(&self, _: &Arc<()>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, _: &Socket<()>, event: Event<'_>) {
        let arguments: Vec<&str> = event.arguments().iter().map(|raw| raw.get()).collect();
        let attachments = event.arguments().attachments().to_vec();
        self.0.send((arguments.join(","), attachments)).unwrap();
    }
}

/// The messages that follow a packet: those that it announces, if the row says nothing else.
fn followers(row: &Value) -> Vec<Result<Bytes, String>> {
    let announced = row["packet"]["attachments"].as_u64().unwrap_or_default();
    match row.get("attachments") {
        None => (0..announced)
            .map(|place| Ok(Bytes::copy_from_slice(&[place as u8, 0xff])))
            .collect(),
        Some(items) => items
            .as_array()
            .expect("a list of messages")
            .iter()
            .map(|item| match item.as_str() {
                Some(base64) => Ok(BASE64_STANDARD.decode(base64).expect("base64").into()),
                None => Err(item["text"].as_str().expect("a text").to_owned()),
            })
            .collect(),
    }
}

#[test]
fn every_packet_is_heard_with_its_attachments_or_refused() {
    let (sender, receiver) = mpsc::channel();
    let mut io = SocketIo::builder(socketio::Settings::default());
    for name in ["/", "/admin", "/1"] {
        io.of(name, Listener(sender.clone()));
    }
    let io = io.build();
    let table: Vec<Value> = serde_json::from_str(SOCKETIO).expect("the table is JSON");
    let mut counts = [0; 2];
    for row in table {
        let packet = &row["packet"];
        let kind = packet["type"].as_str().unwrap_or_default();
        if !kind.ends_with("EVENT") && !kind.ends_with("ACK") {
            continue;
        }
        let now = Instant::now();
        let inbox = Arc::new(Inbox::new(usize::MAX));
        let mut client = io.open(now, engineio::Revision::V4, Arc::new(()), inbox);
        let mut send = |message| client.handle_message(now, message);
        let connect = format!("0{},", packet["nsp"].as_str().expect("a namespace"));
        send(Message::Text(&connect)).expect("yes");
        let wire = tables::text(&row["wire"]);
        let mut outcome = send(Message::Text(&wire));
        let followers = followers(&row);
        for follower in &followers {
            outcome.unwrap_or_else(|error| panic!("{wire:.100}: {error}"));
            assert_eq!(
                receiver.try_iter().count(),
                0,
                "{wire:.100}: before they were all there"
            );
            outcome = send(match follower {
                Ok(bytes) => Message::Binary(bytes.clone()),
                Err(text) => Message::Text(text),
            });
            if packet["attachments"] == 1 && followers.len() > 1 {
                // What belongs to nothing is the next.
                receiver.try_iter().for_each(drop);
            }
        }
        let heard: Vec<_> = receiver.try_iter().collect();
        if row.get("reassembly").is_some() || row.get("closes").is_some() {
            assert!(outcome.is_err(), "{wire:.100}");
            assert!(heard.is_empty(), "{wire:.100}");
            counts[1] += 1;
            continue;
        }
        outcome.unwrap_or_else(|error| panic!("{wire:.100}: {error}"));
        if kind.ends_with("EVENT") {
            let [(arguments, attachments)] = &heard[..] else {
                panic!("{wire:.100}: heard {} times", heard.len());
            };
            let data = tables::text(&packet["data"]);
            assert!(data.ends_with(&format!("{arguments}]")), "{wire:.100}");
            let expected: Vec<_> = followers
                .into_iter()
                .map(|bytes| bytes.expect("bytes"))
                .collect();
            assert_eq!(*attachments, expected, "{wire:.100}");
            counts[0] += 1;
        } else {
            assert!(
                heard.is_empty(),
                "{wire:.100}: an answer that nobody waits for"
            );
        }
    }
    assert!(counts[0] > 70 && counts[1] > 10, "{counts:?}");
}

#[test]
fn what_stands_behind_a_good_packet_is_not_overlooked() {
    for row in rows(SOCKETIO) {
        let carries_json = row
            .packet
            .as_ref()
            .is_some_and(|packet| packet.get("data").is_some());
        if carries_json {
            for tail in ["x", "[]", "\u{1e}", "\u{1e}2[\"m\"]", "\0", ",", "]"] {
                let longer = format!("{}{tail}", row.wire);
                let said = decode_socketio(&longer);
                assert!(said.is_err(), "{} with {tail:?} behind it", row.name);
            }
        }
    }
}

#[test]
fn a_repeated_text_is_expanded_as_the_readme_says() {
    let text = json!({"repeat": ["2[\"m\",", "[", 3, "]", 3, "]"]});
    assert_eq!(tables::text(&text), "2[\"m\",[[[]]]]");
}
