//! A server under measurement: started, pinned, and read off from outside.

use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use std::{
    fmt, fs,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Rollcall,
    Socketioxide,
    Node,
    /// Not a server: a loop of `send` over as many sockets, below which nobody gets.
    Floor,
}

/// Where the programs are.
pub struct Programs {
    pub rollcall: PathBuf,
    pub socketioxide: PathBuf,
    pub node_gateway: PathBuf,
}

/// Its processor, if there is one for each side.
const CORE: &str = "0";

pub struct Server {
    pub kind: Kind,
    pub address: SocketAddr,
    child: Child,
    clock: ClockId,
    /// RSS when it had just begun to listen, in bytes.
    pub rss_at_start: u64,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rollcall => "Rollcall",
            Self::Socketioxide => "socketioxide",
            Self::Node => "Node socket.io",
            Self::Floor => "raw send loop",
        })
    }
}

impl Server {
    /// Starts it with these users, and waits until it listens.
    pub fn start(
        kind: Kind,
        programs: &Programs,
        users: &Path,
        clients: usize,
    ) -> io::Result<Self> {
        Self::start_with(kind, programs, users, clients, &[])
    }

    /// The same with settings of its own.
    pub fn start_with(
        kind: Kind,
        programs: &Programs,
        users: &Path,
        clients: usize,
        settings: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]);
        match kind {
            Kind::Rollcall => command.arg(&programs.rollcall),
            Kind::Socketioxide => command.arg(&programs.socketioxide).arg(users),
            Kind::Node => command.arg("node").arg(&programs.node_gateway).arg(users),
            Kind::Floor => command
                .arg(std::env::current_exe()?)
                .arg("floor")
                .arg(clients.to_string()),
        };
        let mut child = command
            .env("USERS_FILE", users)
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            // The others write no log. To learn why a session was closed, ask for `info`.
            .env(
                "SERVER_LOG_LEVEL",
                std::env::var_os("SERVER_LOG_LEVEL").unwrap_or_else(|| "warn".into()),
            )
            .env("ENGINE_MAX_SESSIONS", "20000")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .split_once("http://")
            .and_then(|(_, address)| address.trim().parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("{kind} said {line:?}")))?;
        let pid = Pid::from_raw(child.id() as i32);
        let mut server = Self {
            kind,
            address,
            child,
            clock: clock_getcpuclockid(pid)?,
            rss_at_start: 0,
        };
        // What it still does behind the line that says where it listens has no event to wait for.
        std::thread::sleep(Duration::from_millis(300));
        server.rss_at_start = server.rss()?;
        Ok(server)
    }

    /// CPU time that it has used so far, user and system.
    pub fn cpu(&self) -> io::Result<Duration> {
        Ok(clock_gettime(self.clock)?.into())
    }

    /// RSS in bytes.
    pub fn rss(&self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    /// The largest RSS since [`Server::forget_peak`].
    pub fn peak_rss(&self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    pub fn forget_peak(&self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
    }

    fn status(&self, name: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes
            .map(|kilobytes| kilobytes << 10)
            .ok_or_else(|| io::Error::other(format!("no {name}")))
    }

    /// Asks it to stop as an operator would, and says how long it took.
    pub fn stop(mut self) -> io::Result<Duration> {
        let asked = std::time::Instant::now();
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(asked.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only of a run that was given up; one that has stopped cannot be killed again.
        if let Ok(None) = self.child.try_wait() {
            let _gone_meanwhile = self.child.kill();
            let _status = self.child.wait();
        }
    }
}
