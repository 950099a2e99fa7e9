//! The configuration: environment variables in, one [`Config`] of plain typed fields out, or every
//! error there is.
//!
//! # Layout
//!
//! * `settings`: the table of all settings. The parser, `--help`, `rollcall check` and the
//!   README are made from it, so they cannot differ.
//! * [`kind`](Setting::accepted): the kinds of value a setting can have: how each is read, shown
//!   and described.
//! * [`WebUrl`], [`Secret`], [`Hidden`]: values that must not be shown, or not as a whole. [`LogFormat`], [`MetricsPlace`],
//!   [`DatabaseSystem`]: values of one setting alone.
//! * `feature`: what this build has, and another may lack.
//! * [`error`](ConfigErrors): what is wrong with a value, and what would be accepted.
//! * [`unknown`](unknown_variables): variables that look like ours and are not.
//!
//! A leaf: nothing here imports another module of the crate.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use log::LevelFilter;

mod database_system;
mod error;
mod feature;
mod hidden;
mod kind;
mod log_format;
mod metrics_place;
mod secret;
mod settings;
mod unknown;
mod web_url;

pub use database_system::DatabaseSystem;
pub use error::{ConfigError, ConfigErrors, Problem};
pub use hidden::Hidden;
pub use log_format::LogFormat;
pub use metrics_place::MetricsPlace;
pub use secret::Secret;
pub use settings::{SETTINGS, Setting, help, markdown};
pub use unknown::{nearest, unknown_variables};
pub use web_url::WebUrl;

/// The most that is read of a file which a `…_FILE` variable names: a value, not a document.
const MAX_VALUE_BYTES: u64 = 64 * 1024;

