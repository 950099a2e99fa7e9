//! The daemon: all of it put together.

use crate::{
    api::{
        self, Activities, Api, Authenticator, Connected, Metrics, Monitoring, SocketIoEngine,
        Streams, Tokens,
    },
    cli,
    config::{Config, LogFormat, MetricsPlace, unknown_variables},
    engineio::Timing,
    https::{self, HttpsError, Term},
    logger,
    notify::Notifier,
    presence::{
        Claim, ClaimError, Gateway, Hub, Intervals, Keeper, Observer, Player, Rules, Visitor,
    },
    server::{
        self, Bounds, ClientBundle, ClientBundleError, Cors, Engine, Limits, Listener, Proxies,
        Settings, Tls,
    },
    socketio::{self, SocketIo, Sockets},
    users::{
        ApiKey, DatabaseError, Directory, FileDirectory, User, UserFile, UserFileError,
        open_database,
    },
    webhooks::{Pace, TlsError, Webhooks},
};
use hyper::header::{HeaderValue, InvalidHeaderValue};
use std::{
    env,
    error::Error,
    fmt,
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime, select,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};

/// How many changes a client may lag behind before it gets a snapshot instead: more than a burst, and at
/// a hundred bytes each little for the one ring that all share.
const RING: usize = 1024;

/// Runs the server until it is told to stop by SIGTERM or Ctrl-C.
///
/// # Errors
/// It cannot start; the text says why, and what to do about it.
pub fn run(config: &Config) -> Result<(), StartError> {
    start_log(config).map_err(StartError::Runtime)?;
    for warning in unknown_variables(env::vars_os().map(|(name, _)| name)) {
        log::warn!("{warning}");
    }
    // One thread: what is done is to write to sockets, and two would spend more on waking each other.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let config = config.clone();
    // A task of its own, so that whoever accepts a connection and whoever serves it need not wake each other.
    let serving = runtime.spawn(async move { serve(&config).await });
    let outcome = runtime.block_on(serving);
    // Does not wait for a look at a user file on a disk that is gone.
    runtime.shutdown_background();
    log::logger().flush();
    outcome.unwrap_or(Err(StartError::Panicked))
}

fn start_log(config: &Config) -> io::Result<()> {
    logger::start(config.log_level, config.log_format == LogFormat::Json)
}

