//! A change as a line, for a pipe.

use std::time::SystemTime;

use super::roster::{Roster, Seen};
use crate::cli::output::quoted;

/// `2026-11-26T02:14:25Z`, the name, the state, the game and the details, with tabs between them; what there is not is empty.
pub(super) fn plain(roster: &Roster, seen: &Seen) -> String {
    format!(
        "{}\t{}\t{}\t{}\t{}\n",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        roster.called(seen.user_id),
        seen.state,
        seen.game_id.map(|id| id.to_string()).unwrap_or_default(),
        seen.details.as_deref().unwrap_or_default()
    )
}

/// The same as an object.
pub(super) fn json(roster: &Roster, seen: &Seen) -> String {
    let mut line = format!(
        "{{\"user_id\":{},\"username\":{},\"state\":{}",
        seen.user_id,
        roster
            .username(seen.user_id)
            .map_or("null".to_owned(), quoted),
        quoted(&seen.state)
    );
    if let Some(game_id) = seen.game_id {
        line.push_str(&format!(",\"game_id\":{game_id}"));
    }
    if let Some(details) = &seen.details {
        line.push_str(&format!(",\"details\":{}", quoted(details)));
    }
    if let Some(since) = seen.since {
        line.push_str(&format!(",\"since\":{since}"));
    }
    line + "}\n"
}