/// What the operator decided. Each field's setting, default and bounds are in [`SETTINGS`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `SERVER_HOST`: the address to listen on; `None` for all, IPv6 and IPv4.
    pub server_host: Option<IpAddr>,
    /// `SERVER_PORT`: the TCP port; 0 lets the kernel choose.
    pub server_port: u16,
    /// `SERVER_HTTPS_ENABLED`: whether there is HTTPS as well.
    pub https_enabled: bool,
    /// `SERVER_HTTPS_PORT`: its TCP port; 0 lets the kernel choose.
    pub https_port: u16,
    /// `SERVER_HTTPS_CERT_PATH`: its certificate, relative to the working directory; `None`: there can be none.
    pub https_certificate: Option<PathBuf>,
    /// `SERVER_HTTPS_KEY_PATH`: the certificate's key; `None`: there can be none.
    pub https_key: Option<PathBuf>,
    /// `SERVER_LOG_LEVEL`: what is logged, and everything more important.
    pub log_level: LevelFilter,
    /// `LOG_FORMAT`: how.
    pub log_format: LogFormat,
    /// `METRICS_ADDRESS`: where the metrics are.
    pub metrics: MetricsPlace,
    /// `SERVER_CORS_ALLOWED_ORIGINS`: the origins browsers may call from, as they send them (lower
    /// case, no default port); none listed allows any.
    pub cors_allowed_origins: Vec<String>,
    /// `SERVER_ONLINE_ACTIVITIES_DISABLED`: there is no Socket.IO endpoint.
    pub online_activities_disabled: bool,
    /// `SERVER_BASE_PATH`: where the page is beside `/`, with a slash at both ends; empty: nowhere.
    pub base_path: String,
    /// `USERS_FILE`: the user file, relative to the working directory.
    pub users_file: PathBuf,
    /// `DB_SYSTEM`: the database with GameVault's users; `None`: they are in the user file.
    pub database_system: Option<DatabaseSystem>,
    /// `VOLUMES_SQLITEDB`: the folder of `database.sqlite`.
    pub sqlite_folder: PathBuf,
    /// `DB_HOST`: where PostgreSQL is.
    pub database_host: String,
    /// `DB_PORT`: its TCP port.
    pub database_port: u16,
    /// `DB_USERNAME`: the role.
    pub database_username: String,
    /// `DB_PASSWORD`: its password; `None`: it needs none.
    pub database_password: Option<Hidden>,
    /// `DB_DATABASE`: the name of the database.
    pub database_name: String,
    /// `DB_TLS_ENABLED`: whether the connection is encrypted.
    pub database_tls: bool,
    /// `DB_TLS_REJECT_UNAUTHORIZED_ENABLED`: whether the server's certificate is checked.
    pub database_tls_checked: bool,
    /// `DB_TLS_CA_CERTIFICATE_PATH`: who may have issued it; `None`: whom the system trusts.
    pub database_tls_authorities: Option<PathBuf>,
    /// `DB_WAIT_SECONDS`: how long the start waits for the database.
    pub database_wait: Duration,
    /// `DB_STALE_SECONDS`: how long keys are good that were good when the database went away.
    pub database_stale: Duration,
    /// `AUTH_SEED`: what GameVault signs its tokens with; `None`: they are not taken.
    pub auth_seed: Option<Hidden>,
    /// `CLIENT_BUNDLE_DIR`: where the JavaScript client is, relative to the working directory; `None`: it is not served.
    pub client_bundle_dir: Option<PathBuf>,
    /// `ENGINE_MAX_SESSIONS`: how many sessions there may be.
    pub max_sessions: usize,
    /// `ENGINE_MAX_HALF_OPEN_SESSIONS`: how many of them may not have said a word yet.
    pub max_half_open_sessions: usize,
    /// How many of all sessions one address may have.
    pub max_sessions_per_address: usize,
    /// How many of all sessions one user may have.
    pub max_sessions_per_user: usize,
    /// How many sessions one address may open at once, and then in a minute.
    pub max_openings_per_minute: usize,
    /// How many messages a session may send in a second.
    pub max_messages_per_second: usize,
    /// How many bytes a session may send in a second.
    pub max_bytes_per_second: usize,
    /// How many wrong keys and passwords one address may show at once, and then in a minute.
    pub max_failures_per_minute: usize,
    /// The proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// `ACTIVITY_GRACE_SECONDS`: how long the report of a lost client holds.
    pub activity_grace: Duration,
    /// `ACTIVITY_PUBLIC_READ`: whether activities may be read over REST without a key.
    pub activity_public_read: bool,
    /// `ACTIVITY_MAX_STREAMS`: how many streams of server-sent events there may be.
    pub max_streams: usize,
    /// `ENGINE_PING_INTERVAL_MS`: from one ping of a session to the next.
    pub ping_interval: Duration,
    /// `ENGINE_PING_TIMEOUT_MS`: how long a pong may take.
    pub ping_timeout: Duration,
    /// `ENGINE_MAX_PAYLOAD_BYTES`: the largest message or request body taken from a client.
    pub max_payload_bytes: usize,
    /// `ENGINE_CONNECT_TIMEOUT_MS`: how long a session may be without a namespace.
    pub connect_timeout: Duration,
    /// `ENGINE_UPGRADE_TIMEOUT_MS`: from the opening of a WebSocket until the session moves to it.
    pub upgrade_timeout: Duration,
    /// `ENGINE_POLL_TIMEOUT_MS`: how long a session on long-polling may be without a poll.
    pub poll_timeout: Duration,
    /// `ENGINE_POST_TIMEOUT_MS`: how long the body of a POST may take.
    pub post_timeout: Duration,
    /// `ENGINE_MESSAGE_TIMEOUT_MS`: how long a WebSocket message may take from its first byte to its last.
    pub message_timeout: Duration,
    /// `ENGINE_ALLOW_EIO3`: whether clients of Engine.IO version 3 are served, too.
    pub allow_eio3: bool,
    /// `AUTH_CONNECT_PAYLOAD_ENABLED`: whether a key may be shown by the CONNECT instead of the opening request.
    pub auth_connect_payload: bool,
    /// `WEBHOOK_URL`: where each change is told to; `None`: nowhere.
    pub webhook_url: Option<WebUrl>,
    /// `WEBHOOK_SECRET`: what that is signed with; `None`: it is not signed.
    pub webhook_secret: Option<Secret>,
    /// `ENGINE_COMPRESSION`: large answers of long-polling, and the client bundle, are compressed.
    pub compression: bool,
}

