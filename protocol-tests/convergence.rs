//! Convergence: whatever happens to clients, connections and the server, in the end everyone believes the same, and
//! that is what follows from what was done.
//!
//! Each seed makes a story (`story.rs`) for 200 clients of 60 users, on all transports: reports, goodbyes, resets,
//! silence, stalled reading, upgrades cut short, new keys, leases, restarts. They play it to the real program
//! (`daemon.rs`), all users at once. At each quiet point what every client believes (`player.rs`) has to equal what a
//! newcomer is told, and that has to follow from what was done, by the rules of a model (`model.rs`) that knows
//! nothing of the roster.
//!
//! A quiet point sleeps for nothing but the spans of time that are the rules' own. That a client is lost is known
//! when the server knows its session no more; that all has arrived, when a report that was made after it has. Where
//! the rules leave open what follows, because a return may have come too late, the model follows both ways.
//!
//! ```text
//! cargo test --test convergence                                                   # 20 seeds
//! CONVERGENCE_SEEDS=1000 cargo test --release --test convergence -- --nocapture   # 1 to 1000
//! CONVERGENCE_FIRST=42 CONVERGENCE_SEEDS=1 cargo test --test convergence          # one again
//! ```
//!
//! A seed that fails is played again with less and less of its story, for `CONVERGENCE_SHRINK_SECONDS` at most (60),
//! and the shortest that still fails is printed. `CONVERGENCE_AT_ONCE` seeds run side by side (5).

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
#[path = "convergence/model.rs"]
mod model;
#[path = "convergence/player.rs"]
mod player;
#[path = "convergence/story.rs"]
mod story;
mod support;
#[path = "convergence/ways.rs"]
mod ways;

use daemon::{Daemon, GRACE, Outcome, PATIENCE, TIMEOUT};
use model::{Doing, Model};
use player::Player;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use story::{Op, Phase, Story};
use tokio::{task::JoinSet, time::sleep};
use ways::{Loss, Way};

const CLIENTS: usize = 200;
const USERS: usize = 60;
/// The user whose reports say that what was before them has arrived. Everyone watches it.
const SENTINEL: u64 = USERS as u64 + 1;

/// So many changes of a user may be told at once.
const BURST: usize = 256;

/// What all are told, by user id.
type Told = BTreeMap<u64, Value>;

/// How a story went.
#[derive(Debug, Default)]
struct Figures {
    steps: usize,
    /// Where more than one outcome was allowed at a quiet point.
    unsure: usize,
    /// Bursts whose client was told of each change of its own that all were told.
    bursts: usize,
    /// Those of which not all was told.
    limited: usize,
}

struct Failure {
    /// In which phase.
    phase: usize,
    /// Whom it was about, as far as that is known.
    users: BTreeSet<usize>,
    text: String,
}

#[test]
fn convergence() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(all_seeds());
    runtime.shutdown_background();
}

