//! The transport: what a session is on.

use super::{
    Bounds, Limit, Meter,
    link::{Link, PutAside, Reading, Received},
    meter::Sent,
    polling::{BodyError, Gone, Polling, Posted},
    wire::Batch,
};
use crate::engineio::{
    CloseReason, Packet, Session,
    outbound::{Delivery, Outbound},
};
use hyper::StatusCode;
use std::{
    mem::{self, MaybeUninit},
    task::{Context, Poll},
    time::Instant,
};
use tokio_tungstenite::tungstenite::Error;

/// Small frames leave together in one call, gathered here: some hundred activities. That is more than one turn has by
/// default, so that the last frame of a turn has room as well.
const BATCH_BYTES: usize = 20 << 10;

/// What a session is on.
pub(super) enum Transport {
    Polling(Box<Polling>),
    /// With the POST that was under way when the session moved here.
    WebSocket(Link, Option<Box<Polling>>),
}

/// What came in.
pub(super) enum Arrival {
    /// On the WebSocket.
    Received(Received),
    /// The body of a POST is there, or will never be.
    Posted(Result<Posted, BodyError>),
    /// The client of the GET that waited has gone.
    PollAbandoned,
}

/// How far sending has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing waits for the client.
    Done,
    /// Others have their turn first; the task is woken.
    TurnOver,
    /// The client takes no more for now.
    Blocked,
}

/// What kept a transport from sending on.
pub(super) enum Stop {
    /// An order to close was next.
    Close(CloseReason),
    /// The client of the GET that was to be answered has gone.
    PollAbandoned,
    /// The connection broke.
    Failed(Error),
}

impl Transport {
    /// Its name in the protocol.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Polling(_) => "polling",
            Self::WebSocket(..) => "websocket",
        }
    }

    /// How many bytes the client has taken so far, where that can be told.
    pub(super) fn written(&self) -> Option<u64> {
        match self {
            Self::Polling(_) => None,
            Self::WebSocket(link, _) => Some(link.written()),
        }
    }

    /// Sends as much as the client takes, and as one may in one go.
    pub(super) fn poll_send(
        &mut self,
        session: &mut Session,
        outbound: &mut Outbound,
        bounds: &Bounds,
        meter: &Meter,
        context: &mut Context<'_>,
    ) -> Result<Progress, Stop> {
        let progress = match self {
            Self::Polling(polling) => send_by_answer(polling, session, outbound, meter, context),
            Self::WebSocket(link, _) => {
                send_on_link(link, session, outbound, bounds, meter, context)
            }
        }?;
        outbound.note_blocked(progress == Progress::Blocked);
        Ok(progress)
    }

    /// What the client says. One that is `too_far_behind` with taking what it is sent may not ask for more.
    pub(super) fn poll_arrival(
        &mut self,
        too_far_behind: bool,
        put_aside: &mut PutAside,
        bounds: &Bounds,
        reading: &mut Reading,
        context: &mut Context<'_>,
    ) -> Poll<Arrival> {
        match self {
            Self::Polling(polling) => match polling.poll_body(bounds.max_payload_bytes, context) {
                Poll::Ready(posted) => Poll::Ready(Arrival::Posted(posted)),
                Poll::Pending => polling
                    .poll_abandoned(context)
                    .map(|()| Arrival::PollAbandoned),
            },
            // First what was sent first.
            Self::WebSocket(_, Some(late)) => late
                .poll_body(bounds.max_payload_bytes, context)
                .map(Arrival::Posted),
            Self::WebSocket(link, None) => link
                .poll_message(
                    !too_far_behind,
                    put_aside,
                    bounds.max_put_aside_bytes,
                    reading,
                    context,
                )
                .map(Arrival::Received),
        }
    }

    /// Until `now` nothing was read.
    pub(super) fn handle_pause(&mut self, now: Instant) {
        if let Self::WebSocket(link, _) = self {
            link.handle_pause(now);
        }
    }

    /// Answers the POST that was under way.
    pub(super) fn finish_post(&mut self, status: StatusCode) {
        match self {
            Self::Polling(polling) => polling.finish_post(status),
            Self::WebSocket(_, late) => {
                if let Some(mut polling) = late.take() {
                    polling.finish_post(status);
                }
            }
        }
    }

    /// Goes on on a WebSocket (protocol, "Upgrade").
    pub(super) fn switch(&mut self, link: Link) {
        if let Self::Polling(mut polling) = mem::replace(self, Self::WebSocket(link, None)) {
            // A client that moves has no GET left; if it has, it shall not wait for ever.
            polling.answer_last(Packet::Noop.encode());
            if let Self::WebSocket(_, late) = self
                && polling.is_reading()
            {
                *late = Some(polling);
            }
        }
    }
}

fn send_by_answer(
    polling: &mut Polling,
    session: &mut Session,
    outbound: &mut Outbound,
    meter: &Meter,
    context: &mut Context<'_>,
) -> Result<Progress, Stop> {
    // Whoever has not taken one answer gets no other: what comes waits where it is shared, or counted.
    if outbound.has_held() {
        return Ok(Progress::Blocked);
    }
    let mut close = None;
    let answer = session.answer_poll(Instant::now(), || match outbound.poll_next(context) {
        Poll::Ready(Delivery::Frame(frame)) => Some(frame),
        Poll::Ready(Delivery::Close(reason)) => {
            close = Some(reason);
            None
        }
        Poll::Pending => None,
    });
    if let Some(frames) = answer {
        let mut sent = Sent::default();
        frames.iter().for_each(|frame| sent.note(frame));
        meter.note_sent(sent);
        polling
            .answer(&frames, outbound)
            .map_err(|Gone| Stop::PollAbandoned)?;
    }
    match close {
        Some(reason) => Err(Stop::Close(reason)),
        None if session.is_writable() => Ok(Progress::Done),
        None => Ok(Progress::Blocked),
    }
}

fn send_on_link(
    link: &mut Link,
    session: &mut Session,
    outbound: &mut Outbound,
    bounds: &Bounds,
    meter: &Meter,
    context: &mut Context<'_>,
) -> Result<Progress, Stop> {
    let mut room = [const { MaybeUninit::uninit() }; BATCH_BYTES];
    let mut batch = Batch::uninit(&mut room);
    let mut drained = false;
    let mut sent = Sent::default();
    while !drained && link.queued() + batch.filled().len() < bounds.write_batch_bytes.max(1) {
        // Not even a ping gets between frames that belong together.
        if !outbound.is_amid()
            && let Some(frame) = session.take_own()
        {
            sent.note(&frame);
            link.gather(&frame, &mut batch);
            continue;
        }
        match outbound.poll_next(context) {
            Poll::Ready(Delivery::Frame(frame)) => {
                sent.note(&frame);
                link.gather(&frame, &mut batch);
            }
            Poll::Ready(Delivery::Close(reason)) => {
                link.keep(&mut batch);
                return Err(Stop::Close(reason));
            }
            Poll::Pending => drained = true,
        }
    }
    if !sent.is_nothing() {
        meter.note_sent(sent);
    }
    if !drained {
        bounds.note(Limit::WriteBatchBytes);
    }
    match link.poll_send(&mut batch, context) {
        Poll::Ready(Ok(())) if drained => Ok(Progress::Done),
        Poll::Ready(Ok(())) => {
            context.waker().wake_by_ref();
            Ok(Progress::TurnOver)
        }
        Poll::Ready(Err(error)) => Err(Stop::Failed(error)),
        Poll::Pending => Ok(Progress::Blocked),
    }
}
