//! How the log is written.

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: a time, a level and a sentence.
    Text,
    /// For programs: an object of JSON, with the sentence and what it speaks of.
    Json,
}

impl LogFormat {
    pub(super) const ALL: [Self; 2] = [Self::Text, Self::Json];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}
