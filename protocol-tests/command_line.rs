//! The command line and the configuration, through the real program where there is one to run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs
)]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use log::LevelFilter;
use rollcall::cli::doctor::markdown as ills;
use rollcall::config::{
    Config, LogFormat, MetricsPlace, SETTINGS, markdown, nearest, unknown_variables,
};

type TestResult = Result<(), Box<dyn Error>>;

/// A folder of the test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "rollcall-cli-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    /// The program with these arguments, at work in the folder, with nothing from the environment of the tests.
    fn rollcall(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command
            .args(arguments)
            .env_clear()
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    /// Runs `rollcall users …`, which must succeed; its standard output.
    fn users(&self, arguments: &[&str]) -> String {
        let mut command = self.rollcall(&["users"]);
        let said = Said::of(command.args(arguments));
        assert_eq!(said.status, Some(0), "{arguments:?}: {said:?}");
        said.out
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program that has ended said.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(command: &mut Command) -> Said {
        Said::from(command.output().expect("the program runs"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said {
            status: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

fn is_key(line: &str) -> bool {
    line.len() == 64 && line.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
}

/// The configuration that these variables make; or the message.
fn config(variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Config::read(|name| variables.get(name).map(OsString::from))
        .map_err(|errors| errors.to_string())
}

#[test]
fn the_defaults() {
    let expected = Config {
        server_host: None,
        server_port: 8080,
        https_enabled: false,
        https_port: 8443,
        https_certificate: None,
        https_key: None,
        log_level: LevelFilter::Info,
        log_format: LogFormat::Text,
        metrics: MetricsPlace::MainPort,
        cors_allowed_origins: Vec::new(),
        online_activities_disabled: false,
        base_path: String::new(),
        users_file: "data/users.json".into(),
        database_system: None,
        sqlite_folder: "/db".into(),
        database_host: "localhost".to_owned(),
        database_port: 5432,
        database_username: String::new(),
        database_password: None,
        database_name: "gamevault".to_owned(),
        database_tls: false,
        database_tls_checked: true,
        database_tls_authorities: None,
        database_wait: Duration::ZERO,
        database_stale: Duration::from_secs(600),
        auth_seed: None,
        client_bundle_dir: None,
        max_sessions: 10_000,
        max_half_open_sessions: 10_000,
        max_sessions_per_address: 500,
        max_sessions_per_user: 10_000,
        max_openings_per_minute: 1_000,
        max_messages_per_second: 5_000,
        max_bytes_per_second: 10_000_000,
        max_failures_per_minute: 30,
        trusted_proxies: Vec::new(),
        ping_interval: Duration::from_millis(25_000),
        ping_timeout: Duration::from_millis(20_000),
        max_payload_bytes: 1_000_000,
        connect_timeout: Duration::from_millis(45_000),
        upgrade_timeout: Duration::from_millis(10_000),
        poll_timeout: Duration::from_millis(20_000),
        post_timeout: Duration::from_secs(20),
        message_timeout: Duration::from_secs(20),
        allow_eio3: false,
        auth_connect_payload: false,
        webhook_url: None,
        webhook_secret: None,
        activity_grace: Duration::from_secs(15),
        activity_public_read: false,
        max_streams: 1000,
        compression: cfg!(feature = "compression"),
    };
    assert_eq!(config(&[]), Ok(expected.clone()));
    let empty: Vec<(&str, &str)> = SETTINGS.iter().map(|setting| (setting.name, " ")).collect();
    assert_eq!(config(&empty), Ok(expected), "an empty value is none");
}

#[test]
fn values_that_are_accepted() -> TestResult {
    // The variable, its value, and the value as `check` shows it.
    let table = [
        ("SERVER_HOST", "127.0.0.1", "127.0.0.1"),
        ("SERVER_HOST", "::1", "::1"),
        ("SERVER_HOST", "[::1]", "::1"),
        ("SERVER_PORT", "0", "0"),
        ("SERVER_PORT", " 65535 ", "65535"),
        ("SERVER_LOG_LEVEL", "WARN", "warn"),
        ("SERVER_LOG_LEVEL", "http", "info"),
        ("SERVER_LOG_LEVEL", "verbose", "debug"),
        ("SERVER_LOG_LEVEL", "silly", "trace"),
        ("LOG_FORMAT", "JSON", "json"),
        ("METRICS_ADDRESS", "OFF", "off"),
        ("METRICS_ADDRESS", "[::1]:9464", "[::1]:9464"),
        ("SERVER_CORS_ALLOWED_ORIGINS", "*", ""),
        ("SERVER_CORS_ALLOWED_ORIGINS", "https://a.example,*", ""),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://A.example/, http://[::1]:3000,",
            "https://a.example,http://[::1]:3000",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://a:443,http://a:80,http://a:443,http://[::1]:80",
            "https://a,http://a,http://a:443,http://[::1]",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "null,capacitor://localhost",
            "null,capacitor://localhost",
        ),
        ("SERVER_BASE_PATH", "/activities/", "/activities/"),
        ("SERVER_BASE_PATH", "activities", "/activities/"),
        ("SERVER_BASE_PATH", "/a/b-c", "/a/b-c/"),
        ("SERVER_BASE_PATH", "/", ""),
        ("USERS_FILE", "/srv/my users.json", "/srv/my users.json"),
        (
            "CLIENT_BUNDLE_DIR",
            "/srv/a client/dist",
            "/srv/a client/dist",
        ),
        ("ENGINE_MAX_SESSIONS", "1", "1"),
        ("ENGINE_MAX_SESSIONS", "1000000", "1000000"),
        ("ENGINE_MAX_HALF_OPEN_SESSIONS", "7", "7"),
        ("ENGINE_PING_INTERVAL_MS", "1", "1"),
        ("ENGINE_POST_TIMEOUT_MS", "250", "250"),
        ("ENGINE_MESSAGE_TIMEOUT_MS", "60000", "60000"),
        ("ENGINE_PING_TIMEOUT_MS", "86400000", "86400000"),
        ("ENGINE_CONNECT_TIMEOUT_MS", "007", "7"),
        ("ENGINE_MAX_PAYLOAD_BYTES", "100000000", "100000000"),
    ];
    let on = ["1", "true", "yes", "on", "enable", "Enabled"];
    let off = ["0", "FALSE", "no", "off", "disable", "disabled"];
    let switches = on.map(|word| ("SERVER_ONLINE_ACTIVITIES_DISABLED", word, "true"));
    let switches_off = off.map(|word| ("SERVER_ONLINE_ACTIVITIES_DISABLED", word, "false"));
    for (name, value, shown) in table.into_iter().chain(switches).chain(switches_off) {
        let config = config(&[(name, value)])?;
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .expect("a setting");
        assert_eq!(setting.show(&config), shown, "{name}={value}");
    }
    assert_eq!(
        config(&[("SERVER_HOST", "[::1]")])?.server_host,
        Some("::1".parse::<IpAddr>()?)
    );
    Ok(())
}

#[test]
fn values_that_are_not_accepted_are_named_with_what_is() {
    let table = [
        (
            "SERVER_HOST",
            "localhost",
            "an IP address such as 127.0.0.1 or ::1",
        ),
        ("SERVER_HOST", "[127.0.0.1]", "an IP address"),
        ("SERVER_PORT", "65536", "a whole number from 0 to 65535"),
        ("SERVER_PORT", "-1", "a whole number from 0 to 65535"),
        ("SERVER_PORT", "+1", "a whole number from 0 to 65535"),
        ("SERVER_PORT", "80 80", "a whole number from 0 to 65535"),
        (
            "SERVER_LOG_LEVEL",
            "loud",
            "one of off, error, warn, info, debug, trace, http, verbose, silly",
        ),
        ("LOG_FORMAT", "xml", "one of text, json"),
        ("METRICS_ADDRESS", "9464", "an address and a port"),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "games.example",
            "origins separated by commas",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://a/path",
            "origins separated by commas",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://a:0",
            "origins separated by commas",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://",
            "origins separated by commas",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://a b",
            "origins separated by commas",
        ),
        (
            "SERVER_CORS_ALLOWED_ORIGINS",
            "https://[::g]",
            "origins separated by commas",
        ),
        (
            "SERVER_BASE_PATH",
            "/a//b/",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "/a b/",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "/../",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "/api/",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "socket.io",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "/page/x/",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "/a?b",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_BASE_PATH",
            "https://a/",
            "a path such as /activities/, not below /api/",
        ),
        (
            "SERVER_ONLINE_ACTIVITIES_DISABLED",
            "2",
            "true/1/yes/on/enable/enabled, or false/0/no/off/disable/disabled",
        ),
        (
            "ENGINE_MAX_SESSIONS",
            "0",
            "a whole number from 1 to 1000000",
        ),
        (
            "ENGINE_MAX_SESSIONS",
            "1000001",
            "a whole number from 1 to 1000000",
        ),
        (
            "ENGINE_PING_INTERVAL_MS",
            "0",
            "milliseconds, a whole number from 1 to 86400000",
        ),
        (
            "ENGINE_PING_TIMEOUT_MS",
            "86400001",
            "milliseconds, a whole number from 1 to 86400000",
        ),
        (
            "ENGINE_CONNECT_TIMEOUT_MS",
            "45s",
            "milliseconds, a whole number from 1 to 86400000",
        ),
        (
            "ENGINE_CONNECT_TIMEOUT_MS",
            "99999999999999999999",
            "milliseconds, a whole number",
        ),
        (
            "ENGINE_MAX_PAYLOAD_BYTES",
            "1e6",
            "bytes, a whole number from 1 to 100000000",
        ),
    ];
    for (name, value, accepted) in table {
        let message = config(&[(name, value)]).expect_err(value);
        let expected = format!("{name} is {value:?}; accepted: {accepted}");
        assert!(message.starts_with(&expected), "{message}\n{expected}");
    }
    let long = config(&[("SERVER_PORT", &"9".repeat(5000))]).expect_err("long");
    assert!(long.len() < 300, "{long}");
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = config(&[
        ("SERVER_PORT", "x"),
        ("USERS_FILE", "y"),
        ("ENGINE_PING_TIMEOUT_MS", "z"),
        ("DB_SYSTEM", "MYSQL"),
    ]);
    let errors = errors.expect_err("three");
    let names: Vec<&str> = errors
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names,
        ["SERVER_PORT", "DB_SYSTEM", "ENGINE_PING_TIMEOUT_MS"]
    );
    assert!(
        errors.contains("DB_SYSTEM is \"MYSQL\"; accepted: SQLITE, which needs a build with"),
        "{errors}"
    );
}

#[test]
#[cfg(not(feature = "webhooks"))]
fn what_the_build_lacks_is_refused() {
    let errors = config(&[
        ("WEBHOOK_URL", "https://me:hunter2@localhost/"),
        ("WEBHOOK_SECRET", "hunter2"),
    ]);
    assert_eq!(
        errors.expect_err("lacking"),
        "WEBHOOK_URL is set, but this build has no webhooks: unset WEBHOOK_URL, or run a build with the feature `webhooks`\n\
         WEBHOOK_SECRET is set, but this build has no webhooks: unset WEBHOOK_SECRET, or run a build with the feature `webhooks`"
    );
}

#[test]
#[cfg(not(feature = "tls"))]
fn https_is_refused_by_a_build_without_it_and_its_other_settings_say_nothing() {
    let errors = config(&[("SERVER_HTTPS_ENABLED", "true")]);
    assert_eq!(
        errors.expect_err("lacking"),
        "SERVER_HTTPS_ENABLED is \"true\"; accepted: false/0/no/off/disable/disabled; true needs a build with the feature `tls`"
    );
    let others = config(&[
        ("SERVER_HTTPS_ENABLED", "false"),
        ("SERVER_HTTPS_PORT", "443"),
        ("SERVER_HTTPS_CERT_PATH", "/nowhere"),
    ]);
    assert_eq!(others.map(|config| config.https_port), Ok(443));
}

#[test]
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
fn a_database_that_the_build_cannot_read_is_refused() {
    for (value, feature) in [("SQLITE", "sqlite"), ("postgresql", "postgres")] {
        assert_eq!(
            config(&[("DB_SYSTEM", value)]).expect_err("lacking"),
            format!(
                "DB_SYSTEM is {value:?}, but this build cannot read such a database: unset DB_SYSTEM to have the users in \
                 USERS_FILE, or run a build with the feature `{feature}`"
            )
        );
    }
}

#[test]
fn a_value_from_a_file_wins() -> TestResult {
    let folder = Folder::new();
    let port = folder.0.join("port");
    let path = port.to_str().ok_or("a path")?;
    let from_file = [("SERVER_PORT", "1"), ("SERVER_PORT_FILE", path)];

    fs::write(&port, "\t9001\n\n")?;
    assert_eq!(config(&from_file)?.server_port, 9001);
    fs::write(&port, "\n")?;
    assert_eq!(
        config(&from_file)?.server_port,
        8080,
        "an empty file is no value, and SERVER_PORT does not come back"
    );
    assert_eq!(
        config(&[("SERVER_PORT", "1"), ("SERVER_PORT_FILE", "")])?.server_port,
        1
    );

    fs::write(&port, "many")?;
    assert_eq!(
        config(&from_file).map(drop),
        Err(format!(
            "SERVER_PORT (from the file {path}) is \"many\"; accepted: a whole number from 0 to 65535; 0 lets the kernel choose"
        ))
    );
    fs::write(&port, "1".repeat(64 * 1024 + 1))?;
    assert!(
        config(&from_file)
            .expect_err("large")
            .contains("larger than 64 KiB")
    );
    fs::write(&port, b"\xff")?;
    assert!(
        config(&from_file)
            .expect_err("not text")
            .contains("not UTF-8")
    );
    fs::remove_file(&port)?;
    let gone = config(&from_file).expect_err("gone");
    assert!(
        gone.starts_with(&format!(
            "SERVER_PORT_FILE is {path:?}, and that file cannot be read: No such file"
        )),
        "{gone}"
    );
    assert!(
        gone.ends_with("accepted: a file that holds the value of SERVER_PORT"),
        "{gone}"
    );

    // The one setting whose own name ends so.
    fs::write(&port, "/srv/users.json\n")?;
    assert_eq!(
        config(&[("USERS_FILE_FILE", path)])?.users_file,
        Path::new("/srv/users.json")
    );
    Ok(())
}

#[test]
fn a_value_that_is_not_text_is_named() {
    let errors =
        Config::read(|name| (name == "USERS_FILE").then(|| OsStr::from_bytes(b"a\xff").to_owned()));
    assert_eq!(
        errors.expect_err("not text").to_string(),
        "USERS_FILE is not UTF-8 text; set it again, or unset it"
    );
}

#[test]
fn variables_that_are_no_settings() {
    let names = [
        "PATH",
        "SERVER",
        "SERVER_PORT",
        "SERVER_PORT_FILE",
        "USERS_FILE",
        "USERS_FILE_FILE",
        "ENGINE_PING_INTERVAL",
        "SERVER_PROT",
        "SERVER_ADMIN_USERNAME",
        "USERS_REQUIRE_EMAIL",
        "DB_HOST",
    ];
    assert_eq!(
        unknown_variables(names.map(OsString::from)),
        [
            "ENGINE_PING_INTERVAL is no setting and was ignored: did you mean ENGINE_PING_INTERVAL_MS?",
            "SERVER_PROT is no setting and was ignored: did you mean SERVER_PORT?",
            "no settings of Rollcall, and ignored: SERVER_ADMIN_USERNAME, USERS_REQUIRE_EMAIL",
        ]
    );
    assert_eq!(unknown_variables([]), [""; 0]);
}

#[test]
fn the_nearest_word() {
    let words = ["serve", "check", "users"];
    for (word, near) in [
        ("serv", Some("serve")),
        ("chekc", None),
        ("cheek", Some("check")),
        ("user", Some("users")),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, words), near, "{word}");
    }
}

#[test]
fn every_setting_has_its_own_name_and_a_default_that_is_accepted() {
    let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), SETTINGS.len());
    let defaults: Vec<(&str, &str)> = SETTINGS
        .iter()
        .map(|setting| (setting.name, setting.default))
        .collect();
    let config = config(&defaults).expect("accepted");
    for setting in SETTINGS {
        assert_eq!(setting.show(&config), setting.default, "{}", setting.name);
    }
}

