//! TLS: who may encrypt with what, how long a handshake may take, and what becomes of connections when the certificate is another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use rollcall::{
    engineio::CloseReason,
    server::{Cors, Endpoint, Limit, Limits, Listener, Tls, bind, serve_all},
};
use std::{
    fs,
    future::pending,
    io::{self, BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{
    Client, Happened, LARGE, MANY, Recorder, Recording, Seen, Server, Setup, closed, large,
    milliseconds, roomy_with_write_timeout, run, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

const ALL_VERSIONS: &[&tokio_rustls::rustls::SupportedProtocolVersion] = &[&TLS12, &TLS13];

// ---------------------------------------------------------------------------------------------------------
// Certificates.

/// A folder of the test's own, removed with it.
struct Folder(PathBuf);

/// What `openssl ca` wants to know.
const AUTHORITY: &str = "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n\
    policy=any\nx509_extensions=server\nunique_subject=no\n[any]\ncommonName=supplied\n[server]\nbasicConstraints=critical,CA:FALSE\n\
    subjectAltName=DNS:localhost,IP:127.0.0.1\n";

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall-tls-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).expect("a new folder");
        for (name, text) in [("own.cnf", AUTHORITY), ("index", ""), ("serial", "01\n")] {
            fs::write(folder.path(name), text).expect("a file");
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// `openssl` with these words, which must succeed.
    fn openssl(&self, words: &str) {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(&self.0)
            .output()
            .expect("openssl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {words}: {said}");
    }

    /// Makes NAME.pem and NAME.key, good for those years.
    fn sign(&self, name: &str, from: u32, to: u32) {
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config own.cnf -selfsign -keyfile {name}.key -in {name}.csr -out {name}.pem \
             -startdate {from}0101000000Z -enddate {to}0101000000Z"
        ));
    }

    /// Puts NAME in the place from which the server reads.
    fn install(&self, name: &str) {
        for kind in ["pem", "key"] {
            let from = self.path(&format!("{name}.{kind}"));
            fs::copy(from, self.path(&format!("server.{kind}"))).expect("a copy");
        }
    }

    /// A good certificate in that place.
    fn with_certificate() -> Self {
        let folder = Self::new();
        folder.sign("first", 2020, 2120);
        folder.install("first");
        folder
    }

    fn tls(&self) -> Arc<Tls> {
        let tls = Tls::read(&self.path("server.pem"), &self.path("server.key"));
        Arc::new(tls.expect("a certificate and its key"))
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).expect("a certificate")
    }

    /// A client's end that believes the certificate NAME alone.
    async fn dial(&self, address: SocketAddr, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        self.dial_on(stream, name, ALL_VERSIONS, &[]).await
    }

    async fn dial_on(
        &self,
        stream: TcpStream,
        name: &str,
        versions: &[&'static tokio_rustls::rustls::SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate(name)).expect("an anchor");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let host = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(host, stream)
            .await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

// ---------------------------------------------------------------------------------------------------------
// The server in this process.

/// A server that speaks TLS alone.
struct Secured {
    address: SocketAddr,
    server: Server<Recorder>,
}

impl Secured {
    fn start(tls: Arc<Tls>, setup: Setup) -> (Self, Recording) {
        let (server, recording) = Recorder::server(setup);
        let listener = bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).expect("a port");
        let address = listener.local_addr().expect("its address");
        let endpoint = Endpoint::new(Arc::clone(&server.engine), "/socket.io/", Cors::Any);
        let bounds = Arc::clone(server.engine.bounds());
        tokio::spawn(async move {
            let listener = Listener::https(listener, tls);
            serve_all([listener], endpoint, &bounds, pending()).await;
        });
        (Self { address, server }, recording)
    }
}

/// Opens a session and joins the namespace.
async fn join(stream: TlsStream<TcpStream>, name: &str) -> Client<TlsStream<TcpStream>> {
    let mut client = Client::on(stream);
    client.shake_hands(name).await;
    client.connect().await;
    client
}

#[test]
fn sessions_of_both_versions_say_and_hear_what_others_do() {
    run(async {
        let folder = Folder::with_certificate();
        for (version, number) in [
            (&TLS12, ProtocolVersion::TLSv1_2),
            (&TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let (secured, mut recording) = Secured::start(folder.tls(), Setup::default());
            let stream = TcpStream::connect(secured.address).await.expect("a stream");
            let stream = folder.dial_on(stream, "first", &[version], &[]).await;
            let stream = stream.expect("a handshake");
            assert_eq!(stream.get_ref().1.protocol_version(), Some(number));
            let mut client = join(stream, "alice").await;
            let socket = recording.connected().await;
            // Small, a frame of many records, and small again: in order, and nothing waits.
            client.echo("before").await;
            socket.send(large(LARGE));
            let Seen::Text(text) = client.see().await else {
                panic!("not a text")
            };
            assert!(text.len() > LARGE);
            client.echo("behind").await;
            client
                .send(&format!("42[\"echo\",\"{}\"]", "y".repeat(LARGE)))
                .await;
            assert!(client.text().await.len() > LARGE);
        }
    });
}

#[test]
fn nothing_but_http_1_1_is_offered_behind_it() {
    run(async {
        let folder = Folder::with_certificate();
        let (secured, _recording) = Secured::start(folder.tls(), Setup::default());
        let dial = async |alpn: &[&[u8]]| {
            let stream = TcpStream::connect(secured.address).await?;
            folder.dial_on(stream, "first", ALL_VERSIONS, alpn).await
        };
        let stream = dial(&[b"h2", b"http/1.1"]).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let stream = dial(&[]).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), None);
        let error = dial(&[b"h2"]).await.expect_err("nothing in common");
        assert!(
            error.to_string().contains("NoApplicationProtocol"),
            "{error}"
        );
    });
}

