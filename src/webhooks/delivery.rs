//! The delivery: from the hub to the target.

use super::{
    Pace, TlsError,
    queue::{Next, Queue, Waiting},
    target::{Message, Target},
    verdict::{Failure, Reason},
};
use crate::{
    config::{Secret, WebUrl},
    presence::{Now, Observer, Published},
};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    select,
    sync::Notify,
    time::{sleep, sleep_until, timeout},
};

/// Tells another server of each change. The hub leaves a change here in no time; a task of its own delivers one after
/// another.
pub struct Webhooks {
    state: Mutex<State>,
    /// Something waits that did not.
    more: Notify,
    /// It is not the time to be patient.
    hurry: Notify,
    /// Nothing waits any more.
    done: Notify,
    pace: Pace,
    /// When it began, in ms since 1970: `seq` begins anew with the server, a message's id must not.
    epoch: u64,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// One is being delivered.
    is_under_way: bool,
}

/// How the target has been of late.
#[derive(Default)]
struct Health {
    failures: u32,
    /// What the log says of it.
    reason: Option<String>,
}

impl Webhooks {
    /// From now on delivers to `url` what it is told, signed if there is a secret.
    ///
    /// # Errors
    /// The URL says https, and that is impossible.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(url: &WebUrl, secret: Option<&Secret>, pace: Pace) -> Result<Arc<Self>, TlsError> {
        let target = Target::new(url.clone(), secret.cloned(), pace.clone())?;
        let webhooks = Arc::new(Self {
            state: Mutex::default(),
            more: Notify::new(),
            hurry: Notify::new(),
            done: Notify::new(),
            pace,
            epoch: Now::of_the_system().ms,
        });
        tokio::spawn(Arc::clone(&webhooks).deliver(target));
        Ok(webhooks)
    }

    /// How many users have a state that waits.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Cuts the pauses between tries short, once.
    pub fn hurry(&self) {
        self.lock().queue.hurry();
        self.hurry.notify_one();
    }

    /// Returns when all is delivered or `patience` is over, whichever is first. Pauses between tries are cut short once.
    pub async fn finish(&self, patience: Duration) {
        if self.lock().is_done() {
            return;
        }
        log::debug!("waiting for the webhook's target");
        self.hurry();
        let finished = async {
            loop {
                let done = self.done.notified();
                if self.lock().is_done() {
                    return;
                }
                done.await;
            }
        };
        if timeout(patience, finished).await.is_err() {
            log::warn!("not all changes were delivered to the webhook's target in time");
        }
    }

    async fn deliver(self: Arc<Self>, mut target: Target) {
        let mut health = Health::default();
        loop {
            let waiting = self.next().await;
            let outcome = match self.message(&waiting.published) {
                Ok(message) => target.post(&message).await,
                // It is made of our own types.
                Err(error) => {
                    log::error!("a change has no form in JSON: {error}");
                    Ok(())
                }
            };
            match outcome {
                Ok(()) => {
                    health.is_good(&target);
                    self.settle(None);
                }
                Err(Failure::GivenUp(status)) => {
                    let Published { activity, seq } = &waiting.published;
                    let user_id = activity.user_id;
                    health.is_good(&target);
                    log::warn!(
                        "{target} answered {status} to change {seq}, of user {user_id}: it is not sent again"
                    );
                    self.settle(None);
                }
                Err(Failure::Later {
                    reason,
                    retry_after,
                }) => {
                    health.is_bad(&target, &reason);
                    let pause = self.postpone(waiting, &health, retry_after);
                    select! {
                        () = sleep(pause) => {}
                        () = self.hurry.notified() => {}
                    }
                }
            }
        }
    }

    /// Waits until there is something to deliver.
    async fn next(&self) -> Waiting {
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.queue.next(Instant::now());
                state.is_under_way = matches!(next, Next::Deliver(_));
                next
            };
            match next {
                Next::Deliver(waiting) => return waiting,
                Next::At(at) => select! {
                    () = sleep_until(at.into()) => {}
                    () = self.more.notified() => {}
                    () = self.hurry.notified() => {}
                },
                Next::Nothing => self.more.notified().await,
            }
        }
    }

    fn message(&self, published: &Published) -> serde_json::Result<Message> {
        Ok(Message {
            id: format!("{}-{}", self.epoch, published.seq),
            timestamp: Now::of_the_system().ms / 1000,
            body: Bytes::from(serde_json::to_vec(published)?),
        })
    }

    /// Leaves it for later; how long to leave the target alone.
    fn postpone(
        &self,
        mut failed: Waiting,
        health: &Health,
        retry_after: Option<Duration>,
    ) -> Duration {
        // Without random numbers it is only less polite.
        let random = getrandom::u32().unwrap_or_default();
        failed.failures = failed.failures.saturating_add(1);
        let wanted = retry_after.map(|wanted| wanted.min(self.pace.max_retry_after));
        let after = |failures| wanted.unwrap_or_else(|| self.pace.pause(failures, random));
        failed.not_before = Instant::now().checked_add(after(failed.failures));
        self.settle(Some(failed));
        after(health.failures)
    }

    /// One is no longer under way.
    fn settle(&self, failed: Option<Waiting>) {
        let mut state = self.lock();
        state.is_under_way = false;
        if let Some(failed) = failed {
            state.queue.put_back(failed);
        }
        if state.is_done() {
            self.done.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could leave the queue half changed panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Webhooks {
    fn on_published(&self, published: &Published) {
        self.lock().queue.put(published.clone());
        self.more.notify_one();
    }
}

impl State {
    fn is_done(&self) -> bool {
        !self.is_under_way && self.queue.len() == 0
    }
}

impl Health {
    fn is_good(&mut self, target: &Target) {
        if self.failures > 0 {
            log::info!("{target} takes changes again");
        }
        *self = Self::default();
    }

    /// Says so once, and again when it is for another reason.
    fn is_bad(&mut self, target: &Target, reason: &Reason) {
        self.failures = self.failures.saturating_add(1);
        let reason = reason.to_string();
        if self.reason.as_ref() != Some(&reason) {
            log::warn!("{target} took no change: {reason}; trying again until it does");
        }
        self.reason = Some(reason);
    }
}
