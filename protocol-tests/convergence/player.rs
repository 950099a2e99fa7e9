//! A client: it speaks Engine.IO and Socket.IO as the official one does, and believes what it is told.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use crate::{
    daemon::{Daemon, Http, Outcome, PATIENCE},
    support::{CLOSE, Client, FIN, Seen, masked, text_frame, upgrade_request},
    ways::{Cut, Loss, Way},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    select,
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

// ---------------------------------------------------------------------------------------------------------
// What a client believes.

#[derive(Default)]
pub struct View {
    /// By user id, who is not offline. None: it was not told yet.
    pub known: Option<BTreeMap<u64, Value>>,
    /// The place of what it heard last.
    seq: Option<u64>,
    /// Nothing was between that and now, so the next is one more.
    is_gapless: bool,
    /// The users it watches; none: all.
    pub only: Option<BTreeSet<u64>>,
    /// Those whom it will from an ack on, and which.
    wish: Option<(u64, Option<BTreeSet<u64>>)>,
    /// How many changes of each user it was told.
    pub changes: HashMap<u64, usize>,
    acks: HashMap<u64, Value>,
    socket: Option<String>,
    /// It got a DISCONNECT.
    kicked: bool,
    ended: bool,
    /// The server was told to stop: it must not announce departures.
    pub is_last: bool,
    wrong: Option<String>,
}

impl View {
    /// Takes a Socket.IO packet.
    fn take(&mut self, packet: &str) -> Outcome {
        let json = |text: &str| {
            serde_json::from_str::<Value>(text).map_err(|error| format!("{error}: {packet}"))
        };
        match packet.as_bytes().first() {
            Some(b'0') => {
                let sid = json(&packet[1..])?["sid"].as_str().map(str::to_owned);
                *self = Self {
                    socket: sid,
                    acks: std::mem::take(&mut self.acks),
                    ..Self::default()
                };
            }
            Some(b'1') => (self.kicked, self.socket) = (true, None),
            Some(b'2') => self.event(&json(&packet[1..])?)?,
            Some(b'3') => {
                let start = packet.find('[').ok_or("an ack without arguments")?;
                let id = packet[1..start]
                    .parse()
                    .map_err(|_| "an ack without an id")?;
                let answer = json(&packet[start..])?[0].take();
                if self.acks.insert(id, answer).is_some() {
                    return Err(format!("two acks {id}"));
                }
                if let Some((_, only)) = self.wish.take_if(|(its, _)| *its == id) {
                    self.only = only;
                    let known = self.known.as_ref().ok_or("an ack before any snapshot")?;
                    self.is_among(known.keys(), &Value::Null)?;
                }
            }
            _ => return Err(format!("it was sent {packet}")),
        }
        Ok(())
    }

    fn event(&mut self, event: &Value) -> Outcome {
        if self.is_last {
            return Err(format!("a server that stops says {event}"));
        }
        match event[0].as_str() {
            Some("activities") => {
                let all = event[1].as_array().ok_or("activities without a list")?;
                let user =
                    |activity: &Value| Some((activity["user_id"].as_u64()?, activity.clone()));
                let known: BTreeMap<u64, Value> = all.iter().filter_map(user).collect();
                if known.len() != all.len() {
                    return Err(format!("a user is in a snapshot twice: {event}"));
                }
                self.is_among(known.keys(), event)?;
                self.known = Some(known);
                self.is_gapless = event[2]["seq"].is_u64();
                if let Some(seq) = event[2]["seq"].as_u64() {
                    self.is_not_before(seq, event)?;
                    self.seq = Some(seq);
                }
            }
            Some("activity") => {
                let activity = &event[1];
                let seq = activity["seq"]
                    .as_u64()
                    .ok_or_else(|| format!("no seq: {event}"))?;
                let user = activity["user_id"]
                    .as_u64()
                    .ok_or("an activity of nobody")?;
                let known = self
                    .known
                    .as_mut()
                    .ok_or_else(|| format!("before any snapshot: {event}"))?;
                let mut told = activity.clone();
                told.as_object_mut().map(|told| told.remove("seq"));
                let before = match activity["state"] == "OFFLINE" {
                    true => known.remove(&user),
                    false => known.insert(user, told.clone()),
                };
                self.is_not_before(seq, event)?;
                let is_of_all = self.only.is_none() && self.wish.is_none();
                let last = self.seq.filter(|_| self.is_gapless && is_of_all);
                if last.is_some_and(|last| seq > last + 1) {
                    return Err(format!("after {last:?} it was told {event}"));
                }
                let offline = activity["state"] == "OFFLINE";
                if last == Some(seq) && before.as_ref() != Some(&told).filter(|_| !offline) {
                    return Err(format!(
                        "confirmed as known, but it knew {before:?}: {event}"
                    ));
                }
                (self.seq, self.is_gapless) = (Some(seq), true);
                *self.changes.entry(user).or_default() += 1;
                self.is_among([&user], event)?;
            }
            _ => return Err(format!("it was sent {event}")),
        }
        Ok(())
    }

