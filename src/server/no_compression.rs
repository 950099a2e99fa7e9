//! What stands for `compression` in a build without that feature: nothing is compressed.

use super::Answer;
use hyper::HeaderMap;

/// The answer as it is.
pub(super) fn compressed(_asked: &HeaderMap, _from_bytes: Option<usize>, answer: Answer) -> Answer {
    answer
}

/// The forms of a body beside its own: none.
#[derive(Debug, Default)]
pub(super) struct Forms {}

/// The answer as it is.
pub(super) fn compressed_once(
    _asked: &HeaderMap,
    _from_bytes: Option<usize>,
    answer: Answer,
    _forms: &Forms,
) -> Answer {
    answer
}
