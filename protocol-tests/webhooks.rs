//! Webhooks: what the other server gets, in which order, and what becomes of it when that server is slow, wrong or gone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, body::Incoming, http::request::Parts, rt, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rollcall::{
    config::{Config, SETTINGS, Secret, WebUrl},
    presence::{Activity, Doing, Hub, Observer, Published, Rules, State},
    socketio::SocketId,
    users::{KeyDigest, Role, User, UserId},
    webhooks::{Pace, Webhooks},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Once},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use support::{Client, OPEN, Random, milliseconds, run, until, upgrade_request};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, oneshot},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

const HOUR: Duration = Duration::from_secs(3600);

// ---------------------------------------------------------------------------------------------------------
// The other server.

/// What the other server got, and how it answers. Dropped, it is not answered: the connection ends.
struct Got {
    head: Parts,
    body: Bytes,
    /// Which connection it came on, from 0.
    connection: usize,
    answer: oneshot::Sender<Response<Full<Bytes>>>,
}

impl Got {
    fn answer(self, status: u16, headers: &[(&str, &str)]) {
        self.answer_with(status, headers, Bytes::new());
    }

    fn answer_with(self, status: u16, headers: &[(&str, &str)], body: Bytes) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(Full::new(body)).expect("an answer");
        // Who asked may have lost patience.
        let _ = self.answer.send(answer);
    }

    fn header(&self, name: &str) -> &str {
        let value = self.head.headers.get(name).expect(name);
        value.to_str().expect("text")
    }

    fn id(&self) -> &str {
        self.header("webhook-id")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Whose, and which change.
    fn what(&self) -> (UserId, u64) {
        let json = self.json();
        let number = |name: &str| json[name].as_u64().expect("a number");
        (number("user_id"), number("seq"))
    }
}

struct Receiver {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<Got>,
}

impl Receiver {
    fn start() -> Self {
        Self::on(socket(), None)
    }

    /// On a port on which nobody answered until now.
    fn on(socket: TcpSocket, tls: Option<TlsAcceptor>) -> Self {
        let listener = socket.listen(64).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (sender, got) = mpsc::unbounded_channel();
        tokio::spawn(accept(listener, tls, sender));
        Self { address, got }
    }

    async fn next(&mut self) -> Got {
        self.got.recv().await.expect("a request")
    }

    /// Takes a change; which one.
    async fn take(&mut self) -> (UserId, u64) {
        let got = self.next().await;
        let what = got.what();
        got.answer(204, &[]);
        what
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

/// A port that is ours, and refuses everyone until somebody listens.
fn user(id: UserId) -> User {
    User {
        id,
        username: format!("user {id}"),
        role: Role::User,
        activated: true,
        deleted_at: None,
        key_digest: KeyDigest::of("no key"),
    }
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(any).expect("a port");
    socket
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, got: mpsc::UnboundedSender<Got>) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (tls, got) = (tls.clone(), got.clone());
        tokio::spawn(async move {
            match tls {
                None => attend(stream, connection, got).await,
                // Whoever does not trust us goes away.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => attend(stream, connection, got).await,
                    Err(_refused) => {}
                },
            }
        });
    }
}

async fn attend<S>(stream: S, connection: usize, got: mpsc::UnboundedSender<Got>)
where
    TokioIo<S>: rt::Read + rt::Write + Unpin,
{
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let (answer, answered) = oneshot::channel();
        // The test may be over.
        let _ = got.send(Got {
            head,
            body,
            connection,
            answer,
        });
        answered.await
    });
    // Ends with an error where the test wants that.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/protocol-tests/support/tls"
    ))
    .join(name)
}

