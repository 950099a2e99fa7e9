//! A route: a path that something answers.

use super::monitoring::Probe;
use crate::users::UserId;

/// What is answered, beside the Socket.IO endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Me,
    Users,
    User(UserId),
    Status,
    Health,
    /// Everyone's activity.
    Activities,
    /// The same as it changes.
    Stream,
    /// One user's activity.
    Activity(UserId),
    /// The asker's own, which it may change.
    MyActivity,
    /// Who is connected, for admins.
    Sessions,
    /// The sessions of one user, to be ended.
    SessionsOf(UserId),
    /// What watches over the server.
    Monitoring(Probe),
}

impl Route {
    /// What is at this path.
    pub(super) fn of(path: &str) -> Option<Self> {
        if let Some(probe) = Probe::of(path) {
            return Some(Self::Monitoring(probe));
        }
        let path = path.strip_prefix("/api/")?;
        Some(match path {
            "status" => Self::Status,
            "health" => Self::Health,
            "activities" => Self::Activities,
            "activities/stream" => Self::Stream,
            "users" => Self::Users,
            "users/me" => Self::Me,
            "users/me/activity" => Self::MyActivity,
            "admin/sessions" => Self::Sessions,
            _ => {
                if let Some(user) = path.strip_prefix("admin/users/") {
                    return Some(Self::SessionsOf(user_id(user.strip_suffix("/sessions")?)?));
                }
                let user = path.strip_prefix("users/")?;
                match user.strip_suffix("/activity") {
                    Some(id) => Self::Activity(user_id(id)?),
                    None => Self::User(user_id(user)?),
                }
            }
        })
    }

    /// Whether there is such a thing only where there are activities, and a Socket.IO endpoint.
    pub(super) fn is_about_activities(self) -> bool {
        match self {
            Self::Activities | Self::Stream | Self::Activity(_) | Self::MyActivity => true,
            Self::Sessions | Self::SessionsOf(_) => true,
            Self::Me
            | Self::Users
            | Self::User(_)
            | Self::Status
            | Self::Health
            | Self::Monitoring(_) => false,
        }
    }

    /// The methods that it answers.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::MyActivity => "GET, HEAD, PUT, DELETE",
            Self::SessionsOf(_) => "DELETE",
            _ => "GET, HEAD",
        }
    }
}

/// Digits only: `FromStr` would take a plus sign too.
fn user_id(text: &str) -> Option<UserId> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
