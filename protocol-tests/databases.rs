//! GameVault's own users: every kind of them, in both databases and both of their generations; what becomes of those who are
//! connected when users change or the database goes away; and what is said to an operator who has set something wrong.
//!
//! The engines are real: SQLite files, and PostgreSQL servers that the tests start.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

#[path = "support/anyone.rs"]
mod anyone;
#[path = "databases/gamevault.rs"]
mod gamevault;
#[path = "databases/postgres.rs"]
mod postgres;
#[path = "support/program.rs"]
mod program;
mod support;
#[path = "support/tokens.rs"]
mod tokens;

use anyone::as_anyone;
use futures_util::future::join_all;
use gamevault::{Database, PASSWORD, USERS, Version, folder_content, key, newcomer};
use postgres::Postgres;
use program::{Answer, Folder, Rollcall, basic, command, output};
use rollcall::users::{
    DatabasePlace, DatabaseTiming, Directory, PostgresPlace, PostgresTls, Readiness, UserId,
    open_database,
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{Client, Seen, milliseconds, run, until};
use tokio::time::{sleep, timeout};

const OK: &str = "a wish that is granted";

/// A minute, in which whoever is turned out has to be disconnected.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Everything happens soon.
fn fast() -> DatabaseTiming {
    DatabaseTiming {
        fresh: milliseconds(200),
        refresh: milliseconds(100),
        first_pause: milliseconds(20),
        max_pause: milliseconds(50),
        ..DatabaseTiming::default()
    }
}

async fn open(database: &Database, timing: DatabaseTiming) -> Arc<dyn Directory> {
    open_database(database.place(), timing).await.expect(OK)
}

/// Lets a directory keep up, with these as well whom nobody holds; counts how often it says that something may have changed,
/// but for the first time, when it always does.
async fn follow(directory: &Arc<dyn Directory>, others: &'static [UserId]) -> Arc<AtomicUsize> {
    let changes = Arc::new(AtomicUsize::new(0));
    let (directory, counted) = (Arc::clone(directory), Arc::clone(&changes));
    tokio::spawn(async move {
        let on_change = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        directory.follow(&|| others.to_vec(), &on_change).await;
    });
    until(|| changes.swap(0, Ordering::Relaxed) > 0).await;
    changes
}

async fn is_away(directory: &Arc<dyn Directory>) {
    until(|| directory.readiness() != Readiness::Ready).await;
}

async fn is_back(directory: &Arc<dyn Directory>) {
    until(|| directory.readiness() == Readiness::Ready).await;
}

fn strings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

// ---------------------------------------------------------------------------------------------------------
// Who comes in.

async fn everyone_comes_in_who_may(database: &Database, version: Version) {
    let before = database.everything().await;
    let mut server = Rollcall::start(&database.variables()).await;
    for user in &USERS {
        assert_eq!(
            server.status(&key(user.id)).await,
            user.status,
            "{}",
            user.name
        );
        let by_old_name = server
            .knock(&format!("X-Socket-Secret: {}", key(user.id)))
            .await
            .0;
        match version {
            Version::V14 => assert_eq!(by_old_name.status, user.status, "{}", user.name),
            Version::V16 => assert_eq!(by_old_name.status, 401),
        }
    }
    let strangers = [
        "",
        " ",
        "x",
        "null",
        "'",
        "%",
        "' OR 1=1 --",
        &key(1)[1..],
        &key(10),
        // Compared exactly.
        &key(10).to_uppercase(),
        &format!("{}0", key(1)),
        &"k".repeat(10_000),
    ];
    for stranger in strangers {
        assert_eq!(server.status(stranger).await, 401, "{stranger:?}");
    }
    let both = format!("X-Api-Key: {}\r\nX-Socket-Secret: {}", key(1), key(8));
    let both = server.knock(&both).await.0.status;
    assert_eq!(both, if version == Version::V14 { 401 } else { 101 });

    let me = server
        .get("/api/users/me", &format!("X-Api-Key: {}", key(1)))
        .await;
    let expected =
        json!({"id": 1, "username": "Alice", "role": 1, "activated": true, "api_key": key(1)});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(me.json()[name], *value, "{}", me.body);
    }
    assert!(!me.body.contains("$2b$"), "{}", me.body);
    if version == Version::V16 {
        // They are where they always were.
        passwords_are_checked(&server).await;
    }
    lists_hide_what_they_should(&server).await;
    server.stop();
    assert_eq!(
        database.everything().await,
        before,
        "the database has changed"
    );
}

