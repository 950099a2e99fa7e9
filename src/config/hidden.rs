//! A text that is not shown.

use std::fmt;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Any text but an empty one, which is none.
    pub fn new(text: &str) -> Option<Hidden> {
        (!text.is_empty()).then(|| Hidden(text.to_owned()))
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(hidden)")
    }
}
