//! Which server is asked, and by which key.

use crate::config::WebUrl;
use std::{error::Error, fmt};

/// A server, and who asks.
#[derive(Clone)]
pub struct Server {
    pub(super) url: WebUrl,
    /// What stands before every path; empty, or begins with a slash and does not end with one.
    base: String,
    /// A bearer secret: shown to the server alone.
    pub(super) key: Option<String>,
}

impl Server {
    /// The server at an http or https URL. A path in it is that under which the server has been put.
    ///
    /// # Errors
    /// It is no such URL, or has in it what does not belong there.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let no_url = || match text.contains("://") {
            true => BadUrl::NoUrl(text.to_owned()),
            false => BadUrl::NoScheme(text.to_owned()),
        };
        let url = WebUrl::parse(text).ok_or_else(no_url)?;
        if url.name_and_password().is_some() {
            return Err(BadUrl::Password);
        }
        let path = url.path_and_query();
        if path.contains('?') {
            return Err(BadUrl::Query(text.to_owned()));
        }
        let base = path.trim_end_matches('/').to_owned();
        Ok(Self {
            url,
            base,
            key: None,
        })
    }

    /// The same, asked with `key`.
    ///
    /// # Errors
    /// No key can look like this.
    pub fn with_key(self, key: &str) -> Result<Self, BadKey> {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKey);
        }
        Ok(Self {
            key: Some(key.to_owned()),
            ..self
        })
    }

    /// The same, with nothing before its paths.
    pub fn at_root(&self) -> Self {
        Self {
            base: String::new(),
            ..self.clone()
        }
    }

    /// Whether anything stands before its paths.
    pub fn is_at_root(&self) -> bool {
        self.base.is_empty()
    }

    /// Whether there is a key to ask with.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The path that it has from outside.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The Socket.IO endpoint, for Engine.IO 4, with `query` behind what it always says.
    pub fn endpoint(&self, query: &str) -> String {
        format!("{}/socket.io/?EIO=4&{query}", self.base)
    }

    /// The host, without a port.
    pub fn host(&self) -> &str {
        self.url.host()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.url.port()
    }

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.url.is_https()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.url, self.base)
    }
}

/// Why a text does not say where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadUrl {
    /// It begins with neither http:// nor https://.
    NoScheme(String),
    /// It is no URL, or of another kind.
    NoUrl(String),
    /// There is a name in it, or a password, which is not shown.
    Password,
    /// There is a `?` in it.
    Query(String),
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme(text) => write!(
                f,
                "{text:?} is no URL: begin with http:// or https://, as in http://localhost:8080"
            ),
            Self::NoUrl(text) => write!(f, "{text:?} is no http or https URL"),
            Self::Password => f.write_str(
                "there is a name or a password in the URL, which everyone sees who lists the processes: leave it out, and give an API key",
            ),
            Self::Query(text) => write!(f, "{text:?} has a `?` in it: give the URL without"),
        }
    }
}

impl Error for BadUrl {}

/// A text is no API key. It is not shown, as it may be one with a slip in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "what was given is no API key: a key has no spaces, and nothing but ASCII in it",
        )
    }
}

impl Error for BadKey {}