async fn passwords_are_checked(server: &Rollcall) {
    for (name, password, status) in [
        ("Alice", PASSWORD, 200),
        ("aLICE", PASSWORD, 200),
        ("alice", "wrong", 401),
        ("bob", PASSWORD, 403),
        ("carol", PASSWORD, 401),
        ("ivan", "", 401),
        ("nobody", PASSWORD, 401),
        ("%", PASSWORD, 401),
        ("a\0", PASSWORD, 401),
    ] {
        let answer = server.get("/api/users/me", &basic(name, password)).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
}

async fn lists_hide_what_they_should(server: &Rollcall) {
    let names = |answer: Answer| -> Vec<String> {
        let users = answer.json();
        let users = users.as_array().expect("a list").iter();
        users
            .map(|user| user["username"].as_str().expect("a name").to_owned())
            .collect()
    };
    let list = async |id| {
        let answer = server
            .get("/api/users", &format!("X-Api-Key: {}", key(id)))
            .await;
        assert!(!answer.body.contains(&key(1)), "a key of somebody else");
        names(answer)
    };
    assert_eq!(
        list(6).await,
        ["Alice", "dave", "erin", "grace", "heidi", "ivan"]
    );
    let all = [
        "Alice",
        "bob",
        "dave",
        "gvbot_achievements",
        "erin",
        "grace",
        "heidi",
        "ivan",
    ];
    assert_eq!(list(4).await, all);
}

#[test]
fn every_user_of_a_sqlite_file_comes_in_with_its_key_and_nobody_else() {
    for version in Version::ALL {
        run(async move {
            let database = Database::sqlite(version);
            everyone_comes_in_who_may(&database, version).await;
            assert_eq!(
                database.everything().await.len(),
                1,
                "there are files beside it"
            );
        });
    }
}

#[test]
fn every_user_of_a_postgresql_server_comes_in_with_its_key_and_nobody_else() {
    for version in Version::ALL {
        run(async move {
            let database = Database::postgres(version).await;
            everyone_comes_in_who_may(&database, version).await;
        });
    }
}

#[test]
fn the_password_of_a_postgresql_server_may_be_in_a_file() {
    run(async {
        let database = Database::postgres(Version::V16).await;
        let folder = Folder::new();
        let with_file = |password: &str| {
            let file = folder.0.join("password");
            fs::write(&file, format!("{password}\n")).expect("a file");
            let file = file.to_str().expect("text");
            let mut variables = changed(&database.variables(), "DB_PASSWORD_FILE", file);
            variables.retain(|(name, _)| name != "DB_PASSWORD");
            variables
        };
        let variables = database.variables();
        let password = variables.iter().find(|(name, _)| name == "DB_PASSWORD");
        let (_, password) = password.expect("a password");
        Rollcall::start(&with_file(password)).await;
        let setting = "DB_USERNAME and DB_PASSWORD: ";
        is_refused(&with_file("another"), setting, "password");
    });
}

#[test]
fn what_is_said_costs_no_query_and_every_statement_is_a_select() {
    run(async {
        let own = Arc::new(Postgres::start(&[]));
        let database = Database::on(Arc::clone(&own), Version::V16).await;
        let server = Rollcall::start(&database.variables()).await;
        let mut alice = server.join(&key(1)).await;
        let statements = || -> Vec<String> {
            let log = own.log();
            let ours = log.lines().filter(|line| line.starts_with("rollcall|"));
            let ours = ours.filter_map(|line| line.split_once(": ").map(|(_, rest)| rest));
            ours.filter(|rest| !rest.contains("parameters:"))
                .map(str::to_owned)
                .collect()
        };
        let before = statements().len();
        assert!(before >= 3, "{}", own.log());
        for game in 0..200 {
            alice
                .send(&format!(
                    r#"421["set-activity",{{"state":"PLAYING","game_id":{game}}}]"#
                ))
                .await;
            while !alice.text().await.starts_with("431[") {}
        }
        // Those who come again are known.
        for _ in 0..50 {
            assert_eq!(server.status(&key(1)).await, 101);
            assert_eq!(server.status("nobody").await, 401);
        }
        let after = statements();
        // The strangers' key once, and whoever was connected when it was time to look again.
        assert!(after.len() <= before + 8, "{after:#?}");
        for statement in after {
            let (_, sql) = statement.split_once(": ").unwrap_or(("", &statement));
            assert!(sql.starts_with("SELECT "), "{statement}");
        }
    });
}

// ---------------------------------------------------------------------------------------------------------
// Users change.

/// Waits until the server says goodbye.
async fn is_turned_out(mut client: Client) {
    let seen = timeout(A_MINUTE, client.after_texts())
        .await
        .expect("it is not disconnected");
    assert!(matches!(seen, Seen::Close(_) | Seen::End), "{seen:?}");
}

async fn whoever_is_changed_is_turned_out(database: &Database) {
    for id in 20..=24 {
        database.execute(&newcomer(id, Version::V16)).await;
    }
    let server = Rollcall::start(&database.variables()).await;
    let mut clients = Vec::new();
    for id in 20..=24 {
        clients.push(server.join(&key(id)).await);
    }
    let mut stays = clients.remove(0);
    // One is here without a socket, too.
    let told = json!({"state": "BUSY", "ttl_seconds": 600}).to_string();
    assert_eq!(server.mine("PUT", &key(8), &told).await, 200);
    let changed = Instant::now();
    database
        .execute(&format!(
            "UPDATE gamevault_user SET deleted_at = CURRENT_TIMESTAMP WHERE id = 21;
             UPDATE gamevault_user SET activated = false WHERE id = 22;
             UPDATE gamevault_user SET api_key = '{}' WHERE id = 23;
             DELETE FROM gamevault_user WHERE id = 24;
             UPDATE gamevault_user SET activated = false WHERE id = 8;
             UPDATE gamevault_user SET username = 'another name', role = '2' WHERE id = 20;",
            "e".repeat(64)
        ))
        .await;
    join_all(clients.into_iter().map(is_turned_out)).await;
    assert!(changed.elapsed() < A_MINUTE);
    for (key, status) in [
        (key(20), 101),
        (key(21), 401),
        (key(22), 403),
        (key(23), 401),
        (key(24), 401),
        ("e".repeat(64), 101),
    ] {
        assert_eq!(server.status(&key).await, status, "{key}");
    }
    stays.send(r#"421["get-activities"]"#).await;
    loop {
        let text = stays.text().await;
        if text.starts_with("431[") {
            assert!(!text.contains("\"user_id\":8"), "{text}");
            break;
        }
    }
}

#[test]
fn whoever_is_changed_in_a_sqlite_file_is_turned_out() {
    run(async { whoever_is_changed_is_turned_out(&Database::sqlite(Version::V16)).await });
}

#[test]
fn whoever_is_changed_on_a_postgresql_server_is_turned_out() {
    run(async { whoever_is_changed_is_turned_out(&Database::postgres(Version::V16).await).await });
}

/// Keys were stolen, and what their thieves said is to hold for long; their owners have got others, and are back at once.
#[test]
fn what_was_said_with_a_key_does_not_outlive_it_though_its_owner_is_back_first() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let mut variables = database.variables();
        variables.extend(strings(&[("ACTIVITY_GRACE_SECONDS", "600")]));
        let server = Rollcall::start(&variables).await;
        let lease = json!({"state": "BUSY", "ttl_seconds": 86400}).to_string();
        assert_eq!(server.mine("PUT", &key(6), &lease).await, 200);
        let mut lost = server.join(&key(8)).await;
        lost.send(r#"42["set-activity",{"state":"PLAYING"}]"#).await;
        lost.text().await;
        drop(lost);
        server.logged("closed after").await;
        let mut friend = server.join(&key(1)).await;
        database
            .execute(&format!(
                "UPDATE gamevault_user SET api_key = '{}' WHERE id = 6;
                 UPDATE gamevault_user SET api_key = '{}' WHERE id = 8;",
                key(60),
                key(80)
            ))
            .await;
        let mut is_told = async |id: u64, state: &str| {
            let text = friend.text().await;
            let [id, state] = [
                format!(r#""user_id":{id},"#),
                format!(r#""state":"{state}""#),
            ];
            assert!(text.contains(&id) && text.contains(&state), "{text}");
        };
        let _owner = server.join(&key(60)).await;
        is_told(6, "OFFLINE").await;
        let lease = json!({"state": "ONLINE", "ttl_seconds": 60}).to_string();
        assert_eq!(server.mine("PUT", &key(80), &lease).await, 200);
        is_told(8, "OFFLINE").await;
        is_told(8, "ONLINE").await;
    });
}

#[test]
fn what_was_learned_is_believed_for_a_while_and_a_change_is_noticed_behind_it() {
    run(async {
        for database in Database::each(Version::V16).await {
            let slow = DatabaseTiming {
                refresh: A_MINUTE,
                ..fast()
            };
            let directory = open(&database, slow).await;
            let alice = directory.by_key(&key(1)).await.expect(OK).expect("a user");
            assert_eq!(directory.by_key(&key(30)).await.expect(OK), None);
            database.execute(&newcomer(30, Version::V16)).await;
            database
                .execute("UPDATE gamevault_user SET activated = false WHERE id = 1")
                .await;
            assert!(directory.is_current(&alice));
            sleep(fast().fresh).await;
            assert!(directory.by_key(&key(30)).await.expect(OK).is_some());
            let changed = directory.by_key(&key(1)).await.expect(OK).expect("a user");
            assert!(!changed.may_enter() && !directory.is_current(&alice));
            // One that does not change is the same one.
            let erin = directory.by_id(6).await.expect(OK).expect("a user");
            sleep(fast().fresh).await;
            assert!(Arc::ptr_eq(
                &erin,
                &directory.by_key(&key(6)).await.expect(OK).expect("a user")
            ));
        }
    });
}

#[test]
fn gamevault_is_updated_while_we_run() {
    run(async {
        for database in Database::each(Version::V14).await {
            let directory = open(&database, fast()).await;
            follow(&directory, &[]).await;
            let alice = directory.by_key(&key(1)).await.expect(OK).expect("a user");
            assert!(directory.takes_socket_secret());

            // Half of the migration: the new column is there, and has nothing in it yet.
            database
                .execute("ALTER TABLE gamevault_user ADD COLUMN api_key varchar(64)")
                .await;
            if let Database::Postgres { server, .. } = &database {
                database.execute(&server.grant(Version::V16)).await;
            }
            let again = async |id: u64| {
                sleep(2 * fast().fresh).await;
                directory
                    .by_key(&key(id))
                    .await
                    .expect(OK)
                    .map(|user| user.id)
            };
            assert_eq!(again(6).await, Some(6));
            // The table is gone for a moment.
            database
                .execute("ALTER TABLE gamevault_user RENAME TO temporary_gamevault_user")
                .await;
            is_away(&directory).await;
            assert!(directory.is_current(&alice));
            assert!(
                directory.by_key(&key(1)).await.is_ok() && directory.by_key(&key(8)).await.is_err()
            );
            database
                .execute("ALTER TABLE temporary_gamevault_user RENAME TO gamevault_user")
                .await;
            is_back(&directory).await;
            // The other half.
            database
                .execute("UPDATE gamevault_user SET api_key = socket_secret")
                .await;
            assert_eq!(again(8).await, Some(8));
            database
                .execute("ALTER TABLE gamevault_user DROP COLUMN api_key")
                .await;
            database
                .execute("ALTER TABLE gamevault_user RENAME COLUMN socket_secret TO api_key")
                .await;
            assert_eq!(again(9).await, Some(9));
            until(|| !directory.takes_socket_secret()).await;
            assert!(directory.is_current(&alice), "nobody was changed");
        }
    });
}

#[test]
fn a_table_without_any_users_turns_nobody_out() {
    run(async {
        for database in Database::each(Version::V16).await {
            let directory = open(&database, fast()).await;
            let changes = follow(&directory, &[]).await;
            let alice = directory.by_key(&key(1)).await.expect(OK).expect("a user");
            database
                .execute(
                    "CREATE TABLE kept AS SELECT * FROM gamevault_user; DELETE FROM gamevault_user",
                )
                .await;
            is_away(&directory).await;
            assert!(directory.is_current(&alice));
            database
                .execute("INSERT INTO gamevault_user SELECT * FROM kept WHERE id <> 1")
                .await;
            is_back(&directory).await;
            until(|| changes.load(Ordering::Relaxed) > 0).await;
            assert!(!directory.is_current(&alice), "she is missing among others");
        }
    });
}

#[test]
fn who_was_known_before_is_found_out_about_at_the_start() {
    run(async {
        for database in Database::each(Version::V16).await {
            let directory = open(&database, fast()).await;
            assert_eq!(directory.key_of(1), None);
            directory.learn(vec![1, 2, 3, 4711]).await.expect(OK);
            let known = [1, 2, 3, 4711].map(|id| directory.key_of(id).is_some());
            assert_eq!(known, [true, false, false, false]);
        }
    });
}

// ---------------------------------------------------------------------------------------------------------
// The database goes away.

const CLIENTS: u64 = 200;

#[test]
fn postgresql_is_killed_under_200_clients_and_comes_back() {
    run(async {
        let own = Arc::new(Postgres::start(&[]));
        let database = Database::on(Arc::clone(&own), Version::V16).await;
        let users = 100..100 + CLIENTS;
        for id in users.clone().chain([1000]) {
            database.execute(&newcomer(id, Version::V16)).await;
        }
        let server = Rollcall::start(&database.variables()).await;
        let mut clients = Vec::new();
        for id in users {
            clients.push(server.join(&key(id)).await);
        }
        own.kill();
        server.logged("the database cannot be asked").await;
        // Whoever is here stays, and is heard.
        clients[0]
            .send(r#"42["set-activity",{"state":"BUSY"}]"#)
            .await;
        for client in &mut clients {
            let text = client.text().await;
            assert!(
                text.starts_with(r#"42["activity",{"user_id":100,"#),
                "{text}"
            );
        }
        // Who is known may come again.
        let asked = Instant::now();
        let again = server.join(&key(150)).await;
        assert!(asked.elapsed() < Duration::from_secs(1));
        drop(again);
        let (refused, _) = server.knock(&format!("X-Api-Key: {}", key(1000))).await;
        assert_eq!(
            (refused.status, refused.retry_after.as_deref()),
            (503, Some("10"))
        );
        for path in ["/api/users/me", "/api/users"] {
            let refused = server.get(path, &basic("Alice", PASSWORD)).await;
            assert_eq!(
                (refused.status, refused.retry_after.as_deref()),
                (503, Some("5")),
                "{path}"
            );
        }
        assert_eq!(server.get("/readyz", "X-Nothing: 1").await.status, 503);
        own.run(&[]);
        server.logged("the database can be asked again").await;
        assert_eq!(server.get("/readyz", "X-Nothing: 1").await.status, 200);
        assert_eq!(server.status(&key(1000)).await, 101);
        assert_eq!(
            server
                .get("/api/users/me", &basic("Alice", PASSWORD))
                .await
                .status,
            200
        );
        // Nobody was disconnected, and nobody missed anything.
        clients[1]
            .send(r#"42["set-activity",{"state":"PLAYING"}]"#)
            .await;
        for client in &mut clients {
            let text = client.text().await;
            assert!(
                text.starts_with(r#"42["activity",{"user_id":101,"#),
                "{text}"
            );
        }
        let log = server.log();
        for line in [
            "the database cannot be asked",
            "the database can be asked again",
        ] {
            assert_eq!(log.matches(line).count(), 1, "{log}");
        }
        assert!(log.contains("DB_HOST and DB_PORT: "), "{log}");
    });
}

#[test]
fn known_keys_go_on_for_as_long_as_was_said_and_no_longer() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let stale = Duration::from_secs(3);
        let timing = DatabaseTiming { stale, ..fast() };
        let directory = open(&database, timing).await;
        follow(&directory, &[]).await;
        let alice = directory.by_key(&key(1)).await.expect(OK).expect("a user");
        assert_eq!(directory.by_key("nobody").await.expect(OK), None);
        let file = database.sqlite_file();
        fs::rename(&file, file.with_extension("gone")).expect("a file");
        is_away(&directory).await;
        assert_eq!(
            directory.by_key(&key(1)).await.expect(OK),
            Some(Arc::clone(&alice))
        );
        sleep(fast().fresh).await;
        assert_eq!(
            directory.by_id(1).await.expect(OK),
            Some(Arc::clone(&alice))
        );
        assert!(
            directory.by_key("nobody").await.is_err(),
            "that he was nobody says nothing now"
        );
        assert!(directory.by_key(&key(8)).await.is_err());
        sleep(stale).await;
        assert!(directory.by_key(&key(1)).await.is_err());
        assert!(directory.is_current(&alice), "who is connected stays");
        fs::rename(file.with_extension("gone"), &file).expect("a file");
        is_back(&directory).await;
        assert!(directory.by_key(&key(1)).await.is_ok());
    });
}

/// That many come at once is no fault of the database's, however slow it is.
#[test]
fn who_waits_for_others_in_vain_is_turned_away_and_nobody_takes_the_database_for_dead() {
    run(async {
        let database = Database::sqlite(Version::V16);
        // Without an index, a question is a look at each of very many.
        database
            .execute(
                "CREATE TABLE plain AS SELECT * FROM gamevault_user; DROP TABLE gamevault_user;
                 ALTER TABLE plain RENAME TO gamevault_user;
                 WITH RECURSIVE number(n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
                 INSERT INTO gamevault_user (id, entity_version, username, password, api_key, activated, role)
                 SELECT n, 1, 'user ' || n, '', printf('%064x', n), true, '1' FROM number",
            )
            .await;
        let lookup = milliseconds(300);
        let directory = open(&database, DatabaseTiming { lookup, ..fast() }).await;
        let keys: Vec<String> = (100..5100).map(key).collect();
        let asked = Instant::now();
        let answers = join_all(keys.iter().map(|key| directory.by_key(key))).await;
        assert!(asked.elapsed() < 5 * lookup, "those who wait give up");
        let found = answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Some(_))));
        let turned_away = answers.iter().filter(|answer| answer.is_err());
        let (found, turned_away) = (found.count(), turned_away.count());
        assert!(found > 0 && turned_away > 0 && found + turned_away == keys.len());
        assert_eq!(directory.readiness(), Readiness::Ready);
        assert!(directory.by_key(&key(9000)).await.expect(OK).is_some());
    });
}

/// What it said may still hold, though nobody is connected.
#[test]
fn who_was_changed_while_the_database_was_away_for_long_is_noticed() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let stale = Duration::ZERO;
        let directory = open(&database, DatabaseTiming { stale, ..fast() }).await;
        let changes = follow(&directory, &[8]).await;
        assert!(directory.key_of(8).is_some());
        let file = database.sqlite_file();
        let gone = file.with_extension("gone");
        fs::rename(&file, &gone).expect("a file");
        is_away(&directory).await;
        // What was known of those who are not held is too old then.
        sleep(2 * fast().fresh).await;
        rusqlite::Connection::open(&gone)
            .and_then(|backend| {
                backend.execute(
                    "UPDATE gamevault_user SET activated = false WHERE id = 8",
                    [],
                )
            })
            .expect("SQLite");
        assert_eq!(changes.load(Ordering::Relaxed), 0);
        fs::rename(&gone, &file).expect("a file");
        until(|| changes.load(Ordering::Relaxed) > 0).await;
        assert_eq!(directory.key_of(8), None);
    });
}