/// Speaks TLS as `localhost`, with a certificate that it has signed itself.
fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(file("localhost.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file("localhost.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key for the certificate");
    TlsAcceptor::from(Arc::new(config))
}

// ---------------------------------------------------------------------------------------------------------
// What is sent there.

/// As fast as it can be.
fn fast() -> Pace {
    Pace {
        first_pause: milliseconds(1),
        max_pause: milliseconds(4),
        ..Pace::default()
    }
}

/// Where whatever counts as a failure is not tried again while the test lasts.
fn slow() -> Pace {
    Pace {
        first_pause: HOUR,
        max_pause: HOUR,
        ..Pace::default()
    }
}

fn start(url: &str, pace: Pace) -> Arc<Webhooks> {
    let url = WebUrl::parse(url).expect("a URL");
    Webhooks::start(&url, None, pace).expect("webhooks")
}

fn publish(webhooks: &Webhooks, user_id: UserId, seq: u64) {
    webhooks.on_published(&Published {
        activity: Activity {
            user_id,
            socket_id: SocketId::random().expect("random numbers"),
            doing: Some(playing(seq)),
            since: 1,
        },
        seq,
    });
}

fn playing(game_id: u64) -> Doing {
    Doing {
        state: State::Playing {
            game_id: Some(game_id),
        },
        details: None,
    }
}

/// HMAC-SHA256 from its definition (RFC 2104), for keys that are not longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let hash = |pad: u8, rest: &[u8]| {
        let padded: Vec<u8> = block.iter().map(|byte| byte ^ pad).collect();
        Sha256::new()
            .chain_update(padded)
            .chain_update(rest)
            .finalize()
    };
    hash(0x5c, &hash(0x36, message)).to_vec()
}

fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.expect("after 1970").as_secs()
}

/// What was logged in this process.
static LOG: Log = Log(Mutex::new(Vec::new()));

struct Log(Mutex<Vec<String>>);

impl Log {
    fn start() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&LOG).expect("the first logger");
            log::set_max_level(log::LevelFilter::Info);
        });
    }

    /// How many lines say both.
    fn count(&self, one: &str, other: &str) -> usize {
        let lines = self.0.lock().unwrap();
        let says = |line: &&String| line.contains(one) && line.contains(other);
        lines.iter().filter(says).count()
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn a_change_is_delivered_and_signed() {
    let key = b"a key of 24 bytes, at le";
    let encoded = format!("whsec_{}", STANDARD.encode(key));
    for (secret, key) in [
        (&*encoded, &key[..]),
        (
            "any other text, unencoded",
            &b"any other text, unencoded"[..],
        ),
    ] {
        run(async move {
            let mut receiver = Receiver::start();
            let place = receiver.address;
            let url = format!("http://b%6Ft:p%40ss+word@{place}/hook/a%20b?token=x&y");
            let url = WebUrl::parse(&url).expect("a URL");
            let secret = Secret::parse(secret);
            let webhooks = Webhooks::start(&url, secret.as_ref(), slow()).expect("webhooks");
            let hub = Hub::new(16, Rules::default());
            hub.observe(Arc::clone(&webhooks) as Arc<dyn Observer>);

            let began = now();
            let socket_id = SocketId::random().expect("random numbers");
            let told = hub
                .lease(&user(7), socket_id, Some(playing(42)), HOUR)
                .expect("an activity");
            let got = receiver.next().await;
            assert_eq!((got.head.method.as_str(), got.connection), ("POST", 0));
            assert_eq!(got.head.uri, "/hook/a%20b?token=x&y");
            assert_eq!(got.header("host"), place.to_string());
            assert_eq!(got.header("content-type"), "application/json");
            assert!(got.header("user-agent").starts_with("rollcall/"));
            let basic = format!("Basic {}", STANDARD.encode("bot:p@ss+word"));
            assert_eq!(got.header("authorization"), basic);
            assert_eq!(
                got.json(),
                json!({
                    "user_id": 7, "socket_id": socket_id, "state": "PLAYING", "game_id": 42, "since": told.since,
                    "seq": 1,
                })
            );

            let timestamp: u64 = got.header("webhook-timestamp").parse().expect("a number");
            assert!((began..=now()).contains(&timestamp), "{timestamp}");
            let mut signed = format!("{}.{timestamp}.", got.id()).into_bytes();
            signed.extend_from_slice(&got.body);
            let signature = format!("v1,{}", STANDARD.encode(hmac(key, &signed)));
            assert_eq!(got.header("webhook-signature"), signature);
            let first_id = got.id().to_owned();
            got.answer(200, &[]);

            // The next one, on the same connection.
            hub.lease(&user(7), socket_id, None, HOUR)
                .expect("an activity");
            let got = receiver.next().await;
            assert_eq!(got.connection, 0);
            assert_ne!(got.id(), first_id);
            let json = got.json();
            assert_eq!(
                (&json["state"], &json["seq"]),
                (&json!("OFFLINE"), &json!(2))
            );
            got.answer(204, &[]);
            webhooks.finish(HOUR).await;
        });
    }
}

#[test]
fn without_a_secret_nothing_is_signed() {
    run(async {
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), slow());
        publish(&webhooks, 1, 1);
        let got = receiver.next().await;
        assert!(!got.head.headers.contains_key("webhook-signature"));
        assert!(!got.head.headers.contains_key("authorization"));
    });
}

