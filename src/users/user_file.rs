//! The user file on the disk: read whole, replaced atomically, one writer at a time.
//!
//! Readers need no lock: a file is only ever replaced by renaming a complete one over it. Writers
//! hold an advisory lock on a sibling, `users.json.lock`, from reading to renaming, so that command
//! lines at the same time lose nothing.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::place::{Place, Replace};
use super::{ApiKey, Document, Role, UserFileError};

/// A larger file is not read: at some 200 bytes a user this is 300,000 users, and more likely the
/// wrong file.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Symbolic links that are followed from the file's name to the file, as many as Linux follows.
const MAX_LINKS: usize = 40;

/// The mode of the folder: keys and password hashes are their owner's alone.
const PRIVATE_FOLDER: u32 = 0o700;

/// The name of the first user.
const ADMIN: &str = "admin";

/// Tells one version of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    modified: (i64, i64),
    bytes: u64,
    inode: u64,
    device: u64,
}

impl Version {
    fn of(metadata: &Metadata) -> Version {
        Version {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.len(),
            inode: metadata.ino(),
            device: metadata.dev(),
        }
    }
}

/// What [`UserFile::edit`] does when there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Starts with no users.
    Create,
    /// Fails with [`UserFileError::Missing`].
    Fail,
}

/// The user file of one name. Holds nothing open.
#[derive(Debug, Clone)]
pub struct UserFile {
    path: PathBuf,
}

impl UserFile {
    /// The file of this name, which need not exist. Does nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> UserFile {
        UserFile { path: path.into() }
    }

    /// The name, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the users. Blocks.
    ///
    /// # Errors
    ///
    /// When there is no file, it cannot be read, or its content is broken.
    pub fn read(&self) -> Result<Document, UserFileError> {
        self.read_version().map(|(document, _)| document)
    }

    /// The users, and which version of the file they are from. The version is taken before the
    /// content is read: should the file be changed in between, the next look finds another version,
    /// and it is read again.
    pub(super) fn read_version(&self) -> Result<(Document, Version), UserFileError> {
        let named = fs::metadata(&self.path).map_err(|error| self.failed("look at", error))?;
        if !named.is_file() {
            return Err(UserFileError::NotAFile {
                path: self.path.clone(),
            }); // opening a pipe would wait for a writer
        }
        let file = File::open(&self.path).map_err(|error| self.failed("open", error))?;
        let metadata = file
            .metadata()
            .map_err(|error| self.failed("look at", error))?;
        let mut text = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|error| self.failed("read", error))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(UserFileError::TooLarge {
                path: self.path.clone(),
            });
        }
        let document = Document::parse(&text).map_err(|broken| UserFileError::Broken {
            path: self.path.clone(),
            broken,
        })?;
        if metadata.mode() & 0o004 != 0 {
            log::warn!(
                "{path} can be read by every user of this machine, and has keys in it: chmod 600 {path}",
                path = self.path.display()
            );
        }
        Ok((document, Version::of(&metadata)))
    }

    /// Which version of the file there is now. Blocks for as long as the file system takes.
    pub(super) fn version(&self) -> Result<Version, UserFileError> {
        fs::metadata(&self.path)
            .map(|metadata| Version::of(&metadata))
            .map_err(|error| self.failed("look at", error))
    }

    /// Makes the file, and its folder, with one user: `admin`, an activated admin without a
    /// password. Returns its key.
    ///
    /// # Errors
    ///
    /// [`UserFileError::Exists`] when there is a file, even one that appeared a moment ago; it is
    /// left alone.
    pub fn create_with_admin(&self) -> Result<ApiKey, UserFileError> {
        let mut document = Document::default();
        let api_key = document
            .add(ADMIN, Role::Admin)
            .map_err(|error| UserFileError::NoAdmin {
                path: self.path.clone(),
                error,
            })?;
        let place = self.place()?;
        let _lock = self.lock(&place)?;
        if place.target.exists() {
            return Err(UserFileError::Exists {
                path: self.path.clone(),
            });
        }
        self.write(&place, &document, Replace::Never)?;
        Ok(api_key)
    }

    /// Reads the file, changes what it says and replaces it, alone among all that use this method.
    /// Writes nothing when nothing changes. Blocks, also for others' turn.
    ///
    /// # Errors
    ///
    /// Those of `change`, and when the file cannot be read or replaced: it is then as it was.
    pub fn edit<T, E: From<UserFileError>>(
        &self,
        if_missing: IfMissing,
        change: impl FnOnce(&mut Document) -> Result<T, E>,
    ) -> Result<T, E> {
        if if_missing == IfMissing::Fail {
            self.version()?; // before a lock file is made beside nothing
        }
        let place = self.place()?;
        let _lock = self.lock(&place)?;
        let before = match self.read() {
            Ok(document) => Some(document),
            Err(UserFileError::Missing { .. }) if if_missing == IfMissing::Create => None,
            Err(error) => return Err(error.into()),
        };
        let mut document = before.clone().unwrap_or_default();
        let answer = change(&mut document)?;
        match before {
            Some(before) if before == document => {}
            Some(_) => self.write(&place, &document, Replace::Existing)?,
            None => self.write(&place, &document, Replace::Never)?,
        }
        Ok(answer)
    }

    /// Finds where to write, and makes the folder.
    pub(super) fn place(&self) -> Result<Place, UserFileError> {
        let mut target = self.path.clone();
        for _ in 0..MAX_LINKS {
            match fs::read_link(&target) {
                // `join` with an absolute path is that path.
                Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
                Err(_) => break, // no link: the file itself, or nothing yet
            }
        }
        let name = target
            .file_name()
            .ok_or_else(|| UserFileError::NotAFile {
                path: self.path.clone(),
            })?
            .to_owned();
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_FOLDER)
            .create(&folder)
            .map_err(|error| self.failed("make the folder of", error))?;
        Ok(Place::new(folder, &name))
    }

    /// Waits until no other writer is at work. The lock ends with the file returned.
    fn lock(&self, place: &Place) -> Result<File, UserFileError> {
        let failed = |error| self.failed("lock", error);
        let file = place.open_lock().map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    fn write(
        &self,
        place: &Place,
        document: &Document,
        replace: Replace,
    ) -> Result<(), UserFileError> {
        let text = document.to_text().map_err(|broken| UserFileError::Broken {
            path: self.path.clone(),
            broken,
        })?;
        if let Err(error) = place.write(text.as_bytes(), replace) {
            return Err(match (error.kind(), replace) {
                (ErrorKind::AlreadyExists, Replace::Never) => UserFileError::Exists {
                    path: self.path.clone(),
                },
                _ => self.failed("write", error),
            });
        }
        place
            .make_durable()
            .map_err(|error| self.failed("make durable", error))
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> UserFileError {
        let path = self.path.clone();
        if error.kind() == ErrorKind::NotFound {
            UserFileError::Missing { path }
        } else {
            UserFileError::Io { path, doing, error }
        }
    }
}