#[test]
#[cfg_attr(
    not(feature = "compression"),
    ignore = "the README tells of the default build"
)]
fn the_readme_has_the_table_of_settings() -> TestResult {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))?;
    assert!(
        readme.contains(&markdown()),
        "README.md needs this table:\n\n{}",
        markdown()
    );
    Ok(())
}

#[test]
fn help_has_every_command_and_setting() {
    let folder = Folder::new();
    let said = Said::of(&mut folder.rollcall(&["--help"]));
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    for setting in SETTINGS {
        let line = said
            .out
            .lines()
            .find(|line| line.starts_with(&format!("  {} ", setting.name)))
            .unwrap_or_default();
        assert!(
            line.ends_with(if setting.default.is_empty() {
                "(empty)"
            } else {
                setting.default
            }),
            "{} {line}",
            setting.name
        );
    }
    for command in [
        "serve",
        "check",
        "users add NAME [--role guest|user|editor|admin]",
        "users list",
        "users key NAME",
        "users rotate NAME",
        "users activate NAME",
        "users deactivate NAME",
        "users password NAME",
        "users remove NAME",
        "watch [URL]",
        "set STATE [GAME]",
        "health [URL]",
        "doctor [URL]",
    ] {
        assert!(said.out.contains(&format!("\n  {command}")), "{command}");
    }
    for same in [&["-h"][..], &["help"], &["nothing", "--help"]] {
        assert_eq!(
            Said::of(&mut folder.rollcall(same)).out,
            said.out,
            "{same:?}"
        );
    }
    for command in [
        "serve", "check", "users", "watch", "set", "health", "doctor", "version",
    ] {
        let said = Said::of(&mut folder.rollcall(&[command, "--help"]));
        assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{command}");
        assert!(said.out.starts_with("Usage: rollcall "), "{command}");
        let (_, examples) = said.out.split_once("\nExamples:\n").expect(command);
        assert!(examples.contains("rollcall"), "{command}");
        for same in [&["help", command][..], &[command, "what", "-h"]] {
            assert_eq!(Said::of(&mut folder.rollcall(same)).out, said.out);
        }
    }
    for version in ["--version", "-V", "version"] {
        let said = Said::of(&mut folder.rollcall(&[version]));
        assert_eq!(
            (said.status, said.out),
            (Some(0), format!("rollcall {}\n", env!("CARGO_PKG_VERSION")))
        );
    }
}

