//! The table of settings: the one place that says what can be configured.

use std::fmt::Write;

use super::Config;
use super::feature::{COMPRESSION, TLS, WEBHOOKS};
use super::kind::{Field, Kind};

/// What stands for the value of a secret.
const HIDDEN: &str = "(hidden)";

/// The longest span of time a setting takes: a day.
const MAX_MS: u64 = 86_400_000;

/// The largest message a setting allows. Each session may hold one while it is read.
const MAX_PAYLOAD_BYTES: usize = 100_000_000;

/// The most sessions a setting allows. One process serves a community; more is a slip of the finger.
const MAX_SESSIONS: usize = 1_000_000;

/// The most bytes in a second that a setting allows: more than a network card.
const MAX_BYTES_PER_SECOND: usize = 1_000_000_000;

/// One setting.
pub struct Setting {
    /// The environment variable; with `_FILE` behind it, the one that names a file with the value.
    pub name: &'static str,
    /// What holds when there is no value.
    pub default: &'static str,
    /// What it does, one line.
    pub about: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    pub(super) kind: Kind,
}

/// A setting's way to the field of this name.
macro_rules! field {
    ($name:ident) => {
        Field {
            get: |config| &config.$name,
            set: |config, value| config.$name = value,
        }
    };
}

/// Every setting, in the order of `--help`.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "SERVER_HOST",
        default: "",
        about: "The address to listen on.",
        secret: false,
        kind: Kind::Address(field!(server_host)),
    },
    Setting {
        name: "SERVER_PORT",
        default: "8080",
        about: "The TCP port to listen on.",
        secret: false,
        kind: Kind::Port(field!(server_port)),
    },
    Setting {
        name: "SERVER_HTTPS_ENABLED",
        default: "false",
        about: "Speak HTTPS as well, on a port of its own.",
        secret: false,
        kind: Kind::Feature(field!(https_enabled), TLS),
    },
    Setting {
        name: "SERVER_HTTPS_PORT",
        default: "8443",
        about: "The TCP port to listen on for HTTPS.",
        secret: false,
        kind: Kind::Port(field!(https_port)),
    },
    Setting {
        name: "SERVER_HTTPS_CERT_PATH",
        default: "",
        about: "The certificate for HTTPS, in PEM, with those that vouch for it behind it; read again on SIGHUP.",
        secret: false,
        kind: Kind::File(field!(https_certificate)),
    },
    Setting {
        name: "SERVER_HTTPS_KEY_PATH",
        default: "",
        about: "The key of that certificate, in PEM, without a password.",
        secret: false,
        kind: Kind::File(field!(https_key)),
    },
    Setting {
        name: "SERVER_LOG_LEVEL",
        default: "info",
        about: "What is logged: messages of this level and more important ones.",
        secret: false,
        kind: Kind::LogLevel(field!(log_level)),
    },
    Setting {
        name: "LOG_FORMAT",
        default: "text",
        about: "How the log is written: for people, or an object of JSON a line.",
        secret: false,
        kind: Kind::LogFormat(field!(log_format)),
    },
    Setting {
        name: "METRICS_ADDRESS",
        default: "",
        about: "Where Prometheus finds /metrics.",
        secret: false,
        kind: Kind::MetricsPlace(field!(metrics)),
    },
    Setting {
        name: "SERVER_CORS_ALLOWED_ORIGINS",
        default: "",
        about: "The web pages that may call the server from a browser.",
        secret: false,
        kind: Kind::Origins(field!(cors_allowed_origins)),
    },
    Setting {
        name: "SERVER_ONLINE_ACTIVITIES_DISABLED",
        default: "false",
        about: "Serve REST alone: no activities, no Socket.IO endpoint.",
        secret: false,
        kind: Kind::Switch(field!(online_activities_disabled)),
    },
    Setting {
        name: "SERVER_BASE_PATH",
        default: "",
        about: "Where the page is beside /, for a host that has something else there; whatever else there is, is there as well.",
        secret: false,
        kind: Kind::BasePath(field!(base_path)),
    },
    Setting {
        name: "USERS_FILE",
        default: "data/users.json",
        about: "The users, as JSON. The first start makes it, with an admin.",
        secret: false,
        kind: Kind::Path(field!(users_file)),
    },
    Setting {
        name: "DB_SYSTEM",
        default: "",
        about: "Whose users there are instead: those of a GameVault, in its database, which is never written; see docs/gamevault.md.",
        secret: false,
        kind: Kind::Database(field!(database_system)),
    },
    Setting {
        name: "VOLUMES_SQLITEDB",
        default: "/db",
        about: "The folder in which GameVault has its database.sqlite.",
        secret: false,
        kind: Kind::Path(field!(sqlite_folder)),
    },
    Setting {
        name: "DB_HOST",
        default: "localhost",
        about: "Where GameVault's PostgreSQL is: a name, an address, or the folder of a Unix socket.",
        secret: false,
        kind: Kind::Text(field!(database_host)),
    },
    Setting {
        name: "DB_PORT",
        default: "5432",
        about: "Its TCP port.",
        secret: false,
        kind: Kind::OtherPort(field!(database_port)),
    },
    Setting {
        name: "DB_USERNAME",
        default: "",
        about: "The role that reads there; it needs no more than docs/gamevault.md gives it.",
        secret: false,
        kind: Kind::Text(field!(database_username)),
    },
    Setting {
        name: "DB_PASSWORD",
        default: "",
        about: "The password of that role.",
        secret: true,
        kind: Kind::Hidden(field!(database_password)),
    },
    Setting {
        name: "DB_DATABASE",
        default: "gamevault",
        about: "The name of GameVault's database.",
        secret: false,
        kind: Kind::Text(field!(database_name)),
    },
    Setting {
        name: "DB_TLS_ENABLED",
        default: "false",
        about: "Encrypt the connection to PostgreSQL.",
        secret: false,
        kind: Kind::Switch(field!(database_tls)),
    },
    Setting {
        name: "DB_TLS_REJECT_UNAUTHORIZED_ENABLED",
        default: "true",
        about: "Encrypt it only with a server whose certificate is valid for DB_HOST.",
        secret: false,
        kind: Kind::Switch(field!(database_tls_checked)),
    },
    Setting {
        name: "DB_TLS_CA_CERTIFICATE_PATH",
        default: "",
        about: "A file with the certificates, in PEM, of those who may have issued it; without, whom the system trusts.",
        secret: false,
        kind: Kind::File(field!(database_tls_authorities)),
    },
    Setting {
        name: "DB_WAIT_SECONDS",
        default: "0",
        about: "How long the start waits for a database that is not there yet, or not yet as it should be.",
        secret: false,
        kind: Kind::Seconds(field!(database_wait), 0..=MAX_MS / 1000),
    },
    Setting {
        name: "DB_STALE_SECONDS",
        default: "600",
        about: "While the database is away, how long keys are taken that were good before.",
        secret: false,
        kind: Kind::Seconds(field!(database_stale), 0..=MAX_MS / 1000),
    },
    Setting {
        name: "AUTH_SEED",
        default: "",
        about: "GameVault's own AUTH_SEED: its access tokens are taken as well as keys.",
        secret: true,
        kind: Kind::Hidden(field!(auth_seed)),
    },
    Setting {
        name: "AUTH_CONNECT_PAYLOAD_ENABLED",
        default: "false",
        about: "Let a client show its API key by the CONNECT (`auth: { apiKey }`), as a browser on a WebSocket has to.",
        secret: false,
        kind: Kind::Switch(field!(auth_connect_payload)),
    },
    Setting {
        name: "AUTH_MAX_FAILURES_PER_MINUTE",
        default: "30",
        about: "How many wrong keys and passwords one public address may show at once, and then as many again in a minute; a right key is right at any time.",
        secret: false,
        kind: Kind::Count(field!(max_failures_per_minute), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "TRUSTED_PROXIES",
        default: "",
        about: "The proxies that are believed, by X-Forwarded-For, for whom they ask: for the log and for what an address may do.",
        secret: false,
        kind: Kind::Networks(field!(trusted_proxies)),
    },
    Setting {
        name: "CLIENT_BUNDLE_DIR",
        default: "",
        about: "The folder `dist` of an installed npm package socket.io-client, to serve /socket.io/socket.io.min.js and the others from.",
        secret: false,
        kind: Kind::Folder(field!(client_bundle_dir)),
    },
    Setting {
        name: "ACTIVITY_GRACE_SECONDS",
        default: "15",
        about: "How long the activity of a client holds that was lost without a goodbye, so that it may come back unnoticed.",
        secret: false,
        kind: Kind::Seconds(field!(activity_grace), 0..=MAX_MS / 1000),
    },
    Setting {
        name: "ACTIVITY_PUBLIC_READ",
        default: "false",
        about: "Let anyone read activities over REST, without a key.",
        secret: false,
        kind: Kind::Switch(field!(activity_public_read)),
    },
    Setting {
        name: "ACTIVITY_MAX_STREAMS",
        default: "1000",
        about: "How many may follow the activities as server-sent events; whoever comes then is told to try again later.",
        secret: false,
        kind: Kind::Count(field!(max_streams), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "WEBHOOK_URL",
        default: "",
        about: "Where each change of an activity is POSTed to; see docs/webhooks.md.",
        // Many services have their token in the path.
        secret: true,
        kind: Kind::Url(field!(webhook_url), WEBHOOKS),
    },
    Setting {
        name: "WEBHOOK_SECRET",
        default: "",
        about: "What the requests to WEBHOOK_URL are signed with; without it they are not.",
        secret: true,
        kind: Kind::Secret(field!(webhook_secret), WEBHOOKS),
    },
    Setting {
        name: "ENGINE_MAX_SESSIONS",
        default: "10000",
        about: "How many clients may be connected; whoever comes then is told to try again later.",
        secret: false,
        kind: Kind::Count(field!(max_sessions), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "ENGINE_MAX_HALF_OPEN_SESSIONS",
        default: "10000",
        about: "How many of them may be connected and not have said a word yet; whoever comes then is told to try again later.",
        secret: false,
        kind: Kind::Count(field!(max_half_open_sessions), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "ENGINE_MAX_SESSIONS_PER_ADDRESS",
        default: "500",
        about: "How many of them may come from one public address, or be told of one by a trusted proxy.",
        secret: false,
        kind: Kind::Count(field!(max_sessions_per_address), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "ENGINE_MAX_SESSIONS_PER_USER",
        default: "10000",
        about: "How many of them may be one user's.",
        secret: false,
        kind: Kind::Count(field!(max_sessions_per_user), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "ENGINE_MAX_OPENINGS_PER_MINUTE",
        default: "1000",
        about: "How many sessions one such address may open at once, and then as many again in a minute.",
        secret: false,
        kind: Kind::Count(field!(max_openings_per_minute), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "ENGINE_MAX_MESSAGES_PER_SECOND",
        default: "5000",
        about: "How many messages a client may send in a second, or at once those of ten seconds; beyond, it is read no faster.",
        secret: false,
        kind: Kind::Count(field!(max_messages_per_second), 1..=MAX_SESSIONS),
    },
    Setting {
        name: "ENGINE_MAX_BYTES_PER_SECOND",
        default: "10000000",
        about: "The same for the bytes of its messages.",
        secret: false,
        kind: Kind::Bytes(field!(max_bytes_per_second), 1..=MAX_BYTES_PER_SECOND),
    },
    Setting {
        name: "ENGINE_PING_INTERVAL_MS",
        default: "25000",
        about: "How often each client is asked whether it is there.",
        secret: false,
        kind: Kind::Milliseconds(field!(ping_interval), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_PING_TIMEOUT_MS",
        default: "20000",
        about: "How long its answer may take before the client counts as lost.",
        secret: false,
        kind: Kind::Milliseconds(field!(ping_timeout), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_MAX_PAYLOAD_BYTES",
        default: "1000000",
        about: "The largest message a client may send.",
        secret: false,
        kind: Kind::Bytes(field!(max_payload_bytes), 1..=MAX_PAYLOAD_BYTES),
    },
    Setting {
        name: "ENGINE_CONNECT_TIMEOUT_MS",
        default: "45000",
        about: "How long a client may be connected without joining a namespace.",
        secret: false,
        kind: Kind::Milliseconds(field!(connect_timeout), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_UPGRADE_TIMEOUT_MS",
        default: "10000",
        about: "How long a client may take to move from long-polling to a WebSocket it has opened.",
        secret: false,
        kind: Kind::Milliseconds(field!(upgrade_timeout), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_POLL_TIMEOUT_MS",
        default: "20000",
        about: "How long a client on long-polling may go without a poll before it counts as lost.",
        secret: false,
        kind: Kind::Milliseconds(field!(poll_timeout), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_POST_TIMEOUT_MS",
        default: "20000",
        about: "How long what a client on long-polling sends may take to arrive.",
        secret: false,
        kind: Kind::Milliseconds(field!(post_timeout), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_MESSAGE_TIMEOUT_MS",
        default: "20000",
        about: "How long a message on a WebSocket may take to arrive.",
        secret: false,
        kind: Kind::Milliseconds(field!(message_timeout), 1..=MAX_MS),
    },
    Setting {
        name: "ENGINE_ALLOW_EIO3",
        default: "false",
        about: "Serve clients of Engine.IO version 3 as well: socket.io-client 2, and others of its age.",
        secret: false,
        kind: Kind::Switch(field!(allow_eio3)),
    },
    Setting {
        name: "ENGINE_COMPRESSION",
        default: COMPRESSION.switch(),
        about: "Compress answers of long-polling and the client bundle, from 1024 bytes on, for clients that take gzip or deflate.",
        secret: false,
        kind: Kind::Feature(field!(compression), COMPRESSION),
    },
];

impl Setting {
    /// What values are accepted, with their unit.
    pub fn accepted(&self) -> String {
        self.kind.accepted()
    }

    /// The value that `config` has, as it would be written into the environment; a secret is
    /// blanked.
    pub fn show(&self, config: &Config) -> String {
        let value = self.kind.show(config);
        if self.secret && !value.is_empty() {
            HIDDEN.to_owned()
        } else {
            value
        }
    }
}

/// The settings for `--help`.
pub fn help() -> String {
    let mut help = String::new();
    for setting in SETTINGS {
        let default = if setting.default.is_empty() {
            "(empty)"
        } else {
            setting.default
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            help,
            "  {:<35}{default}\n      {}\n      Accepted: {}.",
            setting.name,
            setting.about,
            setting.accepted()
        );
    }
    help
}

/// The settings as the README's table.
pub fn markdown() -> String {
    let mut table =
        String::from("| variable | default | what it does | accepted |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = if setting.default.is_empty() {
            "empty".to_owned()
        } else {
            format!("`{}`", setting.default)
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            table,
            "| `{}` | {default} | {} | {} |",
            setting.name,
            setting.about,
            setting.accepted()
        );
    }
    table
}
