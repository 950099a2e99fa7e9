//! A source: an engine that can be asked.

use super::super::DatabaseError;
use super::question::{KeyColumn, Question};
use super::row::Row;
use std::fmt;

/// What an engine answers.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Where it has the keys now: that changes while the server runs, when GameVault is updated.
    pub(super) keys: KeyColumn,
}

/// An engine that can be asked. Displayed as the operator knows it.
pub(super) trait Source: fmt::Display + Send + Sync + 'static {
    /// So many questions may be asked at once, of which none waits for long because of the others.
    const AT_ONCE: usize;

    /// Connects, or connects again, and looks whether all is there that will be read.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    fn connect(&self) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// Asks on the connection that there is.
    ///
    /// # Cancel safety
    /// May be dropped at any time; the answer is lost.
    fn ask(&self, question: Question)
    -> impl Future<Output = Result<Answer, DatabaseError>> + Send;

    /// Waits until the connection is lost, for an engine that notices by itself.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    fn lost(&self) -> impl Future<Output = DatabaseError> + Send;

    /// It did not answer in time.
    fn silence(&self) -> DatabaseError;

    /// It has no users, though some are connected.
    fn emptiness(&self) -> DatabaseError;
}
