//! The daemon from outside: how it starts, what it logs, and how it stops.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs
)]

#[path = "support/anyone.rs"]
mod anyone;

use anyone::as_anyone;
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{PermissionsExt, symlink},
            net::{self, UnixDatagram},
        },
    },
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long the daemon may take to stop, whatever happens.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The program, running in a folder of its own, on a port of the kernel's choice.
struct Daemon {
    folder: PathBuf,
    child: Child,
    address: SocketAddr,
    /// What it prints behind its address.
    output: BufReader<ChildStdout>,
}

impl Daemon {
    /// The program with these arguments, in a new folder, with nothing from the environment of the tests.
    fn command(arguments: &[&str]) -> (PathBuf, Command) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall-daemon-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a new folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command
            .args(arguments)
            .env_clear()
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        (folder, command)
    }

    fn start() -> Self {
        Self::started(Self::command(&[]))
    }

    /// Starts what [`Daemon::command`] made. Nobody reads its log, unless [`Daemon::log`] does.
    fn started((folder, mut command): (PathBuf, Command)) -> Self {
        let mut child = command.spawn().expect("the program");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut first = String::new();
        output.read_line(&mut first).expect("UTF-8");
        let address = first
            .trim_end()
            .strip_prefix("Rollcall listening on http://");
        let address = address.expect("an address").parse().expect("an address");
        Self {
            folder,
            child,
            address,
            output,
        }
    }

    fn log(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("its log")
    }

    fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("a connection")
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill(1) works");
    }

    /// Tells it to stop by this signal, and waits; how it ended, and how long that took.
    fn stop(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let told = Instant::now();
        self.signal(signal);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, told.elapsed());
            }
            assert!(told.elapsed() < 4 * STOP_TIMEOUT, "it does not stop");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What else it prints until it stops, which it is told to.
    fn greeting(&mut self) -> String {
        self.stops_in_time("TERM");
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("UTF-8");
        text
    }

    /// Does in a shell what the greeting says.
    fn key_by_the_command_in(&self, greeting: &str) -> String {
        let command = greeting.split('`').nth(1).expect("a command");
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&self.folder);
        let shown = shell.output().expect("a shell").stdout;
        String::from_utf8(shown).expect("UTF-8").trim().to_owned()
    }

    fn stops_in_time(&mut self, signal: &str) {
        let (status, took) = self.stop(signal);
        assert!(status.success(), "{status}");
        assert!(took < STOP_TIMEOUT, "it took {took:?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// Sends `count` requests that are refused and logged, one after another, and reads the answers.
fn be_refused(connection: &mut TcpStream, count: usize) {
    let mut answers = BufReader::new(connection.try_clone().expect("a handle"));
    for _ in 0..count {
        connection
            .write_all(b"GET /socket.io/?EIO=4&transport=none HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("a request");
        let mut length = 0;
        let mut line = String::new();
        while answers.read_line(&mut line).expect("an answer") > 2 {
            if let Some(its) = line.to_lowercase().strip_prefix("content-length: ") {
                length = its.trim().parse().expect("a length");
            }
            line.clear();
        }
        io::copy(&mut answers.by_ref().take(length), &mut io::sink()).expect("a body");
    }
}

// ---------------------------------------------------------------------------------------------------------
// The start.

#[test]
fn what_the_first_start_prints_can_be_pasted() {
    for (host, named) in [
        ("127.0.0.2", "http://127.0.0.2"),
        ("0.0.0.0", "http://localhost"),
        ("", "http://localhost"),
    ] {
        let (folder, mut command) = Daemon::command(&[]);
        command.env("SERVER_HOST", host);
        let mut daemon = Daemon::started((folder, command));
        let port = daemon.address.port();
        let greeting = daemon.greeting();
        let url = format!("{named}:{port}");
        assert!(
            greeting.contains(&format!(" {url}/api/users/me\n")),
            "{greeting}"
        );
        assert!(greeting.contains(&format!("(\"{url}\", {{")), "{greeting}");
        assert!(
            greeting.contains(&format!("Open {url}/ and paste it")),
            "{greeting}"
        );
        let key = greeting
            .lines()
            .map(str::trim)
            .find(|line| line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(
            Some(&*daemon.key_by_the_command_in(&greeting)),
            key,
            "{greeting}"
        );
    }
}

#[test]
fn a_program_on_a_strange_path_is_named_so_that_a_shell_finds_it() {
    let (folder, _) = Daemon::command(&[]);
    let strange = folder.join("it's a program");
    symlink(env!("CARGO_BIN_EXE_rollcall"), &strange).expect("a link");
    let mut command = Command::new(&strange);
    command
        .env_clear()
        .env("SERVER_HOST", "127.0.0.1")
        .env("SERVER_PORT", "0")
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut daemon = Daemon::started((folder, command));
    let greeting = daemon.greeting();
    let key = daemon.key_by_the_command_in(&greeting);
    assert!(key.len() == 64 && greeting.contains(&key), "{greeting}");
}

#[test]
fn without_activities_the_first_start_speaks_of_none() {
    let (folder, mut command) = Daemon::command(&[]);
    command.env("SERVER_ONLINE_ACTIVITIES_DISABLED", "true");
    let greeting = Daemon::started((folder, command)).greeting();
    assert!(greeting.contains("curl -H"), "{greeting}");
    assert!(
        !greeting.contains("socket") && !greeting.contains("Open"),
        "{greeting}"
    );
}

#[test]
fn the_word_serve_starts_it_too() {
    let mut daemon = Daemon::started(Daemon::command(&["serve"]));
    be_refused(&mut daemon.dial(), 1);
    daemon.stops_in_time("TERM");
}

#[test]
fn what_is_wrong_keeps_it_from_starting_and_is_said_with_its_place() {
    let good = r#"{"users":[{"id":1,"username":"a","api_key":"KEY","role":1,"activated":true,"deleted_at":null,"password":null}]}"#
        .replace("KEY", &"0".repeat(64));
    let table = [
        // The user file, a variable, what is said.
        (
            "{\"users\":\n  7}",
            ("SERVER_PORT", "0"),
            "users.json, line 2, column 3: invalid type: integer `7`, expected a list of users",
        ),
        (
            &*good.replace(":[", ":[\n\n{},"),
            ("SERVER_PORT", "0"),
            "users.json, line 3, column 2: ",
        ),
        (&good, ("SERVER_PORT", "65536"), "SERVER_PORT is \"65536\""),
        (
            &good,
            ("ENGINE_MAX_SESSIONS", "many"),
            "ENGINE_MAX_SESSIONS is \"many\"",
        ),
    ];
    for arguments in [&[][..], &["serve"]] {
        for (users, (name, value), says) in &table {
            let (folder, mut command) = Daemon::command(arguments);
            fs::write(folder.join("users.json"), users).expect("a file");
            command.env("USERS_FILE", "users.json").env(name, value);
            let ended = command.output().expect("the program");
            let _gone = fs::remove_dir_all(folder);
            let error = String::from_utf8(ended.stderr).expect("UTF-8");
            assert_eq!(ended.status.code(), Some(1), "{error}");
            assert!(error.contains(says), "{error}");
            assert!(ended.stdout.is_empty(), "it does not say that it listens");
        }
    }
}

/// What the program says when it ends at once, which has to be one line.
fn refusal((folder, mut command): (PathBuf, Command)) -> String {
    let ended = command.output().expect("the program");
    let _gone = fs::remove_dir_all(folder);
    let error = String::from_utf8(ended.stderr).expect("UTF-8");
    assert_eq!(ended.status.code(), Some(1), "{error}");
    assert!(ended.stdout.is_empty(), "it does not say that it listens");
    assert_eq!(error.lines().count(), 1, "{error}");
    error.trim_end().to_owned()
}

#[test]
fn a_port_that_is_taken_and_an_address_of_another_machine_are_named_with_what_to_do() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port().to_string();
    let (folder, mut command) = Daemon::command(&[]);
    command.env("SERVER_PORT", &port);
    let unmade = folder.join("data");
    let said = refusal((folder, command));
    assert!(
        said.contains(&format!("port {port} is taken by another program")),
        "{said}"
    );
    assert!(
        said.contains(&format!("`ss -ltnp 'sport = :{port}'`")),
        "{said}"
    );
    assert!(
        said.ends_with("or set SERVER_PORT to a free port"),
        "{said}"
    );
    assert!(!unmade.exists(), "no key was made that nobody has seen");

    let (folder, mut command) = Daemon::command(&[]);
    // For documents: nobody has it.
    command.env("SERVER_HOST", "192.0.2.1");
    let said = refusal((folder, command));
    assert!(
        said.contains("SERVER_HOST is no address of this machine: leave it empty"),
        "{said}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_what_to_do() {
    let (folder, mut command) = Daemon::command(&[]);
    let closed = folder.join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("our folder");
    command.env("USERS_FILE", "closed/users.json");
    let command = as_anyone(&command);
    let said = refusal((folder, command));
    assert!(
        said.contains("the user file closed/users.json: Permission denied (os error 13): it and its folder must belong to the user that"),
        "{said}"
    );
    assert!(
        said.ends_with("or USERS_FILE must name another place"),
        "{said}"
    );

    let (folder, mut command) = Daemon::command(&[]);
    fs::write(folder.join("file"), "").expect("a file");
    command.env("USERS_FILE", "file/users.json");
    let said = refusal((folder, command));
    assert!(
        said.ends_with(": let USERS_FILE name a file in a folder"),
        "{said}"
    );
}

// ---------------------------------------------------------------------------------------------------------
// The service manager.

/// A service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn on(address: &net::SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).expect("a socket");
        let patience = Some(Duration::from_secs(10));
        socket.set_read_timeout(patience).expect("a socket");
        Self(socket)
    }

    /// What it is told next.
    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..length].to_vec()).expect("UTF-8")
    }
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let (folder, command) = Daemon::command(&[]);
    let path = folder.join("notify");
    let name = format!("rollcall-test-{}", std::process::id());
    let hidden = net::SocketAddr::from_abstract_name(&name).expect("a name");
    let shown = net::SocketAddr::from_pathname(&path).expect("a path");
    drop(command);
    for (named, address) in [
        (path.to_str().expect("UTF-8").to_owned(), shown),
        (format!("@{name}"), hidden),
    ] {
        let manager = Manager::on(&address);
        let (folder, mut command) = Daemon::command(&[]);
        command.env("NOTIFY_SOCKET", named);
        let mut daemon = Daemon::started((folder, command));
        let expected = format!("READY=1\nSTATUS=Listening on http://{}", daemon.address);
        assert_eq!(manager.told(), expected);
        be_refused(&mut daemon.dial(), 1);
        daemon.stops_in_time("TERM");
        assert_eq!(manager.told(), "STOPPING=1\nSTATUS=Stopping");
    }
    let _gone = fs::remove_dir_all(folder);
}

