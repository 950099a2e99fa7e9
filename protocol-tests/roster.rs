//! The roster, in virtual time: the cases of `fixtures/presence-cases.txt`, each of which is also falsified; and long
//! random runs against a model that knows nothing but what was reported.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]
#![cfg(feature = "daemon")]

mod support;

use rollcall::{
    presence::{Activity, Change, Doing, Now, Rate, Roster, Rules, State},
    socketio::SocketId,
    users::UserId,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    env,
    fmt::Debug,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use support::Random;

/// When everything begins, in ms since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// Virtual time: so many milliseconds after the beginning.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn at(self, ms: u64) -> Now {
        Now {
            instant: self.0 + Duration::from_millis(ms),
            ms: EPOCH_MS + ms,
        }
    }

    fn ms(self, instant: Instant) -> u64 {
        let ms = instant.duration_since(self.0).as_millis();
        u64::try_from(ms).expect("not so late")
    }
}

/// Does what is due, which must come to an end.
fn all_due(roster: &mut Roster, now: Now) -> Vec<Change> {
    let changes = std::iter::from_fn(|| roster.timeout(now));
    let changes: Vec<Change> = changes.take(1000).collect();
    assert!(changes.len() < 1000, "what is due is done, and still due");
    changes
}

/// Nothing is kept of anybody, and nothing falls due.
fn is_empty(roster: &Roster) -> bool {
    format!("{roster:?}").contains("users: {}, timers: {}")
}

// ---------------------------------------------------------------------------------------------------------
// The cases.

const CASES: &str = include_str!("../fixtures/presence-cases.txt");

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[derive(Clone)]
struct Case {
    title: String,
    rules: Rules,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    number: usize,
    /// Milliseconds since the beginning.
    at: u64,
    text: String,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, text) in CASES.lines().enumerate() {
        if let Some(title) = text.strip_prefix("# ") {
            cases.push(Case {
                title: title.to_owned(),
                rules: Rules {
                    grace: Duration::from_secs(15),
                    rate: Rate::default(),
                },
                lines: Vec::new(),
            });
        } else if !text.is_empty() {
            let case = cases.last_mut().expect("a title");
            let words: Vec<&str> = text.split_whitespace().collect();
            match words[..] {
                ["grace", grace] => case.rules.grace = seconds(grace),
                ["rate", burst, "then", interval] => {
                    case.rules.rate = Rate {
                        burst: burst.parse().expect("a number"),
                        interval: seconds(interval),
                    }
                }
                _ => case.lines.push(line(index + 1, text, case.lines.last())),
            }
        }
    }
    cases
}

fn line(number: usize, text: &str, before: Option<&Line>) -> Line {
    let text = text.trim_start();
    let (first, rest) = text.split_once(' ').expect("two words");
    let (at, text) = match first.parse::<f64>() {
        Ok(_) => (ms(seconds(first)), rest.trim_start()),
        Err(_) => (before.expect("the time of the first line").at, text),
    };
    Line {
        number,
        at,
        text: text.to_owned(),
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().expect("a number of seconds"))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("not so long")
}

/// A roster, the names of its devices, and what it has answered that no line has named yet.
struct Play {
    clock: Clock,
    roster: Roster,
    devices: HashMap<String, SocketId>,
    effects: VecDeque<Effect>,
    seq: u64,
    now: u64,
}

struct Effect {
    at: u64,
    /// How it may stand in a line: without since and seq, with the one, the other, or both.
    texts: Vec<String>,
}

impl Case {
    /// # Errors
    /// The line that does not fit, and why.
    fn play(&self) -> Result<(), String> {
        let mut play = Play {
            clock: Clock(Instant::now()),
            roster: Roster::new(self.rules.clone()),
            devices: HashMap::new(),
            effects: VecDeque::new(),
            seq: 0,
            now: 0,
        };
        for line in &self.lines {
            let outcome = play.line(line);
            outcome.map_err(|why| format!("line {}, {}: {why}", line.number, line.text))?;
        }
        play.end().map_err(|why| format!("at the end: {why}"))
    }
}

impl Play {
    fn line(&mut self, line: &Line) -> Result<(), String> {
        self.advance(line.at)?;
        if line.text.starts_with(['<', '=', '~']) {
            let effect = self.effects.pop_front().ok_or("nothing happens")?;
            let fits = effect.at == line.at && effect.texts.contains(&line.text);
            return if fits {
                Ok(())
            } else {
                Err(effect.to_string())
            };
        }
        self.all_is_named()?;
        match line.text.strip_prefix("all: ") {
            Some(all) => self.all(all),
            None => self.act(line.at, &line.text),
        }
    }

