//! Who asks?

use super::{BadToken, Tokens, error};
use crate::{
    presence::{Entering, Keys, Visitor},
    server::{Admission, Denied, Ledger, Network, Owner, TooMuch},
    socketio::Refused,
    users::{Directory, KeyDigest, NoEntry, User},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
    http::request::Parts,
};
use std::{
    mem,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::time::sleep;

/// The header that carries a key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The same for GameVault up to version 14.
const SOCKET_SECRET: HeaderName = HeaderName::from_static("x-socket-secret");

/// Finds out who sent a request.
#[derive(Clone)]
pub struct Authenticator {
    directory: Arc<dyn Directory>,
    /// Whether a session may be opened without a key, to be shown by the CONNECT.
    key_may_follow: bool,
    /// None: no tokens are taken.
    tokens: Option<Tokens>,
    /// How often each network has shown a wrong key or password.
    failures: Arc<Ledger>,
}

/// So many wrong keys are a slip.
const SLIPS: u32 = 5;

/// How long the answer to one more takes.
const SLOW: Duration = Duration::from_secs(1);

impl Authenticator {
    /// The headers that say who asks, as a list in another.
    pub(super) const ASKED_BY: &str = "X-Api-Key, X-Socket-Secret, Authorization";

    /// Asks `directory`. A network may show `max_failures` wrong keys or passwords at once, and as many again in a minute;
    /// behind some of them it is answered slowly, and beyond with 429. A key that is right is right whatever was tried
    /// before it.
    pub fn new(directory: Arc<dyn Directory>, max_failures: u32) -> Self {
        Self {
            directory,
            key_may_follow: false,
            tokens: None,
            failures: Arc::new(Ledger::new(max_failures, Duration::from_secs(60))),
        }
    }

    /// Lets a session without a key be opened, by a stranger, who has to show one when it joins.
    pub fn let_key_follow(self, key_may_follow: bool) -> Self {
        Self {
            key_may_follow,
            ..self
        }
    }

    /// Whether a request says who asks, rightly or wrongly.
    pub fn is_shown_something(headers: &HeaderMap) -> bool {
        [API_KEY, SOCKET_SECRET, AUTHORIZATION]
            .iter()
            .any(|name| headers.contains_key(name))
    }

    /// How often someone was refused for too many wrong keys or passwords.
    pub fn refused(&self) -> u64 {
        self.failures.refused()
    }

    /// Takes tokens of GameVault's as well as keys.
    pub fn take_tokens(self, tokens: Option<Tokens>) -> Self {
        Self { tokens, ..self }
    }

    /// The user whose key, or else whose token, the request carries.
    ///
    /// # Errors
    /// There is none, or the user may not come in.
    pub async fn by_key_or_token(
        &self,
        headers: &HeaderMap,
        client: SocketAddr,
    ) -> Result<Arc<User>, Denied> {
        let found = match self.shown(headers) {
            Some(Shown::Key(key)) => self.by_key(key, client).await,
            Some(Shown::Token(token)) => self.by_token(token, client).await,
            None => Err(NO_KEY.into()),
        };
        match found {
            Ok(user) => Ok(user),
            Err(no) => Err(no.said(client).await),
        }
    }

    /// The user whose key or token, or else whose name and password, the request carries.
    ///
    /// # Errors
    /// There is none, or the user may not come in.
    pub async fn by_anything(
        &self,
        headers: &HeaderMap,
        client: SocketAddr,
    ) -> Result<Arc<User>, Denied> {
        if self.shown(headers).is_some() {
            return self.by_key_or_token(headers, client).await;
        }
        let authorization = headers.get(AUTHORIZATION).ok_or(NO_KEY_OR_PASSWORD)?;
        let (name, password) = basic(authorization.as_bytes()).ok_or(BAD_AUTHORIZATION)?;
        let guess = Guess::begin(&self.failures, client)?;
        match User::enter(self.directory.by_password(&name, &password).await) {
            Ok(user) => {
                guess.take_back();
                Ok(user)
            }
            Err(NoEntry::Unknown) => Err(guess.fail(WRONG_PASSWORD).said(client).await),
            Err(no_entry) => {
                guess.take_back();
                Err(denied(&no_entry))
            }
        }
    }

    async fn by_key(
        &self,
        key: Result<&str, NotOneKey>,
        client: SocketAddr,
    ) -> Result<Arc<User>, No> {
        let found = match key {
            Ok(key) => User::by_key(&*self.directory, key).await,
            Err(NotOneKey) => Err(NoEntry::Unknown),
        };
        found.map_err(|no_entry| match no_entry {
            NoEntry::Unknown => self.failure(client, denied(&no_entry)),
            _ => denied(&no_entry).into(),
        })
    }

    async fn by_token(&self, token: Option<&str>, client: SocketAddr) -> Result<Arc<User>, No> {
        let tokens = self.tokens.as_ref().ok_or(NO_TOKENS)?;
        let read = token.map(|token| tokens.read(token, SystemTime::now()));
        let user_id = match read.unwrap_or(Err(BadToken::NotGenuine)) {
            Ok(user_id) => user_id,
            // Once it was good: nobody is guessing.
            Err(BadToken::NotNow) => return Err(OLD_TOKEN.into()),
            Err(BadToken::NotGenuine) => return Err(self.failure(client, WRONG_TOKEN)),
        };
        let found = User::enter(self.directory.by_id(user_id).await);
        found.map_err(|no_entry| match no_entry {
            NoEntry::Unknown => NOBODYS_TOKEN.into(),
            no_entry => denied(&no_entry).into(),
        })
    }

    /// The key that a request shows, or else the token, if it does.
    fn shown<'a>(&self, headers: &'a HeaderMap) -> Option<Shown<'a>> {
        match shown_key(headers, self.directory.takes_socket_secret()) {
            Some(key) => Some(Shown::Key(key)),
            None => shown_token(headers).map(Shown::Token),
        }
    }

    /// The answer to one more wrong key or token of this client.
    fn failure(&self, client: SocketAddr, wrong: Denied) -> No {
        match note_failure(&self.failures, client) {
            Ok(before) => No::to_guess(wrong, before),
            Err(TooMuch) => TOO_OFTEN.into(),
        }
    }
}

