//! Which server is asked, and with which key: by the command line, the environment, or the person at the terminal.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use super::Access;
use super::prompt::{PromptError, ask};
use crate::client::{BadKey, BadUrl, Server};
use crate::config::{ConfigError, ConfigErrors, local_address, variable};

/// The most that is read of a file with a key.
const MAX_KEY_FILE_BYTES: u64 = 64 << 10;

/// The server. `lookup` answers for the environment.
pub(super) fn server(
    url: Option<&str>,
    lookup: &impl Fn(&str) -> Option<OsString>,
) -> Result<Server, AccessError> {
    let from_environment = match url {
        Some(_) => None,
        None => variable("ROLLCALL_URL", lookup).map_err(AccessError::Variable)?,
    };
    let url = match url.or(from_environment.as_deref()) {
        Some(url) => url.to_owned(),
        None => {
            let port = local_address(lookup).map_err(AccessError::Local)?.port();
            if port == 0 {
                return Err(AccessError::NoPort);
            }
            format!("http://localhost:{port}")
        }
    };
    Server::parse(&url).map_err(AccessError::Url)
}

/// The same with the key, if there is one.
pub(super) fn server_with_known_key(
    access: &Access,
    lookup: &impl Fn(&str) -> Option<OsString>,
) -> Result<Server, AccessError> {
    let server = server(access.url.as_deref(), lookup)?;
    let key = match &access.key_file {
        Some(file) => Some(read(file)?),
        None => variable("ROLLCALL_KEY", lookup).map_err(AccessError::Variable)?,
    };
    match key {
        Some(key) => server.with_key(&key).map_err(AccessError::Key),
        None => Ok(server),
    }
}

/// The same with a key, which is asked for at the terminal if it has to be.
pub(super) fn server_with_key(
    access: &Access,
    lookup: &impl Fn(&str) -> Option<OsString>,
) -> Result<Server, AccessError> {
    let server = server_with_known_key(access, lookup)?;
    if server.has_key() {
        return Ok(server);
    }
    if !io::stdin().is_terminal() {
        return Err(AccessError::NoKey);
    }
    let key = match ask(&format!("API key for {server}: ")) {
        Err(PromptError::Cancelled) => return Err(AccessError::NoKey),
        answer => answer.map_err(AccessError::Prompt)?,
    };
    match key.trim() {
        "" => Err(AccessError::NoKey),
        key => server.with_key(key).map_err(AccessError::Key),
    }
}

/// The key in a file, which may be a pipe.
fn read(file: &PathBuf) -> Result<String, AccessError> {
    let unreadable = |error| AccessError::KeyFile {
        file: file.clone(),
        error,
    };
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(unreadable)?;
    io::Read::read_to_string(&mut io::Read::take(opened, MAX_KEY_FILE_BYTES), &mut text)
        .map_err(unreadable)?;
    Ok(text.trim().to_owned())
}

/// Why it is not clear whom to ask, or as who.
#[derive(Debug)]
pub enum AccessError {
    /// A variable of the environment is no good.
    Variable(ConfigError),
    /// So are those of the server.
    Local(ConfigErrors),
    /// The server's port is the kernel's choice.
    NoPort,
    /// The URL is no good.
    Url(BadUrl),
    /// The key is none.
    Key(BadKey),
    /// The file with the key cannot be read.
    KeyFile {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no key, and nobody to ask for it.
    NoKey,
    /// The person cannot be asked.
    Prompt(PromptError),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::Variable(error) => error.fmt(f),
            AccessError::Local(error) => error.fmt(f),
            AccessError::NoPort => f.write_str(
                "SERVER_PORT is 0, so the server's port is not known: give the URL that it prints when it starts",
            ),
            AccessError::Url(error) => error.fmt(f),
            AccessError::Key(error) => error.fmt(f),
            AccessError::KeyFile { file, error } => {
                write!(f, "the key file {} cannot be read: {error}", file.display())
            }
            AccessError::NoKey => f.write_str(
                "no API key was given: set ROLLCALL_KEY or ROLLCALL_KEY_FILE, or use --key-file FILE; `rollcall users key NAME` prints one",
            ),
            AccessError::Prompt(error) => error.fmt(f),
        }
    }
}

impl Error for AccessError {}
