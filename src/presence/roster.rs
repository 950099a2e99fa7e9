//! The roster: what follows from all reports together.

use super::{Activity, Report, State};
use crate::{socketio::SocketId, users::UserId};
use std::collections::BTreeMap;

/// Every user of whom something is known, with the reports of all devices. Pure.
#[derive(Debug, Default)]
pub struct Roster {
    /// By user id, so that a snapshot has an order. A user without reports is not in it.
    users: BTreeMap<UserId, Vec<Device>>,
    /// Counts the changes of reports, to tell which of two came last.
    changes: u64,
}

/// One socket's report.
#[derive(Debug)]
struct Device {
    socket_id: SocketId,
    state: State,
    /// When `state` last changed, as a count of changes.
    changed: u64,
}

/// What a report did to what everyone knows of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Everyone has to be told this.
    Tell(Activity),
    /// Everyone knows it already.
    Known(Activity),
}

impl Roster {
    /// Takes the report of a user's socket.
    pub fn report(&mut self, user_id: UserId, socket_id: SocketId, report: Report) -> Change {
        self.changes += 1;
        let changed = self.changes;
        self.update(user_id, socket_id, |devices| {
            let place = devices
                .iter()
                .position(|device| device.socket_id == socket_id);
            match (report, place.and_then(|place| devices.get_mut(place))) {
                (Report::Doing(state), None) => devices.push(Device {
                    socket_id,
                    state,
                    changed,
                }),
                // Saying it again changes nothing, or two devices would take turns for ever.
                (Report::Doing(state), Some(device)) if device.state == state => {}
                (Report::Doing(state), Some(device)) => {
                    *device = Device {
                        socket_id,
                        state,
                        changed,
                    }
                }
                (Report::Withdrawn, _) => devices.retain(|device| device.socket_id != socket_id),
            }
        })
    }

    /// Forgets a socket that is gone.
    pub fn leave(&mut self, user_id: UserId, socket_id: SocketId) -> Change {
        self.update(user_id, socket_id, |devices| {
            devices.retain(|device| device.socket_id != socket_id)
        })
    }

    /// All users who are not offline, by user id.
    pub fn activities(&self) -> impl Iterator<Item = Activity> {
        self.users
            .iter()
            .filter_map(|(user_id, devices)| activity(*user_id, devices))
    }

    /// Applies `change` to a user's devices, and compares what is known before and after.
    fn update(
        &mut self,
        user_id: UserId,
        socket_id: SocketId,
        change: impl FnOnce(&mut Vec<Device>),
    ) -> Change {
        let devices = self.users.entry(user_id).or_default();
        let before = activity(user_id, devices);
        change(devices);
        let after = activity(user_id, devices);
        if devices.is_empty() {
            self.users.remove(&user_id);
        }
        let told = after.unwrap_or(Activity {
            user_id,
            socket_id,
            state: None,
        });
        if before == after {
            Change::Known(told)
        } else {
            Change::Tell(told)
        }
    }
}

/// What is told of a user: the highest state, and among equals the one that came last.
fn activity(user_id: UserId, devices: &[Device]) -> Option<Activity> {
    let device = devices
        .iter()
        .max_by_key(|device| (device.state.rank(), device.changed))?;
    Some(Activity {
        user_id,
        socket_id: device.socket_id,
        state: Some(device.state),
    })
}
