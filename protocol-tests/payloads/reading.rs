//! Payloads read and written again: what must hold for any body. Shared by `payloads.rs` and the fuzzing in `fuzz/`.

use rollcall::engineio::{
    Frame, Message, Packet, Revision,
    payload::{self, PayloadError},
};
use std::fmt::Debug;

/// As many as a body can hold.
const ANY: usize = usize::MAX;

/// The frame that carries a packet to a client.
pub fn frame(packet: &Packet<'_>) -> Frame {
    match packet {
        Packet::Message(Message::Binary(bytes)) => Frame::Binary(bytes.clone()),
        other => other.encode(),
    }
}

/// The packets of a body up to the first error, and that. Nothing may come behind it.
pub fn read(
    revision: Revision,
    is_binary: bool,
    body: &[u8],
) -> (Vec<Packet<'_>>, Option<PayloadError>) {
    let mut items = payload::decode(revision, is_binary, body, ANY);
    let mut packets = Vec::new();
    let error = loop {
        match items.next() {
            Some(Ok(packet)) => packets.push(packet),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert!(items.next().is_none(), "it goes on behind its end");
    (packets, error)
}

/// Reads a body, and writes what was read in every form of that version: it must be the same packets.
pub fn survives_as(revision: Revision, is_binary: bool, body: &[u8]) {
    let (packets, _) = read(revision, is_binary, body);
    // Version 4 has no way to say that there is nothing, and no need to.
    if packets.is_empty() && revision == Revision::V4 {
        return;
    }
    let frames: Vec<_> = packets.iter().map(frame).collect();
    for base64_only in [false, true] {
        let written = payload::encode(revision, base64_only, &frames);
        let (again, error) = read(revision, written.is_binary, &written.bytes);
        assert!(
            again == packets && error.is_none(),
            "{} became {} and {error:?}, written as {}",
            start(&packets),
            start(&again),
            start(&written)
        );
    }
}

/// As much of a value as a person wants to read when a test fails.
pub fn start(value: &impl Debug) -> String {
    format!("{value:?}").chars().take(200).collect()
}
