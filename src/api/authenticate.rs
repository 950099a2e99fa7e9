//! Who asks?

use crate::{
    server::{Admission, Denied},
    users::{Directory, KeyDigest, Unavailable, User},
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
}

impl Authenticator {
    /// Asks `directory`.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory }
    }

    /// The user whose key the request carries.
    ///
    /// # Errors
    /// There is none, or the user may not come in.
    pub async fn by_key(&self, headers: &HeaderMap) -> Result<Arc<User>, Denied> {
        let key = headers
            .get(API_KEY)
            .ok_or(NO_KEY)?
            .to_str()
            .map_err(|_| WRONG_KEY)?;
        // Only the digest is compared: how long that takes tells nothing about the key.
        let digest = KeyDigest::of(key);
        let user = self
            .directory
            .by_key(digest)
            .await
            .map_err(unavailable)?
            .ok_or(WRONG_KEY)?;
        enter(user, WRONG_KEY)
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
        let user = self
            .directory
            .by_password(&name, &password)
            .await
            .map_err(unavailable)?;
        enter(user.ok_or(WRONG_PASSWORD)?, WRONG_PASSWORD)
    }
}

impl Admission for Authenticator {
    type Identity = User;

    fn still_admits(&self, user: &User) -> bool {
        self.directory.is_current(user)
    }

    fn is_same(&self, user: &User, request: &Parts) -> bool {
        let Some(key) = request.headers.get(API_KEY) else {
            return true;
        };
        key.to_str()
            .is_ok_and(|key| KeyDigest::of(key) == user.key_digest)
    }

    async fn admit(&self, request: &Parts, _peer: SocketAddr) -> Result<Arc<User>, Denied> {
        self.by_key(&request.headers).await
    }
}

/// A user who was removed is nobody; one who is not activated is told so.
fn enter(user: Arc<User>, nobody: Denied) -> Result<Arc<User>, Denied> {
    if user.is_deleted() {
        Err(nobody)
    } else if user.may_enter() {
        Ok(user)
    } else {
        Err(NOT_ACTIVATED)
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

fn unavailable(error: Unavailable) -> Denied {
    log::error!("a user cannot be looked up: {error}");
    UNAVAILABLE
}

const fn unauthorized(message: &'static str) -> Denied {
    Denied {
        status: StatusCode::UNAUTHORIZED,
        message,
    }
}

const NO_KEY: Denied = unauthorized("An API key is missing: send it in the header X-Api-Key.");
const WRONG_KEY: Denied =
    unauthorized("This API key belongs to no user: it may be mistyped, or replaced.");
const NO_KEY_OR_PASSWORD: Denied = unauthorized(
    "Send an API key in the header X-Api-Key, or a name and password by Basic authentication.",
);
const BAD_AUTHORIZATION: Denied = unauthorized(
    "The header Authorization is not in the form of Basic authentication, the only scheme here.",
);
const WRONG_PASSWORD: Denied = unauthorized("Name and password do not match.");
const NOT_ACTIVATED: Denied = Denied {
    status: StatusCode::FORBIDDEN,
    message: "This user is not activated: an administrator has to do that first.",
};
const UNAVAILABLE: Denied = Denied {
    status: StatusCode::SERVICE_UNAVAILABLE,
    message: "Users cannot be looked up at the moment: try again later.",
};
