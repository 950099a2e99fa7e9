//! The program, with the settings that a test gives it.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use super::support::{Client, OPEN, until, upgrade_request};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A folder of a test's own, removed with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall-program-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

pub struct Rollcall {
    child: Child,
    _folder: Folder,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// The program with these settings, in a new folder.
pub fn command(variables: &[(String, String)]) -> (Folder, Command) {
    let folder = Folder::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command
        .env_clear()
        .env("SERVER_HOST", "127.0.0.1")
        .env("SERVER_PORT", "0")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&folder.0)
        .stdin(Stdio::null());
    (folder, command)
}

/// What it says when it does not start, or is asked for something else.
pub fn output(variables: &[(String, String)], arguments: &[&str]) -> Output {
    let (_folder, mut command) = command(variables);
    command.args(arguments).output().expect("the program")
}

/// A request by hand; the status and the body, and when to try again.
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub retry_after: Option<String>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

impl Rollcall {
    pub async fn start(variables: &[(String, String)]) -> Rollcall {
        let (folder, mut command) = command(variables);
        let mut child = command
            .env("SERVER_LOG_LEVEL", "debug")
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
        let out = child.stdout.take().expect("piped");
        let first = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).expect("text");
            line
        });
        let line = first.await.expect("a line");
        let address = line
            .trim()
            .rsplit_once('/')
            .map(|(_, address)| address.parse());
        let Some(Ok(address)) = address else {
            let _ended = child.wait();
            panic!("{line}{}", log.lock().unwrap());
        };
        Rollcall {
            child,
            _folder: folder,
            address,
            log,
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub async fn logged(&self, text: &str) {
        until(|| self.log().contains(text)).await;
    }

    /// Asks for a session with this header; the status, and the client.
    pub async fn knock(&self, header: &str) -> (Answer, Client) {
        let mut client = Client::dial(self.address).await;
        let header = format!("{header}\r\n");
        client
            .write(upgrade_request("", OPEN, &header).as_bytes())
            .await;
        let head = client.head().await;
        let answer = Answer {
            status: head.status,
            body: String::new(),
            retry_after: head.get("retry-after").map(str::to_owned),
        };
        (answer, client)
    }

    /// What a handshake with this key is answered.
    pub async fn status(&self, key: &str) -> u16 {
        self.knock(&format!("X-Api-Key: {key}")).await.0.status
    }

    /// A client who has joined, and has been told what everyone does.
    pub async fn join(&self, key: &str) -> Client {
        let (answer, mut client) = self.knock(&format!("X-Api-Key: {key}")).await;
        assert_eq!(answer.status, 101, "{}", self.log());
        client.text().await;
        client.connect().await;
        let snapshot = client.text().await;
        assert!(snapshot.starts_with(r#"42["activities""#), "{snapshot}");
        client
    }

    pub async fn get(&self, path: &str, header: &str) -> Answer {
        let mut client = Client::dial(self.address).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n");
        client.write(request.as_bytes()).await;
        let (head, body) = client.response().await;
        Answer {
            status: head.status,
            body,
            retry_after: head.get("retry-after").map(str::to_owned),
        }
    }

    /// Asks for something about the activity of the user with this key; what that is answered.
    pub async fn mine(&self, method: &str, key: &str, body: &str) -> u16 {
        let mut client = Client::dial(self.address).await;
        let length = body.len();
        let request = format!(
            "{method} /api/users/me/activity HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        client.write(request.as_bytes()).await;
        client.response().await.0.status
    }

    /// Tells it to stop, and waits.
    pub fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").arg(&pid).status();
        assert!(told.is_ok_and(|told| told.success()));
        assert!(self.child.wait().expect("a child").success());
    }
}

impl Drop for Rollcall {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

pub fn basic(name: &str, password: &str) -> String {
    let credentials = BASE64_STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {credentials}")
}
