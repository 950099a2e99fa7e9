//! The keeper: what outlives the server.
//!
//! Two small files beside that of the users: what everyone knew, so that a restart is a short loss for all, and when
//! each user was seen last. Neither is ever in the way: a file that cannot be read costs its history, and one that cannot
//! be written is tried again.

use super::{Activity, Claim, Doing, Hub, Report, clock};
use crate::{
    socketio::SocketId,
    users::{SideFile, UserFile, UserFileError, UserId},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    error::Error,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{join, task, time::sleep};

/// How often what is known is written down, if it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervals {
    /// How much of what was known is lost at most when the power is.
    pub activities: Duration,
    /// The same for when users were seen, and how old the other file may be, though it says what is so.
    pub last_seen: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            activities: Duration::from_secs(5),
            last_seen: Duration::from_secs(60),
        }
    }
}

/// Writes down what a hub knows, and reads it again.
pub struct Keeper {
    hub: Arc<Hub>,
    activities: Arc<Kept>,
    last_seen: Arc<Kept>,
    /// Nobody else writes there meanwhile.
    _claim: Claim,
}

/// A file, and what it says.
struct Kept {
    file: SideFile,
    /// What is lost if it cannot be read or written.
    what: &'static str,
    written: Mutex<Written>,
    /// Held while the file is written.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Written {
    text: Vec<u8>,
    /// Why it could not be written, as it was told: once.
    complaint: Option<String>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewrite {
    /// What the file does not say yet.
    Changed,
    /// Anything, so that the file's time says when it was so.
    Always,
}

/// The file of what everyone knew.
pub(super) const ACTIVITIES: &str = "activities";

impl Keeper {
    /// Tells `hub` when users were seen last, and no more: nothing is to happen any more, and nothing to be written.
    ///
    /// # Errors
    /// There is no place for such a file.
    pub fn remember(hub: &Hub, users: &UserFile) -> Result<(), UserFileError> {
        let last_seen = Kept::last_seen(users)?;
        hub.restore_last_seen(last_seen.read(parse_last_seen).unwrap_or_default());
        Ok(())
    }

    /// Tells `hub` what was written down beside the user file that `claim` is for.
    ///
    /// # Errors
    /// There is no place for such files.
    pub fn open(hub: Arc<Hub>, claim: Claim) -> Result<Self, UserFileError> {
        let users = claim.users();
        let keeper = Self {
            hub,
            activities: Kept::beside(users, ACTIVITIES, "who was online, busy or playing")?,
            last_seen: Kept::last_seen(users)?,
            _claim: claim,
        };
        let mut last_seen = keeper.last_seen.read(parse_last_seen).unwrap_or_default();
        let written = keeper.activities.file.written();
        if let Some(saved) = keeper.activities.read(parse_activities) {
            match written.filter(|written| keeper.is_long_ago(*written)) {
                None => keeper.hub.restore(saved),
                // Their grace was over long ago: nobody was there any more.
                Some(written) => {
                    let then = clock::ms(written);
                    for Activity { user_id, .. } in saved {
                        let seen = last_seen.entry(user_id).or_default();
                        *seen = then.max(*seen);
                    }
                }
            }
        }
        keeper.hub.restore_last_seen(last_seen);
        Ok(keeper)
    }

    /// Whether nobody who was there then can be there still. A server that was killed may have been there longer.
    fn is_long_ago(&self, written: SystemTime) -> bool {
        let longest = self.hub.grace() + Intervals::default().last_seen;
        written.elapsed().is_ok_and(|elapsed| elapsed > longest)
    }

    /// Writes down what changes, for as long as it is not dropped.
    pub async fn keep(&self, intervals: Intervals) {
        let activities = async {
            loop {
                sleep(intervals.activities).await;
                self.save_activities(Rewrite::Changed).await;
            }
        };
        let last_seen = async {
            loop {
                sleep(intervals.last_seen).await;
                self.save_last_seen().await;
                self.save_activities(Rewrite::Always).await;
            }
        };
        join!(activities, last_seen);
    }

    /// Writes down what is known now.
    pub async fn save(&self) {
        join!(self.save_activities(Rewrite::Always), self.save_last_seen());
    }

