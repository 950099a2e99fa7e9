//! CORS: which web pages may read the answers.

use super::answer::{self, Answer};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
        HeaderValue, ORIGIN, VARY,
    },
};

/// The origins whose pages may read the answers.
#[derive(Debug, Clone, Default)]
pub enum Cors {
    /// All: keys travel in a header that only a page which knows one can set, so there is nothing to steal.
    #[default]
    Any,
    /// These, each as a browser writes it, such as `https://games.example`, with or without credentials.
    Only(Vec<HeaderValue>),
}

impl Cors {
    /// Answers a preflight, which a browser sends before the real request, and without its key. Every OPTIONS counts as
    /// one, whatever its headers, as it does for the reference.
    pub fn preflight<B>(&self, request: &Request<B>) -> Option<Answer> {
        let asked = request.headers();
        (request.method() == Method::OPTIONS).then(|| {
            let mut answer = answer::empty(StatusCode::NO_CONTENT);
            let headers = answer.headers_mut();
            let methods = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            if let Some(asked) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
            headers.insert(
                VARY,
                HeaderValue::from_static("Access-Control-Request-Headers"),
            );
            answer
        })
    }

    /// What a page with these headers may have of the answer.
    pub fn permit(&self, asked: &HeaderMap) -> Permit {
        match self {
            Self::Any => Permit::Any,
            Self::Only(origins) => {
                let of = |origin| origins.iter().find(|known| *known == origin);
                Permit::Only(asked.get(ORIGIN).and_then(of).cloned())
            }
        }
    }
}

/// Who may read an answer.
#[derive(Debug, Clone)]
pub enum Permit {
    /// Any page.
    Any,
    /// Pages of this origin alone, if there is one.
    Only(Option<HeaderValue>),
}

impl Permit {
    /// The answer, whatever it says, with what lets the page read it.
    pub fn apply(self, mut answer: Answer) -> Answer {
        let headers = answer.headers_mut();
        match self {
            Self::Any => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Only(origin) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                if let Some(origin) = origin {
                    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                    // Version 2 of socket.io-client asks with credentials, and browsers want to read this then.
                    let allowed = HeaderValue::from_static("true");
                    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, allowed);
                }
            }
        }
        answer
    }
}