    fn is_not_before(&self, seq: u64, event: &Value) -> Outcome {
        match self.seq {
            Some(last) if last > seq => Err(format!("after {last} it was told {event}")),
            _ => Ok(()),
        }
    }

    fn is_among<'a>(&self, users: impl IntoIterator<Item = &'a u64>, event: &Value) -> Outcome {
        match &self.only {
            Some(only) if !users.into_iter().all(|user| only.contains(user)) => {
                Err(format!("it watches {only:?} alone, and was told {event}"))
            }
            _ => Ok(()),
        }
    }
}

/// A view that changes.
#[derive(Default)]
struct Shared {
    view: Mutex<View>,
    changed: Notify,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.lock().expect("whole"));
        self.changed.notify_waiters();
    }

    /// Takes a message or another Engine.IO packet; says whether it is a ping.
    fn packet(&self, packet: &str) -> bool {
        match packet.as_bytes().first() {
            Some(b'2') => return true,
            Some(b'4') => self.change(|view| {
                if let Err(wrong) = view.take(&packet[1..]) {
                    view.wrong.get_or_insert(wrong);
                }
            }),
            _ => {}
        }
        false
    }
}

// ---------------------------------------------------------------------------------------------------------
// The connection.

enum Command {
    Send(String),
    /// Stop reading, or go on.
    Stall(bool),
    Upgrade(Option<Cut>, oneshot::Sender<Outcome>),
    Lose(Loss),
}

/// One session, as its client has it.
pub struct Player {
    pub sid: String,
    pub is_polling: bool,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
    acks: u64,
}

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

impl Player {
    /// Opens a session and joins the namespace.
    pub async fn join(daemon: &Daemon, key: &str, way: Way) -> Outcome<Self> {
        timeout(PATIENCE, Self::open(daemon.address(), key, way))
            .await
            .map_err(|_| "joining takes for ever")?
    }

