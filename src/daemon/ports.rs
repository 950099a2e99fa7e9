//! Where the server listens.

use super::StartError;
use crate::{
    config::{Config, MetricsPlace},
    https::Term,
    server::{self, Listener, Tls},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;

/// All that was asked for, each taken.
pub(super) struct Ports {
    /// The address of [`Self::listeners`]' first, for people.
    pub(super) address: SocketAddr,
    /// For everybody, each with its URL.
    pub(super) listeners: Vec<(Listener, String)>,
    /// For whatever watches over the server, if that is to have a place of its own.
    pub(super) metrics: Option<TcpListener>,
}

impl Ports {
    /// Listens. From now on clients can connect, and wait for an answer.
    pub(super) fn open(config: &Config, tls: Option<&Arc<Tls>>) -> Result<Self, StartError> {
        let listener = bind(config.server_host, "SERVER_PORT", config.server_port)?;
        let address = listener.local_addr().map_err(StartError::Runtime)?;
        let mut listeners = vec![(Listener::http(listener), format!("http://{address}"))];
        if let Some(tls) = tls {
            let listener = bind(config.server_host, "SERVER_HTTPS_PORT", config.https_port)?;
            let address = listener.local_addr().map_err(StartError::Runtime)?;
            let listener = Listener::https(listener, Arc::clone(tls));
            listeners.push((listener, format!("https://{address}")));
            log::info!("the certificate can be used: {}", Term(tls));
        }
        let metrics = match config.metrics {
            MetricsPlace::Address(address) => Some(listen_apart(address)?),
            MetricsPlace::MainPort | MetricsPlace::Nowhere => None,
        };
        Ok(Self {
            address,
            listeners,
            metrics,
        })
    }

    /// Where everybody finds the server.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|(_, url)| &**url)
    }
}

/// Listens on a port, which is that of a setting.
fn bind(host: Option<IpAddr>, setting: &'static str, port: u16) -> Result<TcpListener, StartError> {
    server::bind(host, port).map_err(|error| StartError::Listen {
        setting,
        port,
        error,
    })
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
