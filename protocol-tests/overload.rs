//! Overload: everyone says more than everyone can be told, as many again do not read, and newcomers find no room.
//!
//! On the real program. docs/reliability.md has the order in which it gives way, and the command that measures it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]
#![cfg(feature = "daemon")]

#[path = "convergence/daemon.rs"]
mod daemon;
#[path = "churn/gauge.rs"]
mod gauge;
#[path = "convergence/player.rs"]
mod player;
mod support;
#[path = "convergence/ways.rs"]
mod ways;

use daemon::{Daemon, PATIENCE};
use player::Player;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, upgrade_request};
use tokio::{task::JoinHandle, time::timeout};
use ways::Way;

/// Users who say much and hear all of it.
const MEMBERS: usize = 24;

/// Clients of one more user, who read nothing.
const DEAF: usize = 40;

/// Changes of each member: more than is told of one user at once, and of all together six times what the ring holds.
const CHANGES: u64 = 300;

/// In KiB: how much more the server may take than before. All that was told is 4 MB, and some 150 MB for all who are
/// deaf, of which the kernel takes two thirds.
const MORE: u64 = 24 << 10;

#[test]
fn more_than_can_be_told_is_told_in_the_end_and_nobody_who_is_well_is_lost() {
    support::run(overload());
}

async fn overload() {
    let daemon = Daemon::new(MEMBERS + 2)
        .with("ENGINE_MAX_SESSIONS", MEMBERS + DEAF)
        .with("ENGINE_PING_TIMEOUT_MS", 6_000)
        .with("SERVER_LOG_LEVEL", "warn");
    let keys = daemon.start().await.expect("a server");
    let (members, others) = keys.split_at(MEMBERS);
    let [of_the_deaf, of_the_newcomer] = others else {
        panic!("two more keys");
    };
    let mut players = Vec::new();
    for key in members {
        let way = Way::WebSocket { is_narrow: false };
        players.push(Player::join(&daemon, key, way).await.expect("a session"));
    }
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let way = Way::WebSocket { is_narrow: true };
        let player = Player::join(&daemon, of_the_deaf, way).await;
        deaf.push(player.expect("a session"));
    }
    let deaf = keep_deaf(deaf);
    let before = gauge::read(daemon.pid()).rss;

    for (index, player) in players.iter().enumerate() {
        for game in 0..CHANGES {
            player.send(format!("42[\"set-activity\",{}]", report(index, game)));
        }
    }
    // Whoever comes now is told so, at once, by a server that has other things to do.
    for _ in 0..20 {
        is_turned_away(&daemon, of_the_newcomer).await;
    }
    for (index, player) in players.iter_mut().enumerate() {
        let answer = player.ask("set-activity", &report(index, CHANGES)).await;
        assert_eq!(answer.expect("an ack")["status"], "ok");
    }
    for (index, player) in players.iter().enumerate() {
        let right = player.wait("the last change of each", |view| {
            let known = view.known.as_ref()?;
            let is_right = |member: usize| {
                let known = known.get(&(member as u64 + 1));
                known.is_some_and(|known| known["game_id"] == game_of(member, CHANGES))
            };
            (0..MEMBERS).all(is_right).then_some(())
        });
        // It fails as well when the session has ended: when its heartbeat came too late, say.
        right
            .await
            .unwrap_or_else(|error| panic!("member {index}: {error}\n{}", daemon.log()));
    }

    let more = gauge::peak(daemon.pid()).saturating_sub(before);
    println!("{more} KiB more than before, at the most");
    assert!(more < MORE, "{more} KiB more than before");
    // Who was turned away gets in as soon as there is room, and knows what all know.
    let gone = players.pop().expect("a member");
    gone.send("1".to_owned());
    gone.ended(false).await.expect("its end");
    let way = Way::WebSocket { is_narrow: false };
    let newcomer = Player::join(&daemon, of_the_newcomer, way).await;
    let known = newcomer.expect("a session").view(|view| view.known.clone());
    let known = known.expect("a snapshot");
    players[0].view(|view| {
        let mut its = view.known.clone().expect("a snapshot");
        its.retain(|user, _| *user != MEMBERS as u64);
        assert_eq!(its, known);
    });
    assert!(!daemon.has_panicked(), "{}", daemon.log());
    deaf.abort();
    daemon.stop(false).await.expect("it ends in order");
}

/// They read nothing, but say that they are there, and so keep their places.
fn keep_deaf(deaf: Vec<Player>) -> JoinHandle<()> {
    deaf.iter().for_each(|player| player.stall(true));
    tokio::spawn(async move {
        let mut again = tokio::time::interval(Duration::from_millis(500));
        loop {
            again.tick().await;
            deaf.iter().for_each(|player| player.send("3".to_owned()));
        }
    })
}

fn game_of(member: usize, change: u64) -> u64 {
    member as u64 * 1000 + change
}

/// As long as may be.
fn report(member: usize, change: u64) -> Value {
    let details = "\u{1f3ae}".repeat(128);
    json!({"state": "PLAYING", "game_id": game_of(member, change), "details": details})
}

async fn is_turned_away(daemon: &Daemon, key: &str) {
    let asked = async {
        let mut client = Client::dial(daemon.address()).await;
        let header = format!("X-Api-Key: {key}\r\n");
        let request = upgrade_request("nobody", support::OPEN, &header);
        client.write(request.as_bytes()).await;
        client.response().await
    };
    let (head, body) = timeout(PATIENCE, asked).await.expect("an answer");
    assert_eq!(head.status, 503, "{body}");
    assert!(head.get("retry-after").is_some(), "{body}");
}
