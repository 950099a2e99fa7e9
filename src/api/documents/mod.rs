//! The documents: what the API is, as pages for people, and as JSON and YAML for programs.
//!
//! * [`ApiDocument`]: one of them; [`Documents`]: all, each made when it is first asked for.
//! * `asyncapi`, `openapi`: what they say, of the events and of REST. `schemas`: what both say of what is sent.
//! * `tree`, `yaml`: their text. `page`, `html`: the same as HTML.

mod asyncapi;
mod html;
mod openapi;
mod page;
mod schemas;
mod tree;
mod yaml;

use self::yaml::Yaml;
use super::error;
use crate::server::{Answer, empty, is_known, with_body};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    http::request::Parts,
};
use sha2::{Digest, Sha256};
use std::{error::Error, sync::OnceLock};

/// A document in one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApiDocument {
    RestPage,
    RestJson,
    RestYaml,
    EventsPage,
    EventsJson,
    EventsYaml,
}

impl ApiDocument {
    pub(super) const ALL: [Self; 6] = [
        Self::RestPage,
        Self::RestJson,
        Self::RestYaml,
        Self::EventsPage,
        Self::EventsJson,
        Self::EventsYaml,
    ];

    /// Where it is: GameVault's places, by the conventions of NestJS.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::RestPage => "/api/docs",
            Self::RestJson => "/api/docs-json",
            Self::RestYaml => "/api/docs-yaml",
            Self::EventsPage => "/api/docs/async",
            Self::EventsJson => "/api/docs/async-json",
            Self::EventsYaml => "/api/docs/async-yaml",
        }
    }

    /// The one at this path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|document| document.path() == path)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::RestPage | Self::EventsPage => "text/html; charset=utf-8",
            Self::RestJson | Self::EventsJson => "application/json",
            Self::RestYaml | Self::EventsYaml => "application/yaml",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::RestPage => "REST, as a page",
            Self::RestJson => "REST, as OpenAPI in JSON",
            Self::RestYaml => "REST, as OpenAPI in YAML",
            Self::EventsPage => "The events, as a page",
            Self::EventsJson => "The events, as AsyncAPI in JSON",
            Self::EventsYaml => "The events, as AsyncAPI in YAML",
        }
    }

    /// As the operation that answers it is called.
    fn id(self) -> &'static str {
        match self {
            Self::RestPage => "restPage",
            Self::RestJson => "restJson",
            Self::RestYaml => "restYaml",
            Self::EventsPage => "eventsPage",
            Self::EventsJson => "eventsJson",
            Self::EventsYaml => "eventsYaml",
        }
    }

    fn text(self) -> Result<String, serde_json::Error> {
        Ok(match self {
            Self::RestPage => page::rest(&openapi::document()?),
            Self::RestJson => openapi::document()?.to_string(),
            Self::RestYaml => Yaml(&openapi::document()?).to_string(),
            Self::EventsPage => page::events(&asyncapi::document()?),
            Self::EventsJson => asyncapi::document()?.to_string(),
            Self::EventsYaml => Yaml(&asyncapi::document()?).to_string(),
        })
    }
}

/// All documents, each made when it is first asked for: a server of which nobody asks that has none in memory.
#[derive(Default)]
pub(super) struct Documents([OnceLock<Option<Made>>; ApiDocument::ALL.len()]);

/// A document that was made.
struct Made {
    text: Bytes,
    /// Names what it says.
    tag: HeaderValue,
    /// What a browser may do with it.
    policy: HeaderValue,
}

impl Documents {
    /// The document, or that whoever asks has it.
    pub(super) fn answer(&self, document: ApiDocument, request: &Parts) -> Answer {
        let place = self.0.get(document as usize);
        let made = place.and_then(|place| place.get_or_init(|| made(document)).as_ref());
        let Some(Made { text, tag, policy }) = made else {
            return error::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The server cannot answer this.",
            );
        };
        let mut answer = match is_known(&request.headers, tag) {
            true => empty(StatusCode::NOT_MODIFIED),
            false => with_body(StatusCode::OK, document.content_type(), text.clone()),
        };
        let headers = answer.headers_mut();
        headers.insert(ETAG, tag.clone());
        let asks_each_time = HeaderValue::from_static("public, max-age=0");
        headers.insert(CACHE_CONTROL, asks_each_time);
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }
}

/// None: a mistake of ours, which the log has.
fn made(document: ApiDocument) -> Option<Made> {
    let make = || -> Result<Made, Box<dyn Error>> {
        let text = document.text()?;
        let tag = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
        Ok(Made {
            text: text.into(),
            tag: HeaderValue::try_from(format!("\"{tag}\""))?,
            policy: HeaderValue::try_from(page::policy())?,
        })
    };
    make()
        .inspect_err(|error| log::error!("{} cannot be made: {error}", document.path()))
        .ok()
}
