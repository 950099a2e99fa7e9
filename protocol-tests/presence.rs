//! Presence without sockets: what follows from the reports of several devices, which payloads are reports, and
//! what the gateway tells whom.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]
#![cfg(feature = "daemon")]

mod support;

use rollcall::{
    engineio::{
        Application, CloseReason, Message, Revision, SessionHandler,
        outbound::{Delivery, Inbox, Outbound},
    },
    presence::{Activity, BadReport, Change, Gateway, Hub, Report, Roster, State},
    socketio::{Client, Settings, SocketId, SocketIo},
    users::{KeyDigest, Role, User, UserId},
};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};
use support::Random;

// ---------------------------------------------------------------------------------------------------------
// The roster.

/// A user's devices go by letters, and what is told is written `1b PLAYING 42`: user 1, socket b.
#[derive(Default)]
struct Table {
    roster: Roster,
    sockets: HashMap<String, SocketId>,
}

impl Table {
    /// Does what a step says: `1a BUSY`, `1a PLAYING 42`, `1a OFFLINE`, `1a leaves`. What it answers begins
    /// with `tell` or `known`.
    fn step(&mut self, step: &str) -> String {
        let (device, what) = step.split_once(' ').expect("a device and what it does");
        let user: UserId = device[..device.len() - 1].parse().expect("a user");
        let socket = *self
            .sockets
            .entry(device.to_owned())
            .or_insert_with(|| SocketId::random().expect("random numbers"));
        let change = match what {
            "leaves" => self.roster.leave(user, socket),
            "OFFLINE" => self.roster.report(user, socket, Report::Withdrawn),
            state => self
                .roster
                .report(user, socket, Report::Doing(parse(state))),
        };
        match change {
            Change::Tell(activity) => format!("tell {}", self.show(activity)),
            Change::Known(activity) => format!("known {}", self.show(activity)),
        }
    }

    fn show(&self, activity: Activity) -> String {
        let (device, _) = self
            .sockets
            .iter()
            .find(|(_, socket)| **socket == activity.socket_id)
            .expect("a socket that is known");
        let user = activity.user_id.to_string();
        assert!(
            device.starts_with(&user),
            "a socket of the user it is told of"
        );
        let state = match activity.state {
            None => "OFFLINE".to_owned(),
            Some(State::Online) => "ONLINE".to_owned(),
            Some(State::Busy) => "BUSY".to_owned(),
            Some(State::Playing { game_id: None }) => "PLAYING".to_owned(),
            Some(State::Playing { game_id: Some(id) }) => format!("PLAYING {id}"),
        };
        format!("{device} {state}")
    }

    fn all(&self) -> String {
        let all: Vec<String> = self
            .roster
            .activities()
            .map(|activity| self.show(activity))
            .collect();
        all.join(", ")
    }
}

fn parse(state: &str) -> State {
    match state.split_once(' ') {
        None if state == "ONLINE" => State::Online,
        None if state == "BUSY" => State::Busy,
        None if state == "PLAYING" => State::Playing { game_id: None },
        Some(("PLAYING", id)) => State::Playing {
            game_id: Some(id.parse().expect("a game")),
        },
        _ => panic!("no state: {state}"),
    }
}

