//! The directory on GameVault's database: asks it as seldom as may be, and does without it for a while.
//!
//! Whoever is connected is looked up again by one query for all, every [`DatabaseTiming::refresh`]; so what is known of
//! them is fresh, and nobody who comes back has to be asked for. Others are asked for when they come. One task, that of
//! [`Directory::follow`], notices that the database is back; while it is away nobody waits for it.

use super::super::password::PasswordChecker;
use super::super::user::MAX_USER_ID;
use super::super::{
    ApiKey, DatabaseError, DatabaseTiming, Directory, Following, KeyDigest, Lookup, Readiness,
    Unavailable, User, UserId,
};
use super::known::{Known, Who};
use super::question::Question;
use super::row::{Found, Row};
use super::source::Source;
use super::turns::{Turn, Turns};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    select,
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Keys in GameVault's column have no more characters.
const MAX_KEY_BYTES: usize = 64;

/// Names in GameVault's column have no more bytes, by far.
const MAX_NAME_BYTES: usize = 1024;

/// The users in a database.
pub(super) struct DatabaseDirectory<S> {
    source: S,
    turns: Turns,
    timing: DatabaseTiming,
    known: Mutex<Known>,
    /// None: the database answers. Written by whoever finds out otherwise, and cleared by [`Directory::follow`].
    away: Mutex<Option<Away>>,
    /// Wakes [`Directory::follow`] when the database does not answer any more.
    trouble: Notify,
    takes_socket_secret: AtomicBool,
    passwords: PasswordChecker,
}

/// The database does not answer.
#[derive(Clone)]
struct Away {
    since: Instant,
    error: DatabaseError,
}

