//! A route: a path that something answers.

use super::{documents::ApiDocument, monitoring::Probe};
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
    /// What all this is, in one form.
    Document(ApiDocument),
}

impl Route {
    /// Every one, with any user for those of one user.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let routes = [
            Self::Activities,
            Self::Stream,
            Self::Activity(0),
            Self::MyActivity,
            Self::Users,
            Self::User(0),
            Self::Me,
            Self::Status,
            Self::Health,
            Self::Sessions,
            Self::SessionsOf(0),
        ];
        let probes = Probe::ALL.into_iter().map(Self::Monitoring);
        let documents = ApiDocument::ALL.into_iter().map(Self::Document);
        routes.into_iter().chain(probes).chain(documents)
    }

    /// Its path, with a name in braces for what differs, as the document of it has it.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Me => "/api/users/me",
            Self::Users => "/api/users",
            Self::User(_) => "/api/users/{id}",
            Self::Status => "/api/status",
            Self::Health => "/api/health",
            Self::Activities => "/api/activities",
            Self::Stream => "/api/activities/stream",
            Self::Activity(_) => "/api/users/{id}/activity",
            Self::MyActivity => "/api/users/me/activity",
            Self::Sessions => "/api/admin/sessions",
            Self::SessionsOf(_) => "/api/admin/users/{id}/sessions",
            Self::Monitoring(probe) => probe.path(),
            Self::Document(document) => document.path(),
        }
    }

    /// What is at this path.
    pub(super) fn of(path: &str) -> Option<Self> {
        if let Some(probe) = Probe::of(path) {
            return Some(Self::Monitoring(probe));
        }
        if let Some(document) = ApiDocument::at(path) {
            return Some(Self::Document(document));
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
            | Self::Monitoring(_)
            // They say what there is where there are activities.
            | Self::Document(_) => false,
        }
    }

    /// Whether who asks makes a difference to what is answered.
    pub(super) fn depends_on_asker(self) -> bool {
        !matches!(self, Self::Health | Self::Monitoring(_) | Self::Document(_))
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