#[test]
fn while_one_is_under_way_the_newest_state_of_each_user_wins() {
    run(async {
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), slow());
        publish(&webhooks, 1, 1);
        let first = receiver.next().await;
        for (user_id, seq) in [(2, 2), (1, 3), (3, 4), (2, 5), (1, 6)] {
            publish(&webhooks, user_id, seq);
        }
        assert_eq!(webhooks.waiting(), 3);
        assert_eq!(first.what(), (1, 1));
        first.answer(200, &[]);
        // Whoever has waited for the longest comes first.
        assert_eq!(receiver.take().await, (2, 5));
        assert_eq!(receiver.take().await, (1, 6));
        assert_eq!(receiver.take().await, (3, 4));
        webhooks.finish(HOUR).await;
        publish(&webhooks, 4, 7);
        assert_eq!(receiver.take().await, (4, 7), "and nothing in between");
    });
}

#[test]
fn what_the_target_may_take_later_is_tried_again() {
    run(async {
        Log::start();
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), fast());
        publish(&webhooks, 1, 1);
        let mut ids = Vec::new();
        for status in [500, 503, 408, 429, 302, 401, 403, 404, 410] {
            let got = receiver.next().await;
            assert_eq!(got.what(), (1, 1));
            assert_eq!(got.head.uri, "/hook", "no redirect is followed");
            ids.push(got.id().to_owned());
            got.answer(status, &[("Location", "/elsewhere")]);
        }
        let got = receiver.next().await;
        assert_eq!(ids, vec![got.id(); 9], "a message keeps its id");
        // What came meanwhile takes the place of one that fails.
        publish(&webhooks, 1, 2);
        got.answer(500, &[]);
        assert_eq!(receiver.take().await, (1, 2));
        webhooks.finish(HOUR).await;
        let place = receiver.address.to_string();
        assert_eq!(LOG.count(&place, "and redirects are not followed"), 1);
        assert_eq!(LOG.count(&place, "takes changes again"), 1);
    });
}

#[test]
fn what_the_target_says_is_wrong_is_given_up() {
    run(async {
        Log::start();
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), fast());
        for (seq, status) in (1..).zip([400, 402, 405, 413, 422]) {
            publish(&webhooks, 7, seq);
            let got = receiver.next().await;
            assert_eq!(got.what(), (7, seq), "the one before does not come again");
            got.answer(status, &[("Retry-After", "0")]);
        }
        webhooks.finish(HOUR).await;
        let place = receiver.address.to_string();
        assert_eq!(
            LOG.count(&place, "413 Payload Too Large to change 4, of user 7"),
            1
        );
    });
}

#[test]
fn a_target_that_says_when_is_left_alone_until_then() {
    run(async {
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), fast());
        publish(&webhooks, 1, 1);
        let got = receiver.next().await;
        publish(&webhooks, 2, 2);
        let asked = Instant::now();
        got.answer(503, &[("Retry-After", "1")]);
        receiver.take().await;
        assert!(asked.elapsed() >= Duration::from_secs(1));
        receiver.take().await;

        // It may also want less patience than we have, and not more than we have.
        let pace = Pace {
            max_retry_after: milliseconds(1),
            ..slow()
        };
        let webhooks = start(&receiver.url(), pace);
        publish(&webhooks, 3, 3);
        receiver.next().await.answer(429, &[("Retry-After", "0")]);
        receiver
            .next()
            .await
            .answer(429, &[("Retry-After", "99999999999")]);
        assert_eq!(receiver.take().await, (3, 3));
    });
}

