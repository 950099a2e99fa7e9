//! The snapshot: all that is known, as text.

use super::{Place, Roster, ServerEvent};
use crate::{
    engineio::{
        Frame,
        outbound::{Moment, Topic},
    },
    socketio::{EncodeError, encode},
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;

/// All activities, encoded.
pub(super) struct Snapshot {
    /// The array, for an ack, and for REST.
    pub(super) array: Arc<RawValue>,
    /// The `activities` event, as those know it who know nothing of `watch`.
    pub(super) plain: Frame,
    /// The same with its place among the changes, for those who watch.
    pub(super) placed: Frame,
    /// The same as a server-sent event; none: nobody has asked for it yet.
    pub(super) event: Option<Bytes>,
}

/// What was known at a moment, as an `activities` event.
///
/// Where all lag behind, each at another time, a fresh one each would be as many in memory. So they share one for as long
/// as its moment is recent, and the changes since follow it, which are less than half as much as another one.
pub(super) struct Opening {
    pub(super) moment: Moment,
    /// The number of the last change then.
    pub(super) seq: u64,
    pub(super) plain: Frame,
    pub(super) placed: Frame,
}

/// About what an `activity` event takes, in bytes.
const EVENT_BYTES: usize = 100;

impl Snapshot {
    pub(super) fn of(roster: &Roster) -> Result<Self, EncodeError> {
        let activities: Vec<_> = roster.activities().collect();
        let array: Arc<RawValue> = serde_json::value::to_raw_value(&activities)?.into();
        let place = Place { seq: roster.seq() };
        let name = ServerEvent::Activities.name();
        Ok(Self {
            plain: encode::event("/", name, (&*array,))?.into_frame()?,
            placed: encode::event("/", name, (&*array, place))?.into_frame()?,
            array,
            event: None,
        })
    }
}

impl Opening {
    /// Whether to begin with it and with what `topic` has brought since is a short cut to the change with this number.
    pub(super) fn is_recent(&self, topic: &Topic, seq: u64) -> bool {
        let since = usize::try_from(seq.saturating_sub(self.seq)).unwrap_or(usize::MAX);
        topic.is_recent(self.moment)
            && since.saturating_mul(2 * EVENT_BYTES) <= self.plain.bytes().len()
    }
}
