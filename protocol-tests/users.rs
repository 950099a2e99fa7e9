//! The user directory: what a user file may say, how it is replaced, and how a running server follows it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs
)]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use rollcall::users::{
    ApiKey, CHECK_INTERVAL, Directory, Document, EditError, FileDirectory, IfMissing, KeyDigest,
    PasswordError, PasswordHash, Role, Timestamp, User, UserFile, UserFileError,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

type TestResult = Result<(), Box<dyn Error>>;

/// A folder of the test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "rollcall-users-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("users.json")
    }

    /// A user file with this content.
    fn with(content: impl AsRef<[u8]>) -> Folder {
        let folder = Folder::new();
        write_private(&folder.file(), content.as_ref());
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_private(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("private");
}

/// 64 times the digit.
fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// One user as JSON, on one line.
fn user(id: u64, name: &str, digit: char, role: u8) -> String {
    format!(
        r#"{{"id":{id},"username":"{name}","api_key":"{}","role":{role},"activated":true,"deleted_at":null,"password":null}}"#,
        key(digit)
    )
}

fn file_of(users: &[String]) -> String {
    format!("{{\"users\":[\n{}\n]}}", users.join(",\n"))
}

/// Two users: an admin and another.
fn alice_and_bob() -> String {
    file_of(&[user(1, "alice", 'a', 3), user(2, "bob", 'b', 1)])
}

fn ids(users: &[Arc<User>]) -> Vec<u64> {
    users.iter().map(|user| user.id).collect()
}

#[test]
fn who_may_enter() {
    let deleted = || Timestamp::parse("2026-11-23T21:43:21.000Z");
    assert!(deleted().is_some());
    let table = [
        (Role::User, true, None, true),
        (Role::User, false, None, false),
        (Role::Guest, true, None, true),
        (Role::Editor, false, None, false),
        (Role::Admin, false, None, true),
        (Role::Admin, true, deleted(), false),
        (Role::User, true, deleted(), false),
    ];
    for (role, activated, deleted_at, may_enter) in table {
        let user = User {
            id: 1,
            username: "gvbot_x".into(),
            role,
            activated,
            deleted_at,
            key_digest: KeyDigest::of(""),
        };
        assert_eq!(user.may_enter(), may_enter, "{user:?}");
        assert!(user.is_bot());
        assert!(
            !User {
                username: "x_gvbot_".into(),
                ..user
            }
            .is_bot()
        );
    }
}

#[test]
fn keys_are_64_lower_case_digits_and_hidden_from_debug() -> TestResult {
    let (one, two) = (ApiKey::generate()?, ApiKey::generate()?);
    assert_ne!(one, two);
    let text = one.reveal();
    assert_eq!(text.len(), 64);
    assert_eq!(ApiKey::parse(&text), Some(one.clone()));
    assert_eq!(one.digest(), KeyDigest::of(&text));
    assert_ne!(one.digest(), KeyDigest::of(&text.to_uppercase()));
    let all = "0123456789abcdef".repeat(4);
    assert_eq!(ApiKey::parse(&all).map(|key| key.reveal()), Some(all));
    for wrong in [
        "",
        &key('A'),
        &key('g'),
        &text[1..],
        &format!("{text}0"),
        &"é".repeat(32),
    ] {
        assert_eq!(ApiKey::parse(wrong), None, "{wrong}");
    }
    for shown in [format!("{one:?}"), format!("{:?}", one.digest())] {
        assert!(!shown.contains(&text[..8]), "{shown}");
    }
    Ok(())
}

#[test]
fn a_broken_file_is_refused_with_the_place_and_never_with_a_key() {
    let alice = user(1, "alice", 'a', 3);
    let second = |user: String| file_of(&[alice.clone(), user]);
    let bob = |from: &str, to: &str| second(user(2, "bob", 'b', 1).replacen(from, to, 1));
    let in_the_middle = format!("{{\"users\":[\n{},\n{},\n{}]}}", alice, alice, alice);
    let end = alice.len();
    let broken: Vec<(String, usize, Option<usize>, &str)> = vec![
        // Not JSON.
        ("".into(), 1, Some(1), "EOF while parsing a value"),
        (
            "{\"users\":[".into(),
            1,
            Some(10),
            "EOF while parsing a list",
        ),
        (
            "{\"users\":[]}\nx".into(),
            2,
            Some(1),
            "trailing characters",
        ),
        ("{\"users\":[],}".into(), 1, Some(13), "trailing comma"),
        (
            "[".repeat(10_000),
            1,
            Some(1),
            "expected an object with a list of users",
        ),
        (
            format!("{{\"users\":[],\"x\":{}", "[".repeat(10_000)),
            1,
            None,
            "recursion limit",
        ),
        // JSON, but not the user file.
        (
            "[]".into(),
            1,
            None,
            "expected an object with a list of users",
        ),
        ("{}".into(), 1, None, "missing field `users`"),
        ("{\"users\":{}}".into(), 1, None, "expected a list of users"),
        (
            "{\"users\":[7]}".into(),
            1,
            None,
            "invalid type: integer `7`, expected a user",
        ),
        // Wrong types and values.
        (
            bob("\"id\":2", "\"id\":\"2\""),
            3,
            Some(9),
            "a string, expected an id",
        ),
        (
            bob("\"id\":2", "\"id\":0"),
            3,
            Some(7),
            "integer `0`, expected an id: a whole number from 1 to 9007199254740991",
        ),
        (
            bob("\"id\":2", "\"id\":-1"),
            3,
            Some(8),
            "integer `-1`, expected an id",
        ),
        (
            bob("\"id\":2", "\"id\":1.5"),
            3,
            None,
            "floating point `1.5`, expected an id",
        ),
        (
            bob("\"id\":2", "\"id\":9007199254740992"),
            3,
            None,
            "expected an id",
        ),
        (bob("\"id\":2,", ""), 3, None, "missing field `id`"),
        (
            bob("\"role\":1", "\"role\":4"),
            3,
            None,
            "integer `4`, expected a role: 0 (guest), 1 (user), 2 (editor) or 3 (admin)",
        ),
        (
            bob("\"role\":1", "\"role\":\"1\""),
            3,
            None,
            "a string, expected a role",
        ),
        (
            bob("\"activated\":true", "\"activated\":1"),
            3,
            None,
            "integer `1`, expected a boolean",
        ),
        (bob("\"bob\"", "null"), 3, None, "expected a string"),
        (
            bob("\"id\":2", "\"id\":2,\"id\":3"),
            3,
            None,
            "duplicate field `id`",
        ),
        // Rules; the user is named.
        (
            bob("\"bob\"", "\"\""),
            3,
            None,
            "user 2 (\"\"): the username is empty",
        ),
        (
            bob("\"bob\"", "\"b:b\""),
            3,
            None,
            "user 2 (\"b:b\"): the username contains ':'",
        ),
        (
            bob("\"bob\"", "\"b\\u0007b\""),
            3,
            None,
            "user 2 (\"b\\u{7}b\"): the username contains control",
        ),
        (
            bob("\"bob\"", "\" bob\""),
            3,
            None,
            "begins or ends with a space",
        ),
        (
            bob("\"bob\"", &format!("\"{}\"", "ü".repeat(65))),
            3,
            None,
            "longer than 64 characters",
        ),
        (
            bob(&key('b'), "BBBB"),
            3,
            None,
            "user 2 (\"bob\"): the api_key must be 64 lower-case",
        ),
        (
            bob(&key('b'), &key('B')),
            3,
            None,
            "user 2 (\"bob\"): the api_key must be 64 lower-case",
        ),
        (
            bob("\"deleted_at\":null", "\"deleted_at\":\"yesterday\""),
            3,
            None,
            "user 2 (\"bob\"): deleted_at must be null or",
        ),
        (
            bob("\"password\":null", "\"password\":\"hunter2\""),
            3,
            None,
            "user 2 (\"bob\"): the password must be null or a bcrypt",
        ),
        (
            bob(
                "\"password\":null",
                &format!("\"password\":\"$2b$31${}\"", ".".repeat(53)),
            ),
            3,
            None,
            "cost 4 to 14",
        ),
        // Users in each other's way: the position is the second one's end.
        (
            in_the_middle,
            3,
            Some(end),
            "user 1 (\"alice\"): user 1 has the same id",
        ),
        (
            second(user(2, "bob", 'a', 1)),
            3,
            None,
            "user 2 (\"bob\"): user 1 has the same api_key",
        ),
        (
            second(user(2, "ALICE", 'b', 1)),
            3,
            None,
            "user 2 (\"ALICE\"): user 1 has the same username",
        ),
    ];
    for (content, line, column, says) in broken {
        let folder = Folder::with(&content);
        let content: String = content.chars().take(1000).collect(); // for the messages
        let error = FileDirectory::open(folder.file()).expect_err(&content);
        let message = error.to_string();
        assert!(message.contains(says), "{content}\n{message}");
        let UserFileError::Broken { broken, .. } = error else {
            panic!("{content}\n{message}")
        };
        assert_eq!(broken.line, line, "{content}\n{message}");
        if let Some(column) = column {
            assert_eq!(broken.column, column, "{content}\n{message}");
        }
        let place = format!(
            "{}, line {line}, column {}: ",
            folder.file().display(),
            broken.column
        );
        assert!(message.starts_with(&place), "{message}");
        for secret in [&key('a'), &key('b'), "hunter2", "BBBB", "$2b$31"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_repeated() {
    let content = alice_and_bob().replacen("\"id\":2", &format!("\"id\":\"{}\"", key('b')), 1);
    let broken = Document::parse(content.as_bytes()).expect_err("an id that is a key");
    assert_eq!(
        broken.problem,
        "invalid type: a string, expected an id: a whole number from 1 to 9007199254740991"
    );
}

#[test]
fn text_that_is_not_utf8_and_files_that_are_none() -> TestResult {
    let folder = Folder::with(b"{\n\"users\":\xff[]}");
    let error = FileDirectory::open(folder.file()).expect_err("not UTF-8");
    assert!(
        error
            .to_string()
            .ends_with("users.json, line 2, column 9: this is not UTF-8 text"),
        "{error}"
    );

    let error = FileDirectory::open(&folder.0).expect_err("a folder");
    assert!(matches!(error, UserFileError::NotAFile { .. }), "{error}");
    let error = FileDirectory::open(folder.0.join("absent")).expect_err("nothing");
    assert!(matches!(error, UserFileError::Missing { .. }), "{error}");

    let sparse = fs::File::create(folder.0.join("large"))?;
    sparse.set_len(64 * 1024 * 1024 + 1)?;
    let error = FileDirectory::open(folder.0.join("large")).expect_err("too large");
    assert!(matches!(error, UserFileError::TooLarge { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn users_are_found_by_key_by_id_and_in_order() -> TestResult {
    let removed = user(9, "Carol", 'c', 1).replace(
        "\"deleted_at\":null",
        "\"deleted_at\":\"2026-01-01 00:00:00\"",
    );
    let content = file_of(&[removed, user(2, "bob", 'b', 1), user(1, "alice", 'a', 3)]);
    let folder = Folder::with(format!("\u{feff}{content}")); // some editors leave a byte order mark
    let directory: Arc<dyn Directory> = Arc::new(FileDirectory::open(folder.file())?);

    let bob = directory.by_key(&key('b')).await?.expect("bob");
    assert_eq!(
        (bob.id, bob.username.as_str(), bob.role),
        (2, "bob", Role::User)
    );
    assert!(directory.is_current(&bob));
    assert_eq!(directory.by_key(&key('B')).await?, None);
    assert_eq!(directory.by_key("").await?, None);
    let carol = directory
        .by_key(&key('c'))
        .await?
        .expect("removed users are found too");
    assert!(carol.is_deleted() && !directory.is_current(&carol));
    assert_eq!(ids(&directory.all().await?), [1, 2, 9]);
    assert_eq!(
        directory.api_key(1).await?.map(|key| key.reveal()),
        Some(key('a'))
    );
    assert_eq!(directory.api_key(3).await?, None);

    let other_key = User {
        key_digest: KeyDigest::of("other"),
        ..User::clone(&bob)
    };
    assert!(!directory.is_current(&other_key));
    assert!(!directory.is_current(&User {
        id: 3,
        ..User::clone(&bob)
    }));
    Ok(())
}

/// As quick as bcrypt gets, so that the tests are.
fn quick_hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

#[tokio::test]
async fn users_are_found_by_password() -> TestResult {
    let with_password = |user: String, password: &str| {
        user.replace(
            "\"password\":null",
            &format!("\"password\":\"{}\"", quick_hash(password)),
        )
    };
    let removed = with_password(user(1, "bob", 'a', 1), "old").replace(
        "\"deleted_at\":null",
        "\"deleted_at\":\"2026-01-01T00:00:00Z\"",
    );
    let removed_later = with_password(user(3, "BOB", 'c', 1), "new").replace(
        "\"deleted_at\":null",
        "\"deleted_at\":\"2026-01-01T00:00:00Z\"",
    );
    let content = file_of(&[
        removed,
        with_password(user(2, "Bob", 'b', 1), "Passwort ü"),
        removed_later,
        user(4, "dora", 'd', 1),
    ]);
    let folder = Folder::with(content);
    let directory = FileDirectory::open(folder.file())?;
    let id = async |name: &str, password: &str| -> Result<Option<u64>, Box<dyn Error>> {
        Ok(directory
            .by_password(name, password)
            .await?
            .map(|user| user.id))
    };
    assert_eq!(
        id("bOB", "Passwort ü").await?,
        Some(2),
        "any case of the name, and the user that exists"
    );
    assert_eq!(id("bob", "passwort ü").await?, None);
    assert_eq!(id("bob", "").await?, None);
    assert_eq!(id("bob", "old").await?, None);
    assert_eq!(
        id("dora", "").await?,
        None,
        "no password is not the empty one"
    );
    assert_eq!(id("nobody", "").await?, None);
    Ok(())
}

#[test]
fn passwords_that_bcrypt_would_not_take_whole_are_refused() -> TestResult {
    assert_eq!(PasswordHash::make(""), Err(PasswordError::Empty));
    assert_eq!(
        PasswordHash::make(&"ü".repeat(37)),
        Err(PasswordError::TooLong { bytes: 74 })
    );
    assert_eq!(PasswordHash::make("a\0b"), Err(PasswordError::Nul));
    let longest = "x".repeat(72);
    let hash = PasswordHash::make(&longest)?;
    assert!(hash.matches(&longest) && !hash.matches(&longest[1..]));
    assert_eq!(format!("{hash:?}"), "PasswordHash(hidden)");
    assert!(serde_json::to_string(&hash)?.starts_with("\"$2b$10$"));
    Ok(())
}

#[tokio::test]
async fn too_many_passwords_at_once_are_turned_away_and_places_are_given_back() -> TestResult {
    let folder = Folder::with(alice_and_bob());
    let directory = FileDirectory::open(folder.file())?;
    let mut context = Context::from_waker(Waker::noop());
    {
        // All begin before the first can end: bcrypt takes far longer than this loop.
        let mut checks: Vec<_> = (0..70)
            .map(|_| directory.by_password("nobody", "x"))
            .collect();
        let turned_away =
            checks
                .iter_mut()
                .filter_map(|check| match check.as_mut().poll(&mut context) {
                    Poll::Ready(result) => Some(result.is_err()),
                    Poll::Pending => None,
                });
        assert_eq!(turned_away.collect::<Vec<_>>(), [true; 6]);
    }
    // The abandoned ones that had not begun made room.
    assert_eq!(directory.by_password("nobody", "x").await?, None);
    Ok(())
}

#[test]
fn the_first_start_makes_a_private_file_with_an_admin_and_never_a_second_one() -> TestResult {
    let folder = Folder::new();
    let path = folder.0.join("a/b/users.json");
    let key = UserFile::new(&path).create_with_admin()?;

    assert_eq!(fs::metadata(&path)?.mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(folder.0.join("a/b"))?.mode() & 0o777, 0o700);
    let expected = format!(
        r#"{{"users":[{{"id":1,"username":"admin","api_key":"{}","role":3,"activated":true,"deleted_at":null,"password":null}}]}}"#,
        key.reveal()
    );
    let found: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    assert_eq!(found, serde_json::from_str::<serde_json::Value>(&expected)?);
    assert_eq!(
        names_in(&folder.0.join("a/b"))?,
        ["users.json", "users.json.lock"]
    );

    let before = fs::read(&path)?;
    let again = UserFile::new(&path)
        .create_with_admin()
        .expect_err("there is one");
    assert!(matches!(again, UserFileError::Exists { .. }), "{again}");
    assert_eq!(fs::read(&path)?, before);
    Ok(())
}

/// Several first starts at once: one makes the file, the others find it.
#[test]
fn one_first_start_wins() {
    let folder = Folder::new();
    let file = UserFile::new(folder.file());
    let keys: Vec<ApiKey> = thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| file.create_with_admin()))
            .collect();
        starts
            .into_iter()
            .filter_map(|start| start.join().expect("no panic").ok())
            .collect()
    });
    let document = file.read().expect("a good file");
    let stored: Vec<ApiKey> = document
        .users()
        .iter()
        .map(|user| user.api_key().clone())
        .collect();
    assert_eq!(keys, stored);
    assert_eq!(keys.len(), 1);
}

fn names_in(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A change that must succeed.
fn edit<T>(
    file: &UserFile,
    change: impl FnOnce(&mut Document) -> Result<T, EditError>,
) -> Result<T, Box<dyn Error>> {
    file.edit(IfMissing::Fail, |document| {
        change(document).map_err(Box::from)
    })
}

#[test]
fn an_edit_keeps_what_it_does_not_know_and_makes_the_file_private() -> TestResult {
    let bob =
        user(2, "bob", 'b', 1).replacen('{', r#"{"note":"Bob's","games":[1,2.5,{"x":null}],"#, 1);
    let content = file_of(&[user(7, "alice", 'a', 3), bob]).replacen('{', r#"{"version":12,"#, 1);
    let folder = Folder::with(&content);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644))?;
    fs::write(
        folder.0.join(".users.json.new"),
        "left by a writer that was killed",
    )?;
    let file = UserFile::new(folder.file());

    let key = edit(&file, |document| document.rotate("BOB"))?;
    let mut expected: serde_json::Value = serde_json::from_str(&content)?;
    expected["users"][1]["api_key"] = key.reveal().into();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&fs::read(folder.file())?)?,
        expected
    );
    assert_eq!(fs::metadata(folder.file())?.mode() & 0o777, 0o600);
    assert_eq!(names_in(&folder.0)?, ["users.json", "users.json.lock"]);

    // Nothing to change: the file is not replaced.
    let inode = fs::metadata(folder.file())?.ino();
    edit(&file, |document| document.set_activated("alice", true))?;
    assert_eq!(fs::metadata(folder.file())?.ino(), inode);
    Ok(())
}

#[test]
fn changes_do_what_they_say() -> TestResult {
    let folder = Folder::with(alice_and_bob());
    let file = UserFile::new(folder.file());
    let of = |name: &str| -> Result<User, Box<dyn Error>> { Ok(file.read()?.find(name)?.user()) };

    edit(&file, |document| document.set_activated("bob", false))?;
    assert!(!of("bob")?.may_enter());
    let hash = PasswordHash::make("secret")?;
    edit(&file, |document| document.set_password("bob", hash.clone()))?;
    assert_eq!(file.read()?.find("bob")?.password(), Some(&hash));

    assert!(file.read()?.has_admin());
    edit(&file, |document| document.remove("alice", Timestamp::now()))?;
    assert!(!file.read()?.has_admin());
    assert!(matches!(
        file.read()?.find("alice"),
        Err(EditError::Removed { .. })
    ));

    // The name is free again, the id is not, even where the removed user had the greatest.
    edit(&file, |document| document.add("Alice", Role::Guest))?;
    assert_eq!((of("alice")?.id, of("alice")?.role), (3, Role::Guest));
    edit(&file, |document| document.remove("ALICE", Timestamp::now()))?;
    edit(&file, |document| document.add("alice", Role::User))?;
    assert_eq!(of("alice")?.id, 4);

    let refused = |change: fn(&mut Document) -> Result<ApiKey, EditError>| {
        edit(&file, change).expect_err("refused").to_string()
    };
    let before = fs::read(folder.file())?;
    assert!(
        refused(|document| document.add("BOB", Role::User))
            .contains("there is a user \"bob\" already (id 2)")
    );
    assert!(
        refused(|document| document.add("b:b", Role::User))
            .contains("\"b:b\" cannot be a username: the username contains ':'")
    );
    assert!(
        refused(|document| document.rotate("eve"))
            .contains("there is no user \"eve\"; `rollcall users list`")
    );
    assert_eq!(fs::read(folder.file())?, before);
    Ok(())
}

#[test]
fn the_last_id_is_not_followed_by_another() {
    let mut document =
        Document::parse(file_of(&[user(9_007_199_254_740_991, "max", 'a', 1)]).as_bytes())
            .expect("good");
    assert_eq!(document.add("next", Role::User), Err(EditError::NoMoreIds));
}

#[test]
fn a_broken_file_is_not_edited() {
    let folder = Folder::with("{\"users\":[");
    let file = UserFile::new(folder.file());
    let refused = edit(&file, |document| document.add("eve", Role::User)).expect_err("broken");
    assert!(
        refused.to_string().contains("line 1, column 10"),
        "{refused}"
    );
    assert_eq!(
        fs::read(folder.file()).expect("still there"),
        b"{\"users\":["
    );
}

#[test]
fn an_edit_without_a_file_makes_one_or_leaves_nothing_behind() -> TestResult {
    let folder = Folder::new();
    let file = UserFile::new(folder.0.join("new/users.json"));
    let missing = edit(&file, |document| document.rotate("eve")).expect_err("no file");
    assert!(
        missing.to_string().contains("there is no user file"),
        "{missing}"
    );
    assert!(!folder.0.join("new").exists());
    file.edit(IfMissing::Create, |document| {
        document
            .add("eve", Role::User)
            .map_err(Box::<dyn Error>::from)
    })?;
    assert_eq!(file.read()?.find("eve")?.user().id, 1);
    Ok(())
}

#[test]
fn a_symbolic_link_stays_one() -> TestResult {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("real"))?;
    symlink("real/middle.json", folder.file())?;
    symlink("store.json", folder.0.join("real/middle.json"))?;
    let file = UserFile::new(folder.file());
    file.create_with_admin()?; // through links that lead to nothing yet
    edit(&file, |document| document.add("bob", Role::User))?;
    assert!(fs::symlink_metadata(folder.file())?.is_symlink());
    assert!(fs::symlink_metadata(folder.0.join("real/middle.json"))?.is_symlink());
    assert_eq!(
        names_in(&folder.0.join("real"))?,
        ["middle.json", "store.json", "store.json.lock"]
    );
    assert_eq!(
        UserFile::new(folder.0.join("real/store.json"))
            .read()?
            .users()
            .len(),
        2
    );
    Ok(())
}

/// Whoever has the server's account could otherwise have root give it any file.
#[test]
fn a_lock_that_leads_elsewhere_is_refused_and_what_is_there_is_left_alone() {
    let folder = Folder::with(alice_and_bob());
    let (elsewhere, lock) = (folder.0.join("shadow"), folder.0.join("users.json.lock"));
    fs::write(&elsewhere, "root's").expect("a file");
    let owner = || {
        let found = fs::metadata(&elsewhere).expect("a file");
        (found.uid(), found.gid())
    };
    let before = owner();
    // Only root can give files away.
    if before.0 == 0 {
        chown(folder.file(), Some(65534), Some(65534)).expect("root");
    }
    let file = UserFile::new(folder.file());
    for link in [symlink, fs::hard_link] {
        link(&elsewhere, &lock).expect("a file");
        let refused = edit(&file, |document| document.rotate("bob")).expect_err("refused");
        let lock_name = lock.display().to_string();
        assert!(refused.to_string().contains(&lock_name), "{refused}");
        assert!(refused.to_string().contains("remove it"), "{refused}");
        assert_eq!(owner(), before);
        assert_eq!(fs::read_to_string(&elsewhere).expect("a file"), "root's");
        fs::remove_file(&lock).expect("a file");
    }
    // One that is made here is its owner's, and is used again.
    for _ in 0..2 {
        edit(&file, |document| document.rotate("bob")).expect("a change");
        let users = fs::metadata(folder.file()).expect("a file");
        assert_eq!(fs::metadata(&lock).expect("a file").uid(), users.uid());
    }
}

#[test]
fn concurrent_edits_lose_nothing_and_readers_never_see_half_a_file() -> TestResult {
    const WRITERS: usize = 8;
    const EACH: usize = 8;
    let folder = Folder::with(alice_and_bob());
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut reads, mut seen) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let users = UserFile::new(folder.file())
                    .read()
                    .expect("always whole")
                    .users()
                    .len();
                assert!(users >= seen, "a user was lost");
                (reads, seen) = (reads + 1, users);
            }
            reads
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let file = UserFile::new(folder.file());
                scope.spawn(move || {
                    for number in 0..EACH {
                        edit(&file, |document| {
                            document.add(&format!("u{writer}-{number}"), Role::User)
                        })
                        .expect("added");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("no panic");
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no panic")
    });
    assert!(reads > 0);
    let document = UserFile::new(folder.file()).read()?;
    let mut ids: Vec<u64> = document.users().iter().map(|user| user.user().id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=(2 + WRITERS * EACH) as u64).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn what_is_not_finished_is_private_from_its_first_moment() {
    let folder = Folder::with(alice_and_bob());
    let file = UserFile::new(folder.file());
    // So many that a draft takes its time.
    edit(&file, |document| {
        (0..2000).try_for_each(|number| document.add(&format!("u{number}"), Role::User).map(drop))
    })
    .expect("a change");
    let draft = folder.0.join(".users.json.new");
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                if let Ok(metadata) = fs::metadata(&draft) {
                    assert_eq!(metadata.mode() & 0o777, 0o600);
                    seen += 1;
                }
            }
            seen
        });
        for _ in 0..10 {
            edit(&file, |document| document.rotate("bob")).expect("a change");
        }
        done.store(true, Ordering::Relaxed);
        looker.join().expect("no panic")
    });
    assert!(seen > 0, "no draft was seen");
}

