//! The outbound seam: whatever is handed in comes out in one order, wakes whoever waits, and costs no more than it
//! may; whoever lagged behind is brought up to date.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use rollcall::engineio::{
    CloseReason, Frame,
    outbound::{
        Budget, Delivery, Herald, Inbox, Moment, Order, Outbound, Owner, Repair, Subscription,
        Topic,
    },
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};
use support::Random;

/// Room enough to be no matter.
const ROOMY: usize = 64 << 20;

fn frame(text: impl Into<String>) -> Frame {
    Frame::text(text.into())
}

fn text(frame: &Frame) -> String {
    String::from_utf8(frame.bytes().to_vec()).expect("a frame is UTF-8")
}

/// Whether nobody else holds the frame any more.
fn is_alone(frame: &Frame) -> bool {
    frame.bytes().is_unique()
}

fn send(inbox: &Inbox, text: impl Into<String>) {
    inbox.push(Order::Send(frame(text)));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    fn new() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    /// How often since it was asked last.
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// A session's end of the seam, pulled by hand.
struct Session {
    inbox: Arc<Inbox>,
    outbound: Outbound,
}

impl Session {
    fn new(capacity: usize) -> Self {
        let inbox = Arc::new(Inbox::new(capacity));
        let outbound = Outbound::new(Arc::clone(&inbox));
        Self { inbox, outbound }
    }

    fn poll(&mut self) -> Poll<Delivery> {
        self.poll_with(Waker::noop())
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Delivery> {
        self.outbound.poll_next(&mut Context::from_waker(waker))
    }

    /// The next frame's text; none if nothing waits.
    #[track_caller]
    fn next(&mut self) -> Option<String> {
        match self.poll() {
            Poll::Ready(Delivery::Frame(frame)) => Some(text(&frame)),
            Poll::Ready(Delivery::Close(reason)) => panic!("closed: {reason}"),
            Poll::Pending => None,
        }
    }

    /// All that waits.
    #[track_caller]
    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    #[track_caller]
    fn closes(&mut self, reason: CloseReason) {
        match self.poll() {
            Poll::Ready(Delivery::Close(closed)) => assert_eq!(closed, reason),
            other => panic!("not closed, but {other:?}"),
        }
    }

    fn follow(&self, subscription: Subscription) {
        self.inbox.push(Order::Follow(subscription.into()));
    }
}

/// For topics whose ring is large enough.
struct NeverLags;

impl Repair for NeverLags {
    fn repair(self: Arc<Self>) -> Subscription {
        panic!("nobody lags behind here");
    }
}

/// A topic whose truth is a number: what is published counts up, and a snapshot says how far it is.
struct Counting {
    topic: Topic,
    count: Mutex<u64>,
    repairs: AtomicUsize,
    /// Whether those who lag behind begin with the same for as long as that is recent, and with what.
    shares: bool,
    opening: Mutex<Option<(Moment, Frame)>>,
}

impl Counting {
    fn new(ring: usize) -> Arc<Self> {
        Self::with(ring, false)
    }

    fn with(ring: usize, shares: bool) -> Arc<Self> {
        Arc::new(Self {
            topic: Topic::new(ring),
            count: Mutex::default(),
            repairs: AtomicUsize::new(0),
            shares,
            opening: Mutex::default(),
        })
    }

    /// Counts one up, and says so.
    fn publish(&self) -> u64 {
        let mut count = self.count.lock().expect("no panic under it");
        *count += 1;
        self.topic.publish(frame(format!("change {count}")));
        *count
    }

    fn subscribe(self: &Arc<Self>) -> Subscription {
        let count = self.count.lock().expect("no panic under it");
        let snapshot = frame(format!("snapshot {count}"));
        let repair = Arc::clone(self) as Arc<dyn Repair>;
        self.topic.subscribe(Some(snapshot), repair)
    }

    fn count(&self) -> u64 {
        *self.count.lock().expect("no panic under it")
    }

    fn subscribe_to_what_is_shared(self: &Arc<Self>) -> Subscription {
        let count = self.count.lock().expect("no panic under it");
        let mut shared = self.opening.lock().expect("no panic under it");
        let recent = shared
            .take()
            .filter(|(moment, _)| self.topic.is_recent(*moment));
        let opening =
            recent.unwrap_or_else(|| (self.topic.moment(), frame(format!("snapshot {count}"))));
        let (moment, snapshot) = shared.insert(opening).clone();
        let repair = Arc::clone(self) as Arc<dyn Repair>;
        self.topic.subscribe_since(moment, Some(snapshot), repair)
    }
}

impl Repair for Counting {
    fn repair(self: Arc<Self>) -> Subscription {
        self.repairs.fetch_add(1, Ordering::SeqCst);
        match self.shares {
            true => self.subscribe_to_what_is_shared(),
            false => self.subscribe(),
        }
    }
}

/// What a client of a [`Counting`] topic believes.
#[derive(Default)]
struct View {
    count: u64,
    snapshots: usize,
}

impl View {
    /// Takes what came from the topic: a change must be the next one, a snapshot must not lead back.
    #[track_caller]
    fn apply(&mut self, frame: &str) {
        let (kind, count) = frame.split_once(' ').expect("two words");
        let count: u64 = count.parse().expect("a number");
        match kind {
            "change" => {
                assert!(self.snapshots > 0, "a change before what it builds upon");
                assert_eq!(count, self.count + 1, "not the next change");
            }
            "snapshot" => {
                assert!(count >= self.count, "back from {} to {count}", self.count);
                self.snapshots += 1;
            }
            _ => panic!("unknown: {frame}"),
        }
        self.count = count;
    }
}

// ---------------------------------------------------------------------------------------------------------
// One order.

#[test]
fn frames_come_in_the_order_in_which_they_were_handed_in() {
    for seed in 1..=500 {
        let mut random = Random::new(seed);
        let topics: Vec<Topic> = (0..1 + random.below(4)).map(|_| Topic::new(1024)).collect();
        let mut follows = vec![false; topics.len()];
        let mut session = Session::new(ROOMY);
        let mut expected = VecDeque::new();
        for step in 0..random.below(300) {
            match random.below(10) {
                0..=2 => {
                    let text = format!("private {step}");
                    send(&session.inbox, &text);
                    expected.push_back(text);
                }
                3..=6 => {
                    let topic = random.below(topics.len() as u64) as usize;
                    let text = format!("topic {topic} {step}");
                    topics[topic].publish(frame(&text));
                    if follows[topic] {
                        expected.push_back(text);
                    }
                }
                7 => {
                    let topic = random.below(topics.len() as u64) as usize;
                    if !follows[topic] {
                        follows[topic] = true;
                        let opening = random.chance(50).then(|| format!("opening {topic} {step}"));
                        let subscription = topics[topic]
                            .subscribe(opening.clone().map(frame), Arc::new(NeverLags));
                        session.follow(subscription);
                        expected.extend(opening);
                    }
                }
                8 if random.chance(10) => {
                    session.inbox.push(Order::Unfollow(Owner::default()));
                    follows.fill(false);
                }
                8 => {
                    for _ in 0..random.below(6) {
                        assert_eq!(session.next(), expected.pop_front(), "seed {seed}");
                    }
                }
                _ => {
                    let drained = session.drain();
                    assert_eq!(
                        drained,
                        expected.drain(..).collect::<Vec<_>>(),
                        "seed {seed}"
                    );
                }
            }
        }
        assert_eq!(session.drain(), Vec::from(expected), "seed {seed}");
    }
}

#[test]
fn many_sessions_see_one_order() {
    let topics = [Topic::new(1024), Topic::new(1024)];
    let mut sessions: Vec<Session> = (0..5).map(|_| Session::new(ROOMY)).collect();
    for session in &sessions {
        for topic in &topics {
            session.follow(topic.subscribe(None, Arc::new(NeverLags)));
        }
    }
    let mut random = Random::new(7);
    let mut seen = vec![Vec::new(); sessions.len()];
    let mut expected = Vec::new();
    for number in 0..500 {
        let text = format!("frame {number}");
        topics[random.below(2) as usize].publish(frame(&text));
        expected.push(text);
        let session = random.below(5) as usize;
        for _ in 0..random.below(4) {
            seen[session].extend(sessions[session].next());
        }
    }
    for (session, mut seen) in sessions.iter_mut().zip(seen) {
        seen.extend(session.drain());
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_was_caused_comes_before_the_answer_that_was_given_afterwards() {
    let topic = Topic::new(16);
    let mut session = Session::new(ROOMY);
    session.follow(topic.subscribe(Some(frame("snapshot")), Arc::new(NeverLags)));
    topic.publish(frame("caused"));
    send(&session.inbox, "answer");
    topic.publish(frame("later"));
    assert_eq!(session.drain(), ["snapshot", "caused", "answer", "later"]);
    // The same when the first of them was looked at before the rest came.
    topic.publish(frame("caused again"));
    assert_eq!(session.next().as_deref(), Some("caused again"));
    send(&session.inbox, "answer");
    topic.publish(frame("later"));
    send(&session.inbox, "answer to that");
    assert_eq!(session.drain(), ["answer", "later", "answer to that"]);
}

#[test]
fn a_newcomer_is_told_nothing_twice_and_misses_nothing() {
    let counting = Counting::new(1024);
    for joins_after in 0..20 {
        let mut session = Session::new(ROOMY);
        let mut view = View::default();
        send(&session.inbox, "welcome");
        session.follow(counting.subscribe());
        for _ in 0..joins_after {
            counting.publish();
        }
        assert_eq!(session.next().as_deref(), Some("welcome"));
        for frame in session.drain() {
            view.apply(&frame);
        }
        assert_eq!((view.count, view.snapshots), (counting.count(), 1));
    }
    assert_eq!(counting.repairs.load(Ordering::SeqCst), 0);
}

#[test]
fn nothing_that_was_published_before_reaches_a_follower() {
    let topic = Topic::new(16);
    topic.publish(frame("nobody hears this"));
    let mut session = Session::new(ROOMY);
    let subscription = topic.subscribe(None, Arc::new(NeverLags));
    topic.publish(frame("between"));
    session.follow(subscription);
    assert_eq!(
        session.drain(),
        ["between"],
        "a subscription begins where it was made"
    );
}

// ---------------------------------------------------------------------------------------------------------
// Waking.

#[test]
fn whoever_waits_is_woken_when_something_comes_and_only_then() {
    let topic = Topic::new(16);
    let other = Topic::new(16);
    let (woken, waker) = Counter::new();
    let mut session = Session::new(ROOMY);

    assert!(session.poll_with(&waker).is_pending());
    assert!(session.poll_with(&waker).is_pending(), "still nothing");
    topic.publish(frame("nobody follows"));
    assert_eq!(woken.take(), 0);

    send(&session.inbox, "private");
    assert_eq!(woken.take(), 1);
    send(&session.inbox, "more");
    assert_eq!(woken.take(), 0, "it was woken already");
    assert_eq!(session.drain(), ["private", "more"]);

    assert!(session.poll_with(&waker).is_pending());
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    assert_eq!(woken.take(), 1, "whoever is to follow has to listen");
    assert!(session.poll_with(&waker).is_pending());
    assert_eq!(woken.take(), 0);

    topic.publish(frame("public"));
    assert_eq!(woken.take(), 1);
    other.publish(frame("not followed"));
    assert_eq!(woken.take(), 0);
    assert_eq!(session.next().as_deref(), Some("public"));
    assert!(session.poll_with(&waker).is_pending());

    topic.publish(frame("public"));
    send(&session.inbox, "private");
    assert!(woken.take() >= 1);
    assert_eq!(session.drain(), ["public", "private"]);

    assert!(session.poll_with(&waker).is_pending());
    session.inbox.push(Order::Unfollow(Owner::default()));
    assert!(woken.take() >= 1);
    assert!(session.poll_with(&waker).is_pending());
    topic.publish(frame("not followed any more"));
    assert_eq!(woken.take(), 0);

    session
        .inbox
        .push(Order::Close(CloseReason::ServerDisconnected));
    assert_eq!(woken.take(), 1);
    session.closes(CloseReason::ServerDisconnected);
}

#[test]
fn the_last_waker_is_the_one_that_counts() {
    let topic = Topic::new(16);
    let mut session = Session::new(ROOMY);
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    for public in [false, true] {
        let (_old, waker) = Counter::new();
        assert!(session.poll_with(&waker).is_pending());
        let (woken, waker) = Counter::new();
        assert!(session.poll_with(&waker).is_pending());
        if public {
            topic.publish(frame("x"));
        } else {
            send(&session.inbox, "x");
        }
        assert_eq!(woken.take(), 1, "public: {public}");
        assert_eq!(session.drain(), ["x"]);
    }
}

/// Between any two events the session may be polled or not: if it was told that nothing waits, then whatever
/// comes next wakes it.
#[test]
fn no_wake_is_lost_whatever_happens_in_between() {
    for seed in 1..=500 {
        let mut random = Random::new(seed);
        let topics = [Topic::new(256), Topic::new(256)];
        let (woken, waker) = Counter::new();
        let mut session = Session::new(ROOMY);
        let mut follows = [false; 2];
        let mut is_waiting = false;
        for _ in 0..200 {
            let topic = random.below(2) as usize;
            let arrives = match random.below(8) {
                0 | 1 => {
                    send(&session.inbox, "x");
                    true
                }
                2 | 3 => {
                    topics[topic].publish(frame("x"));
                    follows[topic]
                }
                4 if !follows[topic] => {
                    follows[topic] = true;
                    let opening = random.chance(50).then(|| frame("x"));
                    session.follow(topics[topic].subscribe(opening, Arc::new(NeverLags)));
                    true
                }
                _ => {
                    is_waiting = session.poll_with(&waker).is_pending();
                    if is_waiting {
                        woken.take();
                    }
                    false
                }
            };
            if arrives && is_waiting {
                assert!(woken.take() > 0, "seed {seed}");
                is_waiting = false;
            }
        }
    }
}

/// Polls the herald to its end: how many handfuls it woke.
fn tell_all(herald: &mut Herald<'_>) -> usize {
    let (_woken, waker) = Counter::new();
    let mut context = Context::from_waker(&waker);
    let mut handfuls = 0;
    while herald.poll_news(&mut context).is_ready() {
        handfuls += 1;
        while herald.wake_some() {
            handfuls += 1;
        }
    }
    handfuls
}

#[test]
fn a_herald_wakes_some_at_a_time_and_nobody_who_has_read_all() {
    const RECEIVERS: usize = 1000;
    let topic = Topic::new(16);
    let mut herald = topic.herald();
    let (called, waker) = Counter::new();
    let mut sessions: Vec<_> = (0..RECEIVERS)
        .map(|_| {
            let session = Session::new(ROOMY);
            session.follow(topic.subscribe(None, Arc::new(NeverLags)));
            (session, Counter::new())
        })
        .collect();
    for (session, (woken, waker)) in &mut sessions {
        assert!(session.poll_with(waker).is_pending());
        woken.take();
    }
    assert!(
        herald
            .poll_news(&mut Context::from_waker(&waker))
            .is_pending()
    );

    topic.publish(frame("1"));
    assert_eq!(called.take(), 1, "the herald is called");
    assert!(
        herald
            .poll_news(&mut Context::from_waker(&waker))
            .is_ready()
    );
    assert!(herald.wake_some());
    let awake = |sessions: &[(Session, (Arc<Counter>, Waker))]| {
        let awake = sessions
            .iter()
            .map(|(_, (woken, _))| woken.0.load(Ordering::SeqCst));
        awake.sum::<usize>()
    };
    let first = awake(&sessions);
    assert!(
        (1..RECEIVERS / 4).contains(&first),
        "{first} are woken at once"
    );
    // They read, and wait again, before the next is published; the rest get both in one piece.
    for (session, (woken, waker)) in &mut sessions {
        if woken.take() > 0 {
            assert_eq!(session.next().as_deref(), Some("1"));
            assert!(session.poll_with(waker).is_pending());
        }
    }
    topic.publish(frame("2"));
    while herald.wake_some() {}
    for (session, (woken, waker)) in &mut sessions {
        if woken.take() > 0 {
            let read = [session.next(), session.next()].map(Option::unwrap_or_default);
            assert!(read == ["1", "2"] || read == ["2", ""], "{read:?}");
            assert!(session.poll_with(waker).is_pending());
        }
    }
    // A round for those who were first, and nobody else.
    assert!(tell_all(&mut herald) > 0);
    let again = awake(&sessions);
    assert_eq!(again, first, "only those who had not read it");
    for (session, (woken, _)) in &mut sessions {
        if woken.take() > 0 {
            assert_eq!(session.drain(), ["2"]);
        }
    }
    assert_eq!(tell_all(&mut herald), 0, "all is told");
}

#[test]
fn without_its_herald_a_topic_wakes_everyone_itself() {
    let topic = Topic::new(16);
    let (woken, waker) = Counter::new();
    let mut session = Session::new(ROOMY);
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    assert!(session.poll_with(&waker).is_pending());
    let herald = topic.herald();
    topic.publish(frame("1"));
    assert_eq!(woken.take(), 0);
    drop(herald);
    assert_eq!(woken.take(), 1, "what the herald has not told");
    assert_eq!(session.drain(), ["1"]);
    assert!(session.poll_with(&waker).is_pending());
    topic.publish(frame("2"));
    assert_eq!(woken.take(), 1);
    assert_eq!(session.drain(), ["2"]);
}

/// As [`no_wake_is_lost_whatever_happens_in_between`], with a herald that is called at any time, and does a part of its
/// work: when it has done all, everyone who waited has been woken for everything.
#[test]
fn no_wake_is_lost_with_a_herald() {
    for seed in 1..=300 {
        let mut random = Random::new(seed);
        let topic = Topic::new(10_000);
        let mut herald = topic.herald();
        let mut published = 0;
        let mut sessions: Vec<_> = (0..150)
            .map(|_| {
                let session = Session::new(ROOMY);
                session.follow(topic.subscribe(None, Arc::new(NeverLags)));
                (session, Counter::new(), 0)
            })
            .collect();
        let mut read_on =
            |(session, (woken, waker), read): &mut (Session, (Arc<Counter>, Waker), usize)| {
                woken.take();
                while let Poll::Ready(Delivery::Frame(_)) = session.poll_with(waker) {
                    *read += 1;
                }
            };
        sessions.iter_mut().for_each(&mut read_on);
        for _ in 0..300 {
            match random.below(6) {
                0 => {
                    topic.publish(frame("x"));
                    published += 1;
                }
                1 => {
                    let _may_be_more = herald.wake_some();
                }
                2 => {
                    let _is_news = herald.poll_news(&mut Context::from_waker(Waker::noop()));
                }
                _ => {
                    // Whoever was woken reads on, sooner or later.
                    let one = random.below(150) as usize;
                    if sessions[one].1.0.0.load(Ordering::SeqCst) > 0 {
                        read_on(&mut sessions[one]);
                    }
                }
            }
        }
        tell_all(&mut herald);
        for session in &mut sessions {
            if session.1.0.take() > 0 {
                read_on(session);
            }
            assert_eq!(session.2, published, "seed {seed}");
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// Lagging behind.

#[test]
fn a_receiver_that_lags_gets_a_snapshot_and_then_what_follows_it() {
    let counting = Counting::new(4);
    let mut session = Session::new(ROOMY);
    session.follow(counting.subscribe());
    assert_eq!(session.drain(), ["snapshot 0"]);
    for _ in 0..100 {
        counting.publish();
    }
    assert_eq!(
        session.drain(),
        ["snapshot 100"],
        "all that it missed is in it"
    );
    assert_eq!(counting.repairs.load(Ordering::SeqCst), 1);
    counting.publish();
    counting.publish();
    assert_eq!(session.drain(), ["change 101", "change 102"]);
}

#[test]
fn those_who_lag_behind_may_begin_with_the_same_and_hear_what_has_happened_since_in_its_order() {
    let counting = Counting::with(8, true);
    let mut sessions = [(); 3].map(|()| Session::new(ROOMY));
    for session in &mut sessions {
        session.follow(counting.subscribe());
        assert_eq!(session.drain(), ["snapshot 0"]);
    }
    let [first, second, third] = &mut sessions;
    let publish = |count: usize| {
        for _ in 0..count {
            counting.publish();
        }
    };
    publish(20);
    assert_eq!(first.drain(), ["snapshot 20"]);
    publish(3);
    send(&second.inbox, "private");
    publish(1);
    // As if it had been as quick as the first.
    assert_eq!(
        second.drain(),
        [
            "snapshot 20",
            "change 21",
            "change 22",
            "change 23",
            "private",
            "change 24"
        ]
    );
    publish(1);
    assert_eq!(third.drain(), ["snapshot 25"], "20 is too long ago");
    assert_eq!(
        first.drain(),
        [
            "change 21",
            "change 22",
            "change 23",
            "change 24",
            "change 25"
        ]
    );
    assert_eq!(second.drain(), ["change 25"]);
}

#[test]
fn a_frame_that_was_looked_at_before_the_lag_is_not_lost() {
    let counting = Counting::new(4);
    let mut session = Session::new(ROOMY);
    session.follow(counting.subscribe());
    assert_eq!(session.drain(), ["snapshot 0"]);
    send(&session.inbox, "private");
    counting.publish();
    // The change was looked at to learn which of the two is older.
    assert_eq!(session.next().as_deref(), Some("private"));
    for _ in 0..50 {
        counting.publish();
    }
    assert_eq!(session.drain(), ["change 1", "snapshot 51"]);
}

#[test]
fn whoever_pulls_at_his_leisure_ends_with_the_truth() {
    let mut repairs = 0;
    for seed in 1..=300 {
        let mut random = Random::new(seed);
        let counting = Counting::with(1 << random.below(5), seed % 2 == 0);
        let mut session = Session::new(ROOMY);
        let mut view = View::default();
        session.follow(counting.subscribe());
        let mut privately = VecDeque::new();
        let mut take = |frame: &str, privately: &mut VecDeque<String>| {
            if frame.starts_with("private") {
                assert_eq!(Some(frame), privately.pop_front().as_deref(), "seed {seed}");
            } else {
                view.apply(frame);
            }
            (view.count, view.snapshots)
        };
        for _ in 0..200 {
            match random.below(10) {
                0..=4 => {
                    counting.publish();
                }
                5 => {
                    for _ in 0..random.below(60) {
                        counting.publish();
                    }
                }
                6 => {
                    let text = format!("private {}", random.next());
                    send(&session.inbox, &text);
                    privately.push_back(text);
                }
                _ => {
                    for _ in 0..random.below(8) {
                        if let Some(frame) = session.next() {
                            take(&frame, &mut privately);
                        }
                    }
                }
            }
        }
        let mut last = (0, 0);
        for frame in session.drain() {
            last = take(&frame, &mut privately);
        }
        counting.publish();
        for frame in session.drain() {
            last = take(&frame, &mut privately);
        }
        assert_eq!(last.0, counting.count(), "seed {seed}");
        assert!(
            privately.is_empty(),
            "seed {seed}: private frames are never lost"
        );
        let repaired = counting.repairs.load(Ordering::SeqCst);
        assert_eq!(
            last.1,
            1 + repaired,
            "seed {seed}: each repair is one snapshot"
        );
        repairs += repaired;
    }
    assert!(repairs > 300, "this test is about lagging: {repairs}");
}

#[test]
fn a_lag_in_one_topic_does_not_disturb_the_other() {
    let counting = Counting::new(4);
    let other = Topic::new(1024);
    let mut session = Session::new(ROOMY);
    session.follow(counting.subscribe());
    session.follow(other.subscribe(None, Arc::new(NeverLags)));
    let mut expected = Vec::new();
    for number in 0..100 {
        counting.publish();
        other.publish(frame(format!("other {number}")));
        expected.push(format!("other {number}"));
    }
    let (of_counting, of_other): (Vec<_>, Vec<_>) = session
        .drain()
        .into_iter()
        .partition(|frame| !frame.starts_with("other"));
    assert_eq!(of_other, expected);
    let mut view = View::default();
    for frame in of_counting {
        view.apply(&frame);
    }
    assert_eq!(view.count, 100);
}

// ---------------------------------------------------------------------------------------------------------
// Threads.

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Pulls until the session is told to close, as its task would: parked while nothing waits.
fn pull_to_the_end(mut outbound: Outbound, mut take: impl FnMut(String)) -> CloseReason {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        match outbound.poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(Delivery::Frame(frame)) => take(text(&frame)),
            Poll::Ready(Delivery::Close(reason)) => return reason,
            Poll::Pending => {
                thread::park_timeout(give_up.saturating_duration_since(Instant::now()));
                assert!(Instant::now() < give_up, "nobody woke the session");
            }
        }
    }
}

/// Two threads publish, and send privately what they published; two sessions pull.
fn two_threads(ring: usize, each: u64) -> (Arc<Counting>, Vec<View>) {
    let can_lag = (ring as u64) < 2 * each;
    let counting = Counting::new(ring);
    let inboxes: [Arc<Inbox>; 2] = std::array::from_fn(|_| Arc::new(Inbox::new(ROOMY)));
    let (done, all_done) = mpsc::channel();
    let views = thread::scope(|scope| {
        let pullers: Vec<_> = inboxes
            .iter()
            .map(|inbox| {
                let outbound = Outbound::new(Arc::clone(inbox));
                inbox.push(Order::Follow(counting.subscribe().into()));
                let done = done.clone();
                scope.spawn(move || {
                    let mut view = View::default();
                    let mut last = [0; 2];
                    let reason = pull_to_the_end(outbound, |frame| {
                        let Some(private) = frame.strip_prefix("private ") else {
                            let before = view.count;
                            view.apply(&frame);
                            if before < view.count && view.count == 2 * each {
                                done.send(()).expect("the test waits for it");
                            }
                            return;
                        };
                        let (thread, number) = private.split_once(' ').expect("two words");
                        let thread: usize = thread.parse().expect("a thread");
                        let number: u64 = number.parse().expect("a number");
                        assert!(
                            number > last[thread],
                            "one thread's frames keep their order"
                        );
                        last[thread] = number;
                        // What a lagging receiver has missed comes with the snapshot, later.
                        if !can_lag {
                            assert!(view.count >= number, "the answer before what it answers");
                        }
                    });
                    assert_eq!(reason, CloseReason::ServerShutdown);
                    view
                })
            })
            .collect();
        let publishers: Vec<_> = (0..2)
            .map(|thread| {
                let (counting, inboxes) = (&counting, &inboxes);
                scope.spawn(move || {
                    for _ in 0..each {
                        let number = counting.publish();
                        for inbox in inboxes {
                            send(inbox, format!("private {thread} {number}"));
                        }
                    }
                })
            })
            .collect();
        for publisher in publishers {
            publisher.join().expect("a publisher");
        }
        for _ in &inboxes {
            // The truth comes by itself, and nothing has to happen after the last change.
            let arrived = all_done.recv_timeout(Duration::from_secs(60));
            arrived.expect("a session that is up to date");
        }
        for inbox in &inboxes {
            inbox.push(Order::Close(CloseReason::ServerShutdown));
        }
        pullers
            .into_iter()
            .map(|puller| puller.join().expect("a puller"))
            .collect()
    });
    (counting, views)
}

#[test]
fn two_threads_publish_while_others_pull() {
    let (counting, views) = two_threads(1 << 16, 10_000);
    assert_eq!(
        counting.repairs.load(Ordering::SeqCst),
        0,
        "the ring was large enough"
    );
    for view in views {
        assert_eq!((view.count, view.snapshots), (20_000, 1));
    }
}

#[test]
fn two_threads_publish_faster_than_others_pull() {
    let (counting, views) = two_threads(2, 10_000);
    assert!(
        counting.repairs.load(Ordering::SeqCst) > 0,
        "this test is about lagging"
    );
    for view in views {
        assert_eq!(view.count, 20_000);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Bounds.

#[test]
fn too_much_closes_the_session_and_frees_what_waited() {
    let mut session = Session::new(100_000);
    let big = frame("x".repeat(1_000));
    let mut pushed = 0;
    while pushed == 0 || !is_alone(&big) {
        session.inbox.push(Order::Send(big.clone()));
        pushed += 1;
        assert!(pushed <= 100, "more waits than may");
    }
    assert!(pushed > 80, "less may wait than was promised: {pushed}");
    session.inbox.push(Order::Send(big.clone()));
    assert!(is_alone(&big), "nothing is taken any more");
    session.closes(CloseReason::Overflow);
    assert!(session.poll().is_pending(), "nothing follows");
}

#[test]
fn overflow_wakes_whoever_waits() {
    let (woken, waker) = Counter::new();
    let mut context = Context::from_waker(&waker);
    let mut session = Session::new(1_000);
    send(&session.inbox, "x".repeat(1_001));
    assert!(session.outbound.poll_close(&mut context).is_pending());
    send(&session.inbox, "x");
    assert_eq!(woken.take(), 1);
    assert!(session.outbound.poll_close(&mut context).is_ready());
    session.closes(CloseReason::Overflow);
}

#[test]
fn one_order_may_be_larger_than_all_that_may_wait() {
    let mut session = Session::new(1_000);
    for _ in 0..3 {
        for length in [900, 10_000] {
            send(&session.inbox, "x".repeat(length));
        }
        assert_eq!(session.drain().len(), 2);
    }
    // What is ordered behind it is too much, but for the end.
    send(&session.inbox, "x".repeat(10_000));
    session
        .inbox
        .push(Order::Close(CloseReason::ServerDisconnected));
    assert_eq!(session.next().map(|text| text.len()), Some(10_000));
    session.closes(CloseReason::ServerDisconnected);
    let mut session = Session::new(1_000);
    send(&session.inbox, "x".repeat(10_000));
    send(&session.inbox, "x");
    session.closes(CloseReason::Overflow);
}

#[test]
fn a_flood_of_tiny_frames_is_bounded_too() {
    let mut session = Session::new(64 << 10);
    let tiny = frame("2");
    for _ in 0..64 << 10 {
        session.inbox.push(Order::Send(tiny.clone()));
    }
    assert!(is_alone(&tiny));
    session.closes(CloseReason::Overflow);
    // So is one of orders that carry nothing.
    let mut session = Session::new(64 << 10);
    for _ in 0..64 << 10 {
        session.inbox.push(Order::Unfollow(Owner::default()));
    }
    session.closes(CloseReason::Overflow);
}

#[test]
fn when_too_much_waits_for_all_together_those_go_for_whom_it_waits() {
    let budget = Arc::new(Budget::new(100_000));
    let session = || {
        let inbox = Arc::new(Inbox::new(ROOMY).with_budget(Arc::clone(&budget)));
        let outbound = Outbound::new(Arc::clone(&inbox));
        Session { inbox, outbound }
    };
    let (mut slow, mut little, mut quick) = (session(), session(), session());
    send(&little.inbox, "x".repeat(10_000));
    for _ in 0..9 {
        send(&slow.inbox, "x".repeat(10_000));
        send(&quick.inbox, "x".repeat(10_000));
        assert_eq!(quick.drain().len(), 1);
    }
    assert!(budget.waiting() > 100_000);
    // Who takes what it gets goes on, and so does who is a little behind.
    send(&quick.inbox, "y");
    assert_eq!(quick.drain(), ["y"]);
    send(&little.inbox, "y");
    let waiting = budget.waiting();
    send(&slow.inbox, "y");
    slow.closes(CloseReason::SharedOverflow);
    assert!(
        budget.waiting() < waiting - 90_000,
        "its memory is free at once"
    );
    assert_eq!(little.drain().len(), 2);
    assert_eq!(budget.waiting(), 0);
    // And whoever ends with something waiting leaves nothing behind.
    send(&quick.inbox, "z".repeat(1_000));
    assert!(budget.waiting() > 1_000);
    drop(quick);
    assert_eq!(budget.waiting(), 0);
}

#[test]
fn what_was_taken_does_not_count() {
    let mut session = Session::new(10_000);
    for round in 0..100 {
        for _ in 0..9 {
            send(&session.inbox, format!("{round}{}", "x".repeat(1_000)));
        }
        assert_eq!(session.drain().len(), 9, "round {round}");
    }
}

#[test]
fn what_a_topic_holds_does_not_count() {
    let topic = Topic::new(1024);
    let mut session = Session::new(1_000);
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    assert_eq!(session.next(), None);
    for _ in 0..1_000 {
        topic.publish(frame("x".repeat(1_000)));
    }
    assert_eq!(session.drain().len(), 1_000);
}

#[test]
fn what_waits_to_be_followed_counts_with_all_that_it_holds() {
    let topic = Topic::new(16);
    // A client asks for another snapshot again and again, and takes none. It makes no difference whether others have
    // the same one: they may let go of it.
    let snapshot = frame("x".repeat(1_000));
    let chosen = Arc::new((0..1_000).collect());
    for keys in [None, Some(&chosen)] {
        let mut session = Session::new(100_000);
        let mut followed = 0;
        while followed == 0 || !is_alone(&snapshot) {
            session.inbox.push(Order::Unfollow(Owner::default()));
            let subscription = topic.subscribe(Some(snapshot.clone()), Arc::new(NeverLags));
            session.follow(match keys {
                Some(keys) => subscription.only(Arc::clone(keys)),
                None => subscription,
            });
            followed += 1;
            assert!(followed <= 100, "more waits than may");
        }
        let expected = if keys.is_some() { 5..15 } else { 50..100 };
        assert!(expected.contains(&followed), "{followed}");
        session.closes(CloseReason::Overflow);
    }
}

#[test]
fn what_was_followed_does_not_count() {
    let topic = Topic::new(16);
    let mut session = Session::new(2_000);
    for _ in 0..100 {
        session.inbox.push(Order::Unfollow(Owner::default()));
        let opening = frame("x".repeat(1_000));
        session.follow(topic.subscribe(Some(opening), Arc::new(NeverLags)));
        assert_eq!(session.drain().len(), 1);
    }
}

#[test]
fn nothing_is_accepted_after_a_close() {
    let topic = Topic::new(16);
    let mut session = Session::new(ROOMY);
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    send(&session.inbox, "before");
    topic.publish(frame("public, before"));
    session
        .inbox
        .push(Order::Close(CloseReason::ServerDisconnected));
    let late = frame("after");
    session.inbox.push(Order::Send(late.clone()));
    session.inbox.push(Order::Close(CloseReason::Overflow));
    topic.publish(frame("public, after"));
    assert!(is_alone(&late));
    assert_eq!(session.next().as_deref(), Some("before"));
    assert_eq!(session.next().as_deref(), Some("public, before"));
    session.closes(CloseReason::ServerDisconnected);
}

#[test]
fn an_order_to_close_needs_no_room() {
    // However full the inbox is: what fitted into it is sent, and the reason is the one that was given.
    for length in 800..1_200 {
        let mut session = Session::new(1_000);
        send(&session.inbox, "x".repeat(length));
        session
            .inbox
            .push(Order::Close(CloseReason::ServerDisconnected));
        let first = session.poll();
        assert!(
            matches!(first, Poll::Ready(Delivery::Frame(_))),
            "{first:?} instead of the {length} bytes that fitted"
        );
        session.closes(CloseReason::ServerDisconnected);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Ends.

#[test]
fn unfollow_sends_what_came_before_and_nothing_after() {
    let topics = [Topic::new(16), Topic::new(16)];
    let mut session = Session::new(ROOMY);
    for topic in &topics {
        session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    }
    topics[0].publish(frame("1"));
    topics[1].publish(frame("2"));
    send(&session.inbox, "3");
    topics[0].publish(frame("4"));
    session.inbox.push(Order::Unfollow(Owner::default()));
    topics[1].publish(frame("not followed"));
    send(&session.inbox, "5");
    topics[0].publish(frame("not followed"));
    assert_eq!(session.drain(), ["1", "2", "3", "4", "5"]);
    // And it may follow again.
    session.follow(topics[0].subscribe(Some(frame("6")), Arc::new(NeverLags)));
    topics[0].publish(frame("7"));
    topics[1].publish(frame("not followed"));
    assert_eq!(session.drain(), ["6", "7"]);
}

#[test]
fn unfollow_lets_go_of_the_topic() {
    let topic = Topic::new(16);
    let mut session = Session::new(ROOMY);
    let repair = Arc::new(NeverLags);
    session.follow(topic.subscribe(None, Arc::clone(&repair) as Arc<dyn Repair>));
    assert_eq!(session.next(), None);
    assert_eq!(Arc::strong_count(&repair), 2);
    session.inbox.push(Order::Unfollow(Owner::default()));
    assert_eq!(session.next(), None);
    assert_eq!(Arc::strong_count(&repair), 1);
}

#[test]
fn a_topic_that_is_gone_leaves_what_it_brought() {
    let topic = Topic::new(16);
    let other = Topic::new(16);
    let mut session = Session::new(ROOMY);
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    session.follow(other.subscribe(None, Arc::new(NeverLags)));
    topic.publish(frame("1"));
    topic.publish(frame("2"));
    send(&session.inbox, "3");
    drop(topic);
    other.publish(frame("4"));
    assert_eq!(session.drain(), ["1", "2", "3", "4"]);
    for number in 5..10 {
        other.publish(frame(number.to_string()));
        assert_eq!(session.drain(), [number.to_string()]);
    }
    drop(other);
    assert_eq!(session.drain(), [""; 0]);
    send(&session.inbox, "still there");
    assert_eq!(session.drain(), ["still there"]);
}

#[test]
fn nothing_is_kept_for_a_session_that_is_gone() {
    let topic = Topic::new(16);
    let (woken, waker) = Counter::new();
    let mut session = Session::new(ROOMY);
    let waited = frame("waited");
    session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    assert!(session.poll_with(&waker).is_pending());
    session.inbox.push(Order::Send(waited.clone()));
    woken.take();
    let Session { inbox, outbound } = session;
    drop(outbound);
    assert!(is_alone(&waited), "what waited is freed");
    let late = frame("late");
    inbox.push(Order::Send(late.clone()));
    inbox.push(Order::Close(CloseReason::ServerShutdown));
    let repair = Arc::new(NeverLags);
    let subscription = topic.subscribe(None, Arc::clone(&repair) as Arc<dyn Repair>);
    inbox.push(Order::Follow(subscription.into()));
    topic.publish(frame("public"));
    assert!(is_alone(&late));
    assert_eq!(Arc::strong_count(&repair), 1);
    assert_eq!(woken.take(), 0);
    // The waker is gone with it, or it would keep the task's memory.
    drop(waker);
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[test]
fn one_frame_is_shared_by_all() {
    let topic = Topic::new(16);
    let published = frame("x".repeat(10_000));
    let address = published.bytes().as_ptr();
    let mut sessions: Vec<Session> = (0..10).map(|_| Session::new(ROOMY)).collect();
    for session in &sessions {
        session.follow(topic.subscribe(None, Arc::new(NeverLags)));
    }
    topic.publish(published.clone());
    let (sender, receiver) = mpsc::channel();
    for session in &mut sessions {
        let Poll::Ready(Delivery::Frame(frame)) = session.poll() else {
            panic!("everyone gets it");
        };
        sender.send(frame.bytes().as_ptr()).expect("a receiver");
    }
    drop(sender);
    assert!(
        receiver.iter().all(|its| its == address),
        "nobody has a copy"
    );
}
