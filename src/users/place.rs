//! A place for a file that is read by some and replaced by others: whole, atomically, private.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::PathBuf;

/// The mode of what is written: keys and password hashes are their owner's alone.
pub(super) const PRIVATE_FILE: u32 = 0o600;

/// Where writing takes place: beside the file itself, which may be somewhere else than the symbolic
/// link that names it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) target: PathBuf,
    folder: PathBuf,
    /// What the content is written to before it takes the target's name. One name is enough, as
    /// there is only one writer at a time.
    draft: PathBuf,
    lock: PathBuf,
}

impl Place {
    /// For the file of this name in `folder`.
    pub(super) fn new(folder: PathBuf, name: &OsStr) -> Place {
        let sibling = |prefix: &str, suffix: &str| {
            let mut sibling = OsStr::new(prefix).to_owned();
            sibling.push(name);
            sibling.push(suffix);
            folder.join(sibling)
        };
        Place {
            target: folder.join(name),
            draft: sibling(".", ".new"),
            lock: sibling("", ".lock"),
            folder,
        }
    }

    /// For `users.WHAT.json` beside `users.json`.
    pub(super) fn beside(&self, what: &str) -> Place {
        let mut name = self.target.file_stem().unwrap_or_default().to_owned();
        name.push(format!(".{what}.json"));
        Place::new(self.folder.clone(), &name)
    }

    /// Gives the target this content. It survives a power failure after [`Place::make_durable`].
    pub(super) fn write(&self, text: &[u8], replace: Replace) -> io::Result<()> {
        let written = write_draft(self, text).and_then(|()| match replace {
            Replace::Existing => fs::rename(&self.draft, &self.target),
            Replace::Never => name_new(self),
        });
        if written.is_err() {
            // The draft is of no use to anybody; if it cannot be removed the next writer does.
            let _ = fs::remove_file(&self.draft);
        }
        written
    }

    /// The lock of those who write the target. It stays: removing it would let two lock two different files.
    ///
    /// Whoever has the server's account can put a link there, to a file that only root may write: so what is there
    /// already is not followed anywhere, and belongs to whom it did.
    pub(super) fn open_lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).mode(PRIVATE_FILE);
        match options.clone().create_new(true).open(&self.lock) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(new) => {
                self.give_to_owner(&new)?;
                return Ok(new);
            }
        }
        // A pipe would wait for a reader.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options
            .open(&self.lock)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ELOOP | libc::ENXIO) => self.no_lock(),
                _ => error,
            })?;
        let metadata = file.metadata()?;
        match metadata.is_file() && metadata.nlink() == 1 {
            true => Ok(file),
            false => Err(self.no_lock()),
        }
    }

    /// Something else has the lock's name.
    fn no_lock(&self) -> io::Error {
        io::Error::other(format!(
            "{} is a link, or no file: remove it, if nobody wants it there",
            self.lock.display()
        ))
    }

    /// The new name is in the folder; only after this does it survive a power failure.
    pub(super) fn make_durable(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    /// Gives a file that root has made to the owner of the user file, or of its folder. Otherwise
    /// `docker exec … rollcall users add` as root would lock out the server that runs as somebody else.
    pub(super) fn give_to_owner(&self, file: &File) -> io::Result<()> {
        let give = |owner: &Metadata| fchown(file, Some(owner.uid()), Some(owner.gid()));
        if file.metadata()?.uid() != 0 {
            return Ok(());
        }
        match fs::metadata(&self.target) {
            Ok(owner) if owner.uid() != 0 => give(&owner),
            Ok(_) => Ok(()),
            Err(_) => {
                let folder = fs::metadata(&self.folder)?;
                // In some containers even root may not; a file that is new may then as well be root's.
                if folder.uid() != 0 && give(&folder).is_err() {
                    log::warn!(
                        "{} belongs to root: the server must run as root to read it",
                        self.target.display()
                    );
                }
                Ok(())
            }
        }
    }
}

/// What to do about a file that cannot be written, behind what the system says; empty where that says it all.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ResourceBusy => " (a file mounted alone cannot be replaced: mount its folder)",
        ErrorKind::PermissionDenied => {
            ": it and its folder must belong to the user that runs the server (`chown`), or USERS_FILE must name another place"
        }
        ErrorKind::ReadOnlyFilesystem => {
            ": its folder must be one that can be written, such as a volume; mount one there, or let USERS_FILE name one"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            ": let USERS_FILE name a file in a folder"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => " (make room where its folder is)",
        ErrorKind::FileTooLarge => " (files must be allowed to be larger: ulimit -f)",
        _ => "",
    }
}

/// Whether the file to write is there already.
#[derive(Clone, Copy)]
pub(super) enum Replace {
    Existing,
    Never,
}

/// Writes and syncs the draft, private from its first moment.
fn write_draft(place: &Place, text: &[u8]) -> io::Result<()> {
    match fs::remove_file(&place.draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {} // whoever left it did not finish
    }
    let mut draft = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(PRIVATE_FILE)
        .open(&place.draft)?;
    place.give_to_owner(&draft)?;
    draft.write_all(text)?;
    draft.sync_all()
}

/// Gives the draft its name where no file has it, even if another program makes one just now.
fn name_new(place: &Place) -> io::Result<()> {
    match fs::hard_link(&place.draft, &place.target) {
        Ok(()) => fs::remove_file(&place.draft),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links. The lock keeps other Rollcalls away between this look
        // and the renaming.
        Err(_) if place.target.exists() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(&place.draft, &place.target),
    }
}
