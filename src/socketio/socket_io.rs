//! Socket.IO as an application of Engine.IO: its namespaces, and what bounds its clients.

use super::{
    Client, MAX_ATTACHMENTS, Namespace, Recovery, Sockets,
    place::{AnyNamespace, Served},
};
use crate::engineio::{Application, Revision, outbound::Inbox};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// What bounds the things that a client of Socket.IO can make grow or last.
///
/// The times are added to the clock's, which panics where that cannot count so far: `Duration::MAX` is not "never".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a client may be in no namespace, at the beginning and whenever it has left the last.
    pub connect_timeout: Duration,
    /// How many attachments a client's packet may have. What is sent to clients has no more than
    /// [`MAX_ATTACHMENTS`](super::MAX_ATTACHMENTS), which is what they take.
    pub max_attachments: u8,
    /// How many bytes the attachments of one packet may have together. The reference's, which is the largest
    /// message ten times.
    pub max_attachment_bytes: usize,
    /// How long the attachments of a packet may take.
    pub attachment_timeout: Duration,
    /// How many arrays and objects may lie in each other in what a client says. Nothing here recurses, but what a
    /// program passes on is read by others.
    pub max_depth: usize,
    /// Whether clients that lost their connection get their sockets back, and at what cost.
    pub recovery: Option<Recovery>,
}

impl Default for Settings {
    /// The reference's, as far as it has them.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(45),
            max_attachments: MAX_ATTACHMENTS,
            max_attachment_bytes: 10_000_000,
            attachment_timeout: Duration::from_secs(20),
            max_depth: 512,
            recovery: None,
        }
    }
}

/// Socket.IO on Engine.IO: hand it to an engine.
///
/// `H` is what is known of a session from the request that opened it.
///
/// ```
/// # use rollcall::server::Handshake;
/// # use rollcall::socketio::{Auth, Event, Namespace, Refused, Socket};
/// # use std::sync::Arc;
/// # struct Chat;
/// # impl Namespace for Chat {
/// #     type Handshake = Handshake;
/// #     type Data = ();
/// #     async fn admit(&self, _: &Arc<Handshake>, _: Auth) -> Result<(), Refused> { Ok(()) }
/// #     fn on_event(&self, _: &Socket<()>, _: Event<'_>) {}
/// # }
/// use rollcall::server::{self, Anyone, Engine};
/// use rollcall::socketio::{Settings, SocketIo};
///
/// // `Chat` is a `Namespace`.
/// let mut io = SocketIo::builder(Settings::default());
/// let sockets = io.of("/", Chat);
/// let engine = Engine::new(io.build(), Anyone, server::Settings::default());
///
/// // From anywhere, at any time:
/// sockets.emit("news", ("the server is up",))?;
/// assert_eq!(sockets.len(), 0);
/// # Ok::<(), rollcall::socketio::EncodeError>(())
/// ```
pub struct SocketIo<H> {
    shared: Arc<Shared<H>>,
}

/// What all clients of a [`SocketIo`] share.
pub(super) struct Shared<H> {
    /// By name.
    pub(super) namespaces: HashMap<Arc<str>, Arc<dyn AnyNamespace<H>>>,
    pub(super) settings: Settings,
    pub(super) connect_timeout: ConnectTimeout<H>,
}

/// How long a client may be in no namespace, by who it is and what is usual.
type ConnectTimeout<H> = fn(&H, Duration) -> Duration;

/// Collects the namespaces of a [`SocketIo`].
pub struct Builder<H>(Shared<H>);

impl<H: Send + Sync + 'static> SocketIo<H> {
    /// A server without namespaces, to be given some.
    pub fn builder(settings: Settings) -> Builder<H> {
        Builder(Shared {
            namespaces: HashMap::new(),
            settings,
            connect_timeout: |_, usual| usual,
        })
    }
}

impl<H: Send + Sync + 'static> Builder<H> {
    /// Serves `namespace` under this name, and tells where its sockets will be. Given twice, the last counts.
    ///
    /// Names are compared byte by byte; those of clients begin with `/`.
    pub fn of<N: Namespace<Handshake = H>>(
        &mut self,
        name: &str,
        namespace: N,
    ) -> Arc<Sockets<N::Data>> {
        let name: Arc<str> = Arc::from(name);
        let recovery = self.0.settings.recovery.clone().map(Arc::new);
        let sockets = Sockets::new(Arc::clone(&name), recovery);
        let served = Served::new(namespace, Arc::clone(&sockets));
        self.0.namespaces.insert(name, Arc::new(served));
        sockets
    }

    /// Gives some clients more or less time in no namespace than [`Settings::connect_timeout`], by what is known of
    /// them: a stranger who has still to say who it is, for instance.
    pub fn connect_timeout(mut self, of: fn(&H, Duration) -> Duration) -> Self {
        self.0.connect_timeout = of;
        self
    }

    /// All namespaces are there.
    pub fn build(self) -> SocketIo<H> {
        SocketIo {
            shared: Arc::new(self.0),
        }
    }
}

impl<H: Send + Sync + 'static> Application for SocketIo<H> {
    type Identity = H;
    type Handler = Client<H>;

    fn open(
        &self,
        now: Instant,
        revision: Revision,
        identity: Arc<H>,
        inbox: Arc<Inbox>,
    ) -> Client<H> {
        Client::new(now, revision, Arc::clone(&self.shared), identity, inbox)
    }
}