async fn serve(config: &Config) -> Result<(), StartError> {
    let cors = cors(&config.cors_allowed_origins)?;
    let client_bundle = config.client_bundle_dir.as_deref().map(ClientBundle::read);
    let client_bundle = client_bundle
        .transpose()
        .map_err(StartError::ClientBundle)?;
    let webhooks = webhooks(config).map_err(StartError::Webhooks)?;
    let defaults = Limits::default();
    let limits = Limits {
        max_sessions: config.max_sessions,
        max_half_open_sessions: config.max_half_open_sessions,
        max_sessions_per_network: config.max_sessions_per_address,
        max_sessions_per_owner: config.max_sessions_per_user,
        max_openings_per_minute: at_most(config.max_openings_per_minute),
        max_messages_per_second: at_most(config.max_messages_per_second),
        max_bytes_per_second: at_most(config.max_bytes_per_second),
        max_payload_bytes: config.max_payload_bytes,
        message_timeout: config.message_timeout,
        compress_from_bytes: defaults.compress_from_bytes.filter(|_| config.compression),
        ..defaults
    };
    let tls = https::open(config).map_err(StartError::Https)?;
    let mut signals = Signals::new().map_err(StartError::Runtime)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Runtime)?;
    // Before anyone can connect, and would have to wait for it.
    let database = select! {
        database = open_users_elsewhere(config) => database?,
        () = signals.told_to_stop() => return Ok(()),
    };
    let listener = bind(config.server_host, "SERVER_PORT", config.server_port)?;
    let address = listener.local_addr().map_err(StartError::Runtime)?;
    let mut listeners = vec![Listener::http(listener)];
    let mut addresses = vec![format!("http://{address}")];
    if let Some(tls) = &tls {
        let listener = bind(config.server_host, "SERVER_HTTPS_PORT", config.https_port)?;
        let address = listener.local_addr().map_err(StartError::Runtime)?;
        listeners.push(Listener::https(listener, Arc::clone(tls)));
        addresses.push(format!("https://{address}"));
        log::info!("the certificate can be used: {}", Term(tls));
    }
    let metrics_listener = match config.metrics {
        MetricsPlace::Address(address) => Some(listen_apart(address)?),
        MetricsPlace::MainPort | MetricsPlace::Nowhere => None,
    };
    // Not before there is a place to listen: the first start prints its key only once.
    let claim = match config.online_activities_disabled {
        // Writes nothing down.
        true => None,
        false => Some(stake(config, limits.shutdown_timeout).await?),
    };
    let (directory, first_key) = match database {
        Some(directory) => (directory, None),
        None => open_users(&config.users_file)?,
    };
    claim.iter().for_each(Claim::warn_if_unlocked);

    let max_failures = at_most(config.max_failures_per_minute);
    let tokens = config.auth_seed.as_ref();
    let tokens = tokens.map(|seed| Tokens::of_seed(seed.reveal()));
    let authenticator =
        Authenticator::new(Arc::clone(&directory), max_failures).take_tokens(tokens);
    let online = match claim {
        None => None,
        Some(claim) => {
            Some(go_online(config, &directory, &limits, authenticator.clone(), claim).await?)
        }
    };
    if let (Some(online), Some(webhooks)) = (&online, &webhooks) {
        online
            .hub
            .observe(Arc::clone(webhooks) as Arc<dyn Observer>);
    }
    let connected = online.as_ref().map(|online| Connected {
        engine: Arc::clone(&online.engine),
        sockets: Arc::clone(&online.sockets),
    });
    let activities = online.as_ref().map(|online| Activities {
        hub: Arc::clone(&online.hub),
        streams: Arc::clone(&online.streams),
        public_read: config.activity_public_read,
        body_timeout: config.post_timeout,
    });
    let hub = match &online {
        Some(online) => Arc::clone(&online.hub),
        None => memory(config).map_err(StartError::Users)?,
    };
    let bounds = match &online {
        Some(online) => Arc::clone(online.engine.bounds()),
        None => Arc::new(Bounds::new(limits.clone())),
    };
    let metrics = Metrics::new(
        Arc::clone(&bounds),
        authenticator.clone(),
        online.as_ref().map(Online::metrics),
    );
    let are_apart = config.metrics != MetricsPlace::MainPort;
    let monitoring = Arc::new(Monitoring::new(metrics, Arc::clone(&directory), are_apart));
    let api = Api::new(
        connected,
        client_bundle,
        activities,
        hub,
        Arc::clone(&directory),
        authenticator,
        Arc::clone(&monitoring),
    );
    let api = api.for_pages(cors).below(&config.base_path);
    let api = Arc::new(api.behind(Proxies::new(config.trusted_proxies.clone())));
    greet(address, &addresses, first_key.as_ref(), online.is_some()).map_err(StartError::Output)?;
    if online.is_none() {
        log::info!("SERVER_ONLINE_ACTIVITIES_DISABLED is set: there is no Socket.IO endpoint");
    }

    let notifier = Notifier::new(|name| env::var_os(name));
    notifier.ready(&format!("Listening on {}", addresses.join(" and ")));

    let stop = watch::Sender::new(false);
    let stopped = || {
        let mut stop = stop.subscribe();
        // An error says that nobody can stop us any more, and that is a reason to stop.
        async move { stop.wait_for(|stop| *stop).await.map_or((), drop) }
    };
    let end_sessions = || async {
        if let Some(online) = &online {
            online.streams.shut_down();
            online.engine.shut_down().await;
        }
    };
    let served = async {
        let sessions = async {
            stopped().await;
            if let Some(webhooks) = &webhooks {
                webhooks.hurry();
            }
            end_sessions().await;
        };
        let saved = async {
            stopped().await;
            if let Some(online) = &online {
                online.keeper.save().await;
            }
        };
        let serving = server::serve_all(listeners, api, &bounds, stopped());
        let watched_over = async {
            if let Some(listener) = metrics_listener {
                server::serve(listener, Arc::clone(&monitoring), &bounds, stopped()).await;
            }
        };
        // What is known is written down before those who are connected are told to go.
        tokio::join!(saved, serving, watched_over, sessions);
        // The last requests may have opened sessions, and changed something.
        end_sessions().await;
        if let Some(webhooks) = &webhooks {
            webhooks.finish(FAREWELL).await;
        }
    };
    let watched = async {
        select! {
            () = signals.told_to_stop() => {}
            // Never ends by itself.
            () = follow_users(&*directory, online.as_ref()) => {}
            () = keep_time(online.as_ref()) => {}
            () = follow_certificate(&mut hangup, tls.as_ref()) => {}
            () = notifier.keep_alive() => {}
        }
        log::info!("stopping");
        monitoring.note_stopping();
        notifier.stopping();
        stop.send_replace(true);
        select! {
            () = sleep(limits.shutdown_timeout) => log::warn!("not everything ended in time"),
            () = signals.told_to_stop() => log::warn!("told to stop again: not waiting for goodbyes"),
        }
    };
    select! {
        () = served => {}
        () = watched => {}
    }
    log::info!("stopped");
    Ok(())
}

