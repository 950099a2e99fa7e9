//! The user file's content: what it may say, and the changes that the command line makes.
//!
//! Text comes in and goes out; nothing here touches the disk. A [`Document`] keeps the rules by
//! construction: reading checks them, and every change does. Fields that Rollcall does not know are
//! kept as they are, so other programs may put their own into the file.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::record::{RawRecord, username_problem};
use super::user::{MAX_USER_ID, folded};
use super::{ApiKey, EditError, PasswordHash, Record, Role, Timestamp, UserId};

/// What the users read so far have taken, and who they are.
#[derive(Default)]
struct Taken {
    ids: HashSet<UserId>,
    keys: HashMap<ApiKey, UserId>,
    /// By folded name.
    names: HashMap<String, UserId>,
}

impl Taken {
    /// Takes what this user has, or says who has it already.
    fn take(&mut self, user: &Record) -> Result<(), String> {
        let clash = |with: UserId, what: &str| {
            Err(format!(
                "user {} ({:?}): user {with} has the same {what}",
                user.id, user.username
            ))
        };
        if !self.ids.insert(user.id) {
            return clash(user.id, "id");
        }
        if let Some(other) = self.keys.insert(user.api_key.clone(), user.id) {
            return clash(other, "api_key");
        }
        // A removed user's name is free again.
        if user.exists()
            && let Some(other) = self.names.insert(folded(&user.username), user.id)
        {
            return clash(other, "username (upper and lower case are the same)");
        }
        Ok(())
    }
}

/// Reads the next user. All that can be wrong with it is found while its object is read, so that
/// the error's position is within it.
struct NextUser<'a>(&'a mut Taken);

impl<'de> DeserializeSeed<'de> for NextUser<'_> {
    type Value = Record;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Record, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for NextUser<'_> {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user: an object with id, username, api_key, role and activated")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record, A::Error> {
        let raw = RawRecord::deserialize(MapAccessDeserializer::new(map))?;
        let user = Record::try_from(raw).map_err(de::Error::custom)?;
        self.0.take(&user).map_err(de::Error::custom)?;
        Ok(user)
    }
}

/// The list of users.
struct Users;

impl<'de> Visitor<'de> for Users {
    type Value = Vec<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Record>, A::Error> {
        let (mut users, mut taken) = (Vec::new(), Taken::default());
        while let Some(user) = sequence.next_element_seed(NextUser(&mut taken))? {
            users.push(user);
        }
        Ok(users)
    }
}

fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Record>, D::Error> {
    deserializer.deserialize_seq(Users)
}