#[test]
fn what_is_no_command_exits_with_2_and_a_hint() {
    let folder = Folder::new();
    let table: [(&[&str], &str); 40] = [
        (
            &["help", "wach"],
            "there is no command \"wach\"; did you mean \"watch\"?",
        ),
        (
            &["watch", "a", "b"],
            "watch takes one URL, and \"b\" is one more",
        ),
        (&["health", "a", "b"], "health takes one URL"),
        (&["doctor", "a", "b"], "doctor takes one URL"),
        (
            &["watch", "--jsn"],
            "invalid option '--jsn'; did you mean --json?",
        ),
        (
            &["watch", "--keyfile", "x"],
            "invalid option '--keyfile'; did you mean --key-file?",
        ),
        (
            &["watch", "--for", "2h"],
            "--for is an option of `set` only",
        ),
        (
            &["health", "--json"],
            "--json is an option of `watch`, `set`, `doctor` only",
        ),
        (
            &["watch", "--json=yes"],
            "unexpected argument for option '--json'",
        ),
        (
            &["set"],
            "set needs one of the words ONLINE, BUSY, PLAYING, OFFLINE",
        ),
        (
            &["set", "playin"],
            "there is no state \"PLAYIN\"; did you mean \"PLAYING\"?",
        ),
        (
            &["set", "asleep"],
            "there is no state \"ASLEEP\"; there are ONLINE, BUSY, PLAYING, OFFLINE",
        ),
        (&["set", "BUSY", "42"], "set BUSY takes no argument \"42\""),
        (
            &["set", "PLAYING", "chess"],
            "\"chess\" is no game: its id is a whole number from 0 to 9007199254740991",
        ),
        (&["set", "PLAYING", "-1"], "invalid option '-1'"),
        (&["set", "PLAYING", "9007199254740992"], "is no game"),
        (
            &["set", "PLAYING", "1", "2"],
            "set PLAYING takes one game, and \"2\" is one more",
        ),
        (
            &["set", "BUSY", "--for", "25h"],
            "--for \"25h\" is no time from 1s to 24h",
        ),
        (&["set", "BUSY", "--for", "0s"], "is no time"),
        (&["set", "BUSY", "--for", "soon"], "is no time"),
        (
            &["set", "OFFLINE", "--for", "2h"],
            "--for and --details have no place there",
        ),
        (
            &["set", "OFFLINE", "--details", "gone"],
            "--for and --details have no place there",
        ),
        (
            &["watch", "--key-file"],
            "missing argument for option '--key-file'",
        ),
        (
            &["chek"],
            "there is no command \"chek\"; did you mean \"check\"?",
        ),
        (
            &["frobnicate"],
            "there is no command \"frobnicate\"; there are serve, check, users, watch, set, health, doctor, help, version",
        ),
        (&["serve", "now"], "serve takes no argument \"now\""),
        (&["--port", "1"], "invalid option '--port'"),
        (&["-x"], "invalid option '-x'"),
        (
            &["check", "--role", "user"],
            "--role is an option of `users add` only",
        ),
        (
            &["users"],
            "users needs one of the words add, list, key, rotate, activate, deactivate, password, remove",
        ),
        (
            &["users", "rotat", "x"],
            "there is no users command \"rotat\"; did you mean \"rotate\"?",
        ),
        (&["users", "add"], "users add needs the name of a user"),
        (
            &["users", "add", "a", "b"],
            "users add takes one name, and \"b\" is one more",
        ),
        (
            &["users", "add", "a", "--role"],
            "missing argument for option '--role'",
        ),
        (
            &["users", "add", "a", "--role", "boss"],
            "\"boss\" is no role: a role is one of guest, user, editor and admin",
        ),
        (
            &["users", "list", "a"],
            "users list takes no argument \"a\"",
        ),
        (
            &["users", "key", "a", "--role", "user"],
            "--role is an option of `users add` only",
        ),
        (&["users", "add", "-name"], "invalid option '-n'"),
        (&["--help=now"], "unexpected argument for option '--help'"),
        (
            &["--version=1"],
            "unexpected argument for option '--version'",
        ),
    ];
    for (arguments, says) in table {
        let said = Said::of(&mut folder.rollcall(arguments));
        assert_eq!(
            (said.status, said.out.as_str()),
            (Some(2), ""),
            "{arguments:?}: {said:?}"
        );
        assert!(said.err.contains(says), "{arguments:?}: {}", said.err);
        assert!(
            said.err.contains("`rollcall --help`"),
            "{arguments:?}: {}",
            said.err
        );
    }
    let said = Said::of(
        folder
            .rollcall(&["users", "key"])
            .arg(OsStr::from_bytes(b"\xff")),
    );
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(!folder.0.join("data").exists(), "nothing was made");
}

