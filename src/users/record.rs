//! One user of the user file: its fields and the rules for each.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::user::MAX_USER_ID;
use super::{ApiKey, PasswordHash, Role, Timestamp, User, UserId};

/// The longest username, in characters.
const MAX_USERNAME_CHARS: usize = 64;

/// One user of the file, secrets included (which `Debug` hides).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    pub(super) id: UserId,
    pub(super) username: String,
    pub(super) api_key: ApiKey,
    pub(super) role: Role,
    pub(super) activated: bool,
    pub(super) deleted_at: Option<Timestamp>,
    pub(super) password: Option<PasswordHash>,
    /// Fields that are not ours. (Numbers that neither 64 bits nor a double hold exactly are
    /// rounded.)
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

impl Record {
    /// The user as the rest of the program sees it.
    pub fn user(&self) -> User {
        User {
            id: self.id,
            username: self.username.clone(),
            role: self.role,
            activated: self.activated,
            deleted_at: self.deleted_at.clone(),
            key_digest: self.api_key.digest(),
        }
    }

    /// The key, to be shown to its owner.
    pub fn api_key(&self) -> &ApiKey {
        &self.api_key
    }

    /// The password's hash, if the user has a password.
    pub fn password(&self) -> Option<&PasswordHash> {
        self.password.as_ref()
    }

    /// Whether it was not removed.
    pub(super) fn exists(&self) -> bool {
        self.deleted_at.is_none()
    }
}

/// A [`Record`] whose fields have the right types and may still be wrong together.
#[derive(Deserialize)]
pub(super) struct RawRecord {
    #[serde(deserialize_with = "user_id")]
    id: UserId,
    username: String,
    api_key: String,
    #[serde(deserialize_with = "role")]
    role: Role,
    activated: bool,
    #[serde(default)]
    deleted_at: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl TryFrom<RawRecord> for Record {
    type Error = String;

    fn try_from(raw: RawRecord) -> Result<Record, String> {
        let named = |problem: &str| format!("user {} ({:?}): {problem}", raw.id, raw.username);
        if let Some(problem) = username_problem(&raw.username) {
            return Err(named(problem));
        }
        // What was found is not shown: it may be a key with a typing error, or a password in the
        // clear.
        let api_key = ApiKey::parse(&raw.api_key)
            .ok_or_else(|| named("the api_key must be 64 lower-case hexadecimal digits"))?;
        let deleted_at = match raw.deleted_at.as_deref().map(Timestamp::parse) {
            Some(None) => {
                return Err(named(
                    "deleted_at must be null or a time such as \"2026-11-23T21:43:21.000Z\"",
                ));
            }
            at => at.flatten(),
        };
        let password = match raw.password.as_deref().map(PasswordHash::parse) {
            Some(None) => {
                return Err(named(
                    "the password must be null or a bcrypt hash ($2b$10$…, 60 characters, cost 4 to 14)",
                ));
            }
            hash => hash.flatten(),
        };
        Ok(Record {
            id: raw.id,
            username: raw.username,
            api_key,
            role: raw.role,
            activated: raw.activated,
            deleted_at,
            password,
            rest: raw.rest,
        })
    }
}

/// What is wrong with a username, if anything is.
pub(super) fn username_problem(username: &str) -> Option<&'static str> {
    if username.is_empty() {
        Some("the username is empty")
    } else if username.chars().count() > MAX_USERNAME_CHARS {
        Some("the username is longer than 64 characters")
    } else if username.chars().any(char::is_control) {
        Some("the username contains control characters")
    } else if username.trim() != username {
        Some("the username begins or ends with a space")
    } else if username.contains(':') {
        Some("the username contains ':', which ends the name in HTTP's Basic authentication")
    } else {
        None
    }
}

/// A whole number within bounds, with a message of its own for everything else.
struct Whole {
    least: u64,
    most: u64,
    expected: &'static str,
}

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        if (self.least..=self.most).contains(&number) {
            Ok(number)
        } else {
            Err(E::invalid_value(de::Unexpected::Unsigned(number), &self))
        }
    }
}

fn user_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UserId, D::Error> {
    deserializer.deserialize_u64(Whole {
        least: 1,
        most: MAX_USER_ID,
        expected: "an id: a whole number from 1 to 9007199254740991",
    })
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let roles = Whole {
        least: 0,
        most: 3,
        expected: "a role: 0 (guest), 1 (user), 2 (editor) or 3 (admin)",
    };
    let number = deserializer.deserialize_u64(roles)?;
    Role::from_number(number).ok_or_else(|| de::Error::custom("no such role"))
}