/// Everything that was logged in this program, by all tests.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        LOG.lock()
            .expect("not poisoned")
            .push(format!("{} {}", record.level(), record.args()));
    }
    fn flush(&self) {}
}

/// What was logged about a file.
fn logged(path: &Path) -> Vec<String> {
    let path = path.display().to_string();
    LOG.lock()
        .expect("not poisoned")
        .iter()
        .filter(|line| line.contains(&path))
        .cloned()
        .collect()
}

fn keep_log() {
    static KEEP: Once = Once::new();
    KEEP.call_once(|| {
        log::set_logger(&Keep).expect("the only logger");
        log::set_max_level(log::LevelFilter::Info);
    });
}

#[test]
fn a_file_that_everybody_can_read_is_warned_of() -> TestResult {
    keep_log();
    let folder = Folder::with(alice_and_bob());
    FileDirectory::open(folder.file())?;
    assert_eq!(logged(&folder.file()), [""; 0]);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o604))?;
    FileDirectory::open(folder.file())?;
    let lines = logged(&folder.file());
    assert!(
        matches!(lines.as_slice(), [line] if line.starts_with("WARN") && line.contains("chmod 600")),
        "{lines:?}"
    );
    Ok(())
}

/// Far longer than a change takes to be noticed, even on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_change_is_taken_over_and_told_twice() -> TestResult {
    let folder = Folder::with(alice_and_bob());
    let file = UserFile::new(folder.file());
    let directory = Arc::new(FileDirectory::open(folder.file())?);
    let (called, mut calls) = mpsc::unbounded_channel();
    let watched = Arc::clone(&directory);
    let watch = tokio::spawn(async move {
        watched
            .watch(move || called.send(tokio::time::Instant::now()).expect("heard"))
            .await;
    });
    let bob = directory.by_key(&key('b')).await?.expect("bob");
    let alice = directory.by_key(&key('a')).await?.expect("alice");
    type Change = fn(&mut Document) -> Result<(), EditError>;
    let changes: [(Change, bool); 4] = [
        (|document| document.set_activated("bob", false), false),
        (|document| document.set_activated("bob", true), true),
        (|document| document.rotate("bob").map(drop), false),
        (|document| document.remove("bob", Timestamp::now()), false),
    ];
    for (change, bob_stays) in changes {
        edit(&file, change)?;
        let first = timeout(PATIENCE, calls.recv()).await?.expect("told");
        assert_eq!(directory.is_current(&bob), bob_stays);
        assert!(directory.is_current(&alice), "a change of another user");
        let second = timeout(PATIENCE, calls.recv()).await?.expect("told again");
        assert!(
            second - first > CHECK_INTERVAL / 2,
            "the second call is a tick later"
        );
    }
    // Twice and no more: nothing changed during two more ticks.
    assert!(timeout(CHECK_INTERVAL * 5 / 2, calls.recv()).await.is_err());
    watch.abort();
    Ok(())
}

