//! `GET /metrics`: what there is to count, for Prometheus.

use super::{
    Authenticator, SocketIoEngine, Streams,
    exposition::{CONTENT_TYPE, Exposition, Kind::Counter, Kind::Gauge},
    process::Process,
};
use crate::{
    presence::{ClientEvent, Hub, Player, State, Tally},
    server::{Answer, Bounds, Limit, with_body},
    socketio::Sockets,
};
use hyper::StatusCode;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Where all that is counted can be read.
pub struct Metrics {
    /// What the server is bounded by, whether there are sessions or not.
    bounds: Arc<Bounds>,
    authenticator: Authenticator,
    /// None: the operator wants no activities, so there are no sessions.
    online: Option<Online>,
    process: Process,
    started: SystemTime,
}

/// What there is where there are activities.
pub struct Online {
    /// The Socket.IO endpoint.
    pub engine: Arc<SocketIoEngine>,
    /// What everyone does.
    pub hub: Arc<Hub>,
    /// The sockets in the namespace.
    pub sockets: Arc<Sockets<Player>>,
    /// Those who read along.
    pub streams: Arc<Streams>,
}

impl Metrics {
    /// Reads `bounds`, what `authenticator` has refused, and what is `online`.
    pub fn new(bounds: Arc<Bounds>, authenticator: Authenticator, online: Option<Online>) -> Self {
        Self {
            bounds,
            authenticator,
            online,
            process: Process::default(),
            started: SystemTime::now(),
        }
    }

    /// All metrics, as they are now.
    pub(super) fn answer(&self) -> Answer {
        let mut text = Exposition::default();
        self.process(&mut text);
        if let Some(online) = &self.online {
            online.sessions(&mut text);
            online.sockets(&mut text);
            online.presence(&mut text);
        }
        self.limits(&mut text);
        with_body(StatusCode::OK, CONTENT_TYPE, text.into_text())
    }

    /// The program, by the names that Prometheus' own clients use.
    fn process(&self, text: &mut Exposition) {
        let version = [(env!("CARGO_PKG_VERSION"), 1)];
        text.each(
            Gauge,
            "rollcall_build_info",
            "The version that runs.",
            "version",
            version,
        );
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        text.one(
            Gauge,
            "process_start_time_seconds",
            "When the server started, in seconds since 1970.",
            started.as_secs_f64(),
        );
        let usage = self.process.usage();
        if let Some(bytes) = usage.resident_bytes {
            let help = "Memory in use, in bytes.";
            text.one(Gauge, "process_resident_memory_bytes", help, bytes);
        }
        if let Some(count) = usage.open_descriptors {
            let help = "File descriptors in use.";
            text.one(Gauge, "process_open_fds", help, count);
        }
    }

    /// What peers have run into. That of the shutdown is over before anyone could ask.
    fn limits(&self, text: &mut Exposition) {
        // Where a key may follow, it is the gateway that knows how many sessions a user has.
        let tally = self.online.as_ref().map(|online| online.hub.tally());
        let beyond = |limit| match limit {
            Limit::SessionsPerOwner => tally.map_or(0, Tally::turned_away),
            _ => 0,
        };
        let bounds = self.bounds.reached();
        let bounds = bounds.map(|(limit, count)| (limit.name(), count + beyond(limit)));
        let mut reached: Vec<_> = bounds.collect();
        reached.push(("wrong_keys", self.authenticator.refused()));
        if let Some(online) = &self.online {
            reached.push(("max_streams", online.streams.refused()));
            reached.push(("changes_of_a_user", online.hub.tally().held_back()));
        }
        text.each(
            Counter,
            "rollcall_limits_hit_total",
            "How often a limit was reached; docs/security.md says what each does.",
            "limit",
            reached,
        );
    }
}

impl Online {
    fn sessions(&self, text: &mut Exposition) {
        let sessions = self.engine.sessions();
        let meter = sessions.meter();
        text.each(
            Gauge,
            "rollcall_sessions",
            "Engine.IO sessions, by how far they have come.",
            "state",
            sessions
                .stages()
                .map(|(stage, count)| (stage.name(), count)),
        );
        text.each(
            Counter,
            "rollcall_handshakes_total",
            "Requests that opened a session, or did not, by what became of them.",
            "result",
            meter
                .outcomes()
                .map(|(outcome, count)| (outcome.name(), count)),
        );
        text.each(
            Counter,
            "rollcall_closes_total",
            "Sessions that have ended, by reason.",
            "reason",
            sessions.ended(),
        );
        let ((received, received_bytes), (sent, sent_bytes)) = (meter.received(), meter.sent());
        text.one(
            Counter,
            "rollcall_packets_received_total",
            "Engine.IO packets from clients, pongs among them.",
            received,
        );
        text.one(
            Counter,
            "rollcall_packets_sent_total",
            "Engine.IO packets to clients, pings among them.",
            sent,
        );
        text.one(
            Counter,
            "socket_io_receive_bytes",
            "Bytes of the packets from clients.",
            received_bytes,
        );
        text.one(
            Counter,
            "socket_io_transmit_bytes",
            "Bytes of the packets to clients.",
            sent_bytes,
        );
        text.one(
            Gauge,
            "rollcall_send_queue_bytes",
            "Bytes that wait for clients, beside what waits for all of them together.",
            self.engine.budget().waiting(),
        );
    }

    /// By the names that exporters for the official server use.
    fn sockets(&self, text: &mut Exposition) {
        let tally = self.hub.tally();
        let of = self.sockets.namespace();
        text.one(
            Gauge,
            "socket_io_connected",
            "Socket.IO sockets that are connected.",
            self.sockets.len(),
        );
        text.each(
            Counter,
            "socket_io_connect_total",
            "Socket.IO sockets that have connected.",
            "namespace",
            [(of, tally.connects())],
        );
        text.each(
            Counter,
            "socket_io_disconnect_total",
            "Socket.IO sockets that have gone.",
            "namespace",
            [(of, tally.disconnects())],
        );
        text.each(
            Counter,
            "socket_io_errors_total",
            "Events that were refused by an exception.",
            "namespace",
            [(of, tally.exceptions())],
        );
        text.each(
            Counter,
            "socket_io_events_received_total",
            "Events from clients.",
            "event",
            tally
                .events()
                .map(|(event, count)| (event.map_or("other", ClientEvent::name), count)),
        );
        text.one(
            Counter,
            "socket_io_events_sent_total",
            "Messages to clients: events, acks, and what else Socket.IO has to say.",
            self.engine.sessions().meter().messages_sent(),
        );
    }

    fn presence(&self, text: &mut Exposition) {
        let tally = self.hub.tally();
        let states = self.hub.states();
        text.each(
            Gauge,
            "rollcall_users",
            "Users who are not offline, by what they do.",
            "state",
            states.map(|(state, count)| (State::name(Some(state)).to_lowercase(), count)),
        );
        text.one(
            Gauge,
            "rollcall_streams",
            "Streams of server-sent events.",
            self.streams.count(),
        );
        text.one(
            Counter,
            "rollcall_activity_changes_total",
            "Changes that everyone was told of.",
            tally.changes(),
        );
        text.one(
            Counter,
            "rollcall_resyncs_total",
            "Clients that lagged behind and got a snapshot.",
            tally.resyncs(),
        );
        text.histogram(
            "rollcall_broadcast_duration_seconds",
            "How long it took until news had been passed on to all who waited for it.",
            &tally.broadcasts().read(),
        );
    }
}
