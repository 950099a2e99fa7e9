//! The running server: what goes on until it is told to stop, and in which order it ends.

use super::{
    online::{self, Online},
    ports::Ports,
    signals::Signals,
};
use crate::{
    api::{Api, Monitoring},
    https,
    notify::Notifier,
    server::{self, Bounds, Tls},
    users::Directory,
    webhooks::Webhooks,
};
use std::{future::pending, sync::Arc, time::Duration};
use tokio::{select, signal::unix::Signal, sync::watch, time::sleep};

/// How long the server waits at its end for changes to be delivered, within the time that [`Bounds`] have for all of it.
const FAREWELL: Duration = Duration::from_secs(2);

/// All that goes on while the server runs.
pub(super) struct Service {
    pub(super) api: Arc<Api>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) monitoring: Arc<Monitoring>,
    pub(super) notifier: Notifier,
    pub(super) online: Option<Online>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) webhooks: Option<Arc<Webhooks>>,
}

impl Service {
    /// Serves until a signal says to stop, and until what then has to end has ended, or has had its time.
    pub(super) async fn run(&self, ports: Ports, mut signals: Signals, mut hangup: Signal) {
        let stop = watch::Sender::new(false);
        let told_to_stop = async {
            select! {
                () = signals.told_to_stop() => {}
                // Never ends by itself.
                () = self.keep_up(&mut hangup) => {}
            }
            log::info!("stopping");
            self.monitoring.note_stopping();
            self.notifier.stopping();
            stop.send_replace(true);
            select! {
                () = sleep(self.bounds.shutdown_timeout) => log::warn!("not everything ended in time"),
                () = signals.told_to_stop() => log::warn!("told to stop again: not waiting for goodbyes"),
            }
        };
        select! {
            () = self.serve(ports, &stop) => {}
            () = told_to_stop => {}
        }
        log::info!("stopped");
    }

    /// Serves until `stop` says so, and then ends what there is.
    async fn serve(&self, ports: Ports, stop: &watch::Sender<bool>) {
        let stopped = || {
            let mut stop = stop.subscribe();
            // An error says that nobody can stop us any more, and that is a reason to stop.
            async move { stop.wait_for(|stop| *stop).await.map_or((), drop) }
        };
        let save = async {
            stopped().await;
            if let Some(online) = &self.online {
                online.keeper.save().await;
            }
        };
        let end_sessions = async {
            stopped().await;
            if let Some(webhooks) = &self.webhooks {
                webhooks.hurry();
            }
            self.end_sessions().await;
        };
        let listeners = ports.listeners.into_iter().map(|(listener, _)| listener);
        let api = Arc::clone(&self.api);
        let serve = server::serve_all(listeners, api, &self.bounds, stopped());
        let serve_metrics = async {
            if let Some(listener) = ports.metrics {
                let monitoring = Arc::clone(&self.monitoring);
                server::serve(listener, monitoring, &self.bounds, stopped()).await;
            }
        };
        // What is known is written down before those who are connected are told to go.
        tokio::join!(save, serve, serve_metrics, end_sessions);
        // The last requests may have opened sessions, and changed something.
        self.end_sessions().await;
        if let Some(webhooks) = &self.webhooks {
            webhooks.finish(FAREWELL).await;
        }
    }

    async fn end_sessions(&self) {
        if let Some(online) = &self.online {
            online.end_sessions().await;
        }
    }

    /// Keeps up with the users, the clock, the certificate and the service manager, for ever.
    async fn keep_up(&self, hangup: &mut Signal) {
        let keep_time = async {
            if let Some(online) = &self.online {
                online.keep_time().await;
            }
        };
        tokio::join!(
            online::follow_users(&*self.directory, self.online.as_ref()),
            keep_time,
            follow_certificate(hangup, self.tls.as_ref()),
            self.notifier.keep_alive(),
        );
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
