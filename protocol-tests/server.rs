//! The server over real sockets: the handshake, the WebSocket rules, every limit, every way to end, and shutdown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use futures_util::FutureExt;
use hyper::{Request, body::Incoming};
use rollcall::{
    engineio::{
        CloseReason, Frame, Timing,
        outbound::{Repair, Subscription, Topic},
    },
    server::{Answer, Bounds, Handler, Limit, Limits, bind, serve},
    socketio::{self, Auth, DisconnectReason, Event, Namespace, Refused, Socket},
};
use std::{
    future::{pending, poll_fn},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Poll,
    time::{Duration, Instant},
};
use support::{
    ACCEPT, BINARY, CLOSE, CONTINUATION, Client, FIN, Happened, LARGE, MANY, OPEN, PING, PONG,
    Poller, Random, Recorder, Seen, Server, Setup, TEXT, TestEngine, closed, head, large, masked,
    milliseconds, roomy_with_write_timeout, run, run_on_one_thread, text_frame, until,
    upgrade_request,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::{JoinHandle, JoinSet, block_in_place, unconstrained},
    time::{interval, sleep, timeout},
};

// ---------------------------------------------------------------------------------------------------------
// The handshake.

#[test]
fn a_session_opens_with_101_and_the_open_packet() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut client = Client::dial(server.address).await;
        client
            .write(upgrade_request("alice", OPEN, "").as_bytes())
            .await;
        let head = client.head().await;
        assert_eq!(head.status, 101);
        assert_eq!(head.get("sec-websocket-accept"), Some(ACCEPT));
        assert!(
            head.get("upgrade")
                .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        );
        assert!(
            head.get("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
        );
        assert_eq!(head.get("sec-websocket-extensions"), None);
        assert_eq!(head.get("sec-websocket-protocol"), None);
        let opening = client.text().await;
        let opening: serde_json::Value =
            serde_json::from_str(opening.strip_prefix('0').expect("an open packet")).expect("JSON");
        assert_eq!(opening["upgrades"], serde_json::json!([]));
        assert_eq!(opening["maxPayload"], 1_000_000);
        assert_eq!(server.sessions(), 1);
        client.connect().await;
        assert_eq!(recording.connected().await.data(), "alice");
        client.echo("é€😀").await;
    });
}

#[test]
fn what_official_clients_and_proxies_write_into_the_head_is_understood() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let table = [
            (
                "Connection: keep-alive, Upgrade\r\nUpgrade: websocket",
                "Sec-WebSocket-Version: 13",
            ),
            (
                "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket",
                "Sec-WebSocket-Version: 13",
            ),
            (
                "Connection: UPGRADE\r\nUpgrade: WebSocket",
                "Sec-WebSocket-Version: 13",
            ),
            (
                "Connection:upgrade ,foo\r\nUpgrade: foo, websocket",
                "Sec-WebSocket-Version: 13",
            ),
            (
                "Connection: Upgrade\r\nUpgrade: websocket",
                "Sec-WebSocket-Version: 8",
            ),
        ];
        for (connection, version) in table {
            let mut client = Client::dial(server.address).await;
            let request = format!(
                "GET /socket.io/?{OPEN} HTTP/1.1\r\nHost: localhost\r\n{connection}\r\n{version}\r\n\
                 Sec-WebSocket-Key: {}\r\nX-Name: alice\r\n\r\n",
                support::KEY
            );
            client.write(request.as_bytes()).await;
            assert_eq!(client.head().await.status, 101, "{connection}, {version}");
            assert!(client.text().await.starts_with("0{"));
        }
    });
}

#[test]
fn the_first_subprotocol_is_chosen_and_no_extension() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let table = [
            ("Sec-WebSocket-Protocol: chat\r\n", Some("chat")),
            ("Sec-WebSocket-Protocol: chat, superchat\r\n", Some("chat")),
            (
                "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n",
                Some("a"),
            ),
            (
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
                None,
            ),
        ];
        for (more, protocol) in table {
            let mut client = Client::dial(server.address).await;
            client
                .write(upgrade_request("alice", OPEN, more).as_bytes())
                .await;
            let head = client.head().await;
            assert_eq!(head.status, 101, "{more}");
            assert_eq!(head.all("sec-websocket-protocol"), Vec::from_iter(protocol));
            assert_eq!(head.get("sec-websocket-extensions"), None);
            assert!(client.text().await.starts_with("0{"));
            client.connect().await;
            client.echo("not compressed").await;
        }
    });
}

#[test]
fn requests_that_open_nothing() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let upgrade = |name, query| upgrade_request(name, query, "");
        let plain = |method: &str, name: &str, query: &str| {
            format!(
                "{method} /socket.io/?{query} HTTP/1.1\r\nHost: localhost\r\n{name}Content-Length: 0\r\n\r\n"
            )
        };
        let changed = |from: &str, to: &str| upgrade("alice", OPEN).replace(from, to);
        let json =
            |code: u8, message: &str| format!("{{\"code\":{code},\"message\":\"{message}\"}}");
        let alice = "X-Name: alice\r\n";
        let polling = "EIO=4&transport=polling";
        let gone = "EIO=4&transport=websocket&sid=lv_VI97HAXpY6yYWAAABlv-_";
        let old = "EIO=3&transport=websocket";
        // The request, the status, the body.
        let table = [
            // Over plain HTTP the reason is JSON.
            (
                plain("GET", alice, "EIO=4&transport=webtransport"),
                400,
                json(0, "Transport unknown"),
            ),
            (
                plain("POST", alice, polling),
                400,
                json(2, "Bad handshake method"),
            ),
            (plain("GET", "", polling), 401, json(4, "say who you are")),
            (plain("GET", alice, ""), 400, json(0, "Transport unknown")),
            (
                plain("GET", alice, gone),
                400,
                json(1, "Session ID unknown"),
            ),
            (
                plain("POST", alice, gone),
                400,
                json(1, "Session ID unknown"),
            ),
            (
                plain("POST", alice, OPEN),
                400,
                json(2, "Bad handshake method"),
            ),
            (
                plain("DELETE", "", OPEN),
                400,
                json(2, "Bad handshake method"),
            ),
            (plain("GET", alice, OPEN), 400, json(3, "Bad request")),
            (plain("GET", "", OPEN), 400, json(3, "Bad request")),
            // To a WebSocket client it is a plain message.
            (upgrade("alice", polling), 400, "Bad request".to_owned()),
            (upgrade("alice", gone), 400, "Session ID unknown".to_owned()),
            (
                upgrade("alice", "EIO=4&transport=websocket&sid=__proto__"),
                400,
                "Session ID unknown".to_owned(),
            ),
            (
                changed("GET", "POST"),
                400,
                "Bad handshake method".to_owned(),
            ),
            // Who it is comes before the version, and both before the WebSocket's own rules.
            (
                upgrade("alice", old),
                400,
                "Unsupported protocol version".to_owned(),
            ),
            (
                upgrade("alice", "transport=websocket"),
                400,
                "Unsupported protocol version".to_owned(),
            ),
            (
                changed("X-Name: alice\r\n", ""),
                401,
                json(4, "say who you are"),
            ),
            (upgrade("nobody", OPEN), 403, json(4, "not you")),
            (upgrade("nobody", old), 403, json(4, "not you")),
            (upgrade("nobody", polling), 400, "Bad request".to_owned()),
            (
                upgrade("nobody", OPEN).replace("13", "7"),
                403,
                json(4, "not you"),
            ),
            (
                changed("13", "12"),
                400,
                "Missing or invalid Sec-WebSocket-Version header".to_owned(),
            ),
            (
                changed("Sec-WebSocket-Version: 13\r\n", ""),
                400,
                "Missing or invalid Sec-WebSocket-Version header".to_owned(),
            ),
            (
                changed(support::KEY, ""),
                400,
                "Missing or invalid Sec-WebSocket-Key header".to_owned(),
            ),
            (
                changed(support::KEY, "AAAA"),
                400,
                "Missing or invalid Sec-WebSocket-Key header".to_owned(),
            ),
            (
                changed(support::KEY, "dGhlIHNhbXBsZSBub25jZQ"),
                400,
                "Missing or invalid Sec-WebSocket-Key header".to_owned(),
            ),
            (
                changed(support::KEY, "dGhlIHNhbXBsZSBub25jZSE="),
                400,
                "Missing or invalid Sec-WebSocket-Key header".to_owned(),
            ),
            (
                changed("websocket\r\n", "h2c\r\n"),
                400,
                "Invalid Upgrade header".to_owned(),
            ),
        ];
        for (request, status, expected) in table {
            let mut client = Client::dial(server.address).await;
            client.write(request.as_bytes()).await;
            let (head, body) = client.response().await;
            assert_eq!(
                (head.status, body.as_str()),
                (status, expected.as_str()),
                "{request}"
            );
            let kind = head.get("content-type").expect("a type");
            let is_json = body.starts_with('{');
            assert_eq!(
                kind,
                if is_json {
                    "application/json"
                } else {
                    "text/html"
                },
                "{request}"
            );
            if body.contains("Version header") {
                assert_eq!(head.get("sec-websocket-version"), Some("13, 8"));
            }
            if request.contains("Upgrade") {
                assert_eq!(head.get("connection"), Some("close"), "{request}");
                assert_eq!(client.see().await, Seen::End, "{request}");
            }
        }
        assert_eq!(server.sessions(), 0);
        server.stop().await;
        assert_eq!(
            recording.rest().await,
            [""; 0],
            "no handler heard of any of it"
        );
    });
}

/// Also where it names a session (RFC 6455, 4.1).
#[test]
fn a_websocket_is_asked_for_by_get_alone() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let poller = Poller::join(server.address, "alice").await;
        let query = poller.query.replace("polling", "websocket");
        for (method, status) in [("POST", 405), ("OPTIONS", 405), ("GET", 101)] {
            let request = upgrade_request("alice", &query, "").replace("GET", method);
            let mut client = Client::dial(server.address).await;
            client.write(request.as_bytes()).await;
            assert_eq!(client.head().await.status, status, "{method}");
        }
    });
}

#[test]
fn a_refused_client_that_goes_on_does_no_harm() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let mut bystander = Client::join(server.address, "bystander").await;
        for junk in [
            &b"\xff\xff\xff\xff\xff\xff"[..],
            &text_frame("40"),
            &[0; 100_000],
        ] {
            let mut client = Client::dial(server.address).await;
            let mut bytes = upgrade_request("nobody", OPEN, "").into_bytes();
            bytes.extend(junk);
            client.write(&bytes).await;
            assert_eq!(client.head().await.status, 403);
            bystander.echo("undisturbed").await;
        }
    });
}

#[test]
fn after_a_refusal_over_plain_http_the_connection_goes_on() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let mut client = Client::dial(server.address).await;
        for _ in 0..3 {
            client
                .write(b"GET /?transport=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await;
            assert_eq!(client.response().await.0.status, 400);
        }
        client.shake_hands("alice").await;
        client.connect().await;
        client.echo("on the same connection").await;
    });
}