impl Config {
    /// Reads every setting. `lookup` answers for the environment: `|name| std::env::var_os(name)`.
    ///
    /// A value is looked for in the file that `NAME_FILE` names, then in `NAME`, then in the
    /// table's defaults. Space around it does not count, and an empty one is none.
    ///
    /// # Errors
    ///
    /// All errors at once, in the table's order.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Config, ConfigErrors> {
        let mut config = Config::unset();
        let mut errors = Vec::new();
        for setting in SETTINGS {
            if let Err(error) = read_setting(setting, &lookup, &mut config) {
                errors.push(error);
            }
        }
        // A role is needed, where nothing else is wrong.
        if errors.is_empty()
            && config.database_system == Some(DatabaseSystem::Postgresql)
            && config.database_username.is_empty()
        {
            errors.push(ConfigError {
                name: "DB_USERNAME",
                problem: Problem::Needed {
                    by: "DB_SYSTEM=POSTGRESQL",
                },
            });
        }
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(errors))
        }
    }

    /// What every field holds before [`Config::read`] gives it its value or its default.
    fn unset() -> Config {
        Config {
            server_host: None,
            server_port: 0,
            https_enabled: false,
            https_port: 0,
            https_certificate: None,
            https_key: None,
            log_level: LevelFilter::Off,
            log_format: LogFormat::Text,
            metrics: MetricsPlace::MainPort,
            cors_allowed_origins: Vec::new(),
            online_activities_disabled: false,
            base_path: String::new(),
            users_file: PathBuf::new(),
            database_system: None,
            sqlite_folder: PathBuf::new(),
            database_host: String::new(),
            database_port: 0,
            database_username: String::new(),
            database_password: None,
            database_name: String::new(),
            database_tls: false,
            database_tls_checked: false,
            database_tls_authorities: None,
            database_wait: Duration::ZERO,
            database_stale: Duration::ZERO,
            auth_seed: None,
            client_bundle_dir: None,
            max_sessions: 0,
            max_half_open_sessions: 0,
            max_sessions_per_address: 0,
            max_sessions_per_user: 0,
            max_openings_per_minute: 0,
            max_messages_per_second: 0,
            max_bytes_per_second: 0,
            max_failures_per_minute: 0,
            trusted_proxies: Vec::new(),
            activity_grace: Duration::ZERO,
            activity_public_read: false,
            max_streams: 0,
            ping_interval: Duration::ZERO,
            ping_timeout: Duration::ZERO,
            max_payload_bytes: 0,
            connect_timeout: Duration::ZERO,
            upgrade_timeout: Duration::ZERO,
            poll_timeout: Duration::ZERO,
            post_timeout: Duration::ZERO,
            message_timeout: Duration::ZERO,
            allow_eio3: false,
            auth_connect_payload: false,
            webhook_url: None,
            webhook_secret: None,
            compression: false,
        }
    }
}

