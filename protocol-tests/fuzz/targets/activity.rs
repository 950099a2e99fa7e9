//! What clients say of themselves, as JSON: reports, leases and interests, against what `serde_json` makes of the same text;
//! and what is accepted is told, read again, and the same.

use super::{Target, fixtures};
use rollcall::{
    presence::{
        Activity, BadLease, BadReport, Doing, Interest, Lease, MAX_DETAILS, MAX_TTL_SECONDS,
        MAX_WATCHED, Report, State,
    },
    socketio::SocketId,
};
use serde_json::{Map, Value, value::RawValue};
use std::time::Duration;

pub const TARGET: Target = Target {
    name: "activity",
    run,
    seeds,
    words: &[
        "\"state\":",
        "\"ONLINE\"",
        "\"BUSY\"",
        "\"PLAYING\"",
        "\"OFFLINE\"",
        "\"game_id\":",
        "9007199254740991",
        "\"details\":",
        "\"ttl_seconds\":",
        "86400",
        "\"users\":",
        "\"all\":true",
        "null",
        "1e0",
        "4.2e1",
        "\\u0000",
        "\\ud800",
    ],
};

const MAX_GAME_ID: u64 = (1 << 53) - 1;

fn seeds() -> Vec<Vec<u8>> {
    let others = [
        r#"{"state":"PLAYING","game_id":42.0,"details":"in a raid","ttl_seconds":60}"#,
        r#"{"state":"BUSY","ttl_seconds":8.64e4,"details":""}"#,
        r#"{"state":"OFFLINE","ttl_seconds":86401}"#,
        r#"{"state":"\u0042USY","state":null,"\u0073tate":"ONLINE","details":"\u0000"}"#,
        r#"{"users":[1,2,3e0]}"#,
        r#"{"all":true}"#,
        r#"{"all":false,"users":[-1]}"#,
    ];
    let reports = fixtures::reports().into_iter();
    let all = reports.chain(others.map(str::to_owned));
    fixtures::small(all.map(String::into_bytes))
}

fn run(input: &[u8]) {
    let lease = Lease::parse(input);
    let Ok(json) = serde_json::from_slice::<&RawValue>(input) else {
        assert_eq!(lease, Err(BadLease::NoJson));
        return;
    };
    let report = Report::parse(Some(json));
    let interest = Interest::parse(Some(json));
    if let Ok(value) = serde_json::from_str::<Value>(json.get()) {
        let fields = value.as_object();
        is_what_it_says(&report, fields, json.get());
        is_leased(&lease, &report, fields);
        is_watched(&interest, fields);
    }
    if let Ok(Report::Doing(doing)) = &report {
        is_told(doing);
    }
    match (report, lease) {
        (Ok(report), Ok(lease)) => assert_eq!(report.into_doing(), lease.doing),
        (Ok(_), Err(bad)) => assert!(matches!(bad, BadLease::NoTtl | BadLease::Ttl)),
        (Err(bad), lease) => assert_eq!(lease, Err(BadLease::Report(bad))),
    }
}

/// A field, if it is there and not null.
fn field<'a>(fields: Option<&'a Map<String, Value>>, name: &str) -> Option<&'a Value> {
    fields?.get(name).filter(|value| !value.is_null())
}

/// The whole number that a value is; or that it may be one, if floating point cannot tell.
fn whole(value: &Value) -> Result<Option<u64>, Unclear> {
    match (value.as_u64(), value.as_f64()) {
        (Some(number), _) => Ok(Some(number)),
        (None, Some(number)) if number.fract() != 0.0 || number < 0.0 => Ok(None),
        // It may have been rounded to that.
        (None, Some(_)) => Err(Unclear),
        (None, None) => Ok(None),
    }
}

struct Unclear;

