//! The real program as a child, on a port of the kernel's choice, with a user file of its own.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use crate::support::{Client, Random, until};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::spawn_blocking,
    time::timeout,
};

/// How long anything may take that has to come. A seed that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a lost client's report holds.
pub const GRACE: Duration = Duration::from_secs(1);
/// How long a client may be silent. On a busy machine those who are well need their time, too.
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// Ok, or what went wrong, for the story.
pub type Outcome<T = ()> = Result<T, String>;

pub struct Daemon {
    folder: PathBuf,
    /// Settings that are another than for a story.
    settings: Vec<(&'static str, String)>,
    child: Mutex<Option<(Child, ChildStdout)>>,
    address: Mutex<Option<SocketAddr>>,
    /// By user id - 1, as the file has them.
    keys: tokio::sync::Mutex<Vec<String>>,
}

impl Daemon {
    /// With the users 1 to `users`.
    pub fn new(users: usize) -> Self {
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall-convergence-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut random = Random::new(number + 1);
        let keys: Vec<String> = (0..users).map(|_| key(&mut random)).collect();
        let daemon = Self {
            folder,
            settings: Vec::new(),
            child: Mutex::default(),
            address: Mutex::default(),
            keys: tokio::sync::Mutex::new(keys.clone()),
        };
        daemon.write(&keys);
        daemon
    }

    /// The same with another value for a setting.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Starts it, and says what its users' keys are.
    pub async fn start(&self) -> Outcome<Vec<String>> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .current_dir(&self.folder)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            .env("USERS_FILE", self.folder.join("users.json"))
            .env("ACTIVITY_GRACE_SECONDS", GRACE.as_secs().to_string())
            .env("ENGINE_PING_INTERVAL_MS", "500")
            .env("ENGINE_PING_TIMEOUT_MS", TIMEOUT.as_millis().to_string())
            .env("ENGINE_POLL_TIMEOUT_MS", TIMEOUT.as_millis().to_string())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the program");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let (line, lines) = spawn_blocking(move || {
            let mut line = String::new();
            let _read = lines.read_line(&mut line);
            (line, lines)
        })
        .await
        .expect("a line");
        *self.child.lock().expect("whole") = Some((child, lines.into_inner()));
        let address = line.trim().strip_prefix("Rollcall listening on http://");
        let address = address.and_then(|address| address.parse().ok());
        *self.address.lock().expect("whole") = Some(address.ok_or("the server does not start")?);
        Ok(self.keys.lock().await.clone())
    }

    /// Tells it to stop, or does not even ask; waits until it has.
    pub async fn stop(&self, kill: bool) -> Outcome {
        let Some((mut child, _output)) = self.child.lock().expect("whole").take() else {
            return Ok(());
        };
        if kill {
            child.kill().expect("a child");
        } else {
            let term = Command::new("kill").arg(child.id().to_string()).status();
            assert!(
                term.is_ok_and(|status| status.success()),
                "kill(1) is there"
            );
        }
        let mut status = None;
        let ended = until(|| {
            status = child.try_wait().expect("a child");
            status.is_some()
        });
        let in_time = timeout(PATIENCE, ended).await;
        if in_time.is_err() {
            child.kill().and_then(|()| child.wait()).expect("a child");
            return Err("the server did not stop".to_owned());
        }
        match status.filter(|status| kill || status.success()) {
            Some(_) => Ok(()),
            None => Err(format!("the server ended with {status:?}")),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address.lock().expect("whole").expect("it was started")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        let child = self.child.lock().expect("whole");
        child.as_ref().expect("it was started").0.id()
    }

    /// Gives a user another key, and waits until that is in force.
    pub async fn rotate(&self, user: usize) -> Outcome<String> {
        static ROTATIONS: AtomicU64 = AtomicU64::new(0);
        let number = ROTATIONS.fetch_add(1, Ordering::Relaxed);
        let key = {
            let mut keys = self.keys.lock().await;
            keys[user - 1] = key(&mut Random::new((1 << 32) + number));
            self.write(&keys);
            keys[user - 1].clone()
        };
        let in_force = async {
            let mut again = tokio::time::interval(Duration::from_millis(50));
            while self
                .ask("GET", "/api/users/me", &key, "")
                .await
                .map(|(status, _)| status)
                != Ok(200)
            {
                again.tick().await;
            }
        };
        timeout(PATIENCE, in_force)
            .await
            .map_err(|_| "the new key does not come into force")?;
        Ok(key)
    }

    fn write(&self, keys: &[String]) {
        let user = |(index, key): (usize, &String)| {
            let (id, name) = (index + 1, format!("user{}", index + 1));
            json!({"id": id, "username": name, "api_key": key, "role": 1, "activated": true})
        };
        let users: Vec<Value> = keys.iter().enumerate().map(user).collect();
        let (new, file) = (self.folder.join("new"), self.folder.join("users.json"));
        fs::write(&new, json!({ "users": users }).to_string()).expect("a file");
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&new, private).expect("a file");
        fs::rename(new, file).expect("a file");
    }

    /// One request on a connection of its own.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> Outcome<(u16, String)> {
        let stream = TcpStream::connect(self.address())
            .await
            .map_err(|error| error.to_string())?;
        Http {
            client: Client::on(stream),
            buffer: Vec::new(),
        }
        .ask(method, path, key, body)
        .await
    }

    /// Waits until the server has noticed that a session is over. (Asked this way, it does the session no harm.)
    pub async fn has_noticed(&self, sid: &str) -> Outcome {
        let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
        let noticed = async {
            let mut again = tokio::time::interval(Duration::from_millis(20));
            loop {
                again.tick().await;
                let (_, body) = self.ask("GET", &path, "", "").await?;
                if body.contains("\"code\":1") {
                    return Ok(());
                }
            }
        };
        let in_time = timeout(PATIENCE, noticed).await;
        in_time.unwrap_or_else(|_| Err("a session that is lost goes on".to_owned()))
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    pub fn has_panicked(&self) -> bool {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.contains("panicked at")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut()
            && let Some((child, _)) = child
        {
            let _ended = child.kill().and_then(|()| child.wait());
        }
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

fn key(random: &mut Random) -> String {
    (0..4).map(|_| format!("{:016x}", random.next())).collect()
}

/// A connection for requests, one after another.
pub struct Http {
    pub client: Client,
    buffer: Vec<u8>,
}

impl Http {
    pub async fn dial(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            client: Client::on(stream),
            buffer: Vec::new(),
        })
    }

    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> Outcome<(u16, String)> {
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("X-Api-Key: {key}\r\n")
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{key}Content-Length: {length}\r\n\r\n{body}"
        );
        let written = self.client.stream.write_all(request.as_bytes()).await;
        written.map_err(|error| error.to_string())?;
        let end = loop {
            let end = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.read().await?,
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).expect("ASCII");
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .ok_or("no status")?;
        let head = head.to_ascii_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.buffer.len() < length {
            self.read().await?;
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).expect("UTF-8");
        Ok((status, body))
    }

    async fn read(&mut self) -> Outcome {
        match self.client.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the connection ended before the answer".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