#[test]
fn nobody_reading_is_no_error_and_a_full_disk_is() -> TestResult {
    let folder = Folder::new();
    folder.users(&["add", "alice"]);
    for arguments in [
        &["--help"][..],
        &["check"],
        &["users", "list"],
        &["users", "key", "alice"],
        &["version"],
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let said = Said::of(folder.rollcall(arguments).stdout(writer));
        assert_eq!(
            (said.status, said.err.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    #[cfg(target_os = "linux")]
    {
        let full = fs::File::options().write(true).open("/dev/full")?;
        let said = Said::of(folder.rollcall(&["users", "list"]).stdout(full));
        assert_eq!(said.status, Some(1));
        assert!(said.err.contains("cannot print the result"), "{said:?}");
    }
    Ok(())
}

#[test]
fn check_shows_the_configuration_and_looks_at_the_users() -> TestResult {
    let folder = Folder::new();
    let said = Said::of(
        folder
            .rollcall(&["check"])
            .env("SERVER_PORT", "09000")
            .env("SERVER_PROT", "1"),
    );
    assert_eq!(said.status, Some(0), "{said:?}");
    let shown: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        shown,
        [
            "SERVER_HOST=",
            "SERVER_PORT=9000",
            "SERVER_HTTPS_ENABLED=false",
            "SERVER_HTTPS_PORT=8443",
            "SERVER_HTTPS_CERT_PATH=",
            "SERVER_HTTPS_KEY_PATH=",
            "SERVER_LOG_LEVEL=info",
            "LOG_FORMAT=text",
            "METRICS_ADDRESS=",
            "SERVER_CORS_ALLOWED_ORIGINS=",
            "SERVER_ONLINE_ACTIVITIES_DISABLED=false",
            "SERVER_BASE_PATH=",
            "USERS_FILE=data/users.json",
            "DB_SYSTEM=",
            "VOLUMES_SQLITEDB=/db",
            "DB_HOST=localhost",
            "DB_PORT=5432",
            "DB_USERNAME=",
            "DB_PASSWORD=",
            "DB_DATABASE=gamevault",
            "DB_TLS_ENABLED=false",
            "DB_TLS_REJECT_UNAUTHORIZED_ENABLED=true",
            "DB_TLS_CA_CERTIFICATE_PATH=",
            "DB_WAIT_SECONDS=0",
            "DB_STALE_SECONDS=600",
            "AUTH_SEED=",
            "AUTH_CONNECT_PAYLOAD_ENABLED=false",
            "AUTH_MAX_FAILURES_PER_MINUTE=30",
            "TRUSTED_PROXIES=",
            "CLIENT_BUNDLE_DIR=",
            "ACTIVITY_GRACE_SECONDS=15",
            "ACTIVITY_PUBLIC_READ=false",
            "ACTIVITY_MAX_STREAMS=1000",
            "WEBHOOK_URL=",
            "WEBHOOK_SECRET=",
            "ENGINE_MAX_SESSIONS=10000",
            "ENGINE_MAX_HALF_OPEN_SESSIONS=10000",
            "ENGINE_MAX_SESSIONS_PER_ADDRESS=500",
            "ENGINE_MAX_SESSIONS_PER_USER=10000",
            "ENGINE_MAX_OPENINGS_PER_MINUTE=1000",
            "ENGINE_MAX_MESSAGES_PER_SECOND=5000",
            "ENGINE_MAX_BYTES_PER_SECOND=10000000",
            "ENGINE_PING_INTERVAL_MS=25000",
            "ENGINE_PING_TIMEOUT_MS=20000",
            "ENGINE_MAX_PAYLOAD_BYTES=1000000",
            "ENGINE_CONNECT_TIMEOUT_MS=45000",
            "ENGINE_UPGRADE_TIMEOUT_MS=10000",
            "ENGINE_POLL_TIMEOUT_MS=20000",
            "ENGINE_POST_TIMEOUT_MS=20000",
            "ENGINE_MESSAGE_TIMEOUT_MS=20000",
            "ENGINE_ALLOW_EIO3=false",
            if cfg!(feature = "compression") {
                "ENGINE_COMPRESSION=true"
            } else {
                "ENGINE_COMPRESSION=false"
            },
            "# There is no user file yet: the first start makes it, with an admin, and prints the key.",
        ]
    );
    assert!(said.err.contains("did you mean SERVER_PORT?"), "{said:?}");

    for name in ["alice", "bob", "carol"] {
        folder.users(&["add", name]);
    }
    folder.users(&["deactivate", "bob"]);
    folder.users(&["remove", "carol"]);
    let said = Said::of(&mut folder.rollcall(&["check"]));
    assert_eq!(
        said.out.lines().last(),
        Some("# The user file is good. Users: 3; may enter: 1; removed: 1.")
    );

    fs::write(folder.0.join("data/users.json"), "{\"users\":\n7}")?;
    let said = Said::of(&mut folder.rollcall(&["check"]));
    assert_eq!((said.status, said.out.as_str()), (Some(1), ""));
    assert!(
        said.err.contains(
            "data/users.json, line 2, column 1: invalid type: integer `7`, expected a list of users"
        ),
        "{said:?}"
    );

    let said = Said::of(
        folder
            .rollcall(&["check"])
            .env("SERVER_PORT", "x")
            .env("SERVER_HOST", "y"),
    );
    assert_eq!((said.status, said.out.as_str()), (Some(1), ""));
    assert!(
        said.err.contains("SERVER_HOST is \"y\"") && said.err.contains("SERVER_PORT is \"x\""),
        "{said:?}"
    );
    Ok(())
}

/// What stands behind every complaint about the client bundle.
const NAME_THE_BUNDLE: &str =
    "; name the folder `dist` of an installed npm package socket.io-client";

#[test]
fn a_client_bundle_is_looked_at_by_check_and_before_the_start() -> TestResult {
    let folder = Folder::new();
    let package = folder.0.join("package.json");
    let dist = folder.0.join("dist");
    let of = |command: &str| {
        Said::of(
            folder
                .rollcall(&[command])
                .env("CLIENT_BUNDLE_DIR", "dist")
                .env("SERVER_PORT", "0"),
        )
    };
    let refused = |what: &str| {
        for command in ["check", "serve"] {
            let said = of(command);
            assert_eq!((said.status, said.out.as_str()), (Some(1), ""), "{what}");
            let lines: Vec<&str> = said.err.lines().collect();
            let [line] = lines[..] else {
                panic!("{command}: not one line, but {said:?}");
            };
            let line = line.split_once("CLIENT_BUNDLE_DIR: ");
            let told = line.and_then(|(_, told)| told.strip_suffix(NAME_THE_BUNDLE));
            assert!(
                told.is_some_and(|told| told.starts_with(what)),
                "{what}: {said:?}"
            );
        }
    };
    refused("\"dist\" cannot be read: No such file or directory");
    fs::write(&dist, "")?;
    refused("\"dist\" cannot be read: Not a directory");
    fs::remove_file(&dist)?;
    fs::create_dir(&dist)?;
    fs::write(dist.join("index.js"), "")?;
    refused("there is no socket.io.js in \"dist\", nor another file of the client");
    fs::write(dist.join("socket.io.js"), "1")?;
    refused("\"dist/../package.json\" cannot be read: No such file");
    for versionless in ["", "{}", r#"{"version":4}"#, r#"{"version":"4\"8"}"#] {
        fs::write(&package, versionless)?;
        refused("\"dist/../package.json\" does not say a version");
    }
    fs::write(&package, r#"{"version":"4.8.3"}"#)?;
    fs::create_dir(dist.join("socket.io.min.js"))?;
    refused("\"dist/socket.io.min.js\" cannot be read: Is a directory");
    fs::remove_dir(dist.join("socket.io.min.js"))?;
    let said = of("check");
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.out.contains("\nCLIENT_BUNDLE_DIR=dist\n"), "{said:?}");
    assert_eq!(
        said.out.lines().last(),
        Some("# The client bundle is good. Version: 4.8.3; files: 1.")
    );
    Ok(())
}

#[test]
fn the_life_of_a_user() -> TestResult {
    let folder = Folder::new();
    let key_line = |arguments: &[&str]| {
        let out = folder.users(arguments);
        let key = out.strip_suffix('\n').unwrap_or_default().to_owned();
        assert!(is_key(&key), "{arguments:?}: {out}");
        key
    };
    // The first user makes the file.
    let alice = key_line(&["add", "alice", "--role", "Admin"]);
    assert_eq!(
        fs::metadata(folder.0.join("data/users.json"))?
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let bob = key_line(&["add", "--role=guest", "Bob"]);
    key_line(&["add", "--", "-dash"]);
    assert_eq!(key_line(&["key", "ALICE"]), alice);
    let rotated = key_line(&["rotate", "bob"]);
    assert_ne!(rotated, bob);
    assert_eq!(key_line(&["key", "bob"]), rotated);

    assert_eq!(folder.users(&["deactivate", "bob"]), "");
    assert_eq!(folder.users(&["remove", "--", "-dash"]), "");
    let list = folder.users(&["list"]);
    let rows: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["ID", "NAME", "ROLE", "ACTIVATED", "REMOVED"]);
    assert_eq!(rows[1], ["1", "alice", "admin", "yes", "no"]);
    assert_eq!(rows[2], ["2", "Bob", "guest", "no", "no"]);
    assert_eq!(rows[3][..4], ["3", "-dash", "user", "yes"]);
    assert!(
        rows[3][4].starts_with("20") && rows[3][4].ends_with('Z'),
        "{list}"
    );
    assert_eq!(rows.len(), 4);
    assert!(
        !list.contains(&alice) && !list.contains(&rotated),
        "no keys"
    );
    assert!(
        list.contains("\n1   alice  admin  yes        no\n"),
        "in columns: {list}"
    );

    assert_eq!(folder.users(&["activate", "bob"]), "");
    assert!(folder.users(&["list"]).contains("guest  yes"));

    let refused: [(&[&str], &str); 5] = [
        (
            &["users", "add", "ALICE"],
            "there is a user \"alice\" already (id 1)",
        ),
        (&["users", "add", "a:b"], "cannot be a username"),
        (
            &["users", "key", "eve"],
            "there is no user \"eve\"; `rollcall users list` shows the names",
        ),
        (
            &["users", "activate", "--", "-dash"],
            "user \"-dash\" was removed at 20",
        ),
        (&["users", "password", "eve"], "there is no user \"eve\""),
    ];
    for (arguments, says) in refused {
        let said = Said::of(&mut folder.rollcall(arguments));
        assert_eq!(
            (said.status, said.out.as_str()),
            (Some(1), ""),
            "{arguments:?}: {said:?}"
        );
        assert!(said.err.contains(says), "{arguments:?}: {said:?}");
    }
    for (arguments, warns) in [
        (
            ["users", "deactivate", "alice"],
            "comes in all the same as an admin",
        ),
        (["users", "remove", "alice"], "there is no admin any more"),
    ] {
        let said = Said::of(&mut folder.rollcall(&arguments));
        assert_eq!(said.status, Some(0));
        assert!(said.err.contains(warns), "{said:?}");
    }
    Ok(())
}

#[test]
fn without_a_user_file_the_commands_say_how_to_get_one() {
    let folder = Folder::new();
    for arguments in [
        &["users", "list"][..],
        &["users", "key", "a"],
        &["users", "remove", "a"],
        &["users", "password", "a"],
    ] {
        let said = Said::of(&mut folder.rollcall(arguments));
        assert_eq!((said.status, said.out.as_str()), (Some(1), ""));
        assert!(
            said.err.contains(
                "there is no user file data/users.json: start the server, or `rollcall users add"
            ),
            "{said:?}"
        );
    }
    assert!(!folder.0.join("data").exists());
}

#[test]
fn a_password_is_read_from_standard_input() -> TestResult {
    let folder = Folder::new();
    folder.users(&["add", "alice"]);
    let give = |input: &[u8]| -> Result<Said, Box<dyn Error>> {
        let mut command = folder.rollcall(&["users", "password", "alice"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().ok_or("a pipe")?.write_all(input)?;
        Ok(Said::from(child.wait_with_output()?))
    };
    let hash = || -> Result<Option<String>, Box<dyn Error>> {
        let file: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.0.join("data/users.json"))?)?;
        Ok(file["users"][0]["password"].as_str().map(str::to_owned))
    };
    let longest = "x".repeat(72);
    let refused: [(&[u8], &str); 6] = [
        (b"", "the password is empty"),
        (b"\nsecond line", "the password is empty"),
        (b"\r\n", "the password is empty"),
        (
            &[longest.as_bytes(), b"y\n"].concat(),
            "73 bytes, and bcrypt reads 72",
        ),
        (b"a\0b", "U+0000"),
        (b"\xff\n", "not UTF-8"),
    ];
    for (input, says) in refused {
        let said = give(input)?;
        assert_eq!((said.status, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains(says), "{said:?}");
        assert_eq!(hash()?, None);
    }
    for (input, password) in [
        (" correct horse \r\nrest", " correct horse "),
        (&longest, &longest),
        ("x", "x"),
    ] {
        let said = give(input.as_bytes())?;
        assert_eq!((said.status, said.out.as_str()), (Some(0), ""), "{said:?}");
        assert!(!said.err.contains(password) || password == "x", "{said:?}");
        assert!(bcrypt::verify(password, &hash()?.ok_or("a hash")?)?);
    }
    Ok(())
}

#[test]
fn command_lines_at_the_same_time_lose_nothing() -> TestResult {
    const COUNT: usize = 24;
    let folder = Folder::new();
    // There is not even a file when they begin.
    let children: Vec<_> = (0..COUNT)
        .map(|number| {
            folder
                .rollcall(&["users", "add", &format!("u{number}")])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        })
        .collect();
    let mut keys = BTreeSet::new();
    for child in children {
        let said = Said::from(child?.wait_with_output()?);
        assert_eq!(said.status, Some(0), "{said:?}");
        keys.insert(said.out.trim_end().to_owned());
    }
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.0.join("data/users.json"))?)?;
    let users = file["users"].as_array().ok_or("a list")?;
    let stored: BTreeSet<String> = users
        .iter()
        .filter_map(|user| user["api_key"].as_str())
        .map(str::to_owned)
        .collect();
    assert_eq!(stored, keys);
    assert_eq!(keys.len(), COUNT);
    Ok(())
}

#[test]
fn the_page_of_the_command_line_has_every_ill() -> TestResult {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/command-line.md"))?;
    assert!(
        page.contains(&ills()),
        "docs/command-line.md needs this table:\n\n{}",
        ills()
    );
    Ok(())
}

type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[test]
fn who_asks_a_server_is_told_what_is_missing() -> TestResult {
    let folder = Folder::new();
    let secret = "it-is-secret";
    fs::write(folder.0.join("key"), format!("{secret} \u{fc}\n"))?;
    // The arguments, the environment, and what is said.
    let table: [Row<'_>; 14] = [
        (&["watch"], &[], "no API key was given: set ROLLCALL_KEY"),
        (&["set", "BUSY"], &[], "no API key was given"),
        (
            &["watch", "--key-file", "none"],
            &[],
            "the key file none cannot be read: No such file",
        ),
        (
            &["set", "BUSY", "--key-file", "key"],
            &[],
            "what was given is no API key",
        ),
        (
            &["watch"],
            &[("ROLLCALL_KEY_FILE", "key")],
            "what was given is no API key",
        ),
        (
            &["watch"],
            &[("ROLLCALL_KEY_FILE", "none")],
            "ROLLCALL_KEY_FILE is \"none\", and that file cannot be read",
        ),
        (
            &["watch", "localhost:8080"],
            &[],
            "\"localhost:8080\" is no URL: begin with http:// or https://",
        ),
        (
            &["watch"],
            &[("ROLLCALL_URL", "ftp://localhost")],
            "\"ftp://localhost\" is no http or https URL",
        ),
        (
            &["watch", "http://me:it-is-secret@localhost"],
            &[],
            "there is a name or a password in the URL",
        ),
        (&["doctor", "http://localhost/?a"], &[], "has a `?` in it"),
        (
            &["watch"],
            &[("SERVER_PORT", "0")],
            "SERVER_PORT is 0, so the server's port is not known",
        ),
        (
            &["health"],
            &[("SERVER_PORT", "0")],
            "SERVER_PORT is 0, so the server's port is not known",
        ),
        (
            &["health"],
            &[("SERVER_HOST", "here"), ("SERVER_PORT", "x")],
            "SERVER_HOST is \"here\"",
        ),
        (
            &["watch", "http://127.0.0.1:1/"],
            &[("ROLLCALL_KEY", "it-is-secret two")],
            "what was given is no API key",
        ),
    ];
    for (arguments, environment, says) in table {
        let said = Said::of(folder.rollcall(arguments).envs(environment.iter().copied()));
        assert_eq!(
            (said.status, said.out.as_str()),
            (Some(1), ""),
            "{arguments:?}: {said:?}"
        );
        assert!(said.err.contains(says), "{arguments:?}: {}", said.err);
        assert!(!said.err.contains(secret), "{arguments:?}: {}", said.err);
    }
    Ok(())
}

/// A server that gives one answer to all who ask, and what each asked for.
fn answers(answer: &'static str) -> std::io::Result<(u16, std::sync::mpsc::Receiver<String>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let (teller, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || -> std::io::Result<()> {
        for connection in listener.incoming() {
            let mut connection = connection?;
            let head: Vec<String> = BufReader::new(&connection)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            connection.write_all(answer.as_bytes())?;
            // Where nobody listens any more, the test is over.
            let _ = teller.send(head.first().cloned().unwrap_or_default());
        }
        Ok(())
    });
    Ok((port, asked))
}