fn is_what_it_says(
    report: &Result<Report, BadReport>,
    fields: Option<&Map<String, Value>>,
    json: &str,
) {
    let Some(map) = fields else {
        let expected = if json == "null" {
            BadReport::Missing
        } else {
            BadReport::NotAnObject
        };
        let is_deep = *report == Err(BadReport::TooDeep);
        assert!(is_deep || *report == Err(expected));
        return;
    };
    let game_id = field(fields, "game_id").map(whole);
    let details = field(fields, "details");
    let are_words = details.is_none_or(|details| {
        let text = details.as_str();
        text.is_some_and(|text| {
            text.chars().count() <= MAX_DETAILS && !text.contains(char::is_control)
        })
    });
    match report {
        Ok(report) => {
            assert!(are_words);
            let state = map["state"].as_str().expect("a state");
            let Report::Doing(doing) = report else {
                return assert_eq!(state, "OFFLINE");
            };
            assert_eq!(State::name(Some(doing.state)), state);
            let words = details
                .and_then(Value::as_str)
                .filter(|words| !words.is_empty());
            assert_eq!(doing.details.as_deref(), words);
            if let State::Playing { game_id: said } = doing.state {
                match game_id {
                    None => assert_eq!(said, None),
                    Some(Ok(number)) => assert_eq!(said, Some(number.expect("a number"))),
                    Some(Err(Unclear)) => {
                        let near = field(fields, "game_id").and_then(Value::as_f64);
                        assert_eq!(said.map(|said| said as f64), near);
                    }
                }
                assert!(said.is_none_or(|said| said <= MAX_GAME_ID));
            }
        }
        Err(BadReport::NoState) => assert!(field(fields, "state").is_none()),
        Err(BadReport::UnknownState) => {
            let state = field(fields, "state").and_then(Value::as_str);
            assert!(
                !["ONLINE", "BUSY", "PLAYING", "OFFLINE"]
                    .map(Some)
                    .contains(&state)
            );
        }
        Err(BadReport::GameId) => {
            let is_good = matches!(game_id, Some(Ok(Some(number))) if number <= MAX_GAME_ID);
            assert!(game_id.is_some() && !is_good);
        }
        Err(BadReport::Details) => assert!(!are_words),
        Err(BadReport::TooDeep) => assert!(json.matches(['[', '{']).count() > 64),
        Err(BadReport::Missing | BadReport::NotAnObject | BadReport::Binary) => {
            panic!("an object is refused: {report:?}")
        }
    }
}

fn is_leased(
    lease: &Result<Lease, BadLease>,
    report: &Result<Report, BadReport>,
    fields: Option<&Map<String, Value>>,
) {
    let ttl = field(fields, "ttl_seconds");
    match (lease, ttl.map(whole)) {
        (Ok(lease), Some(Ok(number))) => {
            let number = number.expect("a number");
            assert_eq!(lease.ttl, Duration::from_secs(number));
            assert!((1..=MAX_TTL_SECONDS).contains(&number));
        }
        (Ok(lease), Some(Err(Unclear))) => {
            assert_eq!(
                ttl.and_then(Value::as_f64),
                Some(lease.ttl.as_secs() as f64)
            );
        }
        (Err(BadLease::NoTtl), ttl) => assert!(ttl.is_none()),
        (Err(BadLease::Ttl), Some(Ok(Some(number)))) => {
            assert!(!(1..=MAX_TTL_SECONDS).contains(&number))
        }
        (Err(BadLease::Ttl), ttl) => assert!(ttl.is_some()),
        (Err(BadLease::Report(bad)), _) => assert_eq!(*report, Err(*bad)),
        (Ok(_), None) => panic!("a lease without an end"),
        (Err(BadLease::NoJson), _) => panic!("that was JSON"),
    }
}

fn is_watched(interest: &Result<Interest, impl Sized>, fields: Option<&Map<String, Value>>) {
    let (all, users) = (field(fields, "all"), field(fields, "users"));
    match interest {
        Ok(Interest::All) => assert!(all == Some(&Value::Bool(true)) && users.is_none()),
        Ok(Interest::Users(ids)) => {
            let list = users.and_then(Value::as_array).expect("a list");
            assert!(all.is_none() && list.len() <= MAX_WATCHED && ids.len() <= list.len());
            for number in list.iter().filter_map(|value| whole(value).ok()) {
                assert!(ids.contains(&number.expect("a number")));
            }
        }
        Err(_) => assert!(all.is_none_or(|all| *all != Value::Bool(true)) || users.is_some()),
    }
}

/// Tells everyone, and takes that for a report.
fn is_told(doing: &Doing) {
    let activity = Activity {
        user_id: 7,
        socket_id: SocketId::parse("AAAAAAAAAAAAAAAAAAAA").expect("an id"),
        doing: Some(doing.clone()),
        since: 1,
    };
    let told = serde_json::to_string(&activity).expect("it has a form in JSON");
    let again: &RawValue = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        Report::parse(Some(again)),
        Ok(Report::Doing(doing.clone())),
        "{told}"
    );
}
