//! The limits on sessions, messages and patience, each reached at its edge over real sockets, and the count of
//! the reasons for which sessions end. Those on the size of things are in `server.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use hyper::{HeaderMap, Request, StatusCode, body::Incoming};
use rollcall::{
    engineio::{CloseReason, Timing},
    server::{
        Answer, Bounds, Handler, Ledger, Limit, Limits, Network, Proxies, TooMuch, bind, empty,
        serve,
    },
};
use std::{
    future::pending,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use support::{
    BINARY, CLOSE, CONTINUATION, Client, FIN, LARGE, MANY, OPEN, OPEN_POLLING, PING, Poller,
    Recorder, Recording, Seen, Server, Setup, TEXT, closed, head, large, masked, milliseconds,
    plain_request, roomy_with_write_timeout, run, text_frame, until, upgrade_request,
};
use tokio::{
    io::AsyncWriteExt,
    task::JoinSet,
    time::{interval, timeout},
};

// ---------------------------------------------------------------------------------------------------------
// Sessions in total.

fn at_most(max_sessions: usize) -> Setup {
    Setup {
        limits: Limits {
            max_sessions,
            ..Setup::default().limits
        },
        ..Setup::default()
    }
}

/// Asserts that the request gets no session because there is no room.
async fn is_full(server: &Server<Recorder>, request: &str) {
    let mut client = Client::dial(server.address).await;
    client.write(request.as_bytes()).await;
    let (head, body) = client.response().await;
    assert_eq!(head.status, 503, "{request}\n{body}");
    assert_eq!(head.get("retry-after"), Some("10"));
    assert_eq!(head.get("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["code"], 4);
    assert!(
        body["message"]
            .as_str()
            .is_some_and(|text| text.contains("later"))
    );
    if request.contains("Upgrade") {
        assert_eq!(head.get("connection"), Some("close"));
        assert_eq!(client.see().await, Seen::End);
    }
}

/// A client on either transport, in the namespace.
enum Guest {
    OnWebSocket(Client),
    OnPolling(Poller),
}

impl Guest {
    async fn join(server: &Server<Recorder>, on_websocket: bool) -> Self {
        if on_websocket {
            Self::OnWebSocket(Client::join(server.address, "guest").await)
        } else {
            Self::OnPolling(Poller::join(server.address, "guest").await)
        }
    }

    async fn echo(&mut self) {
        match self {
            Self::OnWebSocket(client) => client.echo("unharmed").await,
            Self::OnPolling(poller) => {
                let event = "42[\"echo\",\"unharmed\"]";
                assert_eq!(poller.post(event).await, (200, "ok".to_owned()));
                assert_eq!(poller.poll().await, (200, event.to_owned()));
            }
        }
    }

    async fn leave(mut self) {
        match &mut self {
            Self::OnWebSocket(client) => client.send("1").await,
            Self::OnPolling(poller) => assert_eq!(poller.post("1").await.0, 200),
        }
    }
}

#[test]
fn as_many_sessions_as_there_may_be_and_no_more() {
    for on_websocket in [true, false] {
        run(async move {
            let (server, _recording) = Recorder::server(at_most(3));
            let mut guests = Vec::new();
            for _ in 0..3 {
                guests.push(Guest::join(&server, on_websocket).await);
            }
            for _ in 0..5 {
                is_full(&server, &upgrade_request("one more", OPEN, "")).await;
                is_full(&server, &plain_request("GET", "one more", OPEN_POLLING, 0)).await;
                for guest in &mut guests {
                    guest.echo().await;
                }
                // One leaves, and one may come, on either transport.
                guests.remove(0).leave().await;
                until(|| server.sessions() == 2).await;
                guests.push(Guest::join(&server, !on_websocket).await);
                guests.rotate_left(1);
            }
            assert_eq!(server.sessions(), 3);
            assert!(server.reached(Limit::Sessions) > 1);
        });
    }
}

#[test]
fn as_many_may_be_half_open_as_there_may_be_and_no_more() {
    for on_websocket in [true, false] {
        run(async move {
            let mut setup = at_most(10);
            setup.limits.max_half_open_sessions = 2;
            let (server, _recording) = Recorder::server(setup);
            // Who has said a word is not counted.
            let mut guests = Vec::new();
            for _ in 0..4 {
                guests.push(Guest::join(&server, on_websocket).await);
            }
            let mut silent = Client::open(server.address, "silent").await.0;
            let poller = Poller::open(server.address, "silent").await;
            is_full(&server, &upgrade_request("one more", OPEN, "")).await;
            is_full(&server, &plain_request("GET", "one more", OPEN_POLLING, 0)).await;
            for guest in &mut guests {
                guest.echo().await;
            }
            // One speaks, one goes, and two may come.
            silent.connect().await;
            assert_eq!(poller.post("1").await.0, 200);
            until(|| server.sessions() == 5).await;
            let _silent = Client::open(server.address, "silent").await.0;
            let _poller = Poller::open(server.address, "silent").await;
            is_full(&server, &upgrade_request("one more", OPEN, "")).await;
            assert_eq!(server.sessions(), 7);
            assert_eq!(server.reached(Limit::HalfOpenSessions), 3);
            assert_eq!(server.reached(Limit::Sessions), 0);
        });
    }
}

#[test]
fn whoever_may_not_come_in_does_not_learn_that_there_is_no_room() {
    run(async {
        let (server, _recording) = Recorder::server(at_most(1));
        let _guest = Guest::join(&server, true).await;
        let upgrade = upgrade_request("stranger", OPEN, "");
        let table = [
            (upgrade_request("nobody", OPEN, ""), 403),
            (plain_request("GET", "nobody", OPEN_POLLING, 0), 403),
            (upgrade.replace("X-Name: stranger\r\n", ""), 401),
            (upgrade.replace("EIO=4", "EIO=2"), 400),
            (upgrade.replace("Version: 13", "Version: 12"), 400),
            (
                plain_request("GET", "stranger", &format!("{OPEN_POLLING}&sid=gone"), 0),
                400,
            ),
        ];
        for (request, status) in table {
            let mut client = Client::dial(server.address).await;
            client.write(request.as_bytes()).await;
            assert_eq!(client.response().await.0.status, status, "{request}");
        }
        is_full(&server, &upgrade).await;
    });
}

#[test]
fn whoever_is_still_being_looked_up_has_no_place() {
    run(async {
        let (server, _recording) = Recorder::server(at_most(1));
        let mut late = Client::dial(server.address).await;
        late.write(upgrade_request("late", OPEN, "").as_bytes())
            .await;
        let mut guest = Guest::join(&server, true).await;
        server.late.notify_one();
        assert_eq!(late.response().await.0.status, 503);
        guest.echo().await;
    });
}

#[test]
fn a_session_that_moves_to_a_websocket_needs_no_second_place() {
    run(async {
        let (server, _recording) = Recorder::server(at_most(1));
        let poller = Poller::join(server.address, "guest").await;
        let query = poller.query.replace("polling", "websocket");
        let mut client = Client::dial(server.address).await;
        client
            .write(upgrade_request("guest", &query, "").as_bytes())
            .await;
        assert_eq!(client.head().await.status, 101);
        client.send("2probe").await;
        assert_eq!(client.text().await, "3probe");
        client.send("5").await;
        client.echo("moved").await;
        is_full(&server, &upgrade_request("one more", OPEN, "")).await;
        client.send("1").await;
        until(|| server.sessions() == 0).await;
        Guest::join(&server, false).await.echo().await;
    });
}

#[test]
fn of_fifty_at_once_ten_get_in() {
    const ROOM: usize = 10;
    run(async {
        let mut setup = at_most(ROOM);
        // Those on long-polling do not come for theirs.
        setup.limits.goodbye_timeout = milliseconds(1);
        let (server, _recording) = Recorder::server(setup);
        let address = server.address;
        for round in 1..=5 {
            let mut opening = JoinSet::new();
            for number in 0..50 {
                opening.spawn(async move {
                    let mut client = Client::dial(address).await;
                    let request = if number % 2 == 0 {
                        upgrade_request("guest", OPEN, "")
                    } else {
                        plain_request("GET", "guest", OPEN_POLLING, 0)
                    };
                    client.write(request.as_bytes()).await;
                    let status = client.head().await.status;
                    (status, client)
                });
            }
            let answers = opening.join_all().await;
            let count = |wanted| {
                answers
                    .iter()
                    .filter(|(status, _)| *status == wanted)
                    .count()
            };
            assert_eq!(count(101) + count(200), ROOM, "round {round}");
            assert_eq!(count(503), 50 - ROOM, "round {round}");
            until(|| server.sessions() == ROOM).await;
            server.engine.sessions().disconnect(|_| true);
            until(|| server.sessions() == 0).await;
            let ended = (CloseReason::ServerDisconnected, (ROOM * round) as u64);
            assert_eq!(server.ended(), [ended]);
        }
    });
}

#[test]
fn a_websocket_that_breaks_while_it_is_opened_gives_its_place_back() {
    run(async {
        let (server, _recording) = Recorder::server(at_most(2));
        for number in 0..60 {
            let mut client = Client::dial(server.address).await;
            client
                .write(upgrade_request("gone", OPEN, "").as_bytes())
                .await;
            match number % 3 {
                0 => client.reset(),
                1 => drop(client),
                // Further than that, and it is a session for a moment.
                _ => {
                    let _either_way = client.head().await;
                    client.reset();
                }
            }
        }
        // All are gone, sooner or later.
        let mut guests = Vec::new();
        while guests.len() < 2 {
            let mut client = Client::dial(server.address).await;
            client
                .write(upgrade_request("guest", OPEN, "").as_bytes())
                .await;
            if client.head().await.status == 101 {
                assert!(client.text().await.starts_with("0{"));
                client.connect().await;
                guests.push(client);
            }
        }
        is_full(&server, &upgrade_request("one more", OPEN, "")).await;
        until(|| server.sessions() == 2).await;
    });
}

#[test]
fn sessions_that_are_opened_and_left_at_that_make_room_after_their_time() {
    run(async {
        let mut setup = at_most(4);
        setup.io.connect_timeout = milliseconds(300);
        let (server, _recording) = Recorder::server(setup);
        let begun = Instant::now();
        let mut silent = Vec::new();
        for _ in 0..2 {
            silent.push(Client::open(server.address, "silent").await.0);
            Poller::open(server.address, "silent").await;
        }
        for client in &mut silent {
            client.is_closed_with(None).await;
        }
        until(|| server.sessions() == 0).await;
        assert!(begun.elapsed() >= milliseconds(300), "too early");
        assert_eq!(server.ended(), [(CloseReason::ConnectTimeout, 4)]);
        let mut guests = Vec::new();
        for number in 0..4 {
            guests.push(Guest::join(&server, number % 2 == 0).await);
        }
        is_full(&server, &upgrade_request("one more", OPEN, "")).await;
    });
}

// ---------------------------------------------------------------------------------------------------------
// The time of a message.

fn with_message_timeout(message_timeout: Duration) -> Setup {
    Setup {
        limits: Limits {
            message_timeout,
            ..Setup::default().limits
        },
        ..Setup::default()
    }
}

/// Waits for the next to be closed, for a message that was not completed.
async fn is_given_up(recording: &mut Recording, name: &str) {
    let (its_name, reason) = recording.disconnected().await;
    assert_eq!(
        (its_name.as_str(), reason),
        (name, closed(CloseReason::MessageTimeout))
    );
}

#[test]
fn a_message_that_is_not_completed_ends_its_session() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    run(async {
        let (server, mut recording) = Recorder::server(with_message_timeout(TIMEOUT));
        let mut idle = Client::join(server.address, "idle").await;
        // Whole messages and control frames are no beginnings.
        idle.echo("once").await;
        idle.write(&masked(FIN | PING, b"ping")).await;
        assert_eq!(idle.see().await, Seen::Pong(b"ping".to_vec()));
        idle.write(&masked(FIN | support::PONG, b"")).await;
        let mut in_pieces = masked(TEXT, b"42[\"echo\",");
        in_pieces.extend(masked(FIN | PING, b""));
        in_pieces.extend(masked(FIN | CONTINUATION, b"2]"));
        idle.write(&in_pieces).await;
        assert_eq!(idle.see().await, Seen::Pong(vec![]));
        assert_eq!(idle.text().await, "42[\"echo\",2]");

        let whole = text_frame("42[\"note\",\"a whole message\"]");
        let cut = |bytes: &[u8], length: usize| bytes[..length].to_vec();
        let both = |first: &[u8], second: &[u8]| [first, second].concat();
        let (medium, long) = (
            masked(FIN | TEXT, &[b'4'; 300]),
            masked(FIN | BINARY, &[0; 70_000]),
        );
        let table = [
            ("one byte", cut(&whole, 1)),
            ("half a header", cut(&whole, 4)),
            ("a header", cut(&whole, 6)),
            ("all but one byte", cut(&whole, whole.len() - 1)),
            ("a length of two bytes, half", cut(&medium, 3)),
            ("a length of two bytes", cut(&medium, 4)),
            ("all but one byte of 300", cut(&medium, medium.len() - 1)),
            ("a length of eight bytes, half", cut(&long, 6)),
            ("all but one byte of 70000", cut(&long, long.len() - 1)),
            ("a first fragment", masked(TEXT, b"42[")),
            ("an empty fragment", masked(TEXT, b"")),
            (
                "a fragment and a half",
                both(
                    &masked(TEXT, b"42["),
                    &masked(FIN | CONTINUATION, b"\"note\"]")[..9],
                ),
            ),
            (
                "a fragment, then a ping",
                both(&masked(TEXT, b"42["), &masked(FIN | PING, b"")),
            ),
            ("half a ping", cut(&masked(FIN | PING, b"ping"), 7)),
            ("a message, then a byte", both(&whole, &whole[..1])),
            (
                "a ping, then a byte",
                both(&masked(FIN | PING, b""), &whole[..1]),
            ),
        ];
        let mut ended = 0;
        for (what, bytes) in table {
            let mut client = Client::join(server.address, what).await;
            let begun = Instant::now();
            client.write(&bytes).await;
            let end = loop {
                match client.see().await {
                    Seen::Pong(_) => {}
                    other => break other,
                }
            };
            assert_eq!(end, Seen::Close(None), "{what}");
            assert!(
                begun.elapsed() >= TIMEOUT,
                "{what}: too early, after {:?}",
                begun.elapsed()
            );
            assert_eq!(client.see().await, Seen::End, "{what}");
            is_given_up(&mut recording, what).await;
            ended += 1;
            assert_eq!(server.ended(), [(CloseReason::MessageTimeout, ended)]);
        }
        // Right behind the request: before there is a session.
        let mut client = Client::dial(server.address).await;
        let request = upgrade_request("early", OPEN, "");
        client.write(&both(request.as_bytes(), &whole[..3])).await;
        assert_eq!(client.head().await.status, 101);
        assert!(client.text().await.starts_with("0{"));
        client.is_closed_with(None).await;
        idle.echo("all this time").await;
        assert_eq!(server.ended(), [(CloseReason::MessageTimeout, ended + 1)]);
    });
}

/// Writes `pieces` at a steady pace until the server ends the session, and counts the pongs.
async fn trickle(
    client: &mut Client,
    pace: Duration,
    mut pieces: impl Iterator<Item = Vec<u8>>,
) -> usize {
    let mut writer = client.second_handle();
    let write = async {
        let mut tick = interval(pace);
        loop {
            tick.tick().await;
            // When the other end is gone, the reader sees it.
            let piece = pieces.next().expect("the session ends before its message");
            let _sent = writer.write_all(&piece).await;
        }
    };
    let read = async {
        let mut pongs = 0;
        loop {
            match client.see().await {
                Seen::Pong(_) => pongs += 1,
                Seen::Close(None) => return pongs,
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::select! {
        never = write => never,
        pongs = read => pongs,
    }
}

#[test]
fn a_message_that_trickles_in_is_given_up_however_steady_it_is() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    run(async {
        let (server, mut recording) = Recorder::server(with_message_timeout(TIMEOUT));
        let mut bystander = Client::join(server.address, "bystander").await;

        let mut client = Client::join(server.address, "byte by byte").await;
        let begun = Instant::now();
        let megabyte = masked(FIN | TEXT, &vec![b'4'; 1_000_000]);
        trickle(
            &mut client,
            milliseconds(5),
            megabyte.into_iter().map(|byte| vec![byte]),
        )
        .await;
        assert!(begun.elapsed() >= TIMEOUT, "too early");
        is_given_up(&mut recording, "byte by byte").await;

        // What comes between the fragments does not put it off, and is heard all the same.
        let mut client = Client::join(server.address, "with pings").await;
        let begun = Instant::now();
        client.write(&masked(TEXT, b"4")).await;
        let pieces = (0_u32..).map(|number| match number % 2 {
            0 => masked(FIN | PING, b""),
            _ => masked(CONTINUATION, b"2"),
        });
        let pongs = trickle(&mut client, milliseconds(5), pieces).await;
        assert!(begun.elapsed() >= TIMEOUT, "too early");
        assert!(pongs > 0);
        is_given_up(&mut recording, "with pings").await;
        bystander.echo("undisturbed").await;
    });
}

/// Writes `message` ten times, slowly, and so that each piece but the last ends in the middle of one.
async fn write_slowly(client: &mut Client, message: &[u8]) {
    let mut tick = interval(milliseconds(40));
    let bytes = message.repeat(10);
    client.write(&bytes[..1]).await;
    for piece in bytes[1..]
        .chunks(message.len())
        .flat_map(|one| one.chunks(message.len().div_ceil(5)))
    {
        tick.tick().await;
        client.write(piece).await;
    }
}

#[test]
fn slow_messages_that_end_in_time_may_follow_one_another_without_a_gap() {
    const TIMEOUT: Duration = Duration::from_millis(1500);
    run(async {
        let (server, _recording) = Recorder::server(with_message_timeout(TIMEOUT));
        let echo = "42[\"echo\",\"slowly\"]";
        let (first, last) = echo.split_at(8);
        let mut message = masked(TEXT, first.as_bytes());
        message.extend(masked(FIN | PING, b""));
        message.extend(masked(FIN | CONTINUATION, last.as_bytes()));
        // A ping that stands alone is as good as a message.
        let ping = masked(FIN | PING, b"slowly");
        let mut slow = Client::join(server.address, "slow").await;
        let mut pinging = Client::join(server.address, "pinging").await;
        let begun = Instant::now();
        tokio::join!(
            write_slowly(&mut slow, &message),
            write_slowly(&mut pinging, &ping),
        );
        assert!(begun.elapsed() > TIMEOUT, "this test is about slowness");
        for _ in 0..10 {
            assert_eq!(slow.see().await, Seen::Pong(vec![]));
            assert_eq!(slow.text().await, echo);
            assert_eq!(pinging.see().await, Seen::Pong(b"slowly".to_vec()));
        }
        assert_eq!(server.ended(), []);
    });
}

/// Lets the message timeout pass, as somebody else finds out.
async fn let_a_message_timeout_pass(server: &Server<Recorder>, recording: &mut Recording) {
    let mut clock = Client::join(server.address, "clock").await;
    clock.write(&[FIN | TEXT]).await;
    is_given_up(recording, "clock").await;
}

/// A client that takes nothing of a lot, with its way to be sent more.
async fn stuck(server: &Server<Recorder>, recording: &mut Recording) -> Client {
    let mut stuck = Client::dial_narrow(server.address).await;
    stuck.shake_hands("stuck").await;
    stuck.connect().await;
    let socket = recording.connected().await;
    for _ in 0..MANY {
        socket.send(large(LARGE));
    }
    stuck
}

/// Little may be put aside, and after [`MANY`] messages the client may not ask for more.
fn nearly_full(max_put_aside_bytes: usize) -> Setup {
    let mut setup = with_message_timeout(milliseconds(200));
    setup.limits.max_waiting_bytes = (MANY + 2) * LARGE;
    setup.limits.max_put_aside_bytes = max_put_aside_bytes;
    setup
}

#[test]
fn a_message_that_the_server_does_not_read_is_not_late() {
    run(async {
        let mut setup = nearly_full(1);
        setup.limits.message_timeout = milliseconds(1000);
        let (server, mut recording) = Recorder::server(setup);
        let mut bystander = Client::join(server.address, "bystander").await;
        recording.connected().await;
        let mut stuck = stuck(&server, &mut recording).await;
        // The first comes in two parts, and is put aside; of the second only what came with it is read.
        let messages = [text_frame("42[\"note\",1]"), text_frame("420[\"note\",2]")].concat();
        let (begin, rest) = messages.split_at(8);
        let (middle, end) = rest.split_at(20);
        stuck.write(begin).await;
        for _ in 0..10 {
            bystander.echo("meanwhile").await;
        }
        stuck.write(middle).await;
        let_a_message_timeout_pass(&server, &mut recording).await;
        stuck.write(end).await;
        for _ in 0..MANY {
            assert!(stuck.text().await.starts_with("42[\"large\""));
        }
        assert_eq!(stuck.text().await, "430[2]");
        stuck.echo("in order").await;
        assert_eq!(server.ended(), [(CloseReason::MessageTimeout, 1)]);
    });
}

// ---------------------------------------------------------------------------------------------------------
// What is put aside.

/// An event of so many bytes.
fn note(length: usize) -> String {
    let overhead = "42[\"note\",\"\"]".len();
    format!("42[\"note\",\"{}\"]", "x".repeat(length - overhead))
}

#[test]
fn messages_are_put_aside_up_to_the_limit_and_what_is_behind_them_waits() {
    const LIMIT: usize = 4096;
    // What a message costs beside its bytes, at most.
    const OVERHEAD: usize = 128;
    for (length, is_read_on) in [
        (LIMIT - OVERHEAD, true),
        (LIMIT, false),
        (LIMIT * 10, false),
    ] {
        run(async move {
            let (server, mut recording) = Recorder::server(nearly_full(LIMIT));
            let mut stuck = stuck(&server, &mut recording).await;
            stuck
                .write(&[text_frame(&note(length)), text_frame("1")].concat())
                .await;
            if !is_read_on {
                let_a_message_timeout_pass(&server, &mut recording).await;
                assert_eq!(
                    server.ended(),
                    [(CloseReason::MessageTimeout, 1)],
                    "{length}"
                );
                // It takes what it was sent, and may ask again before it has all of it.
                assert_eq!(stuck.after_texts().await, Seen::Close(None));
                let happened = recording
                    .next()
                    .await
                    .map(|happened| format!("{happened:?}"));
                assert!(happened.is_some_and(|text| text.starts_with("stuck note")));
            }
            let (name, reason) = recording.disconnected().await;
            assert_eq!(
                (name.as_str(), reason),
                ("stuck", closed(CloseReason::ClientClosed))
            );
            let reached = server.reached(Limit::PutAsideBytes);
            assert_eq!(reached, u64::from(!is_read_on), "{length}");
        });
    }
}

#[test]
fn bytes_as_base64_are_put_aside_behind_their_packet() {
    run(async {
        let (server, mut recording) = Recorder::server(nearly_full(64 << 10));
        let mut stuck = stuck(&server, &mut recording).await;
        let packet = text_frame("451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
        stuck.write(&[packet, text_frame("bAQI=")].concat()).await;
        for _ in 0..MANY {
            assert!(stuck.text().await.starts_with("42[\"large\""));
        }
        assert!(stuck.text().await.starts_with("42[\"echo\","));
        assert_eq!(server.ended(), []);
    });
}

#[test]
fn many_small_messages_are_put_aside_up_to_the_limit_too() {
    const LIMIT: usize = 4096;
    // Each takes up less than 100 bytes and more than 16.
    for (count, is_read_on) in [(LIMIT / 100, true), (LIMIT / 16, false)] {
        run(async move {
            let (server, mut recording) = Recorder::server(nearly_full(LIMIT));
            let mut stuck = stuck(&server, &mut recording).await;
            let bytes = [text_frame(&note(16)).repeat(count), text_frame("1")].concat();
            stuck.write(&bytes).await;
            let mut notes = 0;
            if !is_read_on {
                let_a_message_timeout_pass(&server, &mut recording).await;
                assert_eq!(
                    server.ended(),
                    [(CloseReason::MessageTimeout, 1)],
                    "{count}"
                );
                // It takes what it was sent, and may ask again before it has all of it.
                assert_eq!(stuck.after_texts().await, Seen::Close(None));
                while notes < count {
                    let happened = recording
                        .next()
                        .await
                        .map(|happened| format!("{happened:?}"));
                    assert!(happened.is_some_and(|text| text.starts_with("stuck note")));
                    notes += 1;
                }
            }
            let (name, reason) = recording.disconnected().await;
            assert_eq!(
                (name.as_str(), reason),
                ("stuck", closed(CloseReason::ClientClosed))
            );
        });
    }
}

// ---------------------------------------------------------------------------------------------------------
// Long-polling.

fn with_timing(change: impl FnOnce(&mut Timing)) -> Setup {
    let mut setup = Setup::default();
    setup.timing.poll_timeout = Duration::from_secs(600);
    change(&mut setup.timing);
    setup
}

#[test]
fn a_post_that_trickles_in_ends_its_session() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    run(async {
        let setup = with_timing(|timing| timing.post_timeout = TIMEOUT);
        let (server, mut recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "alice").await;
        // In time, as often as one likes.
        for _ in 0..3 {
            assert_eq!(poller.post("42[\"note\"]").await, (200, "ok".to_owned()));
        }
        poller.ask().await;
        let begun = Instant::now();
        let mut post = poller.begin_post(1_000_000).await;
        let mut writer = post.second_handle();
        let trickle = async {
            let mut tick = interval(milliseconds(5));
            loop {
                tick.tick().await;
                let _sent = writer.write_all(b"4").await;
            }
        };
        let polled = tokio::select! {
            () = trickle => unreachable!(),
            polled = poller.polled() => polled,
        };
        assert!(begun.elapsed() >= TIMEOUT, "too early");
        assert_eq!(polled, (200, "1".to_owned()));
        let (head, body) = post.response().await;
        assert_eq!(
            (head.status, body.as_str()),
            (400, "{\"code\":1,\"message\":\"Session ID unknown\"}")
        );
        let (_, reason) = recording.disconnected().await;
        assert_eq!(reason, closed(CloseReason::PostTimeout));
        assert_eq!(server.ended(), [(CloseReason::PostTimeout, 1)]);
        assert_eq!(poller.poll().await.0, 400);
    });
}

/// One answer may lie in the server, of any size. The next waits for it, and what comes meanwhile has its limit.
#[test]
fn who_does_not_take_an_answer_gets_no_other() {
    const ANSWER: usize = 4 << 20;
    run(async {
        let mut setup = with_timing(|_| {});
        setup.limits.max_waiting_bytes = ANSWER / 2;
        let (server, mut recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "deaf").await;
        let socket = recording.connected().await;
        let frame = large(ANSWER);
        let waiting = || server.engine.budget().waiting();
        for _ in 0..5 {
            socket.send(frame.clone());
            assert_eq!(poller.poll().await.0, 200);
            until(|| waiting() == 0).await;
        }
        let request = plain_request("GET", "deaf", &poller.query, 0);
        let deaf = async || {
            socket.send(frame.clone());
            let mut deaf = Client::dial_narrow(server.address).await;
            deaf.write(request.as_bytes()).await;
            assert_eq!(deaf.head().await.status, 200);
            assert!(waiting() >= ANSWER);
            deaf
        };
        // A GET is there, and is answered once the answer to the last is out of the way.
        let first = deaf().await;
        poller.ask().await;
        socket.send(frame.clone());
        until(|| waiting() >= 2 * ANSWER).await;
        let too_early = timeout(milliseconds(300), poller.polled()).await;
        assert!(too_early.is_err(), "{ANSWER} more lie there");
        drop(first);
        assert_eq!(poller.polled().await.1.len(), frame.bytes().len());
        until(|| waiting() == 0).await;
        // One frame may wait for that, and the second is too much.
        let deaf = deaf().await;
        socket.send(frame.clone());
        until(|| waiting() >= 2 * ANSWER).await;
        assert_eq!(server.ended(), []);
        socket.send(frame.clone());
        until(|| server.ended() == [(CloseReason::Overflow, 1)]).await;
        drop(deaf);
        until(|| waiting() == 0).await;
    });
}

#[test]
fn who_takes_long_to_take_an_answer_is_not_late() {
    run(async {
        let mut setup = with_timing(|timing| {
            timing.ping_interval = milliseconds(200);
            timing.ping_timeout = milliseconds(1_000);
            timing.poll_timeout = milliseconds(1_000);
        });
        setup.limits.max_waiting_bytes = 64 << 20;
        let (server, mut recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "slow").await;
        let socket = recording.connected().await;
        socket.send(large(16 << 20));
        poller.ask().await;
        let begun = Instant::now();
        poller.client.read_now_and_then(100, milliseconds(20)).await;
        assert!(begun.elapsed() > milliseconds(1_500));
        let (status, answer) = poller.polled().await;
        assert!(status == 200 && answer.starts_with("42[\"large\""));
        // The ping was behind it, or comes now.
        let answer = match answer.ends_with("\x1e2") {
            true => "2".to_owned(),
            false => poller.poll().await.1,
        };
        assert_eq!(answer, "2");
        assert_eq!(poller.post("3").await, (200, "ok".to_owned()));
        assert_eq!(server.ended(), []);
    });
}

#[test]
fn a_post_that_is_slow_and_arrives_is_taken() {
    run(async {
        let setup = with_timing(|timing| timing.post_timeout = Duration::from_secs(10));
        let (server, _recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "alice").await;
        let event = "42[\"echo\",\"slowly\"]";
        let mut post = poller.begin_post(event.len()).await;
        let mut tick = interval(milliseconds(20));
        for byte in event.bytes() {
            tick.tick().await;
            post.write(&[byte]).await;
        }
        assert_eq!(post.response().await.1, "ok");
        assert_eq!(poller.poll().await, (200, event.to_owned()));
    });
}

#[test]
fn a_client_that_never_polls_is_closed_when_too_much_waits_for_it() {
    const LIMIT: usize = 64 << 10;
    run(async {
        let mut setup = Setup::default();
        setup.limits.max_waiting_bytes = LIMIT;
        let (server, mut recording) = Recorder::server(setup);
        let mut bystander = Client::join(server.address, "bystander").await;
        let poller = Poller::join(server.address, "deaf").await;
        let event = format!("42[\"echo\",\"{}\"]", "x".repeat(1000));
        let mut taken = 0;
        while poller.post(&event).await.0 == 200 {
            taken += event.len();
        }
        assert!(
            (LIMIT / 2..=LIMIT + event.len()).contains(&taken),
            "{taken}"
        );
        assert_eq!(recording.disconnected().await.0, "deaf");
        assert_eq!(server.ended(), [(CloseReason::Overflow, 1)]);
        bystander.echo("undisturbed").await;
    });
}

#[test]
fn a_goodbye_waits_for_a_poll_and_keeps_its_place_until_then() {
    run(async {
        let mut setup = with_timing(|_| {});
        setup.limits.max_sessions = 1;
        setup.limits.goodbye_timeout = Duration::from_secs(600);
        let (server, mut recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "alice").await;
        let socket = recording.connected().await;
        socket.emit("last", ("word",)).expect("JSON");
        socket.close();
        recording.disconnected().await;
        assert_eq!(server.ended(), [(CloseReason::ServerDisconnected, 1)]);
        // Whatever else comes finds the session gone, and a poll finds the end of it.
        assert_eq!(poller.post("42[\"note\"]").await.0, 400);
        is_full(&server, &plain_request("GET", "bob", OPEN_POLLING, 0)).await;
        assert_eq!(
            poller.poll().await,
            (200, "42[\"last\",\"word\"]\u{1e}41".to_owned())
        );
        is_full(&server, &plain_request("GET", "bob", OPEN_POLLING, 0)).await;
        assert_eq!(poller.poll().await, (200, "1".to_owned()));
        until(|| server.sessions() == 0).await;
        assert_eq!(poller.poll().await.0, 400);
        Guest::join(&server, false).await.echo().await;
        assert_eq!(server.ended(), [(CloseReason::ServerDisconnected, 1)]);
    });
}

#[test]
fn who_takes_leave_when_it_has_heard_the_last_words_gives_its_place_back() {
    run(async {
        let mut setup = with_timing(|_| {});
        setup.limits.goodbye_timeout = Duration::from_secs(600);
        let (server, mut recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "alice").await;
        recording.connected().await.close();
        assert_eq!(poller.poll().await, (200, "41".to_owned()));
        assert_eq!(server.sessions(), 1);
        assert_eq!(poller.post("1").await.0, 400);
        until(|| server.sessions() == 0).await;
        assert_eq!(server.ended(), [(CloseReason::ServerDisconnected, 1)]);
    });
}

#[test]
fn a_goodbye_does_not_wait_for_ever() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    run(async {
        let mut setup = with_timing(|_| {});
        setup.limits.goodbye_timeout = TIMEOUT;
        let (server, mut recording) = Recorder::server(setup);
        let mut poller = Poller::join(server.address, "alice").await;
        let socket = recording.connected().await;
        let begun = Instant::now();
        socket.close();
        until(|| server.sessions() == 0).await;
        assert!(begun.elapsed() >= TIMEOUT, "too early");
        let (status, body) = poller.poll().await;
        assert_eq!(
            (status, body.as_str()),
            (400, "{\"code\":1,\"message\":\"Session ID unknown\"}")
        );
        assert_eq!(server.ended(), [(CloseReason::ServerDisconnected, 1)]);
        assert_eq!(server.reached(Limit::GoodbyeTimeout), 1);
    });
}

// ---------------------------------------------------------------------------------------------------------
// The count of ends.

/// What it takes that a session can end for this reason while a test waits.
fn setup_for(reason: CloseReason) -> Setup {
    let short = milliseconds(100);
    let mut setup = Setup::default();
    let (timing, limits) = (&mut setup.timing, &mut setup.limits);
    match reason {
        CloseReason::PingTimeout => (timing.ping_interval, timing.ping_timeout) = (short, short),
        CloseReason::PollTimeout => timing.poll_timeout = short,
        CloseReason::PostTimeout => timing.post_timeout = short,
        CloseReason::MessageTimeout => limits.message_timeout = short,
        CloseReason::PayloadTooLarge => limits.max_payload_bytes = 100,
        CloseReason::WriteStalled => return roomy_with_write_timeout(milliseconds(400)),
        CloseReason::ConnectTimeout => setup.io.connect_timeout = short,
        CloseReason::AttachmentTimeout => setup.io.attachment_timeout = short,
        CloseReason::Overflow => limits.max_waiting_bytes = 1 << 20,
        CloseReason::SharedOverflow => limits.max_total_waiting_bytes = 1 << 20,
        CloseReason::ClientClosed
        | CloseReason::TransportClosed
        | CloseReason::TransportError
        | CloseReason::ParseError
        | CloseReason::ServerDisconnected
        | CloseReason::ServerShutdown
        | CloseReason::HandlerPanicked => {}
    }
    setup
}

/// Opens a session that ends for this reason, and lets it end.
async fn end_for(reason: CloseReason, server: &Server<Recorder>, recording: &mut Recording) {
    let address = server.address;
    let mut client = match reason {
        CloseReason::PollTimeout => {
            Poller::open(address, "alice").await;
            return until(|| server.sessions() == 0).await;
        }
        CloseReason::PostTimeout | CloseReason::PayloadTooLarge => {
            let poller = Poller::open(address, "alice").await;
            let mut post = poller.begin_post(101).await;
            let status = post.head().await.status;
            assert_eq!(
                status,
                if reason == CloseReason::PostTimeout {
                    400
                } else {
                    413
                }
            );
            return until(|| server.sessions() == 0).await;
        }
        CloseReason::WriteStalled | CloseReason::Overflow | CloseReason::SharedOverflow => {
            let _takes_nothing = stuck(server, recording).await;
            recording.disconnected().await;
            return until(|| server.sessions() == 0).await;
        }
        CloseReason::ConnectTimeout => Client::open(address, "alice").await.0,
        _ => Client::join(address, "alice").await,
    };
    match reason {
        CloseReason::ClientClosed => client.send("1").await,
        CloseReason::TransportClosed => client.write(&masked(FIN | CLOSE, b"")).await,
        CloseReason::TransportError => client.write(&masked(FIN | TEXT | 0x40, b"")).await,
        CloseReason::MessageTimeout => client.write(&head(FIN | TEXT, 0x80, 100)).await,
        CloseReason::ParseError => client.send("x").await,
        CloseReason::AttachmentTimeout => {
            let event = "451-[\"note\",{\"_placeholder\":true,\"num\":0}]";
            client.send(event).await;
        }
        CloseReason::ServerDisconnected => server.engine.sessions().disconnect(|_| true),
        CloseReason::ServerShutdown => {
            let goodbye = async {
                client.is_closed_with(None).await;
                drop(client);
            };
            tokio::join!(server.engine.shut_down(), goodbye);
        }
        CloseReason::HandlerPanicked => client.send("42[\"panic\"]").await,
        CloseReason::PingTimeout
        | CloseReason::ConnectTimeout
        | CloseReason::PollTimeout
        | CloseReason::PostTimeout
        | CloseReason::PayloadTooLarge
        | CloseReason::WriteStalled
        | CloseReason::Overflow
        | CloseReason::SharedOverflow => {}
    }
    until(|| server.sessions() == 0).await;
}

#[test]
fn each_end_is_counted_once_under_its_reason() {
    for (number, reason) in CloseReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, number, "all there are, in order");
        run(async move {
            let (server, mut recording) = Recorder::server(setup_for(reason));
            assert_eq!(server.ended(), []);
            let all: Vec<CloseReason> = server
                .engine
                .sessions()
                .ended()
                .map(|(reason, _)| reason)
                .collect();
            assert_eq!(all, CloseReason::ALL, "also those that have not happened");
            end_for(reason, &server, &mut recording).await;
            assert_eq!(server.ended(), [(reason, 1)]);
            if reason != CloseReason::ServerShutdown {
                end_for(reason, &server, &mut recording).await;
                assert_eq!(server.ended(), [(reason, 2)]);
            }
            let limit = match reason {
                CloseReason::MessageTimeout => Limit::MessageTimeout,
                CloseReason::PayloadTooLarge => Limit::PayloadBytes,
                CloseReason::WriteStalled => Limit::WriteTimeout,
                CloseReason::Overflow => Limit::WaitingBytes,
                CloseReason::SharedOverflow => Limit::TotalWaitingBytes,
                _ => return,
            };
            assert_eq!(server.reached(limit), 2);
        });
    }
}

// ---------------------------------------------------------------------------------------------------------
// Where a request comes from, and what a network may do.

#[derive(serde::Deserialize)]
struct Forwarded {
    trusted: Vec<String>,
    peer: IpAddr,
    headers: Vec<String>,
    client: Option<IpAddr>,
    #[serde(default)]
    note: String,
}

#[test]
fn a_proxy_that_is_trusted_says_where_a_request_comes_from() {
    let rows: Vec<Forwarded> =
        serde_json::from_str(include_str!("../fixtures/forwarded.json")).expect("a table");
    for row in rows {
        let trusted = row.trusted.iter().map(|network| match network.parse() {
            Ok(network) => network,
            Err(_) => network.parse::<IpAddr>().expect("an address").into(),
        });
        let proxies = Proxies::new(trusted.collect());
        let mut headers = HeaderMap::new();
        for line in &row.headers {
            headers.append("x-forwarded-for", line.parse().expect("a header"));
        }
        let peer = SocketAddr::new(row.peer, 4711);
        let told = row.client.map(|client| SocketAddr::new(client, 0));
        let found = proxies.client(peer, &headers);
        assert_eq!(
            found,
            told.unwrap_or(peer),
            "{:?} {}",
            row.headers,
            row.note
        );
    }
}

#[test]
fn a_network_is_what_one_party_has() {
    let of = |address: &str| Network::of(address.parse().expect("an address"));
    assert_eq!(of("203.0.113.9:1"), of("203.0.113.9:2"));
    assert_ne!(of("203.0.113.9:1"), of("203.0.113.8:1"));
    assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:1]:1"));
    assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
    for many in [
        "127.0.0.1:1",
        "10.0.0.1:1",
        "172.16.0.1:1",
        "192.168.1.1:1",
        "169.254.0.1:1",
        "100.64.0.1:1",
        "[::1]:1",
        "[fd00::1]:1",
        "[fe80::1]:1",
        // Nothing is known: not of TCP.
        "0.0.0.0:0",
    ] {
        assert_eq!(of(many), None, "{many}");
    }
    for one in ["172.32.0.1:1", "100.128.0.1:1", "11.0.0.1:1"] {
        assert!(of(one).is_some(), "{one}");
    }
    // What a trusted proxy has told is one client, wherever it is.
    assert!(of("192.168.1.1:0").is_some());
}