/// Where a server with this environment listens, as its own machine sees it. Other settings may be wrong.
///
/// # Errors
///
/// When the address or the port is.
pub fn local_address(
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<SocketAddr, ConfigErrors> {
    let mut config = Config::unset();
    let mut errors = Vec::new();
    for setting in SETTINGS {
        if matches!(setting.name, "SERVER_HOST" | "SERVER_PORT")
            && let Err(error) = read_setting(setting, &lookup, &mut config)
        {
            errors.push(error);
        }
    }
    if !errors.is_empty() {
        return Err(ConfigErrors(errors));
    }
    let host = match config.server_host {
        Some(IpAddr::V6(host)) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(host) if !host.is_unspecified() => host,
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    Ok(SocketAddr::new(host, config.server_port))
}

/// What a variable says that is no setting of the server's, or the file that `…_FILE` names.
///
/// # Errors
///
/// When there is no telling.
pub fn variable(
    name: &'static str,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, ConfigError> {
    match find(name, lookup) {
        Ok(Found { text, .. }) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(problem) => Err(ConfigError { name, problem }),
    }
}

/// A value, and the file it is from.
struct Found {
    text: String,
    file: Option<PathBuf>,
}

fn read_setting(
    setting: &Setting,
    lookup: impl Fn(&str) -> Option<OsString>,
    config: &mut Config,
) -> Result<(), ConfigError> {
    let failed = |problem| ConfigError {
        name: setting.name,
        problem,
    };
    let Found { text, file } = find(setting.name, lookup).map_err(failed)?;
    if let Some(problem) = setting.kind.lacks(&text) {
        return Err(failed(problem));
    }
    let text = if text.is_empty() {
        setting.default.to_owned()
    } else {
        text
    };
    setting.kind.read(&text, config).map_err(|_| {
        failed(Problem::NotAccepted {
            value: (!setting.secret).then_some(text),
            file,
            accepted: setting.accepted(),
        })
    })
}

/// The value of a variable, or of the file that its `…_FILE` names; empty when there is none.
fn find(name: &str, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Found, Problem> {
    if let Some(file) = lookup(&format!("{name}_FILE")).filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        let unreadable = |reason: String| Problem::Unreadable {
            file: file.clone(),
            reason,
        };
        let bytes = read_limited(&file).map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > MAX_VALUE_BYTES {
            return Err(unreadable(format!(
                "it is larger than {} KiB",
                MAX_VALUE_BYTES / 1024
            )));
        }
        let text =
            String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))?;
        return Ok(Found {
            text: text.trim().to_owned(),
            file: Some(file),
        });
    }
    let text = lookup(name)
        .unwrap_or_default()
        .into_string()
        .map_err(|_| Problem::NotText)?;
    Ok(Found {
        text: text.trim().to_owned(),
        file: None,
    })
}

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_VALUE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::feature::Feature;
    use super::kind::{Field, Kind};
    use super::*;

    /// Stands for all settings that are secret, in every build.
    const SECRET: Setting = Setting {
        name: "TEST_SECRET",
        default: "1",
        about: "",
        secret: true,
        kind: Kind::Port(Field {
            get: |c| &c.server_port,
            set: |c, port| c.server_port = port,
        }),
    };

    #[test]
    fn a_secret_is_shown_neither_by_check_nor_by_an_error() {
        let mut config = Config::unset();
        config.server_port = 4711;
        assert_eq!(SECRET.show(&config), "(hidden)");

        let wrong = |name: &str| (name == "TEST_SECRET").then(|| OsString::from("hunter2"));
        let error = read_setting(&SECRET, wrong, &mut config).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("TEST_SECRET has a wrong value; accepted: a whole number from 0 to 65535; 0 lets the kernel choose".to_owned())
        );
    }

    #[test]
    fn what_the_build_lacks_cannot_be_switched_on() {
        let lacking = Feature {
            name: "tests",
            is_built: false,
        };
        let setting = Setting {
            name: "TEST_FEATURE",
            default: lacking.switch(),
            about: "",
            secret: false,
            kind: Kind::Feature(
                Field {
                    get: |c| &c.compression,
                    set: |c, on| c.compression = on,
                },
                lacking,
            ),
        };
        let mut config = Config::unset();
        let mut read = |value: &'static str| {
            let lookup = |name: &str| (name == setting.name).then(|| OsString::from(value));
            read_setting(&setting, lookup, &mut config).map_err(|error| error.to_string())
        };
        assert_eq!(read(""), Ok(()));
        assert_eq!(read("Off"), Ok(()));
        assert_eq!(
            read("on"),
            Err("TEST_FEATURE is \"on\"; accepted: false/0/no/off/disable/disabled; true needs a build with the feature `tests`".to_owned())
        );
        assert!(!config.compression);
    }
}
