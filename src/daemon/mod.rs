//! The daemon: all of it put together.

mod directory;
mod greeting;
mod online;
mod ports;
mod service;
mod signals;
mod start_error;

pub use start_error::StartError;

use crate::{
    api::{Activities, Api, Authenticator, Connected, Metrics, Monitoring, Tokens},
    config::{Config, MetricsPlace, unknown_variables},
    https,
    notify::Notifier,
    presence::{Claim, Observer},
    server::{Bounds, ClientBundle, Cors, Limits, Proxies},
    webhooks::{Pace, TlsError, Webhooks},
};
use hyper::header::HeaderValue;
use online::Online;
use ports::Ports;
use service::Service;
use signals::{Signals, start_log};
use std::{env, sync::Arc};
use tokio::{
    runtime, select,
    signal::unix::{SignalKind, signal},
};

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

async fn serve(config: &Config) -> Result<(), StartError> {
    let cors = cors(&config.cors_allowed_origins)?;
    let client_bundle = config.client_bundle_dir.as_deref().map(ClientBundle::read);
    let client_bundle = client_bundle
        .transpose()
        .map_err(StartError::ClientBundle)?;
    let webhooks = webhooks(config).map_err(StartError::Webhooks)?;
    let limits = limits(config);
    let tls = https::open(config).map_err(StartError::Https)?;
    let mut signals = Signals::new().map_err(StartError::Runtime)?;
    let hangup = signal(SignalKind::hangup()).map_err(StartError::Runtime)?;
    // Before anyone can connect, and would have to wait for it.
    let database = select! {
        database = directory::elsewhere(config) => database?,
        () = signals.told_to_stop() => return Ok(()),
    };
    let ports = Ports::open(config, tls.as_ref())?;
    // Not before there is a place to listen: the first start prints its key only once.
    let claim = match config.online_activities_disabled {
        // Writes nothing down.
        true => None,
        false => Some(directory::claim(config, limits.shutdown_timeout).await?),
    };
    let (directory, first_key) = match database {
        Some(directory) => (directory, None),
        None => directory::open(&config.users_file)?,
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
            Some(Online::start(config, &directory, &limits, authenticator.clone(), claim).await?)
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
    let (hub, bounds) = match &online {
        Some(online) => (Arc::clone(&online.hub), Arc::clone(online.engine.bounds())),
        None => (
            online::memory(config).map_err(StartError::Users)?,
            Arc::new(Bounds::new(limits)),
        ),
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

    greeting::greet(&ports, first_key.as_ref(), online.is_some()).map_err(StartError::Output)?;
    if online.is_none() {
        log::info!("SERVER_ONLINE_ACTIVITIES_DISABLED is set: there is no Socket.IO endpoint");
    }
    let notifier = Notifier::new(|name| env::var_os(name));
    let urls: Vec<&str> = ports.urls().collect();
    notifier.ready(&format!("Listening on {}", urls.join(" and ")));
    let service = Service {
        api,
        bounds,
        directory,
        monitoring,
        notifier,
        online,
        tls,
        webhooks,
    };
    service.run(ports, signals, hangup).await;
    Ok(())
}

/// What peers may do, as far as the operator has something to say about it.
fn limits(config: &Config) -> Limits {
    let defaults = Limits::default();
    Limits {
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
    }
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