#[test]
fn a_ledger_allows_so_much_at_once_and_then_so_much_in_a_time() {
    let network = |number: u32| {
        let address = SocketAddr::new(Ipv4Addr::from_bits((11 << 24) + number).into(), 1);
        Network::of(address).expect("a public address")
    };
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let ledger = Ledger::new(6, Duration::from_secs(60));
    for used in 0..6 {
        assert_eq!(ledger.note(start, network(1)), Ok(used));
    }
    for _ in 0..100 {
        assert_eq!(ledger.note(after(9), network(1)), Err(TooMuch));
    }
    // What was too much has not made it worse.
    assert_eq!(ledger.note(after(10), network(1)), Ok(5));
    assert_eq!(ledger.note(after(10), network(1)), Err(TooMuch));
    assert_eq!(ledger.note(after(10), network(2)), Ok(0), "another");
    assert_eq!(
        ledger.note(after(1000), network(1)),
        Ok(0),
        "all is forgotten"
    );
    // What is taken back has not happened, and that of the others has.
    ledger.take_back(network(1));
    assert_eq!(ledger.note(after(1000), network(1)), Ok(0));
    assert_eq!(ledger.note(after(1000), network(1)), Ok(1));
    ledger.take_back(network(1));
    assert_eq!(ledger.note(after(1000), network(1)), Ok(1));

    // With very many at once those who have no place share one; when the others are forgotten there is room again.
    let ledger = Ledger::new(2, Duration::from_secs(60));
    for number in 0..1 << 16 {
        assert_eq!(ledger.note(start, network(number)), Ok(0));
    }
    assert_eq!(ledger.note(start, network(100_001)), Ok(0));
    assert_eq!(ledger.note(start, network(100_002)), Ok(1));
    assert_eq!(ledger.note(start, network(100_003)), Err(TooMuch));
    assert_eq!(
        ledger.note(start, network(7)),
        Ok(1),
        "who has one keeps it"
    );
    assert_eq!(ledger.note(after(31), network(100_003)), Ok(0));
}