#[test]
fn a_client_that_is_gone_before_it_is_admitted_gets_no_session() {
    run(async {
        let setup = Setup {
            limits: Limits {
                shutdown_timeout: milliseconds(300),
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut gone = Client::dial(server.address).await;
        gone.write(upgrade_request("undecided", OPEN, "").as_bytes())
            .await;
        let mut waits = Client::dial(server.address).await;
        waits
            .write(upgrade_request("undecided", OPEN, "").as_bytes())
            .await;
        drop(gone);
        // Neither holds up anyone else, nor the shutdown.
        let mut alice = Client::join(server.address, "alice").await;
        alice.echo("here").await;
        assert_eq!(server.sessions(), 1);
        assert!(server.stop().await < Duration::from_secs(5));
        drop(waits);
        let rest = recording.rest().await;
        assert_eq!(rest.len(), 3, "{rest:?}");
    });
}

// ---------------------------------------------------------------------------------------------------------
// How bytes arrive.

#[test]
fn frames_right_behind_the_request_are_processed() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut client = Client::dial(server.address).await;
        let mut bytes = upgrade_request("alice", OPEN, "").into_bytes();
        bytes.extend(text_frame("40"));
        for number in 0..1_000 {
            bytes.extend(text_frame(&format!("42[\"note\",{number}]")));
        }
        bytes.extend(text_frame("42[\"echo\",\"last\"]"));
        client.write(&bytes).await;
        assert_eq!(client.head().await.status, 101);
        assert!(client.text().await.starts_with("0{"));
        assert!(client.text().await.starts_with("40{"));
        assert_eq!(client.text().await, "42[\"echo\",\"last\"]");
        recording.connected().await;
        for number in 0..1_000 {
            let happened = format!("{:?}", recording.next().await.expect("an event"));
            assert_eq!(happened, format!("alice note {number}"), "in order");
        }
    });
}

#[test]
fn bytes_may_come_one_by_one() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let mut client = Client::dial(server.address).await;
        let mut bytes = upgrade_request("alice", OPEN, "").into_bytes();
        bytes.extend(text_frame("40"));
        bytes.extend(masked(FIN | PING, b"between"));
        bytes.extend(text_frame(&format!(
            "42[\"echo\",\"{}\"]",
            "é€😀".repeat(20)
        )));
        for byte in bytes {
            client.write(&[byte]).await;
        }
        assert_eq!(client.head().await.status, 101);
        assert!(client.text().await.starts_with("0{"));
        // The pong is WebSocket's own affair and may overtake the answer.
        let mut seen = vec![client.see().await, client.see().await];
        seen.sort_by_key(|seen| matches!(seen, Seen::Pong(_)));
        assert!(
            matches!(&seen[0], Seen::Text(text) if text.starts_with("40{")),
            "{seen:?}"
        );
        assert_eq!(seen[1], Seen::Pong(b"between".to_vec()));
        assert_eq!(
            client.text().await,
            format!("42[\"echo\",\"{}\"]", "é€😀".repeat(20))
        );
    });
}

#[test]
fn messages_may_come_in_fragments_with_control_frames_between() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let mut client = Client::join(server.address, "alice").await;
        let message = "42[\"echo\",\"é€😀\"]".as_bytes();
        // Cut everywhere, in the middle of characters too.
        for cut in 0..=message.len() {
            let mut bytes = masked(TEXT, &message[..cut]);
            bytes.extend(masked(FIN | PING, &[cut as u8]));
            bytes.extend(masked(CONTINUATION, b""));
            bytes.extend(masked(FIN | PONG, b"nobody asked"));
            bytes.extend(masked(FIN | CONTINUATION, &message[cut..]));
            client.write(&bytes).await;
            assert_eq!(client.see().await, Seen::Pong(vec![cut as u8]));
            assert_eq!(client.text().await.as_bytes(), message);
        }
    });
}

/// Sends each event back, with all that came with it.
struct Mirror;

impl Namespace for Mirror {
    type Handshake = String;
    type Data = ();

    async fn admit(&self, _: &Arc<String>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, socket: &Socket<()>, event: Event<'_>) {
        let sent = socket.emit(event.name(), event.arguments());
        sent.expect("what a client may say a program may say");
    }
}

/// An event, with attachments perhaps, as the messages that it is made of.
fn any_event(random: &mut Random) -> Vec<Seen> {
    let length = match random.below(20) {
        0 => 70_000,
        1..=4 => random.below(1_000),
        _ => random.below(20),
    };
    let letters = ["a", "é", "€", "😀", "\\u0000", "\\\\", "[{"];
    let mut letter = || letters[random.below(letters.len() as u64) as usize];
    let text: String = (0..length).map(|_| letter()).collect();
    let count = random.below(11).saturating_sub(7);
    let placeholders: String = (0..count)
        .map(|num| format!(",{{\"_placeholder\":true,\"num\":{num}}}"))
        .collect();
    let kind = match count {
        0 => "42".to_owned(),
        _ => format!("45{count}-"),
    };
    let mut messages = vec![Seen::Text(format!(
        "{kind}[\"mirror\",\"{text}\"{placeholders}]"
    ))];
    for _ in 0..count {
        let length = random.below(300);
        let bytes = (0..length).map(|_| random.next() as u8).collect();
        messages.push(Seen::Binary(bytes));
    }
    messages
}

/// A message in up to four fragments, some of them empty, with control frames between.
fn in_fragments(random: &mut Random, message: &Seen) -> Vec<u8> {
    let (kind, payload) = match message {
        Seen::Text(text) => (TEXT, text.as_bytes()),
        Seen::Binary(bytes) => (BINARY, &bytes[..]),
        other => panic!("no message: {other:?}"),
    };
    let mut ends: Vec<usize> = (0..random.below(4))
        .map(|_| random.below(payload.len() as u64 + 1) as usize)
        .collect();
    ends.sort_unstable();
    let (mut frames, mut kind, mut start) = (Vec::new(), kind, 0);
    for end in ends {
        frames.extend(masked(kind, &payload[start..end]));
        if random.chance(30) {
            frames.extend(masked(FIN | PING, b"between"));
        }
        (kind, start) = (CONTINUATION, end);
    }
    frames.extend(masked(FIN | kind, &payload[start..]));
    frames
}

#[test]
fn packets_arrive_whole_wherever_they_are_cut() {
    run(async {
        let server = Server::start(Arc::new(Mirror), str::to_owned, Setup::default());
        for seed in 1..=40 {
            let mut random = Random::new(seed);
            let mut client = Client::join(server.address, "alice").await;
            for _ in 0..5 {
                let events = 1 + random.below(4);
                let messages: Vec<Seen> =
                    (0..events).flat_map(|_| any_event(&mut random)).collect();
                let bytes: Vec<u8> = messages
                    .iter()
                    .flat_map(|message| in_fragments(&mut random, message))
                    .collect();
                // What TCP makes of them.
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let longest = if random.chance(50) { 10 } else { 10_000 };
                    let length = 1 + random.below(longest).min(rest.len() as u64 - 1);
                    let (segment, others) = rest.split_at(length as usize);
                    client.write(segment).await;
                    tokio::task::yield_now().await;
                    rest = others;
                }
                for message in messages {
                    let mut seen = client.see().await;
                    while let Seen::Pong(_) = seen {
                        seen = client.see().await;
                    }
                    assert_eq!(seen, message, "seed {seed}");
                }
            }
        }
        server.stop().await;
    });
}

#[test]
fn a_websocket_ping_is_answered_while_traffic_flows() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut client = Client::join(server.address, "alice").await;
        let socket = recording.connected().await;
        let flood = Flood::start(&[&socket], 20_000, milliseconds(0));
        let payloads = [vec![], vec![0xff; 125], b"hello".to_vec()];
        for round in 0..60_u8 {
            let mut payload = payloads[usize::from(round) % 3].clone();
            if let Some(first) = payload.first_mut() {
                *first = round;
            }
            client.write(&masked(FIN | PING, &payload)).await;
            assert_eq!(client.after_texts().await, Seen::Pong(payload));
        }
        flood.stop().await;
    });
}

#[test]
fn a_flood_of_pings_is_answered_as_far_as_the_answers_are_taken() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut bystander = Client::join(server.address, "bystander").await;
        recording.connected().await;
        let mut client = Client::join(server.address, "alice").await;
        // 32 MiB of them, and for a while nothing is read: what the server makes of them has to wait.
        let mut writer = client.second_handle();
        let mut writing = tokio::spawn(async move {
            let pings = masked(FIN | PING, &[7; 125]).repeat(1 << 18);
            writer.write_all(&pings).await.expect("it goes on");
            let close = masked(FIN | CLOSE, &1000_u16.to_be_bytes());
            writer.write_all(&close).await.expect("it goes on");
        });
        let _either_way = timeout(milliseconds(300), &mut writing).await;
        bystander.echo("undisturbed").await;
        let mut pongs = 0;
        let end = loop {
            match client.see().await {
                Seen::Pong(payload) => assert_eq!(payload, [7; 125]),
                other => break other,
            }
            pongs += 1;
        };
        assert_eq!(end, Seen::Close(Some(1000)), "after {pongs} pongs");
        assert!((1..=1 << 18).contains(&pongs));
    });
}

// ---------------------------------------------------------------------------------------------------------
// What breaks the rules.

