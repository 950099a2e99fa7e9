//! Seeds from the tables of `fixtures/`.

use super::tables::{bytes, text, unhex};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

const ENGINEIO: &str = include_str!("../../../fixtures/engineio-packets.json");
const PAYLOADS: &str = include_str!("../../../fixtures/engineio-payloads.json");
const SOCKETIO: &str = include_str!("../../../fixtures/socketio-packets.json");
const VECTORS: &str = include_str!("../../../fixtures/connection-vectors.json");
const FORWARDED: &str = include_str!("../../../fixtures/forwarded.json");

/// A larger one would only be slow.
const SEED_BYTES: usize = 4096;

fn rows(table: &str) -> Vec<Value> {
    serde_json::from_str(table).expect("a table")
}

/// Those that are not too large.
pub fn small(seeds: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    seeds.filter(|seed| seed.len() <= SEED_BYTES).collect()
}

/// Engine.IO packets.
pub fn engineio_packets() -> Vec<String> {
    rows(ENGINEIO)
        .iter()
        .map(|row| text(&row["wire"]))
        .collect()
}

/// Payloads of a version, and whether they are binary.
pub fn payloads(revision: u64) -> Vec<(Vec<u8>, bool)> {
    let rows = rows(PAYLOADS);
    let of_version = rows.iter().filter(|row| row["revision"] == revision);
    of_version.map(|row| bytes(&row["body"])).collect()
}

/// One of a client's messages.
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
    /// Not a message, but bytes on the connection.
    Raw(Vec<u8>),
}

/// Socket.IO packets, each with the messages that follow it, as Engine.IO carries them.
pub fn socketio_packets() -> Vec<Vec<Message>> {
    let attached = |place: usize| Message::Binary(vec![place as u8, 0xff]);
    let following = |row: &Value| match row["attachments"].as_array() {
        Some(attachments) => attachments.iter().map(follower).collect(),
        None => {
            let count = row["packet"]["attachments"].as_u64().unwrap_or(0);
            (0..count as usize).map(attached).collect::<Vec<_>>()
        }
    };
    let packet = |row: &Value| {
        let wire = Message::Text(format!("4{}", text(&row["wire"])));
        [wire].into_iter().chain(following(row)).collect()
    };
    rows(SOCKETIO).iter().map(packet).collect()
}

fn follower(attachment: &Value) -> Message {
    match attachment["text"].as_str() {
        Some(wire) => Message::Text(format!("4{wire}")),
        None => Message::Binary(unbase64(attachment)),
    }
}

/// What the clients of the connection vectors send.
pub fn vectors() -> Vec<Vec<Message>> {
    let message = |sent: &Value| match sent {
        Value::String(wire) => Message::Text(wire.clone()),
        sent if sent.get("binary").is_some() => Message::Binary(unbase64(&sent["binary"])),
        sent if sent.get("bytes").is_some() => Message::Raw(unhex(&text(&sent["bytes"]))),
        sent => Message::Text(text(sent)),
    };
    let rows = rows(VECTORS);
    let sent = rows.iter().map(|row| row["send"].as_array());
    let sent = sent.map(|sent| sent.expect("a list of messages"));
    sent.map(|sent| sent.iter().map(message).collect())
        .collect()
}

/// The payloads of `set-activity` in the connection vectors.
pub fn reports() -> Vec<String> {
    let all = vectors().into_iter().flatten();
    let texts = all.filter_map(|message| match message {
        Message::Text(text) => Some(text),
        Message::Binary(_) | Message::Raw(_) => None,
    });
    let payload = |text: String| {
        let (_, payload) = text.split_once("[\"set-activity\",")?;
        Some(payload.strip_suffix(']')?.to_owned())
    };
    texts.filter_map(payload).collect()
}

/// What proxies say: those that are trusted, the peer, and the lines of their header.
pub fn forwarded() -> Vec<(String, String, Vec<String>)> {
    let words = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list");
        list.iter().map(text).collect()
    };
    let row = |row: &Value| {
        let trusted = words(&row["trusted"]).join(" ");
        (trusted, text(&row["peer"]), words(&row["headers"]))
    };
    rows(FORWARDED).iter().map(row).collect()
}

fn unbase64(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("a text");
    BASE64_STANDARD.decode(text).expect("base64")
}