/// A name, the steps each with its answer, and what everyone knows in the end.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const CASES: &[Case] = &[
    ("nobody", &[], ""),
    (
        "one device",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1a PLAYING 42", "tell 1a PLAYING 42"),
            ("1a PLAYING 43", "tell 1a PLAYING 43"),
            ("1a PLAYING", "tell 1a PLAYING"),
            ("1a BUSY", "tell 1a BUSY"),
        ],
        "1a BUSY",
    ),
    (
        "repeats change nothing",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1a ONLINE", "known 1a ONLINE"),
            ("1a PLAYING 42", "tell 1a PLAYING 42"),
            ("1a PLAYING 42", "known 1a PLAYING 42"),
            ("1a PLAYING", "tell 1a PLAYING"),
            ("1a PLAYING", "known 1a PLAYING"),
        ],
        "1a PLAYING",
    ),
    (
        "the higher state wins, whoever came first",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1b BUSY", "tell 1b BUSY"),
            ("1c PLAYING 1", "tell 1c PLAYING 1"),
            ("2a PLAYING 1", "tell 2a PLAYING 1"),
            ("2b BUSY", "known 2a PLAYING 1"),
            ("2c ONLINE", "known 2a PLAYING 1"),
        ],
        "1c PLAYING 1, 2a PLAYING 1",
    ),
    (
        "busy is above online",
        &[("1a BUSY", "tell 1a BUSY"), ("1b ONLINE", "known 1a BUSY")],
        "1a BUSY",
    ),
    (
        "of equals the one that changed last wins",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1b ONLINE", "tell 1b ONLINE"),
            ("1c ONLINE", "tell 1c ONLINE"),
        ],
        "1c ONLINE",
    ),
    (
        "a repeat is no change, or two devices would take turns for ever",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1b ONLINE", "tell 1b ONLINE"),
            ("1a ONLINE", "known 1b ONLINE"),
            ("1b ONLINE", "known 1b ONLINE"),
            ("1a ONLINE", "known 1b ONLINE"),
        ],
        "1b ONLINE",
    ),
    (
        "another game is a change",
        &[
            ("1a PLAYING 1", "tell 1a PLAYING 1"),
            ("1b PLAYING 2", "tell 1b PLAYING 2"),
            ("1a PLAYING 1", "known 1b PLAYING 2"),
            ("1a PLAYING 3", "tell 1a PLAYING 3"),
            ("1b PLAYING", "tell 1b PLAYING"),
            ("1a PLAYING 3", "known 1b PLAYING"),
        ],
        "1b PLAYING",
    ),
    (
        "the same game on another device is told: the socket is another",
        &[
            ("1a PLAYING 1", "tell 1a PLAYING 1"),
            ("1b PLAYING 1", "tell 1b PLAYING 1"),
        ],
        "1b PLAYING 1",
    ),
    (
        "a winner that steps down leaves the place to the next",
        &[
            ("1a BUSY", "tell 1a BUSY"),
            ("1b PLAYING 7", "tell 1b PLAYING 7"),
            ("1b ONLINE", "tell 1a BUSY"),
            ("1a ONLINE", "tell 1a ONLINE"),
        ],
        "1a ONLINE",
    ),
    (
        "a winner that steps down beside an equal changed last",
        &[
            ("1a BUSY", "tell 1a BUSY"),
            ("1b PLAYING 7", "tell 1b PLAYING 7"),
            ("1b BUSY", "tell 1b BUSY"),
            ("1a BUSY", "known 1b BUSY"),
        ],
        "1b BUSY",
    ),
    (
        "a loser that changes is not heard of",
        &[
            ("1a PLAYING 7", "tell 1a PLAYING 7"),
            ("1b ONLINE", "known 1a PLAYING 7"),
            ("1b BUSY", "known 1a PLAYING 7"),
            ("1b OFFLINE", "known 1a PLAYING 7"),
            ("1b ONLINE", "known 1a PLAYING 7"),
        ],
        "1a PLAYING 7",
    ),
    (
        "OFFLINE withdraws",
        &[
            ("1a PLAYING 7", "tell 1a PLAYING 7"),
            ("1a OFFLINE", "tell 1a OFFLINE"),
            ("1a OFFLINE", "known 1a OFFLINE"),
            ("1a leaves", "known 1a OFFLINE"),
        ],
        "",
    ),
    (
        "a device that withdrew may come back",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1a OFFLINE", "tell 1a OFFLINE"),
            ("1a ONLINE", "tell 1a ONLINE"),
        ],
        "1a ONLINE",
    ),
    (
        "whoever comes back has changed last",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1b ONLINE", "tell 1b ONLINE"),
            ("1a OFFLINE", "known 1b ONLINE"),
            ("1a ONLINE", "tell 1a ONLINE"),
        ],
        "1a ONLINE",
    ),
    (
        "OFFLINE of one device uncovers the other",
        &[
            ("1a BUSY", "tell 1a BUSY"),
            ("1b PLAYING 7", "tell 1b PLAYING 7"),
            ("1b OFFLINE", "tell 1a BUSY"),
            ("1a OFFLINE", "tell 1a OFFLINE"),
        ],
        "",
    ),
    (
        "OFFLINE from a device that said nothing",
        &[
            ("1a OFFLINE", "known 1a OFFLINE"),
            ("1b ONLINE", "tell 1b ONLINE"),
            ("1a OFFLINE", "known 1b ONLINE"),
        ],
        "1b ONLINE",
    ),
    (
        "a winner that leaves falls back to the other, and that is told",
        &[
            ("1a BUSY", "tell 1a BUSY"),
            ("1b PLAYING 7", "tell 1b PLAYING 7"),
            ("1b leaves", "tell 1a BUSY"),
            ("1a leaves", "tell 1a OFFLINE"),
        ],
        "",
    ),
    (
        "among equals it falls back to the last but one",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1b ONLINE", "tell 1b ONLINE"),
            ("1c ONLINE", "tell 1c ONLINE"),
            ("1c leaves", "tell 1b ONLINE"),
            ("1b leaves", "tell 1a ONLINE"),
            ("1a leaves", "tell 1a OFFLINE"),
        ],
        "",
    ),
    (
        "a loser that leaves is silent",
        &[
            ("1a BUSY", "tell 1a BUSY"),
            ("1b PLAYING 7", "tell 1b PLAYING 7"),
            ("1a leaves", "known 1b PLAYING 7"),
            ("1b leaves", "tell 1b OFFLINE"),
        ],
        "",
    ),
    (
        "a socket that never said anything leaves in silence",
        &[
            ("1a leaves", "known 1a OFFLINE"),
            ("1b ONLINE", "tell 1b ONLINE"),
            ("1a leaves", "known 1b ONLINE"),
        ],
        "1b ONLINE",
    ),
    (
        "leaving twice is leaving once",
        &[
            ("1a ONLINE", "tell 1a ONLINE"),
            ("1a leaves", "tell 1a OFFLINE"),
            ("1a leaves", "known 1a OFFLINE"),
        ],
        "",
    ),
    (
        "users have nothing to do with each other, and stand in the order of their ids",
        &[
            ("10a PLAYING 1", "tell 10a PLAYING 1"),
            ("9a ONLINE", "tell 9a ONLINE"),
            ("9007199254740991a BUSY", "tell 9007199254740991a BUSY"),
            ("1a ONLINE", "tell 1a ONLINE"),
            ("10a leaves", "tell 10a OFFLINE"),
            ("9a OFFLINE", "tell 9a OFFLINE"),
            ("10b BUSY", "tell 10b BUSY"),
        ],
        "1a ONLINE, 10b BUSY, 9007199254740991a BUSY",
    ),
];

