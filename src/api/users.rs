//! `GET /api/users` and `GET /api/users/me`.

use super::error;
use crate::{
    server::{Answer, json},
    users::{ApiKey, Directory, Role, Timestamp, Unavailable, User, UserId},
};
use hyper::StatusCode;
use serde::Serialize;

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
struct OwnBody<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    api_key: Option<ApiKey>,
    progresses: [(); 0],
    bookmarked_games: [(); 0],
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

/// A user about itself, with its key.
pub(super) async fn me(directory: &dyn Directory, user: &User) -> Result<Answer, Answer> {
    let api_key = directory
        .api_key(user.id)
        .await
        .map_err(|error| unavailable(&error))?;
    let body = OwnBody {
        user: UserBody::of(user),
        api_key,
        progresses: [],
        bookmarked_games: [],
    };
    Ok(json(StatusCode::OK, &body))
}

/// All users, as far as `asker` may see them: bots, and users who are not activated, are for admins.
pub(super) async fn list(directory: &dyn Directory, asker: &User) -> Result<Answer, Answer> {
    let users = directory.all().await.map_err(|error| unavailable(&error))?;
    let shown = |user: &&User| asker.role == Role::Admin || (user.may_enter() && !user.is_bot());
    let users = users
        .iter()
        .map(AsRef::as_ref)
        .filter(|user: &&User| !user.is_deleted())
        .filter(shown);
    Ok(json(
        StatusCode::OK,
        &users.map(UserBody::of).collect::<Vec<_>>(),
    ))
}

fn unavailable(problem: &Unavailable) -> Answer {
    log::error!("users cannot be listed: {problem}");
    error::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "Users cannot be looked up at the moment: try again later.",
    )
}