#[test]
fn a_sqlite_file_is_locked_for_ten_seconds() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let server = Rollcall::start(&database.variables()).await;
        let mut alice = server.join(&key(1)).await;
        let backend = database.sqlite_connection();
        backend.execute_batch("BEGIN EXCLUSIVE").expect("SQLite");
        let locked = Instant::now();
        let (refused, _) = server.knock(&format!("X-Api-Key: {}", key(8))).await;
        assert_eq!(
            (refused.status, refused.retry_after.as_deref()),
            (503, Some("10"))
        );
        assert!(
            locked.elapsed() < Duration::from_secs(1),
            "some clients wait no longer"
        );
        while locked.elapsed() < Duration::from_secs(10) {
            let asked = Instant::now();
            assert_eq!(server.status(&key(1)).await, 101);
            assert_eq!(server.status(&key(8)).await, 503);
            assert!(asked.elapsed() < Duration::from_secs(1));
            sleep(milliseconds(500)).await;
        }
        backend.execute_batch("ROLLBACK").expect("SQLite");
        server.logged("the database can be asked again").await;
        assert_eq!(server.status(&key(8)).await, 101);
        alice.send(r#"421["get-activities"]"#).await;
        alice.text().await;
        let log = server.log();
        assert_eq!(
            log.matches("the database cannot be asked").count(),
            1,
            "{log}"
        );
        assert!(
            log.contains("VOLUMES_SQLITEDB: ") && log.contains("is locked"),
            "{log}"
        );
    });
}