#[test]
fn violations_of_websocket_are_answered_with_their_status() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut bystander = Client::join(server.address, "bystander").await;
        recording.connected().await;
        let unmasked = |first, payload: &[u8]| {
            let mut bytes = head(first, 0, payload.len() as u64);
            bytes.extend(payload);
            bytes
        };
        let both = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
        let table = [
            ("an unmasked text", unmasked(FIN | TEXT, b"40"), 1002),
            ("an unmasked ping", unmasked(FIN | PING, b""), 1002),
            ("an unmasked close", unmasked(FIN | CLOSE, b""), 1002),
            (
                "the first reserved bit, without compression",
                masked(FIN | TEXT | 0x40, b"40"),
                1002,
            ),
            (
                "the second reserved bit",
                masked(FIN | TEXT | 0x20, b"40"),
                1002,
            ),
            (
                "the third reserved bit",
                masked(FIN | TEXT | 0x10, b"40"),
                1002,
            ),
            (
                "a reserved bit on a ping",
                masked(FIN | PING | 0x40, b""),
                1002,
            ),
            ("opcode 3", masked(FIN | 3, b"40"), 1002),
            ("opcode 7", masked(FIN | 7, b"40"), 1002),
            ("opcode 11", masked(FIN | 11, b""), 1002),
            ("opcode 15", masked(FIN | 15, b""), 1002),
            (
                "a stray continuation",
                masked(FIN | CONTINUATION, b"40"),
                1002,
            ),
            (
                "a stray first continuation",
                masked(CONTINUATION, b"40"),
                1002,
            ),
            (
                "a message in a message",
                both(masked(TEXT, b"4"), masked(FIN | TEXT, b"40")),
                1002,
            ),
            (
                "bytes in a text",
                both(masked(TEXT, b"4"), masked(FIN | BINARY, b"40")),
                1002,
            ),
            ("a ping of 126 bytes", masked(FIN | PING, &[0; 126]), 1002),
            ("a close of 126 bytes", masked(FIN | CLOSE, &[3; 126]), 1002),
            ("a ping in fragments", masked(PING, b"x"), 1002),
            ("a close of one byte", masked(FIN | CLOSE, &[3]), 1002),
            (
                "a close with 1005, which is not for sending",
                masked(FIN | CLOSE, &1005_u16.to_be_bytes()),
                1002,
            ),
            (
                "a close with 1006",
                masked(FIN | CLOSE, &1006_u16.to_be_bytes()),
                1002,
            ),
            (
                "a close with 999",
                masked(FIN | CLOSE, &999_u16.to_be_bytes()),
                1002,
            ),
            (
                "a close with 0",
                masked(FIN | CLOSE, &0_u16.to_be_bytes()),
                1002,
            ),
            (
                "text that is not UTF-8",
                masked(FIN | TEXT, b"4\xff\xfe"),
                1007,
            ),
            ("an overlong slash", masked(FIN | TEXT, b"4\xc0\xaf"), 1007),
            ("a surrogate", masked(FIN | TEXT, b"4\xed\xa0\x80"), 1007),
            (
                "half a character",
                masked(FIN | TEXT, b"4\xf0\x9f\x98"),
                1007,
            ),
            (
                "a character that never ends",
                both(masked(TEXT, b"4\xf0\x9f"), masked(FIN | CONTINUATION, b"x")),
                1007,
            ),
            (
                "a reason that is not UTF-8",
                masked(FIN | CLOSE, b"\x03\xe8\xff"),
                1007,
            ),
        ];
        let mut wrong = Vec::new();
        for (what, bytes, status) in table {
            let mut client = Client::join(server.address, "alice").await;
            client.write(&bytes).await;
            let seen = [client.see().await, client.see().await];
            if seen != [Seen::Close(Some(status)), Seen::End] {
                wrong.push(format!("{what}: {seen:?} instead of {status}"));
            }
            let (name, reason) = recording.disconnected().await;
            assert_eq!(name, "alice");
            // A close frame is an end, however badly it is made.
            let reasons = [
                closed(CloseReason::TransportError),
                closed(CloseReason::TransportClosed),
            ];
            assert!(reasons.contains(&reason), "{what}: {reason}");
            if !what.contains("close") && !what.contains("a reason") {
                assert_eq!(reason, closed(CloseReason::TransportError), "{what}");
            }
        }
        bystander.echo("undisturbed").await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn violations_of_engine_io_and_socket_io_are_closed_without_a_status() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let table = [
            text_frame(""),
            text_frame("7"),
            text_frame("x"),
            text_frame("2"),
            text_frame("2probe"),
            text_frame("b!"),
            text_frame("4"),
            text_frame("47"),
            text_frame("40"),
            text_frame("42"),
            text_frame("42[\"connect\"]"),
            text_frame("42/other,[\"x\"]"),
            text_frame("44{}"),
            text_frame("bAQID"),
            masked(FIN | BINARY, b"\x01\x02\x03"),
            masked(FIN | BINARY, b""),
        ];
        for bytes in table {
            let mut client = Client::join(server.address, "alice").await;
            client.write(&bytes).await;
            client.is_closed_with(None).await;
            let (_, reason) = recording.disconnected().await;
            assert_eq!(reason, closed(CloseReason::ParseError), "{bytes:?}");
        }
    });
}

// ---------------------------------------------------------------------------------------------------------
// Limits.

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    run(async {
        const LIMIT: usize = 1_000;
        let setup = || Setup {
            limits: Limits {
                max_payload_bytes: LIMIT,
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup());
        let message = |length: usize| {
            let overhead = "42[\"echo\",\"\"]".len();
            format!("42[\"echo\",\"{}\"]", "x".repeat(length - overhead)).into_bytes()
        };
        let (mut client, opening) = Client::open(server.address, "alice").await;
        assert_eq!(opening["maxPayload"], LIMIT);
        client.connect().await;
        let pieces = |message: &[u8], first: usize| {
            let mut bytes = masked(TEXT, &message[..first]);
            bytes.extend(masked(CONTINUATION, &message[first..first + 1]));
            bytes.extend(masked(FIN | CONTINUATION, &message[first + 1..]));
            bytes
        };
        // At the limit, again and again, whole and in pieces.
        for _ in 0..3 {
            client.write(&masked(FIN | TEXT, &message(LIMIT))).await;
            assert_eq!(client.text().await.into_bytes(), message(LIMIT));
            client.write(&pieces(&message(LIMIT), 500)).await;
            assert_eq!(client.text().await.into_bytes(), message(LIMIT));
        }
        let too_large = message(LIMIT + 1);
        let mut announced = head(FIN | TEXT, 0x80, 1 << 40);
        announced.extend([0; 4]);
        let mut more_than_there_is = head(FIN | BINARY, 0x80, u64::MAX >> 1);
        more_than_there_is.extend([0; 4]);
        let table = [
            ("whole", masked(FIN | TEXT, &too_large)),
            ("in pieces", pieces(&too_large, 500)),
            ("the last byte alone", pieces(&too_large, LIMIT - 1)),
            ("much larger", masked(FIN | TEXT, &[b'4'; 1_000_000])),
            ("binary", masked(FIN | BINARY, &[0; LIMIT + 1])),
            ("only announced", announced),
            ("announced and impossible", more_than_there_is),
        ];
        for (how, bytes) in table {
            let mut client = Client::join(server.address, how).await;
            let written = client.stream.write_all(&bytes).await;
            assert_eq!(
                client.see().await,
                Seen::Close(Some(1009)),
                "{how}, {written:?}"
            );
            let (name, reason) = recording.disconnected().await;
            assert_eq!(
                (name.as_str(), reason),
                (how, closed(CloseReason::TransportError))
            );
        }
        assert_eq!(server.reached(Limit::PayloadBytes), 7);
        client.write(&masked(FIN | TEXT, &message(LIMIT))).await;
        assert_eq!(
            client.text().await.into_bytes(),
            message(LIMIT),
            "nobody else notices"
        );
    });
}

#[test]
fn a_head_that_trickles_in_is_cut_off() {
    run(async {
        let setup = Setup {
            limits: Limits {
                header_timeout: milliseconds(300),
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, _recording) = Recorder::server(setup);
        let begun = Instant::now();
        let mut silent = Client::dial(server.address).await;
        let mut trickling = Client::dial(server.address).await;
        let request = upgrade_request("alice", OPEN, "");
        let mut bytes = request.bytes().chain(std::iter::repeat(b'x'));
        let (mut reader, mut writer) = trickling.stream.split();
        let end = async {
            let mut buffer = [0; 1024];
            use tokio::io::AsyncReadExt;
            // A word of explanation may come first.
            while reader
                .read(&mut buffer)
                .await
                .is_ok_and(|length| length > 0)
            {}
        };
        let trickle = async {
            let mut tick = interval(milliseconds(10));
            loop {
                tick.tick().await;
                // When the other end is gone, the reader sees it.
                let byte = bytes.next().expect("there is no end of bytes");
                let _sent = writer.write_all(&[byte]).await;
            }
        };
        tokio::select! {
            () = end => {}
            () = trickle => {}
        }
        assert!(begun.elapsed() >= milliseconds(300), "too early");
        assert!(begun.elapsed() < Duration::from_secs(5), "too late");
        // So is one that does not come at all.
        assert!(matches!(silent.see().await, Seen::End | Seen::Reset));
        // The limit is on the head alone: a session lives longer.
        let mut alice = Client::join(server.address, "alice").await;
        let mut late = Client::dial(server.address).await;
        assert!(matches!(late.see().await, Seen::End | Seen::Reset));
        alice.echo("still there").await;
        until(|| server.reached(Limit::HeaderTimeout) == 3).await;
    });
}

/// Waits on nothing, and yields all the frames of a topic that is being flooded.
struct Flood {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

/// A topic whose truth is the last number that was published.
struct Numbers {
    topic: Topic,
    filler: String,
    last: std::sync::Mutex<u64>,
}

impl Numbers {
    fn new(ring: usize, length: usize) -> Arc<Self> {
        Arc::new(Self {
            topic: Topic::new(ring),
            filler: "x".repeat(length),
            last: std::sync::Mutex::new(0),
        })
    }

    fn publish(&self) -> u64 {
        let mut last = self.last.lock().expect("no panic under it");
        *last += 1;
        let frame = Frame::text(format!("42[\"change\",{last},\"{}\"]", self.filler));
        self.topic.publish(frame);
        *last
    }

    fn subscribe(self: &Arc<Self>) -> Subscription {
        let last = self.last.lock().expect("no panic under it");
        let opening = Frame::text(format!("42[\"snapshot\",{last}]"));
        let repair = Arc::clone(self) as Arc<dyn Repair>;
        self.topic.subscribe(Some(opening), repair)
    }
}

impl Repair for Numbers {
    fn repair(self: Arc<Self>) -> Subscription {
        self.subscribe()
    }
}

impl Flood {
    /// Publishes frames of `length` bytes to these sockets, one each `pace`, or as fast as it can.
    fn start(sockets: &[&Socket<String>], length: usize, pace: Duration) -> Self {
        let numbers = Numbers::new(64, length);
        for socket in sockets {
            socket.follow(numbers.subscribe());
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut tick = interval(pace.max(milliseconds(1)));
            let mut last = 0;
            while !stopped.load(Ordering::SeqCst) {
                last = numbers.publish();
                if pace.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    tick.tick().await;
                }
            }
            last
        });
        Self { stop, task }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("the flood")
    }
}

/// Long before the kernel gives up on a peer that does not read.
const PROMPTLY: Duration = Duration::from_secs(20);

#[test]
fn a_client_that_takes_nothing_is_given_up_and_the_others_go_on() {
    run(async {
        let (server, mut recording) = Recorder::server(roomy_with_write_timeout(milliseconds(400)));
        let mut other = Client::join(server.address, "other").await;
        recording.connected().await;
        let mut stuck = Client::dial_narrow(server.address).await;
        stuck.shake_hands("stuck").await;
        stuck.connect().await;
        let socket = recording.connected().await;
        let begun = Instant::now();
        let frame = large(LARGE);
        for _ in 0..MANY {
            socket.send(frame.clone());
        }
        drop(socket);
        let mut echoes = 0;
        let (name, reason) = loop {
            other.echo("undisturbed").await;
            echoes += 1;
            if let Some(Happened::Disconnected(name, reason)) = recording.next().await {
                break (name, reason);
            }
        };
        assert_eq!(
            (name.as_str(), reason),
            ("stuck", closed(CloseReason::WriteStalled))
        );
        assert!(begun.elapsed() >= milliseconds(400), "too early");
        assert!(echoes > 1);
        until(|| server.sessions() == 1).await;
        until(|| frame.bytes().is_unique()).await;
        // At once, and not when the kernel has lost its patience.
        timeout(PROMPTLY, stuck.is_reset()).await.expect("a reset");
        // What the kernel had may still come, but no goodbye.
        let end = stuck.after_texts().await;
        assert!(
            matches!(end, Seen::CutOff | Seen::End | Seen::Reset),
            "{end:?}"
        );
    });
}

