//! A side file: what the server notes for itself beside the user file, `users.activities.json` beside `users.json`.
//!
//! It is replaced as the user file is: a reader finds the old one or the new one, whole. The user file has many writers,
//! who take turns; a side file has one, who holds the lock beside it from its start to its end.

use super::{
    UserFile, UserFileError,
    place::{self, PRIVATE_FILE, Place, Replace},
    user_file::MAX_FILE_BYTES,
};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    time::SystemTime,
};

/// One of the server's own files.
#[derive(Debug)]
pub struct SideFile {
    place: Place,
}

impl SideFile {
    /// The file for `what`, which need not exist, beside the user file. Does nothing yet.
    ///
    /// # Errors
    /// The user file's folder is not known, and cannot be made.
    pub fn beside(users: &UserFile, what: &str) -> Result<Self, UserFileError> {
        let place = users.place()?.beside(what);
        Ok(Self { place })
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.place.target
    }

    /// The lock of whoever writes it, not locked yet. Blocks.
    ///
    /// # Errors
    /// There is none, and none can be made.
    pub fn open_lock(&self) -> io::Result<File> {
        self.place.open_lock()
    }

    /// Whether only its owner may look at it, as with all that was written here. Blocks.
    pub fn is_private(&self) -> bool {
        let metadata = fs::metadata(self.path());
        metadata.is_ok_and(|metadata| metadata.mode() & 0o777 & !PRIVATE_FILE == 0)
    }

    /// What to do about an error of [`SideFile::replace`], behind its own text; empty where that says it all.
    pub fn remedy(error: &io::Error) -> &'static str {
        place::remedy(error)
    }

    /// When it was written; none: there is none, or nobody knows. Blocks.
    pub fn written(&self) -> Option<SystemTime> {
        fs::metadata(self.path()).ok()?.modified().ok()
    }

    /// What it says; none: there is none. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is larger than any that was written here.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let other = |text: &str| io::Error::new(ErrorKind::InvalidData, text);
        match fs::metadata(self.path()) {
            // Opening a pipe would wait for a writer.
            Ok(metadata) if !metadata.is_file() => return Err(other("it is not a file")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut text = Vec::new();
        File::open(self.path())?
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(other("it is too large"));
        }
        Ok(Some(text))
    }

    /// Makes it say this. Blocks.
    ///
    /// # Errors
    /// It cannot be replaced, and is as it was.
    pub fn replace(&self, text: &[u8]) -> io::Result<()> {
        self.place.write(text, Replace::Existing)
    }
}