#[test]
fn a_watchdog_hears_that_it_lives_and_another_process_s_does_not() {
    let name = format!("rollcall-watchdog-{}", std::process::id());
    let manager = Manager::on(&net::SocketAddr::from_abstract_name(&name).expect("a name"));
    let start = |process: Option<&str>| {
        let (folder, mut command) = Daemon::command(&[]);
        command.env("NOTIFY_SOCKET", format!("@{name}"));
        command.env("WATCHDOG_USEC", "200000");
        command.envs(process.map(|process| ("WATCHDOG_PID", process)));
        Daemon::started((folder, command))
    };
    let mut daemon = start(None);
    assert!(manager.told().starts_with("READY=1\n"));
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(manager.told(), "WATCHDOG=1");
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(250),
        "not all at once"
    );
    daemon.stops_in_time("TERM");
    while manager.told() == "WATCHDOG=1" {}

    let mut daemon = start(Some("1"));
    assert!(manager.told().starts_with("READY=1\n"));
    daemon.stops_in_time("TERM");
    assert!(manager.told().starts_with("STOPPING=1\n"));
}

#[test]
fn a_service_manager_that_cannot_be_told_is_no_reason_not_to_start() {
    for (named, says) in [
        (
            "notify",
            "NOTIFY_SOCKET names \"notify\", which cannot be used: ",
        ),
        (
            "/nowhere/notify",
            "the service manager was not told \"READY=1",
        ),
    ] {
        let (folder, mut command) = Daemon::command(&[]);
        command.env("NOTIFY_SOCKET", named);
        let mut daemon = Daemon::started((folder, command));
        be_refused(&mut daemon.dial(), 1);
        daemon.stops_in_time("TERM");
        let mut log = String::new();
        daemon.log().read_to_string(&mut log).expect("UTF-8");
        assert!(log.contains(says), "{log}");
    }
}

