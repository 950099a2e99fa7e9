//! What a client says of itself, and what is wrong with it.

use super::{
    Doing, State,
    activity::{BUSY, OFFLINE, ONLINE, PLAYING},
};
use crate::socketio::{fields, whole};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, sync::Arc};

/// A client's report: what it does, or that it does not want to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It does this.
    Doing(Doing),
    /// `OFFLINE`: it takes back what it said before.
    Withdrawn,
}

/// Why a payload is no report. The text names the field and says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadReport {
    /// There is none.
    Missing,
    /// It is not an object.
    NotAnObject,
    /// There are attachments.
    Binary,
    /// It is nested deeper than `MAX_NESTING`.
    TooDeep,
    /// There is no `state`.
    NoState,
    /// `state` is none of the known ones.
    UnknownState,
    /// `game_id` is no whole number from 0 to 2^53 - 1.
    GameId,
    /// `details` is no text, too long, or has control characters.
    Details,
}

/// How deep a payload may be nested. What a report needs is one level; the rest is for fields of others.
pub const MAX_NESTING: usize = 64;

/// How many characters of its own a report may have.
pub const MAX_DETAILS: usize = 128;

/// The largest whole number that JavaScript tells from its neighbours.
pub const MAX_GAME_ID: u64 = (1 << 53) - 1;

// What is read of a report.
const STATE: &str = "state";
const GAME_ID: &str = "game_id";
const DETAILS: &str = "details";

impl Report {
    /// The fields that it may have.
    pub const FIELDS: [&str; 3] = [STATE, GAME_ID, DETAILS];

    /// Reads the payload of `set-activity`. Unknown fields are ignored.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(payload: Option<&RawValue>) -> Result<Self, BadReport> {
        let json = payload.ok_or(BadReport::Missing)?.get();
        if nesting(json) > MAX_NESTING {
            return Err(BadReport::TooDeep);
        }
        if json == "null" {
            return Err(BadReport::Missing);
        }
        let fields = fields(json).ok_or(BadReport::NotAnObject)?;
        let game_id = fields
            .get(GAME_ID.as_bytes())
            .map(|json| game_id(json))
            .transpose()?
            .flatten();
        let details = fields
            .get(DETAILS.as_bytes())
            .map(|json| details(json))
            .transpose()?
            .flatten();
        let state = fields
            .get(STATE.as_bytes())
            .filter(|json| json.get() != "null")
            .ok_or(BadReport::NoState)?;
        let state: String =
            serde_json::from_str(state.get()).map_err(|_| BadReport::UnknownState)?;
        let state = match &*state {
            ONLINE => State::Online,
            BUSY => State::Busy,
            PLAYING => State::Playing { game_id },
            OFFLINE => return Ok(Self::Withdrawn),
            _ => return Err(BadReport::UnknownState),
        };
        Ok(Self::Doing(Doing { state, details }))
    }

    /// What is done; none if it is withdrawn.
    pub fn into_doing(self) -> Option<Doing> {
        match self {
            Self::Doing(doing) => Some(doing),
            Self::Withdrawn => None,
        }
    }
}

/// A game's id, or null for none.
fn game_id(json: &RawValue) -> Result<Option<u64>, BadReport> {
    match json.get() {
        "null" => Ok(None),
        number => whole(number)
            .filter(|id| *id <= MAX_GAME_ID)
            .map(Some)
            .ok_or(BadReport::GameId),
    }
}

/// A user's own words, or null for none. No words are none, too.
fn details(json: &RawValue) -> Result<Option<Arc<str>>, BadReport> {
    let text: Option<Cow<'_, str>> =
        serde_json::from_str(json.get()).map_err(|_| BadReport::Details)?;
    match text {
        Some(text) if text.chars().count() > MAX_DETAILS || text.contains(char::is_control) => {
            Err(BadReport::Details)
        }
        Some(text) if !text.is_empty() => Ok(Some(Arc::from(&*text))),
        Some(_) | None => Ok(None),
    }
}

/// How deep a JSON text is nested: without recursion, because a stranger wrote it.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl fmt::Display for BadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the payload is missing: send an object with a state"),
            Self::NotAnObject => f.write_str("the payload must be an object with a state"),
            Self::Binary => f.write_str("the payload must be without binary data"),
            Self::TooDeep => write!(f, "the payload is nested deeper than {MAX_NESTING} levels"),
            Self::NoState => {
                f.write_str("state is missing: it must be ONLINE, BUSY, PLAYING or OFFLINE")
            }
            Self::UnknownState => f.write_str("state must be ONLINE, BUSY, PLAYING or OFFLINE"),
            Self::Details => write!(
                f,
                "details must be a text of at most {MAX_DETAILS} characters, none of them a control character"
            ),
            Self::GameId => write!(f, "game_id must be a whole number from 0 to {MAX_GAME_ID}"),
        }
    }
}

impl std::error::Error for BadReport {}