#[test]
fn what_the_target_cannot_take_does_not_keep_it_from_the_rest() {
    run(async {
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), fast());
        publish(&webhooks, 1, 1);
        for seq in 2..20 {
            publish(&webhooks, seq, seq);
        }
        let mut taken = Vec::new();
        while taken.len() < 18 {
            let got = receiver.next().await;
            let (user_id, seq) = got.what();
            if user_id == 1 {
                got.answer(500, &[]);
            } else {
                taken.push(seq);
                got.answer(200, &[]);
            }
        }
        assert_eq!(taken, Vec::from_iter(2..20));
        assert_eq!(receiver.take().await, (1, 1));

        // It is tried ever more rarely, however well the others fare.
        let pace = Pace {
            first_pause: milliseconds(1),
            ..slow()
        };
        let webhooks = start(&receiver.url(), pace);
        publish(&webhooks, 1, 20);
        let (began, mut seq, mut failures) = (Instant::now(), 20, 0);
        while failures < 10 {
            seq += 1;
            publish(&webhooks, 2, seq);
            let got = receiver.next().await;
            if got.what().0 == 1 {
                failures += 1;
                got.answer(500, &[]);
            } else {
                got.answer(200, &[]);
            }
        }
        // 1 + 2 + 4 and so on, nine times, and half of that for bad luck.
        assert!(began.elapsed() >= milliseconds(255));
    });
}

#[test]
fn a_target_that_was_down_gets_the_newest_state_of_each_user_once() {
    run(async {
        Log::start();
        let socket = socket();
        let place = socket.local_addr().expect("an address").to_string();
        let webhooks = start(&format!("http://{place}/"), fast());
        let mut newest = BTreeMap::new();
        for seq in 1..=10_000 {
            let user_id = seq * 7 % 50 + 1;
            publish(&webhooks, user_id, seq);
            newest.insert(user_id, seq);
            assert!(webhooks.waiting() <= 50);
        }
        until(|| LOG.count(&place, "it cannot be reached: Connection refused") == 1).await;

        let mut receiver = Receiver::on(socket, None);
        let mut taken = BTreeMap::new();
        for _ in 0..50 {
            let (user_id, seq) = receiver.take().await;
            assert_eq!(taken.insert(user_id, seq), None, "user {user_id} twice");
        }
        assert_eq!(taken, newest);
        webhooks.finish(HOUR).await;
        publish(&webhooks, 51, 10_001);
        assert_eq!(receiver.take().await, (51, 10_001));
        assert_eq!(LOG.count(&place, "took no change"), 1, "it is said once");
        assert_eq!(LOG.count(&place, "takes changes again"), 1);
    });
}

/// Whatever the target does, nobody's changes come in another order, and the newest comes.
#[test]
fn nobody_is_told_of_out_of_order() {
    run(async {
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), fast());
        let mut random = Random::new(5);
        let (mut newest, mut taken) = (BTreeMap::new(), BTreeMap::new());
        let mut seq = 0;
        while seq < 500 || taken != newest {
            while seq < 500 && random.chance(70) {
                seq += 1;
                let user_id = random.below(20);
                publish(&webhooks, user_id, seq);
                newest.insert(user_id, seq);
            }
            if taken == newest {
                continue;
            }
            let got = receiver.next().await;
            let (user_id, seq) = got.what();
            if random.chance(50) {
                assert!(taken.insert(user_id, seq) < Some(seq), "user {user_id}");
                got.answer(200, &[]);
            } else if random.chance(50) {
                got.answer(500, &[]);
            }
        }
        webhooks.finish(HOUR).await;
    });
}

#[test]
fn a_kept_connection_that_ends_is_no_failure() {
    run(async {
        let mut receiver = Receiver::start();
        let webhooks = start(&receiver.url(), slow());
        publish(&webhooks, 1, 1);
        receiver.next().await.answer(200, &[]);
        publish(&webhooks, 1, 2);
        let got = receiver.next().await;
        assert_eq!(got.connection, 0);
        let id = got.id().to_owned();
        drop(got);
        let got = receiver.next().await;
        assert_eq!((got.connection, got.id()), (1, &*id));
        got.answer(200, &[("Connection", "close")]);
        publish(&webhooks, 1, 3);
        let got = receiver.next().await;
        assert_eq!((got.connection, got.what()), (2, (1, 3)));
        // Much more than anybody wants to read.
        got.answer_with(200, &[], Bytes::from(vec![b'x'; 1 << 20]));
        publish(&webhooks, 1, 4);
        let got = receiver.next().await;
        assert_eq!((got.connection, got.what()), (3, (1, 4)));
        got.answer(200, &[]);
        webhooks.finish(HOUR).await;
    });
}

