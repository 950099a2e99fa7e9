//! The kinds of value a setting can have: how each is read, shown, and described to whoever gave a
//! wrong one.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use log::LevelFilter;

use super::feature::Feature;
use super::secret::MIN_KEY_BYTES;
use super::{Config, DatabaseSystem, Hidden, LogFormat, MetricsPlace, Problem, Secret, WebUrl};

/// A field of [`Config`], to be read and written by its setting.
pub(super) struct Field<T: 'static> {
    pub(super) get: fn(&Config) -> &T,
    pub(super) set: fn(&mut Config, T),
}

/// The kind of a setting's value, and the field it goes to.
pub(super) enum Kind {
    /// One IP address, or all.
    Address(Field<Option<IpAddr>>),
    /// A TCP port.
    Port(Field<u16>),
    /// The TCP port of somebody else.
    OtherPort(Field<u16>),
    /// How much is logged.
    LogLevel(Field<LevelFilter>),
    /// How it is written.
    LogFormat(Field<LogFormat>),
    /// Where the metrics are.
    MetricsPlace(Field<MetricsPlace>),
    /// Web origins, separated by commas; none means any.
    Origins(Field<Vec<String>>),
    /// Networks, separated by commas.
    Networks(Field<Vec<IpNet>>),
    /// The path of a folder on the web, or none.
    BasePath(Field<String>),
    /// On or off.
    Switch(Field<bool>),
    /// On or off of something that a build may lack; then it can only be off.
    Feature(Field<bool>, Feature),
    /// The name of a file.
    Path(Field<PathBuf>),
    /// The name of a file, or none.
    File(Field<Option<PathBuf>>),
    /// The name of a folder, or none.
    Folder(Field<Option<PathBuf>>),
    /// Where something is on the web, or nowhere, for a feature that a build may lack.
    Url(Field<Option<WebUrl>>, Feature),
    /// What two share and nobody else knows, or nothing, for such a feature.
    Secret(Field<Option<Secret>>, Feature),
    /// Which database the users are in, or none, where this build can read such a one.
    Database(Field<Option<DatabaseSystem>>),
    /// Any text.
    Text(Field<String>),
    /// Any text that is not shown, or none.
    Hidden(Field<Option<Hidden>>),
    /// A span of time.
    Milliseconds(Field<Duration>, RangeInclusive<u64>),
    /// A span of time.
    Seconds(Field<Duration>, RangeInclusive<u64>),
    /// How many there may be of something.
    Count(Field<usize>, RangeInclusive<usize>),
    /// A size.
    Bytes(Field<usize>, RangeInclusive<usize>),
}

/// The text is no value of the kind; [`Kind::accepted`] says what is.
pub(super) struct NotAccepted;

/// Words for on and off, GameVault's. Any case.
const ON: [&str; 6] = ["true", "1", "yes", "on", "enable", "enabled"];
const OFF: [&str; 6] = ["false", "0", "no", "off", "disable", "disabled"];

/// Log levels, and the names that GameVault's logger has for those between.
const LEVELS: [(&str, LevelFilter); 9] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
    ("http", LevelFilter::Info),
    ("verbose", LevelFilter::Debug),
    ("silly", LevelFilter::Trace),
];

/// What the server has at its root: a page below one of these would hide it.
const TAKEN: [&str; 3] = ["api", "page", "socket.io"];

impl Kind {
    /// What is accepted, for messages and tables.
    pub(super) fn accepted(&self) -> String {
        match self {
            Kind::Address(_) => "an IP address such as 127.0.0.1 or ::1; empty for all addresses, IPv6 and IPv4".to_owned(),
            Kind::Port(_) => "a whole number from 0 to 65535; 0 lets the kernel choose".to_owned(),
            Kind::OtherPort(_) => "a whole number from 1 to 65535".to_owned(),
            Kind::LogLevel(_) => format!("one of {}", LEVELS.map(|(name, _)| name).join(", ")),
            Kind::LogFormat(_) => format!("one of {}", LogFormat::ALL.map(LogFormat::name).join(", ")),
            Kind::MetricsPlace(_) => "an address and a port such as 127.0.0.1:9464, for a listener of their own; off for none; empty for the main port".to_owned(),
            Kind::Origins(_) => "origins separated by commas, such as https://games.example:8443; empty or * for any".to_owned(),
            Kind::Networks(_) => "addresses and networks separated by commas, such as 127.0.0.1, 172.16.0.0/12 or fd00::/8; empty for none".to_owned(),
            Kind::BasePath(_) => format!("a path such as /activities/, not below {}; empty for none", TAKEN.map(|name| format!("/{name}/")).join(", ")),
            Kind::Feature(_, Feature { name, is_built: false }) => {
                format!("{}; true needs a build with the feature `{name}`", OFF.join("/"))
            }
            Kind::Switch(_) | Kind::Feature(..) => format!("{}, or {}", ON.join("/"), OFF.join("/")),
            Kind::Path(_) => "the name of a file".to_owned(),
            Kind::File(_) => "the name of a file; empty for none".to_owned(),
            Kind::Folder(_) => "the name of a folder; empty for none".to_owned(),
            Kind::Database(_) => "SQLITE, which needs a build with the feature `sqlite`, or POSTGRESQL, which needs one with `postgres`; empty for the user file".to_owned(),
            Kind::Text(_) => "any text".to_owned(),
            Kind::Hidden(_) => "any text; empty for none".to_owned(),
            Kind::Url(_, Feature { name, .. }) => {
                format!("an http or https URL; empty for none; needs a build with the feature `{name}`")
            }
            Kind::Secret(_, Feature { name, .. }) => {
                format!(
"whsec_ and a key in Base64, or any other text, of {MIN_KEY_BYTES} bytes or more; empty for none; needs a build with the feature `{name}`")
            }
            Kind::Milliseconds(_, range) => format!("milliseconds, a whole number from {} to {}", range.start(), range.end()),
            Kind::Seconds(_, range) => format!("seconds, a whole number from {} to {}", range.start(), range.end()),
            Kind::Count(_, range) => format!("a whole number from {} to {}", range.start(), range.end()),
            Kind::Bytes(_, range) => format!("bytes, a whole number from {} to {}", range.start(), range.end()),
        }
    }