#[test]
fn what_is_no_tls_ends_and_harms_nobody() {
    run(async {
        let folder = Folder::with_certificate();
        let (secured, _recording) = Secured::start(folder.tls(), Setup::default());
        let mut stream = TcpStream::connect(secured.address).await.expect("a stream");
        let request =
            b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await.expect("a request");
        let mut answer = Vec::new();
        // What it gets is an alert, and no HTTP.
        let _reset = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"));
        folder
            .dial(secured.address, "first")
            .await
            .expect("a handshake");
    });
}

// ---------------------------------------------------------------------------------------------------------
// Limits.

fn with_limits(change: impl FnOnce(&mut Limits)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.limits);
    setup
}

#[test]
fn a_handshake_that_takes_too_long_is_cut_off() {
    run(async {
        let folder = Folder::with_certificate();
        let patience = milliseconds(300);
        let setup = with_limits(|limits| limits.tls_handshake_timeout = patience);
        let (secured, _recording) = Secured::start(folder.tls(), setup);
        // One says nothing; the other says ever more, but never all.
        let begun = Instant::now();
        let mut silent = TcpStream::connect(secured.address).await.expect("a stream");
        let mut slow = TcpStream::connect(secured.address).await.expect("a stream");
        let trickle = async {
            // The head of a record of 512 bytes, and a byte of it now and then.
            let mut again = tokio::time::interval(milliseconds(20));
            let mut bytes = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]
                .iter()
                .chain([&0].into_iter().cycle());
            while slow
                .write_all(&[*bytes.next().expect("a byte")])
                .await
                .is_ok()
            {
                again.tick().await;
            }
        };
        let ended = async { silent.read(&mut [0; 8]).await };
        let (outcome, ()) = tokio::join!(ended, trickle);
        assert!(matches!(outcome, Ok(0) | Err(_)), "{outcome:?}");
        assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < 10 * patience, "{:?}", begun.elapsed());
        until(|| secured.server.reached(Limit::TlsHandshakeTimeout) == 2).await;
    });
}

