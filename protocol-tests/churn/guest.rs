//! A guest: one user, whose clients come, say something and go, in all the ways that there are, one after another.

use crate::{
    daemon::{Daemon, Http, Outcome, PATIENCE},
    player::Player,
    support::{Client, Random, masked, upgrade_request},
    ways::{Cut, Loss, Way},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::{sleep, timeout},
};

/// What a guest does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A session: it reports, asks, watches, upgrades, and goes.
    Visit,
    /// A session that asks for more than it reads.
    Deaf,
    /// A report without a socket.
    Lease,
    /// Server-sent events, for a moment.
    Stream,
    /// Requests of REST, on one connection.
    Requests,
    /// Someone who may not come in.
    WrongKey,
    /// A request, a POST, an upgrade or a frame that ends in the middle.
    Half,
    /// The operator gives the user another key, while it is there.
    Rotate,
}

impl Deed {
    /// With how often each is done, of a hundred times.
    const ALL: [(Self, u64); 8] = [
        (Self::Visit, 55),
        (Self::Half, 14),
        (Self::WrongKey, 9),
        (Self::Lease, 7),
        (Self::Requests, 7),
        (Self::Stream, 5),
        (Self::Deaf, 2),
        (Self::Rotate, 1),
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Self {
        let found = Self::ALL
            .iter()
            .find(|(deed, _)| format!("{deed:?}") == name);
        found.unwrap_or_else(|| panic!("nobody does {name}")).0
    }

    fn any(random: &mut Random) -> Self {
        let mut number = random.below(100);
        let found = Self::ALL.iter().find(|(_, share)| {
            let is_it = number < *share;
            number = number.saturating_sub(*share);
            is_it
        });
        found.expect("they are a hundred in all").0
    }
}

/// What all guests have done.
#[derive(Default)]
pub struct Tally {
    done: [AtomicUsize; Deed::ALL.len()],
    /// What went wrong first.
    pub trouble: Mutex<Option<String>>,
}

impl Tally {
    pub fn done(&self) -> usize {
        self.done.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((deed, _), count) in Deed::ALL.iter().zip(&self.done) {
            write!(f, "{deed:?} {}, ", count.load(Relaxed))?;
        }
        write!(f, "{} in all", self.done())
    }
}

pub struct Guest {
    pub id: usize,
    pub key: String,
    pub daemon: Arc<Daemon>,
    pub tally: Arc<Tally>,
    pub random: Random,
    /// How long it rests, in the mean.
    pub pause: Duration,
    /// All that it does, if it shall not do everything.
    pub only: Option<Deed>,
}

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

impl Guest {
    /// Goes on until it is told to stop, or something goes wrong.
    pub async fn live(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let deed = self.only.unwrap_or_else(|| Deed::any(&mut self.random));
            if let Err(text) = self.do_it(deed).await {
                let text = format!("user {}, {deed:?}: {text}", self.id);
                self.tally
                    .trouble
                    .lock()
                    .expect("whole")
                    .get_or_insert(text);
                return;
            }
            let place = Deed::ALL.iter().position(|(its, _)| *its == deed);
            self.tally.done[place.expect("one of them")].fetch_add(1, Relaxed);
            self.rest().await;
        }
    }

    async fn do_it(&mut self, deed: Deed) -> Outcome {
        match deed {
            Deed::Visit => self.visit().await,
            Deed::Deaf => self.be_deaf().await,
            Deed::Lease => self.lease().await,
            Deed::Stream => self.stream().await,
            Deed::Requests => self.request().await,
            Deed::WrongKey => self.show_a_wrong_key().await,
            Deed::Half => self.break_off().await,
            Deed::Rotate => self.rotate().await,
        }
    }

    async fn rest(&mut self) {
        let most = 2 * self.pause.as_millis() as u64;
        sleep(Duration::from_millis(self.random.below(most))).await;
    }

    async fn visit(&mut self) -> Outcome {
        let way = self.way();
        let mut player = Player::join(&self.daemon, &self.key, way).await?;
        for _ in 0..self.random.below(6) {
            self.say(&mut player).await?;
            self.rest().await;
        }
        self.go(player).await
    }