#[test]
fn health_is_what_the_local_server_says() -> TestResult {
    let folder = Folder::new();
    let health = |port: u16, environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = folder.rollcall(&["health"]);
        command
            .env("SERVER_PORT", port.to_string())
            .envs(environment.iter().copied());
        Said::of(command.args(arguments))
    };
    let (alive, asked) =
        answers("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}")?;
    let hosts: [&[(&str, &str)]; 4] = [
        &[],
        &[("SERVER_HOST", "0.0.0.0")],
        &[("SERVER_HOST", "127.0.0.1")],
        // What else is wrong is not its affair.
        &[
            ("SERVER_LOG_LEVEL", "loud"),
            ("ROLLCALL_URL", "http://127.0.0.1:1"),
        ],
    ];
    for host in hosts {
        let said = health(alive, host, &[]);
        let line = format!("ok: http://127.0.0.1:{alive}/healthz\n");
        assert_eq!((said.status, said.out), (Some(0), line), "{host:?}");
        assert_eq!(said.err, "");
        assert_eq!(asked.recv()?, "GET /healthz HTTP/1.1");
    }
    let url = format!("http://localhost:{alive}/below/");
    assert_eq!(health(1, &[], &[&url]).status, Some(0));
    assert_eq!(asked.recv()?, "GET /below/healthz HTTP/1.1");

    let (stopping, _) = answers("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")?;
    let said = health(stopping, &[], &[]);
    let line = format!("rollcall: http://127.0.0.1:{stopping}/healthz answers 503\n");
    assert_eq!((said.status, said.out.as_str()), (Some(1), ""));
    assert_eq!(said.err, line);

    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let said = health(closed, &[], &[]);
    let line = format!(
        "rollcall: http://127.0.0.1:{closed}/healthz: cannot connect: Connection refused (os error 111)\n"
    );
    assert_eq!((said.status, said.out.as_str()), (Some(1), ""));
    assert_eq!(said.err, line);
    let said = health(closed, &[("SERVER_HOST", "::")], &[]);
    assert!(said.err.contains("http://[::1]:"), "{said:?}");
    Ok(())
}