#[test]
fn a_hangup_ends_nothing() {
    let mut daemon = Daemon::start();
    let mut connection = daemon.dial();
    be_refused(&mut connection, 1);
    daemon.signal("HUP");
    be_refused(&mut connection, 1);
    daemon.stops_in_time("TERM");
}

// ---------------------------------------------------------------------------------------------------------
// The end.

#[test]
fn both_signals_stop_it_in_order() {
    for signal in ["TERM", "INT"] {
        let mut daemon = Daemon::start();
        daemon.stops_in_time(signal);
        let mut log = String::new();
        daemon.log().read_to_string(&mut log).expect("UTF-8");
        assert!(log.ends_with(" INFO  stopped\n"), "{log}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// The log.

/// More than the pipe and the daemon keep: a line has some 80 bytes.
const FLOOD: usize = 20_000;

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut daemon = Daemon::start();
    let mut connection = daemon.dial();
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    be_refused(&mut connection, FLOOD);
    daemon.stops_in_time("TERM");
}

#[test]
fn lines_that_are_lost_are_counted() {
    let mut daemon = Daemon::start();
    let mut connection = daemon.dial();
    be_refused(&mut connection, FLOOD);
    let mut log = daemon.log();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).expect("UTF-8");
        text
    });
    be_refused(&mut connection, 1);
    daemon.stops_in_time("TERM");
    let text = reader.join().expect("a log");
    let refused = text.matches("Transport unknown").count();
    let lost = text.lines().filter_map(|line| {
        let note = line.strip_suffix(" lines of this log were lost: nobody read it")?;
        note.rsplit(' ').next()?.parse::<usize>().ok()
    });
    let lost: usize = lost.sum();
    assert!(lost > 0, "more was logged than can wait");
    // It may be lost as well that it stops.
    let stopping = text.matches(" INFO  stopping\n").count();
    assert_eq!(refused + stopping + lost, FLOOD + 2);
    assert!(text.ends_with(" INFO  stopped\n"), "the last line is there");
}