#[test]
fn a_sqlite_file_is_replaced() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let directory = open(&database, fast()).await;
        let changes = follow(&directory, &[]).await;
        let alice = directory.by_key(&key(1)).await.expect(OK).expect("a user");
        let erin = directory.by_key(&key(6)).await.expect(OK).expect("a user");
        let backup = Database::sqlite(Version::V16);
        backup
            .execute("DELETE FROM gamevault_user WHERE id = 1")
            .await;
        backup.execute(&newcomer(30, Version::V16)).await;
        fs::rename(backup.sqlite_file(), database.sqlite_file()).expect("a file");
        until(|| changes.load(Ordering::Relaxed) > 0).await;
        assert!(!directory.is_current(&alice) && directory.is_current(&erin));
        assert!(directory.by_key(&key(30)).await.expect(OK).is_some());
    });
}

/// Copies the files of a database as a crash of its writer would leave them.
fn as_after_a_crash(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-r", "-T"])
        .arg(from)
        .arg(to)
        .status();
    assert!(copied.expect("cp").success());
}

fn in_folder(folder: &Folder) -> Vec<(String, String)> {
    let folder = folder.0.display().to_string();
    strings(&[("DB_SYSTEM", "SQLITE"), ("VOLUMES_SQLITEDB", &folder)])
}

