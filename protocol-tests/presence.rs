//! Presence without sockets: which payloads are reports, which say what a client watches, and what the gateway tells
//! whom.

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
    presence::{
        Activity, BadInterest, BadReport, Claim, Doing, Gateway, Hub, Interest, Intervals, Keeper,
        MAX_DETAILS, MAX_WATCHED, Published, Rate, Report, Rules, State, Visitor,
    },
    socketio::{Client, Settings, SocketId, SocketIo},
    users::{KeyDigest, Role, User, UserFile, UserId},
};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeSet,
    fs,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

// ---------------------------------------------------------------------------------------------------------
// Activities.

#[test]
fn activities_on_the_wire() {
    let socket_id = SocketId::random().expect("random numbers");
    let playing = |game_id| Some(State::Playing { game_id });
    let table = [
        (None, None, r#""OFFLINE""#),
        (Some(State::Online), None, r#""ONLINE""#),
        (Some(State::Busy), None, r#""BUSY""#),
        (playing(None), None, r#""PLAYING""#),
        (playing(Some(0)), None, r#""PLAYING","game_id":0"#),
        (
            playing(Some(9_007_199_254_740_991)),
            Some("é \"🎮\""),
            r#""PLAYING","game_id":9007199254740991,"details":"é \"🎮\"""#,
        ),
        (
            Some(State::Busy),
            Some("a call"),
            r#""BUSY","details":"a call""#,
        ),
    ];
    for (state, details, tail) in table {
        let doing = state.map(|state| Doing {
            state,
            details: details.map(Arc::from),
        });
        let activity = Activity {
            user_id: 7,
            socket_id,
            doing,
            since: 1_700_000_000_000,
        };
        let start = format!(r#"{{"user_id":7,"socket_id":"{socket_id}","state":{tail}"#);
        let wire = serde_json::to_string(&activity).expect("it can be encoded");
        assert_eq!(wire, format!(r#"{start},"since":1700000000000}}"#));
        let wire = serde_json::to_string(&Published { activity, seq: 9 });
        let expected = format!(r#"{start},"since":1700000000000,"seq":9}}"#);
        assert_eq!(wire.expect("it can be encoded"), expected);
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

const PLAYING_42: Report = just(State::Playing { game_id: Some(42) });
const PLAYING: Report = just(State::Playing { game_id: None });
const ONLINE: Report = just(State::Online);
const BUSY: Report = just(State::Busy);

/// A state and no words.
const fn just(state: State) -> Report {
    Report::Doing(Doing {
        state,
        details: None,
    })
}

/// Busy, in these words.
fn busy_with(details: &str) -> Report {
    Report::Doing(Doing {
        state: State::Busy,
        details: Some(Arc::from(details)),
    })
}

fn good_reports() -> Vec<(String, Report)> {
    let playing = |game_id| {
        just(State::Playing {
            game_id: Some(game_id),
        })
    };
    let largest = || playing((1 << 53) - 1);
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
        (r#"{"state":"PLAYING","game_id":0.00e9}"#, playing(0)),
        (
            r#"{"state":"PLAYING","game_id":42.00000000000000000000000000}"#,
            PLAYING_42,
        ),
        (
            r#"{"state":"PLAYING","game_id":9007199254740991}"#,
            largest(),
        ),
        (
            r#"{"state":"PLAYING","game_id":9007199254740991.0}"#,
            largest(),
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
        // Words: no words are none.
        (
            r#"{"state":"BUSY","details":"in a call"}"#,
            busy_with("in a call"),
        ),
        (
            r#"{"state":"BUSY","details":"\u0069n a\u0020call"}"#,
            busy_with("in a call"),
        ),
        (r#"{"state":"BUSY","details":null}"#, BUSY),
        (r#"{"state":"BUSY","details":""}"#, BUSY),
        (r#"{"state":"BUSY","details":" "}"#, busy_with(" ")),
        (
            r#"{"state":"BUSY","details":7,"details":"x"}"#,
            busy_with("x"),
        ),
        (
            r#"{"state":"BUSY","details":"<b>\"\ud83d\ude00\u2028"}"#,
            busy_with("<b>\"😀\u{2028}"),
        ),
        (r#"{"state":"OFFLINE","details":"bye"}"#, Report::Withdrawn),
        // Escapes are another way to write the same.
        (r#"{"\u0073tate":"BUSY"}"#, BUSY),
        (r#"{"state":"\u0042USY"}"#, BUSY),
    ];
    let mut table: Vec<(String, Report)> = table
        .into_iter()
        .map(|(json, report)| (json.to_owned(), report))
        .collect();
    // Characters are counted, not bytes, nor what JavaScript counts.
    for one in ["x", "é", "😀"] {
        let longest = one.repeat(MAX_DETAILS);
        let json = json!({"state": "BUSY", "details": longest}).to_string();
        table.push((json, busy_with(&longest)));
    }
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
    use BadReport::{Details, GameId, Missing, NoState, NotAnObject, TooDeep, UnknownState};
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
        (r#"{"state":"PLAYING","game_id":-0}"#, GameId),
        (r#"{"state":"PLAYING","game_id":-0.0}"#, GameId),
        (r#"{"state":"PLAYING","game_id":1e-400}"#, GameId),
        (
            r#"{"state":"PLAYING","game_id":9007199254740990.6}"#,
            GameId,
        ),
        (
            r#"{"state":"PLAYING","game_id":1e-9223372036854775808}"#,
            GameId,
        ),
        (
            r#"{"state":"PLAYING","game_id":1.5e-9223372036854775808}"#,
            GameId,
        ),
        (
            r#"{"state":"PLAYING","game_id":10e9223372036854775807}"#,
            GameId,
        ),
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
        (r#"{"state":"BUSY","details":7}"#, Details),
        (r#"{"state":"BUSY","details":true}"#, Details),
        (r#"{"state":"BUSY","details":["x"]}"#, Details),
        (r#"{"state":"BUSY","details":{}}"#, Details),
        (r#"{"state":"BUSY","details":"\ud800"}"#, Details),
        (r#"{"state":"BUSY","details":"x\ny"}"#, Details),
        (r#"{"state":"BUSY","details":"\u0000"}"#, Details),
        (r#"{"state":"BUSY","details":"\u001b[2J"}"#, Details),
        (r#"{"state":"BUSY","details":"\u007f"}"#, Details),
        (r#"{"state":"BUSY","details":"\u0085"}"#, Details),
        (r#"{"state":"OFFLINE","details":7}"#, Details),
        // A wrong game is wrong whatever the state.
        (r#"{"state":"ONLINE","game_id":-1}"#, GameId),
        (r#"{"state":"OFFLINE","game_id":"x"}"#, GameId),
    ];
    let mut table: Vec<(String, BadReport)> = table
        .into_iter()
        .map(|(json, error)| (json.to_owned(), error))
        .collect();
    for one in ["x", "é", "😀"] {
        let too_long = one.repeat(MAX_DETAILS + 1);
        let json = json!({"state": "BUSY", "details": too_long}).to_string();
        table.push((json, Details));
    }
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
        if report.as_ref() != Ok(&expected) {
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
        (
            BadReport::Details,
            "details must be a text of at most 128 characters",
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
// Interests.

/// Watches these.
fn users(ids: impl IntoIterator<Item = UserId>) -> Interest {
    Interest::Users(Arc::new(ids.into_iter().collect()))
}

fn good_interests() -> Vec<(String, Interest)> {
    let table = [
        (r#"{"all":true}"#, Interest::All),
        (r#"{ "all" : true , "extra" : [[]] }"#, Interest::All),
        (r#"{"users":[]}"#, users([])),
        (r#"{"users":[1,2,1]}"#, users([1, 2])),
        (r#"{"users":[9007199254740991]}"#, users([(1 << 53) - 1])),
        // Nobody has these ids, which is no mistake: users come and go.
        (
            r#"{"users":[0,18446744073709551615]}"#,
            users([0, u64::MAX]),
        ),
        // What is null is not there.
        (r#"{"all":null,"users":[1]}"#, users([1])),
        (r#"{"all":true,"users":null}"#, Interest::All),
        // As in a report: the last of a name counts, names of others may be anything, and there is one kind of number.
        (r#"{"all":true,"all":true}"#, Interest::All),
        (
            r#"{"users":1,"all":true,"users":[1],"all":null}"#,
            users([1]),
        ),
        (r#"{"all":true,"\ud800":1}"#, Interest::All),
        (r#"{"users":[1.0,2e0,30e-1]}"#, users([1, 2, 3])),
    ];
    let mut table: Vec<(String, Interest)> = table
        .into_iter()
        .map(|(json, interest)| (json.to_owned(), interest))
        .collect();
    let most = MAX_WATCHED as u64;
    table.push((
        json!({"users": Vec::from_iter(0..most)}).to_string(),
        users(0..most),
    ));
    table
}

/// What says no interest, and why.
fn bad_interests() -> Vec<(String, BadInterest)> {
    use BadInterest::{All, Neither, TooMany, Users};
    let table = [
        ("null", Neither),
        ("[]", Neither),
        ("[true]", Neither),
        ("[true,null]", Neither),
        ("[null,[1]]", Neither),
        ("[1,2]", Neither),
        ("true", Neither),
        (r#""all""#, Neither),
        ("7", Neither),
        ("{}", Neither),
        (r#"{"All":true}"#, Neither),
        (r#"{"all":null}"#, Neither),
        (r#"{"all":true,"users":[1]}"#, Neither),
        (r#"{"all":false,"users":[1]}"#, Neither),
        (r#"{"all":false}"#, All),
        (r#"{"all":"true"}"#, All),
        (r#"{"all":1}"#, All),
        (r#"{"all":[true]}"#, All),
        (r#"{"users":1}"#, Users),
        (r#"{"users":"1"}"#, Users),
        (r#"{"users":true}"#, Users),
        (r#"{"users":{"0":1}}"#, Users),
        (r#"{"users":["1"]}"#, Users),
        (r#"{"users":[1,null]}"#, Users),
        (r#"{"users":[-1]}"#, Users),
        (r#"{"users":[1.5]}"#, Users),
        (r#"{"users":[1,1.0000000000000000001]}"#, Users),
        (r#"{"users":[18446744073709551616]}"#, Users),
        (r#"{"users":[[1]]}"#, Users),
        (r#"{"users":[1,"x"]}"#, Users),
    ];
    let mut table: Vec<(String, BadInterest)> = table
        .into_iter()
        .map(|(json, error)| (json.to_owned(), error))
        .collect();
    for too_many in [MAX_WATCHED as u64 + 1, 100_000] {
        let json = json!({"users": Vec::from_iter(0..too_many)}).to_string();
        table.push((json, TooMany));
    }
    // The same one a thousand and one times is too many, too.
    table.push((
        json!({"users": vec![1; MAX_WATCHED + 1]}).to_string(),
        TooMany,
    ));
    table
}

#[test]
fn interests() {
    let mut wrong = Vec::new();
    let good = good_interests()
        .into_iter()
        .map(|(json, interest)| (json, Ok(interest)));
    let bad = bad_interests()
        .into_iter()
        .map(|(json, error)| (json, Err(error)));
    for (json, expected) in good.chain(bad) {
        let interest = Interest::parse(Some(raw(&json)));
        if interest != expected {
            wrong.push(format!("{json:.100}: {interest:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(Interest::parse(None), Err(BadInterest::Neither));
    for (error, says) in [
        (BadInterest::Neither, "users"),
        (BadInterest::All, "all must be true"),
        (BadInterest::Users, "users must be a list"),
        (BadInterest::TooMany, "users must not have more than 1000"),
    ] {
        assert!(error.to_string().contains(says), "{error}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// The gateway, with clients that are two ends of a queue.

fn user(id: UserId) -> User {
    User {
        id,
        username: format!("user {id}"),
        role: Role::User,
        activated: true,
        deleted_at: None,
        key_digest: KeyDigest::of("no key"),
    }
}

struct Community {
    application: SocketIo<Visitor>,
}

/// A client, and what waits for it.
struct Player {
    client: Client<Visitor>,
    outbound: Outbound,
    socket_id: String,
}

impl Community {
    fn new(ring: usize) -> Self {
        let mut io = SocketIo::builder(Settings::default());
        io.of("/", Gateway::new(Hub::new(ring, Rules::default())));
        Self {
            application: io.build(),
        }
    }

    /// A user joins, and is told what is known.
    fn join(&self, id: UserId) -> (Player, Value) {
        let user = Arc::new(Visitor::User(Arc::new(user(id))));
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
            .handle_close(Instant::now(), CloseReason::ClientClosed);
        assert!(last_word.is_empty());
    }
}

/// An event of one argument.
#[track_caller]
fn event(frame: &str) -> (String, Value) {
    let json = frame
        .strip_prefix("42")
        .unwrap_or_else(|| panic!("no event: {frame}"));
    let (name, argument): (String, Value) =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {frame}"));
    let argument = bare(argument, name == "activity");
    (name, argument)
}

/// Activities without what depends on when they came: `since`, and `seq` where it has to be.
#[track_caller]
fn bare(mut value: Value, has_seq: bool) -> Value {
    match &mut value {
        Value::Array(activities) => {
            for activity in activities {
                *activity = bare(activity.take(), has_seq);
            }
        }
        Value::Object(members) if members.contains_key("user_id") => {
            let since = members.remove("since").and_then(|since| since.as_u64());
            let since = since.unwrap_or_else(|| panic!("no since: {members:?}"));
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.expect("a clock").as_millis();
            let age = now.checked_sub(since.into());
            assert!(age.is_some_and(|age| age < 600_000), "since {since}");
            let seq = members.remove("seq").map(|seq| seq.is_u64());
            assert_eq!(seq, has_seq.then_some(true), "seq: {members:?}");
        }
        Value::Object(members) => {
            if let Some(activity) = members.get_mut("activity") {
                *activity = bare(activity.take(), has_seq);
            }
        }
        _ => {}
    }
    value
}

/// The argument of an ack.
#[track_caller]
fn ack(frame: &str, id: u64) -> Value {
    let json = frame
        .strip_prefix(&format!("43{id}"))
        .unwrap_or_else(|| panic!("not the ack {id}: {frame}"));
    let [argument]: [Value; 1] = serde_json::from_str(json).expect("one argument");
    bare(argument, false)
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
fn those_who_lag_behind_at_different_times_share_one_snapshot() {
    let community = Community::new(64);
    let (mut alice, _) = community.join(1);
    let mut others: Vec<_> = (2..102).map(|id| community.join(id).0).collect();
    for other in &mut others {
        other.sets(r#"{"state":"PLAYING","details":"something else"}"#);
    }
    alice.hears();
    let mut game = 0;
    let mut play = || {
        game += 1;
        alice.sets(&format!(r#"{{"state":"PLAYING","game_id":{game}}}"#));
        assert_eq!(alice.hears().len(), 1);
        game
    };
    for _ in 0..100 {
        play();
    }
    let mut snapshots = BTreeSet::new();
    for other in &mut others[..20] {
        let game = play();
        let heard = other.hears();
        let (_, last) = event(heard.last().expect("a snapshot"));
        let last = last.get(0).unwrap_or(&last);
        assert_eq!(
            last["game_id"], game,
            "and it knows what has happened since"
        );
        snapshots.insert(heard[0].clone());
    }
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    // It is gone when it would help nobody any more.
    for _ in 0..100 {
        play();
    }
    let game = play();
    let heard = others[0].hears();
    assert_eq!(event(&heard[0]).1[0]["game_id"], game, "{heard:?}");
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

#[test]
fn what_falls_due_is_done_though_nobody_says_anything() {
    // On one thread, so that the timekeeper waits when it is said to.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let test = async {
        let rules = Rules {
            grace: support::milliseconds(50),
            rate: Rate::default(),
        };
        let hub = Hub::new(16, rules);
        let timekeeper = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.keep_time().await }
        });
        // It waits already, for nothing.
        tokio::task::yield_now().await;
        let id = || SocketId::random().expect("random numbers");
        let busy = || Doing {
            state: State::Busy,
            details: None,
        };
        let is_gone = || hub.activities().0.is_empty();
        hub.restore(vec![Activity {
            user_id: 1,
            socket_id: id(),
            doing: Some(busy()),
            since: 0,
        }]);
        assert!(!is_gone());
        support::until(is_gone).await;

        // Another waits for longer.
        let hour = std::time::Duration::from_secs(3600);
        let lease = |user_id, ttl| hub.lease(&user(user_id), id(), Some(busy()), ttl).map(drop);
        lease(2, hour).expect("a lease");
        lease(3, support::milliseconds(50)).expect("a lease");
        support::until(|| hub.activity(3).is_none()).await;
        let (activities, seq) = hub.activities();
        assert_eq!((activities.len(), activities[0].user_id, seq), (1, 2, 4));
        timekeeper.abort();
    };
    runtime.block_on(async {
        let limit = std::time::Duration::from_secs(60);
        let in_time = tokio::time::timeout(limit, test).await;
        assert!(in_time.is_ok(), "nobody did what was due");
    });
}

/// Without being told to stop, as before a power cut.
#[test]
fn what_is_known_is_written_down_now_and_then() {
    let folder = std::env::temp_dir().join(format!("rollcall-presence-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let users = UserFile::new(folder.join("users.json"));
    let beside = folder.clone();
    let read = move |what: &str| -> Value {
        let text = fs::read(beside.join(format!("users.{what}.json"))).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    };
    let activities = folder.join("users.activities.json");
    let age = move || fs::File::open(&activities).expect("a file");
    support::run(async move {
        let hub = Hub::new(16, Rules::default());
        let keeper = {
            let claim = Claim::stake(users.clone(), std::time::Duration::ZERO).await;
            let claim = claim.expect("no other server");
            Keeper::open(Arc::clone(&hub), claim).expect("a place for files")
        };
        // More often than by default, or the test would take minutes.
        let default = Intervals::default();
        assert_eq!(default.activities, std::time::Duration::from_secs(5));
        assert_eq!(default.last_seen, std::time::Duration::from_secs(60));
        let keeping = tokio::spawn(async move {
            let (activities, last_seen) = (support::milliseconds(5), support::milliseconds(20));
            let intervals = Intervals {
                activities,
                last_seen,
            };
            keeper.keep(intervals).await;
        });
        let hour = std::time::Duration::from_secs(3600);
        let id = SocketId::random().expect("random numbers");
        for _ in 0..3 {
            let busy = Doing {
                state: State::Busy,
                details: None,
            };
            let there = hub.lease(&user(7), id, Some(busy), hour);
            let there = json!([there.expect("an activity")]);
            support::until(|| read("activities") == there).await;
            // Though nothing changes, the file says when it was so.
            age().set_modified(UNIX_EPOCH).expect("a time");
            support::until(|| {
                age()
                    .metadata()
                    .expect("a file")
                    .modified()
                    .expect("a time")
                    > UNIX_EPOCH
            })
            .await;
            let gone = hub.lease(&user(7), id, None, hour).expect("an activity");
            support::until(|| read("activities") == json!([])).await;
            support::until(|| read("last-seen") == json!({"7": gone.since})).await;
        }
        keeping.abort();
        fs::remove_dir_all(folder).expect("a folder");
    });
}
