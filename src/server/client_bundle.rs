//! The client bundle: the official JavaScript client, for web pages to load from the server that they speak to.
//!
//! It is the operator's, who installs `socket.io-client`; nothing of it is ours. The files are read when the server
//! starts: then a request reaches no file system whatever it says, the contents belong to the version that their tag
//! names although the package may be replaced meanwhile, and a stranger who asks for them ten thousand times and reads
//! nothing holds ten thousand references to one copy. That costs 1.2 MB, and 0.4 MB for each way to compress that is
//! asked for.

use super::{Answer, Asset, Limits};
use hyper::{Request, header::HeaderValue};
use serde::Deserialize;
use std::{
    error::Error,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// All that there may be, by the names that the official server knows.
const NAMES: [&str; 8] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

/// The JavaScript client, as it is served beside a Socket.IO endpoint.
#[derive(Debug)]
pub struct ClientBundle {
    version: String,
    /// By name; the version is their tag.
    files: Vec<(&'static str, Asset)>,
}

/// The part of a `package.json` that counts.
#[derive(Deserialize)]
struct Package {
    version: String,
}

impl ClientBundle {
    /// Reads the bundle from `folder`, which is the `dist` of an installed npm package `socket.io-client`: the package's
    /// version is looked up beside it.
    ///
    /// # Errors
    /// There is no bundle, or not all of it can be read.
    pub fn read(folder: &Path) -> Result<Self, ClientBundleError> {
        let unreadable = |path: &Path, error| ClientBundleError::Unreadable {
            path: path.to_owned(),
            error,
        };
        // A file that is missing is told from a folder that is.
        fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
        let mut files = Vec::new();
        for name in NAMES {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(content) => files.push((name, content)),
                // Not every version has them all.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, error)),
            }
        }
        if files.is_empty() {
            return Err(ClientBundleError::Empty {
                folder: folder.to_owned(),
            });
        }
        let path = folder.join("../package.json");
        let package = fs::read(&path).map_err(|error| unreadable(&path, error))?;
        let version = serde_json::from_slice(&package).map(|package: Package| package.version);
        let tagged = version
            .ok()
            .and_then(|version| Some((tag(&version)?, version)));
        let (tag, version) = tagged.ok_or(ClientBundleError::NoVersion { path })?;
        let asset = |(name, content)| {
            let asset = Asset::new(content_type(name), content, tag.clone());
            (name, asset)
        };
        Ok(Self {
            files: files.into_iter().map(asset).collect(),
            version,
        })
    }

    /// The package's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The names of the files.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    /// Answers a request for the file `name`, which is what follows the endpoint's path. `None`: there is no such file.
    pub fn answer<B>(&self, name: &str, request: &Request<B>, limits: &Limits) -> Option<Answer> {
        let mut files = self.files.iter();
        let (_, asset) = files.find(|(its, _)| *its == name)?;
        Some(asset.answer(request, limits.compress_from_bytes))
    }
}

/// The official server's.
fn content_type(name: &str) -> &'static str {
    if name.ends_with(".map") {
        "application/json; charset=utf-8"
    } else {
        "application/javascript; charset=utf-8"
    }
}

/// The tag of a version that can stand in one, in a list of tags, too.
fn tag(version: &str) -> Option<HeaderValue> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b',';
    let is_version = !version.is_empty() && version.bytes().all(is_plain);
    HeaderValue::from_str(&format!("\"{version}\""))
        .ok()
        .filter(|_| is_version)
}

/// Why there is no client bundle to serve.
#[derive(Debug)]
pub enum ClientBundleError {
    /// The folder, or a file of it, cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder has none of the bundle's files.
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// The package does not say its version.
    NoVersion {
        /// Where it should be said.
        path: PathBuf,
    },
}

impl fmt::Display for ClientBundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(
                    f,
                    "{:?} cannot be read: {error}",
                    path.display().to_string()
                )
            }
            Self::Empty { folder } => write!(
                f,
                "there is no socket.io.js in {:?}, nor another file of the client",
                folder.display().to_string()
            ),
            Self::NoVersion { path } => {
                write!(f, "{:?} does not say a version", path.display().to_string())
            }
        }?;
        f.write_str("; name the folder `dist` of an installed npm package socket.io-client")
    }
}

impl Error for ClientBundleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            Self::Empty { .. } | Self::NoVersion { .. } => None,
        }
    }
}