    async fn open(address: SocketAddr, key: &str, way: Way) -> Outcome<Self> {
        let shared = Arc::new(Shared::default());
        let (commands, orders) = mpsc::unbounded_channel();
        let is_polling = !matches!(way, Way::WebSocket { .. });
        let (opening, task);
        if let Way::WebSocket { is_narrow } = way {
            let mut client = match is_narrow {
                true => Client::dial_narrow(address).await,
                false => Client::dial(address).await,
            };
            shake_hands(&mut client, "EIO=4&transport=websocket", key).await?;
            opening = match client.see().await {
                Seen::Text(opening) => opening,
                other => return Err(format!("not an open packet: {other:?}")),
            };
            task = tokio::spawn(ride_websocket(client, Arc::clone(&shared), orders));
        } else {
            let mut gets = Http::dial(address).await?;
            let (status, body) = gets.ask("GET", POLLING, key, "").await?;
            if status != 200 {
                return Err(format!("a session was refused: {status} {body}"));
            }
            let posts = Http::dial(address).await?;
            let sid =
                serde_json::from_str::<Value>(&body[1..]).map_err(|error| error.to_string())?;
            let sid = sid["sid"].as_str().ok_or("no sid")?.to_owned();
            let polling = Polling {
                address,
                key: key.to_owned(),
                sid,
                posts,
            };
            opening = body;
            task = tokio::spawn(polling.ride(gets, Arc::clone(&shared), orders));
        }
        let opening: Value =
            serde_json::from_str(&opening[1..]).map_err(|error| error.to_string())?;
        let sid = opening["sid"].as_str().ok_or("no sid")?.to_owned();
        let mut player = Self {
            sid,
            is_polling,
            shared,
            commands,
            task,
            acks: 0,
        };
        player.connect().await?;
        if let Way::Polling { upgrade: Some(cut) } = way {
            player.upgrade(cut).await?;
        }
        Ok(player)
    }

    /// Joins the namespace, and waits for the first snapshot.
    pub async fn connect(&mut self) -> Outcome {
        self.send("40".to_owned());
        self.wait("its first snapshot", |view| {
            view.socket.as_ref().and(view.known.as_ref()).map(drop)
        })
        .await
    }

    /// Says goodbye to the namespace alone.
    pub fn disconnect(&self) {
        self.shared.change(|view| view.socket = None);
        self.send("41".to_owned());
    }

    pub fn send(&self, packet: String) {
        let _gone = self.commands.send(Command::Send(packet));
    }

    pub fn stall(&self, stall: bool) {
        let _gone = self.commands.send(Command::Stall(stall));
    }

    /// Moves to a WebSocket, or breaks off on the way and stays.
    pub async fn upgrade(&mut self, cut: Option<Cut>) -> Outcome {
        let (done, is_done) = oneshot::channel();
        let _gone = self.commands.send(Command::Upgrade(cut, done));
        let upgraded = timeout(PATIENCE, is_done)
            .await
            .map_err(|_| "an upgrade takes for ever")?;
        upgraded.map_err(|_| "the session ended in the middle of an upgrade")??;
        self.is_polling = cut.is_some();
        Ok(())
    }

    /// Goes without a goodbye.
    pub fn lose(&self, loss: Loss) {
        let _gone = self.commands.send(Command::Lose(loss));
    }

    /// Sends an event, and waits for the ack.
    pub async fn ask(&mut self, event: &str, argument: &Value) -> Outcome<Value> {
        let id = self.begin(event, argument);
        self.answer(id).await
    }

    /// From now on cares only for these users, or for all.
    pub async fn watch(&mut self, only: Option<BTreeSet<u64>>) -> Outcome<Value> {
        let wish = only
            .as_ref()
            .map_or(json!({"all": true}), |only| json!({"users": only}));
        self.view(|view| {
            view.only = None;
            view.wish = Some((self.acks + 1, only));
        });
        self.ask("watch", &wish).await
    }

    pub fn begin(&mut self, event: &str, argument: &Value) -> u64 {
        self.acks += 1;
        self.send(format!("42{}[\"{event}\",{argument}]", self.acks));
        self.acks
    }

    pub async fn answer(&self, id: u64) -> Outcome<Value> {
        self.wait("an ack", |view| view.acks.remove(&id)).await
    }

    pub fn view<T>(&self, look: impl FnOnce(&mut View) -> T) -> T {
        look(&mut self.shared.view.lock().expect("whole"))
    }

    pub fn socket(&self) -> String {
        self.view(|view| view.socket.clone().unwrap_or_default())
    }