#[test]
fn a_file_in_wal_mode_is_read_and_nothing_beside_it_is_touched() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let Database::Sqlite { folder } = &database else {
            return;
        };
        let backend = database.sqlite_connection();
        let mode: String = backend
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .expect("SQLite");
        assert_eq!(mode, "wal");
        backend
            .execute_batch(&newcomer(30, Version::V16))
            .expect("SQLite");
        let before = folder_content(&folder.0);
        assert_eq!(before.len(), 3, "{before:?}");
        let crashed = Folder::new();
        as_after_a_crash(&folder.0, &crashed.0);

        let mut server = Rollcall::start(&database.variables()).await;
        for id in [1, 30] {
            assert_eq!(server.status(&key(id)).await, 101);
        }
        backend
            .execute_batch(&newcomer(31, Version::V16))
            .expect("SQLite");
        let after = folder_content(&folder.0);
        assert_eq!(server.status(&key(31)).await, 101);
        server.stop();
        assert_eq!(folder_content(&folder.0), after);

        // Nobody has it open: it may be read or not, but is not touched.
        for names in [&["database.sqlite-shm"][..], &[]] {
            let before = folder_content(&crashed.0);
            let checked = output(&in_folder(&crashed), &["check"]);
            let said = String::from_utf8(checked.stderr).expect("text");
            let is_good = checked.status.success();
            assert!(
                is_good || said.starts_with("rollcall: VOLUMES_SQLITEDB: "),
                "{said}"
            );
            assert_eq!(folder_content(&crashed.0), before, "{said}");
            for name in names {
                fs::remove_file(crashed.0.join(name)).expect("a file");
            }
        }
        drop(backend);
        let closed = folder_content(&folder.0);
        assert_eq!(closed.len(), 1, "{closed:?}");
        let refused = output(&in_folder(folder), &[]);
        let said = String::from_utf8(refused.stderr).expect("text");
        assert!(said.contains("is in WAL mode"), "{said}");
        assert_eq!(folder_content(&folder.0), closed);
    });
}

