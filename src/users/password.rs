//! Passwords: bcrypt, as GameVault has it, and never on an async thread.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use tokio::sync::Semaphore;
use tokio::task;

use super::Unavailable;

/// log2 of bcrypt's rounds for new hashes: GameVault's, some 50 ms of one core.
const COST: u32 = 10;

/// The greatest cost a stored hash may have. Each step doubles the time: at 14 one check takes
/// about a second, at 31 two days.
const MAX_COST: u32 = 14;

/// bcrypt reads so many bytes of a password and ignores the rest.
const MAX_PASSWORD_BYTES: usize = 72;

/// Passwords checked at the same time. Two leave the other cores of a small machine to the
/// sessions.
const CHECKS_AT_ONCE: usize = 2;

/// Passwords that are checked or wait for their turn. Later ones are turned away: at 20 checks a
/// second they would wait longer than a client does.
const CHECKS_WAITING: usize = 64;

/// What is checked for a user who has no password, or does not exist, so that the time does not
/// tell. Of cost [`COST`]; no password is known for it.
const NOBODYS_HASH: &str = "$2b$10$XKbxjpusjMI0P8zdgV8CaeP9VetB4pDqhZa9xNMNu.Ml0vpcH9Qre";

/// A bcrypt hash of a password. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a new password, with a new salt. Takes some 50 ms of CPU.
    ///
    /// # Errors
    ///
    /// For a password that bcrypt would not take whole.
    pub fn make(password: &str) -> Result<PasswordHash, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong {
                bytes: password.len(),
            });
        }
        if password.contains('\0') {
            return Err(PasswordError::Nul);
        }
        bcrypt::hash(password, COST)
            .map(PasswordHash)
            .map_err(|error| PasswordError::Hashing(error.to_string()))
    }

    /// Takes a hash as it is stored: `$2b$10$…`, 60 characters (`$2a$`, `$2x$` and `$2y$` too), of
    /// cost 4 to 14.
    pub fn parse(text: &str) -> Option<PasswordHash> {
        let parts = bcrypt::HashParts::from_str(text).ok()?;
        (4..=MAX_COST)
            .contains(&parts.get_cost())
            .then(|| PasswordHash(text.to_owned()))
    }

    /// Whether this is the password. Takes as long as [`PasswordHash::make`]. As everywhere with
    /// bcrypt, bytes after the 72nd do not count.
    pub fn matches(&self, password: &str) -> bool {
        // `parse` has seen the hash, so there is no error; were there one, the password would be
        // wrong.
        bcrypt::verify(password, &self.0).unwrap_or(false)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why a password was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordError {
    /// It has no characters.
    Empty,
    /// It is longer than bcrypt reads.
    TooLong {
        /// Its length in UTF-8.
        bytes: usize,
    },
    /// It contains the character U+0000, where other bcrypts stop reading.
    Nul,
    /// bcrypt itself failed.
    Hashing(String),
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::Empty => f.write_str("the password is empty; nothing was changed"),
            PasswordError::TooLong { bytes } => write!(
                f,
                "the password has {bytes} bytes, and bcrypt reads {MAX_PASSWORD_BYTES} at most; choose a shorter one"
            ),
            PasswordError::Nul => {
                f.write_str("the password contains the character U+0000; choose one without")
            }
            PasswordError::Hashing(reason) => write!(f, "the password cannot be hashed: {reason}"),
        }
    }
}

impl std::error::Error for PasswordError {}

/// Checks passwords on blocking threads, few at a time.
#[derive(Debug)]
pub(super) struct PasswordChecker {
    /// One permit for each check that runs. Its thread holds it, so an abandoned check still counts
    /// until it is over.
    running: Arc<Semaphore>,
    /// One permit for each check that runs or waits.
    waiting: Arc<Semaphore>,
}

impl PasswordChecker {
    pub(super) fn new() -> PasswordChecker {
        PasswordChecker {
            running: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(CHECKS_WAITING)),
        }
    }

    /// Whether `password` belongs to `hash`; without a hash it is checked just as long, and wrong.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the answer is lost; a check that has begun runs to its end and
    /// keeps its place until then.
    pub(super) async fn check(
        &self,
        hash: Option<PasswordHash>,
        password: &str,
    ) -> Result<bool, Unavailable> {
        let place = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| Unavailable::new("too many passwords are being checked at once"))?;
        let turn = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| Unavailable::new("passwords are no longer checked"))?;
        let password = password.to_owned();
        let check = task::spawn_blocking(move || {
            let known = hash.is_some();
            let matches = hash
                .unwrap_or_else(|| PasswordHash(NOBODYS_HASH.to_owned()))
                .matches(&password);
            drop((place, turn));
            known && matches
        });
        check
            .await
            .map_err(|error| Unavailable::new(format!("a password check did not end: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_for_nobody_costs_as_much_as_for_somebody() {
        let nobody = bcrypt::HashParts::from_str(NOBODYS_HASH);
        assert_eq!(nobody.ok().map(|hash| hash.get_cost()), Some(COST));
    }
}