#[test]
fn a_target_that_does_not_answer_is_asked_again() {
    run(async {
        Log::start();
        let mut receiver = Receiver::start();
        let pace = Pace {
            answer_timeout: milliseconds(100),
            ..fast()
        };
        let webhooks = start(&receiver.url(), pace);
        publish(&webhooks, 1, 1);
        let silent = receiver.next().await;
        let again = receiver.next().await;
        assert_eq!(again.id(), silent.id());
        let place = receiver.address.to_string();
        assert_eq!(LOG.count(&place, "it does not answer in time"), 1);
        again.answer(200, &[]);
    });
}

#[test]
fn at_the_end_all_is_tried_once_more_but_not_for_ever() {
    run(async {
        Log::start();
        let mut receiver = Receiver::start();
        let place = receiver.address.to_string();
        let webhooks = start(&receiver.url(), slow());
        publish(&webhooks, 1, 1);
        publish(&webhooks, 2, 2);
        receiver.next().await.answer(500, &[]);
        until(|| LOG.count(&place, "500 Internal Server Error") == 1).await;
        let taking = async {
            assert_eq!(receiver.take().await, (2, 2));
            assert_eq!(receiver.take().await, (1, 1));
        };
        tokio::join!(taking, webhooks.finish(HOUR));
        assert_eq!(webhooks.waiting(), 0);

        publish(&webhooks, 3, 3);
        let _silent = receiver.next().await;
        webhooks.finish(milliseconds(10)).await;
        assert_eq!(LOG.count("not all changes were delivered", ""), 1);
    });
}

// ---------------------------------------------------------------------------------------------------------
// The program.

/// The real one, with one user, alice, in a folder of its own.
struct Rollcall {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
}