    async fn save_activities(&self, rewrite: Rewrite) {
        match self.hub.array() {
            Ok(array) => self.activities.write(array.get(), rewrite).await,
            Err(error) => log::error!("what is known has no form in JSON: {error}"),
        }
    }

    async fn save_last_seen(&self) {
        match serde_json::to_string(&self.hub.last_seen()) {
            Ok(text) => self.last_seen.write(&text, Rewrite::Changed).await,
            Err(error) => log::error!("when users were seen has no form in JSON: {error}"),
        }
    }
}

impl Kept {
    fn last_seen(users: &UserFile) -> Result<Arc<Self>, UserFileError> {
        Self::beside(users, "last-seen", "when users were seen last")
    }

    fn beside(
        users: &UserFile,
        name: &str,
        what: &'static str,
    ) -> Result<Arc<Self>, UserFileError> {
        Ok(Arc::new(Self {
            file: SideFile::beside(users, name)?,
            what,
            written: Mutex::default(),
            turn: Mutex::default(),
        }))
    }

    /// What the file says, if there is one, and it can be read.
    fn read<T>(&self, parse: impl FnOnce(&[u8]) -> Result<T, Box<dyn Error>>) -> Option<T> {
        let read = self.file.read().map_err(Box::from);
        let read = read.and_then(|text| match text {
            Some(text) => parse(&text).map(|said| Some((said, text))),
            None => Ok(None),
        });
        match read {
            Ok(read) => read.map(|(said, text)| {
                // One that others may read is written anew at the next occasion, and is private then.
                if self.file.is_private() {
                    self.lock().text = text;
                }
                said
            }),
            Err(error) => {
                let (path, what) = (self.file.path().display(), self.what);
                log::warn!("{path} cannot be used, so it is forgotten {what}: {error}");
                None
            }
        }
    }

    /// Makes the file say this.
    async fn write(self: &Arc<Self>, text: &str, rewrite: Rewrite) {
        // When nobody was there does not matter.
        let is_enough_once = rewrite == Rewrite::Changed || text == "[]";
        if is_enough_once && self.lock().text == text.as_bytes() {
            return;
        }
        let (kept, text) = (Arc::clone(self), text.as_bytes().to_vec());
        // The file may be on a disk that is slow.
        let written = task::spawn_blocking(move || kept.replace(text)).await;
        if let Err(error) = written {
            log::error!("a file was not written to its end: {error}");
        }
    }

    fn replace(&self, text: Vec<u8>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome: io::Result<()> = self.file.replace(&text);
        let mut written = self.lock();
        match outcome {
            Ok(()) => {
                if written.complaint.is_some() {
                    log::info!("{} is written again", self.file.path().display());
                }
                let complaint = None;
                *written = Written { text, complaint };
            }
            Err(error) => {
                let complaint = Some(error.to_string());
                if written.complaint != complaint {
                    let (path, what) = (self.file.path().display(), self.what);
                    let remedy = SideFile::remedy(&error);
                    log::warn!(
                        "{path} cannot be written, so a restart forgets {what}: {error}{remedy}. It is tried again \
                         until it can"
                    );
                    written.complaint = complaint;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        // What it holds is replaced as a whole.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an activity is beside a report.
#[derive(Deserialize)]
struct Rest {
    user_id: UserId,
    socket_id: String,
    since: u64,
}

fn parse_activities(text: &[u8]) -> Result<Vec<Activity>, Box<dyn Error>> {
    let saved: Vec<&RawValue> = serde_json::from_slice(text)?;
    saved.into_iter().map(parse_activity).collect()
}

fn parse_activity(json: &RawValue) -> Result<Activity, Box<dyn Error>> {
    let doing: Option<Doing> = Report::parse(Some(json))?.into_doing();
    let rest: Rest = serde_json::from_str(json.get())?;
    let socket_id = SocketId::parse(&rest.socket_id).ok_or("socket_id is none")?;
    Ok(Activity {
        user_id: rest.user_id,
        socket_id,
        doing,
        since: rest.since,
    })
}

fn parse_last_seen(text: &[u8]) -> Result<BTreeMap<UserId, u64>, Box<dyn Error>> {
    Ok(serde_json::from_slice(text)?)
}