/// Makes this the only server of these users. One that was told to stop has the time that it may take for that, and a
/// second: whoever starts the next one need not wait for its end.
async fn stake(config: &Config, shutdown_timeout: Duration) -> Result<Claim, StartError> {
    let patience = shutdown_timeout + Duration::from_secs(1);
    let staked = Claim::stake(UserFile::new(&config.users_file), patience).await;
    staked.map_err(StartError::Claim)
}

/// The users of a GameVault, if that is what the operator wants. Waits for its database as long as it may.
async fn open_users_elsewhere(config: &Config) -> Result<Option<Arc<dyn Directory>>, StartError> {
    let Some((place, timing)) = cli::database(config) else {
        return Ok(None);
    };
    let directory = open_database(place, timing).await;
    directory.map(Some).map_err(StartError::Database)
}

/// The users in the user file, and the key of the first one if there were none.
fn open_users(path: &Path) -> Result<(Arc<dyn Directory>, Option<ApiKey>), StartError> {
    let first_key = match FileDirectory::open(path) {
        Ok(directory) => return Ok((Arc::new(directory), None)),
        Err(UserFileError::Missing { .. }) => match UserFile::new(path).create_with_admin() {
            Ok(key) => Some(key),
            // The command line was faster.
            Err(UserFileError::Exists { .. }) => None,
            Err(error) => return Err(StartError::Users(error)),
        },
        Err(error) => return Err(StartError::Users(error)),
    };
    let directory = FileDirectory::open(path).map_err(StartError::Users)?;
    Ok((Arc::new(directory), first_key))
}

fn cors(origins: &[String]) -> Result<Cors, StartError> {
    if origins.is_empty() {
        return Ok(Cors::Any);
    }
    let origins = origins
        .iter()
        .map(|origin| HeaderValue::from_str(origin))
        .collect::<Result<_, _>>();
    origins.map(Cors::Only).map_err(StartError::Origin)
}

/// A count that has no need to be larger.
fn at_most(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How long a session may be nobody's.
const NOBODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stream may be silent: proxies take one that is for dead, usually after a minute. A server whose clients
/// are asked more often whether they are there has its reasons, and they hold here, too.
const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);

/// All that tells what everyone does: the Socket.IO endpoint with the sockets that are on it, the streams, and what is
/// written down.
struct Online {
    engine: Arc<SocketIoEngine>,
    hub: Arc<Hub>,
    sockets: Arc<Sockets<Player>>,
    streams: Arc<Streams>,
    keeper: Keeper,
}

impl Online {
    /// What of it is counted.
    fn metrics(&self) -> api::Online {
        api::Online {
            engine: Arc::clone(&self.engine),
            hub: Arc::clone(&self.hub),
            sockets: Arc::clone(&self.sockets),
            streams: Arc::clone(&self.streams),
        }
    }
}

async fn go_online(
    config: &Config,
    directory: &Arc<dyn Directory>,
    limits: &Limits,
    authenticator: Authenticator,
    claim: Claim,
) -> Result<Online, StartError> {
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
    let gateway = Gateway::new(Arc::clone(&hub)).with_keys(Arc::new(authenticator.clone()));
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
        Visitor::Stranger(_) => usual.min(NOBODY_TIMEOUT),
    });
    let engine = Engine::new(io.build(), authenticator, settings);
    Ok(Online {
        engine,
        hub,
        sockets,
        streams,
        keeper,
    })
}

