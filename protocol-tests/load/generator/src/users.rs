//! The users of a run, in files that every server reads.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Keys, and a folder for the files.
pub struct Users {
    folder: PathBuf,
    keys: Vec<String>,
    /// A file for each number of users, by that number.
    files: Vec<(usize, PathBuf)>,
}

impl Users {
    /// For servers with one of these `numbers` of users.
    pub fn new(folder: &Path, mut numbers: Vec<usize>) -> io::Result<Self> {
        numbers.sort_unstable();
        numbers.dedup();
        let keys: Vec<_> = (1..=numbers.last().copied().unwrap_or(1))
            .map(|id| format!("{id:064x}"))
            .collect();
        let mut files = Vec::new();
        for number in numbers {
            let of_their_own = folder.join(number.to_string());
            fs::create_dir_all(&of_their_own)?;
            let users: Vec<_> = keys.iter().take(number).enumerate().map(|(index, key)| {
                let id = index + 1;
                format!(r#"{{"id":{id},"username":"user{id}","api_key":"{key}","role":1,"activated":true,"deleted_at":null,"password":null}}"#)
            }).collect();
            let path = of_their_own.join("users.json");
            fs::write(&path, format!(r#"{{"users":[{}]}}"#, users.join(",")))?;
            // There are keys in it, and Rollcall would say so.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            files.push((number, path));
        }
        Ok(Self {
            folder: folder.to_owned(),
            keys,
            files,
        })
    }

    /// The file of so many.
    pub fn path(&self, number: usize) -> io::Result<&Path> {
        let (_, path) = self
            .files
            .iter()
            .find(|(users, _)| *users == number)
            .ok_or(io::ErrorKind::NotFound)?;
        // What a server has kept from the run before is not this one's.
        for kept in fs::read_dir(path.parent().unwrap_or(&self.folder))? {
            let kept = kept?.path();
            if kept != *path {
                fs::remove_file(kept)?;
            }
        }
        Ok(path)
    }

    /// The keys of the first so many.
    pub fn keys(&self, number: usize) -> &[String] {
        &self.keys[..number]
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}
