//! Requests to the endpoint, through hyper and the engine. Before there is a session each answer is the one that the pure
//! verdict and the rules of the WebSocket handshake lead to; with one, answers to polls are payloads, in a coding that the
//! client takes.
//!
//! An input is requests, divided by an empty line: a method and a target, headers, and lines of a body that begin with `<`.
//! A target without a slash is the query. `SID` stands for the session's id. Or, in the place of a request, lines that begin with
//! `WS `: texts on the WebSocket that was opened last.

mod rules;
mod server;

use super::{
    Target,
    connection::{Connection, frames, masked, runtime},
    fixtures,
};
use hyper::{Request, body::Incoming};
use rollcall::{
    engineio::{Packet, Revision},
    server::{Answer, Endpoint, Handler},
    socketio::SocketIo,
};
use rules::{Heard, Seen, is_expected, is_in_order};
use serde_json::Value;
use server::{Named, endpoint};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

pub const TARGET: Target = Target {
    name: "handshake",
    run,
    seeds,
    words: &[
        "GET ",
        "POST ",
        "OPTIONS ",
        "EIO=4&transport=polling",
        "EIO=3&transport=websocket",
        "&sid=SID",
        "&b64=1",
        "\nX-Name: me",
        "\nX-Name: nobody",
        "\nConnection: Upgrade",
        "\nUpgrade: websocket",
        "\nSec-WebSocket-Version: 13",
        "\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "\nAccept-Encoding: ",
        "gzip",
        "deflate;q=0.5",
        "identity",
        "*;q=0",
        "\nContent-Type: application/octet-stream",
        "\nIf-None-Match: \"1\"",
        "\nContent-Length: ",
        "\nTransfer-Encoding: chunked",
        "/socket.io/socket.io.js",
        "\n\n",
        "\n<40",
        "\n<42[\"echo\"]",
        "\n\nWS 2probe\nWS 5",
        "\nWS 40",
        "\n\nWS 2probe\nWS 5",
        "\nWS 40",
    ],
};

/// More requests than this say nothing new.
const REQUESTS: usize = 8;

fn seeds() -> Vec<Vec<u8>> {
    let websocket = "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let open = "GET EIO=4&transport=polling\nX-Name: me";
    let poll = "GET EIO=4&transport=polling&sid=SID\nAccept-Encoding: deflate, gzip;q=0.5";
    let post = "POST EIO=4&transport=polling&sid=SID";
    let large = "x".repeat(1100);
    let mut seeds = vec![
        format!("GET EIO=4&transport=websocket\nX-Name: me\n{websocket}"),
        format!("GET EIO=3&transport=websocket\nX-Name: nobody\n{websocket}"),
        format!("GET EIO=4&transport=websocket\n{websocket}"),
        format!("GET EIO=5&transport=polling\nX-Name: me\n\n{open}"),
        format!("{open}\n\n{post}\n<40\n\n{poll}\n\n{post}\n<42[\"m\",\"{large}\"]\n\n{poll}"),
        format!("{open}\n\n{poll}\n\n{poll}"),
        format!("{open}\n\nGET EIO=4&transport=websocket&sid=SID\n{websocket}\n\n{poll}"),
        format!("{open}\n\n{post}\n<40\n\n{poll}\n\nGET EIO=4&transport=websocket&sid=SID\n{websocket}\n\nWS 2probe\nWS 5\n\nWS 42[\"m\"]\nWS 41"),
        format!("GET EIO=4&transport=websocket\nX-Name: me\n{websocket}\n\nWS 40\nWS 421[\"m\",{{}}]\n\nWS 2\nWS 3"),
        format!("GET EIO=3&transport=websocket&b64=1\nX-Name: me\n{websocket}\n\nWS 2probe\nWS 42[\"m\"]\nWS 1"),
        "GET EIO=3&transport=polling&b64=1\nX-Name: me\n\nPOST EIO=3&transport=polling&sid=SID\n<2:40\n\nGET EIO=3&transport=polling&sid=SID".to_owned(),
        "OPTIONS EIO=4\nAccess-Control-Request-Headers: x-api-key".to_owned(),
        "GET /socket.io/socket.io.js\nAccept-Encoding: gzip\nIf-None-Match: W/\"2\", \"x\"".to_owned(),
        "HEAD /socket.io/socket.io.js\nAccept-Encoding: *;q=0.1, gzip;q=0".to_owned(),
    ];
    // What else clients post.
    let payloads = fixtures::payloads(4).into_iter().map(|(body, _)| body);
    let texts = payloads.filter_map(|body| String::from_utf8(body).ok());
    let texts = texts.filter(|text| !text.contains('\n') && text.len() < 500);
    seeds.extend(
        texts
            .step_by(8)
            .map(|text| format!("{open}\n\n{post}\n<40\n\n{post}\n<{text}\n\n{poll}")),
    );
    fixtures::small(seeds.into_iter().map(String::into_bytes))
}

