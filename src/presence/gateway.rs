//! The gateway: GameVault's events, answered.

use super::{
    BadReport, ClientEvent, Hub, Interest, Keys, Player, Report, ServerEvent, Visitor,
    answer::{Accepted, Done, Exception, Rejected},
};
use crate::{
    engineio::CloseReason,
    socketio::{Auth, DisconnectReason, EncodeError, Event, Namespace, Refused, Socket},
    users::User,
};
use serde::Deserialize;
use std::{fmt, net::SocketAddr, sync::Arc};

const NO_KEY: &str =
    "An API key is missing: send it in the header X-Api-Key, or as apiKey in the auth payload.";

/// As the engine says it, who knows only of those who have shown a key to it.
const TOO_MANY: &str = "You have as many sessions as one may. Close one, or try again later.";

/// What a client shows in its auth payload.
#[derive(Deserialize)]
struct Credentials {
    #[serde(
        rename = "apiKey",
        alias = "api_key",
        alias = "X-Api-Key",
        alias = "x-api-key"
    )]
    api_key: Option<String>,
}

/// The namespace `/` of the daemon.
pub struct Gateway {
    hub: Arc<Hub>,
    /// What opens the door to those who show a key only when they join; none: nothing does.
    keys: Option<Arc<dyn Keys>>,
    /// How many sockets a user may have, whoever has opened their sessions.
    max_sockets: usize,
}

impl Gateway {
    /// A gateway to `hub`.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            keys: None,
            max_sockets: usize::MAX,
        }
    }

    /// The same for no more sockets of each user than this.
    pub fn at_most(self, max_sockets: usize) -> Self {
        Self {
            max_sockets,
            ..self
        }
    }

    /// Lets those join as well whose session was opened by a stranger, if they show one of these in their auth payload.
    pub fn with_keys(self, keys: Arc<dyn Keys>) -> Self {
        Self {
            keys: Some(keys),
            ..self
        }
    }

    async fn by_auth(&self, auth: &Auth, client: SocketAddr) -> Result<Arc<User>, Refused> {
        let keys = self.keys.as_ref().ok_or_else(|| Refused::new(NO_KEY))?;
        let shown: Credentials = auth.get()?;
        let key = shown.api_key.ok_or_else(|| Refused::new(NO_KEY))?;
        keys.enter(&key, client).await
    }

    /// Whether its user may not come in any more, or not with the key that it showed.
    fn is_turned_out(&self, socket: &Socket<Player>) -> bool {
        let keys = self.keys.as_ref();
        keys.is_some_and(|keys| !keys.is_current(socket.data().user()))
    }

    fn set_activity(
        &self,
        socket: &Socket<Player>,
        mut event: Event<'_>,
    ) -> Result<(), EncodeError> {
        match parse(&event) {
            Ok(report) => {
                let activity = self.hub.report(socket, report.into_doing())?;
                event
                    .take_ack()
                    .map_or(Ok(()), |ack| ack.send((Accepted::new(activity),)))
            }
            Err(error) => self.refuse(socket, event, &error),
        }
    }

    fn watch(&self, socket: &Socket<Player>, mut event: Event<'_>) -> Result<(), EncodeError> {
        match Interest::parse(event.raw(0)) {
            Ok(interest) => {
                self.hub.watch(socket, interest)?;
                event
                    .take_ack()
                    .map_or(Ok(()), |ack| ack.send((Done::new(),)))
            }
            Err(error) => self.refuse(socket, event, &error),
        }
    }

    /// Tells the sender alone what is wrong with its payload.
    fn refuse(
        &self,
        socket: &Socket<Player>,
        mut event: Event<'_>,
        error: &dyn fmt::Display,
    ) -> Result<(), EncodeError> {
        self.hub.tally().note_exception();
        let message = error.to_string();
        let exception = Exception::new(event.name(), &message, event.raw(0));
        socket.emit(ServerEvent::Exception.name(), (exception,))?;
        event
            .take_ack()
            .map_or(Ok(()), |ack| ack.send((Rejected::new(&message),)))
    }
}

impl Namespace for Gateway {
    type Handshake = Visitor;
    type Data = Player;

    /// Nearly always the key was checked when the session was opened.
    async fn admit(&self, visitor: &Arc<Visitor>, auth: Auth) -> Result<Player, Refused> {
        let user = match &**visitor {
            Visitor::User(user) => Arc::clone(user),
            Visitor::Stranger(client) => self.by_auth(&auth, **client).await?,
        };
        // It joins behind this without waiting for anything, so nobody else does in between.
        if self.hub.sockets(user.id) >= self.max_sockets {
            self.hub.tally().note_turned_away();
            return Err(Refused::new(TOO_MANY));
        }
        Ok(Player::new(user))
    }

    fn on_connect(&self, socket: &Socket<Player>) {
        // Whoever was turned out while it came in must not slip through: it can be found now, but was not then.
        if self.is_turned_out(socket) {
            return socket.close();
        }
        self.hub.tally().note_connect();
        report_failure(self.hub.join(socket));
    }

    fn on_event(&self, socket: &Socket<Player>, mut event: Event<'_>) {
        let told = ClientEvent::named(event.name());
        self.hub.tally().note_event(told);
        report_failure(match told {
            Some(ClientEvent::SetActivity) => self.set_activity(socket, event),
            Some(ClientEvent::GetActivities) => self.hub.show(socket, event.take_ack()),
            Some(ClientEvent::Watch) => self.watch(socket, event),
            // As everywhere in Socket.IO, nobody hears an event that nobody listens for.
            None => Ok(()),
        });
    }

    fn on_disconnect(&self, socket: &Socket<Player>, reason: DisconnectReason) {
        self.hub.tally().note_disconnect();
        let goodbye = match reason {
            DisconnectReason::ClientLeft | DisconnectReason::ServerLeft => true,
            DisconnectReason::SessionClosed(reason) => match reason {
                // When the server goes down nobody leaves: all come back to the next one.
                CloseReason::ServerShutdown => return,
                // Whoever was sent away does not come back.
                CloseReason::ClientClosed | CloseReason::ServerDisconnected => true,
                // Nor does who was about to be, whatever came first.
                _ => self.is_turned_out(socket),
            },
        };
        report_failure(self.hub.leave(socket, goodbye));
    }
}

fn parse(event: &Event<'_>) -> Result<Report, BadReport> {
    if !event.arguments().attachments().is_empty() {
        return Err(BadReport::Binary);
    }
    Report::parse(event.raw(0))
}

/// What is sent is made of our own types, so it can only fail to encode by a mistake of ours.
fn report_failure(outcome: Result<(), EncodeError>) {
    if let Err(error) = outcome {
        log::error!("an event of our own was not sent: {error}");
    }
}