/// Reads at a steady pace that is slower than the server could go, and answers pings, until it has `bytes`.
async fn read_slowly(client: &mut Client, bytes: usize) -> Seen {
    let mut tick = interval(milliseconds(5));
    let mut taken = 0;
    while taken < bytes {
        tick.tick().await;
        let mut at_once = 0;
        while at_once < 64 << 10 && taken < bytes {
            match client.see().await {
                Seen::Text(text) if text == "2" => client.send("3").await,
                Seen::Text(text) => {
                    at_once += text.len();
                    taken += text.len();
                }
                other => return other,
            }
        }
    }
    Seen::Text("all of it".to_owned())
}

#[test]
fn a_client_that_takes_a_little_now_and_then_is_not_given_up() {
    run(async {
        let (server, mut recording) = Recorder::server(roomy_with_write_timeout(milliseconds(600)));
        let mut slow = Client::dial_narrow(server.address).await;
        slow.shake_hands("slow").await;
        slow.connect().await;
        let socket = recording.connected().await;
        let frame = large(16 << 10);
        for _ in 0..1_500 {
            socket.send(frame.clone());
        }
        let begun = Instant::now();
        let seen = read_slowly(&mut slow, 1_500 * frame.bytes().len()).await;
        assert_eq!(seen, Seen::Text("all of it".to_owned()));
        assert!(
            begun.elapsed() > milliseconds(1200),
            "this test is about slowness"
        );
        slow.echo("still there").await;
    });
}

/// Pings often, and takes a timeout that a slow reader keeps, but not one who is not listened to.
fn impatient() -> Timing {
    Timing {
        ping_interval: milliseconds(100),
        ping_timeout: milliseconds(1000),
        ..Timing::default()
    }
}

