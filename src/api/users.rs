//! `GET /api/users`, `GET /api/users/me` and `GET /api/users/{id}`.

use super::error;
use crate::{
    presence::Now,
    server::{Answer, Denied, json},
    users::{ApiKey, Directory, Role, Timestamp, Unavailable, User, UserId},
};
use hyper::StatusCode;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// A user in GameVault's shape. What is not known here is null or empty.
#[derive(Serialize)]
struct UserBody<'a> {
    id: UserId,
    created_at: Option<&'a Timestamp>,
    updated_at: Option<&'a Timestamp>,
    deleted_at: Option<&'a Timestamp>,
    entity_version: Option<u64>,
    username: &'a str,
    avatar: Option<()>,
    background: Option<()>,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    birth_date: Option<&'a Timestamp>,
    activated: bool,
    role: Role,
}

/// The same with what is only for the user's own eyes.
#[derive(Serialize)]
pub(super) struct OwnBody<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    api_key: Option<ApiKey>,
    progresses: [(); 0],
    bookmarked_games: [(); 0],
}

/// The same with when it was seen last: when all were told, for the last time, that it is offline.
#[derive(Serialize)]
pub(super) struct SeenBody<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    /// In ms since 1970; none: never.
    last_seen: Option<u64>,
}

/// A time of the past. The clock may have been put back since it was written down, but then it may be the clock that is
/// wrong, so what was written stays.
fn past(ms: u64) -> u64 {
    ms.min(Now::of_the_system().ms)
}

impl<'a> UserBody<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            id: user.id,
            created_at: None,
            updated_at: None,
            deleted_at: user.deleted_at.as_ref(),
            entity_version: None,
            username: &user.username,
            avatar: None,
            background: None,
            email: None,
            first_name: None,
            last_name: None,
            birth_date: None,
            activated: user.activated,
            role: user.role,
        }
    }
}

impl<'a> OwnBody<'a> {
    pub(super) fn of(user: &'a User, api_key: Option<ApiKey>) -> Self {
        Self {
            user: UserBody::of(user),
            api_key,
            progresses: [],
            bookmarked_games: [],
        }
    }
}

impl<'a> SeenBody<'a> {
    pub(super) fn of(user: &'a User, last_seen: Option<u64>) -> Self {
        let user = UserBody::of(user);
        Self { user, last_seen }
    }
}

/// A user about itself, with its key.
pub(super) async fn me(directory: &dyn Directory, user: &User) -> Result<Answer, Answer> {
    let api_key = directory
        .api_key(user.id)
        .await
        .map_err(|error| unavailable(&error))?;
    Ok(json(StatusCode::OK, &OwnBody::of(user, api_key)))
}

/// All users, as far as `asker` may see them: bots, and users who are not activated, are for admins.
pub(super) async fn list(
    directory: &dyn Directory,
    asker: &User,
    last_seen: &BTreeMap<UserId, u64>,
) -> Result<Answer, Answer> {
    let users = directory.all().await.map_err(|error| unavailable(&error))?;
    let users = users.iter().filter(|user| is_shown(user, Some(asker)));
    let users = users.map(|user| SeenBody::of(user, last_seen.get(&user.id).copied().map(past)));
    Ok(json(StatusCode::OK, &users.collect::<Vec<_>>()))
}

/// One user, if `asker` may see it.
pub(super) async fn one(
    directory: &dyn Directory,
    asker: &User,
    id: UserId,
    last_seen: Option<u64>,
) -> Result<Answer, Answer> {
    let user = shown(directory, Some(asker), id).await?;
    Ok(json(
        StatusCode::OK,
        &SeenBody::of(&user, last_seen.map(past)),
    ))
}

/// The user of this id, if it exists, and `asker` may see it; none is a stranger.
pub(super) async fn shown(
    directory: &dyn Directory,
    asker: Option<&User>,
    id: UserId,
) -> Result<Arc<User>, Answer> {
    let user = directory.by_id(id).await;
    let user = user.map_err(|error| unavailable(&error))?;
    user.filter(|user| is_shown(user, asker))
        .ok_or_else(unknown)
}

fn is_shown(user: &User, asker: Option<&User>) -> bool {
    let is_for_all = user.may_enter() && !user.is_bot();
    let is_admin = asker.is_some_and(|asker| asker.role == Role::Admin);
    !user.is_deleted() && (is_admin || is_for_all)
}

/// What is said of a user who is not there, or not for the asker.
pub(super) const UNKNOWN: &str = "There is no such user.";

fn unknown() -> Answer {
    error::error(StatusCode::NOT_FOUND, UNKNOWN)
}

fn unavailable(problem: &Unavailable) -> Answer {
    // The directory has logged what is wrong, once.
    log::debug!("users cannot be listed: {problem}");
    error::denied(Denied {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "Users cannot be looked up at the moment: try again later.",
    })
}