#[test]
fn a_file_that_a_crash_has_left_is_not_repaired() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let Database::Sqlite { folder } = &database else {
            return;
        };
        let backend = database.sqlite_connection();
        // More than the cache holds, so that it is in the file before it is done.
        backend
            .execute_batch(
                "PRAGMA cache_size = 1; CREATE TABLE large (text); BEGIN IMMEDIATE;
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 INSERT INTO large SELECT hex(randomblob(500)) FROM n;
                 UPDATE gamevault_user SET activated = true;
                 UPDATE large SET text = text || 'x';",
            )
            .expect("SQLite");
        let crashed = Folder::new();
        as_after_a_crash(&folder.0, &crashed.0);
        let before = folder_content(&crashed.0);
        assert_eq!(before.len(), 2, "{before:?}");
        let refused = output(&in_folder(&crashed), &[]);
        let said = String::from_utf8(refused.stderr).expect("text");
        assert!(said.contains("was not closed properly"), "{said}");
        assert_eq!(folder_content(&crashed.0), before);
        // The backend does.
        let repaired =
            rusqlite::Connection::open(crashed.0.join("database.sqlite")).expect("SQLite");
        let bob: bool = repaired
            .query_row(
                "SELECT activated FROM gamevault_user WHERE id = 2",
                [],
                |row| row.get(0),
            )
            .expect("SQLite");
        assert!(!bob);
        let server = Rollcall::start(&in_folder(&crashed)).await;
        assert_eq!(server.status(&key(2)).await, 403);
    });
}

// ---------------------------------------------------------------------------------------------------------
// The start.

/// It does not start, and `check` does not pass: one line, which begins with the setting.
fn is_refused(variables: &[(String, String)], setting: &str, says: &str) {
    is_refused_to(|arguments| output(variables, arguments), setting, says);
}

fn is_refused_to(program: impl Fn(&[&str]) -> Output, setting: &str, says: &str) {
    for arguments in [&[][..], &["check"]] {
        let ended = program(arguments);
        let said = String::from_utf8(ended.stderr).expect("text");
        assert_eq!(ended.status.code(), Some(1), "{said}");
        let lines: Vec<&str> = said.lines().collect();
        let last = lines.last().expect("a line");
        assert!(last.starts_with(&format!("rollcall: {setting}")), "{said}");
        assert!(last.contains(says) && last.contains("expected"), "{said}");
        let complaints = lines
            .iter()
            .filter(|line| !line.contains(" warn") && !line.contains("WARN"));
        assert_eq!(complaints.count(), 1, "{said}");
        assert!(!said.contains("something long and random"), "a password");
    }
}