#[test]
fn pongs_of_a_slow_reader_count_while_its_own_frames_wait() {
    run(async {
        let setup = Setup {
            timing: impatient(),
            ..roomy_with_write_timeout(Duration::from_secs(10))
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut slow = Client::dial_narrow(server.address).await;
        slow.shake_hands("slow").await;
        slow.connect().await;
        let socket = recording.connected().await;
        let frame = large(16 << 10);
        for _ in 0..2_500 {
            socket.send(frame.clone());
        }
        let seen = read_slowly(&mut slow, 2_500 * frame.bytes().len()).await;
        if seen != Seen::Text("all of it".to_owned()) {
            let (_, reason) = recording.disconnected().await;
            panic!("closed for {reason}");
        }
    });
}

#[test]
fn pongs_of_a_slow_reader_count_behind_a_request_that_has_to_wait() {
    for max_put_aside_bytes in [Limits::default().max_put_aside_bytes, 1] {
        pongs_count_behind_a_request_that_has_to_wait(max_put_aside_bytes);
    }
}

/// Where no more may be put aside, they are not even read.
fn pongs_count_behind_a_request_that_has_to_wait(max_put_aside_bytes: usize) {
    run(async move {
        let frame = large(16 << 10);
        let mut setup = Setup {
            timing: impatient(),
            ..roomy_with_write_timeout(Duration::from_secs(10))
        };
        setup.limits.max_put_aside_bytes = max_put_aside_bytes;
        // Nearly full, so that the client may not ask for more, and for longer than its pongs may take.
        setup.limits.max_waiting_bytes = 4_000 * frame.bytes().len();
        let (server, mut recording) = Recorder::server(setup);
        let mut slow = Client::dial_narrow(server.address).await;
        slow.shake_hands("slow").await;
        slow.connect().await;
        let socket = recording.connected().await;
        for _ in 0..3_600 {
            socket.send(frame.clone());
        }
        slow.send("42[\"echo\",\"asked\"]").await;
        let seen = read_slowly(&mut slow, 3_600 * frame.bytes().len()).await;
        if seen != Seen::Text("all of it".to_owned()) {
            let (_, reason) = recording.disconnected().await;
            panic!("closed for {reason}");
        }
        loop {
            match slow.text().await.as_str() {
                "2" => slow.send("3").await,
                answer => break assert_eq!(answer, "42[\"echo\",\"asked\"]"),
            }
        }
    });
}

#[test]
fn pongs_of_a_slow_reader_count_while_public_frames_wait() {
    run(async {
        let setup = Setup {
            timing: impatient(),
            ..roomy_with_write_timeout(Duration::from_secs(10))
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut slow = Client::dial_narrow(server.address).await;
        slow.shake_hands("slow").await;
        slow.connect().await;
        let socket = recording.connected().await;
        let flood = Flood::start(&[&socket], 16 << 10, milliseconds(0));
        let seen = read_slowly(&mut slow, 2_500 * (16 << 10)).await;
        assert_eq!(seen, Seen::Text("all of it".to_owned()));
        flood.stop().await;
    });
}

#[test]
fn too_much_for_one_client_closes_it_and_nobody_else() {
    run(async {
        let setup = Setup {
            limits: Limits {
                max_waiting_bytes: 1 << 20,
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut other = Client::join(server.address, "other").await;
        let others_socket = recording.connected().await;
        let mut stuck = Client::dial_narrow(server.address).await;
        stuck.shake_hands("stuck").await;
        stuck.connect().await;
        let socket = recording.connected().await;
        let frame = large(LARGE);
        for _ in 0..MANY {
            socket.send(frame.clone());
        }
        let (name, reason) = recording.disconnected().await;
        assert_eq!(
            (name.as_str(), reason),
            ("stuck", closed(CloseReason::Overflow))
        );
        other.echo("undisturbed").await;
        // A client that reads may get any amount, one after the other.
        for _ in 0..MANY {
            others_socket.send(frame.clone());
            assert_eq!(other.text().await.len(), frame.bytes().len());
        }
        until(|| server.sessions() == 1).await;
    });
}

#[test]
fn too_much_closes_a_client_that_takes_nothing_at_all() {
    run(async {
        let setup = Setup {
            limits: Limits {
                max_waiting_bytes: 1 << 20,
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut stuck = Client::dial_narrow(server.address).await;
        stuck.shake_hands("stuck").await;
        stuck.connect().await;
        let socket = recording.connected().await;
        let mut other = Client::join(server.address, "other").await;
        let others_socket = recording.connected().await;
        // Public frames cost it nothing, but fill all there is between it and the server.
        let numbers = Numbers::new(16, LARGE);
        socket.follow(numbers.subscribe());
        others_socket.follow(numbers.subscribe());
        assert!(other.text().await.contains("snapshot"));
        for _ in 0..MANY {
            numbers.publish();
            assert!(other.text().await.contains("change"));
        }
        let frame = large(LARGE);
        for _ in 0..5 {
            socket.send(frame.clone());
        }
        let (name, reason) = recording.disconnected().await;
        assert_eq!(
            (name.as_str(), reason),
            ("stuck", closed(CloseReason::Overflow))
        );
        until(|| frame.bytes().is_unique()).await;
        other.echo("undisturbed").await;
    });
}

#[test]
fn a_peer_that_does_not_end_is_left_after_a_while() {
    run(async {
        let setup = Setup {
            limits: Limits {
                linger_timeout: milliseconds(300),
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut client = Client::join(server.address, "alice").await;
        recording.connected().await.close();
        assert_eq!(client.text().await, "41");
        client.is_closed_with(None).await;
        let begun = Instant::now();
        until(|| server.sessions() == 0).await;
        // The client goes on talking; the server listens politely, and then no more.
        let mut tick = interval(milliseconds(10));
        while client.stream.write_all(&text_frame("3")).await.is_ok() {
            tick.tick().await;
        }
        assert!(
            begun.elapsed() > milliseconds(150),
            "too early: {:?}",
            begun.elapsed()
        );
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "too late: {:?}",
            begun.elapsed()
        );
        assert_eq!(server.reached(Limit::LingerTimeout), 1);
    });
}

#[test]
fn nothing_is_lost_that_a_client_has_still_to_read_when_it_is_closed() {
    run(async {
        let (server, mut recording) =
            Recorder::server(roomy_with_write_timeout(Duration::from_secs(20)));
        let mut client = Client::dial_narrow(server.address).await;
        client.shake_hands("alice").await;
        client.connect().await;
        let socket = recording.connected().await;
        // More than is written at once, less than would block.
        let frame = large(1 << 10);
        for _ in 0..20 {
            socket.send(frame.clone());
        }
        socket.close();
        recording.disconnected().await;
        // What it still sends must not turn the end into a reset, which would destroy what is on the way.
        client.send("3").await;
        for _ in 0..20 {
            assert_eq!(client.text().await.len(), frame.bytes().len());
        }
        assert_eq!(client.text().await, "41");
        client.is_closed_with(None).await;
    });
}

// ---------------------------------------------------------------------------------------------------------
// Time.

#[test]
fn the_heartbeat_over_a_real_socket() {
    run(async {
        let setup = Setup {
            timing: Timing {
                ping_interval: milliseconds(150),
                ping_timeout: milliseconds(250),
                ..Timing::default()
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut client = Client::join(server.address, "alice").await;
        let mut last = Instant::now();
        for _ in 0..4 {
            // Never at once, and then an interval after each pong. The clock here starts a little late.
            assert_eq!(client.text().await, "2");
            assert!(
                last.elapsed() > milliseconds(120),
                "too early: {:?}",
                last.elapsed()
            );
            client.send("3").await;
            last = Instant::now();
        }
        assert_eq!(client.text().await, "2");
        let pinged = Instant::now();
        assert_eq!(client.see().await, Seen::Close(None), "without a status");
        assert!(
            pinged.elapsed() > milliseconds(220),
            "too early: {:?}",
            pinged.elapsed()
        );
        assert_eq!(client.see().await, Seen::End);
        let (_, reason) = recording.disconnected().await;
        assert_eq!(reason, closed(CloseReason::PingTimeout));
        until(|| server.sessions() == 0).await;
    });
}

#[test]
fn a_client_that_is_always_busy_is_pinged_all_the_same() {
    run(async {
        let setup = Setup {
            timing: Timing {
                ping_interval: milliseconds(100),
                ping_timeout: milliseconds(200),
                ..Timing::default()
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        let mut client = Client::join(server.address, "alice").await;
        let (mut reader, mut writer) = client.stream.split();
        // It sends without a pause and never a pong: after the second timeout it is over.
        let busy = async {
            let notes = text_frame("42[\"note\"]").repeat(100);
            while writer.write_all(&notes).await.is_ok() {}
        };
        let read = async {
            use tokio::io::AsyncReadExt;
            let mut buffer = [0; 1024];
            while reader
                .read(&mut buffer)
                .await
                .is_ok_and(|length| length > 0)
            {}
        };
        let (_, reason) = tokio::select! {
            gone = recording.disconnected() => gone,
            ((), ()) = async { tokio::join!(busy, read) } => recording.disconnected().await,
        };
        assert_eq!(reason, closed(CloseReason::PingTimeout));
    });
}

/// Sends each event back, and before "wait" it is occupied until it is told that that is enough.
struct Occupied {
    enough: Mutex<mpsc::Receiver<()>>,
    begun: Notify,
}

impl Namespace for Occupied {
    type Handshake = String;
    type Data = ();

    async fn admit(&self, _: &Arc<String>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, socket: &Socket<()>, event: Event<'_>) {
        if event.name() == "wait" {
            self.begun.notify_one();
            // Of this thread's duties other threads take care.
            block_in_place(|| {
                let enough = self.enough.lock().expect("nobody panics with it");
                enough.recv().expect("the test goes on");
            });
        }
        let sent = socket.emit(event.name(), event.arguments());
        sent.expect("what a client may say a program may say");
    }
}

/// How long a client of [`occupied`] may take to answer a ping.
const SHORT: Duration = Duration::from_secs(2);

/// A server that is [`Occupied`] when it is asked to, what says that it is, and what tells it that that is enough.
fn occupied() -> (Server<Occupied>, Arc<Occupied>, mpsc::Sender<()>) {
    let setup = Setup {
        timing: Timing {
            ping_interval: milliseconds(100),
            ping_timeout: SHORT,
            ..Timing::default()
        },
        ..Setup::default()
    };
    let (tell, enough) = mpsc::channel();
    let occupied = Arc::new(Occupied {
        enough: Mutex::new(enough),
        begun: Notify::new(),
    });
    let server = Server::start(Arc::clone(&occupied), str::to_owned, setup);
    (server, occupied, tell)
}

#[test]
fn a_pong_that_has_arrived_in_time_counts_behind_other_words_however_late_it_is_read() {
    run(async {
        let (server, _, tell) = occupied();
        let mut client = Client::join(server.address, "alice").await;
        assert_eq!(client.text().await, "2");
        client.send("42[\"wait\"]").await;
        client.send("42[\"note\"]").await;
        client.send("3").await;
        // What puts the deadline off is "wait": from then on nothing is read until it has passed.
        sleep(SHORT + milliseconds(200)).await;
        tell.send(()).expect("it waits");
        assert_eq!(client.text().await, "42[\"wait\"]");
        assert_eq!(client.text().await, "42[\"note\"]");
        assert_eq!(client.text().await, "2", "the next one");
    });
}

#[test]
fn a_request_that_has_come_in_time_counts_however_late_it_is_taken() {
    run(async {
        let (server, occupied, tell) = occupied();
        let mut client = Poller::join(server.address, "alice").await;
        assert_eq!(client.poll().await, (200, "2".to_owned()));
        let occupying = "42[\"wait\"]";
        let mut first = client.begin_post(occupying.len()).await;
        first.write(occupying.as_bytes()).await;
        occupied.begun.notified().await;
        let mut second = client.begin_post(1).await;
        second.write(b"3").await;
        sleep(SHORT + milliseconds(200)).await;
        tell.send(()).expect("it waits");
        for mut post in [first, second] {
            assert_eq!(post.response().await.1, "ok");
        }
        let (status, mut answer) = client.poll().await;
        // The next ping comes with it, or by itself.
        if !answer.ends_with("\x1e2") {
            answer += "\x1e";
            answer += &client.poll().await.1;
        }
        assert_eq!((status, answer), (200, format!("{occupying}\x1e2")));
    });
}

#[test]
fn whoever_joins_nothing_is_closed() {
    run(async {
        let setup = || Setup {
            timing: Timing {
                ping_interval: milliseconds(700),
                ping_timeout: milliseconds(60_000),
                ..Timing::default()
            },
            io: socketio::Settings {
                connect_timeout: milliseconds(300),
                ..socketio::Settings::default()
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup());
        let begun = Instant::now();
        let (mut idle, _) = Client::open(server.address, "idle").await;
        let (mut elsewhere, _) = Client::open(server.address, "elsewhere").await;
        elsewhere.send("40/elsewhere,").await;
        let answer = elsewhere.text().await;
        assert_eq!(answer, "44/elsewhere,{\"message\":\"Invalid namespace\"}");
        let mut inside = Client::join(server.address, "inside").await;
        let mut left = Client::join(server.address, "left").await;
        left.send("41").await;

        idle.is_closed_with(None).await;
        assert!(begun.elapsed() >= milliseconds(300), "too early");
        elsewhere.is_closed_with(None).await;
        left.is_closed_with(None).await;
        assert_eq!(inside.text().await, "2", "whoever joined stays");
        inside.echo("still there").await;
        until(|| server.sessions() == 1).await;
        drop((idle, elsewhere, left, inside));
        server.stop().await;
        let rest = recording.rest().await;
        assert!(
            !rest
                .iter()
                .any(|line| line.starts_with("idle") || line.starts_with("elsewhere")),
            "nobody heard of those who joined nothing: {rest:?}"
        );
        let of_left: Vec<&String> = rest
            .iter()
            .filter(|line| line.starts_with("left"))
            .collect();
        assert_eq!(
            of_left,
            [
                "left connected",
                "left disconnected: client namespace disconnect"
            ]
        );
    });
}

/// What it says at once takes more than tokio lets a task do in one go.
#[test]
fn a_deadline_holds_for_a_client_that_began_with_very_much_and_fell_silent() {
    run(async {
        let mut setup = Setup::default();
        setup.io.connect_timeout = milliseconds(500);
        let (server, _recording) = Recorder::server(setup);
        let mut client = Client::dial(server.address).await;
        let mut bytes = upgrade_request("alice", OPEN, "").into_bytes();
        for _ in 0..500 {
            bytes.extend(text_frame("40/nowhere,"));
        }
        client.write(&bytes).await;
        assert_eq!(client.head().await.status, 101);
        assert!(client.text().await.starts_with("0{"));
        for _ in 0..500 {
            assert!(client.text().await.starts_with("44/nowhere,"));
        }
        assert_eq!(client.see().await, Seen::Close(None));
        assert_eq!(server.ended(), [(CloseReason::ConnectTimeout, 1)]);
    });
}

// ---------------------------------------------------------------------------------------------------------
// Ends.

#[test]
fn a_close_frame_is_answered_with_its_status() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let with_reason =
            |status: u16, reason: &str| [&status.to_be_bytes(), reason.as_bytes()].concat();
        let table = [
            (vec![], None),
            (with_reason(1000, ""), Some(1000)),
            (with_reason(1000, "bye"), Some(1000)),
            (with_reason(1001, &"é".repeat(61)), Some(1001)),
            (with_reason(3000, ""), Some(3000)),
            (with_reason(4999, "x"), Some(4999)),
        ];
        for (payload, status) in table {
            let mut client = Client::join(server.address, "alice").await;
            client.write(&masked(FIN | CLOSE, &payload)).await;
            client.is_closed_with(status).await;
            let (_, reason) = recording.disconnected().await;
            assert_eq!(reason, closed(CloseReason::TransportClosed), "{payload:?}");
        }
        until(|| server.sessions() == 0).await;
    });
}

#[test]
fn what_was_asked_before_a_close_frame_is_answered_before_it() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let mut client = Client::join(server.address, "alice").await;
        let bytes = [
            text_frame("420[\"note\",\"last\"]"),
            masked(FIN | CLOSE, &1000_u16.to_be_bytes()),
        ]
        .concat();
        client.write(&bytes).await;
        assert_eq!(client.text().await, "430[\"last\"]");
        client.is_closed_with(Some(1000)).await;
    });
}

#[test]
fn a_second_websocket_for_a_living_session_is_closed_and_the_first_goes_on() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let (mut first, opening) = Client::open(server.address, "alice").await;
        first.connect().await;
        let sid = opening["sid"].as_str().expect("a sid");
        let query = format!("{OPEN}&sid={sid}");
        for name in ["alice", "bob", "nobody"] {
            let mut second = Client::dial(server.address).await;
            let mut bytes = upgrade_request(name, &query, "").into_bytes();
            bytes.extend(text_frame("2probe"));
            second.write(&bytes).await;
            assert_eq!(second.head().await.status, 101);
            second.is_closed_with(None).await;
            first.echo("undisturbed").await;
        }
        // A request without an upgrade has no use for it either.
        let mut plain = Client::dial(server.address).await;
        let request = format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        plain.write(request.as_bytes()).await;
        let (head, body) = plain.response().await;
        assert_eq!(
            (head.status, body.as_str()),
            (400, "{\"code\":3,\"message\":\"Bad request\"}")
        );
        assert_eq!(server.sessions(), 1);
        // When the session is gone, so is its id.
        drop(first);
        until(|| server.sessions() == 0).await;
        let mut late = Client::dial(server.address).await;
        late.write(upgrade_request("alice", &query, "").as_bytes())
            .await;
        let (head, body) = late.response().await;
        assert_eq!((head.status, body.as_str()), (400, "Session ID unknown"));
    });
}

/// A way to leave.
#[derive(Debug, Clone, Copy)]
enum Way {
    Namespace,
    ClosePacket,
    CloseFrame,
    HalfClose,
    Drop,
    Reset,
    Violation,
    BadPacket,
    PingTimeout,
    Disconnected,
    Panic,
    Shutdown,
}

/// A client that leaves sends its last GET and its POST at the same moment, and who knows which comes first.
#[test]
fn a_client_that_leaves_has_its_last_get_answered_whichever_request_comes_first() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        for round in 0..50 {
            let mut poller = Poller::open(server.address, "alice").await;
            let mut post = poller.begin_post(1).await;
            if round % 2 == 0 {
                post.write(b"1").await;
                poller.ask().await;
            } else {
                poller.ask().await;
                post.write(b"1").await;
            }
            assert_eq!(
                poller.polled().await,
                (200, "6".to_owned()),
                "round {round}"
            );
            assert_eq!(post.response().await.1, "ok", "round {round}");
            let (status, answer) = poller.poll().await;
            assert_eq!(status, 400, "round {round}: {answer}");
        }
    });
}

#[test]
fn a_client_that_has_left_in_order_finds_its_session_gone() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        for _ in 0..20 {
            let mut poller = Poller::join(server.address, "alice").await;
            recording.connected().await;
            assert_eq!(poller.post("1").await, (200, "ok".to_owned()));
            assert_eq!(server.sessions(), 0);
            let unknown = "{\"code\":1,\"message\":\"Session ID unknown\"}";
            assert_eq!(poller.poll().await, (400, unknown.to_owned()));
            assert_eq!(poller.post("1").await.0, 400);
            recording.disconnected().await;
        }
    });
}

