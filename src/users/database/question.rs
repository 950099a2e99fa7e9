//! A question to the database, as SQL. Every statement is made here, and each is a `SELECT`.

use super::super::UserId;

/// GameVault's table of users.
pub(super) const TABLE: &str = "gamevault_user";

/// The columns that are read beside the key.
pub(super) const COLUMNS: [&str; 6] = [
    "id",
    "username",
    "role",
    "activated",
    "deleted_at",
    "password",
];

/// The key's column in GameVault 15 and later, and before.
pub(super) const KEY_COLUMNS: [&str; 2] = ["api_key", "socket_secret"];

/// More users are not listed.
const MAX_LISTED: u32 = 100_000;

/// Where the keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyColumn {
    /// GameVault 15 and later.
    ApiKey,
    /// GameVault up to 14.
    SocketSecret,
    /// A database between the two: the new column counts where it has a value.
    Both,
}

/// What is asked.
#[derive(Clone)]
pub(super) enum Question {
    /// The user of this key.
    Key(String),
    /// The user of this id.
    Id(UserId),
    /// The user of this name, with its password: an existing one before removed ones, and the one who writes it just so
    /// before those in another case.
    Name(String),
    /// The users of these ids.
    These(Vec<UserId>),
    /// All users.
    All,
    /// Any user: whether there are users, and whether they can be read.
    Anyone,
}

impl KeyColumn {
    /// Where the keys are in a table with these columns; none: there is no column for them.
    pub(super) fn of(has: impl Fn(&str) -> bool) -> Option<KeyColumn> {
        match KEY_COLUMNS.map(has) {
            [true, true] => Some(KeyColumn::Both),
            [true, false] => Some(KeyColumn::ApiKey),
            [false, true] => Some(KeyColumn::SocketSecret),
            [false, false] => None,
        }
    }

    /// Whether the database may be of a GameVault whose clients send `X-Socket-Secret`.
    pub(super) fn is_old(self) -> bool {
        self != KeyColumn::ApiKey
    }

    fn value(self) -> &'static str {
        match self {
            KeyColumn::ApiKey => "api_key",
            KeyColumn::SocketSecret => "socket_secret",
            KeyColumn::Both => "COALESCE(api_key, socket_secret)",
        }
    }

    /// In a form for which there is an index.
    fn is_asked_for(self) -> &'static str {
        match self {
            KeyColumn::ApiKey => "api_key = $1",
            KeyColumn::SocketSecret => "socket_secret = $1",
            KeyColumn::Both => "(api_key = $1 OR (api_key IS NULL AND socket_secret = $1))",
        }
    }
}

impl Question {
    /// The statement, with `$1` for what is asked, if that is anything. `is_among` is how the engine says that an id is
    /// in the list `$1`. Everything is cast to what all engines have.
    pub(super) fn sql(&self, keys: KeyColumn, is_among: &str) -> String {
        let password = match self {
            Question::Name(_) => "password",
            _ => "NULL",
        };
        let key = keys.value();
        let which = match self {
            Question::Key(_) => format!("WHERE {}", keys.is_asked_for()),
            Question::Id(_) => "WHERE id = $1".to_owned(),
            Question::Name(_) => "WHERE lower(username) = lower($1) \
                ORDER BY deleted_at IS NOT NULL, username <> $1, id LIMIT 1"
                .to_owned(),
            Question::These(_) => format!("WHERE {is_among}"),
            Question::All => format!("ORDER BY id LIMIT {MAX_LISTED}"),
            Question::Anyone => "LIMIT 1".to_owned(),
        };
        format!(
            "SELECT CAST(id AS BIGINT), CAST(username AS TEXT), CAST(role AS TEXT), \
             CAST(CAST(activated AS INTEGER) AS BIGINT), CAST(deleted_at AS TEXT), \
             CAST({key} AS TEXT), CAST({password} AS TEXT) FROM {TABLE} {which}"
        )
    }
}
