//! GameVault's access tokens: which are taken, which are not, and what someone who came with one may do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

#[path = "support/program.rs"]
mod program;
mod support;
#[path = "support/tokens.rs"]
mod tokens;

use program::{Folder, Rollcall, output};
use rollcall::api::{BadToken, Tokens};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, UNIX_EPOCH},
};
use support::{Seen, run};
use tokens::{bearer, claims, header, now, sign};

const SEED: &str = "test-seed";

/// When the tokens of the tests hold, in seconds since 1970.
const NOW: u64 = 1_764_000_000;

fn read(token: &str, at: u64) -> Result<u64, BadToken> {
    Tokens::of_seed(SEED).read(token, UNIX_EPOCH + Duration::from_secs(at))
}

// ---------------------------------------------------------------------------------------------------------
// What is read.

/// Made by Python's `hmac`, of bob, user 2, from `NOW` on for 300 seconds.
const BOBS: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJwYXlsb2FkIjp7InN1YiI6IjIiLCJ1c2VybmFtZSI6ImJvYiIsInJvbGUiOjF9LCJpYXQiOjE3NjQwMDAwMDAsImV4cCI6MTc2NDAwMDMwMH0.WikKhZMtCjLEmnkDU6TsphEQd1CeffK5g-RjKPZFpUI";

#[test]
fn a_token_of_gamevaults_says_whose_it_is_until_it_is_over() {
    assert_eq!(read(BOBS, NOW), Ok(2));
    assert_eq!(read(BOBS, NOW + 299), Ok(2));
    assert_eq!(read(BOBS, NOW + 300), Err(BadToken::NotNow));
    assert_eq!(read(BOBS, 4 * NOW), Err(BadToken::NotNow));
    let other = Tokens::of_seed("another-seed").read(BOBS, UNIX_EPOCH);
    assert_eq!(other, Err(BadToken::NotGenuine));
    // The tests' own signature is the same.
    let claims = json!({"payload": {"sub": "2", "username": "bob", "role": 1}, "iat": NOW, "exp": NOW + 300});
    assert_eq!(read(&sign(SEED, &header(), &claims), NOW), Ok(2));
}

#[test]
fn every_token_that_was_touched_is_refused() {
    for at in 0..BOBS.len() {
        let mut touched = BOBS.as_bytes().to_vec();
        touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
        let touched = String::from_utf8(touched).expect("ASCII");
        // The last digit of 43 has two bits that mean nothing: a strict reader takes zeros alone.
        assert_eq!(read(&touched, NOW), Err(BadToken::NotGenuine), "{at}");
        assert_eq!(read(&BOBS[..at], NOW), Err(BadToken::NotGenuine), "{at}");
        assert_eq!(
            read(&BOBS[at + 1..], NOW),
            Err(BadToken::NotGenuine),
            "{at}"
        );
    }
    for more in ["=", ".", ".x", " ", "\0", "ü"] {
        assert_eq!(
            read(&format!("{BOBS}{more}"), NOW),
            Err(BadToken::NotGenuine)
        );
    }
    assert_eq!(read(&"a".repeat(1 << 20), NOW), Err(BadToken::NotGenuine));
}

#[test]
fn no_algorithm_is_taken_but_the_one() {
    let claims = claims(2, NOW + 300);
    for alg in [
        json!("none"),
        json!("None"),
        json!(""),
        json!("hs256"),
        json!("HS512"),
        json!("RS256"),
        Value::Null,
    ] {
        let header = json!({"alg": alg, "typ": "JWT"});
        let signed = sign(SEED, &header, &claims);
        assert_eq!(read(&signed, NOW), Err(BadToken::NotGenuine), "{alg}");
        let (unsigned, _) = signed.rsplit_once('.').expect("a signature");
        assert_eq!(
            read(&format!("{unsigned}."), NOW),
            Err(BadToken::NotGenuine),
            "{alg}"
        );
    }
    assert_eq!(
        read(&sign(SEED, &json!({"typ": "JWT"}), &claims), NOW),
        Err(BadToken::NotGenuine)
    );
}

