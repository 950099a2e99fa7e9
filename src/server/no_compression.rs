//! What stands for `compression` in a build without that feature: nothing is compressed.

use super::Answer;
use hyper::HeaderMap;

/// A way to compress: none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {}

impl Coding {
    /// None, whatever the client likes.
    pub(super) fn accepted(_asked: &HeaderMap) -> Option<Self> {
        None
    }
}

/// The answer as it is.
pub(super) fn compressed(
    _accepted: Option<Coding>,
    _from_bytes: Option<usize>,
    answer: Answer,
) -> Answer {
    answer
}

/// The forms of a body beside its own: none.
#[derive(Debug, Default)]
pub(super) struct Forms {}

/// The answer as it is.
pub(super) fn compressed_once(
    _accepted: Option<Coding>,
    _from_bytes: Option<usize>,
    answer: Answer,
    _forms: &Forms,
) -> Answer {
    answer
}