    /// What speaks against this value in this build, because a feature is missing.
    pub(super) fn lacks(&self, text: &str) -> Option<Problem> {
        match self {
            Kind::Url(_, feature) | Kind::Secret(_, feature)
                if !feature.is_built && !text.is_empty() =>
            {
                Some(Problem::NotBuilt {
                    feature: feature.name,
                })
            }
            Kind::Database(_) => {
                let feature = DatabaseSystem::parse(text)?.feature();
                let value = text.to_owned();
                (!feature.is_built).then_some(Problem::NoDatabase {
                    value,
                    feature: feature.name,
                })
            }
            _ => None,
        }
    }

    /// Reads a value, without space around it, into its field.
    pub(super) fn read(&self, text: &str, config: &mut Config) -> Result<(), NotAccepted> {
        match self {
            Kind::Address(field) => (field.set)(config, address(text)?),
            Kind::Port(field) => (field.set)(config, number(text, &(0..=u16::MAX))?),
            Kind::OtherPort(field) => (field.set)(config, number(text, &(1..=u16::MAX))?),
            Kind::LogLevel(field) => (field.set)(config, level(text)?),
            Kind::LogFormat(field) => (field.set)(config, log_format(text)?),
            Kind::MetricsPlace(field) => {
                (field.set)(config, MetricsPlace::parse(text).ok_or(NotAccepted)?)
            }
            Kind::Origins(field) => (field.set)(config, origins(text)?),
            Kind::Networks(field) => (field.set)(config, networks(text)?),
            Kind::BasePath(field) => (field.set)(config, base_path(text)?),
            Kind::Switch(field) => (field.set)(config, switch(text)?),
            Kind::Feature(field, feature) => {
                let on = switch(text)?;
                if on && !feature.is_built {
                    return Err(NotAccepted);
                }
                (field.set)(config, on);
            }
            Kind::Path(field) => (field.set)(config, PathBuf::from(text)),
            Kind::File(field) | Kind::Folder(field) => (field.set)(
                config,
                Some(PathBuf::from(text)).filter(|_| !text.is_empty()),
            ),
            Kind::Database(field) => (field.set)(config, optional(text, DatabaseSystem::parse)?),
            Kind::Text(field) => (field.set)(config, text.to_owned()),
            Kind::Hidden(field) => (field.set)(config, Hidden::new(text)),
            Kind::Url(field, _) => (field.set)(config, optional(text, WebUrl::parse)?),
            Kind::Secret(field, _) => (field.set)(config, optional(text, Secret::parse)?),
            Kind::Milliseconds(field, range) => {
                (field.set)(config, Duration::from_millis(number(text, range)?))
            }
            Kind::Seconds(field, range) => {
                (field.set)(config, Duration::from_secs(number(text, range)?))
            }
            Kind::Count(field, range) | Kind::Bytes(field, range) => {
                (field.set)(config, number(text, range)?)
            }
        }
        Ok(())
    }