/// What the program says to a user whom a file's mode keeps out.
fn output_of_anyone(variables: &[(String, String)], arguments: &[&str]) -> Output {
    let (_folder, mut command) = command(variables);
    command.args(arguments);
    as_anyone(&command).output().expect("the program")
}

fn changed(variables: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut variables = variables.to_vec();
    variables.retain(|(other, _)| other != name);
    variables.push((name.to_owned(), value.to_owned()));
    variables
}

#[test]
fn what_is_wrong_with_a_sqlite_file_is_said_at_the_start() {
    run(async {
        let folder = Folder::new();
        let file = folder.0.join("database.sqlite");
        let variables = in_folder(&folder);
        let refused = |says| is_refused(&variables, "VOLUMES_SQLITEDB: ", says);
        refused("No such file or directory");
        fs::create_dir(&file).expect("a folder");
        refused("is not a file");
        fs::remove_dir(&file).expect("a folder");
        fs::write(&file, "").expect("a file");
        refused("has no table gamevault_user");
        fs::write(
            &file,
            "users, in some other form, and more than a header has of them. ".repeat(100),
        )
        .expect("a file");
        refused("is not a database");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("a file");
        let to_anyone = |arguments: &[&str]| output_of_anyone(&variables, arguments);
        is_refused_to(to_anyone, "VOLUMES_SQLITEDB: ", "Permission denied");
        fs::remove_file(&file).expect("a file");

        let database = Database::sqlite(Version::V16);
        let refused = |says| is_refused(&database.variables(), "VOLUMES_SQLITEDB: ", says);
        database
            .execute("ALTER TABLE gamevault_user DROP COLUMN activated")
            .await;
        refused("has no column activated");
        database
            .execute("ALTER TABLE gamevault_user ADD COLUMN activated boolean")
            .await;
        database
            .execute("ALTER TABLE gamevault_user RENAME COLUMN api_key TO other")
            .await;
        refused("has neither of the columns api_key and socket_secret");
        let backend = database.sqlite_connection();
        backend.execute_batch("BEGIN EXCLUSIVE").expect("SQLite");
        let ended = output(&database.variables(), &[]);
        let said = String::from_utf8(ended.stderr).expect("text");
        assert!(
            said.contains("VOLUMES_SQLITEDB: ") && said.contains("is locked"),
            "{said}"
        );
    });
}

#[test]
fn what_is_wrong_with_a_postgresql_server_is_said_at_the_start() {
    run(async {
        let database = Database::postgres(Version::V16).await;
        let good = database.variables();
        let wrong =
            |name, value, setting, says| is_refused(&changed(&good, name, value), setting, says);
        wrong(
            "DB_HOST",
            "nowhere.invalid",
            "DB_HOST and DB_PORT: ",
            "nowhere.invalid:",
        );
        wrong("DB_PORT", "1", "DB_HOST and DB_PORT: ", "refused");
        wrong(
            "DB_PASSWORD",
            "wrong",
            "DB_USERNAME and DB_PASSWORD: ",
            "password authentication failed",
        );
        wrong(
            "DB_PASSWORD",
            "",
            "DB_USERNAME and DB_PASSWORD: ",
            "wants a password",
        );
        wrong(
            "DB_USERNAME",
            "nobody",
            "DB_USERNAME and DB_PASSWORD: ",
            "\"nobody\"",
        );
        wrong(
            "DB_DATABASE",
            "other",
            "DB_DATABASE: ",
            "has no database \"other\"",
        );
        wrong("DB_TLS_ENABLED", "true", "DB_TLS_", "expected");

        let checked = output(&good, &["check"]);
        let said = String::from_utf8(checked.stdout).expect("text");
        let last = said.lines().last().expect("a line");
        assert_eq!(
            last,
            "# The database is good. Users: 10; may enter: 7; removed: 2."
        );
        assert!(said.contains("DB_PASSWORD=(hidden)"), "{said}");

        let Database::Postgres { server, .. } = &database else {
            return;
        };
        let refused = |setting, says| is_refused(&good, setting, says);
        database.execute("REVOKE ALL ON gamevault_user FROM rollcall; REVOKE SELECT (api_key) ON gamevault_user FROM rollcall").await;
        refused("DB_USERNAME: ", "GRANT SELECT");
        database.execute(&server.grant(Version::V16)).await;
        database
            .execute("REVOKE USAGE ON SCHEMA public FROM public")
            .await;
        refused("DB_DATABASE: ", "has no table gamevault_user");
        database
            .execute("GRANT USAGE ON SCHEMA public TO public")
            .await;
        database
            .execute("ALTER TABLE gamevault_user RENAME COLUMN deleted_at TO other")
            .await;
        refused("DB_DATABASE: ", "has no column deleted_at");
        database
            .execute("ALTER TABLE gamevault_user RENAME COLUMN other TO deleted_at")
            .await;
        database
            .execute("ALTER TABLE gamevault_user RENAME COLUMN api_key TO other")
            .await;
        refused(
            "DB_DATABASE: ",
            "has neither of the columns api_key and socket_secret",
        );
        database.execute("DROP TABLE gamevault_user").await;
        refused("DB_DATABASE: ", "has no table gamevault_user");
    });
}

