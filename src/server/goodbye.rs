//! The goodbye to a client on long-polling that is sent away.

use super::{
    door::{Doorkeeper, Knock, Reply},
    polling,
};
use crate::engineio::{
    Dialect, Frame,
    outbound::{Delivery, Outbound},
};
use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::timeout;

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
    /// Answers the GET that waits, if one does, and those to come, but waits for none longer than `patience`. Other
    /// requests find the session gone. `held` is kept until then.
    pub(super) async fn say<T>(mut self, waiting: Option<Reply>, patience: Duration, held: T) {
        let said = async {
            let words = self.words(waiting.is_some());
            let goodbye = polling::payload(self.dialect, &[self.goodbye.clone()]);
            if words.is_empty() {
                let _gone = self.poll(waiting).await.send(goodbye);
                return;
            }
            let words = polling::payload(self.dialect, &words);
            let _gone = self.poll(waiting).await.send(words);
            // Whoever comes with something else now has been told, and takes leave itself.
            if let Knock::Poll(reply) = self.knock().await {
                let _gone = reply.send(goodbye);
            }
        };
        let _late = timeout(patience, said).await;
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

    /// The GET that waits, or the next.
    async fn poll(&mut self, waiting: Option<Reply>) -> Reply {
        if let Some(reply) = waiting {
            return reply;
        }
        loop {
            if let Knock::Poll(reply) = self.knock().await {
                return reply;
            }
        }
    }

    async fn knock(&mut self) -> Knock {
        poll_fn(|context| self.door.poll_knock(context)).await
    }
}