fn number(name: &str, default: u64) -> u64 {
    let value = env::var(name).ok();
    value.map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

async fn all_seeds() {
    let (begun, first) = (Instant::now(), number("CONVERGENCE_FIRST", 1));
    let mut seeds = first..first + number("CONVERGENCE_SEEDS", 20);
    let count = seeds.end - first;
    let (mut playing, mut total, mut done) = (JoinSet::new(), Figures::default(), 0);
    loop {
        while playing.len() < number("CONVERGENCE_AT_ONCE", 5) as usize
            && let Some(seed) = seeds.next()
        {
            playing.spawn(async move { (seed, play(&story::tell(seed)).await) });
        }
        let Some(played) = playing.join_next().await else {
            break;
        };
        match played.expect("a story fails without a panic") {
            (_, Ok(figures)) => {
                total.steps += figures.steps;
                total.unsure += figures.unsure;
                total.bursts += figures.bursts;
                total.limited += figures.limited;
                done += 1;
                if done % 20 == 0 {
                    println!(
                        "{done} of {count} seeds after {:.0?}: {total:?}",
                        begun.elapsed()
                    );
                }
            }
            (seed, Err(failure)) => {
                playing.shutdown().await;
                println!(
                    "seed {seed} fails: {}\nlooking for a shorter story",
                    failure.text
                );
                let (story, failure) = shorten(story::tell(seed), failure, failing).await;
                let phases: String = story.iter().map(Phase::to_string).collect();
                panic!(
                    "seed {seed} fails. The shortest story that was found:\n\n{phases}\n{}",
                    failure.text
                );
            }
        }
    }
    println!("{done} seeds in {:.0?}: {total:?}", begun.elapsed());
    assert!(
        total.bursts == 0 || total.limited > 0,
        "nobody changed faster than is told"
    );
}

// ---------------------------------------------------------------------------------------------------------
// One user.

struct Member {
    id: usize,
    key: String,
    daemon: Arc<Daemon>,
    model: Model,
    /// By number.
    players: BTreeMap<usize, Player>,
    /// Those who are silent, since when, while the server has not noticed.
    dying: Vec<(usize, Player, Instant)>,
    /// When all that ends by itself will have ended.
    due: Instant,
    has_short_lease: bool,
    /// Nothing ends by itself at the moment.
    is_calm: bool,
    /// Something was done since the last quiet point.
    is_touched: bool,
    /// As in [`Figures`].
    bursts: usize,
    limited: usize,
}

fn payload(doing: Option<Doing>) -> Value {
    match doing {
        None => json!({"state": "OFFLINE"}),
        Some((state, None, None)) => json!({"state": state}),
        Some((state, game, None)) => json!({"state": state, "game_id": game}),
        Some((state, None, details)) => json!({"state": state, "details": details}),
        Some((state, game, details)) => {
            json!({"state": state, "game_id": game, "details": details})
        }
    }
}

fn activity(told: &Value) -> Option<&Value> {
    Some(told).filter(|told| told["state"] != "OFFLINE")
}

impl Member {
    async fn act(&mut self, op: &Op) -> Outcome {
        self.is_touched = true;
        match op {
            Op::Join(client, way) => self.join(*client, *way).await,
            Op::Report(client, doing) => self.report(*client, &[*doing]).await,
            Op::Burst(client, doings) => self.burst(*client, doings).await,
            Op::Leave(client, from_namespace) => {
                let Some(player) = self.players.remove(client) else {
                    return Ok(());
                };
                if *from_namespace {
                    player.disconnect();
                }
                player.send("1".to_owned());
                self.model.leave(*client);
                self.daemon.has_noticed(&player.sid).await
            }
            Op::Rejoin(client) => {
                self.bury().await?;
                let Some(player) = self.players.get_mut(client) else {
                    return Ok(());
                };
                player.disconnect();
                self.model.leave(*client);
                player.connect().await?;
                self.model.join(*client);
                Ok(())
            }
            Op::Lose(client, loss) => self.lose(*client, *loss).await,
            Op::Flap(client, loss, way, doing) => {
                self.lose(*client, *loss).await?;
                self.join(*client, *way).await?;
                self.report(*client, &[*doing]).await
            }
            Op::Upgrade(client, cut) => match self.players.get_mut(client) {
                Some(player) if player.is_polling => player.upgrade(*cut).await,
                _ => Ok(()),
            },
            Op::Watch(client, users) => self.watch(*client, users.as_deref()).await,
            Op::Get(client) => match self.players.get_mut(client) {
                Some(player) => player.ask("get-activities", &Value::Null).await.map(drop),
                None => Ok(()),
            },
            Op::Rotate => {
                self.bury().await?;
                self.key = self.daemon.rotate(self.id).await?;
                for player in std::mem::take(&mut self.players).into_values() {
                    // On long-polling a pong that is refused may come first.
                    player.ended(!player.is_polling).await?;
                }
                // With the key all is gone that was said with it.
                self.model.clear();
                Ok(())
            }
            Op::Lease(doing, is_short) => self.lease(*doing, *is_short).await,
        }
    }

    async fn join(&mut self, client: usize, way: Way) -> Outcome {
        // What is lost before it comes is another thing than what is lost after.
        self.bury().await?;
        if !self.players.contains_key(&client) {
            let player = Player::join(&self.daemon, &self.key, way).await?;
            self.players.insert(client, player);
            self.model.join(client);
        }
        Ok(())
    }

    async fn report(&mut self, client: usize, doings: &[Option<Doing>]) -> Outcome {
        let Some(player) = self.players.get_mut(&client) else {
            return Ok(());
        };
        let socket = player.socket();
        let begin =
            |doing: &Option<Doing>| (player.begin("set-activity", &payload(*doing)), *doing);
        let begun: Vec<_> = doings.iter().map(begin).collect();
        for (id, doing) in begun {
            let answer = player.answer(id).await?;
            if answer["status"] != "ok" {
                return Err(format!("a report was answered {answer}"));
            }
            self.model
                .report(client, &socket, doing, Instant::now(), GRACE);
            if self.is_calm && !self.model.clone().narrow(activity(&answer["activity"])) {
                return Err(format!(
                    "a report was answered {answer}, and not {}",
                    self.model.show()
                ));
            }
        }
        Ok(())
    }

    async fn burst(&mut self, client: usize, doings: &[Doing]) -> Outcome {
        let own = self.id as u64;
        let told = |member: &Self| {
            let player = member.players.get(&client);
            player.map(|player| player.view(|view| view.changes.get(&own).copied().unwrap_or(0)))
        };
        let before = told(self);
        let all: Vec<_> = doings.iter().copied().map(Some).collect();
        self.report(client, &all).await?;
        // Who does not watch itself, or lags, does not know how many there were.
        if let (Some(before), Some(after)) = (before, told(self))
            && (BURST..=doings.len()).contains(&(after - before))
        {
            self.bursts += 1;
            self.limited += usize::from(after - before < doings.len());
        }
        Ok(())
    }

    async fn lose(&mut self, client: usize, loss: Loss) -> Outcome {
        self.bury().await?;
        if let Some(player) = self.players.remove(&client) {
            let since = Instant::now();
            player.lose(loss);
            self.is_calm = false;
            self.dying.push((client, player, since));
        }
        // Of silence the server knows nothing yet, and life goes on.
        if loss == Loss::Silence {
            Ok(())
        } else {
            self.bury().await
        }
    }

    /// Waits until the server has noticed who is lost.
    async fn bury(&mut self) -> Outcome {
        for (client, player, since) in std::mem::take(&mut self.dying) {
            self.daemon.has_noticed(&player.sid).await?;
            self.model.lose(client, since);
            self.due = self.due.max(Instant::now() + GRACE);
        }
        Ok(())
    }

    async fn watch(&mut self, client: usize, users: Option<&[u64]>) -> Outcome {
        let Some(player) = self.players.get_mut(&client) else {
            return Ok(());
        };
        let only: Option<BTreeSet<u64>> =
            users.map(|users| users.iter().copied().chain([SENTINEL]).collect());
        match player.watch(only).await? {
            answer if answer["status"] == "ok" => Ok(()),
            answer => Err(format!("a watch was answered {answer}")),
        }
    }

    async fn lease(&mut self, doing: Option<Doing>, is_short: bool) -> Outcome {
        if self.has_short_lease {
            return Ok(());
        }
        let mut body = payload(doing);
        let ttl = if is_short { 1 } else { 600 };
        body["ttl_seconds"] = json!(ttl);
        let (method, body) = match doing {
            None => ("DELETE", String::new()),
            Some(_) => ("PUT", body.to_string()),
        };
        let (status, answer) = self
            .daemon
            .ask(method, "/api/users/me/activity", &self.key, &body)
            .await?;
        if !(200..300).contains(&status) {
            return Err(format!("{method} {body} was answered {status} {answer}"));
        }
        self.model.lease(doing, is_short);
        if is_short && doing.is_some() {
            self.has_short_lease = true;
            self.is_calm = false;
            self.due = self.due.max(Instant::now() + Duration::from_secs(ttl));
        }
        Ok(())
    }

    /// All that ends by itself has ended.
    fn settle(&mut self) {
        self.model.settle();
        self.has_short_lease = false;
        self.is_calm = true;
    }
}

// ---------------------------------------------------------------------------------------------------------
// All together.

struct Stage {
    daemon: Arc<Daemon>,
    members: Vec<Member>,
    sentinel_key: String,
    sentinel: Option<Player>,
    /// The number of the next quiet point.
    quiet: u64,
    /// What was told at the last.
    told: Told,
    figures: Figures,
}

async fn play(story: &Story) -> Result<Figures, Failure> {
    let fails = |phase, (users, text): Trouble| Failure { phase, users, text };
    let mut stage = Stage::set()
        .await
        .map_err(|text| fails(0, about([], text)))?;
    for (number, phase) in story.iter().enumerate() {
        let played = match phase {
            Phase::Round { stalled, steps } => stage.round(stalled, steps).await,
            Phase::Restart { kill } => stage.restart(*kill).await,
        };
        if let Err((users, text)) = played {
            let text = format!("{text}\n--- the server's log ---\n{}", stage.daemon.log());
            return Err(fails(number, (users, text)));
        }
    }
    let stopped = stage.daemon.stop(false).await;
    let stopped = stopped.and_then(|()| match stage.daemon.has_panicked() {
        true => Err(format!("the server panicked:\n{}", stage.daemon.log())),
        false => Ok(()),
    });
    stopped.map_err(|text| fails(story.len().saturating_sub(1), about([], text)))?;
    for member in &stage.members {
        stage.figures.bursts += member.bursts;
        stage.figures.limited += member.limited;
    }
    Ok(stage.figures)
}

/// Whom it is about, and what is wrong.
type Trouble = (BTreeSet<usize>, String);

fn about(users: impl IntoIterator<Item = usize>, text: impl Into<String>) -> Trouble {
    (users.into_iter().collect(), text.into())
}

fn about_all(text: String) -> Trouble {
    about([], text)
}

impl Stage {
    async fn set() -> Outcome<Self> {
        let daemon = Arc::new(Daemon::new(USERS + 1));
        let mut keys = daemon.start().await?;
        let sentinel_key = keys.pop().ok_or("a key")?;
        let member = |(index, key)| Member {
            id: index + 1,
            key,
            daemon: Arc::clone(&daemon),
            model: Model::default(),
            players: BTreeMap::new(),
            dying: Vec::new(),
            due: Instant::now(),
            has_short_lease: false,
            is_calm: true,
            is_touched: false,
            bursts: 0,
            limited: 0,
        };
        let members = keys.into_iter().enumerate().map(member).collect();
        let (sentinel, told, figures) = (None, Told::new(), Figures::default());
        Ok(Self {
            daemon,
            members,
            sentinel_key,
            sentinel,
            quiet: 0,
            told,
            figures,
        })
    }

    async fn newcomer(&self) -> Result<Player, Trouble> {
        let way = Way::WebSocket { is_narrow: false };
        Player::join(&self.daemon, &self.sentinel_key, way)
            .await
            .map_err(about_all)
    }

    /// What a newcomer is told.
    async fn snapshot(&self) -> Result<Told, Trouble> {
        let newcomer = self.newcomer().await?;
        Ok(newcomer.view(|view| view.known.clone()).unwrap_or_default())
    }

    async fn round(&mut self, stalled: &[usize], steps: &[(usize, Op)]) -> Result<(), Trouble> {
        let begun = Instant::now();
        self.stall(stalled, true);
        let mut acting = JoinSet::new();
        for mut member in self.members.drain(..) {
            let own: Vec<Op> = steps
                .iter()
                .filter(|(user, _)| *user == member.id)
                .map(|(_, op)| op.clone())
                .collect();
            acting.spawn(async move {
                for op in &own {
                    let acted = member.act(op).await;
                    acted.map_err(|text| {
                        about([member.id], format!("user {}, {op:?}: {text}", member.id))
                    })?;
                }
                Ok(member)
            });
        }
        while let Some(acted) = acting.join_next().await {
            self.members
                .push(acted.map_err(|panic| about_all(panic.to_string()))??);
        }
        self.members.sort_by_key(|member| member.id);
        self.figures.steps += steps.len();
        self.stall(stalled, false);
        // Who was not there for so long may be lost, and soon is.
        if begun.elapsed() > TIMEOUT / 3 {
            for client in stalled {
                let member = &mut self.members[story::user_of(*client) - 1];
                member
                    .act(&Op::Lose(*client, Loss::Reset))
                    .await
                    .map_err(about_all)?;
            }
        }
        self.quiet().await
    }

    fn stall(&self, stalled: &[usize], stall: bool) {
        for client in stalled {
            let player = self.members[story::user_of(*client) - 1]
                .players
                .get(client);
            player.into_iter().for_each(|player| player.stall(stall));
        }
    }

    /// Waits until all is done that follows from what was done, and compares.
    async fn quiet(&mut self) -> Result<(), Trouble> {
        let mut due = Instant::now();
        for member in &mut self.members {
            member
                .bury()
                .await
                .map_err(|text| about([member.id], text))?;
            due = due.max(member.due);
        }
        // The server's clock may be late.
        sleep((due + Duration::from_millis(100)).saturating_duration_since(Instant::now())).await;
        self.members.iter_mut().for_each(Member::settle);
        self.quiet += 1;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.snapshot().await?;
            let unlike = self.unlike_models(&told);
            match unlike {
                Ok(()) => break,
                Err(trouble) if Instant::now() > deadline => return Err(trouble),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
        self.tell_all().await?;
        let told = self.snapshot().await?;
        self.unlike_models(&told)?;
        for member in &mut self.members {
            let known = told.get(&(member.id as u64));
            self.figures.unsure += usize::from(member.model.worlds() > 1);
            member.model.narrow(known);
            let before = self.told.get(&(member.id as u64));
            if !member.is_touched && before != known {
                let text = format!(
                    "user {} did nothing, but was {before:?} and is {known:?}",
                    member.id
                );
                return Err(about([member.id], text));
            }
            member.is_touched = false;
        }
        for member in &mut self.members {
            for (client, player) in &mut member.players {
                believes(*client, player, self.quiet, &told)
                    .await
                    .map_err(|text| {
                        about(
                            [member.id],
                            format!("client {client} of user {}: {text}", member.id),
                        )
                    })?;
            }
        }
        let answer = self
            .daemon
            .ask("GET", "/api/activities", &self.sentinel_key, "")
            .await;
        let (status, body) = answer.map_err(about_all)?;
        let all: Vec<&Value> = told.values().collect();
        if status != 200 || serde_json::from_str(&body).ok() != Some(json!(all)) {
            return Err(about(
                [],
                format!("GET /api/activities says {status} {body}, and a snapshot {told:?}"),
            ));
        }
        self.told = told;
        Ok(())
    }

    /// Whether what is told follows from what was done.
    fn unlike_models(&self, told: &Told) -> Result<(), Trouble> {
        let mut trouble = Trouble::default();
        for member in &self.members {
            let known = told.get(&(member.id as u64));
            if !member.model.clone().narrow(known) {
                let should = member.model.show();
                trouble.0.insert(member.id);
                trouble.1 += &format!("user {} should be {should}, and is {known:?}\n", member.id);
            }
        }
        if trouble.0.is_empty() {
            Ok(())
        } else {
            Err(trouble)
        }
    }

    /// The sentinel reports what it never did before.
    async fn tell_all(&mut self) -> Result<(), Trouble> {
        if self.sentinel.is_none() {
            self.sentinel = Some(self.newcomer().await?);
        }
        if let Some(sentinel) = &mut self.sentinel {
            let doing = payload(Some(("PLAYING", Some(self.quiet), None)));
            sentinel
                .ask("set-activity", &doing)
                .await
                .map_err(about_all)?;
        }
        Ok(())
    }

    async fn restart(&mut self, kill: bool) -> Result<(), Trouble> {
        let players = || {
            self.members
                .iter()
                .flat_map(|member| member.players.values())
        };
        for player in players() {
            player.view(|view| view.is_last = true);
        }
        self.daemon.stop(kill).await.map_err(about_all)?;
        for player in players() {
            player.ended(false).await.map_err(about_all)?;
        }
        let since = Instant::now();
        self.daemon.start().await.map_err(about_all)?;
        self.sentinel = None;
        for member in &mut self.members {
            member.players.clear();
            member.model.restart(!kill, since);
            member.due = Instant::now() + GRACE;
            member.is_calm = false;
            member.is_touched = true;
        }
        if kill {
            // What was kept may be old, but then it is soon over.
            let deadline = Instant::now() + PATIENCE;
            loop {
                let told = self.snapshot().await?;
                if told.is_empty() {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(about(
                        [],
                        format!("nobody came back, but the server knows {told:?}"),
                    ));
                }
                sleep(Duration::from_millis(20)).await;
            }
        } else {
            let told = self.snapshot().await?;
            if Instant::now() < since + GRACE {
                self.unlike_models(&told)?;
            }
        }
        Ok(())
    }
}

/// Waits until a client has heard of quiet point `number`, and compares what it believes.
async fn believes(client: usize, player: &mut Player, number: u64, told: &Told) -> Outcome {
    let has_heard = |known: &Told| {
        known
            .get(&SENTINEL)
            .is_some_and(|activity| activity["game_id"] == number)
    };
    let heard = player.wait("the sentinel's report", |view| {
        view.known
            .as_ref()
            .filter(|known| has_heard(known))
            .map(drop)
    });
    heard.await?;
    let only = player.view(|view| view.only.clone());
    let is_among = |user: &u64| only.as_ref().is_none_or(|only| only.contains(user));
    let expected: Told = told
        .iter()
        .filter(|(user, _)| is_among(user))
        .map(|(user, told)| (*user, told.clone()))
        .collect();
    let compare = |known: &Told| {
        let users: BTreeSet<&u64> = known.keys().chain(expected.keys()).collect();
        let unlike = users
            .into_iter()
            .find(|user| known.get(user) != expected.get(user));
        unlike.map_or(Ok(()), |user| {
            let (known, told) = (known.get(user), expected.get(user));
            Err(format!(
                "it believes {known:?} of user {user}, and a newcomer is told {told:?}"
            ))
        })
    };
    player.view(|view| compare(view.known.as_ref().unwrap_or(&Told::new())))?;
    if client.is_multiple_of(7) {
        let answer = player.ask("get-activities", &Value::Null).await?;
        let answer = answer
            .as_array()
            .ok_or("get-activities is answered by no list")?;
        let told = answer
            .iter()
            .map(|told| (told["user_id"].as_u64().unwrap_or_default(), told.clone()));
        compare(&told.collect()).map_err(|text| format!("by get-activities {text}"))?;
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------
// A shorter story.

/// Leaves out what can be left out while `play` still fails, larger parts first.
async fn shorten<P, F>(mut story: Story, mut failure: Failure, play: P) -> (Story, Failure)
where
    P: Fn(Story) -> F,
    F: Future<Output = Option<(Story, Failure)>> + Send + 'static,
{
    let deadline = Instant::now() + Duration::from_secs(number("CONVERGENCE_SHRINK_SECONDS", 60));
    story.truncate(failure.phase + 1);
    let users = failure.users.clone();
    let of_users = story::keep(&story, |_, user| {
        user.is_none_or(|user| users.contains(&user))
    });
    if let Some(fails) = first_to_fail(vec![of_users], &play).await {
        (story, failure) = fails;
    }
    let mut size = story::parts(&story).div_ceil(2);
    while size > 0 && Instant::now() < deadline {
        let (count, mut from, mut is_shorter) = (story::parts(&story), 0, false);
        while from < count && Instant::now() < deadline {
            let starts = (0..8)
                .map(|next| from + next * size)
                .filter(|start| *start < count);
            let without =
                |start| story::keep(&story, |part, _| part < start || part >= start + size);
            let shorter = starts.map(without).collect();
            if let Some(fails) = first_to_fail(shorter, &play).await {
                (story, failure) = fails;
                is_shorter = true;
                break;
            }
            from += 8 * size;
        }
        story.truncate(failure.phase + 1);
        size = if is_shorter {
            size.min(story::parts(&story))
        } else {
            size / 2
        };
    }
    (story, failure)
}

async fn first_to_fail<P, F>(stories: Vec<Story>, play: &P) -> Option<(Story, Failure)>
where
    P: Fn(Story) -> F,
    F: Future<Output = Option<(Story, Failure)>> + Send + 'static,
{
    let mut playing: JoinSet<_> = stories.into_iter().map(play).collect();
    while let Some(played) = playing.join_next().await {
        if let Ok(Some(fails)) = played {
            return Some(fails);
        }
    }
    None
}

/// The story, and why it fails; none: it does not.
async fn failing(story: Story) -> Option<(Story, Failure)> {
    let failure = play(&story).await.err()?;
    Some((story, failure))
}

/// Faults that show when a few things happen in a certain order: those are what is left of the story.
#[test]
fn a_story_that_fails_is_cut_down_to_what_it_fails_for() {
    type Sign = fn(&Op) -> bool;
    let faults: [&[Sign]; 3] = [
        &[|op| matches!(op, Op::Rotate)],
        &[
            |op| matches!(op, Op::Lease(Some(_), _)),
            |op| matches!(op, Op::Flap(..)),
        ],
        &[
            |op| matches!(op, Op::Watch(..)),
            |op| matches!(op, Op::Rejoin(_)),
            |op| matches!(op, Op::Leave(..)),
        ],
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (seed, signs, needs_restart, knows_whom) in (1..=5).flat_map(|seed| {
        let variants = [(false, false), (false, true), (true, false)];
        let faults = faults.into_iter();
        faults.flat_map(move |signs| variants.map(|(restart, whom)| (seed, signs, restart, whom)))
    }) {
        let fails = move |story: &Story| {
            let mut signs = signs.iter().peekable();
            let mut has_restarted = !needs_restart;
            for (phase, what) in story.iter().enumerate() {
                let mut users = BTreeSet::new();
                match what {
                    Phase::Restart { .. } => has_restarted = true,
                    Phase::Round { steps, .. } => {
                        let met = steps
                            .iter()
                            .filter(|(_, op)| signs.next_if(|sign| sign(op)).is_some());
                        users.extend(met.map(|(user, _)| *user));
                    }
                }
                if signs.peek().is_none() && has_restarted {
                    let text = "the fault".to_owned();
                    users.retain(|_| knows_whom);
                    return Some(Failure { phase, users, text });
                }
            }
            None
        };
        let story = story::tell(seed);
        let Some(failure) = fails(&story) else {
            panic!("seed {seed} has no such things in it");
        };
        let play = move |story: Story| async move {
            let failure = fails(&story)?;
            Some((story, failure))
        };
        let (short, _) = runtime.block_on(shorten(story, failure, play));
        assert!(fails(&short).is_some(), "it fails no more");
        let expected = signs.len() + usize::from(needs_restart);
        let text: String = short.iter().map(Phase::to_string).collect();
        assert!(story::parts(&short) <= expected, "seed {seed}:\n{text}");
    }
}
