//! The goodbye to a client on long-polling: to one that is sent away, and to one that leaves.

use super::{
    Bounds, Limit,
    door::{Doorkeeper, Knock, Reply},
    polling::{self, Polling},
};
use crate::engineio::{
    Dialect, Frame,
    outbound::{Delivery, Outbound},
};
use hyper::StatusCode;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::timeout;

/// How long a client that leaves may take to come with its last GET. It has been sent already, if there is one.
const LAST_POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// Sees off a client that leaves by a POST without having a GET that waits. It may have sent both at the same moment, on
/// two connections, and then the GET gets its answer, too. `held` is kept until then: whoever waits for the `ok` before
/// it asks again finds the session gone.
pub(super) async fn see_off<T>(
    mut polling: Box<Polling>,
    door: Doorkeeper,
    goodbye: Frame,
    held: T,
) {
    if let Ok(reply) = timeout(LAST_POLL_TIMEOUT, next_poll(&door)).await {
        polling.hold(reply);
        polling.answer_last(goodbye);
    }
    drop((door, held));
    polling.finish_post(StatusCode::OK);
}

/// What a client is still to be told before the session is gone.
///
/// The last words and the close packet go out in answers of their own, as the reference's do: official clients of
/// version 4 put off what Socket.IO says until the whole answer is read, and forget it if the session is closed by then.
pub(super) struct Goodbye {
    pub(super) door: Doorkeeper,
    pub(super) dialect: Dialect,
    /// What was said before.
    pub(super) outbound: Outbound,
    pub(super) last_words: Vec<Frame>,
    /// The close packet.
    pub(super) goodbye: Frame,
}

impl Goodbye {
    /// Answers the GET that waits, if one does, and those to come, but waits for none longer than it may. Other
    /// requests find the session gone. `held` is kept until then.
    pub(super) async fn say<T>(mut self, waiting: Option<Reply>, bounds: Arc<Bounds>, held: T) {
        let said = async {
            let words = self.words(waiting.is_some());
            let goodbye = polling::payload(self.dialect, &[self.goodbye.clone()]);
            if words.is_empty() {
                let _gone = poll(&self.door, waiting).await.send(goodbye);
                return;
            }
            let words = polling::payload(self.dialect, &words);
            let _gone = poll(&self.door, waiting).await.send(words);
            // Whoever comes with something else now has been told, and takes leave itself.
            if let Knock::Poll(reply) = next_knock(&self.door).await {
                let _gone = reply.send(goodbye);
            }
        };
        if timeout(bounds.goodbye_timeout, said).await.is_err() {
            bounds.note(Limit::GoodbyeTimeout);
        }
        drop(held);
    }

    /// All that is to be said before the close packet. A GET that waits has taken what was said before.
    fn words(&mut self, is_waiting: bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while !is_waiting
            && let Poll::Ready(Delivery::Frame(frame)) = self.outbound.poll_next(&mut context)
        {
            frames.push(frame);
        }
        frames.append(&mut self.last_words);
        frames
    }
}

/// The GET that waits, or the next.
async fn poll(door: &Doorkeeper, waiting: Option<Reply>) -> Reply {
    match waiting {
        Some(reply) => reply,
        None => next_poll(door).await,
    }
}

/// The next GET. Other requests find the session gone.
async fn next_poll(door: &Doorkeeper) -> Reply {
    loop {
        if let Knock::Poll(reply) = next_knock(door).await {
            return reply;
        }
    }
}

async fn next_knock(door: &Doorkeeper) -> Knock {
    let (_came, knock) = poll_fn(|context| door.poll_knock(context)).await;
    knock
}
