//! The service manager: told how the server does, as sd_notify(3) wants it, where `NOTIFY_SOCKET` names a socket of its own.
//! Without one there is nobody to tell.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
    process,
    time::Duration,
};
use tokio::time::sleep;

/// How long a manager that does not listen may hold the server up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What tells the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    /// How often the manager wants to hear that the server lives.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// `lookup` answers for the environment: `|name| std::env::var_os(name)`. What is wrong with the socket is logged.
    pub fn new(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let manager = lookup("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let manager = manager.and_then(|name| match connect(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                log::warn!("NOTIFY_SOCKET names {name:?}, which cannot be used: {error}");
                None
            }
        });
        let number = |name: &str| lookup(name)?.to_str()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0);
        Self {
            manager,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// The server answers, as `status` says to people.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The server is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping");
    }

    /// Says that the server lives, for as long as this is not dropped, if anybody wants to hear it. At once, and then twice as
    /// often as is wanted.
    pub async fn keep_alive(&self) {
        let (Some(_), Some(watchdog)) = (&self.manager, self.watchdog) else {
            return std::future::pending().await;
        };
        loop {
            self.tell("WATCHDOG=1");
            sleep(watchdog / 2).await;
        }
    }

    fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.manager else {
            return;
        };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            log::warn!("the service manager was not told {state:?}: {error}");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => hidden(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        // Such as vsock, from a virtual machine to its host.
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, address))
}

/// An address that is in no file system.
#[cfg(target_os = "linux")]
fn hidden(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn hidden(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