    /// Waits until something is so, which it cannot become once the session is over.
    pub async fn wait<T>(
        &self,
        what: &str,
        mut is_so: impl FnMut(&mut View) -> Option<T>,
    ) -> Outcome<T> {
        let waiting = async {
            loop {
                let mut changed = pin!(self.shared.changed.notified());
                changed.as_mut().enable();
                {
                    let view = &mut *self.shared.view.lock().expect("whole");
                    match (is_so(view), &view.wrong) {
                        (_, Some(wrong)) => return Err(wrong.clone()),
                        (Some(found), None) => return Ok(found),
                        (None, None) if view.ended => {
                            return Err(format!("its session ended while it waited for {what}"));
                        }
                        (None, None) => {}
                    }
                }
                changed.await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| Err(format!("it waited in vain for {what}")))
    }

    /// Waits for the session's end; `kicked`: after a DISCONNECT.
    pub async fn ended(&self, kicked: bool) -> Outcome {
        self.wait("its end", |view| {
            (view.ended && (view.kicked || !kicked)).then_some(())
        })
        .await
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn shake_hands(client: &mut Client, query: &str, key: &str) -> Outcome {
    let request = upgrade_request("nobody", query, &format!("X-Api-Key: {key}\r\n"));
    let written = client.stream.write_all(request.as_bytes()).await;
    written.map_err(|error| error.to_string())?;
    match client.head().await.status {
        101 => Ok(()),
        status => Err(format!("a WebSocket was refused: {status}")),
    }
}

async fn ride_websocket(
    mut client: Client,
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Command>,
) {
    let mut stalls = false;
    loop {
        let frame = select! {
            order = orders.recv() => match order {
                Some(Command::Send(packet)) => text_frame(&packet),
                Some(Command::Stall(stall)) => {
                    stalls = stall;
                    continue;
                }
                Some(Command::Upgrade(_, done)) => {
                    let _gone = done.send(Err("it is upgraded".to_owned()));
                    continue;
                }
                Some(Command::Lose(Loss::CloseFrame)) => masked(FIN | CLOSE, &1000_u16.to_be_bytes()),
                Some(Command::Lose(Loss::HalfClose)) => {
                    let _gone = client.stream.shutdown().await;
                    continue;
                }
                Some(Command::Lose(Loss::Silence)) => {
                    stalls = true;
                    continue;
                }
                Some(Command::Lose(Loss::Reset)) => {
                    client.reset();
                    break;
                }
                None => break,
            },
            seen = client.see(), if !stalls => match seen {
                Seen::Text(packet) if shared.packet(&packet) => text_frame("3"),
                Seen::Text(_) | Seen::Binary(_) | Seen::Ping(_) | Seen::Pong(_) => continue,
                Seen::Close(_) | Seen::End | Seen::CutOff | Seen::Reset => break,
            },
        };
        if client.stream.write_all(&frame).await.is_err() && !stalls {
            break;
        }
    }
    shared.change(|view| view.ended = true);
}

/// A client on long-polling: one connection for its GETs, and one for its POSTs.
struct Polling {
    address: SocketAddr,
    key: String,
    sid: String,
    posts: Http,
}

/// A GET under way, which gives its connection back.
type Get = Pin<Box<dyn Future<Output = Outcome<(Http, u16, String)>> + Send>>;

impl Polling {
    async fn ride(
        mut self,
        gets: Http,
        shared: Arc<Shared>,
        mut orders: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut get: Option<Get> = Some(self.get(gets));
        // Where the connection is while the client does not poll.
        let mut idle = None;
        let mut stalls = false;
        loop {
            let outcome = select! {
                order = orders.recv() => match order {
                    Some(Command::Send(packet)) => self.post(&packet).await,
                    Some(Command::Stall(stall)) => {
                        stalls = stall;
                        if let (false, Some(gets)) = (stalls, idle.take()) {
                            get = Some(self.get(gets));
                        }
                        Ok(())
                    }
                    Some(Command::Upgrade(cut, done)) => match self.upgrade(cut, get.take(), &shared).await {
                        Ok((Some(client), _)) => {
                            let _gone = done.send(Ok(()));
                            return ride_websocket(client, shared, orders).await;
                        }
                        Ok((None, again)) => {
                            get = Some(again);
                            let _gone = done.send(Ok(()));
                            Ok(())
                        }
                        Err(error) => {
                            let _gone = done.send(Err(error.clone()));
                            Err(error)
                        }
                    },
                    Some(Command::Lose(Loss::Silence)) => {
                        stalls = true;
                        Ok(())
                    }
                    Some(Command::Lose(_)) | None => break,
                },
                answer = async { get.as_mut().expect("a GET").await }, if get.is_some() => {
                    get = None;
                    match self.polled(answer, &shared).await {
                        Ok(gets) if stalls => {
                            idle = Some(gets);
                            Ok(())
                        }
                        Ok(gets) => {
                            get = Some(self.get(gets));
                            Ok(())
                        }
                        Err(error) => Err(error),
                    }
                }
            };
            if outcome.is_err() {
                break;
            }
        }
        shared.change(|view| view.ended = true);
    }

    fn get(&self, mut gets: Http) -> Get {
        let (path, key) = (format!("{POLLING}&sid={}", self.sid), self.key.clone());
        Box::pin(async move {
            let (status, body) = gets.ask("GET", &path, &key, "").await?;
            Ok((gets, status, body))
        })
    }

    /// Takes what a GET has brought.
    async fn polled(
        &mut self,
        answer: Outcome<(Http, u16, String)>,
        shared: &Shared,
    ) -> Outcome<Http> {
        let (gets, status, body) = answer?;
        if status != 200 {
            return Err(format!("a poll was answered {status}"));
        }
        for packet in body.split('\x1e') {
            if shared.packet(packet) {
                self.post("3").await?;
            }
            if packet == "1" {
                return Err("closed".to_owned());
            }
        }
        Ok(gets)
    }

    async fn post(&mut self, packet: &str) -> Outcome {
        let path = format!("{POLLING}&sid={}", self.sid);
        match self.posts.ask("POST", &path, &self.key, packet).await? {
            (200, _) => Ok(()),
            (status, body) => Err(format!("a POST was answered {status} {body}")),
        }
    }

    /// As the official client does it: probe, let the GET that waits come to its end, upgrade.
    async fn upgrade(
        &mut self,
        cut: Option<Cut>,
        get: Option<Get>,
        shared: &Shared,
    ) -> Outcome<(Option<Client>, Get)> {
        let get = get.ok_or("it does not poll")?;
        if cut == Some(Cut::AtOnce) {
            drop(Client::dial(self.address).await);
            return Ok((None, get));
        }
        let query = format!("EIO=4&transport=websocket&sid={}", self.sid);
        let mut client = loop {
            let mut client = Client::dial(self.address).await;
            shake_hands(&mut client, &query, &self.key).await?;
            if cut == Some(Cut::BeforeProbe) {
                client.reset();
                return Ok((None, get));
            }
            let probed = client.stream.write_all(&text_frame("2probe")).await;
            match client.see().await {
                Seen::Text(pong) if pong == "3probe" && probed.is_ok() => break client,
                Seen::Text(other) => return Err(format!("not a pong: {other}")),
                // The server has not noticed yet that the one before was broken off.
                _ => sleep(Duration::from_millis(20)).await,
            }
        };
        if cut == Some(Cut::AfterProbe) {
            client.reset();
            return Ok((None, get));
        }
        // The answer may be a noop, a ping, or what was said meanwhile.
        let gets = get.await;
        let gets = self.polled(gets, shared).await?;
        if cut.is_some() {
            drop(client);
            return Ok((None, self.get(gets)));
        }
        let upgraded = client.stream.write_all(&text_frame("5")).await;
        upgraded.map_err(|error| error.to_string())?;
        let never: Get = Box::pin(std::future::pending());
        Ok((Some(client), never))
    }
}
