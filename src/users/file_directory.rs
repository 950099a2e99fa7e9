//! The directory that answers from a user file, and follows it while the server runs.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task;
use tokio::time::{MissedTickBehavior, interval};

use super::password::PasswordChecker;
use super::table::{Entry, Table};
use super::user_file::Version;
use super::{
    ApiKey, Directory, Following, KeyDigest, Lookup, User, UserFile, UserFileError, UserId,
};

/// How often the file is looked at. A change is in force well within the two seconds that are
/// promised, and a look costs one system call.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The users of a file, held in memory.
#[derive(Debug)]
pub struct FileDirectory {
    file: UserFile,
    /// Replaced as a whole by [`FileDirectory::watch`]; the lock is held for a moment and never
    /// across an await.
    current: RwLock<Arc<Snapshot>>,
    passwords: PasswordChecker,
}

/// What one version of the file said.
#[derive(Debug)]
struct Snapshot {
    table: Table,
    version: Version,
}

impl Snapshot {
    fn read(file: &UserFile) -> Result<Snapshot, UserFileError> {
        let (document, version) = file.read_version()?;
        Ok(Snapshot {
            table: Table::new(&document),
            version,
        })
    }
}

/// A version of the file that cannot be used, and why; told once.
#[derive(Debug, PartialEq)]
struct Problem {
    /// None when there is no file.
    version: Option<Version>,
    text: String,
}

impl FileDirectory {
    /// Reads the users. Blocks; for the start of the program.
    ///
    /// # Errors
    ///
    /// When there is no file, it cannot be read, or its content is broken.
    pub fn open(path: impl Into<PathBuf>) -> Result<FileDirectory, UserFileError> {
        let file = UserFile::new(path);
        let snapshot = Snapshot::read(&file)?;
        Ok(FileDirectory {
            file,
            current: RwLock::new(Arc::new(snapshot)),
            passwords: PasswordChecker::new(),
        })
    }

    /// Follows the file for ever. A new version takes the place of the old one as a whole, and
    /// `on_change` is called to look through the open sessions (see [`Directory::is_current`]).
    /// While the file is missing or broken the old users stay, and the log says why, once for each
    /// version.
    ///
    /// `on_change` is called once more at the next tick: a session that was admitted by the old
    /// users but was not yet among the open ones at the first call is there at the second.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the users stay as they are then.
    pub async fn watch(&self, on_change: impl Fn() + Send) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut call_again = false;
        // What the log was told last, while the file is bad.
        let mut complaint: Option<Problem> = None;
        loop {
            ticks.tick().await;
            let changed = match self.refresh().await {
                Ok(changed) => {
                    if complaint.take().is_some() || changed {
                        log::info!("the users are as {} says now", self.file.path().display());
                    }
                    changed
                }
                Err(problem) => {
                    if complaint.as_ref() != Some(&problem) {
                        log::error!(
                            "{}. The users stay as they were until the file is right again",
                            problem.text
                        );
                        complaint = Some(problem);
                    }
                    false
                }
            };
            if changed || call_again {
                on_change();
            }
            call_again = changed;
        }
    }

    /// Takes over a new version of the file; says whether there was one, or what is wrong with it.
    async fn refresh(&self) -> Result<bool, Problem> {
        let (file, known) = (self.file.clone(), self.snapshot().version);
        // The file may be on a disk that is slow, or on a network that is gone.
        let look = task::spawn_blocking(move || {
            let found = file.version().map_err(|error| Problem {
                version: None,
                text: error.to_string(),
            })?;
            if found == known {
                return Ok(None);
            }
            Snapshot::read(&file).map(Some).map_err(|error| Problem {
                version: Some(found),
                text: error.to_string(),
            })
        });
        let snapshot = match look.await {
            Ok(found) => found?,
            Err(error) => {
                return Err(Problem {
                    version: None,
                    text: format!("the user file was not read to its end: {error}"),
                });
            }
        };
        let changed = snapshot.is_some();
        if let Some(snapshot) = snapshot {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        }
        Ok(changed)
    }

    /// The users in force. A poisoned lock is none: whoever held it was only putting one pointer in
    /// the place of another.
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the users in force answer, at once.
    fn answer<T: Send + 'static>(&self, question: impl FnOnce(&Table) -> T) -> Lookup<'_, T> {
        let answer = question(&self.snapshot().table);
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl Directory for FileDirectory {
    fn by_key<'a>(&'a self, key: &'a str) -> Lookup<'a, Option<Arc<User>>> {
        // Only the digest is compared: how long that takes tells nothing about the key.
        let key = KeyDigest::of(key);
        self.answer(|table| table.by_key(key).map(|entry| Arc::clone(&entry.user)))
    }

    fn by_password<'a>(
        &'a self,
        username: &'a str,
        password: &'a str,
    ) -> Lookup<'a, Option<Arc<User>>> {
        Box::pin(async move {
            let found = |entry: &Entry| (Arc::clone(&entry.user), entry.password.clone());
            let (user, hash) = self.snapshot().table.by_name(username).map(found).unzip();
            let right = self.passwords.check(hash.flatten(), password).await?;
            Ok(user.filter(|_| right))
        })
    }

    fn by_id(&self, id: UserId) -> Lookup<'_, Option<Arc<User>>> {
        self.answer(|table| table.by_id(id).map(|entry| Arc::clone(&entry.user)))
    }

    fn all(&self) -> Lookup<'_, Vec<Arc<User>>> {
        self.answer(|table| table.users().cloned().collect())
    }

    fn api_key(&self, id: UserId) -> Lookup<'_, Option<ApiKey>> {
        self.answer(|table| table.by_id(id).map(|entry| entry.api_key.clone()))
    }

    fn key_of(&self, id: UserId) -> Option<KeyDigest> {
        let snapshot = self.snapshot();
        let user = &snapshot.table.by_id(id)?.user;
        user.may_enter().then_some(user.key_digest)
    }

    fn follow<'a>(
        &'a self,
        _others: &'a (dyn Fn() -> Vec<UserId> + Send + Sync),
        on_change: &'a (dyn Fn() + Send + Sync),
    ) -> Following<'a> {
        Box::pin(self.watch(on_change))
    }
}