/// A hub of which nobody hears, for a server without activities: it knows when users were seen last.
fn memory(config: &Config) -> Result<Arc<Hub>, UserFileError> {
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

/// How long the server waits at its end for changes to be delivered, within [`Limits::shutdown_timeout`].
const FAREWELL: Duration = Duration::from_secs(2);

/// What tells another server of each change, if there is one to tell.
fn webhooks(config: &Config) -> Result<Option<Arc<Webhooks>>, TlsError> {
    let is_online = !config.online_activities_disabled;
    let Some(url) = config.webhook_url.as_ref().filter(|_| is_online) else {
        return Ok(None);
    };
    let webhooks = Webhooks::start(url, config.webhook_secret.as_ref(), Pace::default())?;
    log::info!("changes are told to {url}");
    Ok(Some(webhooks))
}

/// Keeps up with the users for ever: whoever was removed, deactivated or got another key is disconnected.
async fn follow_users(directory: &dyn Directory, online: Option<&Online>) {
    let sweep = || {
        let Some(Online {
            engine,
            hub,
            sockets,
            streams,
            ..
        }) = online
        else {
            return;
        };
        streams.sweep();
        let is_over = |user: &Arc<User>| !directory.is_current(user);
        engine
            .sessions()
            .disconnect(|visitor| visitor.user().is_some_and(is_over));
        // Those who came as nobody and said later who they are.
        for socket in sockets.all() {
            if is_over(socket.data().user()) {
                socket.close();
            }
        }
        expel(hub, directory);
    };
    // What they said may hold though nobody is connected.
    let others = || online.map_or_else(Vec::new, |online| online.hub.users());
    directory.follow(&others, &sweep).await;
}

/// Lets come to pass what falls due, and writes down what is known, for ever.
async fn keep_time(online: Option<&Online>) {
    match online {
        Some(online) => {
            tokio::join!(
                online.hub.keep_time(),
                online.keeper.keep(Intervals::default())
            );
        }
        None => pending().await,
    }
}

/// Reads the certificate again, at each SIGHUP, for ever. Not where the settings are: the disk may be slow, and SIGTERM does not
/// wait for it.
async fn follow_certificate(hangup: &mut Signal, tls: Option<&Arc<Tls>>) {
    if let Some(tls) = tls {
        while hangup.recv().await.is_some() {
            https::reload(tls).await;
        }
    }
    pending().await
}

/// Listens on a port, which is that of a setting.
fn bind(host: Option<IpAddr>, setting: &'static str, port: u16) -> Result<TcpListener, StartError> {
    server::bind(host, port).map_err(|error| StartError::Listen {
        setting,
        port,
        error,
    })
}

/// Says where the server is, and on the first start how to get in: what is printed can be pasted.
fn greet(
    address: SocketAddr,
    addresses: &[String],
    first_key: Option<&ApiKey>,
    is_online: bool,
) -> io::Result<()> {
    let lines = addresses.iter();
    let mut text: String = lines
        .map(|address| format!("Rollcall listening on {address}\n"))
        .collect();
    if let Some(key) = first_key {
        let (key, program) = (key.reveal(), program());
        let url = match address.ip().is_unspecified() {
            true => format!("http://localhost:{}", address.port()),
            false => format!("http://{address}"),
        };
        let page = match is_online {
            true => format!("Open {url}/ and paste it there, to see who is here. "),
            false => String::new(),
        };
        text.push_str(&format!(
            "
This is the first start, so there is a user now: admin, with the API key

    {key}

{page}It is not shown again; `{program} users key admin` tells it. To try it by hand:

    curl -H 'X-Api-Key: {key}' {url}/api/users/me
"
        ));
        if is_online {
            text.push_str(&format!(
                "    npm install socket.io-client && node -e '
      const socket = require(\"socket.io-client\")(\"{url}\", {{
        transports: [\"websocket\"], extraHeaders: {{ \"X-Api-Key\": \"{key}\" }} }});
      socket.onAny(console.log);
      socket.on(\"connect\", () => socket.emit(\"set-activity\", {{ state: \"ONLINE\" }}));'
"
            ));
        }
        text.push('\n');
    }
    cli::print(&mut io::stdout(), &text)
}

/// This program, as a shell finds it from here: by the name by which it was started.
fn program() -> String {
    let name = env::args_os().next().unwrap_or_else(|| "rollcall".into());
    let name = name.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if name.bytes().all(is_plain) {
        name.into_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

/// A listener for what watches over the server alone.
fn listen_apart(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = server::bind(Some(address.ip()), address.port());
    listener
        .inspect(|listener| match listener.local_addr() {
            Ok(address) => log::info!("metrics are at http://{address}/metrics"),
            Err(error) => log::warn!("metrics are somewhere: {error}"),
        })
        .map_err(|error| StartError::ListenApart { address, error })
}

/// Reads again what may change while the server runs: how much is logged, and how. Its variables cannot change, but the
/// files can that they name.
fn reload() {
    match Config::read(|name| env::var_os(name)) {
        Ok(config) => match start_log(&config) {
            Ok(()) => {
                let level = config.log_level.as_str().to_lowercase();
                log::info!("told to read the settings again: the log's level is {level}");
            }
            Err(error) => log::error!("the log goes on as it was: {error}"),
        },
        Err(errors) => {
            let errors = errors.to_string().replace('\n', "; ");
            log::error!("the settings stay as they were: {errors}");
        }
    }
}

/// What tells the server to stop, or to read its settings again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A file would grow beyond what is allowed. It has to be heard of, or it is the end; the write fails, which is enough.
    _too_large: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _too_large: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits until the server is told to stop, and does meanwhile what else it is told.
    async fn told_to_stop(&mut self) {
        loop {
            select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                hangup = self.hangup.recv() => hangup.map_or((), |()| reload()),
            }
        }
    }
}

/// Why the server does not start.
#[derive(Debug)]
pub enum StartError {
    /// There are no usable users.
    Users(UserFileError),
    /// The database with the users cannot be asked.
    Database(DatabaseError),
    /// Another server has these users.
    Claim(ClaimError),
    /// There is no such client bundle.
    ClientBundle(ClientBundleError),
    /// There can be no webhooks.
    Webhooks(TlsError),
    /// An origin cannot stand in a header.
    Origin(InvalidHeaderValue),
    /// There can be no HTTPS.
    Https(HttpsError),
    /// The address cannot be listened on.
    Listen {
        /// The setting that asks for the port.
        setting: &'static str,
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
    /// The address for the metrics cannot be listened on.
    ListenApart {
        /// What METRICS_ADDRESS says.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Standard output cannot be written.
    Output(io::Error),
    /// The system refuses something that every server needs.
    Runtime(io::Error),
    /// The program itself is wrong, or was refused what it cannot do without. The log says more.
    Panicked,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(error) => error.fmt(f),
            Self::Database(error) => error.fmt(f),
            Self::Claim(error) => error.fmt(f),
            Self::ClientBundle(error) => write!(f, "CLIENT_BUNDLE_DIR: {error}"),
            Self::Webhooks(error) => write!(f, "WEBHOOK_URL: {error}"),
            Self::Origin(error) => write!(f, "SERVER_CORS_ALLOWED_ORIGINS cannot be used: {error}"),
            Self::Https(error) => error.fmt(f),
            Self::Listen {
                setting,
                port,
                error,
            } => match error.kind() {
                io::ErrorKind::AddrInUse => write!(
                    f,
                    "port {port} is taken by another program, such as a second Rollcall, or GameVault, which likes the same ports: \
                     stop that one (`ss -ltnp 'sport = :{port}'` names it), or set {setting} to a free port"
                ),
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "port {port} is not allowed for this user: set {setting} to one above 1023"
                ),
                io::ErrorKind::AddrNotAvailable => write!(
                    f,
                    "SERVER_HOST is no address of this machine: leave it empty to listen on all that it has, or name one that \
                     `ip address` shows"
                ),
                _ => write!(
                    f,
                    "cannot listen on port {port}: {error}; look at SERVER_HOST and {setting}"
                ),
            },
            Self::ListenApart { address, error } => {
                write!(
                    f,
                    "METRICS_ADDRESS: cannot listen on {address}: {error}; choose another address or port, or off"
                )
            }
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Runtime(error) if error.kind() == io::ErrorKind::WouldBlock => write!(
                f,
                "cannot start another thread: {error}; allow it more memory or threads (ulimit -d, ulimit -u)"
            ),
            Self::Runtime(error) => write!(f, "cannot start: {error}"),
            Self::Panicked => {
                f.write_str("it cannot go on; the log says where it panicked, and why")
            }
        }
    }
}

impl Error for StartError {}
