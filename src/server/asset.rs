//! An asset: a file for browsers, that is in memory and never changes.

use super::{
    Answer, answer,
    compression::{Coding, Forms, compressed_once},
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{ALLOW, CACHE_CONTROL, ETAG, HeaderValue},
};

/// A file for browsers. Each form of it is compressed once.
#[derive(Debug)]
pub struct Asset {
    content_type: &'static str,
    content: Bytes,
    tag: HeaderValue,
    forms: Forms,
}

impl Asset {
    /// A file of this type. `tag` is another one when the content is another.
    pub fn new(content_type: &'static str, content: impl Into<Bytes>, tag: HeaderValue) -> Self {
        Self {
            content_type,
            content: content.into(),
            tag,
            forms: Forms::default(),
        }
    }

    /// Answers a request for it, compressed if it is as large as that. Browsers keep it, and ask each time whether it has changed.
    pub fn answer<B>(&self, request: &Request<B>, compress_from_bytes: Option<usize>) -> Answer {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut answer = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, allowed);
            return answer;
        }
        let mut answer = self.found(request.headers(), compress_from_bytes);
        let headers = answer.headers_mut();
        headers.insert(ETAG, self.tag.clone());
        let asks_each_time = HeaderValue::from_static("public, max-age=0");
        headers.insert(CACHE_CONTROL, asks_each_time);
        answer
    }

    fn found(&self, asked: &HeaderMap, compress_from_bytes: Option<usize>) -> Answer {
        if answer::is_known(asked, &self.tag) {
            return answer::empty(StatusCode::NOT_MODIFIED);
        }
        let plain = answer::with_body(StatusCode::OK, self.content_type, self.content.clone());
        let accepted = Coding::accepted(asked);
        compressed_once(accepted, compress_from_bytes, plain, &self.forms)
    }
}
