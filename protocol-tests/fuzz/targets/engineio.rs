//! One packet in both dialects, as text and as bytes: against another reader, and written again. Where the versions do not
//! differ they agree, and so do a packet alone and one in a payload.

use super::{
    Target,
    by_hand::{packet_v3, packet_v4},
    fixtures,
    payload_v4::said,
    reading::{frame, read},
};
use bytes::Bytes;
use rollcall::{
    engineio::{Dialect, Frame, Message, Packet, PayloadError, Revision, Sid},
    socketio::SocketId,
};

pub const TARGET: Target = Target {
    name: "engineio",
    run,
    seeds,
    words: &["2probe", "3probe", "bAQID", "b4AQID", "=="],
};

fn seeds() -> Vec<Vec<u8>> {
    let packets = fixtures::engineio_packets().into_iter();
    let bytes = [&b"\x04\x01\x02\x03"[..], b"\x04", b"\0\xff"].map(<[u8]>::to_vec);
    fixtures::small(packets.map(String::into_bytes).chain(bytes))
}

fn run(bytes: &[u8]) {
    for revision in [Revision::V3, Revision::V4] {
        let binary = revision.decode_binary(Bytes::copy_from_slice(bytes));
        let data = match revision {
            Revision::V4 => Some(bytes),
            Revision::V3 => bytes.strip_prefix(b"\x04"),
        };
        assert_eq!(
            binary.as_ref().ok(),
            data.map(|data| Packet::Message(Message::Binary(Bytes::copy_from_slice(data))))
                .as_ref()
        );
        binary
            .iter()
            .for_each(|packet| is_sent_and_read(revision, packet));
        if let Ok(text) = str::from_utf8(bytes) {
            let packet = is_read_alike(revision, text);
            packet
                .iter()
                .for_each(|packet| is_sent_and_read(revision, packet));
        }
    }
    if let Ok(text) = str::from_utf8(bytes) {
        if !text.starts_with('b') {
            let [v3, v4] = [Revision::V3, Revision::V4].map(|of| of.decode_text(text));
            assert_eq!(v3, v4);
        }
        ids_are_what_they_say(text);
    }
}

/// Reads a text in another way, too, and as the only packet of a payload.
fn is_read_alike(revision: Revision, text: &str) -> Result<Packet<'_>, PayloadError> {
    let packet = revision.decode_text(text);
    let by_hand = match revision {
        Revision::V3 => packet_v3(text.as_bytes()),
        Revision::V4 => packet_v4(text.as_bytes()),
    };
    assert_eq!(packet.as_ref().ok().map(said), by_hand, "{packet:?}");
    let payload = match revision {
        Revision::V3 if text.is_empty() => return packet,
        Revision::V3 => format!("{}:{text}", text.encode_utf16().count()),
        Revision::V4 if text.contains('\x1e') => return packet,
        Revision::V4 => text.to_owned(),
    };
    let (packets, error) = read(revision, false, payload.as_bytes());
    assert_eq!(packets.first(), packet.as_ref().ok());
    assert_eq!(error, packet.as_ref().err().copied());
    packet
}

/// Sends a packet on a WebSocket, and reads it there.
fn is_sent_and_read(revision: Revision, packet: &Packet<'_>) {
    for base64_only in [false, true] {
        let dialect = Dialect {
            revision,
            base64_only,
        };
        let sent = dialect.encode_frame(&frame(packet)).into_owned();
        let read = match &sent {
            Frame::Text(text) => dialect.decode_text(str::from_utf8(text).expect("UTF-8")),
            Frame::Binary(bytes) => {
                assert!(!base64_only, "it cannot take bytes");
                dialect.decode_binary(bytes.clone())
            }
        };
        assert_eq!(read.as_ref(), Ok(packet));
    }
}

fn ids_are_what_they_say(text: &str) {
    if let Some(sid) = Sid::parse(text) {
        assert_eq!(sid.reveal(), text);
        assert!(!format!("{sid:?}").contains(text));
    }
    if let Some(id) = SocketId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
}
