//! The feed: the last changes as server-sent events, for those who read along without a socket.
//!
//! One ring serves those who are there and those who come back: whoever has read up to a change that is still in it
//! gets the next, everyone else gets a snapshot. A change becomes text when the first of them asks for it, once.

use super::{Hub, Published, ServerEvent};
use bytes::Bytes;
use serde::Serialize;
use std::{collections::VecDeque, fmt, str::FromStr, sync::Arc};
use tokio::sync::watch;

/// A place among all changes, of all lives of the server: `epoch-seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When this life began, in ms since 1970.
    pub epoch: u64,
    /// The number of the last change.
    pub seq: u64,
}

/// The last changes.
pub(super) struct Feed {
    epoch: u64,
    /// Without a gap, the oldest first.
    changes: VecDeque<Change>,
    /// How many are kept.
    capacity: usize,
    /// Wakes those who have read all.
    news: watch::Sender<()>,
}

struct Change {
    published: Published,
    /// None: nobody has asked for it yet.
    event: Option<Bytes>,
}

/// What follows a change.
pub(super) enum Next {
    /// This one.
    Event(Bytes),
    /// Nothing yet.
    Nothing,
    /// One that is not known any more.
    Forgotten,
}

/// Someone who reads along.
pub struct Reader {
    hub: Arc<Hub>,
    /// The last change that it knows of; none: it needs a snapshot.
    read: Option<u64>,
    news: watch::Receiver<()>,
}

impl Feed {
    pub(super) fn new(epoch: u64, capacity: usize) -> Self {
        Self {
            epoch,
            changes: VecDeque::new(),
            capacity,
            news: watch::Sender::new(()),
        }
    }

    pub(super) fn mark(&self, seq: u64) -> Mark {
        let epoch = self.epoch;
        Mark { epoch, seq }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Adds the change that follows the last.
    pub(super) fn push(&mut self, published: Published) {
        if self.changes.len() >= self.capacity {
            self.changes.pop_front();
        }
        self.changes.push_back(Change {
            published,
            event: None,
        });
        self.news.send_replace(());
    }

    /// The change that follows the one of this number, given the number of the last.
    pub(super) fn after(&mut self, read: u64, last: u64) -> Result<Next, serde_json::Error> {
        if read == last {
            return Ok(Next::Nothing);
        }
        let Some(oldest) = self.changes.front().map(|change| change.published.seq) else {
            return Ok(Next::Forgotten);
        };
        let place = (read + 1).checked_sub(oldest).map(usize::try_from);
        let Some(Ok(place)) = place else {
            return Ok(Next::Forgotten);
        };
        let epoch = self.epoch;
        let Some(change) = self.changes.get_mut(place) else {
            return Ok(Next::Forgotten);
        };
        let event = match change.event.take() {
            Some(event) => event,
            None => {
                let seq = change.published.seq;
                event(
                    ServerEvent::Activity,
                    Mark { epoch, seq },
                    &change.published,
                )?
            }
        };
        Ok(Next::Event(change.event.insert(event).clone()))
    }
}

impl Reader {
    /// One that has read up to `read`.
    pub(super) fn new(hub: Arc<Hub>, read: Option<u64>, news: watch::Receiver<()>) -> Self {
        Self { hub, read, news }
    }

    /// The next event, as text. Waits if there is none yet.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Bytes {
        loop {
            match self.hub.read_on(self.read) {
                Ok(Some((event, read))) => {
                    self.read = Some(read);
                    return event;
                }
                Ok(None) => {}
                Err(error) => log::error!("an event of our own has no form in JSON: {error}"),
            }
            // The hub holds the other end, and this holds the hub.
            if self.news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A server-sent event (HTML, 9.2). JSON is one line.
pub(super) fn event(
    event: ServerEvent,
    mark: Mark,
    data: &impl Serialize,
) -> Result<Bytes, serde_json::Error> {
    let mut text = format!("id: {mark}\nevent: {}\ndata: ", event.name()).into_bytes();
    serde_json::to_writer(&mut text, data)?;
    text.extend_from_slice(b"\n\n");
    Ok(text.into())
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

/// The text is no mark of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let (epoch, seq) = text.split_once('-').ok_or(NoMark)?;
        let epoch = epoch.parse().map_err(|_| NoMark)?;
        let seq = seq.parse().map_err(|_| NoMark)?;
        Ok(Self { epoch, seq })
    }
}
