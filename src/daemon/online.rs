//! All that tells what everyone does, put together.

use super::StartError;
use crate::{
    api::{self, Authenticator, SocketIoEngine, Streams},
    config::Config,
    engineio::Timing,
    presence::{Claim, Gateway, Hub, Intervals, Keeper, Player, Rules, Visitor},
    server::{Engine, Limits, Settings},
    socketio::{self, SocketIo, Sockets},
    users::{Directory, User, UserFile, UserFileError},
};
use std::{sync::Arc, time::Duration};

/// How many changes a client may lag behind before it gets a snapshot instead: more than a burst, and at
/// a hundred bytes each little for the one ring that all share.
const RING: usize = 1024;

/// How long a session may be a stranger's.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stream may be silent: proxies take one that is for dead, usually after a minute. A server whose clients
/// are asked more often whether they are there has its reasons, and they hold here, too.
const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);

/// All that tells what everyone does: the Socket.IO endpoint with the sockets that are on it, the streams, and what is
/// written down.
pub(super) struct Online {
    pub(super) engine: Arc<SocketIoEngine>,
    pub(super) hub: Arc<Hub>,
    pub(super) sockets: Arc<Sockets<Player>>,
    pub(super) streams: Arc<Streams>,
    pub(super) keeper: Keeper,
}

impl Online {
    /// Opens it: nobody is connected yet, and what was written down is known.
    pub(super) async fn start(
        config: &Config,
        directory: &Arc<dyn Directory>,
        limits: &Limits,
        authenticator: Authenticator,
        claim: Claim,
    ) -> Result<Self, StartError> {
        let hub = Hub::new(
            RING,
            Rules {
                grace: config.activity_grace,
                ..Rules::default()
            },
        );
        // A task of its own, which is woken by nothing but news.
        let herald = Arc::clone(&hub);
        tokio::spawn(async move { herald.herald().await });
        let keeper = Keeper::open(Arc::clone(&hub), claim);
        let keeper = keeper.map_err(StartError::Users)?;
        match directory.learn(hub.users()).await {
            Ok(()) => expel(&hub, &**directory),
            // They are looked up again with all others.
            Err(error) => log::warn!("who was here before is believed for now: {error}"),
        }
        let streams = Streams::new(
            Arc::clone(&hub),
            Arc::clone(directory),
            config.max_streams,
            STREAM_HEARTBEAT.min(config.ping_interval),
        );
        let gateway = Gateway::new(Arc::clone(&hub))
            .with_keys(Arc::new(authenticator.clone()))
            .at_most(limits.max_sessions_per_owner);
        let authenticator = authenticator.let_key_follow(config.auth_connect_payload);
        let timing = Timing {
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            upgrade_timeout: config.upgrade_timeout,
            poll_timeout: config.poll_timeout,
            post_timeout: config.post_timeout,
        };
        let settings = Settings {
            timing,
            limits: limits.clone(),
            allow_eio3: config.allow_eio3,
        };
        let mut io = SocketIo::builder(socketio::Settings {
            connect_timeout: config.connect_timeout,
            // The gateway passes nothing on, and has a limit of its own, with an answer that says so.
            max_depth: usize::MAX,
            ..socketio::Settings::default()
        });
        let sockets = io.of("/", gateway);
        let io = io.connect_timeout(|visitor, usual| match visitor {
            Visitor::User(_) => usual,
            Visitor::Stranger(_) => usual.min(STRANGER_TIMEOUT),
        });
        let engine = Engine::new(io.build(), authenticator, settings);
        Ok(Self {
            engine,
            hub,
            sockets,
            streams,
            keeper,
        })
    }

    /// What of it is counted.
    pub(super) fn metrics(&self) -> api::Online {
        api::Online {
            engine: Arc::clone(&self.engine),
            hub: Arc::clone(&self.hub),
            sockets: Arc::clone(&self.sockets),
            streams: Arc::clone(&self.streams),
        }
    }

    /// Disconnects whoever was removed or deactivated, or got another key.
    fn sweep(&self, directory: &dyn Directory) {
        self.streams.sweep();
        let is_over = |user: &Arc<User>| !directory.is_current(user);
        self.engine
            .sessions()
            .disconnect(|visitor| visitor.user().is_some_and(is_over));
        // Those who came as strangers and said later who they are.
        for socket in self.sockets.all() {
            if is_over(socket.data().user()) {
                socket.close();
            }
        }
        expel(&self.hub, directory);
    }

    /// Lets come to pass what falls due, and writes down what is known, for ever.
    pub(super) async fn keep_time(&self) {
        tokio::join!(self.hub.keep_time(), self.keeper.keep(Intervals::default()));
    }

    /// Tells everyone who is connected that this is the end, and waits for it. Whoever came meanwhile needs a second time.
    pub(super) async fn end_sessions(&self) {
        self.streams.shut_down();
        self.engine.shut_down().await;
    }
}

/// A hub of which nobody hears, for a server without activities: it knows when users were seen last.
pub(super) fn memory(config: &Config) -> Result<Arc<Hub>, UserFileError> {
    let hub = Hub::new(1, Rules::default());
    Keeper::remember(&hub, &UserFile::new(&config.users_file))?;
    Ok(hub)
}

/// Whoever may not come in, or not with the key that it had, does nothing any more.
fn expel(hub: &Hub, directory: &dyn Directory) {
    if let Err(error) = hub.expel(|user_id| directory.key_of(user_id)) {
        log::error!("the end of an activity was not told: {error}");
    }
}

/// Keeps up with the users for ever: whoever may not stay is disconnected.
pub(super) async fn follow_users(directory: &dyn Directory, online: Option<&Online>) {
    // What they said may hold though nobody is connected.
    let others = || online.map_or_else(Vec::new, |online| online.hub.users());
    let sweep = || online.map_or((), |online| online.sweep(directory));
    directory.follow(&others, &sweep).await;
}