#[test]
fn as_many_handshakes_as_there_may_be_and_no_more() {
    run(async {
        let folder = Folder::with_certificate();
        let setup = with_limits(|limits| limits.max_tls_handshakes = 2);
        let (secured, _recording) = Secured::start(folder.tls(), setup);
        let mut inside = folder
            .dial(secured.address, "first")
            .await
            .expect("a handshake");
        let silent = [
            TcpStream::connect(secured.address).await.expect("a stream"),
            TcpStream::connect(secured.address).await.expect("a stream"),
        ];
        let error = folder.dial(secured.address, "first").await;
        error.expect_err("there are two already");
        assert_eq!(secured.server.reached(Limit::TlsHandshakes), 1);
        // Who is inside does not count, and is unharmed.
        inside
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .expect("a request");
        let mut answer = [0; 12];
        inside.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 404");
        drop(silent);
        let again = async {
            while folder.dial(secured.address, "first").await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), again)
            .await
            .expect("there is room again");
    });
}

#[test]
fn a_connection_counts_whatever_it_speaks() {
    run(async {
        let folder = Folder::with_certificate();
        let setup = with_limits(|limits| limits.max_connections = 1);
        let (secured, _recording) = Secured::start(folder.tls(), setup);
        let first = folder
            .dial(secured.address, "first")
            .await
            .expect("a handshake");
        folder
            .dial(secured.address, "first")
            .await
            .expect_err("there is one already");
        assert_eq!(secured.server.reached(Limit::Connections), 1);
        drop(first);
        let again = async {
            while folder.dial(secured.address, "first").await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), again)
            .await
            .expect("there is room again");
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up_over_tls_too() {
    run(async {
        let folder = Folder::with_certificate();
        let setup = roomy_with_write_timeout(milliseconds(400));
        let (secured, mut recording) = Secured::start(folder.tls(), setup);
        let stream = folder
            .dial(secured.address, "first")
            .await
            .expect("a handshake");
        let mut other = join(stream, "other").await;
        recording.connected().await;
        let stream = Client::dial_narrow(secured.address).await.stream;
        let stream = folder.dial_on(stream, "first", ALL_VERSIONS, &[]).await;
        let mut stuck = join(stream.expect("a handshake"), "stuck").await;
        let socket = recording.connected().await;
        let frame = large(LARGE);
        for _ in 0..MANY {
            socket.send(frame.clone());
        }
        drop(socket);
        let (name, reason) = loop {
            other.echo("undisturbed").await;
            if let Some(Happened::Disconnected(name, reason)) = recording.next().await {
                break (name, reason);
            }
        };
        assert_eq!(name, "stuck");
        assert_eq!(reason, closed(CloseReason::WriteStalled));
        until(|| secured.server.sessions() == 1).await;
        until(|| frame.bytes().is_unique()).await;
        // At once, and not when the kernel has lost its patience.
        let end = loop {
            match stuck.read().await {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error.kind()),
            }
        };
        assert_eq!(end, Some(io::ErrorKind::ConnectionReset));
    });
}

// ---------------------------------------------------------------------------------------------------------
// Another certificate.

/// The certificate that is shown on a connection.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let shown = stream.get_ref().1.peer_certificates().expect("one");
    shown[0].clone().into_owned()
}

#[test]
fn another_certificate_is_for_those_who_come_then() {
    run(async {
        let folder = Folder::with_certificate();
        folder.sign("second", 2020, 2130);
        folder.sign("expired", 2020, 2021);
        let tls = folder.tls();
        let first_end = tls.good_until();
        let (secured, mut recording) = Secured::start(Arc::clone(&tls), Setup::default());
        let stream = folder
            .dial(secured.address, "first")
            .await
            .expect("a handshake");
        let mut before = join(stream, "before").await;
        recording.connected().await;

        folder.install("second");
        tls.reload().expect("a certificate and its key");
        assert!(tls.good_until() > first_end);
        folder
            .dial(secured.address, "first")
            .await
            .expect_err("that one is gone");
        let stream = folder
            .dial(secured.address, "second")
            .await
            .expect("a handshake");
        assert_eq!(shown(&stream), folder.certificate("second"));
        before.echo("unharmed").await;

        // What cannot be used changes nothing.
        for (certificate, key) in [("expired", "expired"), ("first", "second")] {
            fs::copy(
                folder.path(&format!("{certificate}.pem")),
                folder.path("server.pem"),
            )
            .expect("a copy");
            fs::copy(
                folder.path(&format!("{key}.key")),
                folder.path("server.key"),
            )
            .expect("a copy");
            tls.reload().expect_err("neither can be used");
            let stream = folder
                .dial(secured.address, "second")
                .await
                .expect("a handshake");
            assert_eq!(shown(&stream), folder.certificate("second"));
        }
        before.echo("still unharmed").await;
    });
}