#[test]
fn each_way_to_leave_is_told_once_and_with_its_reason() {
    use CloseReason as Reason;
    let table = [
        (Way::Namespace, DisconnectReason::ClientLeft),
        (Way::ClosePacket, closed(Reason::ClientClosed)),
        (Way::CloseFrame, closed(Reason::TransportClosed)),
        (Way::HalfClose, closed(Reason::TransportClosed)),
        (Way::Drop, closed(Reason::TransportClosed)),
        (Way::Reset, closed(Reason::TransportError)),
        (Way::Violation, closed(Reason::TransportError)),
        (Way::BadPacket, closed(Reason::ParseError)),
        (Way::PingTimeout, closed(Reason::PingTimeout)),
        (Way::Disconnected, closed(Reason::ServerDisconnected)),
        (Way::Panic, closed(Reason::HandlerPanicked)),
        (Way::Shutdown, closed(Reason::ServerShutdown)),
    ];
    for (way, expected) in table {
        run(async move {
            let mut setup = Setup::default();
            if let Way::PingTimeout = way {
                setup.timing.ping_interval = milliseconds(50);
                setup.timing.ping_timeout = milliseconds(50);
            }
            let (server, mut recording) = Recorder::server(setup);
            let mut client = Client::join(server.address, "alice").await;
            client.send("420[\"note\",1]").await;
            client.send("421[\"note\",2]").await;
            assert_eq!(client.text().await, "430[1]");
            assert_eq!(client.text().await, "431[2]");
            let socket = recording.connected().await;
            for number in 1..=2 {
                let happened = recording
                    .next()
                    .await
                    .map(|happened| format!("{happened:?}"));
                assert_eq!(
                    happened.as_deref(),
                    Some(format!("alice note {number}").as_str())
                );
            }
            match way {
                Way::Namespace => {
                    client.send("41").await;
                    // The session goes on, and what is sent to the old socket goes nowhere it should not.
                    assert_eq!(recording.disconnected().await.1, expected);
                    let ghost = Numbers::new(16, 0);
                    client.connect().await;
                    recording.connected().await;
                    socket.emit("ghost", (1,)).expect("JSON");
                    socket.follow(ghost.subscribe());
                    socket.close();
                    ghost.publish();
                    client.echo("again").await;
                    drop(client);
                    let (_, reason) = recording.disconnected().await;
                    assert_eq!(reason, closed(Reason::TransportClosed));
                }
                Way::ClosePacket => {
                    // What comes behind it does not count.
                    let bytes = [text_frame("1"), text_frame("42[\"note\",3]")].concat();
                    client.write(&bytes).await;
                    client.is_closed_with(None).await;
                    drop(client);
                }
                Way::CloseFrame => {
                    let bytes = [masked(FIN | CLOSE, b""), text_frame("42[\"note\",3]")].concat();
                    client.write(&bytes).await;
                    client.is_closed_with(None).await;
                    drop(client);
                }
                Way::HalfClose => {
                    client.stream.shutdown().await.expect("a socket");
                    let end = client.see().await;
                    assert!(matches!(end, Seen::End | Seen::Close(None)), "{end:?}");
                    drop(client);
                }
                Way::Drop => drop(client),
                Way::Reset => client.reset(),
                Way::Violation => {
                    client.write(&masked(FIN | TEXT | 0x40, b"40")).await;
                    client.is_closed_with(Some(1002)).await;
                    drop(client);
                }
                Way::BadPacket => {
                    let bytes = [text_frame("4?"), text_frame("42[\"note\",3]")].concat();
                    client.write(&bytes).await;
                    client.is_closed_with(None).await;
                    drop(client);
                }
                Way::PingTimeout => {
                    assert_eq!(client.text().await, "2");
                    client.is_closed_with(None).await;
                    drop(client);
                }
                Way::Disconnected => {
                    socket.emit("last", ("word",)).expect("JSON");
                    socket.close();
                    socket.emit("too", ("late",)).expect("JSON");
                    assert_eq!(client.text().await, "42[\"last\",\"word\"]");
                    assert_eq!(client.text().await, "41");
                    client.is_closed_with(None).await;
                    drop(client);
                }
                Way::Panic => {
                    let mut other = Client::join(server.address, "other").await;
                    client.send("42[\"panic\"]").await;
                    client.is_closed_with(None).await;
                    other.echo("undisturbed").await;
                    drop(client);
                }
                Way::Shutdown => {
                    let client = async {
                        client.is_closed_with(None).await;
                        drop(client);
                    };
                    tokio::join!(server.stop(), client);
                    drop(socket);
                    let rest = recording.rest().await;
                    assert_eq!(rest, [format!("alice disconnected: {expected}")]);
                    return;
                }
            }
            let mut of_alice = 0;
            if !matches!(way, Way::Namespace) {
                let (name, reason) = recording.disconnected().await;
                assert_eq!((name.as_str(), reason), ("alice", expected), "{way:?}");
                of_alice = 1;
            }
            until(|| server.sessions() <= 1).await;
            server.stop().await;
            drop(socket);
            let rest = recording.rest().await;
            let again = rest.iter().filter(|line| line.starts_with("alice")).count();
            assert_eq!(again, 0, "{way:?}: {rest:?}, after {of_alice}");
        });
    }
}

#[test]
fn sessions_are_disconnected_by_who_is_behind_them() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut alice = Client::join(server.address, "alice").await;
        let mut bobs = [
            Client::join(server.address, "bob").await,
            Client::join(server.address, "bob").await,
        ];
        // One of Bob's is in no namespace, so it has nothing to be disconnected from.
        let (mut outside, _) = Client::open(server.address, "bob").await;
        let sessions = server.engine.sessions();
        assert_eq!(sessions.count(), 4);
        sessions.disconnect(|name| name == "nobody");
        sessions.disconnect(|name| name == "bob");
        sessions.disconnect(|name| name == "bob");
        for bob in &mut bobs {
            assert_eq!(bob.text().await, "41");
            bob.is_closed_with(None).await;
        }
        outside.is_closed_with(None).await;
        alice.echo("undisturbed").await;
        for _ in 0..2 {
            let (name, reason) = recording.disconnected().await;
            assert_eq!(
                (name.as_str(), reason),
                ("bob", closed(CloseReason::ServerDisconnected))
            );
        }
        until(|| server.sessions() == 1).await;
        // It is no ban.
        let mut bob = Client::join(server.address, "bob").await;
        bob.echo("back").await;
    });
}

#[test]
fn whoever_is_turned_out_while_coming_in_does_not_slip_through() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        server.welcome.store(false, Ordering::SeqCst);
        let (mut client, _) = Client::open(server.address, "alice").await;
        client.is_closed_with(None).await;
        until(|| server.sessions() == 0).await;
        server.welcome.store(true, Ordering::SeqCst);
        let mut client = Client::join(server.address, "alice").await;
        client.echo("welcome").await;
        assert_eq!(recording.connected().await.data(), "alice");
    });
}

fn polling_request(name: &str, sid: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: localhost\r\nX-Name: {name}\r\n\r\n"
    )
}

/// Opens a session on long-polling; the parameter that names it.
async fn open_on_polling(address: SocketAddr, name: &str) -> (Client, String) {
    let mut polling = Client::dial(address).await;
    polling.write(polling_request(name, "").as_bytes()).await;
    let (_, opening) = polling.response().await;
    let opening: serde_json::Value = serde_json::from_str(&opening[1..]).expect("JSON");
    let sid = opening["sid"].as_str().expect("a sid");
    (polling, format!("&sid={sid}"))
}

/// A WebSocket that has probed. As long as the session has another one, it is closed after its 101.
async fn until_let_in(address: SocketAddr, upgrade: &str) -> Client {
    loop {
        let mut next = Client::dial(address).await;
        next.write(upgrade.as_bytes()).await;
        assert_eq!(next.head().await.status, 101);
        let _closed_already = next.stream.write_all(&text_frame("2probe")).await;
        if next.see().await == Seen::Text("3probe".to_owned()) {
            return next;
        }
    }
}

/// Moves the session to a WebSocket that has probed, and joins.
async fn upgrade_to(mut next: Client, polling: &mut Client, sid: &str) -> Client {
    polling
        .write(polling_request("alice", sid).as_bytes())
        .await;
    assert_eq!(polling.response().await.1, "6");
    next.send("5").await;
    next.connect().await;
    next
}

/// Keeps the first 101 to itself, and says so.
struct Swallowing {
    engine: Arc<TestEngine<Recorder>>,
    swallowed: AtomicBool,
    told: Arc<Notify>,
}

impl Handler for Swallowing {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let answer = self.engine.handle(request, peer).await;
        if answer.status() == 101 && !self.swallowed.swap(true, Ordering::SeqCst) {
            self.told.notify_one();
            return pending().await;
        }
        answer
    }
}

#[test]
fn a_client_that_goes_before_its_101_leaves_the_session_on_polling_and_may_try_again_at_once() {
    run(async {
        let setup = Setup {
            timing: Timing {
                upgrade_timeout: Duration::from_secs(600),
                ..Setup::default().timing
            },
            ..Setup::default()
        };
        let (server, _recording) = Recorder::server(setup);
        let told = Arc::new(Notify::new());
        let swallowing = Swallowing {
            engine: Arc::clone(&server.engine),
            swallowed: AtomicBool::new(false),
            told: Arc::clone(&told),
        };
        let listener = bind(Some(Ipv4Addr::LOCALHOST.into()), 0).expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            serve(
                listener,
                Arc::new(swallowing),
                &Arc::new(Bounds::default()),
                pending(),
            )
            .await;
        });

        let (mut polling, sid) = open_on_polling(address, "alice").await;
        let upgrade = upgrade_request("alice", &format!("{OPEN}{sid}"), "");
        let mut gone = Client::dial(address).await;
        gone.write(upgrade.as_bytes()).await;
        told.notified().await;
        // While it waits, it has the only place.
        let mut second = Client::dial(address).await;
        second.write(upgrade.as_bytes()).await;
        assert_eq!(second.head().await.status, 101);
        second.is_closed_with(None).await;
        drop(gone);
        let next = until_let_in(address, &upgrade).await;
        upgrade_to(next, &mut polling, &sid)
            .await
            .echo("alive")
            .await;
    });
}

/// A client that has said `5` is on the WebSocket, whatever it asks for next, and however soon.
#[test]
fn a_get_right_behind_the_switch_is_refused_every_time() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        for round in 0..100 {
            let mut poller = Poller::open(server.address, "alice").await;
            let mut websocket = Client::dial(server.address).await;
            let query = poller.query.replace("polling", "websocket");
            let request = upgrade_request("alice", &query, "");
            websocket.write(request.as_bytes()).await;
            assert_eq!(websocket.head().await.status, 101);
            let mut move_over = text_frame("2probe");
            move_over.extend(text_frame("5"));
            websocket.write(&move_over).await;
            let (status, answer) = poller.poll().await;
            assert_eq!(status, 400, "round {round}: {answer}");
            assert_eq!(websocket.text().await, "3probe", "round {round}");
        }
    });
}

