//! Who does what, by what was told.

use crate::cli::output::harmless;
use crate::client::Object;

/// The most users that are kept in mind.
pub(super) const MAX_USERS: usize = 100_000;

/// The longest state, or details, that are kept, in characters.
const MAX_CHARS: usize = 256;

/// What was told of a user, fit to be printed. The state may be one that we do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) user_id: u64,
    pub(super) state: String,
    pub(super) game_id: Option<u64>,
    pub(super) details: Option<String>,
    /// In ms since 1970, if the server tells it.
    pub(super) since: Option<u64>,
}

impl Seen {
    /// Reads an activity; none: it is none.
    pub(super) fn read(json: &str) -> Option<Seen> {
        let json = Object::read(json)?;
        let text = |name| {
            let text: String = json.text(name)?.chars().take(MAX_CHARS).collect();
            Some(harmless(&text))
        };
        Some(Seen {
            user_id: json.number("user_id")?,
            state: text("state")?,
            game_id: json.number("game_id"),
            details: text("details"),
            since: json.number("since"),
        })
    }

    pub(super) fn is_offline(&self) -> bool {
        self.state == "OFFLINE"
    }

    /// Whether it says the same. When it began is no news.
    fn is_like(&self, other: &Seen) -> bool {
        (&self.state, self.game_id, &self.details) == (&other.state, other.game_id, &other.details)
    }
}

/// Names by id, in the order of ids.
pub(super) type Names = Vec<(u64, String)>;

/// All who are not offline, and all names.
#[derive(Default)]
pub(super) struct Roster {
    names: Names,
    /// In the order of ids.
    known: Vec<Seen>,
}

impl Roster {
    /// Takes the names that there are now.
    pub(super) fn name(&mut self, names: Names) {
        self.names = names;
    }

    /// A user's name, if it is known.
    pub(super) fn username(&self, user_id: u64) -> Option<&str> {
        let place = self.names.binary_search_by_key(&user_id, |(id, _)| *id);
        let (_, name) = self.names.get(place.ok()?)?;
        Some(name)
    }

    /// What a user is called here.
    pub(super) fn called(&self, user_id: u64) -> String {
        match self.username(user_id) {
            Some(name) => name.to_owned(),
            None => format!("user {user_id}"),
        }
    }

    /// Takes a snapshot; what it changes.
    pub(super) fn replace(&mut self, everyone: Vec<Seen>) -> Vec<Seen> {
        let mut told: Vec<u64> = everyone.iter().map(|seen| seen.user_id).collect();
        told.sort_unstable();
        // Whom it leaves out is gone.
        let mut changes = Vec::new();
        self.known.retain(|known| {
            let is_told = told.binary_search(&known.user_id).is_ok();
            if !is_told {
                changes.push(Seen {
                    user_id: known.user_id,
                    state: "OFFLINE".to_owned(),
                    game_id: None,
                    details: None,
                    since: None,
                });
            }
            is_told
        });
        for seen in everyone {
            changes.extend(self.apply(seen));
        }
        changes
    }

    /// Takes one activity; none: nothing is new.
    pub(super) fn apply(&mut self, seen: Seen) -> Option<Seen> {
        match place(&self.known, seen.user_id) {
            Ok(place) if seen.is_offline() => {
                self.known.remove(place);
                Some(seen)
            }
            Ok(place) => {
                let known = self.known.get_mut(place)?;
                let is_new = !known.is_like(&seen);
                *known = seen.clone();
                is_new.then_some(seen)
            }
            Err(place) if !seen.is_offline() && self.known.len() < MAX_USERS => {
                self.known.insert(place, seen.clone());
                Some(seen)
            }
            Err(_) => None,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The first `count` of them: those who play first, and then by name.
    pub(super) fn first(&self, count: usize) -> Vec<(String, &Seen)> {
        let mut first: Vec<(u8, String, &Seen)> = Vec::new();
        for seen in &self.known {
            let rank = match &*seen.state {
                "PLAYING" => 0,
                "BUSY" => 1,
                "ONLINE" => 2,
                _ => 3,
            };
            let name = self.called(seen.user_id);
            let place = first.partition_point(|(other, other_name, _)| {
                (*other, other_name.as_str()) <= (rank, name.as_str())
            });
            if place < count {
                first.truncate(count - 1);
                first.insert(place, (rank, name, seen));
            }
        }
        first
            .into_iter()
            .map(|(_, name, seen)| (name, seen))
            .collect()
    }
}

/// Where a user is among `known`, or would be.
fn place(known: &[Seen], user_id: u64) -> Result<usize, usize> {
    known.binary_search_by_key(&user_id, |seen| seen.user_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn seen(json: Value) -> Seen {
        Seen::read(&json.to_string()).unwrap_or_else(|| unreachable!("{json} is an activity"))
    }

    #[test]
    fn a_snapshot_tells_what_has_changed_meanwhile() {
        let mut roster = Roster::default();
        let alice = seen(json!({"user_id": 1, "state": "PLAYING", "game_id": 7, "since": 5}));
        let bob = seen(json!({"user_id": 2, "state": "BUSY"}));
        let both = roster.replace(vec![alice.clone(), bob.clone()]);
        assert_eq!(both, [alice.clone(), bob]);
        let later = Seen {
            since: Some(6),
            ..alice.clone()
        };
        assert_eq!(roster.apply(later), None, "only later");
        let carol = seen(json!({"user_id": 3, "state": "ONLINE", "details": "here"}));
        let changes = roster.replace(vec![alice, carol.clone()]);
        let gone = seen(json!({"user_id": 2, "state": "OFFLINE"}));
        assert_eq!(changes, [gone.clone(), carol]);
        assert_eq!(roster.apply(gone), None, "offline before");
    }

    #[test]
    fn what_is_no_activity_is_passed_over_and_what_a_terminal_would_obey_is_replaced() {
        for none in [
            json!(null),
            json!([]),
            json!({"user_id": -1, "state": "BUSY"}),
            json!({"user_id": 1}),
            json!({"user_id": "1", "state": "BUSY"}),
        ] {
            assert_eq!(Seen::read(&none.to_string()), None, "{none}");
        }
        let rude = seen(json!({
            "user_id": 1, "state": "BU\u{1b}[2JSY", "game_id": "x", "details": "a\tb\nc\u{202e}d\u{9b}e"
        }));
        assert_eq!(rude.state, "BU\u{fffd}[2JSY");
        let expected = "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e";
        assert_eq!(
            (rude.game_id, rude.details.as_deref()),
            (None, Some(expected))
        );
        let endless = seen(json!({"user_id": 1, "state": "x".repeat(1000)}));
        assert_eq!(endless.state.len(), MAX_CHARS);
    }

    #[test]
    fn those_who_play_come_first_and_then_it_goes_by_name() {
        let mut roster = Roster::default();
        roster.name(vec![(1, "zoe".to_owned()), (2, "anna".to_owned())]);
        for (user_id, state) in [
            (1, "ONLINE"),
            (2, "ONLINE"),
            (3, "PLAYING"),
            (4, "AWAY"),
            (5, "BUSY"),
        ] {
            roster.apply(seen(json!({"user_id": user_id, "state": state})));
        }
        let names: Vec<String> = roster.first(9).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["user 3", "user 5", "anna", "zoe", "user 4"]);
        let names: Vec<String> = roster.first(2).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            (names, roster.len()),
            (vec!["user 3".to_owned(), "user 5".to_owned()], 5)
        );
    }
}