    /// Nothing else happens. Then everyone leaves, and nothing is kept.
    fn end(&mut self) -> Result<(), String> {
        let end = self.drain()?;
        self.all_is_named()?;
        for (name, id) in self.devices.clone() {
            let change = self.roster.leave(self.clock.at(end), user(&name), id);
            self.seq += u64::from(matches!(change, Change::Tell(_)));
        }
        self.drain()?;
        if self.roster.activities().next().is_some() || !is_empty(&self.roster) {
            return Err(format!("something is left: {:?}", self.roster));
        }
        Ok(())
    }

    /// Until nothing falls due any more; says when that is.
    fn drain(&mut self) -> Result<u64, String> {
        while let Some(deadline) = self.roster.deadline() {
            self.advance(self.clock.ms(deadline))?;
        }
        Ok(self.now)
    }

    fn advance(&mut self, to: u64) -> Result<(), String> {
        while let Some(deadline) = self.roster.deadline() {
            let at = self.clock.ms(deadline);
            if at > to {
                break;
            }
            for change in all_due(&mut self.roster, self.clock.at(at)) {
                // What changes nothing is nobody's business: there is no sender.
                if matches!(change, Change::Tell(_)) {
                    self.happens(at, change);
                }
            }
            if self.roster.deadline().is_some_and(|next| next <= deadline) {
                return Err("what is due is done, and still due".to_owned());
            }
            self.now = at;
        }
        assert_eq!(self.roster.seq(), self.seq);
        self.now = self.now.max(to);
        Ok(())
    }

    fn act(&mut self, at: u64, text: &str) -> Result<(), String> {
        let now = self.clock.at(at);
        if let Some(saved) = text.strip_prefix("saved ") {
            let activity = self.saved(saved);
            self.roster.restore(now, [activity]);
            return Ok(());
        }
        let (name, what) = text.split_once(' ').ok_or("a device, and what it does")?;
        let is_new = !self.devices.contains_key(name);
        let (user, id) = (user(name), self.id(name));
        let is_lease = what.starts_with("leases ") || what == "takes its lease back";
        if is_new && !is_lease {
            self.roster.join(user, id);
        }
        let change = match what {
            "comes" => return Ok(()),
            "leaves" => self.roster.leave(now, user, id),
            "is lost" => self.roster.lose(now, user, id),
            "takes its lease back" => self.roster.lease(now, user, id, None, Duration::ZERO),
            _ => match what.strip_prefix("leases ") {
                Some(what) => {
                    let (what, ttl) = what.rsplit_once(" for ").ok_or("for how long?")?;
                    let doing = doing(what);
                    self.roster.lease(now, user, id, doing, seconds(ttl))
                }
                None => self.roster.report(now, user, id, doing(what)),
            },
        };
        // Whoever leaves hears nothing more.
        let hears = !matches!(what, "leaves" | "is lost");
        if hears || !matches!(change, Change::Known(_)) {
            self.happens(at, change);
        }
        Ok(())
    }

    fn happens(&mut self, at: u64, change: Change) {
        let (sign, activity, seq) = match change {
            Change::Tell(published) => {
                self.seq += 1;
                assert_eq!(published.seq, self.seq, "the next number");
                ("<", published.activity, Some(published.seq))
            }
            Change::Known(activity) => ("=", activity, None),
            Change::Later(activity) => ("~", activity, None),
        };
        let text = format!("{sign} {}", self.show(&activity));
        let since = format!("{text}{}", show_since(&activity));
        let mut texts = vec![text, since];
        if let Some(seq) = seq {
            texts.extend(texts.clone().iter().map(|text| format!("{text} seq {seq}")));
        }
        self.effects.push_back(Effect { at, texts });
    }

