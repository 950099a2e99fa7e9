//! The goodbye to a client on long-polling that has no GET open.

use super::{
    door::{Doorkeeper, Knock},
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

/// What a client is still to be told, at its next GET, before the session is gone.
pub(super) struct Goodbye {
    pub(super) door: Doorkeeper,
    pub(super) dialect: Dialect,
    /// What was said before.
    pub(super) outbound: Outbound,
    /// The last words.
    pub(super) last: Vec<Frame>,
}

impl Goodbye {
    /// Waits for a GET, but not longer than `patience`. Other requests find the session gone. `held` is kept
    /// until then.
    pub(super) async fn say<T>(mut self, patience: Duration, held: T) {
        let poll = async {
            loop {
                if let Knock::Poll(reply) = poll_fn(|context| self.door.poll_knock(context)).await {
                    return reply;
                }
            }
        };
        if let Ok(reply) = timeout(patience, poll).await {
            let mut frames = Vec::new();
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Delivery::Frame(frame)) = self.outbound.poll_next(&mut context) {
                frames.push(frame);
            }
            frames.append(&mut self.last);
            let _gone = reply.send(polling::payload(self.dialect, &frames));
        }
        drop(held);
    }
}