/// A second's worth of messages or bytes at once, and the rest no faster; with a heartbeat that would not wait for the
/// client's pongs, which stand behind what it said before.
#[test]
fn who_speaks_too_fast_is_heard_more_slowly_and_loses_nothing() {
    const MESSAGES: usize = 400;
    for (messages, bytes, length) in [(100, u32::MAX, 1), (u32::MAX, 100_000, 1_000)] {
        run(async move {
            let mut setup = with_timing(|timing| {
                timing.ping_interval = milliseconds(300);
                timing.ping_timeout = milliseconds(1_000);
            });
            setup.limits.max_messages_per_second = messages;
            setup.limits.max_bytes_per_second = bytes;
            setup.limits.speech_burst = Duration::from_secs(1);
            let (server, _recording): (Server<Recorder>, _) = Recorder::server(setup);
            let mut client = Client::join(server.address, "alice").await;
            let began = Instant::now();
            let said = "x".repeat(length);
            for number in 0..MESSAGES {
                let event = format!(r#"42["echo","{number}{said}"]"#);
                client.write(&masked(FIN | TEXT, event.as_bytes())).await;
            }
            let mut next = 0;
            let mut pings = 0;
            while next < MESSAGES {
                let text = client.text().await;
                if text == "2" {
                    pings += 1;
                    client.write(&masked(FIN | TEXT, b"3")).await;
                } else {
                    assert_eq!(text, format!(r#"42["echo","{next}{said}"]"#));
                    next += 1;
                }
            }
            // A hundred at once, and a hundred a second.
            let took = began.elapsed();
            assert!(took > milliseconds(2_500), "{took:?} are no pause");
            assert!(pings > 0, "its heartbeat was put to the test");
            // Others are heard at once.
            let mut other = Client::join(server.address, "bob").await;
            let began = Instant::now();
            other.write(&masked(FIN | TEXT, br#"42["echo",1]"#)).await;
            assert_eq!(other.text().await, r#"42["echo",1]"#);
            assert!(began.elapsed() < milliseconds(5_000));
            let reached = [Limit::MessagesPerSecond, Limit::BytesPerSecond];
            let reached = reached.map(|limit| server.reached(limit) > 0);
            assert_eq!(reached, [messages == 100, messages != 100]);
            drop((client, other));
            server.stop().await;
        });
    }
}

/// Control frames and fragments are as much work as messages.
#[test]
fn frames_that_are_no_messages_count_as_such() {
    const FRAMES: usize = 300;
    let pings = masked(FIN | PING, b"").repeat(FRAMES);
    let fragments = [
        masked(TEXT, b"6"),
        masked(CONTINUATION, b"").repeat(FRAMES),
        masked(FIN | CONTINUATION, b""),
    ];
    for frames in [pings, fragments.concat()] {
        run(async move {
            let mut setup = Setup::default();
            setup.limits.max_messages_per_second = 100;
            setup.limits.speech_burst = Duration::from_secs(1);
            let (server, _recording): (Server<Recorder>, _) = Recorder::server(setup);
            let mut client = Client::join(server.address, "alice").await;
            let began = Instant::now();
            client.write(&frames).await;
            client.send("42[\"echo\",1]").await;
            while !matches!(client.see().await, Seen::Text(_)) {}
            let took = began.elapsed();
            assert!(took > milliseconds(1_500), "{took:?} are no pause");
            assert!(server.reached(Limit::MessagesPerSecond) > 0);
        });
    }
}

/// Neither its pong nor its POST is late that the server does not read.
#[test]
fn who_is_not_heard_for_a_while_is_not_late() {
    run(async {
        let mut setup = with_timing(|timing| {
            timing.ping_interval = milliseconds(300);
            timing.ping_timeout = milliseconds(700);
            timing.post_timeout = milliseconds(700);
        });
        setup.limits.max_messages_per_second = 100;
        setup.limits.speech_burst = Duration::from_secs(1);
        let (server, _recording): (Server<Recorder>, _) = Recorder::server(setup);
        let mut client = Poller::join(server.address, "alice").await;
        // Three seconds beyond what it may say at once.
        let much = ["6"; 400].join("\x1e");
        assert_eq!(client.post(&much).await.0, 200);
        assert_eq!(client.poll().await, (200, "2".to_owned()));
        let began = Instant::now();
        assert_eq!(client.post("3").await, (200, "ok".to_owned()));
        let took = began.elapsed();
        assert!(took > milliseconds(1_500), "{took:?} are no pause");
        assert_eq!(client.poll().await, (200, "2".to_owned()));
        assert_eq!(server.ended(), []);
    });
}

/// Takes the addresses of this machine for those of others.
struct Abroad;

impl Handler for Abroad {
    async fn handle(self: Arc<Self>, _: Request<Incoming>, _: SocketAddr) -> Answer {
        empty(StatusCode::OK)
    }

    fn network(&self, peer: SocketAddr) -> Option<Network> {
        // As a proxy would tell it.
        Network::of(SocketAddr::new(peer.ip(), 0))
    }
}

#[test]
fn as_many_connections_of_an_address_as_it_may_have_and_no_more() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    run(async {
        let listener = bind(Some(Ipv4Addr::LOCALHOST.into()), 0).expect("a port");
        let address = listener.local_addr().expect("its address");
        let bounds = Arc::new(Bounds::new(Limits {
            max_connections_per_network: 2,
            ..Limits::default()
        }));
        let serving = Arc::clone(&bounds);
        tokio::spawn(async move { serve(listener, Arc::new(Abroad), &serving, pending()).await });
        let ask = |from: Ipv4Addr| async move {
            let mut client = Client::dial_from(from, address).await;
            client.write(REQUEST).await;
            let (head, body) = client.response().await;
            (client, head, body)
        };
        let (one, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
        let mut inside = [ask(one).await.0, ask(one).await.0];
        let (mut client, head, body) = ask(one).await;
        assert_eq!(head.status, 429);
        assert_eq!(head.get("retry-after"), Some("10"));
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["code"], 4);
        assert_eq!(client.see().await, Seen::End);
        let reached = bounds
            .reached()
            .find(|(limit, _)| *limit == Limit::ConnectionsPerNetwork);
        assert_eq!(reached, Some((Limit::ConnectionsPerNetwork, 1)));
        // Others are let in, those inside are unharmed, and who goes makes room.
        assert_eq!(ask(other).await.1.status, 200);
        for client in &mut inside {
            client.write(REQUEST).await;
            assert_eq!(client.response().await.0.status, 200);
        }
        drop(inside);
        while ask(one).await.1.status != 200 {}
    });
}

#[test]
fn as_many_connections_as_there_may_be_and_no_more() {
    run(async {
        let mut setup = Setup::default();
        setup.limits.max_connections = 2;
        let (server, _recording): (Server<Recorder>, _) = Recorder::server(setup);
        // A session on a WebSocket is none of them.
        let mut alice = Client::join(server.address, "alice").await;
        let open = plain_request("GET", "bob", OPEN_POLLING, 0);
        let mut inside = Client::dial(server.address).await;
        inside.write(open.as_bytes()).await;
        assert_eq!(inside.response().await.0.status, 200);
        let silent = Client::dial(server.address).await;
        for request in [open.as_str(), "", "nonsense\r\n\r\n"] {
            let mut outside = Client::dial(server.address).await;
            outside.write(request.as_bytes()).await;
            let (head, body) = outside.response().await;
            assert_eq!(head.status, 503, "{request}");
            assert_eq!(head.get("retry-after"), Some("10"));
            assert_eq!(head.get("connection"), Some("close"));
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(body["code"], 4);
            assert_eq!(outside.see().await, Seen::End);
        }
        assert_eq!(server.reached(Limit::Connections), 3);
        // Those inside are unharmed.
        inside.write(open.as_bytes()).await;
        assert_eq!(inside.response().await.0.status, 200);
        alice.write(&masked(FIN | TEXT, br#"42["echo",1]"#)).await;
        assert_eq!(alice.text().await, r#"42["echo",1]"#);
        // And who goes makes room.
        drop(silent);
        loop {
            let mut next = Client::dial(server.address).await;
            next.write(open.as_bytes()).await;
            if next.response().await.0.status == 200 {
                break;
            }
        }
        drop((alice, inside));
        server.stop().await;
    });
}