// ---------------------------------------------------------------------------------------------------------
// The client.

fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    runtime().block_on(async {
        let endpoint = endpoint(text.contains("socket.io.js"));
        let (mut sid, mut waiting) = (None, Vec::new());
        let mut websocket: Option<Connection> = None;
        for request in text.split("\n\n").take(REQUESTS) {
            if request.starts_with("WS ") {
                if let Some(websocket) = &mut websocket {
                    speak(websocket, request).await;
                }
                continue;
            }
            let seen = Arc::new(Mutex::new(None));
            let mut connection = connect(&endpoint, &seen);
            connection
                .say(&written(request, sid.as_deref().unwrap_or("SID")))
                .await;
            let heard = Heard::read(&connection.hear());
            let seen = seen.lock().expect("no panic").take();
            match (heard, seen) {
                (Some(heard), Some(seen)) => {
                    if sid.is_none() {
                        is_expected(&seen, &heard);
                    }
                    is_in_order(&seen, &heard);
                    sid = sid.or_else(|| opened(&heard));
                    if heard.status == 101 {
                        are_packets(&heard.body);
                        websocket = Some(connection);
                    }
                }
                // hyper's own.
                (Some(heard), None) => assert!((400..500).contains(&heard.status)),
                (None, seen) => {
                    assert!(sid.is_some() || seen.is_none(), "no answer");
                    waiting.push((connection, seen));
                }
            }
        }
        for (mut connection, seen) in waiting {
            if let (Some(heard), Some(seen)) = (Heard::read(&connection.hear()), seen) {
                is_in_order(&seen, &heard);
            }
        }
    });
}

/// Says something on a WebSocket, and hears what comes.
async fn speak(websocket: &mut Connection, lines: &str) {
    let texts = lines.lines().filter_map(|line| line.strip_prefix("WS "));
    let frames = texts.map(|text| masked(0x81, text.as_bytes()));
    websocket.say(&frames.collect::<Vec<_>>().concat()).await;
    are_packets(&websocket.hear());
}

/// Asserts that these are frames, and each an Engine.IO packet or a goodbye.
fn are_packets(bytes: &[u8]) {
    for (first, payload) in frames(bytes) {
        match first {
            // What is bytes may be anything.
            0x82 | 0x88 => {}
            0x81 => {
                let text = str::from_utf8(&payload).expect("UTF-8");
                let packet = Packet::decode(text).or(Err(())).or_else(|()| {
                    // Of version 3, bytes as text.
                    Revision::V3.decode_text(text)
                });
                packet.expect("a packet");
            }
            other => panic!("a frame that begins with {other:#x}"),
        }
    }
}

fn connect(
    endpoint: &Arc<Endpoint<SocketIo<()>, Named>>,
    seen: &Arc<Mutex<Option<Seen>>>,
) -> Connection {
    let (endpoint, seen) = (Arc::clone(endpoint), Arc::clone(seen));
    Connection::open(move |request: Request<Incoming>| {
        seen.lock().expect("no panic").get_or_insert_with(|| Seen {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        });
        let endpoint = Arc::clone(&endpoint);
        async move {
            let answer: Answer = endpoint
                .handle(request, (Ipv4Addr::LOCALHOST, 1).into())
                .await;
            answer
        }
    })
}

/// A request as it goes over the wire.
fn written(request: &str, sid: &str) -> Vec<u8> {
    let request = request.replace("SID", sid);
    let mut lines = request.split('\n').filter(|line| !line.is_empty());
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or(("GET", ""));
    let (body, headers): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('<'));
    let body = body
        .iter()
        .map(|line| &line[1..])
        .collect::<Vec<_>>()
        .join("\n");
    let path = if target.starts_with('/') {
        ""
    } else {
        "/socket.io/?"
    };
    let mut text = format!("{method} {path}{target} HTTP/1.1\r\nHost: x\r\n");
    headers
        .iter()
        .for_each(|line| text += &format!("{line}\r\n"));
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    (text + "\r\n" + &body).into_bytes()
}

/// The id in an open packet.
fn opened(heard: &Heard) -> Option<String> {
    let text = str::from_utf8(&heard.body).ok()?;
    let json = &text[text.find("0{")? + 1..];
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    let opening = values.next()?.ok()?;
    Some(opening.get("sid")?.as_str()?.to_owned())
}
