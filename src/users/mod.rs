//! Who may come in: users, their keys and passwords, and the directory that answers for them.
//!
//! In comes what a client presents (an API key, or a name and a password); out goes the [`User`] it
//! belongs to. The rest of the program asks through the [`Directory`] trait and never learns where
//! users are kept.
//!
//! # Layout
//!
//! * [`user`](User): one user as the program sees it, without secrets.
//! * [`key`](ApiKey): the API key and its digest, by which users are found.
//! * [`password`](PasswordHash): bcrypt, off the async threads.
//! * [`directory`](Directory): the questions the program asks.
//! * [`entry`](NoEntry): whether the owner of a key may come in.
//! * [`document`](Document): what the JSON user file says, and the changes that can be made to it
//!   ([`EditError`]: or not).
//! * [`record`](Record): one user of the file, and the rules for each field.
//! * [`user_file`](UserFile): reading it and replacing it atomically, one writer at a time
//!   ([`UserFileError`]: or not).
//! * `place`: how a file is replaced.
//! * [`side_file`](SideFile): what the server notes for itself beside it.
//! * `table`: a document made searchable.
//! * [`file_directory`](FileDirectory): the directory on a user file; it notices changes while
//!   the server runs.
//! * [`database`](open_database): the directory on GameVault's own database, in builds with the feature `sqlite` or
//!   `postgres`; in others `no_database` stands for it. [`database_place`](DatabasePlace) says where that is, and
//!   [`database_error`](DatabaseError) why it cannot be used.
//! * [`timestamp`](Timestamp): points in time as JSON has them.
//!
//! A leaf: nothing here imports another module of the crate.

#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    path = "no_database.rs"
)]
mod database;
mod database_error;
mod database_place;
mod directory;
mod document;
mod edit_error;
mod entry;
mod file_directory;
mod key;
mod password;
mod place;
mod record;
mod side_file;
mod table;
mod timestamp;
mod user;
mod user_file;
mod user_file_error;

pub use database::open_database;
pub use database_error::{DatabaseError, Trouble};
pub use database_place::{DatabasePlace, DatabaseTiming, PostgresPlace, PostgresTls};
pub use directory::{Directory, Following, Lookup, Readiness, Unavailable};
pub use document::{Broken, Document};
pub use edit_error::EditError;
pub use entry::NoEntry;
pub use file_directory::{CHECK_INTERVAL, FileDirectory};
pub use key::{ApiKey, KeyDigest, NoRandomness};
pub use password::{PasswordError, PasswordHash};
pub use record::Record;
pub use side_file::SideFile;
pub use timestamp::Timestamp;
pub use user::{MAX_USER_ID, Role, UnknownRole, User, UserId};
pub use user_file::{IfMissing, UserFile};
pub use user_file_error::UserFileError;