#[test]
fn probes_without_end_keep_no_request_and_no_deadline_waiting() {
    run(async {
        let setup = Setup {
            timing: Timing {
                upgrade_timeout: Duration::from_secs(2),
                ..Setup::default().timing
            },
            ..Setup::default()
        };
        let (server, _recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "alice").await;
        let mut websocket = Client::dial(server.address).await;
        let query = poller.query.replace("polling", "websocket");
        let request = upgrade_request("alice", &query, "");
        websocket.write(request.as_bytes()).await;
        assert_eq!(websocket.head().await.status, 101);
        let (mut answers, mut probes) = websocket.stream.into_split();
        let flood = text_frame("2probe").repeat(10_000);
        let flooding = tokio::spawn(async move { while probes.write_all(&flood).await.is_ok() {} });
        let reading = tokio::spawn(async move {
            let mut ignored = vec![0; 64 << 10];
            while answers
                .read(&mut ignored)
                .await
                .is_ok_and(|length| length > 0)
            {}
        });
        let begun = Instant::now();
        while !reading.is_finished() {
            let posted = Instant::now();
            assert_eq!(poller.post("42[\"echo\",1]").await.0, 200);
            let (status, answer) = poller.poll().await;
            assert_eq!((status, answer.as_str()), (200, "42[\"echo\",1]"));
            assert!(
                posted.elapsed() < Duration::from_secs(1),
                "a request had to wait"
            );
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the flood went on"
        );
        flooding.abort();
    });
}

#[test]
fn a_candidate_that_asks_and_does_not_read_is_cut_off_and_its_session_goes_on() {
    run(async {
        let setup = Setup {
            timing: Timing {
                upgrade_timeout: milliseconds(1000),
                ..Setup::default().timing
            },
            limits: Limits {
                write_timeout: milliseconds(500),
                linger_timeout: milliseconds(500),
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, _recording) = Recorder::server(setup);
        let (mut polling, sid) = open_on_polling(server.address, "alice").await;
        let mut stuck = Client::dial_narrow(server.address).await;
        let upgrade = upgrade_request("alice", &format!("{OPEN}{sid}"), "");
        stuck.write(upgrade.as_bytes()).await;
        assert_eq!(stuck.head().await.status, 101);
        let mut flood = stuck.second_handle();
        tokio::spawn(async move {
            let probes = text_frame("2probe").repeat(10_000);
            while flood.write_all(&probes).await.is_ok() {}
        });

        let next = until_let_in(server.address, &upgrade).await;
        upgrade_to(next, &mut polling, &sid)
            .await
            .echo("alive")
            .await;
        // Nobody waits for the one that does not read.
        assert!(server.stop().await < Duration::from_secs(4));
        drop(stuck);
    });
}

#[test]
fn whoever_takes_nothing_is_disconnected_all_the_same() {
    run(async {
        let (server, mut recording) =
            Recorder::server(roomy_with_write_timeout(Duration::from_secs(600)));
        let mut stuck = Client::dial_narrow(server.address).await;
        stuck.shake_hands("stuck").await;
        stuck.connect().await;
        let socket = recording.connected().await;
        for _ in 0..MANY {
            socket.send(large(LARGE));
        }
        server.engine.sessions().disconnect(|_| true);
        let (_, reason) = recording.disconnected().await;
        assert_eq!(reason, closed(CloseReason::ServerDisconnected));
        until(|| server.sessions() == 0).await;
    });
}

#[test]
fn whoever_does_not_take_the_goodbye_is_reset() {
    run(async {
        let (server, mut recording) =
            Recorder::server(roomy_with_write_timeout(milliseconds(2000)));
        let mut stuck = Client::dial_narrow(server.address).await;
        stuck.shake_hands("stuck").await;
        stuck.connect().await;
        let socket = recording.connected().await;
        for _ in 0..MANY {
            socket.send(large(LARGE));
        }
        server.engine.sessions().disconnect(|_| true);
        let (_, reason) = recording.disconnected().await;
        assert_eq!(reason, closed(CloseReason::ServerDisconnected));
        timeout(PROMPTLY, stuck.is_reset()).await.expect("a reset");
        let end = stuck.after_texts().await;
        assert!(
            matches!(end, Seen::CutOff | Seen::End | Seen::Reset),
            "{end:?}"
        );
    });
}

#[test]
fn no_session_is_forgotten_however_it_ends() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        for round in 0..4 {
            let mut clients = Vec::new();
            for _ in 0..20 {
                clients.push(Client::join(server.address, "alice").await);
            }
            assert_eq!(server.sessions(), 20);
            // Kept, so that nothing but what is done here ends them.
            let mut kept = Vec::new();
            for (number, mut client) in clients.into_iter().enumerate() {
                match (number + round) % 5 {
                    0 => client.reset(),
                    1 => drop(client),
                    2 => {
                        client.stream.shutdown().await.expect("a socket");
                        kept.push(client);
                    }
                    3 => {
                        client.write(&masked(FIN | CLOSE, b"")).await;
                        kept.push(client);
                    }
                    _ => {
                        client.send("1").await;
                        kept.push(client);
                    }
                }
            }
            for _ in 0..20 {
                recording.disconnected().await;
            }
            until(|| server.sessions() == 0).await;
        }
        // Nor one that ended while it was opened.
        for _ in 0..20 {
            let mut client = Client::dial(server.address).await;
            client
                .write(upgrade_request("alice", OPEN, "").as_bytes())
                .await;
            client.reset();
            let mut client = Client::dial(server.address).await;
            client
                .write(upgrade_request("alice", OPEN, "").as_bytes())
                .await;
            drop(client);
        }
        let mut last = Client::join(server.address, "last").await;
        last.echo("still in order").await;
        until(|| server.sessions() == 1).await;
    });
}

// ---------------------------------------------------------------------------------------------------------
// Shutdown.

#[test]
fn shutdown_says_goodbye_and_lets_nobody_in() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let address = server.address;
        let mut alice = Client::join(address, "alice").await;
        let (mut outside, _) = Client::open(address, "outside").await;
        let mut idle = Client::dial(address).await;
        idle.write(b"GET /?transport=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert_eq!(idle.response().await.0.status, 400);
        recording
            .connected()
            .await
            .emit("last", ("word",))
            .expect("JSON");
        assert_eq!(alice.text().await, "42[\"last\",\"word\"]");

        let clients = async {
            // A close frame, and no DISCONNECT: official clients would not come back after one.
            alice.is_closed_with(None).await;
            outside.is_closed_with(None).await;
            assert!(matches!(idle.see().await, Seen::End | Seen::Reset));
            drop((alice, outside, idle));
        };
        let (took, ()) = tokio::join!(server.stop(), clients);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(
            recording.rest().await,
            ["alice disconnected: server shutting down"]
        );
        assert!(
            TcpStream::connect(address).await.is_err(),
            "nobody listens any more"
        );
    });
}

#[test]
fn whoever_is_let_in_during_the_shutdown_is_sent_away_in_order() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut late = Client::dial(server.address).await;
        late.write(upgrade_request("late", OPEN, "").as_bytes())
            .await;
        let mut alice = Client::join(server.address, "alice").await;
        let admit = Arc::clone(&server.late);
        let clients = async {
            // When others are told, the shutdown is under way.
            alice.is_closed_with(None).await;
            drop(alice);
            admit.notify_one();
            assert_eq!(late.head().await.status, 101);
            assert!(late.text().await.starts_with("0{"));
            late.is_closed_with(None).await;
            drop(late);
        };
        let (took, ()) = tokio::join!(server.stop(), clients);
        assert!(took < Duration::from_secs(2), "{took:?}");
        let rest = recording.rest().await;
        assert_eq!(
            rest,
            [
                "alice connected",
                "alice disconnected: server shutting down"
            ]
        );
    });
}

#[test]
fn shutdown_without_anybody_is_immediate() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let client = Client::join(server.address, "alice").await;
        drop(client);
        until(|| server.sessions() == 0).await;
        let took = server.stop().await;
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn shutdown_does_not_wait_for_the_rest_of_a_request() {
    run(async {
        let (server, _recording) = Recorder::server(Setup::default());
        let mut half = Client::dial(server.address).await;
        half.write(b"GET /socket.io/?EIO=4 HT").await;
        Client::join(server.address, "alice").await;
        assert!(server.stop().await < Duration::from_secs(2));
        drop(half);
    });
}

#[test]
fn shutdown_waits_for_nobody_longer_than_it_may() {
    run(async {
        let setup = Setup {
            limits: Limits {
                max_waiting_bytes: 256 << 20,
                linger_timeout: Duration::from_secs(600),
                shutdown_timeout: milliseconds(500),
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (server, mut recording) = Recorder::server(setup);
        // One that takes nothing, one that does not end, one that sends half a request.
        let mut stuck = Client::dial_narrow(server.address).await;
        stuck.shake_hands("stuck").await;
        stuck.connect().await;
        let socket = recording.connected().await;
        for _ in 0..MANY {
            socket.send(large(LARGE));
        }
        let stays = Client::join(server.address, "stays").await;
        let mut half = Client::dial(server.address).await;
        half.write(b"GET /socket.io/?EIO=4 HT").await;
        let took = server.stop().await;
        assert!(
            took >= milliseconds(450),
            "they were given no time: {took:?}"
        );
        assert!(took < Duration::from_secs(3), "{took:?}");
        drop((stuck, stays, half));
    });
}

#[test]
fn three_hundred_sessions_end_in_order_under_load() {
    run(async {
        const MANY: usize = 300;
        let (server, mut recording) = Recorder::server(Setup::default());
        let address = server.address;
        let mut opening = JoinSet::new();
        for _ in 0..MANY {
            opening.spawn(async move { Client::join(address, "alice").await });
        }
        let clients = opening.join_all().await;
        let mut sockets = Vec::new();
        for _ in 0..MANY {
            sockets.push(recording.connected().await);
        }
        assert_eq!(server.sessions(), MANY);
        let flood = Flood::start(&sockets.iter().collect::<Vec<_>>(), 500, milliseconds(2));
        drop(sockets);
        // Each also talks, and all have seen some of the flood before it ends.
        let (seen, mut saw) = tokio::sync::mpsc::unbounded_channel();
        let mut reading = JoinSet::new();
        for mut client in clients {
            let seen = seen.clone();
            reading.spawn(async move {
                let mut texts = 0_u64;
                loop {
                    match client.see().await {
                        Seen::Text(text) => {
                            assert_ne!(text, "41");
                            texts += 1;
                            if texts == 20 {
                                seen.send(()).expect("the test counts");
                            }
                            if texts.is_multiple_of(10) {
                                // The server may just have ended.
                                let _sent =
                                    client.stream.write_all(&text_frame("42[\"note\"]")).await;
                            }
                        }
                        other => return (other, client.see().await),
                    }
                }
            });
        }
        for _ in 0..MANY {
            saw.recv().await;
        }
        let took = server.stop().await;
        flood.stop().await;
        for end in reading.join_all().await {
            assert_eq!(end, (Seen::Close(None), Seen::End));
        }
        assert!(took < Duration::from_secs(5), "{took:?}");
        let rest = recording.rest().await;
        let ended = rest
            .iter()
            .filter(|line| *line == "alice disconnected: server shutting down");
        assert_eq!(ended.count(), MANY);
    });
}

// ---------------------------------------------------------------------------------------------------------
// Slow readers of a topic.

#[test]
fn a_slow_reader_of_a_topic_is_brought_up_to_date_and_costs_nobody_anything() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut slow = Client::dial_narrow(server.address).await;
        slow.shake_hands("slow").await;
        slow.connect().await;
        let slow_socket = recording.connected().await;
        let mut fast = Client::join(server.address, "fast").await;
        let fast_socket = recording.connected().await;
        let numbers = Numbers::new(16, 32 << 10);
        slow_socket.follow(numbers.subscribe());
        fast_socket.follow(numbers.subscribe());
        assert_eq!(fast.text().await, "42[\"snapshot\",0]");
        // One after the other, so that the fast one never lags: 64 MiB, which no kernel keeps for the slow one.
        let mut last = 0;
        for _ in 0..2_000 {
            last = numbers.publish();
            assert!(
                fast.text()
                    .await
                    .starts_with(&format!("42[\"change\",{last},"))
            );
        }
        let mut view = 0;
        let mut snapshots = 0;
        while view < last {
            let text = slow.text().await;
            let (kind, number) = text
                .strip_prefix("42[\"")
                .and_then(|text| text.split_once("\","))
                .expect("an event");
            let number: u64 = number
                .split([',', ']'])
                .next()
                .and_then(|number| number.parse().ok())
                .expect("a number");
            match kind {
                "snapshot" => {
                    assert!(number >= view, "back from {view} to {number}");
                    snapshots += 1;
                }
                _ => assert_eq!(number, view + 1, "not the next"),
            }
            view = number;
        }
        assert!(server.reached(Limit::WriteBatchBytes) > 0);
        assert!(
            snapshots > 1,
            "it never lagged, and this test is about that"
        );
        last = numbers.publish();
        assert!(
            slow.text()
                .await
                .starts_with(&format!("42[\"change\",{last},"))
        );
        slow.echo("as good as new").await;
    });
}

