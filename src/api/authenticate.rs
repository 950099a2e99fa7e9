//! Who asks?

use crate::{
    server::{Admission, Denied},
    users::{Directory, KeyDigest, NoEntry, User},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, HeaderName},
    http::request::Parts,
};
use std::{net::SocketAddr, sync::Arc};

/// The header that carries a key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Finds out who sent a request.
#[derive(Clone)]
pub struct Authenticator {
    directory: Arc<dyn Directory>,
    /// Whether a session may be opened without a key, to be shown by the CONNECT.
    key_may_follow: bool,
}

impl Authenticator {
    /// Asks `directory`.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self {
            directory,
            key_may_follow: false,
        }
    }

    /// Lets a session without a key be opened, by nobody, who has to show one when it joins.
    pub fn let_key_follow(self, key_may_follow: bool) -> Self {
        Self {
            key_may_follow,
            ..self
        }
    }

    /// The user whose key the request carries.
    ///
    /// # Errors
    /// There is none, or the user may not come in.
    pub async fn by_key(&self, headers: &HeaderMap) -> Result<Arc<User>, Denied> {
        let key = shown_key(headers)
            .ok_or(NO_KEY)?
            .map_err(|NotOneKey| denied(&NoEntry::Unknown))?;
        User::by_key(&*self.directory, key)
            .await
            .map_err(|no_entry| denied(&no_entry))
    }

    /// The user whose key, or else whose name and password, the request carries.
    ///
    /// # Errors
    /// There is none, or the user may not come in.
    pub async fn by_key_or_password(&self, headers: &HeaderMap) -> Result<Arc<User>, Denied> {
        if headers.contains_key(API_KEY) {
            return self.by_key(headers).await;
        }
        let authorization = headers.get(AUTHORIZATION).ok_or(NO_KEY_OR_PASSWORD)?;
        let (name, password) = basic(authorization.as_bytes()).ok_or(BAD_AUTHORIZATION)?;
        User::enter(self.directory.by_password(&name, &password).await).map_err(|no_entry| {
            match no_entry {
                NoEntry::Unknown => WRONG_PASSWORD,
                other => denied(&other),
            }
        })
    }
}

/// A session is a user's, or for the moment nobody's.
impl Admission for Authenticator {
    type Identity = Option<Arc<User>>;

    fn still_admits(&self, user: &Option<Arc<User>>) -> bool {
        user.as_ref()
            .is_none_or(|user| self.directory.is_current(user))
    }

    fn is_same(&self, user: &Option<Arc<User>>, request: &Parts) -> bool {
        match (user, shown_key(&request.headers)) {
            // An empty one is none.
            (None, _) | (_, None | Some(Ok(""))) => true,
            (Some(user), Some(key)) => key.is_ok_and(|key| KeyDigest::of(key) == user.key_digest),
        }
    }

    async fn admit(
        &self,
        request: &Parts,
        _peer: SocketAddr,
    ) -> Result<Arc<Option<Arc<User>>>, Denied> {
        let is_nobody = self.key_may_follow && !request.headers.contains_key(API_KEY);
        Ok(Arc::new(if is_nobody {
            None
        } else {
            Some(self.by_key(&request.headers).await?)
        }))
    }
}

/// A header that carries no key that anyone could have, or two different ones: whoever is in front of us may have looked
/// at the other.
struct NotOneKey;

/// The key that a request shows, if it does.
fn shown_key(headers: &HeaderMap) -> Option<Result<&str, NotOneKey>> {
    let mut keys = headers.get_all(API_KEY).iter();
    let key = keys.next()?;
    let is_one = keys.all(|other| other == key);
    Some(key.to_str().ok().filter(|_| is_one).ok_or(NotOneKey))
}

/// The no to someone whose key does not open the door.
fn denied(no_entry: &NoEntry) -> Denied {
    Denied {
        status: match no_entry {
            NoEntry::Unknown => StatusCode::UNAUTHORIZED,
            NoEntry::NotActivated => StatusCode::FORBIDDEN,
            NoEntry::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        },
        message: no_entry.message(),
    }
}

/// Name and password of HTTP's Basic scheme (RFC 7617).
fn basic(authorization: &[u8]) -> Option<(String, String)> {
    let (scheme, credentials) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let credentials =
        String::from_utf8(BASE64_STANDARD.decode(credentials.trim_ascii()).ok()?).ok()?;
    let (name, password) = credentials.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

const fn unauthorized(message: &'static str) -> Denied {
    Denied {
        status: StatusCode::UNAUTHORIZED,
        message,
    }
}

const NO_KEY: Denied = unauthorized("An API key is missing: send it in the header X-Api-Key.");
const NO_KEY_OR_PASSWORD: Denied = unauthorized(
    "Send an API key in the header X-Api-Key, or a name and password by Basic authentication.",
);
const BAD_AUTHORIZATION: Denied = unauthorized(
    "The header Authorization is not in the form of Basic authentication, the only scheme here.",
);
const WRONG_PASSWORD: Denied = unauthorized("Name and password do not match.");
