//! The user file: what is accepted is written, read again, and the same, also after each change that the command line makes;
//! and what is refused is refused at a place that exists.

use super::{Target, fixtures};
use rollcall::users::{Broken, Document, PasswordHash, Role, Timestamp};
use std::collections::HashSet;

pub const TARGET: Target = Target {
    name: "users",
    run,
    seeds,
    words: &[
        "\"users\":[",
        "\"id\":",
        "\"username\":",
        "\"api_key\":",
        "\"role\":",
        "\"activated\":",
        "\"deleted_at\":",
        "\"password\":",
        "true",
        "null",
        "2026-11-23T21:43:21.000Z",
        "\u{feff}",
        "0000000000000000000000000000000000000000000000000000000000000001",
        "$2b$10$XKbxjpusjMI0P8zdgV8CaeP9VetB4pDqhZa9xNMNu.Ml0vpcH9Qre",
    ],
};

const HASH: &str = "$2b$10$XKbxjpusjMI0P8zdgV8CaeP9VetB4pDqhZa9xNMNu.Ml0vpcH9Qre";

fn seeds() -> Vec<Vec<u8>> {
    let user = |id: u32, name: &str, more: &str| {
        format!(
            r#"{{"id":{id},"username":"{name}","api_key":"{id:064x}","role":1,"activated":true{more}}}"#
        )
    };
    let file = |users: &[String], more: &str| format!(r#"{{"users":[{}]{more}}}"#, users.join(","));
    let password = format!(r#","password":"{HASH}""#);
    let all = [
        file(&[], ""),
        file(&[user(1, "admin", "")], ""),
        file(
            &[
                user(1, "admin", &password),
                user(2, "é😀", r#","deleted_at":null"#),
            ],
            r#","version":1.5e300"#,
        ),
        file(
            &[
                user(1, "a", r#","deleted_at":"2026-11-23 21:43:21""#),
                user(2, "A", r#","email":{"x":[1,-0.0]}"#),
            ],
            "",
        ),
        file(&[user(1, "a", ""), user(2, "A", "")], ""),
        file(&[user(1, "a", ""), user(1, "b", "")], ""),
        file(&[user(9_007_199, "a:b", "")], ""),
        format!(
            "\u{feff}{}",
            file(&[user(3, "gvbot_x", "")], ",\"users\":[]")
        ),
        file(&[user(1, "", "")], "").replace("true", "\"true\""),
    ];
    fixtures::small(all.into_iter().map(String::into_bytes))
}

fn run(input: &[u8]) {
    match Document::parse(input) {
        Err(broken) => is_a_place(&broken, input),
        Ok(document) => {
            is_kept(&document);
            let ids: HashSet<_> = document
                .users()
                .iter()
                .map(|record| record.user().id)
                .collect();
            let keys: HashSet<_> = document
                .users()
                .iter()
                .map(|record| record.user().key_digest)
                .collect();
            assert!(ids.len() == document.users().len() && keys.len() == ids.len());
            is_edited(document);
        }
    }
}

fn is_kept(document: &Document) {
    let text = document.to_text().expect("what was read can be read");
    let again = Document::parse(text.as_bytes()).expect("it was written by us");
    assert_eq!(again, *document);
    assert_eq!(again.to_text().as_ref(), Ok(&text));
}

fn is_edited(mut document: Document) {
    let names: Vec<_> = document
        .users()
        .iter()
        .map(|record| record.user())
        .collect();
    if let Ok(key) = document.add("newcomer", Role::Guest) {
        assert_eq!(
            document
                .find("NEWCOMER")
                .map(|record| record.user().key_digest),
            Ok(key.digest())
        );
        is_kept(&document);
    }
    for user in names.iter().filter(|user| !user.is_deleted()).take(3) {
        let name = user.username.as_str();
        let found = document.find(name).expect("it is there").user();
        assert_eq!(
            found.id, user.id,
            "names are different, whatever their case"
        );
        assert!(document.add(name, Role::User).is_err(), "the name is taken");
        let key = document.rotate(name).expect("it is there");
        assert_ne!(key.digest(), user.key_digest);
        document
            .set_activated(name, !user.activated)
            .expect("it is there");
        let hash = PasswordHash::parse(HASH).expect("a hash");
        document.set_password(name, hash).expect("it is there");
        is_kept(&document);
        let at = Timestamp::parse("2026-11-23T21:43:21.000Z").expect("a time");
        document.remove(name, at).expect("it is there");
        assert!(document.find(name).is_err());
        is_kept(&document);
    }
}

fn is_a_place(broken: &Broken, input: &[u8]) {
    let input = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let mut lines = input.split(|byte| *byte == b'\n');
    let line = lines.nth(broken.line - 1).expect("there is such a line");
    assert!((1..=line.len() + 1).contains(&broken.column), "{broken}");
    assert!(!broken.problem.is_empty());
}