/// Notes that a client is wrong once more, and says how often it was before.
fn note_failure(failures: &Ledger, client: SocketAddr) -> Result<u32, TooMuch> {
    match Network::of(client) {
        Some(network) => failures.note(Instant::now(), network),
        None => Ok(0),
    }
}

/// A password that is being looked at, which counts as wrong until it is found to be right: to look costs a tenth of a
/// second of a processor, so whoever has guessed too often is not even heard, however much at once, and whoever does not
/// wait for the answer has guessed.
struct Guess<'a> {
    failures: &'a Ledger,
    client: SocketAddr,
    /// How often the client was wrong before.
    before: u32,
    unheard: Unheard<'a>,
}

impl<'a> Guess<'a> {
    fn begin(failures: &'a Ledger, client: SocketAddr) -> Result<Self, Denied> {
        match note_failure(failures, client) {
            Ok(before) => Ok(Self {
                failures,
                client,
                before,
                unheard: Unheard(client, &UNHEARD),
            }),
            Err(TooMuch) => Err(TOO_OFTEN),
        }
    }

    /// It was wrong.
    fn fail(self, wrong: Denied) -> No {
        mem::forget(self.unheard);
        No::to_guess(wrong, self.before)
    }

    /// It was right, or nobody can tell.
    fn take_back(self) {
        mem::forget(self.unheard);
        if let Some(network) = Network::of(self.client) {
            self.failures.take_back(network);
        }
    }
}

/// A no that is not said yet.
struct No {
    denied: Denied,
    is_slow: bool,
}

impl No {
    /// To one who was wrong so often before.
    fn to_guess(wrong: Denied, before: u32) -> Self {
        Self {
            denied: wrong,
            is_slow: before >= SLIPS,
        }
    }

    /// What is said to `client`, when it is time to. Whoever says it logs it.
    ///
    /// # Cancel safety
    /// A client that does not wait for it has guessed as well: then it is logged here.
    async fn said(self, client: SocketAddr) -> Denied {
        if self.is_slow {
            let unheard = Unheard(client, &self.denied);
            sleep(SLOW).await;
            mem::forget(unheard);
        }
        self.denied
    }
}

/// A no that whoever is told it does not wait for; logged when it is dropped.
struct Unheard<'a>(SocketAddr, &'a Denied);

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        error::log_denied(self.0, self.1);
    }
}

impl From<Denied> for No {
    fn from(denied: Denied) -> Self {
        Self {
            denied,
            is_slow: false,
        }
    }
}

/// A key in the payload of a CONNECT is worth as much as one in a header, and a wrong one costs as much.
impl Keys for Authenticator {
    fn enter<'a>(&'a self, key: &'a str, client: SocketAddr) -> Entering<'a> {
        Box::pin(async move {
            match self.by_key(Ok(key), client).await {
                Ok(user) => Ok(user),
                Err(no) => {
                    let denied = no.said(client).await;
                    error::log_denied(client, &denied);
                    Err(Refused::new(denied.message))
                }
            }
        })
    }

    fn is_current(&self, user: &User) -> bool {
        self.directory.is_current(user)
    }
}

/// A session is a user's, or for the moment a stranger's.
impl Admission for Authenticator {
    type Identity = Visitor;

    fn still_admits(&self, visitor: &Visitor) -> bool {
        let user = visitor.user();
        user.is_none_or(|user| self.directory.is_current(user))
    }