    /// What a newcomer is told: `expected`, each with or without since.
    fn all(&self, expected: &str) -> Result<(), String> {
        let all: Vec<&Activity> = self.roster.activities().collect();
        let shown = |with_since: bool| {
            let shown = all.iter().map(|activity| {
                let since = with_since.then(|| show_since(activity));
                format!("{}{}", self.show(activity), since.unwrap_or_default())
            });
            match shown.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "nobody".to_owned(),
                all => all,
            }
        };
        for activity in &all {
            assert_eq!(self.roster.activity(activity.user_id), Some(*activity));
        }
        if expected == shown(false) || expected == shown(true) {
            Ok(())
        } else {
            Err(format!("it is {}", shown(true)))
        }
    }

    fn all_is_named(&self) -> Result<(), String> {
        match self.effects.front() {
            Some(effect) => Err(format!("before it came {effect}")),
            None => Ok(()),
        }
    }

    /// `alice PLAYING 7 desk since -5`.
    fn saved(&mut self, text: &str) -> Activity {
        let (text, since) = text.rsplit_once(" since -").expect("since when");
        let (text, device) = text.rsplit_once(' ').expect("a device");
        let (name, what) = text.split_once(' ').expect("a user, and what it does");
        Activity {
            user_id: user(name),
            socket_id: self.id(&format!("{name}.{device}")),
            doing: doing(what),
            since: EPOCH_MS - ms(seconds(since)),
        }
    }

    fn id(&mut self, name: &str) -> SocketId {
        let new = || SocketId::random().expect("random numbers");
        *self.devices.entry(name.to_owned()).or_insert_with(new)
    }

    fn show(&self, activity: &Activity) -> String {
        let known = self.devices.iter();
        let mut named = known.filter(|(_, id)| **id == activity.socket_id);
        let (name, _) = named.next().expect("a device of the case");
        let (user, device) = name.split_once('.').expect("a user and a device");
        assert_eq!(self::user(name), activity.user_id, "a device of its own");
        let what = match &activity.doing {
            None => "OFFLINE".to_owned(),
            Some(doing) => {
                let game = match doing.state {
                    State::Playing { game_id: Some(id) } => format!(" {id}"),
                    _ => String::new(),
                };
                let details = doing.details.as_ref();
                let details = details.map(|details| format!(" \"{details}\""));
                let name = State::name(Some(doing.state));
                format!("{name}{game}{}", details.unwrap_or_default())
            }
        };
        format!("{user} {what} {device}")
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.texts.last().expect("a text");
        write!(f, "{text}, at {}", self.at as f64 / 1000.0)
    }
}

fn show_since(activity: &Activity) -> String {
    let ms = activity.since as f64 - EPOCH_MS as f64;
    format!(" since {}", ms / 1000.0)
}

/// `alice`, or `alice.desk`.
fn user(name: &str) -> UserId {
    let name = name.split('.').next().expect("a user");
    let place = USERS.iter().position(|user| *user == name);
    1 + place.unwrap_or_else(|| panic!("no user: {name}")) as UserId
}

/// `PLAYING 7 "in a raid"`, `OFFLINE`.
fn doing(text: &str) -> Option<Doing> {
    let (text, details) = match text.split_once(" \"") {
        Some((text, details)) => (text, Some(details.trim_end_matches('"'))),
        None => (text, None),
    };
    let state = match text.split_once(' ') {
        None if text == "OFFLINE" => return None,
        None if text == "ONLINE" => State::Online,
        None if text == "BUSY" => State::Busy,
        None if text == "PLAYING" => State::Playing { game_id: None },
        Some(("PLAYING", id)) => State::Playing {
            game_id: Some(id.parse().expect("a game")),
        },
        _ => panic!("no state: {text}"),
    };
    Some(Doing {
        state,
        details: details.map(Arc::from),
    })
}

