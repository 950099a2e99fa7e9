//! The server's own files, of activities and of when users were seen: whatever they say, the server starts, and what it then
//! knows is written, read again, and the same.
//!
//! An input is both files, divided by a zero.

use super::{Target, fixtures};
use futures_util::FutureExt;
use rollcall::{
    presence::{Claim, Hub, Keeper, Rate, Rules},
    users::UserFile,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub const TARGET: Target = Target {
    name: "kept",
    run,
    seeds,
    words: &[
        "\"user_id\":",
        "\"socket_id\":\"AAAAAAAAAAAAAAAAAAAA\"",
        "\"state\":\"ONLINE\"",
        "\"state\":\"PLAYING\"",
        "\"game_id\":",
        "\"details\":",
        "\"since\":",
        "18446744073709551615",
        "9007199254740993",
        "\u{0}{",
        "\"1\":",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    let one = |user: u64, state: &str, more: &str| {
        format!(
            r#"{{"user_id":{user},"socket_id":"AAAAAAAAAAAAAAAAAAA{user}","state":"{state}"{more},"since":17000000000{user:02}}}"#
        )
    };
    let array = |list: &[String]| format!("[{}]", list.join(","));
    let all = [
        "[]\0{}".to_owned(),
        format!(
            "{}\0{{\"2\":1700000000000}}",
            array(&[one(1, "ONLINE", "")])
        ),
        format!(
            "{}\0{{\"1\":5,\"1\":6}}",
            array(&[
                one(1, "PLAYING", r#","game_id":7"#),
                one(2, "BUSY", r#","details":"é""#)
            ])
        ),
        format!(
            "{}\0[]",
            array(&[one(1, "OFFLINE", ""), one(1, "BUSY", "")])
        ),
        format!(
            "{}\0{{\"x\":1}}",
            array(&[one(3, "BUSY", ""), one(3, "ONLINE", "")])
        ),
        format!(
            "{}\0{{\"18446744073709551615\":18446744073709551615}}",
            array(&[one(0, "ONLINE", "")])
        ),
    ];
    let reports = fixtures::reports().into_iter();
    let reports = reports.filter_map(|report| {
        Some(format!(
            "[{{\"user_id\":4,\"since\":0,\"socket_id\":\"AAAAAAAAAAAAAAAAAAA4\",{}]\0{{}}",
            report.strip_prefix('{')?
        ))
    });
    fixtures::small(all.into_iter().chain(reports).map(String::into_bytes))
}

fn run(input: &[u8]) {
    let middle = input
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(input.len());
    let (activities, last_seen) = input.split_at(middle);
    write(activities, last_seen.get(1..).unwrap_or_default());
    let hub = start();
    let known = hub.activities().0;
    assert!(known.iter().all(|activity| activity.doing.is_some()));
    assert!(known.is_sorted_by(|one, next| one.user_id < next.user_id));

    let array = hub.array().expect("it has a form in JSON");
    let seen = serde_json::to_string(&hub.last_seen()).expect("it has a form in JSON");
    write(array.get().as_bytes(), seen.as_bytes());
    let again = start();
    assert_eq!(again.activities().0, known);
    assert_eq!(again.last_seen(), hub.last_seen());
}

/// A server that starts.
fn start() -> Arc<Hub> {
    let rules = Rules {
        grace: Duration::from_secs(15),
        rate: Rate::default(),
    };
    let hub = Hub::new(16, rules);
    let users = UserFile::new(folder().join("users.json"));
    let staked = Claim::stake(users, Duration::ZERO).now_or_never();
    let claim = staked.expect("nobody waits").expect("no other server");
    Keeper::open(Arc::clone(&hub), claim).expect("there is a place for files");
    hub
}

fn write(activities: &[u8], last_seen: &[u8]) {
    fs::write(folder().join("users.activities.json"), activities).expect("a file");
    fs::write(folder().join("users.last-seen.json"), last_seen).expect("a file");
}

/// A folder for the files, in memory where the system has such a place.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            env::temp_dir()
        };
        let folder = place.join(format!("rollcall-fuzz-kept-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    })
}