#[test]
fn the_start_waits_for_a_database_as_long_as_it_may() {
    run(async {
        let folder = Folder::new();
        let variables = changed(&in_folder(&folder), "DB_WAIT_SECONDS", "1");
        let began = Instant::now();
        is_refused_after_waiting(&variables);
        assert!(began.elapsed() >= Duration::from_secs(1));

        let variables = changed(&in_folder(&folder), "DB_WAIT_SECONDS", "60");
        let starting = tokio::spawn(async move { Rollcall::start(&variables).await });
        // First another thing, and then what it waits for.
        sleep(milliseconds(500)).await;
        let file = folder.0.join("database.sqlite");
        fs::write(&file, "").expect("a file");
        sleep(milliseconds(500)).await;
        let database = Database::sqlite(Version::V16);
        fs::rename(database.sqlite_file(), &file).expect("a file");
        let server = starting.await.expect("a server");
        assert_eq!(server.status(&key(1)).await, 101);
        let log = server.log();
        // Once for each thing that was wrong when it looked.
        let told = log.matches("waiting up to ").count();
        assert!((1..=2).contains(&told), "{log}");
    });
}

fn is_refused_after_waiting(variables: &[(String, String)]) {
    let ended = output(variables, &[]);
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert_eq!(said.matches("waiting up to ").count(), 1, "{said}");
    assert!(said.contains("rollcall: VOLUMES_SQLITEDB: "), "{said}");
}

#[test]
fn what_is_the_databases_is_not_changed_by_the_command_line() {
    let database = Database::sqlite(Version::V16);
    let ended = output(&database.variables(), &["users", "list"]);
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the users are GameVault's: change them there"),
        "{said}"
    );
    let ended = output(&strings(&[("DB_SYSTEM", "POSTGRESQL")]), &[]);
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(
        said,
        "rollcall: DB_USERNAME is not set, and DB_SYSTEM=POSTGRESQL needs it\n"
    );
}

// ---------------------------------------------------------------------------------------------------------
// TLS.

#[test]
fn a_servers_certificate_is_checked_unless_nobody_wants_that() {
    run(async {
        let own = Postgres::start(&[]);
        own.kill();
        let (certificate, key_file) = (own.file("localhost.pem"), own.file("localhost.key"));
        let tls = [
            "-c",
            "ssl=on",
            "-c",
            &format!("ssl_cert_file={}", certificate.display()),
            "-c",
            &format!("ssl_key_file={}", key_file.display()),
        ];
        own.run(&tls);
        let database = Database::on(Arc::new(own), Version::V16).await;
        let DatabasePlace::Postgres(place) = database.place() else {
            return;
        };
        let stranger = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/protocol-tests/support/tls/stranger.pem"
        );
        let checked = |file: &Path| PostgresTls::Checked(Some(file.to_owned()));
        for (host, tls, problem) in [
            ("localhost", checked(&certificate), None),
            ("127.0.0.1", PostgresTls::Unchecked, None),
            ("127.0.0.1", checked(&certificate), Some("DB_TLS_ENABLED: ")),
            (
                "localhost",
                checked(Path::new(stranger)),
                Some("DB_TLS_ENABLED: "),
            ),
            (
                "localhost",
                checked(Path::new("/nowhere")),
                Some("DB_TLS_CA_CERTIFICATE_PATH: "),
            ),
            (
                "localhost",
                checked(&key_file),
                Some("DB_TLS_CA_CERTIFICATE_PATH: "),
            ),
        ] {
            let place = PostgresPlace {
                host: host.to_owned(),
                tls: Some(tls),
                ..place.clone()
            };
            let opened = open_database(DatabasePlace::Postgres(place.clone()), fast()).await;
            match (opened, problem) {
                (Ok(directory), None) => {
                    assert!(directory.by_key(&key(1)).await.expect(OK).is_some());
                }
                (Err(error), Some(problem)) => {
                    assert!(error.to_string().starts_with(problem), "{error}");
                }
                (opened, _) => panic!("{place:?}: {:?}", opened.map(drop)),
            }
        }
    });
}

// ---------------------------------------------------------------------------------------------------------
// Tokens.

#[test]
fn a_token_is_its_users_for_as_long_as_the_database_has_it() {
    run(async {
        let database = Database::sqlite(Version::V16);
        let variables = changed(&database.variables(), "AUTH_SEED", "test-seed");
        let server = Rollcall::start(&variables).await;
        for user in &USERS {
            let (answer, _) = server.knock(&tokens::bearer("test-seed", user.id)).await;
            assert_eq!(answer.status, user.status, "{}", user.name);
        }
        let me: Value = server
            .get("/api/users/me", &tokens::bearer("test-seed", 10))
            .await
            .json();
        assert_eq!(
            (&me["username"], &me["api_key"]),
            (&json!("ivan"), &Value::Null)
        );
        assert_eq!(
            server
                .knock(&tokens::bearer("test-seed", 4711))
                .await
                .0
                .status,
            401
        );
    });
}
