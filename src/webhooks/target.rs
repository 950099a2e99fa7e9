//! The target: the other server, and what is said to it.

use super::{
    Pace, TlsError,
    signature::sign,
    tls::Tls,
    verdict::{Failure, Reason, judge},
};
use crate::config::{Secret, WebUrl};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
    http,
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use std::fmt;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

const PRODUCT: &str = concat!("rollcall/", env!("CARGO_PKG_VERSION"));

type Connection = SendRequest<Full<Bytes>>;

/// Where changes go, on a connection that is kept.
pub(super) struct Target {
    url: WebUrl,
    secret: Option<Secret>,
    authorization: Option<HeaderValue>,
    /// None: it is not encrypted.
    tls: Option<Tls>,
    pace: Pace,
    /// As the last answer left it.
    connection: Option<Connection>,
}

/// What is said.
pub(super) struct Message {
    /// The same in every try.
    pub(super) id: String,
    /// When it is said, in seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) body: Bytes,
}

impl Target {
    pub(super) fn new(url: WebUrl, secret: Option<Secret>, pace: Pace) -> Result<Self, TlsError> {
        let authorization = url.name_and_password().map(|name_and_password| {
            let basic = format!("Basic {}", STANDARD.encode(name_and_password));
            // Base64 is fit for a header.
            HeaderValue::try_from(basic).ok()
        });
        let mut authorization = authorization.flatten();
        if let Some(authorization) = &mut authorization {
            authorization.set_sensitive(true);
        }
        Ok(Self {
            tls: match url.is_https() {
                true => Some(Tls::of_the_system(&url)?),
                false => None,
            },
            url,
            secret,
            authorization,
            pace,
            connection: None,
        })
    }

    /// Says it, and waits for the answer.
    pub(super) async fn post(&mut self, message: &Message) -> Result<(), Failure> {
        if let Some(kept) = self.connection.take() {
            match self.post_on(kept, message).await {
                // It may have been closed at the other end at this very moment: that is no failure.
                Err(Failure::Later {
                    reason: Reason::Broken(_),
                    ..
                }) => {}
                outcome => return outcome,
            }
        }
        let fresh = timeout(self.pace.connect_timeout, self.connect());
        let fresh = fresh.await.map_err(|_| Reason::ConnectTimeout)??;
        self.post_on(fresh, message).await
    }

    async fn post_on(
        &mut self,
        mut connection: Connection,
        message: &Message,
    ) -> Result<(), Failure> {
        let request = match self.request(message) {
            Ok(request) => request,
            // All that it is made of was checked before.
            Err(error) => {
                log::error!("no request can be made for {}: {error}", self.url);
                return Ok(());
            }
        };
        let deadline = Instant::now() + self.pace.answer_timeout;
        let exchange = async {
            connection.ready().await?;
            connection.send_request(request).await
        };
        let answer = timeout_at(deadline, exchange).await;
        let answer = answer
            .map_err(|_| Reason::AnswerTimeout)?
            .map_err(Reason::Broken)?;
        let verdict = judge(answer.status(), answer.headers());
        // The verdict stands, whatever becomes of the rest.
        let rest = skip_body(answer, self.pace.max_answer_bytes);
        if let Ok(Ok(true)) = timeout_at(deadline, rest).await {
            self.connection = Some(connection);
        }
        verdict
    }

    fn request(&self, message: &Message) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.url.path_and_query())
            .header(HOST, self.url.place())
            .header(USER_AGENT, PRODUCT)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", message.timestamp);
        if let Some(secret) = &self.secret {
            let signature = sign(secret.key(), &message.id, message.timestamp, &message.body);
            request = request.header("webhook-signature", signature);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Full::new(message.body.clone()))
    }

    async fn connect(&self) -> Result<Connection, Reason> {
        let stream = TcpStream::connect((self.url.host(), self.url.port()));
        let stream = stream.await.map_err(Reason::Unreachable)?;
        match &self.tls {
            None => shake_hands(stream).await,
            Some(tls) => shake_hands(tls.connect(stream).await.map_err(Reason::Tls)?).await,
        }
    }
}

async fn shake_hands<S>(stream: S) -> Result<Connection, Reason>
where
    TokioIo<S>: Read + Write + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Reason::Broken)?;
    // Ends when the sender is dropped, or the other end closes.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            log::debug!("a connection to the webhook's target ended: {error}");
        }
    });
    Ok(sender)
}

/// Whether that was all of it.
async fn skip_body(answer: Response<Incoming>, max_bytes: usize) -> Result<bool, hyper::Error> {
    let mut body = answer.into_body();
    let mut skipped = 0;
    while let Some(frame) = body.frame().await {
        skipped += frame?.data_ref().map_or(0, Bytes::len);
        if skipped > max_bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}