    async fn say(&mut self, player: &mut Player) -> Outcome {
        match self.random.below(12) {
            5 => player.ask("get-activities", &Value::Null).await.map(drop),
            6..8 => {
                let users: BTreeSet<u64> = (1..200).filter(|_| self.random.chance(20)).collect();
                let only = Some(users).filter(|_| self.random.chance(70));
                is_ok(&player.watch(only).await?)
            }
            8..10 if player.is_polling => {
                let cut = self.cut();
                player.upgrade(cut).await
            }
            10 => {
                player.disconnect();
                player.connect().await
            }
            11 => {
                let reports: Vec<Value> = (0..20).map(|_| self.report()).collect();
                let asked: Vec<u64> = reports
                    .iter()
                    .map(|report| player.begin("set-activity", report))
                    .collect();
                for id in asked {
                    is_ok(&player.answer(id).await?)?;
                }
                Ok(())
            }
            _ => {
                let report = self.report();
                is_ok(&player.ask("set-activity", &report).await?)
            }
        }
    }

    async fn go(&mut self, player: Player) -> Outcome {
        match self.random.below(20) {
            0..5 => {
                player.send("1".to_owned());
                player.ended(false).await
            }
            5..7 => {
                player.disconnect();
                player.send("1".to_owned());
                player.ended(false).await
            }
            7..10 => self.lose(player, Loss::Reset).await,
            10..12 => self.lose(player, Loss::CloseFrame).await,
            12..14 => self.lose(player, Loss::HalfClose).await,
            14 => {
                // The server finds out by itself.
                player.lose(Loss::Silence);
                self.daemon.has_noticed(&player.sid).await
            }
            // As the kernel ends the connections of a client that is killed.
            _ => Ok(()),
        }
    }

    async fn lose(&self, player: Player, loss: Loss) -> Outcome {
        player.lose(loss);
        player.ended(false).await
    }

    /// Asks for a few megabytes, reads none of it for a while, and then all, or goes.
    async fn be_deaf(&mut self) -> Outcome {
        let way = Way::WebSocket { is_narrow: true };
        let mut player = Player::join(&self.daemon, &self.key, way).await?;
        player.stall(true);
        let asked: Vec<u64> = (0..200)
            .map(|_| player.begin("get-activities", &Value::Null))
            .collect();
        self.rest().await;
        if self.random.chance(50) {
            return Ok(());
        }
        player.stall(false);
        for id in asked {
            player.answer(id).await?;
        }
        let report = self.report();
        is_ok(&player.ask("set-activity", &report).await?)?;
        self.go(player).await
    }

    async fn lease(&mut self) -> Outcome {
        let mut http = Http::dial(self.daemon.address()).await?;
        let ttl = 1 + self.random.below(600);
        let body = json!({"state": "PLAYING", "game_id": 7, "ttl_seconds": ttl}).to_string();
        let mine = "/api/users/me/activity";
        has(&[200], http.ask("PUT", mine, &self.key, &body).await?)?;
        self.rest().await;
        if self.random.chance(70) {
            has(&[200, 204], http.ask("DELETE", mine, &self.key, "").await?)?;
        }
        Ok(())
    }

    async fn stream(&mut self) -> Outcome {
        let mut client = Client::dial(self.daemon.address()).await;
        let request = format!(
            "GET /api/activities/stream HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {}\r\n\r\n",
            self.key
        );
        write(&mut client, request.as_bytes()).await?;
        match client.head().await.status {
            200 => {}
            status => return Err(format!("a stream was answered {status}")),
        }
        let _events = client.read().await.map_err(|error| error.to_string())?;
        self.rest().await;
        self.leave(client);
        Ok(())
    }

    async fn request(&mut self) -> Outcome {
        let mut http = Http::dial(self.daemon.address()).await?;
        let key = self.key.clone();
        for (path, status) in [
            ("/api/activities", 200),
            ("/api/status", 200),
            ("/api/users/me", 200),
            ("/api/nothing", 404),
            ("/socket.io/?EIO=4&transport=polling&sid=none", 400),
            ("/api/users", 200),
        ] {
            if self.random.chance(60) {
                has(&[status], http.ask("GET", path, &key, "").await?)?;
            }
        }
        Ok(())
    }

    async fn show_a_wrong_key(&mut self) -> Outcome {
        let wrong = format!("{:064x}", self.random.next());
        match self.random.below(3) {
            0 => has(&[401], self.daemon.ask("GET", POLLING, &wrong, "").await?),
            1 => {
                let path = "/api/users/me/activity";
                has(&[401], self.daemon.ask("PUT", path, &wrong, "{}").await?)
            }
            _ => {
                let mut client = Client::dial(self.daemon.address()).await;
                let header = format!("X-Api-Key: {wrong}\r\n");
                let request = upgrade_request("nobody", "EIO=4&transport=websocket", &header);
                write(&mut client, request.as_bytes()).await?;
                let (head, body) = client.response().await;
                has(&[401], (head.status, body))
            }
        }
    }