impl<S: Source> DatabaseDirectory<S> {
    /// Connects. While that fails, tries again for as long as it may.
    pub(super) async fn open(source: S, timing: DatabaseTiming) -> Result<Self, DatabaseError> {
        let directory = Self {
            source,
            turns: Turns::new(S::AT_ONCE),
            known: Mutex::default(),
            away: Mutex::default(),
            trouble: Notify::new(),
            takes_socket_secret: AtomicBool::new(false),
            passwords: PasswordChecker::new(),
            timing,
        };
        let started = Instant::now();
        let mut pause = directory.timing.first_pause;
        let mut told = None;
        while let Err(error) = directory.connect().await {
            let left = directory.timing.wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(error);
            }
            if told.replace(error.trouble()) != Some(error.trouble()) {
                log::warn!("waiting up to {} s more. {error}", left.as_secs());
            }
            sleep(pause.min(left)).await;
            pause = directory.longer(pause);
        }
        log::info!("the users are those of {}", directory.source);
        Ok(directory)
    }

    /// Connects, and looks whether the users can be read.
    async fn connect(&self) -> Result<(), DatabaseError> {
        let patience = self.timing.patience;
        timeout(patience, self.source.connect())
            .await
            .unwrap_or_else(|_| Err(self.source.silence()))?;
        self.put(&self.turns.next().await, Question::Anyone, patience)
            .await
            .map(drop)
    }

    fn longer(&self, pause: Duration) -> Duration {
        (2 * pause).min(self.timing.max_pause)
    }

    /// Asks, and notes where the keys are. The time runs from here.
    async fn put(
        &self,
        _turn: &Turn<'_>,
        question: Question,
        patience: Duration,
    ) -> Result<Vec<Found>, DatabaseError> {
        let answer = timeout(patience, self.source.ask(question)).await;
        let answer = answer.unwrap_or_else(|_| Err(self.source.silence()))?;
        self.takes_socket_secret
            .store(answer.keys.is_old(), Ordering::Relaxed);
        Ok(answer.rows.into_iter().filter_map(Row::read).collect())
    }

    /// Asks for someone who waits, if there is anyone to ask. Who waits in vain for its turn says nothing of the database.
    async fn ask(&self, question: Question, patience: Duration) -> Result<Vec<Found>, Unavailable> {
        self.is_there()?;
        let turn = self.turns.soon(patience).await?;
        // It may have gone meanwhile.
        self.is_there()?;
        let answer = self.put(&turn, question, patience).await;
        answer.map_err(|error| {
            let unavailable = Unavailable::new(error.to_string());
            self.go_away(error);
            unavailable
        })
    }

    fn is_there(&self) -> Result<(), Unavailable> {
        match &*self.away() {
            Some(away) => Err(Unavailable::new(away.error.to_string())),
            None => Ok(()),
        }
    }

    /// The user of this key or id: by heart, or else by asking, or else as it was a while ago.
    async fn find(&self, who: Who, question: Question) -> Someone {
        let asked = Instant::now();
        if let Some(answer) = self.known().recall(asked, who, self.timing.fresh) {
            return Ok(answer);
        }
        match self.ask(question, self.timing.lookup).await {
            Ok(found) => {
                let mut known = self.known();
                let user = found.into_iter().next();
                let user = user.map(|found| known.learn(asked, found));
                if user.is_none() {
                    known.learn_absence(asked, who);
                }
                Ok(user)
            }
            Err(unavailable) => {
                let known = self.known().recall(Instant::now(), who, self.timing.stale);
                // That there was nobody then says nothing now.
                known.flatten().map(Some).ok_or(unavailable)
            }
        }
    }

    /// Looks up again all who are connected, by one query; says whether anyone may not go on.
    async fn refresh(&self, others: impl Fn() -> Vec<UserId>) -> Result<bool, DatabaseError> {
        if self.away().is_some() {
            self.connect().await?;
        }
        let asked = Instant::now();
        let keep = self.timing.stale.max(self.timing.fresh);
        let mut ids = self.known().held(asked, keep);
        ids.extend(others());
        ids.sort_unstable();
        ids.dedup();
        let found = self.look_up(&ids).await?;
        let mut known = self.known();
        known.learn_all(asked, &ids, found);
        Ok(known.take_news())
    }

    async fn look_up(&self, ids: &[UserId]) -> Result<Vec<Found>, DatabaseError> {
        let turn = self.turns.next().await;
        let put = |question| self.put(&turn, question, self.timing.patience);
        if ids.is_empty() {
            // Whether it is there is worth knowing, too.
            return put(Question::Anyone).await.map(|_| Vec::new());
        }
        let found = put(Question::These(ids.to_vec())).await?;
        // A table without any users is one that is being restored: nobody is turned out for that.
        if found.is_empty() && put(Question::Anyone).await?.is_empty() {
            return Err(self.source.emptiness());
        }
        Ok(found)
    }

    /// The database does not answer. Said once, and again if the trouble is another.
    fn go_away(&self, error: DatabaseError) {
        let mut away = self.away();
        match &*away {
            None => log::error!(
                "the database cannot be asked: whoever is connected stays, keys that were good in the last {} s are taken, \
                 and others get 503. {error}",
                self.timing.stale.as_secs()
            ),
            Some(before) if before.error.trouble() != error.trouble() => {
                log::warn!("the database still cannot be asked. {error}");
            }
            Some(_) => {}
        }
        let since = away.as_ref().map_or_else(Instant::now, |away| away.since);
        *away = Some(Away { since, error });
        drop(away);
        self.trouble.notify_one();
    }

    /// Says whether it was away.
    fn come_back(&self) -> bool {
        let away = self.away().take();
        if let Some(away) = &away {
            let seconds = away.since.elapsed().as_secs();
            log::info!("the database can be asked again, after {seconds} s");
        }
        away.is_some()
    }

    async fn keep_up(&self, others: impl Fn() -> Vec<UserId>, on_change: impl Fn()) {
        let mut ticks = interval(self.timing.refresh);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Of those who were here before the server, nobody may have been asked for yet.
        let mut call_again = true;
        let mut pause = self.timing.first_pause;
        loop {
            select! {
                _ = ticks.tick() => {}
                () = self.trouble.notified() => {}
                error = self.source.lost() => self.go_away(error),
            }
            match self.refresh(&others).await {
                Ok(has_changed) => {
                    // Of whom nothing was known any more, nobody can tell what has changed meanwhile.
                    let changed = self.come_back() || has_changed;
                    pause = self.timing.first_pause;
                    // Once more for a session that was being opened at the first call.
                    if changed || call_again {
                        on_change();
                    }
                    call_again = changed;
                }
                Err(error) => {
                    // Which wakes this very task again.
                    self.go_away(error);
                    sleep(pause).await;
                    pause = self.longer(pause);
                }
            }
        }
    }

    /// Nothing panics while the locks are held, and what they guard is whole between two calls.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer about one user.
