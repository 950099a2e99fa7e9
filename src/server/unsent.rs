//! What is not sent yet of an answer.

use super::{Answer, Body};
use crate::engineio::outbound::{Held, Outbound};
use bytes::Bytes;
use hyper::{Response, body::Body as _};
use std::sync::Arc;

/// Counts the body of an answer, until hyper has handed it to the kernel. It is among the answer's extensions until the body
/// is what it is going to be.
#[derive(Clone)]
pub(super) struct Unsent {
    _held: Arc<Held>,
}

impl Unsent {
    /// Counts the body from now on.
    pub(super) fn count(answer: &mut Answer, outbound: &Outbound) {
        let bytes = answer.body().size_hint().lower();
        let held = outbound.hold(usize::try_from(bytes).unwrap_or(usize::MAX));
        let _held = Arc::new(held);
        answer.extensions_mut().insert(Self { _held });
    }

    /// Ties what counts the body to the body.
    pub(super) fn tie(answer: Answer) -> Answer {
        let (mut head, body) = answer.into_parts();
        let body = match (head.extensions.remove::<Self>(), body) {
            (Some(unsent), Body::Whole(body)) => {
                let bytes = body.into_inner().unwrap_or_default();
                Bytes::from_owner(Tied {
                    bytes,
                    _unsent: unsent,
                })
                .into()
            }
            (_, body) => body,
        };
        Response::from_parts(head, body)
    }
}

/// A body with what counts it.
struct Tied {
    bytes: Bytes,
    _unsent: Unsent,
}

impl AsRef<[u8]> for Tied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