/// All that the user file says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object with a list of users: {\"users\":[…]}")]
pub struct Document {
    #[serde(deserialize_with = "users")]
    users: Vec<Record>,
    /// Fields that are not ours.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Document {
    /// Reads the file's content. A byte order mark is skipped: some editors leave one.
    ///
    /// # Errors
    ///
    /// For anything but a good file, with the place.
    pub fn parse(text: &[u8]) -> Result<Document, Broken> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let text = str::from_utf8(text).map_err(|error| {
            let good = text.get(..error.valid_up_to()).unwrap_or_default();
            let line_start = good
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |newline| newline + 1);
            Broken {
                line: good.iter().filter(|&&byte| byte == b'\n').count() + 1,
                column: good.len() - line_start + 1,
                problem: "this is not UTF-8 text".to_owned(),
            }
        })?;
        serde_json::from_str(text).map_err(|error| Broken::from_json(&error))
    }

    /// The file's content, indented and with a final newline, for people who read it.
    ///
    /// # Errors
    ///
    /// When the result could not be read back: a fault of this module, found before it reaches the
    /// disk.
    pub fn to_text(&self) -> Result<String, Broken> {
        let mut text =
            serde_json::to_string_pretty(self).map_err(|error| Broken::from_json(&error))?;
        text.push('\n');
        Document::parse(text.as_bytes())?;
        Ok(text)
    }

    /// All users in the file's order, removed ones included.
    pub fn users(&self) -> &[Record] {
        &self.users
    }

    /// Whether anybody could come in as an admin.
    pub fn has_admin(&self) -> bool {
        self.users
            .iter()
            .any(|user| user.exists() && user.role == Role::Admin)
    }

    /// Adds a user, activated and without a password, under a new id.
    ///
    /// # Errors
    ///
    /// When the name is taken or no username, or no key can be made.
    pub fn add(&mut self, username: &str, role: Role) -> Result<ApiKey, EditError> {
        if let Some(problem) = username_problem(username) {
            return Err(EditError::BadName {
                name: username.to_owned(),
                problem,
            });
        }
        if let Ok(taken) = self.find(username) {
            return Err(EditError::NameTaken {
                name: taken.username.clone(),
                id: taken.id,
            });
        }
        // Removed users count: an id is never given to somebody else.
        let id = self.users.iter().map(|user| user.id).max().unwrap_or(0) + 1;
        if id > MAX_USER_ID {
            return Err(EditError::NoMoreIds);
        }
        let api_key = ApiKey::generate().map_err(EditError::NoKey)?;
        self.users.push(Record {
            id,
            username: username.to_owned(),
            api_key: api_key.clone(),
            role,
            activated: true,
            deleted_at: None,
            password: None,
            rest: Map::new(),
        });
        Ok(api_key)
    }

    /// The existing user of this name, in any case.
    ///
    /// # Errors
    ///
    /// When there is none, or it was removed.
    pub fn find(&self, username: &str) -> Result<&Record, EditError> {
        let wanted = folded(username);
        self.users
            .iter()
            .find(|user| user.exists() && folded(&user.username) == wanted)
            .ok_or_else(|| self.absent(username))
    }

    fn find_mut(&mut self, username: &str) -> Result<&mut Record, EditError> {
        let id = self.find(username)?.id;
        self.users
            .iter_mut()
            .find(|user| user.id == id)
            .ok_or_else(|| EditError::Unknown {
                name: username.to_owned(),
            })
    }

    /// Why there is no existing user of this name.
    fn absent(&self, username: &str) -> EditError {
        let wanted = folded(username);
        let removed = self
            .users
            .iter()
            .rev()
            .filter(|user| folded(&user.username) == wanted)
            .find_map(|user| user.deleted_at.clone());
        match removed {
            Some(at) => EditError::Removed {
                name: username.to_owned(),
                at,
            },
            None => EditError::Unknown {
                name: username.to_owned(),
            },
        }
    }

    /// Gives a user a new key; the old one is void.
    ///
    /// # Errors
    ///
    /// When there is no such user, or no key can be made.
    pub fn rotate(&mut self, username: &str) -> Result<ApiKey, EditError> {
        let user = self.find_mut(username)?;
        user.api_key = ApiKey::generate().map_err(EditError::NoKey)?;
        Ok(user.api_key.clone())
    }

    /// Lets a user in, or no longer.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub fn set_activated(&mut self, username: &str, activated: bool) -> Result<(), EditError> {
        self.find_mut(username)?.activated = activated;
        Ok(())
    }

    /// Gives a user a password, or another one.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub fn set_password(
        &mut self,
        username: &str,
        password: PasswordHash,
    ) -> Result<(), EditError> {
        self.find_mut(username)?.password = Some(password);
        Ok(())
    }

    /// Removes a user. The entry stays, with the time, so that its id and its key are not used
    /// again.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub fn remove(&mut self, username: &str, at: Timestamp) -> Result<(), EditError> {
        self.find_mut(username)?.deleted_at = Some(at);
        Ok(())
    }
}

/// What is wrong with a user file's content, and where. Never repeats a key or a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1. For a user that is wrong as a whole, the user's end.
    pub column: usize,
    /// What was found, and what was expected.
    pub problem: String,
}

impl Broken {
    fn from_json(error: &serde_json::Error) -> Broken {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = error.to_string();
        let problem = message.strip_suffix(&place).unwrap_or(&message);
        // serde repeats a text that stands in the wrong place, and it might be a key.
        let problem = match (
            problem.split_once("string \""),
            problem.rsplit_once("\", expected "),
        ) {
            (Some((before, _)), Some((_, expected))) => {
                format!("{before}a string, expected {expected}")
            }
            _ => problem.to_owned(),
        };
        // Before the first byte is read serde_json counts it as column 0.
        Broken {
            line: error.line().max(1),
            column: error.column().max(1),
            problem,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.problem
        )
    }
}

impl Error for Broken {}