type Someone = Result<Option<Arc<User>>, Unavailable>;

impl<S: Source> Directory for DatabaseDirectory<S> {
    fn by_key<'a>(&'a self, key: &'a str) -> Lookup<'a, Option<Arc<User>>> {
        Box::pin(async move {
            // Anything else is nobody's key, and no database is asked for it.
            let is_key = (1..=MAX_KEY_BYTES).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_key {
                return Ok(None);
            }
            let who = Who::Key(KeyDigest::of(key));
            let user = self.find(who, Question::Key(key.to_owned())).await?;
            // The database may compare in another way than we do.
            Ok(user.filter(|user| Who::Key(user.key_digest) == who))
        })
    }

    fn by_password<'a>(
        &'a self,
        username: &'a str,
        password: &'a str,
    ) -> Lookup<'a, Option<Arc<User>>> {
        Box::pin(async move {
            let asked = Instant::now();
            let is_name = username.len() <= MAX_NAME_BYTES && !username.contains('\0');
            let found = if is_name {
                let question = Question::Name(username.to_owned());
                self.ask(question, self.timing.lookup).await?
            } else {
                Vec::new()
            };
            let found = found.into_iter().next();
            let hash = found.as_ref().and_then(|found| found.password.clone());
            let is_right = self.passwords.check(hash, password).await?;
            let found = found.filter(|_| is_right);
            Ok(found.map(|found| self.known().learn(asked, found)))
        })
    }

    fn by_id(&self, id: UserId) -> Lookup<'_, Option<Arc<User>>> {
        Box::pin(async move {
            // Anyone may ask for any number.
            if id > MAX_USER_ID {
                return Ok(None);
            }
            self.find(Who::Id(id), Question::Id(id)).await
        })
    }

    fn all(&self) -> Lookup<'_, Vec<Arc<User>>> {
        Box::pin(async move {
            let found = self.ask(Question::All, self.timing.patience).await?;
            Ok(found
                .into_iter()
                .map(|found| Arc::new(found.user))
                .collect())
        })
    }

    fn api_key(&self, id: UserId) -> Lookup<'_, Option<ApiKey>> {
        Box::pin(async move {
            // Looks it up, if it has to be.
            self.by_id(id).await?;
            let keep = self.timing.stale.max(self.timing.fresh);
            let known = self.known().recall_key(Instant::now(), id, keep);
            Ok(known.flatten())
        })
    }

    fn key_of(&self, id: UserId) -> Option<KeyDigest> {
        self.known().key_of(id)
    }

    fn learn(&self, ids: Vec<UserId>) -> Lookup<'_, ()> {
        Box::pin(async move {
            let asked = Instant::now();
            let found = self.look_up(&ids).await;
            let found = found.map_err(|error| Unavailable::new(error.to_string()))?;
            self.known().learn_all(asked, &ids, found);
            Ok(())
        })
    }

    fn follow<'a>(
        &'a self,
        others: &'a (dyn Fn() -> Vec<UserId> + Send + Sync),
        on_change: &'a (dyn Fn() + Send + Sync),
    ) -> Following<'a> {
        Box::pin(self.keep_up(others, on_change))
    }

    fn readiness(&self) -> Readiness {
        match &*self.away() {
            None => Readiness::Ready,
            Some(away) => Readiness::Away {
                since: away.since,
                reason: away.error.to_string(),
            },
        }
    }

    fn takes_socket_secret(&self) -> bool {
        self.takes_socket_secret.load(Ordering::Relaxed)
    }
}