    /// The field's value, as [`Kind::read`] would read it.
    pub(super) fn show(&self, config: &Config) -> String {
        match self {
            Kind::Address(field) => {
                (field.get)(config).map_or_else(String::new, |address| address.to_string())
            }
            Kind::Port(field) | Kind::OtherPort(field) => (field.get)(config).to_string(),
            Kind::LogLevel(field) => (field.get)(config).as_str().to_lowercase(),
            Kind::LogFormat(field) => (field.get)(config).name().to_owned(),
            Kind::MetricsPlace(field) => (field.get)(config).to_string(),
            Kind::Origins(field) => (field.get)(config).join(","),
            Kind::Networks(field) => {
                let networks = (field.get)(config)
                    .iter()
                    .map(|network| network.to_string());
                networks.collect::<Vec<_>>().join(",")
            }
            Kind::BasePath(field) => (field.get)(config).clone(),
            Kind::Switch(field) | Kind::Feature(field, _) => (field.get)(config).to_string(),
            Kind::Path(field) => (field.get)(config).display().to_string(),
            Kind::File(field) | Kind::Folder(field) => (field.get)(config)
                .as_ref()
                .map_or_else(String::new, |folder| folder.display().to_string()),
            Kind::Database(field) => {
                (field.get)(config).map_or_else(String::new, |system| system.name().to_owned())
            }
            Kind::Text(field) => (field.get)(config).clone(),
            Kind::Hidden(field) => (field.get)(config)
                .as_ref()
                .map_or_else(String::new, |hidden| hidden.reveal().to_owned()),
            Kind::Url(field, _) => (field.get)(config)
                .as_ref()
                .map_or_else(String::new, |url| url.reveal().to_owned()),
            Kind::Secret(field, _) => (field.get)(config)
                .as_ref()
                .map_or_else(String::new, |secret| secret.reveal().to_owned()),
            Kind::Milliseconds(field, _) => (field.get)(config).as_millis().to_string(),
            Kind::Seconds(field, _) => (field.get)(config).as_secs().to_string(),
            Kind::Count(field, _) | Kind::Bytes(field, _) => (field.get)(config).to_string(),
        }
    }
}

/// Digits only: `FromStr` would take a plus sign too.
fn number<N: FromStr + PartialOrd + Display>(
    text: &str,
    range: &RangeInclusive<N>,
) -> Result<N, NotAccepted> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotAccepted);
    }
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or(NotAccepted)
}

/// An empty text is no value.
fn optional<T>(text: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, NotAccepted> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).ok_or(NotAccepted)
}

fn switch(text: &str) -> Result<bool, NotAccepted> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is_one_of(&ON), is_one_of(&OFF)) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(NotAccepted),
    }
}

fn level(text: &str) -> Result<LevelFilter, NotAccepted> {
    LEVELS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, level)| level)
        .ok_or(NotAccepted)
}

fn log_format(text: &str) -> Result<LogFormat, NotAccepted> {
    LogFormat::ALL
        .into_iter()
        .find(|format| format.name().eq_ignore_ascii_case(text))
        .ok_or(NotAccepted)
}

/// Brackets, as in URLs, are allowed around an IPv6 address.
fn address(text: &str) -> Result<Option<IpAddr>, NotAccepted> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = match text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(bracketed) => bracketed.parse().map(IpAddr::V6).ok(),
        None => text.parse().ok(),
    };
    address.map(Some).ok_or(NotAccepted)
}

/// An address alone is a network of one.
fn networks(text: &str) -> Result<Vec<IpNet>, NotAccepted> {
    let listed = text.split(',').map(str::trim);
    let listed = listed.filter(|network| !network.is_empty());
    let network = |text: &str| {
        let network = text.parse().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.ok_or(NotAccepted)
    };
    listed.map(network).collect()
}

fn origins(text: &str) -> Result<Vec<String>, NotAccepted> {
    let listed: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty())
        .collect();
    let origins = listed.iter().map(|origin| {
        if *origin == "*" {
            Ok(String::from("*"))
        } else {
            self::origin(origin)
        }
    });
    let origins: Vec<String> = origins.collect::<Result<_, _>>()?;
    Ok(if origins.iter().any(|origin| origin == "*") {
        Vec::new()
    } else {
        origins
    })
}

/// A path with a slash at both ends, of names that stand in a URL as they are; empty for none.
fn base_path(text: &str) -> Result<String, NotAccepted> {
    let path = text.strip_prefix('/').unwrap_or(text);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(String::new());
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().any(|byte| byte != b'.') && name.bytes().all(is_plain)
    };
    let is_taken = |name: &str| TAKEN.contains(&name);
    if !path.split('/').all(is_name) || path.split('/').next().is_some_and(is_taken) {
        return Err(NotAccepted);
    }
    Ok(format!("/{path}/"))
}

/// An origin as browsers send it: `scheme://host[:port]`, lower case, without the scheme's own
/// port. `null` is what pages from files send.
fn origin(text: &str) -> Result<String, NotAccepted> {
    let origin = text.to_ascii_lowercase();
    if origin == "null" {
        return Ok(origin);
    }
    let (scheme, authority) = origin.split_once("://").ok_or(NotAccepted)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let scheme_is_good = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(number(port, &(1..=u16::MAX))?)),
        _ => (authority, None),
    };
    let host_is_good = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(bracketed) => bracketed.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        }
    };
    if !scheme_is_good || !host_is_good {
        return Err(NotAccepted);
    }
    Ok(match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}
