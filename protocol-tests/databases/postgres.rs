//! A PostgreSQL server of the tests' own: Debian's, on a port and in a folder that nobody else has.

use super::{gamevault::Version, program::Folder};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio_postgres::{Client, NoTls};

/// The owner of all databases.
const OWNER: &str = "gamevault";

pub struct Postgres {
    pub port: u16,
    /// The role of docs/gamevault.md.
    pub role: String,
    pub password: String,
    folder: Folder,
    process: Mutex<Option<Child>>,
    databases: AtomicUsize,
}

/// The page's SQL.
fn page() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gamevault.md");
    let page = fs::read_to_string(page).expect("a page");
    let (_, rest) = page.split_once("```sql\n").expect("SQL");
    let (sql, _) = rest.split_once("```").expect("an end");
    sql.split_inclusive(';')
        .map(str::trim)
        .filter(|sql| !sql.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Debian has the programs of the server beside each other, by version.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("apt-get install postgresql");
    let programs = versions.map(|version| version.expect("an entry").path().join("bin").join(name));
    programs
        .filter(|program| program.exists())
        .max()
        .expect("apt-get install postgresql")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout == b"0\n"
}

/// The server refuses to be root's, so as Debian's user for it.
fn command(name: &str) -> Command {
    let program = program(name);
    let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
    // Wherever that user may go.
    command.current_dir("/");
    if !is_root() {
        command.arg(program);
        return command;
    }
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(program);
    command
}

fn give_to_server(path: &Path) {
    if is_root() {
        let id = |option| {
            let id = Command::new("id")
                .args([option, "postgres"])
                .output()
                .expect("id");
            String::from_utf8(id.stdout)
                .expect("text")
                .trim()
                .parse()
                .expect("a number")
        };
        chown(path, Some(id("-u")), Some(id("-g"))).expect("root");
    }
}

/// The owner's password.
const OWNERS_PASSWORD: &str = "the owner's password";

/// An empty cluster.
fn init(folder: &Path) {
    let password = folder.join("password");
    fs::write(&password, OWNERS_PASSWORD).expect("a file");
    give_to_server(&password);
    let made = command("initdb")
        .args([
            "--no-sync",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ])
        .arg(format!("--username={OWNER}"))
        .arg(format!("--pwfile={}", password.display()))
        .arg("--pgdata")
        .arg(folder.join("data"))
        .output()
        .expect("setpriv, from util-linux");
    assert!(made.status.success(), "{made:?}");
}

impl Postgres {
    /// The server that tests share, for as long as any of them needs it.
    pub fn shared() -> Arc<Postgres> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().expect("a test has failed");
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Postgres::start(&[]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A new one, with these options.
    pub fn start(options: &[&str]) -> Postgres {
        let folder = Folder::new();
        give_to_server(&folder.0);
        init(&folder.0);
        for file in ["localhost.pem", "localhost.key"] {
            let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-tests/support/tls");
            let to = folder.0.join(file);
            fs::copy(tls.join(file), &to).expect("a file");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("a file");
            give_to_server(&to);
        }
        let page = page();
        let [create_role, _] = &page[..] else {
            panic!("docs/gamevault.md has other statements: {page:?}");
        };
        let mut words = create_role.split_whitespace();
        let server = Postgres {
            // Somebody else may take it until the server does; then the test fails, and says so.
            port: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .expect("a port")
                .port(),
            role: words.nth(2).expect("a role").to_owned(),
            password: create_role
                .split('\'')
                .nth(1)
                .expect("a password")
                .to_owned(),
            folder,
            process: Mutex::new(None),
            databases: AtomicUsize::new(0),
        };
        server.run(options);
        server
    }

    /// Starts it, again perhaps, and waits until it answers.
    pub fn run(&self, options: &[&str]) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.0.join("log"))
            .expect("a log");
        let child = command("postgres")
            .arg("-D")
            .arg(self.folder.0.join("data"))
            .arg("-p")
            .arg(self.port.to_string())
            .args([
                "-c",
                "fsync=off",
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "log_statement=all",
            ])
            .args(["-c", "log_line_prefix=%u|", "-c", "max_connections=40"])
            .arg("-c")
            .arg(format!(
                "unix_socket_directories={}",
                self.folder.0.display()
            ))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv, from util-linux");
        *self.process.lock().expect("one test at a time") = Some(child);
        self.wait();
    }

    fn wait(&self) {
        let started = Instant::now();
        loop {
            let answer = Command::new(program("pg_isready"))
                .args(["--quiet", "--host=127.0.0.1"])
                .arg(format!("--port={}", self.port))
                .status();
            if answer.expect("pg_isready").success() {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&self) {
        if let Some(mut child) = self.process.lock().expect("one test at a time").take() {
            // QUIT takes its children with it.
            let pid = child.id().to_string();
            let told = Command::new("kill").args(["-s", "QUIT", &pid]).status();
            assert!(told.is_ok_and(|told| told.success()));
            child.wait().expect("a child");
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).expect("a log")
    }

    /// A file with its own certificate.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The owner's connection.
    pub async fn connect(&self, database: &str) -> Client {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user(OWNER)
            .password(OWNERS_PASSWORD)
            .dbname(database)
            .connect(NoTls)
            .await
            .expect("the owner comes in");
        // Ends with an error where the test ends the server.
        tokio::spawn(async { connection.await.map_or((), drop) });
        client
    }

    /// An empty database; the name.
    pub async fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("gamevault{number}");
        let client = self.connect("postgres").await;
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("a database");
        // The role is one for all of the server's databases; whoever comes first makes it.
        let created = client.batch_execute(&page()[0]).await;
        if let Err(error) = created {
            let code = error.code().map(|code| code.code().to_owned());
            let exists = ["42710", "23505"].map(|code| Some(code.to_owned()));
            assert!(exists.contains(&code), "{error}");
        }
        name
    }

    /// What the role may read of a database of this version.
    pub fn grant(&self, version: Version) -> String {
        let grant = &page()[1];
        assert!(grant.contains("api_key"), "{grant}");
        grant.replace("api_key", version.key_column())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}