#[test]
fn the_cases_come_true() {
    let cases = cases();
    assert!(cases.len() > 50, "the cases are all there");
    let outcomes = cases.iter().map(|case| (case, case.play()));
    let wrong: Vec<String> = outcomes
        .filter_map(|(case, outcome)| Some(format!("{}: {}", case.title, outcome.err()?)))
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A case from which an effect is missing, or in which it is another, must not come true.
#[test]
fn no_false_case_comes_true() {
    for case in cases() {
        for (place, line) in case.lines.iter().enumerate() {
            let is_effect = line.text.starts_with(['<', '=', '~']);
            let mut others = Vec::new();
            if is_effect {
                let mut missing = case.clone();
                missing.lines.remove(place);
                others.push(missing);
                let mut later = case.clone();
                for line in &mut later.lines[place..] {
                    line.at += 1;
                }
                others.push(later);
            }
            if is_effect || line.text.starts_with("all: ") {
                let mut another = case.clone();
                another.lines[place].text.push_str(" seq 999");
                others.push(another);
            }
            for other in others {
                assert!(
                    other.play().is_err(),
                    "{}: it does not depend on line {}, {}",
                    case.title,
                    line.number,
                    line.text
                );
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// The model.

/// All that was said and still holds. It knows nothing of what is published; times are in ms.
#[derive(Default)]
struct Model {
    claims: Vec<Claim>,
    /// When a socket came, as a count of steps, until it has reported.
    fresh: HashMap<SocketId, u64>,
}

#[derive(Debug)]
struct Claim {
    user: UserId,
    by: By,
    doing: Doing,
    shown_as: SocketId,
    /// In which step the state or the game last changed.
    changed: u64,
}

#[derive(Debug, PartialEq)]
enum By {
    Socket(SocketId),
    Lost { step: u64, until: u64 },
    Lease { until: u64 },
}

impl Model {
    fn report(&mut self, step: u64, user: UserId, id: SocketId, doing: Option<Doing>) {
        if let Some(came) = self.fresh.remove(&id) {
            let lost = self.claims.iter_mut().filter(|claim| claim.user == user);
            let left = |claim: &Claim| match claim.by {
                By::Lost { step, .. } if step < came => Some(step),
                _ => None,
            };
            let lost = lost.filter(|claim| left(claim).is_some());
            if let Some(claim) = lost.min_by_key(|claim| left(claim)) {
                claim.by = By::Socket(id);
            }
        }
        self.say(step, user, By::Socket(id), id, doing);
    }

    fn say(&mut self, step: u64, user: UserId, by: By, id: SocketId, doing: Option<Doing>) {
        let same = |claim: &Claim| match (&claim.by, &by) {
            (By::Lease { .. }, By::Lease { .. }) => claim.user == user,
            (one, other) => one == other,
        };
        let before = self.claims.iter().position(same);
        let before = before.map(|place| self.claims.swap_remove(place));
        let Some(doing) = doing else { return };
        let is_lease = matches!(by, By::Lease { .. });
        let (shown_as, changed) = match before {
            Some(claim) if claim.doing.state == doing.state => (claim.shown_as, claim.changed),
            Some(claim) if is_lease => (claim.shown_as, step),
            _ => (id, step),
        };
        self.claims.push(Claim {
            user,
            by,
            doing,
            shown_as,
            changed,
        });
    }

    fn lose(&mut self, step: u64, id: SocketId, until: u64) {
        let mut claims = self.claims.iter_mut();
        if let Some(claim) = claims.find(|claim| claim.by == By::Socket(id)) {
            claim.by = By::Lost { step, until };
        }
    }

    fn expire(&mut self, now: u64) {
        self.claims.retain(|claim| match claim.by {
            By::Socket(_) => true,
            By::Lost { until, .. } | By::Lease { until } => until > now,
        });
    }

    /// What follows for a user.
    fn top(&self, user: UserId) -> Option<(&Doing, SocketId)> {
        let rank = |claim: &&Claim| {
            let state = State::name(Some(claim.doing.state));
            let rank = ["ONLINE", "BUSY", "PLAYING"]
                .iter()
                .position(|it| *it == state);
            (rank, claim.changed)
        };
        let claims = self.claims.iter().filter(|claim| claim.user == user);
        let claim = claims.max_by_key(rank)?;
        Some((&claim.doing, claim.shown_as))
    }
}

/// How a user was shown who was offline.
struct Offline {
    since: u64,
    /// None: it was before a restart.
    shown_as: Option<SocketId>,
    /// Whether all were told.
    was_told: bool,
}

impl Offline {
    fn of(activity: &Activity, was_told: bool) -> Self {
        Self {
            since: activity.since,
            shown_as: Some(activity.socket_id),
            was_told,
        }
    }
}

/// The roster, the model, and one who hears all that is told.
struct Run {
    clock: Clock,
    rules: Rules,
    roster: Roster,
    model: Model,
    heard: BTreeMap<UserId, Activity>,
    offline: BTreeMap<UserId, Offline>,
    seq: u64,
    /// By user: how many ms of changes it has saved up, and when that was.
    saved: HashMap<UserId, (u64, u64)>,
    now: u64,
    step: u64,
}

impl Run {
    fn may_change(&self, user: UserId) -> u64 {
        let interval = ms(self.rules.rate.interval);
        let most = interval * u64::from(self.rules.rate.burst);
        let (saved, at) = self.saved.get(&user).copied().unwrap_or((most, self.now));
        most.min(saved + (self.now - at))
    }

    fn hear(&mut self, change: Change) {
        match change {
            Change::Tell(published) => {
                let activity = published.activity;
                let user = activity.user_id;
                self.seq += 1;
                assert_eq!(published.seq, self.seq, "the next number");
                let saved = self.may_change(user);
                let rest = saved.checked_sub(ms(self.rules.rate.interval));
                let rest = rest.expect("a user who may change");
                self.saved.insert(user, (rest, self.now));
                let before = self.heard.remove(&user);
                assert!(before.is_some() || activity.doing.is_some(), "no news");
                assert_ne!(before.as_ref(), Some(&activity), "no news");
                let state = |activity: &Activity| activity.doing.as_ref().map(|it| it.state);
                let same = before.filter(|before| state(before) == state(&activity));
                let since = same.map_or(EPOCH_MS + self.now, |before| before.since);
                assert_eq!(activity.since, since, "since when");
                if activity.doing.is_some() {
                    self.heard.insert(user, activity);
                } else {
                    self.offline.insert(user, Offline::of(&activity, true));
                }
            }
            Change::Known(activity) => match self.heard.get(&activity.user_id) {
                Some(known) => assert_eq!(known, &activity, "known"),
                // However often it is said, and by whom: the same as before.
                None => {
                    assert_eq!(activity.doing, None, "known");
                    let said = Offline::of(&activity, false);
                    let known = self.offline.entry(activity.user_id).or_insert(said);
                    let shown_as = *known.shown_as.get_or_insert(activity.socket_id);
                    let shown = (activity.since, activity.socket_id);
                    assert_eq!((known.since, shown_as), shown, "known to be offline");
                }
            },
            Change::Later(activity) => {
                let top = self.model.top(activity.user_id);
                let top = top.map(|(doing, _)| doing);
                assert_eq!(top, activity.doing.as_ref(), "later");
            }
        }
    }

    /// To `time`, at the moments at which something falls due, or only then, as when the machine was busy.
    fn advance(&mut self, time: u64, is_punctual: bool) {
        while let Some(deadline) = self.roster.deadline() {
            let due = self.clock.ms(deadline);
            if due > time {
                break;
            }
            self.now = if is_punctual { due } else { time };
            self.model.expire(self.now);
            for change in all_due(&mut self.roster, self.clock.at(self.now)) {
                self.hear(change);
            }
            self.check();
        }
        self.now = time;
        self.model.expire(time);
    }

    fn check(&self) {
        assert_eq!(self.roster.seq(), self.seq);
        let due = self.roster.deadline().map(|due| self.clock.ms(due));
        assert!(due.is_none_or(|due| due > self.now), "{due:?} is due");
        assert!(self.roster.activities().eq(self.heard.values()));
        let told = self.offline.iter().filter(|(_, it)| it.was_told);
        let told = told.map(|(user, it)| (*user, it.since));
        assert!(self.roster.last_seen().eq(told), "last seen");
        for user in 1..=Self::USERS {
            assert_eq!(self.roster.activity(user), self.heard.get(&user));
            let known = self.heard.get(&user);
            let known = known.map(|known| (known.doing.as_ref().expect("online"), known.socket_id));
            let has_to_wait = self.may_change(user) < ms(self.rules.rate.interval);
            if !has_to_wait {
                assert_eq!(known, self.model.top(user), "user {user} at {}", self.now);
            }
        }
    }

    /// All sockets are gone, and what was published is what is left.
    fn restart(&mut self) {
        let saved: Vec<Activity> = self.heard.values().cloned().collect();
        let until = self.now + ms(self.rules.grace);
        self.model = Model::default();
        for activity in &saved {
            self.model.claims.push(Claim {
                user: activity.user_id,
                by: By::Lost { step: 0, until },
                doing: activity.doing.clone().expect("online"),
                shown_as: activity.socket_id,
                changed: 0,
            });
        }
        self.roster = Roster::new(self.rules.clone());
        self.roster.restore(self.clock.at(self.now), saved);
        self.offline.retain(|_, it| it.was_told);
        self.offline.values_mut().for_each(|it| it.shown_as = None);
        let told = self.offline.iter().map(|(user, it)| (*user, it.since));
        self.roster.restore_last_seen(told);
        self.saved.clear();
        self.seq = 0;
        self.advance(self.now, true);
    }

    const USERS: u64 = 4;

    fn new(random: &mut Random) -> Self {
        let rules = Rules {
            grace: Duration::from_millis(random.below(3) * 400),
            rate: Rate {
                burst: 1 + u32::try_from(random.below(8)).expect("a small number"),
                interval: Duration::from_millis(1 + random.below(200)),
            },
        };
        Self {
            clock: Clock(Instant::now()),
            roster: Roster::new(rules.clone()),
            rules,
            model: Model::default(),
            heard: BTreeMap::new(),
            offline: BTreeMap::new(),
            seq: 0,
            saved: HashMap::new(),
            now: 0,
            step: 0,
        }
    }

    fn run(seed: u64, steps: u64, tells: bool) {
        let mut random = Random::new(seed);
        let mut run = Self::new(&mut random);
        let mut sockets: Vec<(UserId, SocketId)> = Vec::new();
        let new = || SocketId::random().expect("random numbers");
        let say = |what: &dyn Fn() -> String| {
            if tells {
                println!("{}", what());
            }
        };
        // Some runs are crowded, in others it happens that everyone is gone.
        let crowd = 2 + random.below(12);
        for step in 1..=steps {
            run.step = step;
            let pause = match random.below(4) {
                0 | 1 => 0,
                2 => random.below(50),
                _ => random.below(600),
            };
            run.advance(run.now + pause, random.chance(70));
            let now = run.clock.at(run.now);
            let at = run.now;
            let until = run.now + ms(run.rules.grace);
            let place = random.below(crowd) as usize;
            let Some(&(user, id)) = sockets.get(place) else {
                let (user, id) = (1 + random.below(Self::USERS), new());
                say(&|| format!("{at} user {user}: {id} comes"));
                sockets.push((user, id));
                run.model.fresh.insert(id, step);
                run.roster.join(user, id);
                run.check();
                continue;
            };
            let change = match random.below(100) {
                0 if random.chance(10) => {
                    say(&|| format!("{at} restart"));
                    sockets.clear();
                    run.restart();
                    run.check();
                    continue;
                }
                0..12 => {
                    say(&|| format!("{at} user {user}: {id} is lost"));
                    sockets.swap_remove(place);
                    run.model.lose(step, id, until);
                    run.model.expire(at);
                    run.roster.lose(now, user, id)
                }
                12..18 => {
                    say(&|| format!("{at} user {user}: {id} leaves"));
                    sockets.swap_remove(place);
                    run.model.say(step, user, By::Socket(id), id, None);
                    run.roster.leave(now, user, id)
                }
                18..26 => {
                    let ttl = 1 + random.below(1000);
                    let (id, doing) = (new(), anything(&mut random));
                    say(&|| format!("{at} user {user}: {id} leases {doing:?} for {ttl}"));
                    let by = By::Lease { until: at + ttl };
                    run.model.say(step, user, by, id, doing.clone());
                    let ttl = Duration::from_millis(ttl);
                    run.roster.lease(now, user, id, doing, ttl)
                }
                _ => {
                    let doing = anything(&mut random);
                    say(&|| format!("{at} user {user}: {id} reports {doing:?}"));
                    run.model.report(step, user, id, doing.clone());
                    run.roster.report(now, user, id, doing)
                }
            };
            run.hear(change);
            run.check();
        }
        for (user, id) in sockets {
            run.model.say(0, user, By::Socket(id), id, None);
            let change = run.roster.leave(run.clock.at(run.now), user, id);
            run.hear(change);
        }
        while let Some(deadline) = run.roster.deadline() {
            run.advance(run.clock.ms(deadline), true);
        }
        assert!(run.heard.is_empty() && is_empty(&run.roster));
    }
}

/// Few of each, so that often it is the same again.
fn anything(random: &mut Random) -> Option<Doing> {
    let state = match random.below(6) {
        0 => return None,
        1 => State::Online,
        2 | 3 => State::Busy,
        _ => State::Playing {
            game_id: [None, Some(0), Some(1)][random.below(3) as usize],
        },
    };
    let details = random.chance(30).then(|| Arc::from("in a raid"));
    Some(Doing { state, details })
}

fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect(name))
}

/// `ROSTER_STEPS` takes more of them than the test does by itself; `ROSTER_SEED` takes one run alone, and tells what
/// happens in it.
#[test]
fn what_is_told_is_what_follows_from_the_reports() {
    const STEPS: u64 = 500;
    if let Some(seed) = setting("ROSTER_SEED") {
        return Run::run(seed, STEPS, true);
    }
    let steps: u64 = setting("ROSTER_STEPS").unwrap_or(2_000_000);
    for seed in 1..=steps / STEPS {
        let run = std::panic::catch_unwind(|| Run::run(seed, STEPS, false));
        assert!(run.is_ok(), "it went wrong: ROSTER_SEED={seed}");
    }
}