const ALICE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Rollcall {
    fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let folder = format!("rollcall-webhooks-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir(&folder).expect("a new folder");
        let users = json!({"users": [{
            "id": 1, "username": "alice", "api_key": ALICE, "role": 1, "activated": true, "deleted_at": null,
            "password": null,
        }]});
        fs::write(folder.join("users.json"), users.to_string()).expect("a user file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .env_clear()
            .envs([
                ("SERVER_HOST", "127.0.0.1"),
                ("SERVER_PORT", "0"),
                ("USERS_FILE", "users.json"),
                ("SERVER_LOG_LEVEL", "trace"),
            ])
            .envs(variables.iter().copied())
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let written = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines {
                let line = line.expect("text");
                written.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("text");
        let address = line.trim().rsplit_once('/').expect("an address").1;
        let address = address
            .parse()
            .unwrap_or_else(|_| panic!("{line}{}", log.lock().unwrap()));
        Self {
            child,
            folder,
            address,
            log,
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    async fn logged(&self, text: &str) {
        until(|| self.log().contains(text)).await;
    }

    /// Alice says that she is busy.
    async fn report(&self) -> Client {
        let mut alice = Client::dial(self.address).await;
        let key = format!("X-Api-Key: {ALICE}\r\n");
        alice
            .write(upgrade_request("alice", OPEN, &key).as_bytes())
            .await;
        assert_eq!(alice.head().await.status, 101);
        alice.text().await;
        alice.connect().await;
        alice.send(r#"42["set-activity",{"state":"BUSY"}]"#).await;
        alice
    }
}

impl Drop for Rollcall {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_certificate_is_checked() {
    let stranger = file("stranger.pem");
    let own = file("localhost.pem");
    let (stranger, own) = (stranger.to_str().unwrap(), own.to_str().unwrap());
    for (name, host, trusted, reason) in [
        ("stranger", "localhost", stranger, "UnknownIssuer"),
        (
            "misnamed",
            "127.0.0.1",
            own,
            "certificate not valid for name",
        ),
    ] {
        run(async move {
            let mut receiver = Receiver::on(socket(), Some(acceptor()));
            let port = receiver.address.port();
            let url = format!("https://me:pa55word@{host}:{port}/s3cret?t0ken");
            let server = Rollcall::start(
                name,
                &[
                    ("WEBHOOK_URL", &url),
                    ("WEBHOOK_SECRET", "whsec_YSBrZXkgb2YgMjQgYnl0ZXMsIGF0IGxl"),
                    ("SSL_CERT_FILE", trusted),
                ],
            );
            let _alice = server.report().await;
            let place = format!("https://{host}:{port} took no change");
            server.logged(&place).await;
            let log = server.log();
            assert!(log.contains(reason), "{log}");
            for secret in ["pa55word", "s3cret", "t0ken", "YSBrZXkg"] {
                assert!(!log.contains(secret), "{log}");
            }
            assert!(receiver.got.try_recv().is_err(), "something was said");
        });
    }
    run(async {
        let mut receiver = Receiver::on(socket(), Some(acceptor()));
        let url = format!("https://localhost:{}/", receiver.address.port());
        let variables = [("WEBHOOK_URL", &*url), ("SSL_CERT_FILE", own)];
        let mut server = Rollcall::start("trusted", &variables);
        let mut alice = server.report().await;
        let got = receiver.next().await;
        assert_eq!(got.json()["state"], "BUSY");
        got.answer(204, &[]);
        // A clean leave, just before the end: what waits is delivered.
        alice.send("41").await;
        let got = receiver.next().await;
        assert_eq!(got.json()["state"], "OFFLINE");
        drop(alice);
        let pid = server.child.id().to_string();
        let told = Command::new("kill").arg(&pid).status().expect("kill");
        assert!(told.success());
        server.logged("waiting for the webhook's target").await;
        got.answer(204, &[]);
        server.logged("stopped").await;
        assert!(server.child.wait().expect("an end").success());
        assert!(
            !server.log().contains("not all changes"),
            "{}",
            server.log()
        );
    });
}

#[test]
fn without_anybody_to_trust_it_does_not_start() {
    let nowhere = std::env::temp_dir().join("there-are-no-certificates-here");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .env_clear()
        .env("SERVER_PORT", "0")
        .env("USERS_FILE", nowhere.join("users.json"))
        .env("WEBHOOK_URL", "https://localhost/")
        .env("SSL_CERT_FILE", nowhere.join("none.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut said = String::new();
    let mut err = child.stderr.take().expect("piped");
    err.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
    assert!(
        said.contains("WEBHOOK_URL: there are no certificates to trust"),
        "{said}"
    );
}

#[test]
fn settings_that_are_accepted_and_never_shown() {
    let read = |name: &str, value: &str| {
        let config = Config::read(|asked| (asked == name).then(|| OsString::from(value)));
        config.map_err(|errors| errors.to_string())
    };
    for url in [
        "http://localhost",
        "HTTPS://localhost:8443/a?b",
        "http://[::1]:80/",
        "http://me@localhost/",
        "http://me:hunter2@localhost/hunter2?hunter2",
    ] {
        let config = read("WEBHOOK_URL", url).expect(url);
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.name == "WEBHOOK_URL");
        assert_eq!(setting.expect("a setting").show(&config), "(hidden)");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
    for url in [
        "localhost",
        "/hook",
        "ftp://localhost/",
        "http://",
        "http://:80/",
        "http://localhost:0/",
        "http://localhost:65536/",
        "http://localhost:x/",
        "http://a b/",
        "http://me:%4@localhost/",
        "http://me:%zz@localhost/",
    ] {
        let message = read("WEBHOOK_URL", url).expect_err(url);
        let expected = "WEBHOOK_URL has a wrong value; accepted: an http or https URL";
        assert!(message.starts_with(expected), "{url}: {message}");
    }
    let config = read("WEBHOOK_SECRET", "hunter2, 16 bytes").expect("any text");
    assert_eq!(
        config.webhook_secret.as_ref().expect("a secret").key(),
        b"hunter2, 16 bytes"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    for secret in [
        "whsec_",
        "whsec_***",
        "whsec_abc",
        "whsec_c2hvcnQ=",
        "(hidden)",
    ] {
        let message = read("WEBHOOK_SECRET", secret).expect_err(secret);
        let expected = "WEBHOOK_SECRET has a wrong value; accepted: whsec_ and a key in Base64, or any other text, of 16 bytes";
        assert!(message.starts_with(expected), "{secret}: {message}");
    }
}