#[test]
fn roster() {
    for (name, steps, all) in CASES {
        let mut table = Table::default();
        for (number, (step, expected)) in steps.iter().enumerate() {
            assert_eq!(table.step(step), *expected, "{name}: step {number}, {step}");
        }
        assert_eq!(table.all(), *all, "{name}");
    }
}

/// Whoever only hears what is told knows what a newcomer is told.
#[test]
fn what_is_told_adds_up_to_what_is_known() {
    for seed in 1..=300 {
        let mut random = Random::new(seed);
        let mut roster = Roster::default();
        let sockets: Vec<SocketId> = (0..9)
            .map(|_| SocketId::random().expect("random numbers"))
            .collect();
        // By user: what each device said last, in the order in which they changed.
        let mut model: BTreeMap<UserId, Vec<(SocketId, State)>> = BTreeMap::new();
        let mut heard: BTreeMap<UserId, Activity> = BTreeMap::new();
        for _ in 0..200 {
            let device = random.below(9) as usize;
            let (user, socket) = (1 + device as UserId / 3, sockets[device]);
            let devices = model.entry(user).or_default();
            let place = devices.iter().position(|(its, _)| *its == socket);
            let change = match random.below(8) {
                0 | 1 => {
                    devices.retain(|(its, _)| *its != socket);
                    match random.below(2) {
                        0 => roster.leave(user, socket),
                        _ => roster.report(user, socket, Report::Withdrawn),
                    }
                }
                number => {
                    let state = match number {
                        2 | 3 => State::Online,
                        4 | 5 => State::Busy,
                        _ => State::Playing {
                            game_id: [None, Some(0), Some(1)][random.below(3) as usize],
                        },
                    };
                    if place.is_none_or(|place| devices[place].1 != state) {
                        devices.retain(|(its, _)| *its != socket);
                        devices.push((socket, state));
                    }
                    roster.report(user, socket, Report::Doing(state))
                }
            };
            if let Change::Tell(activity) = change {
                assert_eq!(activity.user_id, user, "seed {seed}");
                let before = match activity.state {
                    Some(_) => heard.insert(user, activity),
                    None => heard.remove(&user),
                };
                assert_ne!(before, Some(activity), "seed {seed}: that was known");
            }
            let rank = |state: &State| match state {
                State::Online => 0,
                State::Busy => 1,
                State::Playing { .. } => 2,
            };
            let expected: Vec<Activity> = model
                .iter()
                .filter_map(|(user, devices)| {
                    let (socket, state) = devices.iter().max_by_key(|(_, state)| rank(state))?;
                    Some(Activity {
                        user_id: *user,
                        socket_id: *socket,
                        state: Some(*state),
                    })
                })
                .collect();
            let known: Vec<Activity> = roster.activities().collect();
            assert_eq!(known, expected, "seed {seed}");
            let heard: Vec<Activity> = heard.values().copied().collect();
            assert_eq!(heard, expected, "seed {seed}");
        }
    }
}