#[test]
fn what_is_claimed_has_to_be_what_gamevault_claims() {
    let of = |claims: Value| read(&sign(SEED, &header(), &claims), NOW);
    let exp = NOW + 300;
    for payload in [
        json!({"sub": 2}),
        json!({"sub": "+2"}),
        json!({"sub": " 2"}),
        json!({"sub": ""}),
        json!({"sub": "-2"}),
        json!({"sub": "2.0"}),
        json!({"sub": "99999999999999999999"}),
        json!({"sub": null}),
        json!({}),
        json!("2"),
    ] {
        let claims = json!({"payload": payload, "exp": exp});
        assert_eq!(of(claims), Err(BadToken::NotGenuine), "{payload}");
    }
    let payload = json!({"sub": "2"});
    assert_eq!(
        of(json!({"sub": "2", "exp": exp})),
        Err(BadToken::NotGenuine)
    );
    assert_eq!(
        of(json!({"payload": payload})),
        Err(BadToken::NotGenuine),
        "for ever"
    );
    assert_eq!(
        of(json!({"payload": payload, "exp": "soon"})),
        Err(BadToken::NotGenuine)
    );
    assert_eq!(
        of(json!({"payload": payload, "exp": NOW})),
        Err(BadToken::NotNow)
    );
    assert_eq!(
        of(json!({"payload": payload, "exp": exp, "nbf": NOW + 1})),
        Err(BadToken::NotNow)
    );
    assert_eq!(
        of(json!({"payload": payload, "exp": exp, "nbf": NOW})),
        Ok(2)
    );
    assert_eq!(
        of(json!({"payload": payload, "exp": exp as f64 + 0.5})),
        Ok(2)
    );
}

// ---------------------------------------------------------------------------------------------------------
// Who comes with one.

fn key(id: u64) -> String {
    format!("{id:064x}")
}

/// Alice, bob, who is not activated, carol, who was removed, and dave.
fn users(folder: &Folder, with_alice: bool) {
    let user = |id: u64, name: &str, activated: bool, deleted_at: Value| {
        json!({
            "id": id, "username": name, "api_key": key(id), "role": 1, "activated": activated, "deleted_at": deleted_at,
        })
    };
    let mut users = vec![
        user(2, "bob", false, Value::Null),
        user(3, "carol", true, json!("2026-11-23T21:43:21Z")),
        user(4, "dave", true, Value::Null),
    ];
    users.extend(with_alice.then(|| user(1, "alice", true, Value::Null)));
    let file = folder.0.join("users.json");
    let new = folder.0.join("users.new");
    fs::write(&new, json!({"users": users}).to_string()).expect("a file");
    fs::rename(new, file).expect("a file");
}

async fn server(folder: &Folder, seed: &str) -> Rollcall {
    users(folder, true);
    let file = folder.0.join("users.json").display().to_string();
    let variables = [("USERS_FILE", file.as_str()), ("AUTH_SEED", seed)];
    Rollcall::start(&variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).await
}