/// On one thread tasks take turns: between two of the test's, the session's task had no more than one.
#[test]
fn a_client_that_is_told_much_leaves_the_others_their_turns() {
    const CHANGES: u64 = 1_000;
    const LENGTH: usize = 1_000;
    run_on_one_thread(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut client = Client::join(server.address, "client").await;
        let socket = recording.connected().await;
        let numbers = Numbers::new(1_024, LENGTH);
        socket.follow(numbers.subscribe());
        assert_eq!(client.text().await, "42[\"snapshot\",0]");
        let reading = tokio::spawn(async move {
            for number in 1..=CHANGES {
                let text = client.text().await;
                assert!(text.starts_with(&format!("42[\"change\",{number},")));
            }
        });
        let engine = Arc::clone(&server.engine);
        let watching = tokio::spawn(async move {
            for _ in 0..CHANGES {
                numbers.publish();
            }
            let mut most = 0;
            while !reading.is_finished() {
                let (_, before) = engine.sessions().meter().sent();
                others_take_their_turns().await;
                let (_, after) = engine.sessions().meter().sent();
                most = most.max(after - before);
            }
            reading.await.expect("all of it");
            most
        });
        let most = watching.await.expect("all of it");
        assert!(server.reached(Limit::WriteBatchBytes) > 0);
        // The last frame of a turn may begin before its end.
        let turn = (Limits::default().write_batch_bytes + 2 * LENGTH) as u64;
        assert!(most <= turn, "{most} bytes in one turn");
        assert!(
            most > turn / 2,
            "{most} bytes: it never had a turn's worth, and this test is about that"
        );
    });
}

/// The same for what clients say: on a WebSocket, and in a POST.
#[test]
fn a_client_that_says_much_leaves_the_others_their_turns() {
    const NOTES: usize = 2_000;
    // tokio lets a task do 128 things in one go.
    const TURN: usize = 200;
    for on_polling in [false, true] {
        run_on_one_thread(async move {
            let (server, mut recording) = Recorder::server(Setup::default());
            let note = "42[\"note\"]";
            let talking: JoinHandle<()> = match on_polling {
                false => {
                    let mut client = Client::join(server.address, "client").await;
                    tokio::spawn(async move {
                        client.write(&text_frame(note).repeat(NOTES)).await;
                        client.echo("done").await;
                    })
                }
                true => {
                    let client = Poller::join(server.address, "client").await;
                    let body = [note; NOTES].join("\x1e");
                    tokio::spawn(async move {
                        assert_eq!(client.post(&body).await, (200, "ok".to_owned()));
                    })
                }
            };
            recording.connected().await;
            let watching = tokio::spawn(async move {
                let (mut all, mut most) = (0, 0);
                while all < NOTES {
                    let mut now = 0;
                    while let Some(Some(_)) = unconstrained(recording.next()).now_or_never() {
                        now += 1;
                    }
                    (all, most) = (all + now, most.max(now));
                    others_take_their_turns().await;
                }
                most
            });
            let most = watching.await.expect("all of them");
            talking.await.expect("all of it");
            assert!(most <= TURN, "{most} in one turn");
        });
    }
}

/// Until each task that is ready has run once: one's own is last in the queue.
async fn others_take_their_turns() {
    let mut is_last = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_last, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What the kernel has must be sent, however old it is, and is not in our count of what waits.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_takes_little_for_a_client_that_does_not_read() {
    run(async {
        let (server, mut recording) = Recorder::server(Setup::default());
        let mut slow = Client::dial_narrow(server.address).await;
        slow.shake_hands("slow").await;
        slow.connect().await;
        let slow_socket = recording.connected().await;
        let mut fast = Client::join(server.address, "fast").await;
        let fast_socket = recording.connected().await;
        let numbers = Numbers::new(16, 32 << 10);
        slow_socket.follow(numbers.subscribe());
        fast_socket.follow(numbers.subscribe());
        assert_eq!(fast.text().await, "42[\"snapshot\",0]");
        for _ in 0..400 {
            numbers.publish();
            fast.text().await;
        }
        assert_eq!(slow.text().await, "42[\"snapshot\",0]");
        let mut taken = 0;
        loop {
            let text = slow.text().await;
            if text.starts_with("42[\"snapshot\"") {
                break;
            }
            taken += text.len();
        }
        // The client's own kernel has half a megabyte of it, and the wire a batch.
        assert!(taken < 1_500_000, "{taken} bytes");
        assert!(
            taken > 300_000,
            "only {taken} bytes: is it blocked by something else?"
        );
    });
}

#[cfg(feature = "daemon")]
mod presence {
    use super::support::{Client, Server, Setup, run};
    use rollcall::{
        presence::{Gateway, Hub, Rate, Rules, Visitor},
        users::{KeyDigest, Role, User},
    };
    use serde_json::Value;
    use std::{sync::Arc, time::Duration};

    /// The user whose number is his name.
    fn user(name: &str) -> Visitor {
        Visitor::User(Arc::new(User {
            id: name.parse().expect("a number"),
            username: format!("user {name}"),
            role: Role::User,
            activated: true,
            deleted_at: None,
            key_digest: KeyDigest::of(name),
        }))
    }

    /// Whoever goes is gone, and everyone may change as often as it likes: every change is published.
    fn server(ring: usize) -> Server<Gateway> {
        let rules = Rules {
            grace: Duration::ZERO,
            rate: Rate {
                burst: u32::MAX,
                interval: Duration::from_nanos(1),
            },
        };
        Server::start(
            Arc::new(Gateway::new(Hub::new(ring, rules))),
            user,
            Setup::default(),
        )
    }

    /// An event's name and argument.
    fn event(text: &str) -> (String, Value) {
        let json = text
            .strip_prefix("42")
            .unwrap_or_else(|| panic!("no event: {text}"));
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn a_player_who_lags_behind_gets_fresh_activities() {
        run(async {
            const CHANGES: u64 = 40_000;
            const AT_ONCE: u64 = 200;
            let server = server(4);
            let mut slow = Client::dial_narrow(server.address).await;
            slow.shake_hands("2").await;
            slow.connect().await;
            assert_eq!(
                event(&slow.text().await),
                ("activities".to_owned(), Value::Array(vec![]))
            );
            let mut player = Client::join(server.address, "1").await;
            assert_eq!(event(&player.text().await).0, "activities");
            // The player reads what he causes, with acks because a lagging player would not hear of it all.
            let mut game = 0;
            while game < CHANGES {
                let mut bytes = Vec::new();
                for _ in 0..AT_ONCE {
                    game += 1;
                    let ack = if game % AT_ONCE == 0 { "7" } else { "" };
                    let message = format!(
                        "42{ack}[\"set-activity\",{{\"state\":\"PLAYING\",\"game_id\":{game}}}]"
                    );
                    bytes.extend(super::text_frame(&message));
                }
                player.write(&bytes).await;
                while !player.text().await.starts_with("437[{\"status\":\"ok\"") {}
            }
            let (mut view, mut snapshots) = (0, 0);
            while view < CHANGES {
                let (name, argument) = event(&slow.text().await);
                let game = match name.as_str() {
                    "activities" => {
                        snapshots += 1;
                        let activities = argument.as_array().expect("an array");
                        assert_eq!(activities.len(), 1);
                        activities[0]["game_id"].as_u64().expect("a game")
                    }
                    "activity" => argument["game_id"].as_u64().expect("a game"),
                    _ => panic!("{name}"),
                };
                assert!(game >= view, "back from {view} to {game}");
                assert!(
                    name == "activities" || game == view + 1,
                    "{game} after {view}"
                );
                view = game;
            }
            assert!(
                snapshots > 0,
                "it never lagged, and this test is about that"
            );
            // From here on it hears of every change again.
            player
                .send("42[\"set-activity\",{\"state\":\"BUSY\"}]")
                .await;
            let (name, activity) = event(&slow.text().await);
            assert_eq!(
                (name.as_str(), &activity["state"]),
                ("activity", &Value::from("BUSY"))
            );
            drop(player);
            let (name, activity) = event(&slow.text().await);
            assert_eq!(
                (name.as_str(), &activity["state"]),
                ("activity", &Value::from("OFFLINE"))
            );
        });
    }
}

#[test]
fn a_server_listens_on_all_addresses_if_none_is_given() {
    run(async {
        // Outside of `Server`, which listens on one.
        let listener = rollcall::server::bind(None, 0).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let accepted = tokio::spawn(async move { listener.accept().await.map(|(_, peer)| peer) });
        let client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("a connection");
        let peer = accepted.await.expect("a task").expect("a connection");
        assert_eq!(
            peer.ip().to_canonical(),
            client.local_addr().expect("its address").ip()
        );
    });
}