// ---------------------------------------------------------------------------------------------------------
// The daemon.

/// The program in this folder, on ports of the kernel's choice, with the certificate that is there.
fn program(folder: &Folder, argument: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command
        .arg(argument)
        .env_clear()
        .env("SERVER_HOST", "127.0.0.1")
        .env("SERVER_PORT", "0")
        .env("SERVER_HTTPS_ENABLED", "true")
        .env("SERVER_HTTPS_PORT", "0")
        .env("SERVER_HTTPS_CERT_PATH", "server.pem")
        .env("SERVER_HTTPS_KEY_PATH", "server.key")
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

struct Daemon {
    child: Child,
    http: SocketAddr,
    https: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Daemon {
    fn start(folder: &Folder) -> Self {
        let mut child = program(folder, "serve").spawn().expect("the program");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut address = |scheme: &str| {
            let mut line = String::new();
            output.read_line(&mut line).expect("UTF-8");
            let place = line.trim_end().strip_prefix("Rollcall listening on ");
            let place = place.and_then(|place| place.strip_prefix(scheme));
            place.expect(&line).parse().expect("an address")
        };
        let (http, https) = (address("http://"), address("https://"));
        let log = BufReader::new(child.stderr.take().expect("its log"));
        Self {
            child,
            http,
            https,
            log,
        }
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill(1) works");
    }

    /// Waits until the log has a line with this in it.
    fn logs(&mut self, what: &str) -> String {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            let length = self.log.read_line(&mut line).expect("UTF-8");
            assert!(length > 0, "the log ends without {what:?}");
        }
        line
    }

    fn stops(mut self) {
        self.signal("TERM");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

const STATUS: &[u8] = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Asks for the status until the connection ends.
async fn status(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) -> String {
    stream.write_all(STATUS).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[test]
fn the_daemon_speaks_both_and_takes_a_new_certificate_on_a_hangup() {
    run(async {
        let folder = Folder::with_certificate();
        folder.sign("second", 2020, 2130);
        let mut daemon = Daemon::start(&folder);
        daemon.logs("the certificate can be used: it is good until 2120-01-01T00:00:00Z");
        let plain = TcpStream::connect(daemon.http).await.expect("a stream");
        assert!(status(plain).await.starts_with("HTTP/1.1 200 "));
        let stream = folder
            .dial(daemon.https, "first")
            .await
            .expect("a handshake");
        assert!(status(stream).await.starts_with("HTTP/1.1 200 "));
        let old = folder
            .dial(daemon.https, "first")
            .await
            .expect("a handshake");

        folder.install("second");
        daemon.signal("HUP");
        daemon.logs("the certificate was read again: it is good until 2130-01-01T00:00:00Z");
        let stream = folder
            .dial(daemon.https, "second")
            .await
            .expect("a handshake");
        assert_eq!(shown(&stream), folder.certificate("second"));
        assert!(status(old).await.starts_with("HTTP/1.1 200 "));

        fs::remove_file(folder.path("server.key")).expect("a file");
        daemon.signal("HUP");
        let line = daemon.logs("the certificate that was read before stays in use: ");
        assert!(
            line.contains("ERROR")
                && line.contains(
                    "SERVER_HTTPS_KEY_PATH: the key server.key cannot be read: No such file"
                ),
            "{line}"
        );
        let stream = folder
            .dial(daemon.https, "second")
            .await
            .expect("a handshake");
        assert!(status(stream).await.starts_with("HTTP/1.1 200 "));
        daemon.stops();
    });
}

/// What the program says when it ends at once, which has to be one line.
fn refusal(command: &mut Command) -> String {
    let output = command.output().expect("the program");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty(), "it does not say that it listens");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 1, "{error}");
    error.trim_end().to_owned()
}

#[test]
fn what_cannot_be_encrypted_with_keeps_it_from_starting_and_is_said_with_its_setting() {
    let folder = Folder::with_certificate();
    folder.sign("expired", 2020, 2021);
    folder.sign("future", 2120, 2121);
    folder.sign("other", 2020, 2120);
    folder.openssl("pkcs8 -topk8 -in first.key -passout pass:secret -out locked.key");
    fs::write(folder.path("text"), "no certificate").expect("a file");
    fs::write(folder.path("cut"), "-----BEGIN CERTIFICATE-----\nMIIB\n").expect("a file");
    fs::write(
        folder.path("broken"),
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    )
    .expect("a file");
    let certificate = |value, says| ("SERVER_HTTPS_CERT_PATH", value, says);
    let key = |value, says| ("SERVER_HTTPS_KEY_PATH", value, says);
    let table = [
        certificate(
            "",
            "SERVER_HTTPS_ENABLED is on, and SERVER_HTTPS_CERT_PATH is empty: name a file",
        ),
        certificate(
            "nowhere",
            "SERVER_HTTPS_CERT_PATH: the certificate nowhere cannot be read: No such file or directory",
        ),
        certificate(
            "/",
            "SERVER_HTTPS_CERT_PATH: the certificate / cannot be read: Is a directory",
        ),
        certificate(
            "text",
            "SERVER_HTTPS_CERT_PATH: there is no certificate in text: it takes -----BEGIN CERTIFICATE-----",
        ),
        certificate(
            "first.key",
            "SERVER_HTTPS_CERT_PATH: there is no certificate in first.key",
        ),
        certificate("cut", "SERVER_HTTPS_CERT_PATH: cut is not in the form PEM"),
        certificate(
            "broken",
            "SERVER_HTTPS_CERT_PATH: the certificate broken cannot be used",
        ),
        certificate(
            "expired.pem",
            "SERVER_HTTPS_CERT_PATH: the certificate expired.pem has expired on 2021-01-01T00:00:00Z: have it renewed",
        ),
        certificate(
            "future.pem",
            "SERVER_HTTPS_CERT_PATH: the certificate future.pem is not good before 2120-01-01T00:00:00Z: look whether",
        ),
        key(
            "",
            "SERVER_HTTPS_ENABLED is on, and SERVER_HTTPS_KEY_PATH is empty: name a file",
        ),
        key(
            "nowhere",
            "SERVER_HTTPS_KEY_PATH: the key nowhere cannot be read: No such file",
        ),
        key(
            "server.pem",
            "SERVER_HTTPS_KEY_PATH: there is no key in server.pem: it takes -----BEGIN PRIVATE KEY-----",
        ),
        key(
            "locked.key",
            "SERVER_HTTPS_KEY_PATH: there is no key in locked.key: it takes -----BEGIN PRIVATE KEY-----, without a password",
        ),
        key(
            "other.key",
            "SERVER_HTTPS_KEY_PATH: the key other.key is not that of the certificate: name the one",
        ),
    ];
    for (name, value, says) in table {
        for argument in ["serve", "check"] {
            let said = refusal(program(&folder, argument).env(name, value));
            assert!(said.contains(says), "{argument}, {name}={value}: {said}");
        }
    }
    assert!(
        !folder.path("data").exists(),
        "no first start, no key that is printed once"
    );
}

#[test]
fn a_certificate_that_is_good_is_good_for_check() {
    let folder = Folder::with_certificate();
    let output = program(&folder, "check").output().expect("the program");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    let line = "# The certificate can be used: it is good until 2120-01-01T00:00:00Z.\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named_with_its_setting() {
    let folder = Folder::with_certificate();
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port();
    let said = refusal(program(&folder, "serve").env("SERVER_HTTPS_PORT", port.to_string()));
    assert!(
        said.contains(&format!("port {port} is taken by another program")),
        "{said}"
    );
    assert!(
        said.ends_with("or set SERVER_HTTPS_PORT to a free port"),
        "{said}"
    );
}