/// Set for the program that panics: this one, once more.
const TO_PANIC: &str = "ROLLCALL_TEST_TO_PANIC";

#[test]
fn a_panic_is_an_event_of_the_log() {
    if std::env::var_os(TO_PANIC).is_some() {
        rollcall::logger::start(log::LevelFilter::Error, false).expect("a log");
        let panics = || panic!("\"as\" the\ntest\x1b[31m asked");
        let thread = thread::Builder::new().spawn(panics);
        assert!(thread.expect("a thread").join().is_err());
        return;
    }
    let itself = std::env::current_exe().expect("a program");
    let mut command = Command::new(itself);
    command
        .args(["--exact", "a_panic_is_an_event_of_the_log", "--nocapture"])
        .env(TO_PANIC, "1")
        .env("RUST_BACKTRACE", "1");
    let ended = command.output().expect("this program, once more");
    assert!(ended.status.success(), "{ended:?}");
    let log = String::from_utf8(ended.stderr).expect("UTF-8");
    let (time, what) = log.split_at(20);
    assert!(time.ends_with('Z'), "{log}");
    let place = " ERROR panicked at protocol-tests/daemon.rs:";
    let text = ": \"as\" the\\ntest\\u{1b}[31m asked\n";
    assert!(what.starts_with(place) && what.ends_with(text), "{log}");
    assert_eq!(log.lines().count(), 1);
}