    /// Begins something, and goes before it is whole.
    async fn break_off(&mut self) -> Outcome {
        let mut client = Client::dial(self.daemon.address()).await;
        let header = format!("X-Api-Key: {}\r\n", self.key);
        let request = upgrade_request("nobody", "EIO=4&transport=websocket", &header);
        match self.random.below(6) {
            0 => {}
            1 => {
                let end = self.random.below(request.len() as u64) as usize;
                write(&mut client, &request.as_bytes()[..end]).await?;
            }
            // All of it, but nobody waits for the answer.
            2 => write(&mut client, request.as_bytes()).await?,
            3 => {
                write(&mut client, request.as_bytes()).await?;
                match client.head().await.status {
                    101 => {}
                    status => return Err(format!("a WebSocket was refused: {status}")),
                }
                let _opening = client.see().await;
                let frame = masked(0x81, br#"42["set-activity",{"state":"ONLINE"}]"#);
                let end = self.random.below(frame.len() as u64) as usize;
                write(&mut client, &frame[..end]).await?;
            }
            4 => {
                let (status, body) = self.daemon.ask("GET", POLLING, &self.key, "").await?;
                let opening: Value =
                    serde_json::from_str(body.get(1..).unwrap_or_default()).unwrap_or_default();
                let sid = opening["sid"].as_str();
                let sid = sid.ok_or_else(|| format!("a session was refused: {status}"))?;
                let post = format!(
                    "POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: 100\r\n\r\n40"
                );
                write(&mut client, post.as_bytes()).await?;
            }
            _ => {
                let noise: Vec<u8> = (0..200).map(|_| self.random.next() as u8).collect();
                write(&mut client, &noise).await?;
            }
        }
        match self.random.below(20) {
            // Until the server has had enough: what is not answered or ended by then never will be.
            0 => {
                let mut rest = Vec::new();
                let ended = timeout(PATIENCE, client.stream.read_to_end(&mut rest)).await;
                match ended {
                    Ok(_ended_or_reset) => Ok(()),
                    Err(_elapsed) => Err("the server waits for ever".to_owned()),
                }
            }
            1..10 => {
                self.rest().await;
                self.leave(client);
                Ok(())
            }
            _ => {
                self.leave(client);
                Ok(())
            }
        }
    }

    async fn rotate(&mut self) -> Outcome {
        let way = self.way();
        let player = Player::join(&self.daemon, &self.key, way).await?;
        self.key = self.daemon.rotate(self.id).await?;
        // On long-polling a pong that is refused may come first.
        player.ended(!player.is_polling).await
    }

    /// By a reset, or as it comes.
    fn leave(&mut self, client: Client) {
        if self.random.chance(50) {
            client.reset();
        }
    }

    fn way(&mut self) -> Way {
        match self.random.below(8) {
            0..4 => Way::WebSocket {
                is_narrow: self.random.chance(50),
            },
            4 | 5 => Way::Polling { upgrade: None },
            6 => Way::Polling {
                upgrade: Some(None),
            },
            _ => Way::Polling {
                upgrade: Some(self.cut()),
            },
        }
    }

    fn cut(&mut self) -> Option<Cut> {
        let cuts = [
            None,
            Some(Cut::AtOnce),
            Some(Cut::BeforeProbe),
            Some(Cut::AfterProbe),
            Some(Cut::BeforeUpgrade),
        ];
        cuts[self.random.below(5) as usize]
    }

    fn report(&mut self) -> Value {
        match self.random.below(6) {
            0 => json!({"state": "OFFLINE"}),
            1 => json!({"state": "ONLINE"}),
            2 => json!({"state": "BUSY", "details": "x".repeat(self.random.below(100) as usize)}),
            _ => json!({"state": "PLAYING", "game_id": self.random.below(1000)}),
        }
    }
}

async fn write(client: &mut Client, bytes: &[u8]) -> Outcome {
    let written = client.stream.write_all(bytes).await;
    written.map_err(|error| error.to_string())
}

fn is_ok(answer: &Value) -> Outcome {
    match answer["status"].as_str() {
        Some("ok") => Ok(()),
        _ => Err(format!("it was answered {answer}")),
    }
}

fn has(expected: &[u16], (status, body): (u16, String)) -> Outcome {
    if expected.contains(&status) {
        Ok(())
    } else {
        Err(format!("{status} instead of {expected:?}: {body}"))
    }
}
