//! The activity gateway on socketioxide and axum, to be measured against: `socketioxide-gateway USERS_FILE`.
//!
//! The same contract as Rollcall's, as one would write it with that library: the key is checked at the CONNECT, a user's
//! last report is its activity, everyone is told.

use axum::{Router, serve};
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, Extension, SocketRef},
    handler::ConnectHandler,
};
use std::{
    collections::HashMap,
    env,
    error::Error,
    fmt, fs,
    sync::{Arc, Mutex},
};

#[derive(Deserialize)]
struct UserFile {
    users: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: u32,
    api_key: String,
}

#[derive(Deserialize)]
struct Report {
    state: String,
    game_id: Option<u64>,
}

#[derive(Serialize, Clone)]
struct Activity {
    user_id: u32,
    socket_id: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    game_id: Option<u64>,
}

#[derive(Clone, Copy)]
struct UserId(u32);

#[derive(Debug)]
struct UnknownKey;

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown key")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args()
        .nth(1)
        .ok_or("usage: socketioxide-gateway USERS_FILE")?;
    let file: UserFile = serde_json::from_str(&fs::read_to_string(file)?)?;
    let keys = file.users.into_iter().map(|user| (user.api_key, user.id));
    let keys: Arc<HashMap<String, u32>> = Arc::new(keys.collect());
    let known: Arc<Mutex<HashMap<u32, Activity>>> = Arc::default();

    let (layer, io) = SocketIo::new_layer();
    let admit = {
        let keys = Arc::clone(&keys);
        move |socket: SocketRef| {
            let shown = socket.req_parts().headers.get("x-api-key");
            let id = shown.and_then(|key| keys.get(key.to_str().ok()?));
            let admitted = id.map(|id| {
                socket.extensions.insert(UserId(*id));
            });
            async move { admitted.ok_or(UnknownKey) }
        }
    };
    let joined = move |io: SocketIo, socket: SocketRef| {
        let snapshot: Vec<_> = lock(&known).values().cloned().collect();
        if let Err(error) = socket.emit("activities", &snapshot) {
            eprintln!("a snapshot was not sent: {error}");
        }
        let known = Arc::clone(&known);
        socket.on(
            "set-activity",
            async move |socket: SocketRef,
                        Data(report): Data<Report>,
                        Extension(UserId(user_id)): Extension<UserId>,
                        ack: AckSender| {
                let activity = Activity {
                    user_id,
                    socket_id: socket.id.to_string(),
                    state: report.state,
                    game_id: report.game_id,
                };
                lock(&known).insert(user_id, activity.clone());
                // What a full buffer drops is reported here, by name, and lost.
                let _dropped = io.emit("activity", &activity).await;
                let _unasked = ack.send(&activity);
            },
        );
        async {}
    };
    io.ns("/", joined.with(admit));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
