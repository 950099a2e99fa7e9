//! What the core does, again and again, for its instructions to be counted: `instructions NAME TIMES`.
//!
//! `instructions.test.mjs` counts them under callgrind, and compares them with `instructions.json`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use rollcall::{
    engineio::{
        Frame, Packet, Revision,
        handshake::{Method, Query, Request},
        outbound::{Delivery, Inbox, Order, Outbound, Repair, Subscription, Topic},
        payload,
    },
    presence::{Activity, Doing, Now, Published, Report, Roster, Rules, State},
    socketio::{self, SocketId, encode},
    users::{FileDirectory, NoEntry, User},
};
use serde_json::value::RawValue;
use std::{
    env, fs,
    future::Future,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Receivers of the fan-out.
const SINKS: usize = 1000;

/// Users of the roster.
const USERS: u64 = 1000;

const REPORT: &str =
    r#"42["set-activity",{"state":"PLAYING","game_id":4711,"details":"The last level"}]"#;

fn main() {
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(times)) = (arguments.next(), arguments.next()) else {
        // For whoever wants to know which there are.
        BENCHES.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let times = times.parse().expect("a number of times");
    let bench = BENCHES.iter().find(|(known, _)| *known == name);
    bench
        .expect("one of the names that are listed without arguments")
        .1(times);
}

type Bench = fn(usize);

const BENCHES: [(&str, Bench); 10] = [
    ("decode", decode),
    ("decode-payload", decode_payload),
    ("encode", encode_activity),
    ("encode-payload", encode_payload),
    ("handshake", handshake),
    ("report", report),
    ("roster", roster),
    ("fan-out", fan_out),
    ("wrong-key", wrong_key),
    ("nearly-right-key", nearly_right_key),
];

/// One event, from the text of a frame to its arguments.
fn decode(times: usize) {
    for _ in 0..times {
        let Ok(Packet::Message(message)) = Packet::decode(black_box(REPORT)) else {
            panic!("no message");
        };
        let rollcall::engineio::Message::Text(text) = message else {
            panic!("no text");
        };
        black_box(socketio::Packet::decode(text).expect("a packet"));
    }
}

/// A POST of twenty packets.
fn decode_payload(times: usize) {
    let body = [REPORT; 20].join("\u{1e}");
    for _ in 0..times {
        let packets = payload::decode(Revision::V4, false, black_box(body.as_bytes()), 100);
        assert_eq!(packets.filter(Result::is_ok).count(), 20);
    }
}

fn activity(user_id: u64) -> Activity {
    Activity {
        user_id,
        socket_id: SocketId::parse("ekI1Av1MzIkAjLwBAAAB").expect("an id"),
        doing: Some(doing(4711)),
        since: 1_795_491_822_873,
    }
}

fn doing(game_id: u64) -> Doing {
    Doing {
        state: State::Playing {
            game_id: Some(game_id),
        },
        details: None,
    }
}

/// The event that tells of a change.
fn encode_activity(times: usize) {
    let published = Published {
        activity: activity(7),
        seq: 1000,
    };
    for _ in 0..times {
        let event = encode::event("/", "activity", (black_box(&published),));
        black_box(event.expect("JSON"));
    }
}

/// The answer to a GET that fetches twenty packets.
fn encode_payload(times: usize) {
    let frames: Vec<_> = (0..20).map(|_| Frame::text(REPORT.to_owned())).collect();
    for _ in 0..times {
        black_box(payload::encode(Revision::V4, false, black_box(&frames)));
    }
}

/// The query of a request, and the verdict.
fn handshake(times: usize) {
    for _ in 0..times {
        let request = Request {
            query: Query::parse(black_box("EIO=4&transport=websocket&t=sjaa9rad")),
            method: Method::Get,
            is_upgrade: true,
            allow_eio3: false,
        };
        black_box(request.verify(|_| None).expect("a session"));
        black_box(request.verify_version().expect("version 4"));
    }
}

/// A payload, and the report that it is.
fn report(times: usize) {
    let json = r#"{"state":"PLAYING","game_id":4711,"details":"The last level"}"#.to_owned();
    let payload = RawValue::from_string(json).expect("JSON");
    for _ in 0..times {
        black_box(Report::parse(black_box(Some(&payload))).expect("a report"));
    }
}

/// A change of one of many users. Making the roster costs the same however often there is one.
fn roster(times: usize) {
    let mut roster = Roster::new(Rules::default());
    let ids: Vec<_> = (0..USERS)
        .map(|_| SocketId::random().expect("random"))
        .collect();
    for (user_id, id) in (1..).zip(&ids) {
        roster.join(user_id, *id);
    }
    let mut now = Now {
        instant: Instant::now(),
        ms: 0,
    };
    for (time, (user_id, id)) in (0..times).zip((1..).zip(&ids).cycle()) {
        now.instant += Duration::from_millis(1);
        black_box(roster.report(now, user_id, *id, Some(doing(time as u64))));
    }
}

/// Nobody lags behind here.
struct NoRepair;

impl Repair for NoRepair {
    fn repair(self: Arc<Self>) -> Subscription {
        unreachable!("every receiver takes all at once")
    }
}

/// One frame to a thousand receivers, each of which takes it and waits for the next.
fn fan_out(times: usize) {
    let topic = Topic::new(64);
    let mut context = Context::from_waker(Waker::noop());
    let mut receivers: Vec<_> = (0..SINKS)
        .map(|_| {
            let inbox = Arc::new(Inbox::new(1 << 20));
            inbox.push(Order::Follow(Box::new(
                topic.subscribe(None, Arc::new(NoRepair)),
            )));
            Outbound::new(inbox)
        })
        .collect();
    let mut drain = |frames: usize| {
        for receiver in &mut receivers {
            let mut taken = 0;
            while let Poll::Ready(Delivery::Frame(frame)) = receiver.poll_next(&mut context) {
                black_box(frame);
                taken += 1;
            }
            assert_eq!(taken, frames);
        }
    };
    drain(0);
    let frame = Frame::text(REPORT.to_owned());
    for _ in 0..times {
        topic.publish(frame.clone());
        drain(1);
    }
}

/// The key of a user.
fn key(user: u64) -> String {
    // Two neighbours have few digits in common, and one of them the last.
    let digit = |place: u64| format!("{:x}", (user * 7 + place * (user % 13 + 1)) % 16);
    let places = format!("{user:016x}")
        .chars()
        .map(String::from)
        .collect::<Vec<_>>();
    places.into_iter().chain((0..48).map(digit)).collect()
}

/// Shows a key that is nobody's to a directory of many users.
fn show(shown: &str, times: usize) {
    let record = |id: u64| {
        let key = key(id);
        format!(
            r#"{{"id":{id},"username":"user{id}","api_key":"{key}","role":1,"activated":true}}"#
        )
    };
    let users: Vec<_> = (1..=USERS).map(record).collect();
    let file = env::temp_dir().join(format!("rollcall-instructions-{}", std::process::id()));
    fs::write(&file, format!(r#"{{"users":[{}]}}"#, users.join(","))).expect("a file");
    let directory = FileDirectory::open(&file);
    fs::remove_file(&file).expect("a file");
    let directory = directory.expect("users");
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        let found = pin!(User::by_key(&directory, black_box(shown))).poll(&mut context);
        assert_eq!(found, Poll::Ready(Err(NoEntry::Unknown)));
    }
}

/// A key of which nothing is right.
fn wrong_key(times: usize) {
    show(&"x".repeat(64), times);
}

/// A key of which all is right but the last digit.
fn nearly_right_key(times: usize) {
    let mut shown = key(USERS / 2);
    shown.pop();
    shown.push('x');
    show(&shown, times);
}