#[test]
fn activities_on_the_wire() {
    let socket_id = SocketId::random().expect("random numbers");
    let playing = |game_id| Some(State::Playing { game_id });
    let table = [
        (None, r#""OFFLINE""#),
        (Some(State::Online), r#""ONLINE""#),
        (Some(State::Busy), r#""BUSY""#),
        (playing(None), r#""PLAYING""#),
        (playing(Some(0)), r#""PLAYING","game_id":0"#),
        (
            playing(Some(9_007_199_254_740_991)),
            r#""PLAYING","game_id":9007199254740991"#,
        ),
    ];
    for (state, tail) in table {
        let activity = Activity {
            user_id: 7,
            socket_id,
            state,
        };
        let wire = serde_json::to_string(&activity).expect("it can be encoded");
        let expected = format!(r#"{{"user_id":7,"socket_id":"{socket_id}","state":{tail}}}"#);
        assert_eq!(wire, expected);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Reports.

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json:.80}"))
}

/// Nested so deep, in various ways.
fn nested(levels: usize) -> [String; 3] {
    [
        format!("{}{}", "[".repeat(levels), "]".repeat(levels)),
        format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels)),
        format!(
            "{}1{}",
            r#"[{"a":"#.repeat(levels / 2),
            "}]".repeat(levels / 2)
        ),
    ]
}

const PLAYING_42: Report = Report::Doing(State::Playing { game_id: Some(42) });
const PLAYING: Report = Report::Doing(State::Playing { game_id: None });
const ONLINE: Report = Report::Doing(State::Online);
const BUSY: Report = Report::Doing(State::Busy);

fn good_reports() -> Vec<(String, Report)> {
    let playing = |game_id| {
        Report::Doing(State::Playing {
            game_id: Some(game_id),
        })
    };
    let largest = playing((1 << 53) - 1);
    let table = [
        (r#"{"state":"ONLINE"}"#, ONLINE),
        (r#"{"state":"BUSY"}"#, BUSY),
        (r#"{"state":"PLAYING"}"#, PLAYING),
        (r#"{"state":"OFFLINE"}"#, Report::Withdrawn),
        (r#"{"state":"PLAYING","game_id":42}"#, PLAYING_42),
        (r#"{"game_id":42,"state":"PLAYING"}"#, PLAYING_42),
        (
            "{ \"state\" : \"PLAYING\" ,\n\t\"game_id\" : 42 }",
            PLAYING_42,
        ),
        // No game is a game that is null.
        (r#"{"state":"PLAYING","game_id":null}"#, PLAYING),
        (r#"{"state":"ONLINE","game_id":null}"#, ONLINE),
        // JSON knows one kind of number.
        (r#"{"state":"PLAYING","game_id":42.0}"#, PLAYING_42),
        (r#"{"state":"PLAYING","game_id":42.000}"#, PLAYING_42),
        (r#"{"state":"PLAYING","game_id":4.2e1}"#, PLAYING_42),
        (r#"{"state":"PLAYING","game_id":420E-1}"#, PLAYING_42),
        (r#"{"state":"PLAYING","game_id":0}"#, playing(0)),
        (r#"{"state":"PLAYING","game_id":-0}"#, playing(0)),
        (r#"{"state":"PLAYING","game_id":-0.0}"#, playing(0)),
        (r#"{"state":"PLAYING","game_id":9007199254740991}"#, largest),
        (
            r#"{"state":"PLAYING","game_id":9007199254740991.0}"#,
            largest,
        ),
        (
            r#"{"state":"PLAYING","game_id":9007199254740990.0}"#,
            playing((1 << 53) - 2),
        ),
        (
            r#"{"state":"PLAYING","game_id":1e15}"#,
            playing(1_000_000_000_000_000),
        ),
        // A game counts for a player only.
        (r#"{"state":"ONLINE","game_id":42}"#, ONLINE),
        (r#"{"state":"BUSY","game_id":42}"#, BUSY),
        (r#"{"state":"OFFLINE","game_id":42}"#, Report::Withdrawn),
        // Unknown fields do not count.
        (
            r#"{"state":"BUSY","user_id":1,"socket_id":"x","extra":{"a":[1,null]}}"#,
            BUSY,
        ),
        (
            r#"{"state":"BUSY","":0,"State":"ONLINE","STATE":1,"gameId":-1}"#,
            BUSY,
        ),
        (
            r#"{"state":"BUSY","__proto__":{"state":"ONLINE"},"constructor":1}"#,
            BUSY,
        ),
        (r#"{"state":"BUSY","a":1,"a":2}"#, BUSY),
        (
            r#"{"state":"BUSY","a":1e400,"b":-1e400,"c":123456789012345678901234567890}"#,
            BUSY,
        ),
        (r#"{"state":"BUSY","a":"\ud800","b":"\udc00\ud800"}"#, BUSY),
        (
            r#"{"\ud800":1,"state":"BUSY","\udc00state":"ONLINE"}"#,
            BUSY,
        ),
        (r#"{"state":"BUSY","a":"\u0000\\\"]]]]}}}{{[["}"#, BUSY),
        // Of a field that is there twice the last counts, as in JavaScript.
        (r#"{"state":"ONLINE","state":"BUSY"}"#, BUSY),
        (r#"{"state":"AWAY","state":"BUSY"}"#, BUSY),
        (r#"{"state":null,"state":"BUSY"}"#, BUSY),
        (r#"{"state":"ONLINE","\u0073tate":"BUSY"}"#, BUSY),
        (
            r#"{"game_id":-1,"state":"PLAYING","game_id":42}"#,
            PLAYING_42,
        ),
        (
            r#"{"game_id":42,"state":"PLAYING","game_id":null}"#,
            PLAYING,
        ),
        // Escapes are another way to write the same.
        (r#"{"\u0073tate":"BUSY"}"#, BUSY),
        (r#"{"state":"\u0042USY"}"#, BUSY),
    ];
    let mut table: Vec<(String, Report)> = table
        .into_iter()
        .map(|(json, report)| (json.to_owned(), report))
        .collect();
    // Room for what other programs add: 64 levels, one of them the payload itself.
    for deep in nested(62) {
        table.push((format!(r#"{{"state":"BUSY","extra":[{deep}]}}"#), BUSY));
    }
    let brackets = "[".repeat(10_000);
    table.push((format!(r#"{{"state":"BUSY","extra":"{brackets}"}}"#), BUSY));
    let wide = "[],".repeat(10_000);
    table.push((format!(r#"{{"state":"BUSY","extra":[{wide}[]]}}"#), BUSY));
    table
}

/// What is no report, and why.
fn bad_reports() -> Vec<(String, BadReport)> {
    use BadReport::{GameId, Missing, NoState, NotAnObject, TooDeep, UnknownState};
    let table = [
        ("null", Missing),
        ("[]", NotAnObject),
        (r#"["ONLINE"]"#, NotAnObject),
        (r#"["ONLINE",42]"#, NotAnObject),
        (r#"[{"state":"ONLINE"}]"#, NotAnObject),
        (r#""ONLINE""#, NotAnObject),
        (r#""{\"state\":\"ONLINE\"}""#, NotAnObject),
        ("42", NotAnObject),
        ("-1e400", NotAnObject),
        ("true", NotAnObject),
        ("false", NotAnObject),
        (r#""""#, NotAnObject),
        (r#""\ud800""#, NotAnObject),
        ("{}", NoState),
        (r#"{"game_id":42}"#, NoState),
        (r#"{"State":"ONLINE"}"#, NoState),
        (r#"{"state ":"ONLINE"}"#, NoState),
        (r#"{"state":null}"#, NoState),
        (r#"{"state":"ONLINE","state":null}"#, NoState),
        (r#"{"state":""}"#, UnknownState),
        (r#"{"state":"online"}"#, UnknownState),
        (r#"{"state":"Online"}"#, UnknownState),
        (r#"{"state":"ONLINE "}"#, UnknownState),
        (r#"{"state":" ONLINE"}"#, UnknownState),
        (r#"{"state":"ONLINE\u0000"}"#, UnknownState),
        (r#"{"state":"AWAY"}"#, UnknownState),
        (r#"{"state":"null"}"#, UnknownState),
        (r#"{"state":"__proto__"}"#, UnknownState),
        (r#"{"state":"\ud800"}"#, UnknownState),
        (r#"{"state":"ONLINE\udc00"}"#, UnknownState),
        (r#"{"state":0}"#, UnknownState),
        (r#"{"state":1e400}"#, UnknownState),
        (r#"{"state":true}"#, UnknownState),
        (r#"{"state":["ONLINE"]}"#, UnknownState),
        (r#"{"state":{"ONLINE":1}}"#, UnknownState),
        (r#"{"state":{"toString":"ONLINE"}}"#, UnknownState),
        (r#"{"state":"ONLINE","state":"AWAY"}"#, UnknownState),
        (r#"{"state":"PLAYING","game_id":-1}"#, GameId),
        (r#"{"state":"PLAYING","game_id":-42.0}"#, GameId),
        (r#"{"state":"PLAYING","game_id":1.5}"#, GameId),
        (r#"{"state":"PLAYING","game_id":0.1}"#, GameId),
        (r#"{"state":"PLAYING","game_id":1e-1}"#, GameId),
        (r#"{"state":"PLAYING","game_id":"42"}"#, GameId),
        (r#"{"state":"PLAYING","game_id":""}"#, GameId),
        (r#"{"state":"PLAYING","game_id":"\ud800"}"#, GameId),
        (r#"{"state":"PLAYING","game_id":true}"#, GameId),
        (r#"{"state":"PLAYING","game_id":false}"#, GameId),
        (r#"{"state":"PLAYING","game_id":[42]}"#, GameId),
        (r#"{"state":"PLAYING","game_id":[]}"#, GameId),
        (r#"{"state":"PLAYING","game_id":{}}"#, GameId),
        // What serde_json uses inside must not be a way in.
        (
            r#"{"state":"PLAYING","game_id":{"$serde_json::private::Number":"42"}}"#,
            GameId,
        ),
        (
            r#"{"state":"PLAYING","game_id":{"$serde_json::private::RawValue":"42"}}"#,
            GameId,
        ),
        (r#"{"state":"PLAYING","game_id":9007199254740992}"#, GameId),
        (
            r#"{"state":"PLAYING","game_id":9007199254740992.0}"#,
            GameId,
        ),
        (r#"{"state":"PLAYING","game_id":9007199254740993}"#, GameId),
        (
            r#"{"state":"PLAYING","game_id":18446744073709551615}"#,
            GameId,
        ),
        (
            r#"{"state":"PLAYING","game_id":18446744073709551616}"#,
            GameId,
        ),
        (
            r#"{"state":"PLAYING","game_id":-9223372036854775809}"#,
            GameId,
        ),
        (r#"{"state":"PLAYING","game_id":1e16}"#, GameId),
        (r#"{"state":"PLAYING","game_id":1e308}"#, GameId),
        (r#"{"state":"PLAYING","game_id":1e400}"#, GameId),
        (r#"{"state":"PLAYING","game_id":-1e400}"#, GameId),
        (r#"{"state":"PLAYING","game_id":42,"game_id":-1}"#, GameId),
        // A wrong game is wrong whatever the state.
        (r#"{"state":"ONLINE","game_id":-1}"#, GameId),
        (r#"{"state":"OFFLINE","game_id":"x"}"#, GameId),
    ];
    let mut table: Vec<(String, BadReport)> = table
        .into_iter()
        .map(|(json, error)| (json.to_owned(), error))
        .collect();
    let digits = "9".repeat(10_000);
    table.push((
        format!(r#"{{"state":"PLAYING","game_id":{digits}}}"#),
        GameId,
    ));
    let long = "x".repeat(100_000);
    table.push((format!(r#"{{"state":"{long}"}}"#), UnknownState));
    // 65 levels with the payload itself, and 10,000, wherever they stand.
    for deep in nested(64).into_iter().chain(nested(10_000)) {
        for payload in [
            format!(r#"{{"state":"BUSY","extra":{deep}}}"#),
            format!(r#"{{"extra":{deep},"state":"BUSY"}}"#),
            format!(r#"{{"state":{deep}}}"#),
            format!(r#"{{"state":"PLAYING","game_id":{deep}}}"#),
            format!(r#"{{"a\"]}}":"\\","state":"BUSY","extra":{deep}}}"#),
        ] {
            table.push((payload, TooDeep));
        }
    }
    for deep in nested(10_000) {
        table.push((deep, TooDeep));
    }
    table
}

#[test]
fn reports() {
    let mut wrong = Vec::new();
    for (json, expected) in good_reports() {
        let report = Report::parse(Some(raw(&json)));
        if report != Ok(expected) {
            wrong.push(format!("{json:.100}: {report:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_report() {
    assert_eq!(Report::parse(None), Err(BadReport::Missing));
    let mut wrong = Vec::new();
    for (json, expected) in bad_reports() {
        let report = Report::parse(Some(raw(&json)));
        if report != Err(expected) {
            wrong.push(format!("{json:.100}: {report:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_refusal_says_what_would_do() {
    let states = "ONLINE, BUSY, PLAYING or OFFLINE";
    let table = [
        (BadReport::Missing, "state"),
        (BadReport::NotAnObject, "object"),
        (BadReport::TooDeep, "64"),
        (BadReport::NoState, states),
        (BadReport::UnknownState, states),
        (
            BadReport::GameId,
            "game_id must be a whole number from 0 to 9007199254740991",
        ),
    ];
    for (error, says) in table {
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn no_payload_does_harm_whatever_is_wrong_with_it() {
    // Every byte of the shorter rows changed: what still is JSON is a report or is not.
    for (json, _) in good_reports() {
        let mut bytes = json.into_bytes();
        if bytes.len() > 500 {
            continue;
        }
        for place in 0..bytes.len() {
            for mask in [0x01, 0x02, 0x20, 0x80] {
                bytes[place] ^= mask;
                let text = String::from_utf8_lossy(&bytes);
                if let Ok(payload) = serde_json::from_str::<&RawValue>(&text) {
                    let _report = Report::parse(Some(payload));
                }
                bytes[place] ^= mask;
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// The gateway, with clients that are two ends of a queue.

struct Community {
    application: SocketIo<Option<Arc<User>>>,
}

/// A client, and what waits for it.
struct Player {
    client: Client<Option<Arc<User>>>,
    outbound: Outbound,
    socket_id: String,
}

impl Community {
    fn new(ring: usize) -> Self {
        let mut io = SocketIo::builder(Settings::default());
        io.of("/", Gateway::new(Hub::new(ring)));
        Self {
            application: io.build(),
        }
    }

    /// A user joins, and is told what is known.
    fn join(&self, id: UserId) -> (Player, Value) {
        let user = Some(Arc::new(User {
            id,
            username: format!("user {id}"),
            role: Role::User,
            activated: true,
            deleted_at: None,
            key_digest: KeyDigest::of("no key"),
        }));
        let user = Arc::new(user);
        let inbox = Arc::new(Inbox::new(4 << 20));
        let outbound = Outbound::new(Arc::clone(&inbox));
        let client = self
            .application
            .open(Instant::now(), Revision::V4, user, inbox);
        let mut player = Player {
            client,
            outbound,
            socket_id: String::new(),
        };
        player.says("0");
        let welcome = player.hears();
        let [connected, activities] = &welcome[..] else {
            panic!("a newcomer is told two things: {welcome:?}");
        };
        let connected = connected.strip_prefix("40").expect("yes to the CONNECT");
        let connected: Value = serde_json::from_str(connected).expect("JSON");
        let socket_id = connected["sid"].as_str().expect("a socket id");
        player.socket_id = socket_id.to_owned();
        let (name, activities) = event(activities);
        assert_eq!(name, "activities");
        (player, activities)
    }
}

impl Player {
    #[track_caller]
    fn says(&mut self, message: &str) {
        let outcome = self
            .client
            .handle_message(Instant::now(), Message::Text(message));
        assert!(outcome.is_ok(), "{outcome:?}: {message:.100}");
    }

    #[track_caller]
    fn sets(&mut self, activity: &str) {
        self.says(&format!(r#"2["set-activity",{activity}]"#));
    }

    fn hears(&mut self) -> Vec<String> {
        let mut context = Context::from_waker(Waker::noop());
        let next = || match self.outbound.poll_next(&mut context) {
            Poll::Ready(Delivery::Frame(frame)) => {
                Some(String::from_utf8(frame.bytes().to_vec()).expect("UTF-8"))
            }
            Poll::Ready(Delivery::Close(reason)) => panic!("closed: {reason}"),
            Poll::Pending => None,
        };
        std::iter::from_fn(next).collect()
    }

    /// Asserts that it hears of these activities and of nothing else.
    #[track_caller]
    fn hears_of(&mut self, activities: &[&Value]) {
        let heard: Vec<(String, Value)> = self.hears().iter().map(|frame| event(frame)).collect();
        let expected: Vec<(String, Value)> = activities
            .iter()
            .map(|activity| ("activity".to_owned(), Value::clone(activity)))
            .collect();
        assert_eq!(heard, expected);
    }

    fn leaves(mut self) {
        let last_word = self
            .client
            .handle_close(Instant::now(), CloseReason::TransportClosed);
        assert!(last_word.is_empty());
    }
}

/// An event of one argument.
#[track_caller]
fn event(frame: &str) -> (String, Value) {
    let json = frame
        .strip_prefix("42")
        .unwrap_or_else(|| panic!("no event: {frame}"));
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {frame}"))
}

/// The argument of an ack.
#[track_caller]
fn ack(frame: &str, id: u64) -> Value {
    let json = frame
        .strip_prefix(&format!("43{id}"))
        .unwrap_or_else(|| panic!("not the ack {id}: {frame}"));
    let [argument]: [Value; 1] = serde_json::from_str(json).expect("one argument");
    argument
}

fn offline(user_id: UserId, socket_id: &str) -> Value {
    json!({"user_id": user_id, "socket_id": socket_id, "state": "OFFLINE"})
}

#[test]
fn everyone_hears_of_a_change_the_sender_too() {
    let community = Community::new(16);
    let (mut alice, known) = community.join(1);
    assert_eq!(known, json!([]));
    let (mut bob, _) = community.join(2);

    alice.sets(r#"{"state":"PLAYING","game_id":42.0,"extra":1}"#);
    let socket_id = alice.socket_id.clone();
    let playing = json!({"user_id": 1, "socket_id": socket_id, "state": "PLAYING", "game_id": 42});
    alice.hears_of(&[&playing]);
    bob.hears_of(&[&playing]);

    // What everyone knows is confirmed to its sender alone.
    alice.sets(r#"{"state":"PLAYING","game_id":42}"#);
    alice.hears_of(&[&playing]);
    bob.hears_of(&[]);

    bob.sets(r#"{"state":"BUSY","game_id":42}"#);
    let busy = json!({"user_id": 2, "socket_id": bob.socket_id, "state": "BUSY"});
    alice.hears_of(&[&busy]);
    bob.hears_of(&[&busy]);

    let (mut carol, known) = community.join(3);
    assert_eq!(known, json!([playing, busy]));
    let alice_is_gone = offline(1, &alice.socket_id);
    let bob_is_gone = offline(2, &bob.socket_id);
    alice.sets(r#"{"state":"OFFLINE"}"#);
    bob.leaves();
    alice.hears_of(&[&alice_is_gone, &bob_is_gone]);
    carol.hears_of(&[&alice_is_gone, &bob_is_gone]);
    carol.leaves();
    alice.hears_of(&[]);
    let (_, known) = community.join(4);
    assert_eq!(known, json!([]));
}

#[test]
fn answers_come_behind_what_they_answer() {
    let community = Community::new(16);
    let (mut alice, _) = community.join(1);
    alice.says(r#"27["set-activity",{"state":"ONLINE"}]"#);
    let online = json!({"user_id": 1, "socket_id": alice.socket_id, "state": "ONLINE"});
    let heard = alice.hears();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(event(&heard[0]), ("activity".to_owned(), online.clone()));
    let expected = json!({"status": "ok", "activity": online});
    assert_eq!(ack(&heard[1], 7), expected);

    alice.says(r#"20["get-activities"]"#);
    let heard = alice.hears();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(event(&heard[0]), ("activities".to_owned(), json!([online])));
    assert_eq!(ack(&heard[1], 0), json!([online]));

    // Nobody listens for these, and nobody answers.
    alice.says(r#"21["unknown",1]"#);
    alice.says("22[7]");
    assert_eq!(alice.hears(), [""; 0]);
}

#[test]
fn a_bad_payload_is_refused_to_its_sender_and_nobody_else_notices() {
    let community = Community::new(16);
    let (mut alice, _) = community.join(1);
    let (mut bob, _) = community.join(2);
    let missing = std::iter::once((None, BadReport::Missing));
    let bad = bad_reports()
        .into_iter()
        .map(|(json, error)| (Some(json), error));
    for (payload, error) in missing.chain(bad) {
        let argument = payload.as_ref().map(|json| format!(",{json}"));
        let message = format!(r#"27["set-activity"{}]"#, argument.unwrap_or_default());
        let outcome = alice
            .client
            .handle_message(Instant::now(), Message::Text(&message));
        if outcome.is_err() {
            // The session's end is a refusal too. It takes more than a report may be nested.
            assert_eq!(error, BadReport::TooDeep, "{message:.100}");
            continue;
        }
        let heard = alice.hears();
        let [exception, refusal] = &heard[..] else {
            panic!(
                "an exception and an ack, not {} frames: {message:.100}",
                heard.len()
            );
        };
        let says = error.to_string();
        let expected = json!({"status": "error", "message": says});
        assert_eq!(ack(refusal, 7), expected, "{message:.100}");
        let start = format!(
            r#"42["exception",{{"status":"error","message":"{says}","cause":{{"pattern":"set-activity""#
        );
        let rest = exception
            .strip_prefix(&start)
            .unwrap_or_else(|| panic!("{exception:.200}"));
        // The payload comes back exactly, or not at all if it is long.
        let echo = payload
            .filter(|json| json.len() <= 1024)
            .map(|json| format!(r#","data":{json}"#));
        assert_eq!(rest, format!("{}}}}}]", echo.unwrap_or_default()));
        assert_eq!(bob.hears(), [""; 0], "{message:.100}");
    }
    let (_, known) = community.join(3);
    assert_eq!(known, json!([]), "nothing is stored");
}

#[test]
fn a_client_that_lagged_is_told_what_is_known() {
    let community = Community::new(4);
    let (mut alice, _) = community.join(1);
    let (mut bob, _) = community.join(2);
    for game in 0..100 {
        alice.sets(&format!(r#"{{"state":"PLAYING","game_id":{game}}}"#));
        assert_eq!(alice.hears().len(), 1);
    }
    let socket_id = alice.socket_id.clone();
    let playing = json!({"user_id": 1, "socket_id": socket_id, "state": "PLAYING", "game_id": 99});
    let heard: Vec<_> = bob.hears().iter().map(|frame| event(frame)).collect();
    assert_eq!(heard, [("activities".to_owned(), json!([playing]))]);
    alice.sets(r#"{"state":"OFFLINE"}"#);
    bob.hears_of(&[&offline(1, &alice.socket_id)]);
}

#[test]
fn whoever_left_the_namespace_hears_and_counts_no_more() {
    let community = Community::new(16);
    let (mut alice, _) = community.join(1);
    let (mut bob, _) = community.join(2);
    alice.sets(r#"{"state":"BUSY"}"#);
    bob.hears();
    alice.hears();
    alice.says("1");
    bob.hears_of(&[&offline(1, &alice.socket_id)]);
    bob.sets(r#"{"state":"ONLINE"}"#);
    assert_eq!(alice.hears(), [""; 0]);
    alice.says("0");
    let welcome = alice.hears();
    assert_eq!(welcome.len(), 2, "as a newcomer");
    let same = format!(r#"40{{"sid":"{}"}}"#, alice.socket_id);
    assert_ne!(welcome[0], same, "and under a new id");
}
