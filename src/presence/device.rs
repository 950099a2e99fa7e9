//! A device: one of the places where a user's activity comes from.

use super::Doing;
use crate::socketio::SocketId;
use std::time::Instant;

/// A socket, one that was lost a moment ago, or a lease.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) holder: Holder,
    /// Boxed, because many sockets never say anything.
    pub(super) report: Option<Box<Held>>,
}

/// Whose report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// A socket that is there, since so many events.
    Socket {
        id: SocketId,
        joined: u64,
        /// It has reported before.
        has_reported: bool,
    },
    /// One that went without a goodbye, and may come back until then.
    Lost { at: u64, until: Instant },
    /// Nobody: it was reported over REST, and holds until then.
    Lease { until: Instant },
}

/// A report that holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) doing: Doing,
    /// Under which socket's id it is shown: that of the socket that made it, also when another has taken it over.
    pub(super) shown_as: SocketId,
    /// When state or game last changed, as a count of events.
    pub(super) changed: u64,
}

impl Device {
    /// When it ends by itself.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.holder {
            Holder::Socket { .. } => None,
            Holder::Lost { until, .. } | Holder::Lease { until } => Some(until),
        }
    }

    pub(super) fn is_socket(&self, wanted: SocketId) -> bool {
        matches!(self.holder, Holder::Socket { id, .. } if id == wanted)
    }

    pub(super) fn is_lease(&self) -> bool {
        matches!(self.holder, Holder::Lease { .. })
    }

    /// Reports for the first time, and takes over what another has left.
    pub(super) fn inherit(&mut self, inherited: Option<Box<Held>>) {
        if let Holder::Socket { has_reported, .. } = &mut self.holder {
            *has_reported = true;
        }
        if inherited.is_some() {
            self.report = inherited;
        }
    }

    /// Takes what it is told to do. Saying the same again changes nothing, or two devices would take turns for ever.
    pub(super) fn set(&mut self, doing: Option<Doing>, shown_as: SocketId, event: u64) {
        let Some(doing) = doing else {
            self.report = None;
            return;
        };
        match &mut self.report {
            Some(held) if held.doing == doing => {}
            Some(held) if held.doing.state == doing.state => held.doing = doing,
            report => {
                *report = Some(Box::new(Held {
                    doing,
                    shown_as,
                    changed: event,
                }));
            }
        }
    }
}