#[test]
fn a_token_opens_a_session_and_answers_at_rest() {
    run(async {
        let folder = Folder::new();
        let server = server(&folder, SEED).await;
        let status = async |header: String| server.knock(&header).await.0.status;
        for (id, session, rest) in [
            (1, 101, 200),
            (2, 403, 403),
            (3, 401, 401),
            (4, 101, 200),
            (5, 401, 401),
        ] {
            assert_eq!(status(bearer(SEED, id)).await, session, "{id}");
            let me = server.get("/api/users/me", &bearer(SEED, id)).await;
            assert_eq!(me.status, rest, "{id}: {}", me.body);
        }
        assert_eq!(status(bearer("another-seed", 1)).await, 401);
        assert_eq!(status("Authorization: Bearer".to_owned()).await, 401);
        assert_eq!(status("Authorization: Bearer \u{fc}".to_owned()).await, 401);
        let old = sign(SEED, &header(), &claims(1, now() - 1));
        let old = server
            .get("/api/users/me", &format!("Authorization: Bearer {old}"))
            .await;
        assert_eq!(old.status, 401);
        assert!(old.body.contains("holds no longer"), "{}", old.body);
        // In any case, as HTTP has it.
        let me = server
            .get(
                "/api/users/me",
                &bearer(SEED, 1).replace("Bearer", "bearer"),
            )
            .await;
        assert_eq!(me.json()["username"], "alice");
        // The key counts.
        for (shown, answer) in [(key(4), 101), ("x".to_owned(), 401)] {
            let both = format!("X-Api-Key: {shown}\r\n{}", bearer(SEED, 1));
            assert_eq!(status(both).await, answer);
        }
    });
}

#[test]
fn a_session_stays_its_users_whatever_later_requests_show() {
    run(async {
        let folder = Folder::new();
        let server = server(&folder, SEED).await;
        let open = server
            .get("/socket.io/?EIO=4&transport=polling", &bearer(SEED, 1))
            .await;
        assert_eq!(open.status, 200, "{}", open.body);
        let open: Value = serde_json::from_str(&open.body[1..]).expect("JSON");
        let sid = open["sid"].as_str().expect("a sid");
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        let old = sign(SEED, &header(), &claims(1, now() - 1));
        let damaged = sign("another-seed", &header(), &claims(1, now() + 300));
        for (shown, status) in [
            (bearer(SEED, 4), 403),
            (format!("X-Api-Key: {}", key(4)), 403),
            (format!("Authorization: Bearer {damaged}"), 403),
        ] {
            assert_eq!(server.get(&path, &shown).await.status, status, "{shown}");
        }
        // A poll waits, so by what the session says to a POST.
        for shown in [
            bearer(SEED, 1),
            format!("Authorization: Bearer {old}"),
            format!("X-Api-Key: {}", key(1)),
            "X-Other: header".to_owned(),
        ] {
            let mut client = support::Client::dial(server.address).await;
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\n{shown}\r\nContent-Length: 1\r\n\r\n3"
            );
            client.write(request.as_bytes()).await;
            assert_eq!(client.response().await.0.status, 200, "{shown}");
        }
    });
}

#[test]
fn whoever_came_with_a_token_is_turned_out_as_all_others() {
    run(async {
        let folder = Folder::new();
        let server = server(&folder, SEED).await;
        let (answer, mut client) = server.knock(&bearer(SEED, 1)).await;
        assert_eq!(answer.status, 101);
        client.text().await;
        client.connect().await;
        users(&folder, false);
        let seen = client.after_texts().await;
        assert!(matches!(seen, Seen::Close(_) | Seen::End), "{seen:?}");
        assert_eq!(server.knock(&bearer(SEED, 1)).await.0.status, 401);
    });
}

#[test]
fn without_a_seed_a_token_is_refused_and_the_seed_is_never_shown() {
    run(async {
        let folder = Folder::new();
        let server = server(&folder, "").await;
        let me = server.get("/api/users/me", &bearer(SEED, 1)).await;
        assert_eq!(me.status, 401);
        assert!(me.body.contains("AUTH_SEED"), "{}", me.body);
        assert_eq!(server.knock(&bearer(SEED, 1)).await.0.status, 401);
        // Not ours to understand, where there is a key.
        let both = format!("X-Api-Key: {}\r\n{}", key(1), bearer(SEED, 1));
        assert_eq!(server.knock(&both).await.0.status, 101);
    });
    let seed = ("AUTH_SEED".to_owned(), "hunter2".to_owned());
    let checked = output(&[seed], &["check"]);
    let said = String::from_utf8(checked.stdout).expect("text");
    assert!(
        said.contains("AUTH_SEED=(hidden)") && !said.contains("hunter2"),
        "{said}"
    );
}