#[tokio::test]
async fn while_the_file_is_bad_the_old_users_stay_and_the_log_says_why_once() -> TestResult {
    keep_log();
    let folder = Folder::with(alice_and_bob());
    let path = folder.file();
    let directory = Arc::new(FileDirectory::open(&path)?);
    let (called, mut calls) = mpsc::unbounded_channel();
    let watched = Arc::clone(&directory);
    let watch = tokio::spawn(async move {
        watched.watch(move || called.send(()).expect("heard")).await;
    });
    let bob = directory.by_key(&key('b')).await?.expect("bob");

    // Broken, broken in another version, and gone: each is logged once, and stays so for several looks.
    let bad: [&dyn Fn() -> std::io::Result<()>; 3] = [
        &|| {
            fs::File::options()
                .append(true)
                .open(&path)?
                .write_all(b"x")
        },
        &|| {
            fs::File::options()
                .append(true)
                .open(&path)?
                .write_all(b"y")
        },
        &|| fs::remove_file(&path),
    ];
    for (index, make_bad) in bad.into_iter().enumerate() {
        make_bad()?;
        assert!(
            timeout(CHECK_INTERVAL * 3, calls.recv()).await.is_err(),
            "no call for a bad file"
        );
        assert!(directory.is_current(&bob));
        let lines = logged(&path);
        assert_eq!(lines.len(), index + 1, "{lines:?}");
        assert!(
            lines.iter().all(|line| line.starts_with("ERROR")),
            "{lines:?}"
        );
    }
    let lines = logged(&path);
    assert!(
        lines[0].contains("line 4, column 3: trailing characters"),
        "{lines:?}"
    );
    assert!(lines[2].contains("there is no user file"), "{lines:?}");

    write_private(&path, file_of(&[user(1, "alice", 'a', 3)]).as_bytes());
    timeout(PATIENCE, calls.recv()).await?.expect("told");
    assert!(!directory.is_current(&bob));
    assert_eq!(ids(&directory.all().await?), [1]);
    watch.abort();
    Ok(())
}

/// The answers of a file are ready at once: admission does not wait for them.
#[test]
fn lookups_in_memory_are_ready_at_once() -> TestResult {
    let folder = Folder::with(alice_and_bob());
    let directory = FileDirectory::open(folder.file())?;
    let key = key('a');
    let lookup = pin!(directory.by_key(&key));
    let Poll::Ready(found) = lookup.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("not ready")
    };
    assert_eq!(found?.map(|user| user.id), Some(1));
    Ok(())
}
