//! `GET /api/status`.

use crate::{
    server::{Answer, json},
    users::{Role, User},
};
use hyper::StatusCode;
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct Status {
    status: &'static str,
    version: &'static str,
    registration_enabled: bool,
    required_registration_fields: [&'static str; 0],
    available_authentication_methods: [&'static str; 1],
    /// In seconds; for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<u64>,
}

impl Status {
    pub(super) fn new(uptime: Option<u64>) -> Self {
        Self {
            status: "HEALTHY",
            version: env!("CARGO_PKG_VERSION"),
            registration_enabled: false,
            required_registration_fields: [],
            available_authentication_methods: ["basic"],
            uptime,
        }
    }
}

/// That the server is well, in GameVault's words.
pub(super) fn status(user: Option<&User>, uptime: Duration) -> Answer {
    let admin = user.filter(|user| user.role == Role::Admin);
    let uptime = admin.map(|_| uptime.as_secs());
    json(StatusCode::OK, &Status::new(uptime))
}