    fn owner(&self, visitor: &Visitor) -> Option<Owner> {
        visitor.user().map(|user| user.id)
    }

    fn is_same(&self, visitor: &Visitor, request: &Parts) -> bool {
        let Some(user) = visitor.user() else {
            return true;
        };
        match self.shown(&request.headers) {
            // An empty one is none.
            None | Some(Shown::Key(Ok(""))) => true,
            Some(Shown::Key(key)) => key.is_ok_and(|key| KeyDigest::of(key) == user.key_digest),
            // The session was opened while it held, or has another by now: it only says who speaks.
            Some(Shown::Token(token)) => match &self.tokens {
                Some(tokens) => token.and_then(|token| tokens.owner(token)) == Some(user.id),
                None => true,
            },
        }
    }

    async fn admit(&self, request: &Parts, client: SocketAddr) -> Result<Arc<Visitor>, Denied> {
        let is_stranger = self.key_may_follow && self.shown(&request.headers).is_none();
        Ok(Arc::new(match is_stranger {
            true => Visitor::stranger(client),
            false => Visitor::User(self.by_key_or_token(&request.headers, client).await?),
        }))
    }
}

/// What a request shows to say who sends it.
enum Shown<'a> {
    Key(Result<&'a str, NotOneKey>),
    /// None: it is no text.
    Token(Option<&'a str>),
}

/// A header that carries no key that anyone could have, or two different ones: whoever is in front of us may have looked
/// at the other.
struct NotOneKey;

/// The key that a request shows, if it does: under its name, or the old one as well.
fn shown_key(headers: &HeaderMap, old_name_too: bool) -> Option<Result<&str, NotOneKey>> {
    let old = headers.get_all(SOCKET_SECRET).into_iter();
    let old = old.filter(|_| old_name_too);
    let mut keys = headers.get_all(API_KEY).iter().chain(old);
    let key = keys.next()?;
    let is_one = keys.all(|other| other == key);
    Some(key.to_str().ok().filter(|_| is_one).ok_or(NotOneKey))
}

/// The token of HTTP's Bearer scheme (RFC 6750), if a request shows one.
fn shown_token(headers: &HeaderMap) -> Option<Option<&str>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let is_bearer = |value: &&HeaderValue| {
        let scheme = value.as_bytes().get(..BEARER.len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER))
    };
    let token = all.find(is_bearer)?;
    let token = token
        .to_str()
        .ok()
        .and_then(|text| text.get(BEARER.len()..));
    Some(token.map(str::trim))
}

/// How a header with a token begins.
const BEARER: &[u8] = b"bearer ";

/// The no to someone whose key does not open the door.
fn denied(no_entry: &NoEntry) -> Denied {
    Denied {
        status: match no_entry {
            NoEntry::Unknown => StatusCode::UNAUTHORIZED,
            NoEntry::NotActivated => StatusCode::FORBIDDEN,
            NoEntry::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        },
        message: no_entry.message(),
    }
}

/// Name and password of HTTP's Basic scheme (RFC 7617).
fn basic(authorization: &[u8]) -> Option<(String, String)> {
    let (scheme, credentials) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let credentials =
        String::from_utf8(BASE64_STANDARD.decode(credentials.trim_ascii()).ok()?).ok()?;
    let (name, password) = credentials.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

const fn unauthorized(message: &'static str) -> Denied {
    Denied {
        status: StatusCode::UNAUTHORIZED,
        message,
    }
}

const NO_KEY: Denied = unauthorized("An API key is missing: send it in the header X-Api-Key.");
const NO_TOKENS: Denied = unauthorized(
    "This server takes no tokens, but API keys: its operator has not set AUTH_SEED to that of GameVault.",
);
const WRONG_TOKEN: Denied = unauthorized(
    "This token is none of GameVault's access tokens: it may be damaged, or signed with another AUTH_SEED.",
);
const OLD_TOKEN: Denied = unauthorized("This token holds no longer, or not yet: get a new one.");
const NOBODYS_TOKEN: Denied = unauthorized("The user of this token is not there any more.");
const NO_KEY_OR_PASSWORD: Denied = unauthorized(
    "Send an API key in the header X-Api-Key, or a name and password by Basic authentication.",
);
const BAD_AUTHORIZATION: Denied = unauthorized(
    "The header Authorization is neither in the form of Basic authentication nor in that of Bearer, the only schemes here.",
);
const TOO_OFTEN: Denied = Denied {
    status: StatusCode::TOO_MANY_REQUESTS,
    message: "Your address has shown too many wrong keys or passwords. Try again later.",
};
const WRONG_PASSWORD: Denied = unauthorized("Name and password do not match.");
const UNHEARD: Denied =
    unauthorized("It has sent a name and a password, and not waited for the answer.");
