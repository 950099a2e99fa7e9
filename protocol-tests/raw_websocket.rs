//! A WebSocket without a session. What the Autobahn test suite makes of it is in `autobahn/golden.json`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use hyper::{Request, body::Incoming};
use rollcall::server::{Answer, Bounds, Handler, Limits, RawWebSocket, bind, serve};
use std::{
    future::pending,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use support::{
    BINARY, CLOSE, CONTINUATION, Client, FIN, PING, Seen, TEXT, masked, milliseconds,
    plain_request, run, text_frame, upgrade_request,
};
use tokio::io::AsyncWriteExt;

/// Sends every message back, until it is told `enough`.
struct Echo(Arc<Bounds>);

impl Handler for Echo {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, _peer: SocketAddr) -> Answer {
        RawWebSocket::accept(request, Arc::clone(&self.0), |mut websocket| async move {
            while let Some(message) = websocket.receive().await {
                if message.bytes() == "enough" || websocket.send(&message).await.is_err() {
                    break;
                }
            }
            websocket.close().await;
        })
    }
}

async fn start(limits: Limits) -> SocketAddr {
    let listener = bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let bounds = Arc::new(Bounds::new(limits));
        let echo = Arc::new(Echo(Arc::clone(&bounds)));
        serve(listener, echo, &bounds, pending()).await;
    });
    address
}

async fn open(address: SocketAddr) -> Client {
    let mut client = Client::dial(address).await;
    client.write(upgrade_request("", "", "").as_bytes()).await;
    assert_eq!(client.head().await.status, 101);
    client
}

#[test]
fn messages_are_what_was_sent() {
    run(async {
        let address = start(Limits::default()).await;
        let mut client = open(address).await;
        for text in ["", "4", "é€😀", &"x".repeat(100_000)] {
            client.send(text).await;
            assert_eq!(client.text().await, text);
        }
        client.write(&masked(FIN | BINARY, &[0, 0xff])).await;
        assert_eq!(client.see().await, Seen::Binary(vec![0, 0xff]));
        let mut bytes = masked(TEXT, b"a");
        bytes.extend(masked(FIN | PING, b"between"));
        bytes.extend(masked(FIN | CONTINUATION, b"b"));
        client.write(&bytes).await;
        assert_eq!(client.see().await, Seen::Pong(b"between".to_vec()));
        assert_eq!(client.text().await, "ab");
        client
            .write(&masked(FIN | CLOSE, &1000_u16.to_be_bytes()))
            .await;
        client.is_closed_with(Some(1000)).await;

        let mut client = open(address).await;
        client.send("enough").await;
        client.is_closed_with(None).await;
    });
}

#[test]
fn of_very_many_pings_the_last_is_answered_at_once_and_none_behind_the_close_frame() {
    run(async {
        let address = start(Limits::default()).await;
        let mut client = open(address).await;
        let ping = |number: u8| masked(FIN | PING, &[number; 100]);
        let pings: Vec<u8> = (0..60).flat_map(ping).collect();
        client.write(&pings).await;
        while client.see().await != Seen::Pong(vec![59; 100]) {}

        let reserved_bit = masked(FIN | TEXT | 0x40, b"");
        client.write(&[pings, reserved_bit].concat()).await;
        let mut seen = client.see().await;
        while let Seen::Pong(_) = seen {
            seen = client.see().await;
        }
        assert_eq!(seen, Seen::Close(Some(1002)));
        assert_eq!(client.see().await, Seen::End);
    });
}

#[test]
fn what_is_no_handshake_is_refused() {
    run(async {
        let address = start(Limits::default()).await;
        let handshake = upgrade_request("", "", "");
        let table = [
            (plain_request("GET", "", "", 0), 400),
            (handshake.replace("Version: 13", "Version: 12"), 400),
            (handshake.replace("Upgrade: websocket", "Upgrade: h2c"), 400),
            (handshake.replace("GET", "POST"), 405),
        ];
        for (request, status) in table {
            let mut client = Client::dial(address).await;
            client.write(request.as_bytes()).await;
            assert_eq!(client.head().await.status, status, "{request}");
        }
    });
}

#[test]
fn limits_hold_without_a_session() {
    run(async {
        let address = start(Limits {
            max_payload_bytes: 1_000_000,
            message_timeout: milliseconds(100),
            write_timeout: milliseconds(300),
            ..Limits::default()
        })
        .await;

        let mut large = open(address).await;
        // It may be closed before it is all there.
        let frame = masked(FIN | BINARY, &[0; 1_000_001]);
        let _ = large.stream.write_all(&frame).await;
        assert_eq!(large.see().await, Seen::Close(Some(1009)));

        let mut late = open(address).await;
        late.write(&masked(TEXT, b"half of a ")).await;
        late.is_closed_with(None).await;

        let mut silent = open(address).await;
        let mut stuck = open(address).await;
        let frame = masked(FIN | BINARY, &[0; 1_000_000]);
        while stuck.stream.write_all(&frame).await.is_ok() {}

        // Who owes nothing may take any time.
        silent.write(&text_frame("still here")).await;
        assert_eq!(silent.text().await, "still here");
    });
}
