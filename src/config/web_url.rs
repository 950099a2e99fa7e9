//! A place on the web.

use hyper::{Uri, http::uri::Scheme};
use std::fmt;

/// An http or https URL. What could be a secret in it, all behind the host and the name and password before it, is not
/// shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl {
    text: String,
    is_https: bool,
    host: String,
    port: Option<u16>,
    path_and_query: String,
    name_and_password: Option<Vec<u8>>,
}

impl WebUrl {
    /// Reads one. None: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme()?;
        let is_https = *scheme == Scheme::HTTPS;
        let authority = uri.authority()?.as_str();
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user_info, place)) => (Some(user_info), place),
            None => (None, authority),
        };
        let host = uri.host()?;
        let port = match place.strip_prefix(host)? {
            "" => None,
            port => Some(port.strip_prefix(':')?.parse::<u16>().ok()?),
        };
        if !(is_https || *scheme == Scheme::HTTP) || host.is_empty() || port == Some(0) {
            return None;
        }
        let path = Some(uri.path()).filter(|path| !path.is_empty());
        let query = uri.query().map(|query| format!("?{query}"));
        Some(Self {
            text: text.to_owned(),
            is_https,
            host: host.to_owned(),
            port,
            path_and_query: format!("{}{}", path.unwrap_or("/"), query.unwrap_or_default()),
            name_and_password: match user_info {
                None => None,
                Some(user_info) if user_info.contains(':') => Some(percent_decoded(user_info)?),
                Some(name) => Some(percent_decoded(&format!("{name}:"))?),
            },
        })
    }

    /// Whether it is encrypted.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host to connect to: a name, or an IP address without brackets.
    pub fn host(&self) -> &str {
        let inner = self.host.strip_prefix('[');
        inner
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_https { 443 } else { 80 })
    }

    /// Host and port as the header `Host` has them.
    pub fn place(&self) -> String {
        match self.port {
            None => self.host.clone(),
            Some(port) => format!("{}:{port}", self.host),
        }
    }

    /// What the request asks for.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// `name:password`, as Basic authentication wants it, if there is such a thing.
    pub fn name_and_password(&self) -> Option<&[u8]> {
        self.name_and_password.as_deref()
    }

    pub(super) fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.place())
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({self}/…)")
    }
}

/// Each `%` has to be followed by two hexadecimal digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        decoded.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            _ => byte,
        });
    }
    Some(decoded)
}
